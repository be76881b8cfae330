#include "server/api/lease_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kv/errors.h"
#include "kv/limits.h"
#include "server/api/request_checks.h"
#include "tests/server/error_reason.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;

template <typename Request>
absl::StatusOr<log::v1::Command> Make(const std::string& text) {
  return MakeCommand(Proto<Request>(text));
}

TEST(LeaseCommandTest, AGrantHasItsBounds) {
  const auto command = Make<v1::GrantLeaseRequest>("id: 5 ttl { seconds: 1 nanos: 1 }");
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->grant_lease().id(), 5);
  EXPECT_EQ(command->grant_lease().ttl_ms(), 1001U) << "rounded up";
  EXPECT_EQ(command->grant_lease().leases_max(), kv::kLeasesMax);
  EXPECT_EQ(command->grant_lease().keys_max(), kv::kLeaseKeysMax);
  EXPECT_FALSE(command->has_request());
  const auto marked = Make<v1::GrantLeaseRequest>("ttl { seconds: 1 } request_id: 'r'");
  EXPECT_EQ(marked->request().id(), "r");
}

TEST(LeaseCommandTest, BadFieldsAreRefused) {
  for (const char* ttl : {"", "ttl { }", "ttl { seconds: -1 }", "ttl { nanos: 999000000 }",
                          "ttl { seconds: 315360001 }"}) {
    EXPECT_EQ(ReasonOf(Make<v1::GrantLeaseRequest>(ttl).status()), "BAD_TTL") << ttl;
  }
  EXPECT_THAT(
      std::string(Make<v1::GrantLeaseRequest>("ttl { nanos: 999000000 }").status().message()),
      HasSubstr("must be at least 1s for a lease"));
  EXPECT_EQ(ReasonOf(Make<v1::GrantLeaseRequest>("id: -1 ttl { seconds: 1 }").status()),
            "BAD_LEASE");
  EXPECT_EQ(ReasonOf(Make<v1::RenewLeaseRequest>("").status()), "BAD_LEASE");
  EXPECT_EQ(ReasonOf(Make<v1::RenewLeaseRequest>("id: 1 ttl { }").status()), "BAD_TTL");
  EXPECT_EQ(ReasonOf(Make<v1::RevokeLeaseRequest>("id: -5").status()), "BAD_LEASE");
  auto put = Proto<v1::PutRequest>("key: 'k' text: 'v' lease_id: 0");
  EXPECT_EQ(ReasonOf(MakeCommand(&put, 100).status()), "BAD_LEASE");
}

TEST(LeaseCommandTest, OperationsHangKeysOnLeases) {
  auto put = Proto<v1::PutRequest>("key: 'k' text: 'v' lease_id: 3");
  EXPECT_EQ(MakeCommand(&put, 100)->txn().operations(0).put().lease_id(), 3);
  auto touch = Proto<v1::TouchRequest>("key: 'k' lease_id: 3");
  EXPECT_EQ(MakeCommand(&touch, 100)->txn().operations(0).touch().lease_id(), 3);
  auto increment = Proto<v1::IncrementRequest>("key: 'k' lease_id: 3");
  EXPECT_EQ(MakeCommand(&increment, 100)->txn().operations(0).increment().lease_id(), 3);
  const auto renewal = Make<v1::RenewLeaseRequest>("id: 3");
  EXPECT_EQ(renewal->renew_lease().ttl_ms(), 0U) << "as it was granted";
}

}  // namespace
}  // namespace raftkv::server
