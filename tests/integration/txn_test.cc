// Transactions, request ids and batches as clients of a real server see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

// The methods that NodeClient has not.
class TxnClient {
 public:
  explicit TxnClient(const std::string& address)
      : stub_(v1::KvService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  Reply<v1::TxnResponse> Txn(const std::string& request) const {
    return Call<v1::TxnResponse>(&v1::KvService::Stub::Txn, Proto<v1::TxnRequest>(request));
  }
  Reply<v1::TouchResponse> Touch(const std::string& request) const {
    return Call<v1::TouchResponse>(&v1::KvService::Stub::Touch, Proto<v1::TouchRequest>(request));
  }
  Reply<v1::IncrementResponse> Increment(const std::string& request) const {
    return Call<v1::IncrementResponse>(&v1::KvService::Stub::Increment,
                                       Proto<v1::IncrementRequest>(request));
  }
  Reply<v1::BatchResponse> Batch(const v1::BatchRequest& request) const {
    return Call<v1::BatchResponse>(&v1::KvService::Stub::Batch, request);
  }
  // Until the member takes what older ones do not know: a new cluster has to hear first that there
  // are none.
  bool AwaitCommandVersion() const {
    return WaitUntil(Millis(10000), [&] { return Touch("key: 'none' persist: true").ok(); });
  }

 private:
  template <typename Response, typename Request>
  Reply<Response> Call(grpc::Status (v1::KvService::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                       const Request& request) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    context.set_wait_for_ready(true);
    Reply<Response> reply;
    const grpc::Status status = ((*stub_).*method)(&context, request, &reply.response);
    static_cast<CallError&>(reply) = MakeCallError(status, context);
    return reply;
  }

  std::unique_ptr<v1::KvService::Stub> stub_;
};

class TxnTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.Start());
    client_ = std::make_unique<TxnClient>(node_.server().client_address());
    ASSERT_TRUE(client_->AwaitCommandVersion());
  }

  SingleNode node_;
  std::unique_ptr<TxnClient> client_;
};

TEST_F(TxnTest, CompareAndSwapWithReadsOnEitherSide) {
  const std::string swap = R"(
      guards { range { key: 'a' } version: 0 }
      then_ops { put { key: 'a' text: '1' } }
      then_ops { increment { key: 'n' delta: 5 } }
      then_ops { get { key: 'n' as_text: true } }
      else_ops { get { key: 'a' as_text: true } }
      else_ops { list { range { prefix: '' } page_size: 1 keys_only: true } }
      else_ops { txn {
        guards { range { key: 'n' } text: '5' }
        then_ops { delete_key { key: 'n' return_previous: true as_text: true } } } })";
  auto reply = client_->Txn(swap);
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_TRUE(reply->succeeded());
  ASSERT_EQ(reply->results_size(), 3);
  const int64_t revision = reply->header().revision();
  EXPECT_EQ(reply->results(0).put().mod_revision(), revision);
  EXPECT_FALSE(reply->results(0).put().has_header());
  EXPECT_EQ(reply->results(1).increment().value(), 5);
  EXPECT_EQ(reply->results(2).get().kv().text(), "5");
  EXPECT_EQ(reply->results(2).get().kv().mod_revision(), revision);

  reply = client_->Txn(swap);
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_FALSE(reply->succeeded());
  ASSERT_EQ(reply->results_size(), 3);
  EXPECT_EQ(reply->results(0).get().kv().text(), "1");
  EXPECT_EQ(reply->results(1).list().kvs(0).key(), "a");
  EXPECT_TRUE(reply->results(2).txn().succeeded());
  EXPECT_EQ(reply->results(2).txn().results(0).delete_key().previous().text(), "5");
  EXPECT_EQ(reply->header().revision(), revision + 1);
  // A page token of a list within a transaction is that of the list.
  v1::ListRequest next =
      Proto<v1::ListRequest>("range { prefix: '' } page_size: 9 keys_only: true");
  next.set_page_token(reply->results(1).list().next_page_token());
  EXPECT_TRUE(node_.client().List(next).ok());
}

