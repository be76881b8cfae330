// KvService.Stream as clients of a real server see it, and the bulk writer on it.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "google/rpc/error_details.pb.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

using StreamRpc = grpc::ClientReaderWriter<v1::StreamRequest, v1::StreamResponse>;

v1::StreamRequest Op(uint64_t id, const std::string& op) {
  v1::StreamRequest request;
  request.set_id(id);
  *request.mutable_op() = Proto<v1::BatchOp>(op);
  return request;
}

v1::StreamRequest Put(uint64_t id, const std::string& key, const std::string& value) {
  v1::StreamRequest request;
  request.set_id(id);
  request.mutable_op()->mutable_put()->set_key(key);
  request.mutable_op()->mutable_put()->set_data(value);
  return request;
}

v1::StreamRequest Get(uint64_t id, const std::string& key) {
  v1::StreamRequest request;
  request.set_id(id);
  request.mutable_op()->mutable_get()->set_key(key);
  return request;
}

std::string ReasonOf(const google::rpc::Status& status) {
  google::rpc::ErrorInfo info;
  for (const auto& detail : status.details()) {
    if (detail.UnpackTo(&info)) {
      return info.reason();
    }
  }
  return "";
}

// One stream, and what came of it.
class StreamClient {
 public:
  explicit StreamClient(const std::string& address)
      : stub_(v1::KvService::NewStub(MakeChannel(address))) {
    SetTimeout(&context_, Millis(60000));
    context_.set_wait_for_ready(true);
    stream_ = stub_->Stream(&context_);
  }

  StreamRpc& rpc() { return *stream_; }
  grpc::ClientContext& context() { return context_; }

  bool Send(const v1::StreamRequest& request) { return stream_->Write(request); }
  // The next answer, whose id is then known to be answered once.
  bool Read() {
    v1::StreamResponse response;
    if (!stream_->Read(&response)) {
      return false;
    }
    const uint64_t id = response.id();
    EXPECT_TRUE(answers.emplace(id, std::move(response)).second) << id << " is answered twice";
    order.push_back(id);
    return true;
  }
  // Sends no more, and reads all that is left.
  CallError End() {
    stream_->WritesDone();
    return ReadToEnd();
  }
  CallError ReadToEnd() {
    while (Read()) {
    }
    const grpc::Status status = stream_->Finish();
    return MakeCallError(status, context_);
  }

  std::map<uint64_t, v1::StreamResponse> answers;
  std::vector<uint64_t> order;

 private:
  std::unique_ptr<v1::KvService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<StreamRpc> stream_;
};

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  uint64_t size = 0;
  uint64_t resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

class StreamTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.Start());
    // A new cluster has to hear first that there are no older members, which know no request ids.
    ASSERT_TRUE(WaitUntil(Millis(10000), [&] {
      v1::PutRequest put = Proto<v1::PutRequest>("key: 'none' text: '' request_id: 'first'");
      return node_.client().Put(put).ok();
    }));
    address_ = node_.server().client_address();
  }

  SingleNode node_;
  std::string address_;
};

TEST_F(StreamTest, TenThousandInFlightAreEachAnsweredOnceAndThoseOfAKeyInOrder) {
  constexpr uint64_t kKeys = 2500;
  StreamClient client(address_);
  std::thread sender([&client] {
    for (uint64_t i = 0; i < kKeys; ++i) {
      const std::string key = absl::StrCat("k", i);
      client.Send(Put(4 * i, key, "first"));
      client.Send(Get(4 * i + 1, key));
      client.Send(Put(4 * i + 2, key, "second"));
      client.Send(Get(4 * i + 3, key));
    }
    client.rpc().WritesDone();
  });
  const CallError ended = client.ReadToEnd();
  sender.join();
  EXPECT_TRUE(ended.ok()) << ended;
  ASSERT_EQ(client.answers.size(), 4 * kKeys);
  for (uint64_t i = 0; i < kKeys; ++i) {
    const v1::StreamResponse& put = client.answers[4 * i];
    ASSERT_TRUE(put.result().has_put()) << put.ShortDebugString();
    EXPECT_EQ(put.header().revision(), put.result().put().mod_revision());
    EXPECT_NE(put.header().cluster_id(), 0u);
    EXPECT_FALSE(put.result().put().has_header());
    EXPECT_EQ(client.answers[4 * i + 1].result().get().kv().data(), "first");
    EXPECT_EQ(client.answers[4 * i + 3].result().get().kv().data(), "second");
  }
}

