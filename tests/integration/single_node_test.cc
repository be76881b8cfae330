// What the KV API promises, on a server with no flags but ports and a directory.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/support/single_node.h"

namespace raftkv::integration {
namespace {

using google::protobuf::util::TimeUtil;
using testing::Gt;
using testing::HasSubstr;

class SingleNodeTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(node_.Start()); }

  NodeClient& client() { return node_.client(); }

  // Writes, and returns the revision of the write.
  int64_t MustPut(const std::string& text_format) {
    const auto reply = client().Put(Proto<v1::PutRequest>(text_format));
    EXPECT_TRUE(reply.ok()) << text_format << ": " << reply;
    return reply->mod_revision();
  }

  v1::KeyValue MustGet(const std::string& key) {
    const auto reply = client().GetText(key);
    EXPECT_TRUE(reply.ok()) << key << ": " << reply;
    EXPECT_TRUE(reply->has_kv()) << key;
    return reply->kv();
  }

  int64_t Revision() {
    const auto status = client().GetStatus();
    EXPECT_TRUE(status.ok()) << status;
    return status->header().revision();
  }

  SingleNode node_;
};

TEST_F(SingleNodeTest, APutIsReadBackWithItsRevisions) {
  const auto put = client().Put(Proto<v1::PutRequest>(R"(key: "a" data: "one")"));
  ASSERT_TRUE(put.ok()) << put;
  EXPECT_EQ(put->mod_revision(), 1) << "a fresh store is at revision 0";
  EXPECT_EQ(put->header().revision(), 1);
  EXPECT_FALSE(put->has_previous());

  const auto get = client().Get(Proto<v1::GetRequest>(R"(key: "a")"));
  ASSERT_TRUE(get.ok()) << get;
  EXPECT_EQ(get->kv().key(), "a");
  EXPECT_EQ(get->kv().value_case(), v1::KeyValue::kData);
  EXPECT_EQ(get->kv().data(), "one");
  EXPECT_EQ(get->kv().create_revision(), 1);
  EXPECT_EQ(get->kv().mod_revision(), 1);
  EXPECT_EQ(get->kv().version(), 1);
  EXPECT_FALSE(get->kv().has_ttl_remaining());
  EXPECT_EQ(get->header().revision(), 1);
}

TEST_F(SingleNodeTest, EveryAnswerSaysWhoGaveIt) {
  const auto put = client().PutText("a", "1");
  ASSERT_TRUE(put.ok()) << put;
  EXPECT_NE(put->header().cluster_id(), 0U);
  EXPECT_EQ(put->header().member_id(), 1U);
  EXPECT_EQ(put->header().leader_id(), 1U);
  EXPECT_GE(put->header().raft_term(), 1U);
  const auto get = client().GetText("nothing");
  ASSERT_TRUE(get.ok()) << get;
  EXPECT_EQ(get->header().cluster_id(), put->header().cluster_id());
  EXPECT_EQ(get->header().member_id(), 1U);
  EXPECT_EQ(get->header().raft_term(), put->header().raft_term());
}

TEST_F(SingleNodeTest, AMissingKeyIsANormalAnswer) {
  MustPut(R"(key: "a" text: "1")");
  const auto get = client().GetText("b");
  ASSERT_TRUE(get.ok()) << get;
  EXPECT_FALSE(get->has_kv());
  EXPECT_EQ(get->header().revision(), 1);

  const auto removed = client().Delete(Proto<v1::DeleteRequest>(R"(key: "b")"));
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_FALSE(removed->deleted());
  EXPECT_EQ(removed->header().revision(), 1) << "nothing changed, so the revision stays";
}

TEST_F(SingleNodeTest, RevisionsAndVersionsFollowAKeysLife) {
  MustPut(R"(key: "a" text: "1")");
  MustPut(R"(key: "other" text: "x")");
  EXPECT_EQ(MustPut(R"(key: "a" text: "1")"), 3) << "the same value is a write, too";
  v1::KeyValue kv = MustGet("a");
  EXPECT_EQ(kv.create_revision(), 1);
  EXPECT_EQ(kv.mod_revision(), 3);
  EXPECT_EQ(kv.version(), 2);

  const auto removed = client().Delete(Proto<v1::DeleteRequest>(R"(key: "a")"));
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_TRUE(removed->deleted());
  EXPECT_EQ(removed->header().revision(), 4);
  EXPECT_FALSE(client().GetText("a")->has_kv());

  MustPut(R"(key: "a" text: "back")");
  kv = MustGet("a");
  EXPECT_EQ(kv.create_revision(), 5);
  EXPECT_EQ(kv.mod_revision(), 5);
  EXPECT_EQ(kv.version(), 1);
}

