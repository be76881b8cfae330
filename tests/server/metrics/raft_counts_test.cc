#include "server/metrics/raft_counts.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"

namespace raftkv::server {
namespace {

using raft::Event;
using raft::EventCause;
using raft::NodeId;
using raft::RaftRole;
using raft::Term;

// Notes what it hears of, one letter each.
struct Listener final : raft::DriverObserver {
  void OnEvent(const Event&) override { heard += 'e'; }
  void OnEntryProposed(uint64_t, uint64_t) override { heard += 'p'; }
  void OnApplied(uint64_t, MonotonicNanos) override { heard += 'a'; }
  void OnProposalAnswered(raft::ProposalResult) override { heard += 'P'; }
  void OnReadAnswered(raft::ReadResult) override { heard += 'R'; }
  void OnSnapshotSent(NodeId, const absl::Status&) override { heard += 's'; }
  void OnReadAsked(raft::ReadId, NodeId) override { heard += 'r'; }
  void OnReadOutcome(const raft::ReadOutcome&) override { heard += 'o'; }
  void OnLogTrimmed(raft::LogIndex, raft::LogIndex) override { heard += 't'; }
  void OnSnapshotOutrun(NodeId, raft::LogIndex) override { heard += 'O'; }
  void OnLowOnDisk(const std::vector<NodeId>&) override { heard += 'l'; }
  void OnStateDiffers(const raft::StateDifference&) override { heard += 'd'; }
  void OnMemberDiffers(NodeId, const raft::StateDifference&) override { heard += 'm'; }
  void OnStatesDisagree(raft::LogIndex) override { heard += 'D'; }
  std::string heard;
};

class RaftCountsTest : public testing::Test {
 protected:
  void Become(RaftRole role, uint64_t term, NodeId leader,
              EventCause::Reason reason = EventCause::Reason::kNoLeaderHeard) {
    counts_.OnEvent({.kind = Event::Kind::kRoleChanged,
                     .role = role,
                     .term = Term(term),
                     .leader = leader,
                     .index = {},
                     .cause = {.reason = reason}});
  }
  void Follow(NodeId leader, uint64_t term) {
    counts_.OnEvent({.kind = Event::Kind::kLeaderChanged,
                     .term = Term(term),
                     .leader = leader,
                     .index = {},
                     .cause = {.reason = EventCause::Reason::kLeaderHeard}});
  }
  const RaftCounts::Counts& counts() const { return counts_.counts(); }

  Listener listener_;
  RaftCounts counts_{&listener_};
};

TEST_F(RaftCountsTest, CountsTheStepsOfAnElection) {
  Become(RaftRole::kPreCandidate, 1, raft::kNobody);
  Become(RaftRole::kPreCandidate, 1, raft::kNobody);
  Become(RaftRole::kCandidate, 2, raft::kNobody);
  Become(RaftRole::kLeader, 2, NodeId(1));
  EXPECT_EQ(counts().pre_votes, 2U);
  EXPECT_EQ(counts().votes, 1U);
  EXPECT_EQ(counts().elections_won, 1U);
  EXPECT_EQ(counts().leaders_seen, 1U);
}

TEST_F(RaftCountsTest, CountsALeaderOnceATerm) {
  Follow(NodeId(2), 1);
  Follow(raft::kNobody, 1);
  Follow(NodeId(2), 1);
  EXPECT_EQ(counts().leaders_seen, 1U) << "it was only not heard for a while";
  Follow(NodeId(2), 3);
  EXPECT_EQ(counts().leaders_seen, 2U) << "elected anew";
  Become(RaftRole::kCandidate, 4, raft::kNobody);
  EXPECT_EQ(counts().leaders_seen, 2U);
}

TEST_F(RaftCountsTest, CountsWhyALeaderStopsLeading) {
  const auto ended = [this](RaftCounts::End end) {
    return counts().leaderships_ended[static_cast<size_t>(end)];
  };
  Become(RaftRole::kFollower, 1, NodeId(2));
  Become(RaftRole::kLeader, 2, NodeId(1));
  Become(RaftRole::kFollower, 2, raft::kNobody, EventCause::Reason::kQuorumLost);
  Become(RaftRole::kPreCandidate, 2, raft::kNobody);
  Become(RaftRole::kLeader, 3, NodeId(1));
  Become(RaftRole::kFollower, 4, raft::kNobody, EventCause::Reason::kHigherTerm);
  EXPECT_EQ(ended(RaftCounts::End::kQuorumLost), 1U);
  EXPECT_EQ(ended(RaftCounts::End::kHigherTerm), 1U);
  EXPECT_EQ(ended(RaftCounts::End::kOther), 0U) << "followers and candidates end nothing";
}

TEST_F(RaftCountsTest, CountsWorkAndAnswers) {
  counts_.OnEntryProposed(5, 100);
  counts_.OnEntryProposed(1, 10);
  counts_.OnApplied(3, kNanosPerMilli);
  counts_.OnProposalAnswered(raft::ProposalResult::kApplied);
  counts_.OnProposalAnswered(raft::ProposalResult::kOverloaded);
  counts_.OnReadAnswered(raft::ReadResult::kBehind);
  counts_.OnSnapshotSent(NodeId(2), absl::OkStatus());
  counts_.OnSnapshotSent(NodeId(2), absl::UnavailableError("gone"));
  EXPECT_EQ(counts().entry_commands.sum(), 6U);
  EXPECT_EQ(counts().entry_commands.count(), 2U);
  EXPECT_EQ(counts().proposed_bytes, 110U);
  EXPECT_EQ(counts().apply_nanos.sum(), static_cast<uint64_t>(kNanosPerMilli));
  EXPECT_EQ(counts().proposals[static_cast<size_t>(raft::ProposalResult::kApplied)], 1U);
  EXPECT_EQ(counts().proposals[static_cast<size_t>(raft::ProposalResult::kOverloaded)], 1U);
  EXPECT_EQ(counts().reads[static_cast<size_t>(raft::ReadResult::kBehind)], 1U);
  EXPECT_EQ(counts().snapshots_sent, 1U);
  EXPECT_EQ(counts().snapshots_not_sent, 1U);
}

// One that is kept back would be missing in the log, or would keep a wrong member running.
TEST_F(RaftCountsTest, TellsEverythingOn) {
  Follow(NodeId(2), 1);
  counts_.OnEntryProposed(1, 1);
  counts_.OnApplied(1, 1);
  counts_.OnProposalAnswered(raft::ProposalResult::kApplied);
  counts_.OnReadAnswered(raft::ReadResult::kReady);
  counts_.OnSnapshotSent(NodeId(2), absl::OkStatus());
  counts_.OnReadAsked(raft::ReadId(1), NodeId(2));
  counts_.OnReadOutcome({});
  counts_.OnLogTrimmed(raft::LogIndex(1), raft::LogIndex(1));
  counts_.OnSnapshotOutrun(NodeId(2), raft::LogIndex(1));
  counts_.OnLowOnDisk({});
  counts_.OnStateDiffers({});
  counts_.OnMemberDiffers(NodeId(2), {});
  counts_.OnStatesDisagree(raft::LogIndex(1));
  EXPECT_EQ(listener_.heard, "epaPRsrotOldmD");
}

}  // namespace
}  // namespace raftkv::server
