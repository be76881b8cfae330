// Who counts (thesis chapter 4): voters, learners, and in a joint configuration the outgoing
// voters, whose majority is needed as well.
#pragma once

#include <set>

#include "absl/status/status.h"
#include "raft/core/types.h"

namespace raftkv::raft {

struct Configuration {
  std::set<NodeId> voters;
  std::set<NodeId> outgoing_voters;  // Empty unless joint.
  std::set<NodeId> learners;

  bool IsJoint() const { return !outgoing_voters.empty(); }
  bool IsVoter(NodeId node) const {
    return voters.contains(node) || outgoing_voters.contains(node);
  }
  bool IsMember(NodeId node) const { return IsVoter(node) || learners.contains(node); }
  // Every member, by ascending id.
  std::set<NodeId> Members() const;

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// Whether `to` may come right after `from` in a log, so that any two quorums of the two meet: the
// voters change in two steps, by the joint configuration of both sets and then without the outgoing
// one (thesis §4.3). Learners, which do not count, may change with every step. InvalidArgument
// with what is wrong.
absl::Status CheckSuccessor(const Configuration& from, const Configuration& to);

}  // namespace raftkv::raft