TEST_F(TxnTest, OneThatOnlyReadsCostsNoEntry) {
  ASSERT_TRUE(node_.client().PutText("a", "1").ok());
  const uint64_t last = node_.client().GetStatus()->last_index();
  const auto reply = client_->Txn(R"(
      guards { range { prefix: '' } comparison: COMPARISON_GREATER version: 0 }
      then_ops { get { key: 'a' as_text: true } } then_ops { list { range { prefix: '' } } }
      else_ops { get { key: 'none' } })");
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_TRUE(reply->succeeded());
  EXPECT_EQ(reply->results(0).get().kv().text(), "1");
  EXPECT_EQ(reply->results(1).list().count(), 1);
  EXPECT_GE(reply->header().revision(), 1);
  EXPECT_EQ(node_.client().GetStatus()->last_index(), last);
  const auto stale = client_->Txn("then_ops { get { key: 'a' } } consistency: CONSISTENCY_STALE");
  EXPECT_TRUE(stale.ok()) << stale;
}

TEST_F(TxnTest, RefusalsNameWhatIsWrongAndChangeNothing) {
  ASSERT_TRUE(node_.client().PutText("text", "seven").ok());
  auto reply = client_->Txn(R"(then_ops { put { key: 'a' text: '1' } }
                               then_ops { increment { key: 'text' } })");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(reply.reason, "NOT_AN_INTEGER");
  EXPECT_EQ(reply.Meta("field"), "then_ops[1]");
  EXPECT_THAT(reply.status.error_message(), HasSubstr("\"text\""));
  reply = client_->Txn("");
  EXPECT_EQ(reply.reason, "BAD_TXN") << reply;
  EXPECT_EQ(client_->Increment("key: 'text'").reason, "NOT_AN_INTEGER");
  ASSERT_TRUE(client_->Increment("key: 'n' initial: 9223372036854775806").ok());
  EXPECT_EQ(client_->Increment("key: 'n'").reason, "INTEGER_OVERFLOW");
  EXPECT_EQ(client_->Touch("key: 'n'").reason, "BAD_TTL");
  EXPECT_EQ(client_->Touch("key: 'n' persist: true precondition { version: 7 }").reason,
            "PRECONDITION_FAILED");
  EXPECT_FALSE(node_.client().Get(Proto<v1::GetRequest>("key: 'a'"))->has_kv());
}

TEST_F(TxnTest, ATouchedKeyExpiresByItsNewTime) {
  ASSERT_TRUE(node_.client().PutText("a", "1").ok());
  const auto touched = client_->Touch("key: 'a' ttl { seconds: 100 }");
  ASSERT_TRUE(touched.ok()) << touched;
  EXPECT_TRUE(touched->touched());
  auto got = node_.client().Get(Proto<v1::GetRequest>("key: 'a'"));
  EXPECT_GT(got->kv().ttl_remaining().seconds(), 90);
  EXPECT_EQ(got->kv().version(), 1);
  ASSERT_TRUE(client_->Touch("key: 'a' ttl { nanos: 100000000 }").ok());
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
    return !node_.client().Get(Proto<v1::GetRequest>("key: 'a'"))->has_kv();
  }));
}

v1::BatchOp Op(const std::string& text) { return Proto<v1::BatchOp>(text); }

