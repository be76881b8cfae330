#include "raft/core/configuration.h"

namespace raftkv::raft {

std::set<NodeId> Configuration::Members() const {
  std::set<NodeId> members = voters;
  members.insert(outgoing_voters.begin(), outgoing_voters.end());
  members.insert(learners.begin(), learners.end());
  return members;
}

}  // namespace raftkv::raft
