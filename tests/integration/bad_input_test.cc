// Requests that must be refused, by every method, and that nothing comes of it. Which those are,
// and in which words, is in tests/server/api/request_checks_test.cc and its neighbours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

constexpr size_t kKeyBytesMax = 4096;
constexpr size_t kValueBytesMax = 1 << 20;
constexpr int64_t kTtlSecondsMax = 315'360'000;

// One server for all of them: a refused request leaves nothing behind.
class BadInputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    node_ = std::make_unique<SingleNode>();
    ASSERT_TRUE(node_->Start());
    ASSERT_TRUE(client().PutText("before", "1").ok());
  }
  static void TearDownTestSuite() { node_.reset(); }

  void SetUp() override { before_ = client().GetStatus().response; }
  void TearDown() override {
    const auto after = client().GetStatus();
    ASSERT_TRUE(after.ok()) << after;
    if (unchanged_) {
      EXPECT_EQ(after->header().revision(), before_.header().revision());
      EXPECT_EQ(after->key_count(), before_.key_count());
    }
  }

  static NodeClient& client() { return node_->client(); }

  struct Refusal {
    StatusCode code = StatusCode::INVALID_ARGUMENT;
    std::string reason = "";
    std::string field = "";
    // In the metadata and in the message, unless empty.
    std::string size = "";
    std::string limit = "";
  };

  static void ExpectRefusal(const CallError& error, const Refusal& expected) {
    EXPECT_EQ(error.status.error_code(), expected.code) << error;
    EXPECT_EQ(error.reason, expected.reason) << error;
    EXPECT_EQ(error.domain, "raftkv") << error;
    EXPECT_EQ(error.Meta("field"), expected.field) << error;
    EXPECT_THAT(error.status.error_message(), HasSubstr(expected.field));
    if (!expected.size.empty()) {
      EXPECT_EQ(error.Meta("size"), expected.size) << error;
      EXPECT_THAT(error.status.error_message(), HasSubstr(expected.size));
    }
    if (!expected.limit.empty()) {
      EXPECT_EQ(error.Meta("limit"), expected.limit) << error;
    }
  }

  // Sends one bad key through every field that takes a key.
  static void ExpectKeyRefused(const std::string& key, const Refusal& expected) {
    v1::GetRequest get;
    get.set_key(key);
    ExpectRefusal(client().Get(get), expected);
    v1::PutRequest put;
    put.set_key(key);
    put.set_text("x");
    ExpectRefusal(client().Put(put), expected);
    v1::DeleteRequest remove;
    remove.set_key(key);
    ExpectRefusal(client().Delete(remove), expected);
  }

  static void ExpectRangeRefused(const v1::KeyRange& range, const Refusal& expected) {
    v1::ListRequest list;
    *list.mutable_range() = range;
    ExpectRefusal(client().List(list), expected);
    v1::DeleteRangeRequest remove;
    *remove.mutable_range() = range;
    ExpectRefusal(client().DeleteRange(remove), expected);
  }

  static std::unique_ptr<SingleNode> node_;
  v1::GetStatusResponse before_;
  bool unchanged_ = true;
};

std::unique_ptr<SingleNode> BadInputTest::node_;

TEST_F(BadInputTest, EveryMethodAsksTheChecks) {
  ExpectKeyRefused(std::string(kKeyBytesMax + 1, 'k'),
                   {.reason = "BAD_KEY", .field = "key", .size = "4097", .limit = "4096"});
  ExpectRangeRefused(v1::KeyRange(), {.reason = "BAD_RANGE", .field = "range"});
  ExpectRefusal(client().Get(Proto<v1::GetRequest>(R"(key: "a" min_revision: -1)")),
                {.reason = "BAD_REVISION", .field = "min_revision"});
}

TEST_F(BadInputTest, AKeyThatIsNotUtf8IsMalformed) {
  // Field 1 (key) with the two bytes ff fe; Put also carries field 3 (text) "x".
  const std::string key = "\x0a\x02\xff\xfe";
  for (const auto& [method, request] :
       {std::pair("Get", key), std::pair("Put", key + "\x1a\x01x"), std::pair("Delete", key)}) {
    const auto reply = client().CallRaw(absl::StrCat("/raftkv.v1.KvService/", method), request);
    EXPECT_EQ(reply.status.error_code(), StatusCode::INVALID_ARGUMENT) << method << ": " << reply;
    EXPECT_EQ(reply.reason, "MALFORMED") << method << ": " << reply;
    EXPECT_EQ(reply.domain, "raftkv");
  }
  for (const char* method : {"List", "DeleteRange"}) {
    const std::string range = "\x0a\x04" + key;
    const auto reply = client().CallRaw(absl::StrCat("/raftkv.v1.KvService/", method), range);
    EXPECT_EQ(reply.status.error_code(), StatusCode::INVALID_ARGUMENT) << method << ": " << reply;
    EXPECT_EQ(reply.reason, "MALFORMED") << method << ": " << reply;
  }
}

