// Leadership transfer: thesis §3.10.
#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {
namespace {

// A voter of a higher priority is handed to when it has kept up for so long, so that one that comes
// and goes is not; and after one try in vain not for so long, since each holds writes up for an
// election timeout.
constexpr uint64_t kKeptUpTimeouts = 5;
constexpr uint64_t kPassedOverTimeouts = 60;

}  // namespace

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
  BeginHandover(*leader, {.reason = EventCause::Reason::kToldToHandOver, .peer = target});
  return absl::OkStatus();
}

void RaftCore::BeginHandover(Leader& leader, EventCause cause) {
  leader.handover = Handover{.target = cause.peer};
  EmitEvent(Event::Kind::kHandoverBegun, std::move(cause));
}

NodeId RaftCore::BestTarget(const Leader& leader) const {
  NodeId best = kNobody;
  std::pair<LogIndex, uint64_t> most;  // Of a log and then of a priority.
  for (const auto& [peer, progress] : leader.followers) {
    const bool may_lead = configuration().voters.contains(peer) && progress.is_heard();
    const std::pair<LogIndex, uint64_t> has(progress.match_index(), PriorityOf(peer));
    if (may_lead && (best == kNobody || has > most)) {
      best = peer;
      most = has;
    }
  }
  if (best == kNobody) {
    return kNobody;
  }
  // The longest log saves some round trips, the right leader a second handover.
  const NodeId preferred =
      PreferredTarget(leader, PriorityOf(best), config_.election_timeout_ticks);
  return preferred != kNobody ? preferred : best;
}

NodeId RaftCore::PreferredTarget(const Leader& leader, uint64_t priority,
                                 uint64_t kept_up_ticks) const {
  NodeId preferred = kNobody;
  for (const auto& [peer, progress] : leader.followers) {
    const auto until = passed_over_until_.find(peer);
    const bool is_passed_over = until != passed_over_until_.end() && now_ticks_ < until->second;
    if (PriorityOf(peer) > priority && configuration().voters.contains(peer) &&
        progress.kept_up_ticks() >= kept_up_ticks && !is_passed_over) {
      preferred = peer;
      priority = PriorityOf(peer);
    }
  }
  return preferred;
}

void RaftCore::PassOver(NodeId target) {
  passed_over_until_[target] = now_ticks_ + kPassedOverTimeouts * config_.election_timeout_ticks;
}

// Never while something else is under way: the next tick looks again. All go by the same table,
// what is published, or two leaders might each prefer the other. And who is asked is passed over
// from then on, until it leads: it may stand and lose, which ends this node's leadership, and with
// that what it knew of its followers.
void RaftCore::MaybeHandOverByPriority(Leader& leader) {
  if (leader.handover.has_value() || !has_committed_in_term() || configuration().IsJoint() ||
      log_.configurations().active_index() > log_.commit_index()) {
    return;
  }
  const NodeId preferred = PreferredTarget(leader, PublishedPriorityOf(self_),
                                           kKeptUpTimeouts * config_.election_timeout_ticks);
  if (preferred != kNobody) {
    PassOver(preferred);
    BeginHandover(leader, {.reason = EventCause::Reason::kHigherPriority, .peer = preferred});
  }
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
  PassOver(leader.handover->target);
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