TEST_F(SingleNodeTest, AsTextGivesTextForUtf8AndDataForTheRest) {
  MustPut(R"(key: "utf8" data: "gr\303\274n")");
  MustPut(R"(key: "bytes" data: "\377\000\376")");
  MustPut(R"(key: "empty" data: "")");
  EXPECT_EQ(MustGet("utf8").text(), "gr\303\274n");
  const v1::KeyValue bytes = MustGet("bytes");
  EXPECT_EQ(bytes.value_case(), v1::KeyValue::kData);
  EXPECT_EQ(bytes.data(), std::string("\377\000\376", 3));
  EXPECT_EQ(MustGet("empty").value_case(), v1::KeyValue::kText);
  EXPECT_EQ(MustGet("empty").text(), "");

  const auto get = client().Get(Proto<v1::GetRequest>(R"(key: "empty")"));
  EXPECT_EQ(get->kv().value_case(), v1::KeyValue::kData) << "set, though empty";
}

TEST_F(SingleNodeTest, ReturnPreviousShowsWhatWasReplaced) {
  MustPut(R"(key: "a" text: "one")");
  auto put = client().Put(
      Proto<v1::PutRequest>(R"(key: "a" text: "two" return_previous: true as_text: true)"));
  ASSERT_TRUE(put.ok()) << put;
  EXPECT_EQ(put->previous().key(), "a");
  EXPECT_EQ(put->previous().text(), "one");
  EXPECT_EQ(put->previous().mod_revision(), 1);
  EXPECT_EQ(put->previous().version(), 1);

  put = client().Put(Proto<v1::PutRequest>(R"(key: "a" text: "three" return_previous: true)"));
  EXPECT_EQ(put->previous().data(), "two");
  put = client().Put(Proto<v1::PutRequest>(R"(key: "new" text: "x" return_previous: true)"));
  EXPECT_FALSE(put->has_previous()) << "there was nothing";

  auto removed =
      client().Delete(Proto<v1::DeleteRequest>(R"(key: "a" return_previous: true as_text: true)"));
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_EQ(removed->previous().text(), "three");
  EXPECT_EQ(removed->previous().version(), 3);
  removed = client().Delete(Proto<v1::DeleteRequest>(R"(key: "a" return_previous: true)"));
  EXPECT_FALSE(removed->has_previous());
}

TEST_F(SingleNodeTest, AWriteWithATrueConditionHappens) {
  MustPut(R"(key: "a" text: "1" precondition { exists: false })");
  MustPut(R"(key: "a" text: "2" precondition { exists: true })");
  MustPut(R"(key: "a" text: "3" precondition { mod_revision: 2 })");
  MustPut(R"(key: "a" text: "4" precondition { version: 3 })");
  MustPut(R"(key: "a" text: "5" precondition { text: "4" })");
  MustPut(R"(key: "a" text: "" precondition { data: "5" })");
  MustPut(R"(key: "a" text: "7" precondition { data: "" })");
  MustPut(R"(key: "b" text: "1" precondition { mod_revision: 0 })");
  MustPut(R"(key: "c" text: "1" precondition { version: 0 })");
  EXPECT_EQ(MustGet("a").version(), 7);
  const auto removed =
      client().Delete(Proto<v1::DeleteRequest>(R"(key: "a" precondition { text: "7" })"));
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_TRUE(removed->deleted());
}

TEST_F(SingleNodeTest, AWriteWithAFalseConditionChangesNothing) {
  MustPut(R"(key: "a" text: "1")");
  MustPut(R"(key: "a" text: "2")");
  for (const char* condition : {"exists: false", "mod_revision: 1", "mod_revision: 0", "version: 1",
                                "version: 0", R"(data: "1")", R"(text: "")"}) {
    const std::string fields = std::string(R"(key: "a" precondition { )") + condition + " }";
    const auto put = client().Put(Proto<v1::PutRequest>(fields + R"( text: "3")"));
    EXPECT_EQ(put.status.error_code(), grpc::StatusCode::ABORTED) << condition;
    EXPECT_EQ(put.reason, "PRECONDITION_FAILED") << condition;
    EXPECT_EQ(put.domain, "raftkv") << condition;
    EXPECT_EQ(put.Meta("mod_revision"), "2") << condition;
    const auto removed = client().Delete(Proto<v1::DeleteRequest>(fields));
    EXPECT_EQ(removed.reason, "PRECONDITION_FAILED") << condition << ": " << removed;
  }
  for (const char* condition : {"exists: true", "mod_revision: 1", "version: 1", R"(data: "")"}) {
    const auto put = client().Put(Proto<v1::PutRequest>(
        std::string(R"(key: "absent" text: "3" precondition { )") + condition + " }"));
    EXPECT_EQ(put.reason, "PRECONDITION_FAILED") << condition << ": " << put;
    EXPECT_EQ(put.Meta("mod_revision"), "0") << condition;
  }
  EXPECT_EQ(Revision(), 2);
  EXPECT_EQ(MustGet("a").text(), "2");
}