TEST_F(BadInputTest, BytesThatAreNoMessageAreMalformed) {
  for (const char* method : {"Get", "Put", "Delete", "List", "DeleteRange"}) {
    for (const std::string& bytes :
         {std::string("\xff\xff\xff\xff"), std::string("\x0a\x7fshort"), std::string("\x0b", 1)}) {
      const auto reply = client().CallRaw(absl::StrCat("/raftkv.v1.KvService/", method), bytes);
      EXPECT_EQ(reply.status.error_code(), StatusCode::INVALID_ARGUMENT) << method << ": " << reply;
      EXPECT_EQ(reply.reason, "MALFORMED") << method << ": " << reply;
    }
  }
}

TEST_F(BadInputTest, AValueHasALimit) {
  ExpectRefusal(client().PutText("large", std::string(kValueBytesMax + 1, 'v')),
                {.reason = "VALUE_TOO_LARGE",
                 .field = "text",
                 .size = absl::StrCat(kValueBytesMax + 1),
                 .limit = absl::StrCat(kValueBytesMax)});
}

TEST_F(BadInputTest, AMessageBeyondWhatIsReceivedIsGrpcsOwnError) {
  const auto reply = client().PutText("large", std::string(5 << 20, 'v'));
  EXPECT_EQ(reply.status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << reply;
  EXPECT_EQ(reply.reason, "") << reply;
}

// Adds a field that no version of the message has had.
void AddUnknownField(google::protobuf::Message* message) {
  message->GetReflection()->MutableUnknownFields(message)->AddVarint(1000, 1);
}

class UnknownFieldTest : public BadInputTest {
 protected:
  static void ExpectUnknown(const CallError& error, const std::string& path) {
    EXPECT_EQ(error.status.error_code(), StatusCode::UNIMPLEMENTED) << error;
    EXPECT_EQ(error.reason, "UNKNOWN_FIELD") << error;
    EXPECT_EQ(error.domain, "raftkv") << error;
    EXPECT_THAT(error.Meta("field"), HasSubstr(path)) << error;
    EXPECT_THAT(error.status.error_message(), HasSubstr(error.Meta("field"))) << error;
  }
};

TEST_F(UnknownFieldTest, AtTheTopOfEveryRequest) {
  auto get = Proto<v1::GetRequest>(R"(key: "a")");
  AddUnknownField(&get);
  ExpectUnknown(client().Get(get), "1000");
  auto put = Proto<v1::PutRequest>(R"(key: "a" text: "x")");
  AddUnknownField(&put);
  ExpectUnknown(client().Put(put), "1000");
  auto remove = Proto<v1::DeleteRequest>(R"(key: "before")");
  AddUnknownField(&remove);
  ExpectUnknown(client().Delete(remove), "1000");
  auto list = Proto<v1::ListRequest>(R"(range { prefix: "" })");
  AddUnknownField(&list);
  ExpectUnknown(client().List(list), "1000");
  auto remove_range = Proto<v1::DeleteRangeRequest>(R"(range { prefix: "" })");
  AddUnknownField(&remove_range);
  ExpectUnknown(client().DeleteRange(remove_range), "1000");
  v1::ListMembersRequest members;
  AddUnknownField(&members);
  ExpectUnknown(client().ListMembers(members), "1000");
  const auto status = client().CallRaw("/raftkv.v1.ClusterService/GetStatus", "\xc0\x3e\x01");
  ExpectUnknown(status, "1000");
}

TEST_F(UnknownFieldTest, IsLookedForBeforeAnythingElse) {
  // A condition that only a newer version has looks like an empty one.
  auto put = Proto<v1::PutRequest>(R"(key: "a" text: "x" precondition { })");
  AddUnknownField(put.mutable_precondition());
  ExpectUnknown(client().Put(put), "precondition");
}

TEST_F(UnknownFieldTest, NumbersThatAreKeptForLaterVersions) {
  // What may come (7) of Get: dropping it silently would break a promise.
  ExpectUnknown(client().CallRaw("/raftkv.v1.KvService/Get",
                                 "\x0a\x01"
                                 "a"
                                 "\x38\x05"),
                "7");
}

TEST_F(BadInputTest, WhatIsJustWithinTheLimitsIsTaken) {
  unchanged_ = false;
  const std::string key(kKeyBytesMax, 'k');
  ASSERT_TRUE(client().PutText(key, "x").ok());
  EXPECT_TRUE(client().GetText(key)->has_kv());
  v1::ListRequest list;
  list.mutable_range()->set_prefix(key);
  EXPECT_EQ(client().List(list)->kvs_size(), 1);

  const std::string value(kValueBytesMax, 'v');
  ASSERT_TRUE(client().PutText("value", value).ok());
  EXPECT_EQ(client().GetText("value")->kv().text(), value);
  ASSERT_TRUE(client().PutText("empty", "").ok());
  EXPECT_TRUE(client().GetText("empty")->has_kv());

  const auto longest = client().Put(Proto<v1::PutRequest>(
      absl::StrCat(R"(key: "long" text: "x" ttl { seconds: )", kTtlSecondsMax, " }")));
  ASSERT_TRUE(longest.ok()) << longest;
  EXPECT_GE(client().GetText("long")->kv().ttl_remaining().seconds(), kTtlSecondsMax - 10);
  EXPECT_TRUE(
      client().Put(Proto<v1::PutRequest>(R"(key: "s" text: "x" ttl { nanos: 1000000 })")).ok());
  EXPECT_TRUE(client().Put(Proto<v1::PutRequest>(R"(key: "t" text: "x" ttl { nanos: 1 })")).ok())
      << "rounded up to a millisecond";
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
    return !client().GetText("s")->has_kv() && !client().GetText("t")->has_kv();
  }));
}

