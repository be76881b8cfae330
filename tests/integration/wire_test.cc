// Requests that no client library of ours sends, byte by byte: what they say must be taken as gRPC
// means it, or refused before it costs anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/http2_client.h"
#include "tests/support/single_node.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

// As gRPC's server writes it into a fresh connection's headers: name and value with their lengths.
std::string StatusHeader(grpc::StatusCode code) {
  const std::string value = std::to_string(static_cast<int>(code));
  return "grpc-status" + std::string(1, static_cast<char>(value.size())) + value;
}

TEST(DeadlineTest, OneBeyondWhatClocksCanCountIsAFarOne) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const std::string put = Proto<v1::PutRequest>("key: 'k' text: 'v'").SerializeAsString();
  const std::string get = Proto<v1::GetRequest>("key: 'k'").SerializeAsString();
  const std::string list = Proto<v1::ListRequest>("range { prefix: '' }").SerializeAsString();
  // 285 years still fit into nanoseconds; then the year 9999, and the most that gRPC can say.
  for (const std::string timeout : {"5S", "2500000H", "69900000H", "99999999H"}) {
    for (const auto& [method, request] :
         {std::pair<std::string, std::string>{"Put", put}, {"Get", get}, {"List", list}}) {
      SCOPED_TRACE(method + " within " + timeout);
      Http2Client client(node.client().address());
      const uint32_t stream =
          client.Open("/raftkv.v1.KvService/" + method, {{"grpc-timeout", timeout}});
      client.SendBody(stream, Http2Client::Message(request), /*end=*/true);
      EXPECT_TRUE(client.AwaitEnd(stream, Millis(10000)));
      EXPECT_TRUE(client.answer(stream).has_message);
      EXPECT_THAT(client.answer(stream).headers, HasSubstr(StatusHeader(grpc::StatusCode::OK)));
    }
  }
}

// list_services of the reflection protocol.
const std::string kListServices("\x3a\0", 2);

grpc::StatusCode AskReflection(const std::string& address, const std::string& version) {
  NodeClient client(address);
  return client
      .CallRaw("/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo",
               kListServices)
      .status.error_code();
}

TEST(ReflectionTest, OnlyTheClientPortHasIt) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  EXPECT_EQ(AskReflection(node.server().client_address(), "v1alpha"), grpc::StatusCode::OK);
  for (const std::string version : {"v1alpha", "v1"}) {
    EXPECT_EQ(AskReflection(node.server().peer_address(), version),
              grpc::StatusCode::UNIMPLEMENTED);
  }
}

TEST(ReflectionTest, AFlagTurnsItOff) {
  SingleNode node({"--reflection=false"});
  ASSERT_TRUE(node.Start());
  EXPECT_EQ(AskReflection(node.server().client_address(), "v1alpha"),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(node.client().PutText("a", "1").ok());
}

}  // namespace
}  // namespace raftkv::integration
