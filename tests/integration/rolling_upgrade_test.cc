// Members of two versions in one cluster, under load. The newer is raftkvd with
// tests/support/next_command_version.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "client/client.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Clients that write and read back, each its own key, with the client library's own retries.
class Load {
 public:
  explicit Load(const std::vector<std::string>& endpoints) {
    for (int i = 0; i < kClients; ++i) {
      threads_.emplace_back([this, endpoints, key = absl::StrCat("load/", i)] {
        Run(Client::Create({.endpoints = endpoints}).value(), key);
      });
    }
  }
  ~Load() { Stop(); }

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
  }
  uint64_t successes() const { return successes_; }
  void AwaitMore() {
    const uint64_t before = successes_;
    EXPECT_TRUE(WaitUntil(Millis(20000), [&] { return successes_ >= before + 200; }));
  }
  std::vector<std::string> failures() {
    MutexLock lock(&mutex_);
    return failures_;
  }

 private:
  static constexpr int kClients = 4;

  void Run(Client client, const std::string& key) {
    for (uint64_t i = 0; !stop_; ++i) {
      const std::string value = absl::StrCat(i);
      if (const auto put = client.Put(key, value); !put.ok()) {
        Note(absl::StrCat("put ", key, ": ", put.status().ToString()));
        continue;
      }
      const auto got = client.Get(key);
      if (!got.ok()) {
        Note(absl::StrCat("get ", key, ": ", got.status().ToString()));
      } else if (!got->kv.has_value() || got->kv->value != value) {
        Note(absl::StrCat("get ", key, ": not ", value));
      } else {
        ++successes_;
      }
    }
  }
  void Note(std::string failure) {
    MutexLock lock(&mutex_);
    failures_.push_back(std::move(failure));
  }

  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> successes_{0};
  Mutex mutex_;
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

class RollingUpgradeTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  // Restarts a member as this version, as an operator would: SIGTERM, start, wait.
  void Roll(size_t node, const std::string& program) {
    ServerProcess& server = cluster_.server(node);
    ASSERT_EQ(server.Stop(), ExitStatus{.code = 0}) << server.LogTail();
    server.options().program = program;
    ASSERT_TRUE(cluster_.Start(node));
    ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  }
  Reply<v1::PutResponse> PutNew(size_t node) {
    return cluster_.client(node).PutText("next/a", "1");
  }

  const std::string older_;
  const std::string newer_ = RAFTKVD_NEXT_PATH;
  TestCluster cluster_;
};

TEST_F(RollingUpgradeTest, UpAndBackAndUpForGood) {
  Load load({cluster_.client_address(0), cluster_.client_address(1), cluster_.client_address(2)});
  for (const size_t node : {0, 1}) {
    Roll(node, newer_);
    load.AwaitMore();
    const auto refused = PutNew(node);
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << refused;
    EXPECT_EQ(refused.reason, "MEMBER_TOO_OLD") << refused;
  }
  for (const size_t node : {1, 0}) {
    Roll(node, older_);
    load.AwaitMore();
  }
  for (size_t node = 0; node < cluster_.size(); ++node) {
    Roll(node, newer_);
    load.AwaitMore();
  }
  for (size_t node = 0; node < cluster_.size(); ++node) {
    EXPECT_TRUE(WaitUntil(Millis(10000), [&] { return PutNew(node).ok(); }))
        << "every member is of the next version";
    EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
      return absl::StrContains(cluster_.server(node).Log(), "that is the cluster version now");
    }));
  }

  ServerProcess& server = cluster_.server(0);
  ASSERT_EQ(server.Stop(), ExitStatus{.code = 0});
  server.options().program = older_;
  server.Start();
  EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2}) << server.LogTail();
  EXPECT_THAT(server.Log(), HasSubstr("start the newer version of raftkv"));
  server.options().program = newer_;
  ASSERT_TRUE(cluster_.Start(0));
  load.AwaitMore();
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
}

}  // namespace
}  // namespace raftkv::integration