TEST(ValueLimitTest, TheFlagSetsIt) {
  SingleNode node({"--value_bytes_max=10"});
  ASSERT_TRUE(node.Start());
  EXPECT_TRUE(node.client().PutText("a", "0123456789").ok());
  const auto reply = node.client().PutText("a", "0123456789x");
  EXPECT_EQ(reply.reason, "VALUE_TOO_LARGE") << reply;
  EXPECT_EQ(reply.Meta("size"), "11");
  EXPECT_EQ(reply.Meta("limit"), "10");
  EXPECT_EQ(node.client().PutText("a", std::string(3 << 20, 'x')).reason, "VALUE_TOO_LARGE")
      << "4 MiB are received at least, so the answer can say what is wrong";
}

// All limits at once, on every way that a command goes: from the client, to the leader, to the
// followers, and its answer back.
TEST(ValueLimitTest, AGuardCanBeAsLargeAsTheValueThroughAnyMember) {
  TestCluster cluster({.flags = {"--value_bytes_max=3145728"}});
  ASSERT_TRUE(cluster.StartAll());
  const std::string key(kKeyBytesMax, 'k');
  std::string stored(3 << 20, 'a');
  ASSERT_TRUE(cluster.client(0).PutText(key, stored).ok());
  for (size_t node = 0; node < cluster.size(); ++node) {
    v1::PutRequest request;
    request.set_key(key);
    request.set_text(std::string(3 << 20, static_cast<char>('b' + node)));
    request.mutable_precondition()->set_data(stored);
    request.set_return_previous(true);
    request.set_as_text(true);
    const auto put = cluster.client(node).Put(request);
    ASSERT_TRUE(put.ok()) << put;
    EXPECT_EQ(put->previous().text(), stored);
    const auto again = cluster.client(node).Put(request);
    EXPECT_EQ(again.reason, "PRECONDITION_FAILED") << again;
    stored = request.text();
  }
  ASSERT_TRUE(cluster.WaitUntilEqual());
  v1::DeleteRequest request;
  request.set_key(key);
  request.mutable_precondition()->set_data(stored);
  request.set_return_previous(true);
  const auto deletion = cluster.client(0).Delete(request);
  ASSERT_TRUE(deletion.ok()) << deletion;
  EXPECT_EQ(deletion->previous().data(), stored);
}

}  // namespace
}  // namespace raftkv::integration
