// Watches of real members: from any of them, across restarts and changes of leaders.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "raftkv/v1/kv.grpc.pb.h"
#include "raftkv/v1/watch.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/rpc.h"
#include "tests/support/test_cluster.h"
#include "tests/support/wait.h"

namespace raftkv::integration {
namespace {

using google::protobuf::util::TimeUtil;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// One stream. Every read has a deadline of its own, the call's.
class WatchCall {
 public:
  WatchCall(const std::string& address, const v1::WatchRequest& request,
            Millis timeout = Millis(20'000))
      : stub_(v1::WatchService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {
    SetTimeout(&context_, timeout);
    reader_ = stub_->Watch(&context_, request);
  }
  ~WatchCall() { context_.TryCancel(); }

  bool Read(v1::WatchResponse* response) { return reader_->Read(response); }
  // Reads until so many events were told, as "PUT key value@revision".
  std::vector<std::string> Events(size_t count) {
    std::vector<std::string> events;
    v1::WatchResponse response;
    while (events.size() < count && Read(&response)) {
      for (const v1::Event& event : response.events()) {
        std::string text =
            absl::StrCat(v1::EventType_Name(event.type()).substr(11), " ", event.kv().key());
        if (event.type() == v1::EVENT_TYPE_PUT) {
          absl::StrAppend(&text, " ", event.kv().text());
        }
        absl::StrAppend(&text, "@", event.kv().mod_revision());
        if (event.has_previous()) {
          absl::StrAppend(&text, " was ", event.previous().text());
        }
        events.push_back(std::move(text));
      }
    }
    return events;
  }
  CallError Finish() {
    v1::WatchResponse response;
    while (reader_->Read(&response)) {
    }
    return MakeCallError(reader_->Finish(), context_);
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::WatchService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader_;
};

v1::WatchRequest WatchPrefix(const std::string& prefix, int64_t start = 0) {
  v1::WatchRequest request;
  request.add_ranges()->set_prefix(prefix);
  request.set_start_revision(start);
  request.set_as_text(true);
  return request;
}

// A cluster that was just founded has a history once its members have said that they know one.
bool AwaitHistory(const std::string& address) {
  return WaitUntil(Millis(15'000), [&] {
    v1::WatchResponse first;
    return WatchCall(address, WatchPrefix("")).Read(&first);
  });
}

class WatchTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    client_ = std::make_unique<Client>(
        *Client::Create({.endpoints = {cluster_.client_address(0), cluster_.client_address(1),
                                       cluster_.client_address(2)}}));
    // A member takes watches once it has applied what says that there is a history.
    for (size_t node = 0; node < cluster_.size(); ++node) {
      ASSERT_TRUE(AwaitHistory(cluster_.client_address(node)));
    }
  }
  int64_t Put(const std::string& key, const std::string& value, const PutOptions& options = {}) {
    const absl::StatusOr<PutResult> put = client_->Put(key, value, options);
    EXPECT_TRUE(put.ok()) << put.status();
    return put.ok() ? put->mod_revision : 0;
  }
  CommandResult Ctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {RaftkvctlPath(), "--endpoints", cluster_.client_address(1)});
    return RunCommand(arguments);
  }

