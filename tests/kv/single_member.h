// One member of a cluster of one, or of three whose others are silent, with every edge a fake.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "kv/member.h"
#include "tests/kv/fake_state_machine.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_transport.h"
#include "tests/support/memory_log_store.h"

namespace raftkv::kv {

class SingleMemberTest : public testing::Test, private raft::DriverObserver {
 protected:
  // `voters` includes this member, 1. It publishes what `directory` says, if there is one.
  void Start(uint64_t voters, MemberDirectory* directory = nullptr) {
    MemberOptions options;
    options.raft.self = raft::NodeId(1);
    options.driver.leader_wait = kNanosPerSecond;
    options.publish_timeout = kNanosPerSecond;
    raft::RestoredState restored;
    for (uint64_t id = 1; id <= voters; ++id) {
      restored.configuration.voters.insert(raft::NodeId(id));
    }
    member_ = std::make_unique<Member>(
        options,
        Member::Edges{.transport = &transport_,
                      .log_store = &log_,
                      .state_machine = &machine_,
                      .clock = &clock_,
                      .observer = this,
                      .directory = directory,
                      .reads = &pool_,
                      .scans = &pool_,
                      .upkeep = &pool_,
                      .save_clock = [](const raft::ClusterReading&) {},
                      .on_unusable = [this](const std::string& problem) { unusable_ = problem; },
                      .on_wrong_state = [this](const std::string& what) { wrong_ = what; }},
        std::move(restored), raft::ClusterReading());
  }
  // A member alone, which leads.
  void StartLeader(MemberDirectory* directory = nullptr) {
    Start(1, directory);
    for (int i = 0; i < 1000 && !store().raft().is_caught_up(); ++i) {
      Tick();
    }
    ASSERT_TRUE(store().raft().is_caught_up());
  }
  void Tick(int count = 1) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(10 * kNanosPerMilli);
      member_->Tick();
      Turn();
    }
  }
  void Turn() {
    while (member_->RunTurn() || log_.has_news()) {
    }
  }
  Store& store() { return member_->store(); }
  MonotonicNanos In(MonotonicNanos time) const { return clock_.Now() + time; }

  FakeClock clock_;
  raft::FakeTransport transport_;
  raft::MemoryLogStore log_;
  ScriptedStateMachine machine_;
  ManualDiskPool pool_;
  std::string unusable_;
  std::string wrong_;
  std::unique_ptr<Member> member_;

 private:
  void OnEvent(const raft::Event&) override {}
};

// Keeps what a callback was called with; fails when it is called twice.
template <typename Result>
class Answer {
 public:
  auto callback() {
    return [this](Result result) {
      EXPECT_FALSE(result_.has_value()) << "answered twice";
      result_.emplace(std::move(result));
    };
  }
  bool has_come() const { return result_.has_value(); }
  // REQUIRES: has_come().
  const Result& operator*() const { return *result_; }
  const Result* operator->() const { return &*result_; }

 private:
  std::optional<Result> result_;
};

}  // namespace raftkv::kv
