// Configurations by the numbers of their nodes.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "raft/core/configuration.h"

namespace raftkv::raft {

inline std::set<NodeId> Nodes(const std::vector<uint64_t>& numbers) {
  std::set<NodeId> nodes;
  for (uint64_t number : numbers) {
    nodes.insert(NodeId(number));
  }
  return nodes;
}

inline Configuration Simple(const std::vector<uint64_t>& voters,
                            const std::vector<uint64_t>& learners = {}) {
  return {.voters = Nodes(voters), .outgoing_voters = {}, .learners = Nodes(learners)};
}

inline Configuration Joint(const std::vector<uint64_t>& voters,
                           const std::vector<uint64_t>& outgoing,
                           const std::vector<uint64_t>& learners = {}) {
  return {.voters = Nodes(voters), .outgoing_voters = Nodes(outgoing), .learners = Nodes(learners)};
}

}  // namespace raftkv::raft