  TestCluster cluster_;
  std::unique_ptr<Client> client_;
};

TEST_F(WatchTest, AnyMemberTellsWhatHappens) {
  std::vector<std::unique_ptr<WatchCall>> calls;
  for (size_t node = 0; node < cluster_.size(); ++node) {
    calls.push_back(std::make_unique<WatchCall>(cluster_.client_address(node), WatchPrefix("w/")));
    v1::WatchResponse first;
    ASSERT_TRUE(calls.back()->Read(&first));
    EXPECT_EQ(first.events_size(), 0);
    EXPECT_EQ(first.header().member_id(), TestCluster::Id(node));
  }
  const int64_t base = Put("w/a", "1");
  Put("other", "x");
  PutOptions ttl;
  ttl.ttl = absl::Milliseconds(100);
  Put("w/t", "2", ttl);
  ASSERT_TRUE(client_->Delete("w/a").ok());
  for (const auto& call : calls) {
    std::vector<std::string> events = call->Events(4);
    // The expiry may come before the deletion.
    ASSERT_EQ(events.size(), 4u);
    EXPECT_EQ(events[0], absl::StrCat("PUT w/a 1@", base));
    EXPECT_EQ(events[1], absl::StrCat("PUT w/t 2@", base + 2));
    std::sort(events.begin() + 2, events.end());
    EXPECT_THAT(events[2], StartsWith("DELETE w/a@"));
    EXPECT_THAT(events[3], StartsWith("EXPIRE w/t@"));
  }
}

TEST_F(WatchTest, InitialStateIsFollowedByWhatHappensAfterIt) {
  for (int i = 0; i < 1500; ++i) {
    Put(absl::StrCat("s/", 1000 + i), "0");
    i += 9;
  }
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      Put(absl::StrCat("s/", 1000 + i % 1500), absl::StrCat(i));
    }
  });
  v1::WatchRequest request = WatchPrefix("s/");
  request.set_initial_state(true);
  WatchCall call(cluster_.client_address(1), request);
  std::map<std::string, std::string> state;
  v1::WatchResponse response;
  ASSERT_TRUE(call.Read(&response));
  const int64_t start = response.header().revision();
  bool complete = false;
  while (!complete && call.Read(&response)) {
    for (const v1::KeyValue& kv : response.initial_kvs()) {
      EXPECT_LE(kv.mod_revision(), start);
      state[kv.key()] = kv.text();
    }
    complete = response.initial_complete();
  }
  ASSERT_TRUE(complete);
  std::this_thread::sleep_for(Millis(300));
  stop = true;
  writer.join();
  const absl::StatusOr<ListResult> list = client_->List(Prefix{"s/"}, {.page_size = 10'000});
  ASSERT_TRUE(list.ok());
  int64_t last = start;
  int64_t progress = 0;
  while (progress < list->header.revision && call.Read(&response)) {
    for (const v1::Event& event : response.events()) {
      EXPECT_EQ(event.kv().mod_revision(), last + 1) << "each write is told, once";
      last = event.kv().mod_revision();
      state[event.kv().key()] = event.kv().text();
    }
    progress = response.progress_revision();
  }
  std::map<std::string, std::string> expected;
  for (const KeyValue& kv : list->kvs) {
    expected[kv.key] = kv.value;
  }
  EXPECT_EQ(state, expected);
}

TEST_F(WatchTest, AClientMissesNothingWhileMembersDie) {
  constexpr int kWrites = 300;
  std::vector<std::string> told;
  absl::Status ended;
  std::atomic<bool> begun{false};
  std::thread watcher([&] {
    WatchOptions options;
    options.heartbeat_interval = absl::Milliseconds(300);
    ended = client_->Watch({Prefix{"d/"}}, options, [&](const WatchUpdate& update) {
      begun = true;
      for (const Event& event : update.events) {
        told.push_back(event.kv.value);
      }
      return told.empty() || told.back() != absl::StrCat(kWrites - 1);
    });
  });
  while (!begun) {
    std::this_thread::sleep_for(Millis(10));
  }
  std::vector<std::string> expected;
  for (int i = 0; i < kWrites; ++i) {
    if (i == 100) {
      cluster_.server(0).Kill9();
    } else if (i == 200) {
      ASSERT_TRUE(cluster_.Start(0));
      const std::optional<size_t> leader = cluster_.WaitForLeader();
      ASSERT_TRUE(leader.has_value());
      cluster_.server(*leader).Kill9();
    }
    // A write whose outcome is open is made again: the same value may then be told twice in a row.
    while (!client_->Put("d/k", absl::StrCat(i)).ok()) {
    }
    expected.push_back(absl::StrCat(i));
  }
  watcher.join();
  EXPECT_TRUE(ended.ok()) << ended;
  told.erase(std::unique(told.begin(), told.end()), told.end());
  EXPECT_EQ(told, expected);
}

TEST_F(WatchTest, AMemberThatIsCutOffSaysNothing) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t follower = cluster_.Other(*leader);
  v1::WatchRequest request = WatchPrefix("");
  *request.mutable_heartbeat_interval() = TimeUtil::MillisecondsToDuration(200);
  WatchCall call(cluster_.client_address(follower), request, Millis(6000));
  v1::WatchResponse response;
  ASSERT_TRUE(call.Read(&response));
  const int64_t revision = Put("k", "v");
  // It says what it told, and then that there is nothing more.
  for (int heartbeats = 0; heartbeats < 3;) {
    ASSERT_TRUE(call.Read(&response));
    heartbeats += response.events_size() == 0 && response.progress_revision() >= revision ? 1 : 0;
  }
  for (size_t node = 0; node < cluster_.size(); ++node) {
    if (node != follower) {
      cluster_.server(node).Kill9();
    }
  }
  int late = 0;
  while (call.Read(&response)) {
    ++late;
  }
  EXPECT_LT(late, 15) << "until it misses its leader, and not for 6 s";
}