TEST_F(StreamTest, EveryKindOfOperationAndEachFailsAlone) {
  StreamClient client(address_);
  client.Send(Op(0, "put { key: 'a' text: '1' request_id: 'p' }"));
  client.Send(Op(1, "increment { key: 'a' delta: 4 }"));
  client.Send(Op(2, "touch { key: 'a' persist: true }"));
  client.Send(Op(3, "txn { then_ops { list { range { prefix: 'a' } as_text: true } } }"));
  client.Send(Op(4, "put { key: 'a' text: '1' request_id: 'p' }"));
  client.Send(Op(5, "put { key: 'a' text: 'x' precondition { version: 77 } }"));
  client.Send(Op(6, "delete_key { key: 'a' return_previous: true as_text: true }"));
  client.Send(Op(7, "get { key: '' }"));
  v1::StreamRequest unset;
  unset.set_id(8);
  client.Send(unset);
  v1::StreamRequest newer = Get(9, "a");
  v1::StreamRequest::GetReflection()->MutableUnknownFields(&newer)->AddVarint(99, 1);
  client.Send(newer);
  // Protobuf sends what is no UTF-8, and does not parse it.
  client.Send(Put(10, "\xff", "v"));
  const CallError ended = client.End();
  EXPECT_TRUE(ended.ok()) << ended;
  ASSERT_EQ(client.answers.size(), 11u);
  EXPECT_FALSE(client.answers[0].result().put().replayed());
  EXPECT_EQ(client.answers[1].result().increment().value(), 5);
  EXPECT_TRUE(client.answers[2].result().touch().touched());
  EXPECT_EQ(client.answers[3].result().txn().results(0).list().kvs(0).text(), "5");
  EXPECT_TRUE(client.answers[4].result().put().replayed());
  EXPECT_EQ(ReasonOf(client.answers[5].result().error()), "PRECONDITION_FAILED");
  EXPECT_FALSE(client.answers[5].has_header());
  EXPECT_EQ(client.answers[6].result().delete_key().previous().text(), "5");
  EXPECT_EQ(ReasonOf(client.answers[7].result().error()), "BAD_KEY");
  EXPECT_EQ(ReasonOf(client.answers[8].result().error()), "BAD_BATCH");
  EXPECT_EQ(ReasonOf(client.answers[9].result().error()), "UNKNOWN_FIELD");
  EXPECT_EQ(ReasonOf(client.answers[10].result().error()), "MALFORMED");
}