TEST_F(TxnTest, EachOperationOfABatchSucceedsOrFailsAloneAndThoseOfAKeyInOrder) {
  v1::BatchRequest batch;
  for (int i = 0; i < 100; ++i) {
    *batch.add_ops() = Op(absl::StrCat("put { key: 'k' text: '", i, "' }"));
    *batch.add_ops() = Op("get { key: 'k' as_text: true }");
    *batch.add_ops() = Op("increment { key: 'n' }");
  }
  *batch.add_ops() = Op("increment { key: 'k2' precondition { exists: true } }");
  *batch.add_ops() = Op("put { key: '' text: 'v' }");
  *batch.add_ops() = Op("txn { then_ops { list { range { prefix: 'k' } } } }");
  *batch.add_ops() = Op("delete_key { key: 'k' }");
  *batch.add_ops() = Op("touch { key: 'k' persist: true }");
  const auto reply = client_->Batch(batch);
  ASSERT_TRUE(reply.ok()) << reply;
  ASSERT_EQ(reply->results_size(), batch.ops_size());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(reply->results(3 * i + 1).get().kv().text(), absl::StrCat(i));
    EXPECT_EQ(reply->results(3 * i + 2).increment().value(), i + 1);
  }
  EXPECT_EQ(reply->results(300).error().code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(reply->results(301).error().code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(reply->results(302).txn().results(0).list().count(), 1);
  EXPECT_TRUE(reply->results(303).delete_key().deleted());
  EXPECT_FALSE(reply->results(304).touch().touched());
  EXPECT_GE(reply->header().revision(), 200);
}

TEST_F(TxnTest, ABatchThatIsTooLargeIsRefusedWhole) {
  EXPECT_EQ(client_->Batch({}).reason, "BAD_BATCH");
  v1::BatchRequest batch;
  for (int i = 0; i <= 10'000; ++i) {
    *batch.add_ops() = Op(absl::StrCat("put { key: 'k", i, "' text: 'v' }"));
  }
  EXPECT_EQ(client_->Batch(batch).reason, "BAD_BATCH");
  batch.mutable_ops()->RemoveLast();
  batch.mutable_ops(9'999)->clear_op();
  EXPECT_EQ(client_->Batch(batch).Meta("field"), "ops[9999]");
  EXPECT_FALSE(node_.client().Get(Proto<v1::GetRequest>("key: 'k0'"))->has_kv());
  *batch.mutable_ops(9'999) = Op("get { key: 'k0' as_text: true }");
  const auto reply = client_->Batch(batch);
  ASSERT_TRUE(reply.ok()) << reply;
  for (int i = 0; i < 9'999; ++i) {
    ASSERT_TRUE(reply->results(i).has_put()) << i << ": " << reply->results(i).ShortDebugString();
  }
  EXPECT_EQ(reply->results(9'999).get().kv().text(), "v");
}

TEST_F(TxnTest, WhatFindsNoRoomInABatchsAnswerIsToldAlone) {
  v1::PutRequest large;
  large.set_key("large");
  large.set_data(std::string(1 << 20, 'v'));
  ASSERT_TRUE(node_.client().Put(large).ok());
  v1::BatchRequest batch;
  for (int i = 0; i < 5; ++i) {
    *batch.add_ops() = Op("get { key: 'large' }");
  }
  *batch.add_ops() = Op("put { key: 'large' text: '' return_previous: true }");
  *batch.add_ops() = Op("put { key: 'small' text: '' }");
  const auto reply = client_->Batch(batch);
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_EQ(reply->results(0).get().kv().data().size(), size_t{1} << 20);
  EXPECT_EQ(reply->results(4).error().code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(reply->results(5).error().code(), grpc::StatusCode::UNKNOWN) << "it was done";
  EXPECT_TRUE(reply->results(6).has_put());
}

TEST(RequestIdTest, ARepetitionIsAnsweredByWhoeverIsAsked) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  for (size_t node = 0; node < cluster.size(); ++node) {
    ASSERT_TRUE(TxnClient(cluster.client_address(node)).AwaitCommandVersion());
  }
  const auto put = Proto<v1::PutRequest>("key: 'a' text: '1' request_id: 'put-1'");
  const auto first = cluster.client(0).Put(put);
  ASSERT_TRUE(first.ok()) << first;
  EXPECT_FALSE(first->replayed());
  const std::string add = "key: 'n' request_id: 'add-1'";
  ASSERT_TRUE(TxnClient(cluster.client_address(1)).Increment(add).ok());
  ASSERT_TRUE(cluster.client(0).PutText("a", "2").ok());

  cluster.KillAll();
  ASSERT_TRUE(cluster.StartAll());
  for (size_t node = 0; node < cluster.size(); ++node) {
    const auto again = cluster.client(node).Put(put);
    ASSERT_TRUE(again.ok()) << again;
    EXPECT_TRUE(again->replayed());
    EXPECT_EQ(again->mod_revision(), first->mod_revision());
    const auto sum = TxnClient(cluster.client_address(node)).Increment(add);
    ASSERT_TRUE(sum.ok()) << sum;
    EXPECT_EQ(sum->value(), 1);
  }
  EXPECT_EQ(cluster.client(0).Get(Proto<v1::GetRequest>("key: 'a' as_text: true"))->kv().text(),
            "2");
  const auto reused =
      cluster.client(0).Put(Proto<v1::PutRequest>("key: 'b' text: '1' request_id: 'put-1'"));
  EXPECT_EQ(reused.reason, "REQUEST_ID_REUSED") << reused;
  v1::PutRequest bad = put;
  bad.set_request_id(std::string(65, 'x'));
  EXPECT_EQ(cluster.client(0).Put(bad).reason, "BAD_REQUEST_ID");
}

}  // namespace
}  // namespace raftkv::integration