TEST_F(WatchTest, BadRequestsAreRefused) {
  const auto fails = [&](const v1::WatchRequest& request) {
    return WatchCall(cluster_.client_address(0), request).Finish();
  };
  EXPECT_EQ(fails(v1::WatchRequest()).reason, "BAD_RANGE");
  v1::WatchRequest request = WatchPrefix("");
  for (int i = 0; i < 100; ++i) {
    request.add_ranges()->set_key("k");
  }
  EXPECT_THAT(fails(request).status.error_message(), HasSubstr("there are 101; give 1 to 100"));
  EXPECT_EQ(fails(WatchPrefix("", -1)).reason, "BAD_REVISION");
  request = WatchPrefix("", 1);
  request.set_initial_state(true);
  EXPECT_EQ(fails(request).reason, "BAD_REVISION");
  request = WatchPrefix("");
  request.add_event_types(v1::EVENT_TYPE_UNSPECIFIED);
  EXPECT_EQ(fails(request).reason, "BAD_EVENT_TYPE");
  request = WatchPrefix("");
  *request.mutable_heartbeat_interval() = TimeUtil::MillisecondsToDuration(99);
  EXPECT_EQ(fails(request).reason, "BAD_HEARTBEAT");
  request.mutable_heartbeat_interval()->set_seconds(1);
  request.mutable_heartbeat_interval()->set_nanos(-500'000'000);
  EXPECT_THAT(fails(request).status.error_message(), HasSubstr("is 1s and -500000000ns; must be"));
  request = WatchPrefix("");
  request.add_ranges()->set_key("");
  const CallError no_key = fails(request);
  EXPECT_EQ(no_key.reason, "BAD_KEY");
  EXPECT_EQ(no_key.Meta("field"), "ranges[1].key");
  request = WatchPrefix("");
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(99, 1);
  EXPECT_EQ(fails(request).reason, "UNKNOWN_FIELD");
}

TEST_F(WatchTest, WhatIsCompactedIsSaid) {
  const int64_t base = Put("k", "1");
  Put("k", "2");
  CommandResult compacted = Ctl({"compact", absl::StrCat(base)});
  EXPECT_EQ(compacted.out, absl::StrCat("compacted revision ", base, "\n")) << compacted;
  const CallError error = WatchCall(cluster_.client_address(1), WatchPrefix("", base)).Finish();
  EXPECT_EQ(error.reason, "REVISION_COMPACTED") << error;
  EXPECT_EQ(error.Meta("compact_revision"), absl::StrCat(base));
  EXPECT_THAT(WatchCall(cluster_.client_address(1), WatchPrefix("", base + 1)).Events(1),
              ElementsAre(absl::StrCat("PUT k 2@", base + 1)));
  compacted = Ctl({"compact", absl::StrCat(base)});
  EXPECT_THAT(compacted.err, HasSubstr("is compacted")) << compacted;
  compacted = Ctl({"compact", absl::StrCat(base + 1000)});
  EXPECT_THAT(compacted.err, HasSubstr("has come to revision")) << compacted;
}

TEST_F(WatchTest, PreviousValuesAndTypesAndKeysOnly) {
  const int64_t base = Put("p", "1");
  Put("p", "2");
  ASSERT_TRUE(client_->Delete("p").ok());
  v1::WatchRequest request = WatchPrefix("p", base);
  request.set_return_previous(true);
  EXPECT_THAT(
      WatchCall(cluster_.client_address(0), request).Events(3),
      ElementsAre(absl::StrCat("PUT p 1@", base), absl::StrCat("PUT p 2@", base + 1, " was 1"),
                  absl::StrCat("DELETE p@", base + 2, " was 2")));
  request.set_return_previous(false);
  request.set_keys_only(true);
  request.add_event_types(v1::EVENT_TYPE_DELETE);
  request.add_event_types(v1::EVENT_TYPE_PUT);
  EXPECT_THAT(WatchCall(cluster_.client_address(0), request).Events(3),
              ElementsAre(absl::StrCat("PUT p @", base), absl::StrCat("PUT p @", base + 1),
                          absl::StrCat("DELETE p@", base + 2)));
  request.mutable_event_types()->RemoveLast();
  EXPECT_THAT(WatchCall(cluster_.client_address(0), request).Events(1),
              ElementsAre(absl::StrCat("DELETE p@", base + 2)));
}

