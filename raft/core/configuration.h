// Who counts (thesis chapter 4): voters, learners, and in a joint configuration the outgoing
// voters, whose majority is needed as well.
#pragma once

#include <set>

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

}  // namespace raftkv::raft