TEST_F(StreamTest, AnIdThatIsReusedInFlightEndsTheStreamOnceAllBeforeIsAnswered) {
  constexpr uint64_t kBefore = 200;
  StreamClient client(address_);
  grpc::WriteOptions together;
  together.set_buffer_hint();
  // Of one key, so that most wait for those before them, however fast the disk is.
  for (uint64_t i = 0; i < kBefore; ++i) {
    client.rpc().Write(Put(i, "same", absl::StrCat(i)), together);
  }
  client.Send(Put(kBefore - 1, "other", "never"));
  const CallError ended = client.ReadToEnd();
  EXPECT_EQ(ended.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << ended;
  EXPECT_EQ(ended.reason, "BAD_STREAM");
  EXPECT_THAT(ended.status.error_message(), HasSubstr(absl::StrCat(kBefore - 1)));
  EXPECT_EQ(client.answers.size(), kBefore);
  EXPECT_EQ(client.answers[kBefore - 1].result().put().mod_revision(),
            client.answers[kBefore - 1].header().revision());
  EXPECT_FALSE(node_.client().GetText("other")->has_kv());
  EXPECT_EQ(node_.client().GetText("same")->kv().text(), absl::StrCat(kBefore - 1));
}

TEST_F(StreamTest, AnIdMayBeReusedOnceItIsAnswered) {
  StreamClient client(address_);
  for (int i = 0; i < 50; ++i) {
    client.Send(Put(7, "k", absl::StrCat(i)));
    ASSERT_TRUE(client.Read());
    client.answers.clear();
  }
  EXPECT_TRUE(client.End().ok());
  EXPECT_EQ(node_.client().GetText("k")->kv().text(), "49");
}

TEST_F(StreamTest, BytesThatNameNoIdEndTheStream) {
  grpc::GenericStub stub(MakeChannel(address_));
  grpc::ClientContext context;
  SetTimeout(&context, Millis(20000));
  context.set_wait_for_ready(true);
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call = stub.PrepareCall(&context, "/raftkv.v1.KvService/Stream", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
  const grpc::Slice garbage("\x08");  // A field's beginning.
  call->Write(grpc::ByteBuffer(&garbage, 1), nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(MakeCallError(status, context).reason, "MALFORMED") << status.error_message();
}

// More answers and more requests than fit into all buffers on the way, none of them read.
TEST_F(StreamTest, WhoSendsAndNeverReadsIsHeldUpAndDisturbsNobody) {
  const std::string large(64 << 10, 'v');
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(node_.client().PutText(absl::StrCat("large", i), large).ok());
  }
  const uint64_t before = ResidentBytes(node_.server().pid());
  constexpr uint64_t kMany = 60'000;
  constexpr uint64_t kGetEvery = 20;
  StreamClient greedy(address_);
  std::atomic<uint64_t> sent = 0;
  std::thread sender([&] {
    const std::string value(1000, 'p');
    for (uint64_t i = 0; i < kMany; ++i) {
      greedy.Send(i % kGetEvery == 0 ? Get(i, absl::StrCat("large", i % 3))
                                     : Put(i, absl::StrCat("greedy", i % 1000), value));
      sent = i + 1;
    }
    greedy.rpc().WritesDone();
  });
  // It is held up: what it has sent stays the same, far below what it wants to send.
  uint64_t last = kMany + 1;
  ASSERT_TRUE(WaitUntil(Millis(20000), [&] {
    std::this_thread::sleep_for(Millis(500));
    return std::exchange(last, sent) == sent;
  }));
  EXPECT_LT(sent, kMany / 2);
  EXPECT_LT(ResidentBytes(node_.server().pid()), before + (96 << 20));
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(node_.client().PutText(absl::StrCat("honest", i), "v", Millis(5000)).ok());
    EXPECT_EQ(node_.client().GetText("large0")->kv().text().size(), large.size());
  }
  // It changes its mind, and has lost nothing.
  const CallError ended = greedy.ReadToEnd();
  sender.join();
  EXPECT_TRUE(ended.ok()) << ended;
  EXPECT_EQ(greedy.answers.size(), kMany);
  uint64_t failed = 0;
  for (const auto& [id, answer] : greedy.answers) {
    failed += answer.result().has_error() ? 1 : 0;
    if (id % kGetEvery == 0 && !answer.result().has_error()) {
      EXPECT_EQ(answer.result().get().kv().data().size(), large.size());
    }
  }
  // Reads whose time was over before their answers found room.
  EXPECT_LE(failed, 1024u);
}

TEST_F(StreamTest, LargeAnswersComeOneAfterTheOther) {
  const std::string large(900 << 10, 'v');
  ASSERT_TRUE(node_.client().PutText("large", large).ok());
  StreamClient client(address_);
  std::thread sender([&client] {
    for (uint64_t i = 0; i < 200; ++i) {
      client.Send(i % 10 == 0 ? Op(i,
                                   "txn { then_ops { get { key: 'large' } }"
                                   " then_ops { touch { key: 'large' persist: true } } }")
                              : Get(i, "large"));
    }
    client.rpc().WritesDone();
  });
  const CallError ended = client.ReadToEnd();
  sender.join();
  EXPECT_TRUE(ended.ok()) << ended;
  ASSERT_EQ(client.answers.size(), 200u);
  for (const auto& [id, answer] : client.answers) {
    const v1::KeyValue& kv =
        id % 10 == 0 ? answer.result().txn().results(0).get().kv() : answer.result().get().kv();
    EXPECT_EQ(kv.data().size(), large.size()) << id << ": " << ReasonOf(answer.result().error());
  }
}

TEST_F(StreamTest, AStopAnswersWhatWasBegunAndSaysSo) {
  StreamClient client(address_);
  std::atomic<bool> sends = true;
  std::thread sender([&] {
    for (uint64_t i = 0; sends && client.Send(Put(i, absl::StrCat("s", i), "v")); ++i) {
    }
  });
  while (client.order.size() < 2000) {
    ASSERT_TRUE(client.Read());
  }
  node_.server().Signal(SIGTERM);
  const CallError ended = client.ReadToEnd();
  sends = false;
  sender.join();
  EXPECT_EQ(ended.status.error_code(), grpc::StatusCode::UNAVAILABLE) << ended;
  EXPECT_EQ(ended.reason, "SHUTTING_DOWN");
  const std::optional<ExitStatus> exit = node_.server().WaitExit();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(*exit, (ExitStatus{.code = 0}));

  uint64_t done = 0;
  for (const auto& [id, answer] : client.answers) {
    if (answer.result().has_error()) {
      EXPECT_EQ(ReasonOf(answer.result().error()), "SHUTTING_DOWN");
    } else {
      ++done;
    }
  }
  node_.server().Start();
  ASSERT_TRUE(node_.server().WaitReady());
  NodeClient again(node_.server().client_address());
  const auto count = again.List(Proto<v1::ListRequest>("range { prefix: 's' } count_only: true"));
  ASSERT_TRUE(count.ok()) << count;
  EXPECT_EQ(static_cast<uint64_t>(count->count()), done);
}

TEST_F(StreamTest, StreamsAreBoundedAndACancelledOneMakesRoom) {
  constexpr size_t kStreamsMax = 256;
  std::vector<std::unique_ptr<StreamClient>> open;
  for (size_t i = 0; i < kStreamsMax; ++i) {
    open.push_back(std::make_unique<StreamClient>(address_));
    ASSERT_TRUE(open.back()->Send(Put(1, "k", "v")));
    ASSERT_TRUE(open.back()->Read());
  }
  {
    StreamClient refused(address_);
    const CallError ended = refused.ReadToEnd();
    EXPECT_EQ(ended.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << ended;
    EXPECT_EQ(ended.reason, "OVERLOADED");
    EXPECT_THAT(ended.status.error_message(), HasSubstr("256"));
  }
  open.front()->Send(Put(2, "cancelled", "v"));
  open.front()->context().TryCancel();
  EXPECT_EQ(open.front()->ReadToEnd().status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    StreamClient next(address_);
    return next.Send(Put(1, "k", "v")) && next.Read() && next.End().ok();
  }));
}

