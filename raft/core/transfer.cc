// Leadership transfer: thesis §3.10.
#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {

absl::Status RaftCore::TransferLeadership(NodeId target) {
  const InvariantScope scope(this);
  Leader* const leader = leader_role();
  if (leader == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("node ", self_.value(), " does not lead term ", term().value()));
  }
  if (target == kNobody) {
    target = leader->handover.has_value() ? leader->handover->target : BestTarget(*leader);
    if (target == kNobody) {
      return absl::FailedPreconditionError("no other voter answers");
    }
  }
  if (!configuration().voters.contains(target)) {
    return absl::InvalidArgumentError(absl::StrCat("node ", target.value(), " does not vote"));
  }
  if (target == self_) {
    return absl::OkStatus();
  }
  if (leader->handover.has_value()) {
    return leader->handover->target == target
               ? absl::OkStatus()
               : absl::FailedPreconditionError(absl::StrCat("leadership is being handed to node ",
                                                            leader->handover->target.value()));
  }
  if (!HasContact(target)) {
    return absl::FailedPreconditionError(absl::StrCat("node ", target.value(), " does not answer"));
  }
  leader->handover = Handover{.target = target};
  EmitEvent(Event::Kind::kHandoverBegun,
            {.reason = EventCause::Reason::kToldToHandOver, .peer = target});
  return absl::OkStatus();
}

NodeId RaftCore::BestTarget(const Leader& leader) const {
  NodeId best = kNobody;
  LogIndex longest(0);
  for (const auto& [peer, progress] : leader.followers) {
    const bool may_lead = configuration().voters.contains(peer) && progress.is_heard();
    if (may_lead && (best == kNobody || progress.match_index() > longest)) {
      best = peer;
      longest = progress.match_index();
    }
  }
  return best;
}

NodeId RaftCore::handing_over_to() const {
  const Leader* const leader = leader_role();
  return leader != nullptr && leader->handover.has_value() ? leader->handover->target : kNobody;
}

// A cluster that waits for its next leader serves no writes, so it does not wait for longer than it
// would without one.
void RaftCore::TickHandover(Leader& leader) {
  if (!leader.handover.has_value() || ++leader.handover->ticks < config_.election_timeout_ticks) {
    return;
  }
  EndHandover(leader, {.reason = EventCause::Reason::kHandoverLate,
                       .peer = leader.handover->target,
                       .ticks = leader.handover->ticks});
}

void RaftCore::EndHandover(Leader& leader, EventCause cause) {
  leader.handover.reset();
  EmitEvent(Event::Kind::kHandoverGivenUp, std::move(cause));
}

// Else it would lose: voters elect nobody whose log is shorter than theirs (thesis §3.6.1).
bool RaftCore::MayAskToStand(const Leader& leader) const {
  if (!leader.handover.has_value() || leader.handover->asked) {
    return false;
  }
  const FollowerProgress* const progress = leader.Find(leader.handover->target);
  return progress != nullptr && progress->match_index() == log_.last().index;
}

// What the target does not have, or cannot do, it lets pass: the leader goes on after a while.
void RaftCore::HandleTimeoutNow(const Envelope& envelope) {
  FollowSender(envelope);
  if (MayCampaign()) {
    BecomeCandidate({.reason = EventCause::Reason::kAskedToStand, .peer = envelope.from},
                    /*transfer=*/true);
  }
}

}  // namespace raftkv::raft
