// Elections: thesis §3.4 and §3.6.1, PreVote (§9.6),
// leader stickiness and CheckQuorum (§4.2.3, §6.2).
#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "raft/core/quorum.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {
namespace {

constexpr uint64_t kTurnTicks = 2;
// Who is to lead only where no other can leaves the others so many election timeouts, in which they
// may also try twice; and half of that when they need not wait for a timeout themselves.
constexpr uint64_t kReluctantTimeouts = 2;

std::set<NodeId> Granted(const std::map<NodeId, bool>& votes) {
  std::set<NodeId> granted;
  for (const auto& [node, vote] : votes) {
    if (vote) {
      granted.insert(node);
    }
  }
  return granted;
}

}  // namespace

TickTimer RaftCore::NewElectionTimer() {
  const uint64_t t = config_.election_timeout_ticks;
  return {.elapsed_ticks = 0,
          .limit_ticks = IsOnlyVoter() ? 1 : t + rng_.Below(t) + ReluctantTicks(kNobody)};
}

// Between 0.1 and 0.5 election timeouts: long enough for answers, short and spread enough that a
// split vote or a lost message does not cost another whole timeout.
TickTimer RaftCore::NewRetryTimer() {
  const uint64_t t = config_.election_timeout_ticks;
  return {.elapsed_ticks = 0, .limit_ticks = t / 10 + 1 + rng_.Below(t * 2 / 5)};
}

// Those who have lost the same leader take turns by priority and id, two ticks apart, which is what
// they need to notice and to answer: candidates of one moment would split the votes.
TickTimer RaftCore::NewTurnTimer(NodeId leader) const {
  uint64_t turn = 0;
  for (NodeId node : configuration().Members()) {
    const uint64_t priority = PriorityOf(node);
    const bool before_self =
        priority > config_.priority || (priority == config_.priority && node < self_);
    if (before_self && node != leader && configuration().IsVoter(node)) {
      ++turn;
    }
  }
  return {.elapsed_ticks = 0, .limit_ticks = 1 + kTurnTicks * turn + ReluctantTicks(leader) / 2};
}

uint64_t RaftCore::PriorityOf(NodeId node) const {
  if (node == self_) {
    return config_.priority;
  }
  return PublishedPriorityOf(node);
}

uint64_t RaftCore::PublishedPriorityOf(NodeId node) const {
  const auto known = priorities_.find(node);
  return known == priorities_.end() ? kPriorityDefault : known->second;
}

uint64_t RaftCore::ReluctantTicks(NodeId gone) const {
  if (config_.priority > 0) {
    return 0;
  }
  const std::set<NodeId> members = configuration().Members();
  const bool others_may = std::any_of(members.begin(), members.end(), [&](NodeId node) {
    return node != gone && configuration().IsVoter(node) && PriorityOf(node) > 0;
  });
  return others_may ? kReluctantTimeouts * config_.election_timeout_ticks : 0;
}

// Nobody else can lead, so there is nobody to wait for.
bool RaftCore::IsOnlyVoter() const {
  return !configuration().IsJoint() && configuration().voters.size() == 1 &&
         configuration().IsVoter(self_);
}

void RaftCore::TickFollower(Follower& follower) {
  ++follower.ticks_since_leader;
  ++follower.election.elapsed_ticks;
  if (!follower.election.expired()) {
    return;
  }
  EventCause cause{.reason = EventCause::Reason::kNoLeaderHeard,
                   .ticks = follower.election.elapsed_ticks};
  if (follower.leader_unreachable) {
    cause = {.reason = EventCause::Reason::kLeaderUnreachable, .peer = follower.leader};
  } else if (follower.leader != kNobody) {
    cause = {.reason = EventCause::Reason::kLeaderSilent,
             .peer = follower.leader,
             .ticks = follower.ticks_since_leader};
  }
  if (MayCampaign()) {
    BecomePreCandidate(std::move(cause));
    return;
  }
  follower.election = NewElectionTimer();
  if (follower.leader != kNobody) {
    follower.leader = kNobody;
    follower.leader_unreachable = false;
    follower.acknowledgement_due = false;
    EmitEvent(Event::Kind::kLeaderChanged, std::move(cause));
  }
}

