// The public header stands alone and brings neither gRPC nor protobuf with it.
#include "client/client.h"

#if defined(GRPCPP_GRPCPP_H) || defined(GRPCPP_CHANNEL_H) || defined(GOOGLE_PROTOBUF_VERSION) || \
    defined(GOOGLE_PROTOBUF_MESSAGE_H__)
#error "client/client.h must not include gRPC or protobuf"
#endif

#include <gtest/gtest.h>

namespace raftkv {
namespace {

TEST(PublicHeaderTest, IsEnoughToUseAClient) {
  absl::StatusOr<Client> client = Client::Create({.endpoints = {"127.0.0.1:2379"}});
  EXPECT_TRUE(client.ok());
}

}  // namespace
}  // namespace raftkv
