#include "raft/core/quorum.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/rng.h"
#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

std::set<NodeId> SomeNodes(Rng& rng, uint64_t count_max) {
  std::set<NodeId> nodes;
  const uint64_t count = 1 + rng.Below(count_max);
  while (nodes.size() < count) {
    nodes.insert(NodeId(1 + rng.Below(9)));
  }
  return nodes;
}

Configuration SomeConfiguration(Rng& rng) {
  Configuration configuration{
      .voters = SomeNodes(rng, 7), .outgoing_voters = {}, .learners = SomeNodes(rng, 2)};
  if (rng.Below(2) == 0) {
    configuration.outgoing_voters = SomeNodes(rng, 7);
  }
  return configuration;
}

// The definition itself: more than half of them.
bool MajorityHolds(const std::set<NodeId>& voters, const std::set<NodeId>& who) {
  const auto count = std::count_if(voters.begin(), voters.end(),
                                   [&](NodeId voter) { return who.contains(voter); });
  return 2 * static_cast<size_t>(count) > voters.size();
}

bool QuorumHolds(const Configuration& configuration, const std::set<NodeId>& who) {
  return MajorityHolds(configuration.voters, who) &&
         (!configuration.IsJoint() || MajorityHolds(configuration.outgoing_voters, who));
}

TEST(QuorumTest, CommittedIndexIsTheLargestThatAQuorumReached) {
  Rng rng(1);
  for (int round = 0; round < 20'000; ++round) {
    const Configuration configuration = SomeConfiguration(rng);
    std::map<NodeId, LogIndex> match;
    for (uint64_t node = 1; node <= 9; ++node) {
      match[NodeId(node)] = LogIndex(rng.Below(6));
    }
    LogIndex expected;
    for (uint64_t index = 1; index <= 6; ++index) {
      std::set<NodeId> reached;
      for (const auto& [node, match_index] : match) {
        if (match_index >= LogIndex(index)) {
          reached.insert(node);
        }
      }
      if (QuorumHolds(configuration, reached)) {
        expected = LogIndex(index);
      }
    }
    ASSERT_EQ(CommittedIndex(configuration, [&](NodeId node) { return match.at(node); }), expected);
    ASSERT_EQ(
        ConfirmedRound(configuration, [&](NodeId node) { return RoundId(match.at(node).value()); }),
        RoundId(expected.value()));
  }
}

TEST(QuorumTest, VotesAreWonByAQuorumAndLostWhenNoneIsPossible) {
  Rng rng(2);
  for (int round = 0; round < 20'000; ++round) {
    const Configuration configuration = SomeConfiguration(rng);
    std::map<NodeId, bool> votes;
    std::set<NodeId> granted;
    std::set<NodeId> not_refused;
    for (uint64_t id = 1; id <= 9; ++id) {
      const NodeId node(id);
      const uint64_t says = rng.Below(3);
      if (says == 0) {
        votes[node] = true;
        granted.insert(node);
      } else if (says == 1) {
        votes[node] = false;
      }
      if (says != 1) {
        not_refused.insert(node);
      }
    }
    VoteTally expected = VoteTally::kPending;
    if (QuorumHolds(configuration, granted)) {
      expected = VoteTally::kWon;
    } else if (!QuorumHolds(configuration, not_refused)) {
      expected = VoteTally::kLost;
    }
    ASSERT_EQ(TallyVotes(configuration, votes), expected);
    ASSERT_EQ(IsQuorum(configuration, [&](NodeId node) { return granted.contains(node); }),
              QuorumHolds(configuration, granted));
  }
}

TEST(QuorumTest, AnEvenNumberOfVotersNeedsMoreThanHalf) {
  const Configuration four{.voters = {NodeId(1), NodeId(2), NodeId(3), NodeId(4)},
                           .outgoing_voters = {},
                           .learners = {}};
  std::map<NodeId, bool> votes = {{NodeId(1), true}, {NodeId(2), true}, {NodeId(3), false}};
  EXPECT_EQ(TallyVotes(four, votes), VoteTally::kPending);
  votes[NodeId(4)] = false;
  EXPECT_EQ(TallyVotes(four, votes), VoteTally::kLost);
  votes[NodeId(4)] = true;
  EXPECT_EQ(TallyVotes(four, votes), VoteTally::kWon);
}

TEST(QuorumDeathTest, NobodyIsNoQuorum) { EXPECT_DEATH(TallyVotes(Configuration(), {}), "empty"); }

}  // namespace
}  // namespace raftkv::raft