TEST_F(SingleNodeTest, ATtlIsShownKeptClearedAndObeyed) {
  MustPut(R"(key: "a" text: "1" ttl { seconds: 100 })");
  v1::KeyValue kv = MustGet("a");
  ASSERT_TRUE(kv.has_ttl_remaining());
  EXPECT_LE(TimeUtil::DurationToMilliseconds(kv.ttl_remaining()), 100'001);
  EXPECT_GT(TimeUtil::DurationToMilliseconds(kv.ttl_remaining()), 90'000);
  MustPut(R"(key: "a" text: "2" keep_ttl: true)");
  EXPECT_TRUE(MustGet("a").has_ttl_remaining());
  MustPut(R"(key: "a" text: "3")");
  EXPECT_FALSE(MustGet("a").has_ttl_remaining()) << "a Put without expiry takes it away";
  MustPut(R"(key: "a" text: "4" keep_ttl: true)");
  EXPECT_FALSE(MustGet("a").has_ttl_remaining()) << "there is nothing to keep";

  const int64_t revision = MustPut(R"(key: "short" text: "1" ttl { nanos: 300000000 })");
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] { return !client().GetText("short")->has_kv(); }));
  EXPECT_EQ(Revision(), revision + 1) << "an expiry is a change of the store";
}

TEST_F(SingleNodeTest, DeleteRangeRemovesAtOneRevision) {
  for (const char* key : {"a", "b/1", "b/2", "b/3", "c"}) {
    ASSERT_TRUE(client().PutText(key, std::string("value of ") + key).ok());
  }
  auto reply = client().DeleteRange(Proto<v1::DeleteRangeRequest>(
      R"(range { prefix: "b/" } limit: 2 return_previous: true as_text: true)"));
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_EQ(reply->deleted(), 2);
  EXPECT_TRUE(reply->more());
  EXPECT_EQ(reply->header().revision(), 6);
  ASSERT_EQ(reply->previous_size(), 2);
  EXPECT_EQ(reply->previous(0).key(), "b/1");
  EXPECT_EQ(reply->previous(0).text(), "value of b/1");
  EXPECT_EQ(reply->previous(1).key(), "b/2");

  reply =
      client().DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { span { start_key: "b" } })"));
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_EQ(reply->deleted(), 2) << "b/3 and c";
  EXPECT_FALSE(reply->more());
  EXPECT_EQ(reply->previous_size(), 0);
  EXPECT_EQ(reply->header().revision(), 7);

  reply = client().DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { key: "b/3" })"));
  EXPECT_EQ(reply->deleted(), 0);
  EXPECT_EQ(reply->header().revision(), 7) << "nothing changed, so the revision stays";
  EXPECT_EQ(client().GetStatus()->key_count(), 1);
  reply = client().DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { prefix: "" })"));
  EXPECT_EQ(reply->deleted(), 1);
}

TEST_F(SingleNodeTest, AReadWaitsForMinRevision) {
  MustPut(R"(key: "a" text: "1")");
  auto get = client().Get(Proto<v1::GetRequest>(R"(key: "a" min_revision: 1)"));
  EXPECT_TRUE(get.ok()) << get;

  std::thread writer([&] { EXPECT_TRUE(client().PutText("a", "2").ok()); });
  get = client().Get(Proto<v1::GetRequest>(
      R"(key: "a" min_revision: 2 consistency: CONSISTENCY_STALE as_text: true)"));
  writer.join();
  ASSERT_TRUE(get.ok()) << get;
  EXPECT_EQ(get->kv().text(), "2");
  EXPECT_GE(get->header().revision(), 2);
}