void RaftCore::TickCandidacy(TickTimer& retry) {
  ++retry.elapsed_ticks;
  if (!retry.expired()) {
    return;
  }
  if (!MayCampaign()) {
    retry = NewRetryTimer();
    return;
  }
  BecomePreCandidate({.reason = EventCause::Reason::kElectionNotWon, .ticks = retry.elapsed_ticks});
}

void RaftCore::BecomeFollower(Term new_term, NodeId new_leader, EventCause cause) {
  CHECK_GE(new_term, term());
  const RaftRole old_role = role();
  const NodeId old_leader = leader();
  if (Leader* leading = leader_role()) {
    leading->rounds.Abort(&output_.reads);
    output_.snapshots.clear();
  }
  // They would advertise a log that has gone on by the time they leave.
  gate_.DropVoteRequests();
  std::erase_if(output_.messages, [](const Envelope& envelope) {
    return std::holds_alternative<VoteRequest>(envelope.message);
  });
  if (new_term > term()) {
    SetHardState({.term = new_term, .vote = kNobody});
  }
  role_ = Follower{
      .leader = new_leader,
      .election = NewElectionTimer(),
      .verified = log_.commit_index(),
      .acknowledged = std::min(log_.commit_index(), log_.durable_index()),
  };
  if (new_leader != kNobody) {
    leader_of_term_ = new_leader;
    passed_over_until_.erase(new_leader);
  }
  if (old_role != RaftRole::kFollower) {
    EmitEvent(Event::Kind::kRoleChanged, std::move(cause));
  } else if (old_leader != new_leader) {
    EmitEvent(Event::Kind::kLeaderChanged, std::move(cause));
  }
}

void RaftCore::OnPeerUnreachable(NodeId peer) {
  const InvariantScope scope(this);
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != peer || peer == kNobody ||
      follower->leader_unreachable) {
    return;
  }
  follower->leader_unreachable = true;
  if (const TickTimer turn = NewTurnTimer(peer);
      follower->election.elapsed_ticks + turn.limit_ticks < follower->election.limit_ticks) {
    follower->election = turn;
  }
}

void RaftCore::Retire() {
  const InvariantScope scope(this);
  retired_ = true;
  if (role() != RaftRole::kFollower) {
    BecomeFollower(term(), kNobody, {.reason = EventCause::Reason::kRetired});
  }
}

void RaftCore::BecomePreCandidate(EventCause cause) {
  CHECK(MayCampaign());
  const bool was_pre_candidate = role() == RaftRole::kPreCandidate;
  role_ = PreCandidate{.votes = {{self_, true}}, .retry = NewRetryTimer()};
  if (!was_pre_candidate) {
    EmitEvent(Event::Kind::kRoleChanged, std::move(cause));
  }
  RequestVotes(term().Next(), {.pre_vote = true, .last_entry = log_.last()});
  MaybeWinPreVote();
}

void RaftCore::BecomeCandidate(EventCause cause, bool transfer) {
  SetHardState({.term = term().Next(), .vote = self_});
  role_ = Candidate{.votes = {}, .retry = NewRetryTimer()};
  EmitEvent(Event::Kind::kRoleChanged, std::move(cause));
  RequestVotes(term(), {.last_entry = log_.last(), .transfer = transfer});
}

// Learners are not asked, but grant when they are: a voter may not yet know that it was promoted.
void RaftCore::RequestVotes(Term election_term, const VoteRequest& request) {
  for (NodeId node : configuration().Members()) {
    if (node != self_ && configuration().IsVoter(node)) {
      Send(node, election_term, request);
    }
  }
}