TEST_F(WatchTest, AStopEndsThem) {
  WatchCall call(cluster_.client_address(2), WatchPrefix(""));
  v1::WatchResponse first;
  ASSERT_TRUE(call.Read(&first));
  cluster_.server(2).Signal(SIGTERM);
  EXPECT_EQ(call.Finish().reason, "SHUTTING_DOWN");
  EXPECT_EQ(cluster_.server(2).WaitExit(), (ExitStatus{.code = 0}));
}

// Streams whose events come to one queue, which only this thread looks at.
class ManyWatches {
 public:
  ManyWatches(const std::string& address, const v1::WatchRequest& request, size_t count) {
    grpc::ChannelArguments own_connection;
    own_connection.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    for (size_t i = 0; i < count; ++i) {
      if (i % kStreamsPerConnection == 0) {
        stub_ = v1::WatchService::NewStub(
            grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own_connection));
      }
      Call& call = *calls_.emplace_back(std::make_unique<Call>());
      SetTimeout(&call.context, Millis(120'000));
      call.reader = stub_->AsyncWatch(&call.context, request, &queue_, &call);
    }
  }
  ~ManyWatches() {
    for (const auto& call : calls_) {
      call->context.TryCancel();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Reads until each was told so many responses; how many were within the time.
  size_t Await(int responses, Millis timeout) {
    const auto until = std::chrono::system_clock::now() + timeout;
    size_t told = 0;
    for (const auto& call : calls_) {
      told += call->responses >= responses ? 1 : 0;
    }
    void* tag = nullptr;
    bool ok = false;
    while (told < calls_.size() &&
           queue_.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT) {
      auto* call = static_cast<Call*>(tag);
      if (!ok) {
        continue;
      }
      // The first event says that the call has begun.
      told += ++call->responses == responses ? 1 : 0;
      call->reader->Read(&call->response, call);
    }
    return told;
  }

 private:
  static constexpr size_t kStreamsPerConnection = 2000;
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncReader<v1::WatchResponse>> reader;
    v1::WatchResponse response;
    int responses = -1;
  };

  grpc::CompletionQueue queue_;
  std::unique_ptr<v1::WatchService::Stub> stub_;
  std::vector<std::unique_ptr<Call>> calls_;
};

TEST_F(WatchTest, TenThousandOnOneKeyHoldNobodyUp) {
  constexpr size_t kWatches = 10'000;
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  v1::WatchRequest request;
  request.add_ranges()->set_key("hot");
  ManyWatches watches(cluster_.client_address(*leader), request, kWatches);
  ASSERT_EQ(watches.Await(1, Millis(60'000)), kWatches) << "each has begun";
  const Reply<v1::GetStatusResponse> before = cluster_.client(*leader).GetStatus();
  Put("hot", "1");
  // Far below the timeout of an election, however much there is to tell.
  for (int i = 0; i < 20; ++i) {
    const Clock::time_point start = Clock::now();
    Put("other", "x");
    EXPECT_LT(Since(start), Millis(900));
  }
  EXPECT_EQ(watches.Await(2, Millis(60'000)), kWatches) << "each was told";
  const Reply<v1::GetStatusResponse> after = cluster_.client(*leader).GetStatus();
  EXPECT_EQ(after.response.header().raft_term(), before.response.header().raft_term());
}

TEST_F(WatchTest, RangesOfManyKeysHaveABoundTogether) {
  constexpr int kWatches = 60;  // Of 0.8 MB each, and there may be 32 MiB.
  v1::WatchRequest request;
  for (int i = 0; i < 100; ++i) {
    v1::Span* span = request.add_ranges()->mutable_span();
    span->set_start_key(absl::StrCat(1000 + i, std::string(4000, 'a')));
    span->set_end_key(absl::StrCat(1000 + i, std::string(4000, 'b')));
  }
  std::vector<std::unique_ptr<WatchCall>> calls;
  int begun = 0;
  v1::WatchResponse first;
  for (int i = 0; i < kWatches; ++i) {
    calls.push_back(std::make_unique<WatchCall>(cluster_.client_address(0), request));
    if (calls.back()->Read(&first)) {
      ++begun;
    } else {
      EXPECT_EQ(calls.back()->Finish().reason, "OVERLOADED");
    }
  }
  EXPECT_GT(begun, 30);
  EXPECT_LT(begun, 45);
  calls.clear();
  EXPECT_TRUE(WaitUntil(Millis(10'000), [&] {
    return WatchCall(cluster_.client_address(0), request).Read(&first);
  })) << "their room is free again";
}

// A watch with initial state on a connection of its own, of which nothing is read.
class UnreadWatch {
 public:
  explicit UnreadWatch(const std::string& address) {
    grpc::ChannelArguments settings;
    settings.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    settings.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1024);
    settings.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    stub_ = v1::WatchService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), settings));
    v1::WatchRequest request = WatchPrefix("");
    request.set_initial_state(true);
    SetTimeout(&context_, Millis(120'000));
    reader_ = stub_->Watch(&context_, request);
  }
  ~UnreadWatch() { context_.TryCancel(); }

  grpc::StatusCode End() {
    v1::WatchResponse response;
    while (reader_->Read(&response)) {
    }
    return reader_->Finish().error_code();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::WatchService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader_;
};

// More of them than all the room for answers has messages: without a share of its own, whoever asks
// something else would be answered OVERLOADED.
TEST(UnreadWatchesTest, LeaveRoomForOthersAndAreGivenUp) {
  constexpr size_t kWatches = 150;
  TestCluster cluster(
      {.size = 1, .flags = {"--memory_bytes_max=64MiB", "--request_timeout_ms=2000"}});
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(AwaitHistory(cluster.client_address(0)));
  absl::StatusOr<Client> client = Client::Create({.endpoints = {cluster.client_address(0)}});
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 150; ++i) {
    ASSERT_TRUE(client->Put(absl::StrCat("k", i), std::string(100'000, 'v')).ok());
  }
  ASSERT_TRUE(client->Put("large", std::string(1 << 20, 'v')).ok());
  const auto unsent = [&] {
    return cluster.client(0).GetStatus().response.memory().unsent_answer_bytes();
  };

  std::vector<std::unique_ptr<UnreadWatch>> unread;
  for (size_t i = 0; i < kWatches; ++i) {
    unread.push_back(std::make_unique<UnreadWatch>(cluster.client_address(0)));
  }
  ASSERT_TRUE(WaitUntil(Millis(20'000), [&] { return unsent() > 6'000'000; }));
  // Through some rounds in which one is given up and the next takes its room.
  const Clock::time_point start = Clock::now();
  while (Since(start) < Millis(5'000)) {
    const absl::StatusOr<GetResult> got = client->Get("large");
    ASSERT_TRUE(got.ok()) << got.status();
  }
  v1::WatchRequest request = WatchPrefix("");
  request.set_initial_state(true);
  WatchCall reader(cluster.client_address(0), request, Millis(60'000));
  size_t keys = 0;
  v1::WatchResponse response;
  while (!response.initial_complete() && reader.Read(&response)) {
    keys += static_cast<size_t>(response.initial_kvs_size());
  }
  EXPECT_EQ(keys, 151u) << "who reads is told all";
  EXPECT_TRUE(WaitUntil(Millis(60'000), [&] { return unsent() == 0; }));
  for (const auto& watch : unread) {
    EXPECT_EQ(watch->End(), grpc::StatusCode::CANCELLED);
  }
}

TEST_F(WatchTest, CtlShowsTheHistoryOfAKey) {
  const int64_t base = Put("h", "1");
  Put("other", "x");
  Put("h", "2");
  ASSERT_TRUE(client_->Delete("h").ok());
  EXPECT_EQ(Ctl({"history", "h"}).out, "PUT\nh\n1\nPUT\nh\n2\nDELETE\nh\n");
  EXPECT_EQ(Ctl({"history", "never"}).out, "");
  Ctl({"compact", absl::StrCat(base)});
  EXPECT_EQ(Ctl({"history", "h"}).out, "PUT\nh\n2\nDELETE\nh\n");
  // A watch goes on until its command fails.
  const CommandResult watched =
      Ctl({"watch", "h", "--from", absl::StrCat(base + 1), "--exec",
           "echo $RAFTKV_EVENT_TYPE $RAFTKV_EVENT_KEY=$RAFTKV_EVENT_VALUE; "
           "test $RAFTKV_EVENT_TYPE = PUT"});
  EXPECT_EQ(watched.out, "PUT h=2\nDELETE h=\n") << watched;
  EXPECT_NE(watched.exit, (ExitStatus{.code = 0}));
  EXPECT_THAT(watched.err, HasSubstr(absl::StrCat("go on with --from ", base + 3)));
}

}  // namespace
}  // namespace raftkv::integration