TEST(StreamClusterTest, EachOperationHasItsTimeAndTheStreamOutlivesIt) {
  TestCluster cluster({.flags = {"--request_timeout_ms=3000"}});
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.WaitForLeader().has_value());
  StreamClient client(cluster.client_address(0));
  ASSERT_TRUE(client.Send(Put(1, "before", "v")));
  ASSERT_TRUE(client.Read());
  EXPECT_TRUE(client.answers[1].result().has_put());
  cluster.server(1).Kill9();
  cluster.server(2).Kill9();
  // More than one time after the other would be.
  for (uint64_t id = 2; id <= 4; ++id) {
    const Clock::time_point begin = Clock::now();
    ASSERT_TRUE(client.Send(Put(id, absl::StrCat("without ", id), "v")));
    ASSERT_TRUE(client.Read());
    const google::rpc::Status& error = client.answers[id].result().error();
    EXPECT_THAT(ReasonOf(error), testing::AnyOf("NO_LEADER", "OUTCOME_UNKNOWN"))
        << error.ShortDebugString();
    EXPECT_LT(Since(begin), Millis(6000));
  }
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.WaitForLeader().has_value());
  ASSERT_TRUE(client.Send(Put(5, "after", "v")));
  ASSERT_TRUE(client.Read());
  EXPECT_TRUE(client.answers[5].result().has_put()) << client.answers[5].ShortDebugString();
  EXPECT_TRUE(client.End().ok());
}

