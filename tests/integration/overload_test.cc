// More than the queues hold: what does not fit is refused at once, and what was taken is not lost.
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

// Puts that are all under way at once, without a thread for each.
class ManyPuts {
 public:
  ManyPuts(NodeClient* client, size_t count, size_t value_bytes, Millis timeout)
      : ManyPuts(client, std::vector<size_t>(count, value_bytes), timeout) {}
  ManyPuts(NodeClient* client, const std::vector<size_t>& value_bytes, Millis timeout) {
    v1::PutRequest request;
    for (size_t i = 0; i < value_bytes.size(); ++i) {
      request.set_data(std::string(value_bytes[i], 'v'));
      calls_.push_back(std::make_unique<PendingPut>());
      PendingPut* call = calls_.back().get();
      request.set_key(absl::StrCat("many/", i));
      SetTimeout(&call->context, timeout);
      call->reader = client->kv()->AsyncPut(&call->context, request, &queue_);
      call->reader->Finish(&call->response, &call->status, call);
    }
  }
  ~ManyPuts() { Collect(calls_.size()); }

  // Takes answers until `count` have come in all; their number by "ok", reason or code.
  const std::map<std::string, size_t>& Collect(size_t count) {
    for (void* tag = nullptr; answered_ < count; ++answered_) {
      bool ok = false;
      queue_.Next(&tag, &ok);
      auto* call = static_cast<PendingPut*>(tag);
      call->error = MakeCallError(call->status, call->context);
      ++outcomes_[Outcome(call->error)];
    }
    return outcomes_;
  }

  // Calls body(key, how the call ended) for every answer.
  template <typename Body>
  void ForEach(Body body) const {
    for (size_t i = 0; i < calls_.size(); ++i) {
      body(absl::StrCat("many/", i), calls_[i]->error);
    }
  }

 private:
  struct PendingPut {
    grpc::ClientContext context;
    v1::PutResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::PutResponse>> reader;
    CallError error;
  };

  static std::string Outcome(const CallError& error) {
    if (error.ok()) {
      return "ok";
    }
    return error.reason.empty() ? absl::StrCat("code ", error.status.error_code()) : error.reason;
  }

  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<PendingPut>> calls_;
  std::map<std::string, size_t> outcomes_;
  size_t answered_ = 0;
};

TEST(OverloadTest, AFullQueueRefusesAtOnceAndLosesNothingThatItTook) {
  // Long timeouts: while the followers are frozen, what was taken waits instead of being given up.
  TestCluster cluster(
      {.size = 3, .flags = {"--election_timeout_ms=5000", "--heartbeat_interval_ms=500"}});
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader(Millis(30000));
  ASSERT_TRUE(leader.has_value());
  for (size_t node = 0; node < cluster.size(); ++node) {
    if (node != *leader) {
      cluster.Pause(node);
    }
  }
  // 64 MiB may wait.
  constexpr size_t kPuts = 100;
  ManyPuts puts(&cluster.client(*leader), kPuts, 1 << 20, Millis(60000));
  const Clock::time_point start = Clock::now();
  const std::map<std::string, size_t> early = puts.Collect(20);
  EXPECT_EQ(early.size(), 1U);
  EXPECT_EQ(early.begin()->first, "OVERLOADED");
  EXPECT_LE(Since(start), Millis(5000)) << "refused at once";
  EXPECT_TRUE(cluster.client(*leader).GetStale("many/0").ok()) << "it still serves";

  for (size_t node = 0; node < cluster.size(); ++node) {
    if (node != *leader) {
      cluster.Resume(node);
    }
  }
  const std::map<std::string, size_t> all = puts.Collect(kPuts);
  for (const auto& [outcome, count] : all) {
    std::cout << outcome << ": " << count << "\n";
  }
  EXPECT_GE(all.at("OVERLOADED"), 20U);
  EXPECT_GE(all.count("ok") > 0 ? all.at("ok") : 0, 30U);
  ASSERT_TRUE(cluster.WaitForLeader(Millis(30000)).has_value());
  puts.ForEach([&](const std::string& key, const CallError& error) {
    const auto get = cluster.client(*leader).GetText(key);
    ASSERT_TRUE(get.ok()) << get;
    if (error.ok() || error.CertainlyNotApplied()) {
      EXPECT_EQ(get->has_kv(), error.ok()) << key << ": " << error;
    }
  });
}

TEST(OverloadTest, ManySmallWritesBeyondTheQueueAreRefusedAndTheRestSucceeds) {
  TestCluster cluster(
      {.size = 3, .flags = {"--election_timeout_ms=5000", "--heartbeat_interval_ms=500"}});
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader(Millis(30000));
  ASSERT_TRUE(leader.has_value());
  // A burst far beyond anything that closed-loop clients keep in flight, through a follower.
  ManyPuts puts(&cluster.client(cluster.Other(*leader)), 20'000, 16, Millis(60000));
  const std::map<std::string, size_t> all = puts.Collect(20'000);
  size_t known = 0;
  for (const auto& [outcome, count] : all) {
    std::cout << outcome << ": " << count << "\n";
    known += outcome == "ok" || outcome == "OVERLOADED" ? count : 0;
  }
  EXPECT_EQ(known, 20'000U) << "nothing but success and a clear refusal";
  EXPECT_EQ(cluster.WaitForLeader(), leader) << "load deposes nobody";
}

// Each all at once, and more than a peer stream queues.
TEST(OverloadTest, LargeValuesThroughAFollowerAllSucceedWhereTheyFit) {
  TestCluster cluster(
      {.size = 3, .flags = {"--election_timeout_ms=5000", "--heartbeat_interval_ms=500"}});
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader(Millis(30000));
  ASSERT_TRUE(leader.has_value());
  NodeClient& follower = cluster.client(cluster.Other(*leader));
  for (const auto& [count, bytes] : {std::pair<size_t, size_t>(55, 1'000'000), {400, 100'000}}) {
    ManyPuts puts(&follower, count, bytes, Millis(40000));
    EXPECT_EQ(puts.Collect(count), (std::map<std::string, size_t>{{"ok", count}})) << bytes;
  }
  EXPECT_EQ(cluster.WaitForLeader(), leader) << "load deposes nobody";
}

TEST(OverloadTest, AnyMixOfSizesThroughAFollowerSucceedsOrIsRefused) {
  TestCluster cluster(
      {.size = 3, .flags = {"--election_timeout_ms=5000", "--heartbeat_interval_ms=500"}});
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader(Millis(30000));
  ASSERT_TRUE(leader.has_value());
  std::vector<size_t> value_bytes;
  for (size_t i = 0; i < 1000; ++i) {
    value_bytes.push_back(size_t{1} << (i % 21));
  }
  ManyPuts puts(&cluster.client(cluster.Other(*leader)), value_bytes, Millis(60000));
  size_t known = 0;
  for (const auto& [outcome, count] : puts.Collect(value_bytes.size())) {
    std::cout << outcome << ": " << count << "\n";
    known += outcome == "ok" || outcome == "OVERLOADED" ? count : 0;
  }
  EXPECT_EQ(known, value_bytes.size()) << "nothing but success and a clear refusal";
  EXPECT_EQ(cluster.WaitForLeader(), leader) << "load deposes nobody";
}

}  // namespace
}  // namespace raftkv::integration