void RaftCore::CountOwnVote() {
  if (!hard_state_durable()) {
    return;
  }
  std::get<Candidate>(role_).votes[self_] = true;
  MaybeWinVote();
}

void RaftCore::MaybeWinPreVote() {
  const std::map<NodeId, bool>& votes = std::get<PreCandidate>(role_).votes;
  if (TallyVotes(configuration(), votes) == VoteTally::kWon) {
    BecomeCandidate({.reason = EventCause::Reason::kPreVotesWon, .nodes = Granted(votes)});
  }
}

void RaftCore::MaybeWinVote() {
  const std::map<NodeId, bool>& votes = std::get<Candidate>(role_).votes;
  if (TallyVotes(configuration(), votes) == VoteTally::kWon) {
    BecomeLeader({.reason = EventCause::Reason::kVotesWon, .nodes = Granted(votes)});
  }
}

// A leader is in contact with a quorum, or CheckQuorum would have ended its role. A request from
// the very node that this one follows shows that it leads no longer.
bool RaftCore::HasLiveLeaderOtherThan(NodeId candidate) const {
  if (leader_role() != nullptr) {
    return true;
  }
  const auto* follower = std::get_if<Follower>(&role_);
  return follower != nullptr && follower->leader != kNobody && follower->leader != candidate &&
         !follower->leader_unreachable &&
         follower->ticks_since_leader < config_.election_timeout_ticks;
}

bool RaftCore::IsUpToDate(EntryId last_entry) const {
  const EntryId own = log_.last();
  return last_entry.term > own.term ||
         (last_entry.term == own.term && last_entry.index >= own.index);
}

// Thesis §9.6. Changes nothing, the election timer included: else a node that only ever asks could
// keep the others from campaigning. A grant names the term asked about; a refusal names the own, so
// that who is behind catches up.
void RaftCore::HandlePreVoteRequest(const Envelope& envelope, const VoteRequest& request) {
  const bool grant = envelope.term > term() && !HasLiveLeaderOtherThan(envelope.from) &&
                     IsUpToDate(request.last_entry);
  Send(envelope.from, grant ? envelope.term : term(),
       VoteReply{.pre_vote = true, .granted = grant});
}

void RaftCore::HandleVoteRequest(const Envelope& envelope, const VoteRequest& request) {
  CHECK_EQ(envelope.term, term());
  const NodeId candidate = envelope.from;
  const bool vote_is_free = vote() == kNobody || vote() == candidate;
  const bool grant = vote_is_free && (request.transfer || !HasLiveLeaderOtherThan(candidate)) &&
                     IsUpToDate(request.last_entry);
  if (grant) {
    SetHardState({.term = term(), .vote = candidate});
    if (auto* follower = std::get_if<Follower>(&role_)) {
      follower->election = NewElectionTimer();
    } else {
      BecomeFollower(term(), kNobody,
                     {.reason = EventCause::Reason::kVoteGiven, .peer = candidate});
    }
  }
  Reply(envelope, VoteReply{.pre_vote = false, .granted = grant});
}

void RaftCore::HandleVoteReply(const Envelope& envelope, const VoteReply& reply) {
  if (reply.pre_vote) {
    auto* pre_candidate = std::get_if<PreCandidate>(&role_);
    const bool of_this_term = !reply.granted || envelope.term == term().Next();
    if (pre_candidate != nullptr && of_this_term) {
      // A late refusal from an earlier attempt does not take a grant back.
      pre_candidate->votes[envelope.from] |= reply.granted;
      MaybeWinPreVote();
    }
    return;
  }
  if (auto* candidate = std::get_if<Candidate>(&role_)) {
    CHECK_EQ(envelope.term, term());
    candidate->votes.emplace(envelope.from, reply.granted);
    MaybeWinVote();
  }
}

}  // namespace raftkv::raft
