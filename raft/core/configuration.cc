#include "raft/core/configuration.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"

namespace raftkv::raft {

std::set<NodeId> Configuration::Members() const {
  std::set<NodeId> members = voters;
  members.insert(outgoing_voters.begin(), outgoing_voters.end());
  members.insert(learners.begin(), learners.end());
  return members;
}

absl::Status CheckSuccessor(const Configuration& from, const Configuration& to) {
  const auto refused = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat(Describe(to), " cannot follow ", Describe(from), ": ", why));
  };
  if (to.voters.empty()) {
    return refused("nobody votes");
  }
  if (std::any_of(to.learners.begin(), to.learners.end(),
                  [&](NodeId learner) { return to.IsVoter(learner); })) {
    return refused("a learner votes");
  }
  if (!to.IsJoint()) {
    return to.voters == from.voters ? absl::OkStatus()
                                    : refused("other voters need a joint configuration first");
  }
  if (from.IsJoint()) {
    return refused("the joint configuration must be left first");
  }
  return to.outgoing_voters == from.voters ? absl::OkStatus()
                                           : refused("all voters of before must be outgoing");
}

}  // namespace raftkv::raft