// The bulk writer's: a leader that dies in the middle.
TEST(BulkTest, ALeaderThatIsKilledCostsNoKeyAndDoublesNone) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  ASSERT_TRUE(cluster.WaitUntilPublished());
  ClientOptions options;
  // The leader first, so that its end breaks the stream as well.
  options.endpoints = {cluster.client_address(*leader),
                       cluster.client_address(cluster.Other(*leader))};
  Client client = *Client::Create(options);
  BulkWriterOptions bulk;
  std::vector<BulkError> errors;
  bulk.on_error = [&errors](const BulkError& error) { errors.push_back(error); };
  auto writer = client.NewBulkWriter(bulk);
  ASSERT_TRUE(writer.ok()) << writer.status();
  constexpr uint64_t kKeys = 20'000;
  for (uint64_t i = 0; i < kKeys; ++i) {
    ASSERT_TRUE((*writer)->Put(absl::StrCat("bulk/", i), absl::StrCat(i)).ok());
    if (i == kKeys / 2) {
      cluster.server(*leader).Kill9();
    }
  }
  const absl::Status flushed = (*writer)->Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(errors.empty()) << errors.size() << ", first: " << errors.front().status;
  EXPECT_EQ((*writer)->counts().done, kKeys);

  // Every key exactly once: a key that was written twice has version 2.
  uint64_t found = 0;
  ListOptions pages;
  pages.page_size = 10'000;
  const absl::Status listed =
      client.ListAll(Prefix{.prefix = "bulk/"}, pages, [&](const ListResult& page) {
        for (const KeyValue& kv : page.kvs) {
          ++found;
          EXPECT_EQ(kv.version, 1) << kv.key;
          EXPECT_EQ(absl::StrCat("bulk/", kv.value), kv.key);
        }
        return true;
      });
  EXPECT_TRUE(listed.ok()) << listed;
  EXPECT_EQ(found, kKeys);
}

TEST(BulkTest, WritesOfOneKeyKeepTheirOrderAndFailuresAreTold) {
  SingleNode node({"--value_bytes_max=1000"});
  ASSERT_TRUE(node.Start());
  ClientOptions options;
  options.endpoints = {node.server().client_address()};
  Client client = *Client::Create(options);
  BulkWriterOptions bulk;
  std::vector<BulkError> errors;
  bulk.on_error = [&errors](const BulkError& error) { errors.push_back(error); };
  const auto writer = *client.NewBulkWriter(bulk);
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(writer->Put("same", absl::StrCat(i)).ok());
  }
  ASSERT_TRUE(writer->Put("gone", "v").ok());
  ASSERT_TRUE(writer->Delete("gone").ok());
  ASSERT_TRUE(writer->Put("too large", std::string(1001, 'v')).ok());
  ASSERT_TRUE(writer->Put("soon", "v", absl::Hours(1)).ok());
  EXPECT_EQ(ErrorReason(writer->Put("\xff", "v")), "MALFORMED");
  const absl::Status flushed = writer->Flush();
  EXPECT_EQ(ErrorReason(flushed), "VALUE_TOO_LARGE") << flushed;
  EXPECT_TRUE(writer->Flush().ok()) << "it was told";
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].number, 502u);
  EXPECT_EQ(errors[0].key, "too large");
  const BulkCounts counts = writer->counts();
  EXPECT_EQ(counts.added, 504u);
  EXPECT_EQ(counts.done, 503u);
  EXPECT_EQ(counts.failed, 1u);
  EXPECT_EQ(client.Get("same")->kv->value, "499");
  EXPECT_EQ(client.Get("same")->kv->version, 500);
  EXPECT_FALSE(client.Get("gone")->kv.has_value());
  EXPECT_TRUE(client.Get("soon")->kv->ttl_remaining.has_value());
}

}  // namespace
}  // namespace raftkv::integration
