// Changes of the configuration: thesis §4.1 and §4.3.
#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {

// Two leaders of different terms could each change the members by a step whose quorums do not
// meet, if one could begin before it has committed in its term: its first commit makes sure that
// no other's uncommitted change is still to come (the single-server bug of raft-dev, 2015).
absl::StatusOr<EntryId> RaftCore::ProposeConfiguration(Configuration to, std::string payload,
                                                       ClusterMillis stamp) {
  const InvariantScope scope(this);
  RAFTKV_RETURN_IF_ERROR(CheckRoom(payload.size()));
  if (!has_committed_in_term()) {
    return absl::FailedPreconditionError(
        absl::StrCat("nothing of term ", term().value(), " is committed yet"));
  }
  const LogIndex last_change = log_.configurations().active_index();
  if (last_change > log_.commit_index()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the change of members at index ", last_change.value(), " is not committed"));
  }
  RAFTKV_RETURN_IF_ERROR(CheckSuccessor(configuration(), to));
  const EntryId id = AppendOwnEntry(EntryKind::kConfiguration, std::move(payload), stamp,
                                    std::make_shared<const Configuration>(std::move(to)));
  MaybeSwitchConfiguration();
  return id;
}

void RaftCore::MaybeSwitchConfiguration() {
  if (configuration_ == log_.configurations().active()) {
    return;
  }
  configuration_ = log_.configurations().active();
  output_.events.push_back({.kind = Event::Kind::kConfigurationChanged,
                            .role = role(),
                            .term = term(),
                            .leader = leader(),
                            .index = log_.configurations().active_index(),
                            .cause = {.reason = EventCause::Reason::kNewestInLog},
                            .configuration = configuration_});
  if (Leader* leader = leader_role()) {
    UpdateFollowers(*leader);
    // Fewer may be a quorum now.
    MaybeConfirmReads(*leader);
    MaybeCommit(*leader);
  }
}

void RaftCore::UpdateFollowers(Leader& leader) {
  std::erase_if(leader.followers,
                [this](const auto& item) { return !configuration().IsMember(item.first); });
  for (NodeId member : configuration().Members()) {
    if (member != self_) {
      leader.followers.try_emplace(member, log_.last().index.Next(), config_);
    }
  }
  if (leader.handover.has_value() && !configuration().voters.contains(leader.handover->target)) {
    EndHandover(leader,
                {.reason = EventCause::Reason::kHandoverInVain, .peer = leader.handover->target});
  }
  // Whoever is added again starts anew: an answer of before is for nobody.
  for (auto& [peer, load] : open_loads_) {
    if (!configuration().IsMember(peer)) {
      load.asked_in = Term(0);
    }
  }
}

}  // namespace raftkv::raft
