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
using testing::Not;

constexpr char kPut[] = "/raftkv.v1.KvService/Put";

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

// Each port with one of its unary methods and a stream.
struct Port {
  std::string address;
  std::vector<std::string> methods;
};

std::vector<Port> PortsOf(SingleNode& node) {
  return {{node.server().client_address(), {kPut, "/grpc.health.v1.Health/Watch"}},
          {node.server().peer_address(),
           {"/raftkv.peer.v1.RaftService/Hello", "/raftkv.peer.v1.RaftService/AppendEntries",
            "/raftkv.peer.v1.ForwardService/Forward"}}};
}

// Not one of these is what gzip or deflate make of anything: who unpacks them says that.
TEST(CompressionTest, ACompressedRequestIsRefusedAndNotUnpacked) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  for (const Port& port : PortsOf(node)) {
    for (const std::string& method : port.methods) {
      for (const std::string encoding : {"gzip", "deflate"}) {
        SCOPED_TRACE(method + " with " + encoding);
        Http2Client client(port.address);
        const uint32_t stream = client.Open(method, {{"grpc-encoding", encoding}});
        client.SendBody(stream, Http2Client::Message("no such bytes", /*compressed=*/true),
                        /*end=*/true);
        EXPECT_TRUE(client.AwaitEnd(stream, Millis(10000)));
        const Http2Client::Answer& answer = client.answer(stream);
        EXPECT_THAT(answer.headers, HasSubstr(StatusHeader(grpc::StatusCode::UNIMPLEMENTED)));
        EXPECT_THAT(answer.headers, HasSubstr(encoding)) << "says what it does not take";
      }
    }
  }
  EXPECT_TRUE(node.client().PutText("a", "1").ok()) << "the server is unharmed";
}

TEST(CompressionTest, AClientOfGrpcIsToldSo) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  grpc::ClientContext context;
  SetTimeout(&context, kCallTimeout);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::PutRequest request = Proto<v1::PutRequest>("key: 'a'");
  request.set_text(std::string(2000, 'a'));
  v1::PutResponse response;
  const grpc::Status status = node.client().kv()->Put(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("gzip"));
  EXPECT_FALSE(node.client().GetText("a")->has_kv()) << "it has no effect";
}

// So that a client that would compress knows before it does.
TEST(CompressionTest, AnswersOfferNone) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  Http2Client client(node.client().address());
  const uint32_t stream = client.Open("/raftkv.v1.KvService/Get");
  client.SendBody(stream,
                  Http2Client::Message(Proto<v1::GetRequest>("key: 'k'").SerializeAsString()),
                  /*end=*/true);
  EXPECT_TRUE(client.AwaitEnd(stream, Millis(10000)));
  const Http2Client::Answer& answer = client.answer(stream);
  EXPECT_TRUE(answer.has_message);
  EXPECT_THAT(answer.headers, Not(HasSubstr("gzip")));
  EXPECT_THAT(answer.headers, Not(HasSubstr("deflate")));
}

TEST(HeadersTest, MoreThanTheyMayHoldAreRefusedOnBothPorts) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  // 8 KiB are allowed; HPACK by hand has at most 126 bytes a value.
  const std::vector<std::pair<std::string, std::string>> many(100,
                                                              {"x-much", std::string(120, 'x')});
  for (const Port& port : PortsOf(node)) {
    for (const std::string& method : port.methods) {
      SCOPED_TRACE(method);
      Http2Client client(port.address);
      const uint32_t stream = client.Open(method, many);
      EXPECT_TRUE(client.AwaitEnd(stream, Millis(10000)));
      EXPECT_FALSE(client.answer(stream).has_message);
    }
  }
  EXPECT_TRUE(node.client().PutText("a", "1").ok()) << "the server is unharmed";
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
