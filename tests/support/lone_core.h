// One RaftCore alone, fed by hand: its peers are what a test says in their name. Node 1 of voters
// 1, 2, 3 and learner 4 unless told otherwise. Confined to one thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "raft/core/describe.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {

inline constexpr uint64_t kElectionTicks = 100;

inline Entry MakeEntry(uint64_t term, uint64_t index, uint64_t stamp = 0) {
  return {.id = {.term = Term(term), .index = LogIndex(index)},
          .kind = EntryKind::kCommands,
          .stamp = ClusterMillis(stamp),
          .payload = nullptr};
}

inline Entry MakeConfigurationEntry(uint64_t term, uint64_t index, Configuration configuration) {
  Entry entry = MakeEntry(term, index);
  entry.kind = EntryKind::kConfiguration;
  entry.configuration = std::make_shared<const Configuration>(std::move(configuration));
  return entry;
}

inline EntryId Id(uint64_t term, uint64_t index) {
  return {.term = Term(term), .index = LogIndex(index)};
}

// Node 1 of voters 1, 2, 3 and learner 4.
inline RestoredState SomeState(uint64_t term, std::vector<Entry> tail) {
  RestoredState state;
  state.hard_state = {.term = Term(term), .vote = kNobody};
  state.configuration.voters = {NodeId(1), NodeId(2), NodeId(3)};
  state.configuration.learners = {NodeId(4)};
  state.tail = std::move(tail);
  return state;
}

// Node 1 of voters 1 to 5.
inline RestoredState FiveVoters(uint64_t term, std::vector<Entry> tail) {
  RestoredState state = SomeState(term, std::move(tail));
  state.configuration.voters = {NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)};
  state.configuration.learners = {};
  return state;
}

inline RaftConfig SomeConfig(uint64_t self) {
  RaftConfig config;
  config.self = NodeId(self);
  config.heartbeat_ticks = 10;
  config.election_timeout_ticks = kElectionTicks;
  return config;
}

// A core whose disk is quick, unless told otherwise.
class LoneCore {
 public:
  explicit LoneCore(RestoredState state = SomeState(0, {}), uint64_t seed = 1, uint64_t self = 1)
      : LoneCore(SomeConfig(self), std::move(state), seed) {}
  LoneCore(const RaftConfig& config, RestoredState state, uint64_t seed = 1)
      : core_(config, std::move(state), Rng(seed)) {}

  RaftCore& core() { return core_; }
  RaftCore* operator->() { return &core_; }
  void SlowDisk() { slow_disk_ = true; }

  void Step(uint64_t from, uint64_t term, Message message) {
    Take({.from = NodeId(from),
          .to = core_.self(),
          .term = Term(term),
          .message = std::move(message)});
  }
  // A refusal becomes an event.
  void Take(const Envelope& envelope) {
    if (const absl::Status taken = core_.Take(envelope); !taken.ok()) {
      events.push_back(absl::StrCat("refused ", Describe(envelope), ": ", taken.message()));
    }
  }

  // Carries everything out; returns the messages that were sent.
  std::vector<std::string> Turn() {
    std::vector<std::string> sent;
    while (core_.HasOutput()) {
      Output output = core_.TakeOutput();
      EXPECT_FALSE(core_.HasOutput());
      for (const Envelope& envelope : output.messages) {
        sent.push_back(Describe(envelope));
      }
      for (const ReadOutcome& read : output.reads) {
        reads.push_back(Describe(read));
      }
      for (const Event& event : output.events) {
        events.push_back(Describe(event));
      }
      if (output.write.has_value()) {
        last_write = output.write->id;
        if (!slow_disk_) {
          core_.OnPersisted(last_write);
        }
      }
      if (!output.committed.empty()) {
        core_.OnApplied(output.committed.back().id.index);
      }
    }
    return sent;
  }

  std::vector<std::string> Tick(uint64_t ticks) {
    std::vector<std::string> sent;
    for (uint64_t tick = 0; tick < ticks; ++tick) {
      core_.Tick();
      for (std::string& message : Turn()) {
        sent.push_back(std::move(message));
      }
    }
    return sent;
  }

  // Ticks until the role is left; returns how many ticks that took.
  uint64_t TicksIn(RaftRole role) {
    uint64_t ticks = 0;
    while (core_.role() == role && ticks < 1000) {
      Tick(1);
      ++ticks;
    }
    return ticks;
  }

  // Wins an election with the votes of `voters`.
  void Lead(const std::vector<uint64_t>& voters = {2}) {
    TicksIn(RaftRole::kFollower);
    for (uint64_t voter : voters) {
      Step(voter, core_.term().value() + 1, VoteReply{.pre_vote = true, .granted = true});
    }
    Turn();
    for (uint64_t voter : voters) {
      Step(voter, core_.term().value(), VoteReply{.pre_vote = false, .granted = true});
    }
    ASSERT_EQ(core_.role(), RaftRole::kLeader);
    Turn();
  }

  // Leads, and has its log committed by 2.
  void LeadAndCommit() {
    Lead();
    const uint64_t before = core_.last_entry().index.value() - 1;
    Step(2, core_.term().value(), AppendAccepted{.match_index = LogIndex(before)});
    Turn();
    Step(2, core_.term().value(), AppendAccepted{.match_index = LogIndex(before + 1)});
    Turn();
    ASSERT_TRUE(core_.has_committed_in_term());
    events.clear();
  }

  std::vector<std::string> reads;
  std::vector<std::string> events;
  WriteId last_write;

 private:
  RaftCore core_;
  bool slow_disk_ = false;
};

inline AppendRequest Append(EntryId previous, std::vector<Entry> entries, uint64_t commit = 0) {
  return {.previous = previous, .entries = std::move(entries), .commit_index = LogIndex(commit)};
}

}  // namespace raftkv::raft