TEST_F(SingleNodeTest, StatusFiguresAreTrue) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client().PutText("key" + std::to_string(i), std::string(1000, 'x')).ok());
  }
  ASSERT_TRUE(client().PutText("key0", "again").ok());
  ASSERT_TRUE(client().Delete(Proto<v1::DeleteRequest>(R"(key: "key1")")).ok());
  // The member publishes its address through the log in its own time.
  Reply<v1::GetStatusResponse> status;
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    status = client().GetStatus();
    // The directory is looked at once a second.
    return status.ok() && status->last_index() == status->applied_index() &&
           status->disk_bytes() > 20'000;
  })) << status;
  EXPECT_EQ(status->header().revision(), 22);
  EXPECT_EQ(status->key_count(), 19);
  EXPECT_EQ(status->commit_index(), status->applied_index());
  EXPECT_THAT(status->last_index(), Gt(0U));
  EXPECT_EQ(status->name(), "default");
  EXPECT_EQ(status->role(), v1::MEMBER_ROLE_VOTER);
  EXPECT_EQ(status->raft_state(), v1::RAFT_STATE_LEADER);
  EXPECT_FALSE(status->version().empty());
  EXPECT_EQ(status->warnings_size(), 0);

  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(node_.data_dir())) {
    bytes += entry.is_regular_file() ? static_cast<int64_t>(entry.file_size()) : 0;
  }
  EXPECT_NEAR(static_cast<double>(status->disk_bytes()), static_cast<double>(bytes),
              0.2 * static_cast<double>(bytes) + 100'000);
  const auto later = client().GetStatus();
  EXPECT_GT(TimeUtil::DurationToNanoseconds(later->uptime()),
            TimeUtil::DurationToNanoseconds(status->uptime()));
}

TEST_F(SingleNodeTest, ARestartKeepsEverything) {
  MustPut(R"(key: "a" text: "1")");
  MustPut(R"(key: "a" text: "2")");
  MustPut(R"(key: "ttl" text: "x" ttl { seconds: 1000 })");
  const auto before = client().GetStatus();
  for (const bool kill : {true, false, true}) {
    if (kill) {
      node_.server().Kill9();
    } else {
      EXPECT_EQ(node_.server().Stop(), (ExitStatus{.code = 0}));
    }
    ASSERT_TRUE(node_.Start());
    const v1::KeyValue kv = MustGet("a");
    EXPECT_EQ(kv.text(), "2");
    EXPECT_EQ(kv.create_revision(), 1);
    EXPECT_EQ(kv.mod_revision(), 2);
    EXPECT_EQ(kv.version(), 2);
    EXPECT_TRUE(MustGet("ttl").has_ttl_remaining());
    const auto after = client().GetStatus();
    EXPECT_EQ(after->header().revision(), 3);
    EXPECT_EQ(after->header().cluster_id(), before->header().cluster_id());
    EXPECT_EQ(after->header().member_id(), before->header().member_id());
    EXPECT_GT(after->header().raft_term(), before->header().raft_term());
    EXPECT_EQ(after->key_count(), 2);
  }
  EXPECT_EQ(MustPut(R"(key: "b" text: "1")"), 4);
}

TEST_F(SingleNodeTest, EachHealthServiceIsServing) {
  EXPECT_TRUE(client().Healthy(""));
  EXPECT_TRUE(client().Healthy("raftkv.leader"));
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
    return client().Healthy("raftkv.v1.KvService") && client().Healthy("raftkv.v1.ClusterService");
  }));
  EXPECT_FALSE(client().Healthy("no.such.Service"));
}

TEST(RequestTimeoutTest, ACallWithoutADeadlineGetsTheServersOwn) {
  SingleNode node({"--request_timeout_ms=300"});
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("a", "1").ok());
  const auto request =
      Proto<v1::GetRequest>(R"(key: "a" min_revision: 1000 consistency: CONSISTENCY_STALE)");
  grpc::ClientContext context;
  v1::GetResponse response;
  const Clock::time_point start = Clock::now();
  const CallError error =
      MakeCallError(node.client().kv()->Get(&context, request, &response), context);
  EXPECT_EQ(error.status.error_code(), grpc::StatusCode::UNAVAILABLE) << error;
  EXPECT_EQ(error.reason, "TOO_STALE") << error;
  EXPECT_THAT(error.status.error_message(), HasSubstr("1000"));
  EXPECT_GE(Since(start), Millis(250));
  EXPECT_LE(Since(start), Millis(3000));
}

}  // namespace
}  // namespace raftkv::integration
