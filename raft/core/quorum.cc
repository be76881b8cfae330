#include "raft/core/quorum.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>

#include "absl/container/inlined_vector.h"

namespace raftkv::raft {
namespace {

size_t MajorityOf(const std::set<NodeId>& voters) { return voters.size() / 2 + 1; }

// Sorted from the largest down, the value at place `majority` is the largest that a majority has
// reached.
uint64_t ReachedByMajority(const std::set<NodeId>& voters,
                           absl::FunctionRef<uint64_t(NodeId)> value_of) {
  CHECK(!voters.empty());
  absl::InlinedVector<uint64_t, 8> values;
  for (NodeId voter : voters) {
    values.push_back(value_of(voter));
  }
  std::sort(values.begin(), values.end(), std::greater<>());
  return values[MajorityOf(voters) - 1];
}

uint64_t ReachedByQuorum(const Configuration& configuration,
                         absl::FunctionRef<uint64_t(NodeId)> value_of) {
  const uint64_t incoming = ReachedByMajority(configuration.voters, value_of);
  if (!configuration.IsJoint()) {
    return incoming;
  }
  return std::min(incoming, ReachedByMajority(configuration.outgoing_voters, value_of));
}

VoteTally TallyMajority(const std::set<NodeId>& voters, const std::map<NodeId, bool>& votes) {
  CHECK(!voters.empty());
  size_t granted = 0;
  size_t missing = 0;
  for (NodeId voter : voters) {
    const auto vote = votes.find(voter);
    if (vote == votes.end()) {
      ++missing;
    } else if (vote->second) {
      ++granted;
    }
  }
  if (granted >= MajorityOf(voters)) {
    return VoteTally::kWon;
  }
  return granted + missing >= MajorityOf(voters) ? VoteTally::kPending : VoteTally::kLost;
}

}  // namespace

VoteTally TallyVotes(const Configuration& configuration, const std::map<NodeId, bool>& votes) {
  const VoteTally incoming = TallyMajority(configuration.voters, votes);
  if (!configuration.IsJoint()) {
    return incoming;
  }
  const VoteTally outgoing = TallyMajority(configuration.outgoing_voters, votes);
  if (incoming == outgoing) {
    return incoming;
  }
  const bool lost = incoming == VoteTally::kLost || outgoing == VoteTally::kLost;
  return lost ? VoteTally::kLost : VoteTally::kPending;
}

LogIndex CommittedIndex(const Configuration& configuration,
                        absl::FunctionRef<LogIndex(NodeId)> match_index) {
  return LogIndex(ReachedByQuorum(
      configuration, [match_index](NodeId voter) { return match_index(voter).value(); }));
}

RoundId ConfirmedRound(const Configuration& configuration,
                       absl::FunctionRef<RoundId(NodeId)> answered) {
  return RoundId(
      ReachedByQuorum(configuration, [answered](NodeId voter) { return answered(voter).value(); }));
}

bool IsQuorum(const Configuration& configuration, absl::FunctionRef<bool(NodeId)> counts) {
  return ReachedByQuorum(configuration,
                         [counts](NodeId voter) { return counts(voter) ? 1u : 0u; }) == 1;
}

}  // namespace raftkv::raft
