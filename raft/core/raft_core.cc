#include "raft/core/raft_core.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "raft/core/describe.h"

namespace raftkv::raft {

RaftCore::RaftCore(const RaftConfig& config, RestoredState restored, Rng rng)
    : config_(config),
      self_(config.self),
      rng_(rng),
      hard_state_(restored.hard_state),
      log_(std::move(restored), config.log_memory_bytes_max),
      configuration_(log_.configurations().active()) {
  CHECK(config.Validate().ok()) << config.Validate();
  CHECK(!configuration().voters.empty());
  CHECK_GE(hard_state_.term, log_.last().term);
  role_ = Follower{.election = NewElectionTimer(),
                   .verified = log_.commit_index(),
                   .acknowledged = log_.commit_index()};
  CheckState(View());
}

RaftCore::~RaftCore() = default;

void RaftCore::Tick() {
  const InvariantScope scope(this);
  ++now_ticks_;
  if (auto* follower = std::get_if<Follower>(&role_)) {
    TickFollower(*follower);
  } else if (auto* pre_candidate = std::get_if<PreCandidate>(&role_)) {
    TickCandidacy(pre_candidate->retry);
  } else if (auto* candidate = std::get_if<Candidate>(&role_)) {
    // Nobody was asked before the own vote is durable, so nobody is late.
    if (hard_state_durable()) {
      TickCandidacy(candidate->retry);
    }
  } else {
    TickLeader(std::get<Leader>(role_));
  }
}

// One handler for each kind of message; another kind does not compile without one.
class RaftCore::Dispatch {
 public:
  Dispatch(RaftCore* core, const Envelope& envelope) : core_(*core), envelope_(envelope) {}

  void operator()(const VoteRequest& request) {
    request.pre_vote ? core_.HandlePreVoteRequest(envelope_, request)
                     : core_.HandleVoteRequest(envelope_, request);
  }
  void operator()(const VoteReply& reply) { core_.HandleVoteReply(envelope_, reply); }
  void operator()(AppendRequest& request) {
    core_.HandleAppendRequest(envelope_, std::move(request));
  }
  void operator()(const AppendAccepted& reply) { core_.HandleAppendAccepted(envelope_, reply); }
  void operator()(const AppendRejected& reply) { core_.HandleAppendRejected(envelope_, reply); }
  void operator()(const Heartbeat& heartbeat) { core_.HandleHeartbeat(envelope_, heartbeat); }
  void operator()(const HeartbeatReply& reply) { core_.HandleHeartbeatReply(envelope_, reply); }
  void operator()(const TimeoutNow& /*request*/) { core_.HandleTimeoutNow(envelope_); }

 private:
  RaftCore& core_;
  const Envelope& envelope_;
};

absl::Status RaftCore::Take(Envelope envelope) {
  const InvariantScope scope(this);
  if (absl::Status possible = CheckMessage(envelope); !possible.ok()) {
    return possible;
  }
  if (IsReply(envelope.message) && !configuration().IsMember(envelope.from)) {
    return absl::OkStatus();
  }
  if (AdoptTerm(envelope)) {
    std::visit(Dispatch(this, envelope), envelope.message);
  }
  return absl::OkStatus();
}

// Thesis §3.3: whoever sees a higher term adopts it, and messages of lower terms are answered with
// the own one. Three exceptions: the term of a PreVote request or grant is one that nobody has
// started; and a RequestVote does not reach who has a live leader (thesis §4.2.3), unless a leader
// asked for it. A node that is ahead of its leader is not lost by the last: it answers the leader's
// next message with its own term.
bool RaftCore::AdoptTerm(const Envelope& envelope) {
  const auto* request = std::get_if<VoteRequest>(&envelope.message);
  const auto* reply = std::get_if<VoteReply>(&envelope.message);
  if ((request != nullptr && request->pre_vote) ||
      (reply != nullptr && reply->pre_vote && reply->granted)) {
    return true;
  }
  if (envelope.term < term()) {
    // A voter that is behind may well refuse a PreVote.
    if (reply != nullptr && reply->pre_vote) {
      return true;
    }
    AnswerOldTerm(envelope);
    return false;
  }
  if (envelope.term == term()) {
    return true;
  }
  if (request != nullptr && !request->transfer && HasLiveLeaderOtherThan(envelope.from)) {
    return false;
  }
  BecomeFollower(envelope.term, IsFromLeader(envelope.message) ? envelope.from : kNobody,
                 {.reason = EventCause::Reason::kHigherTerm, .peer = envelope.from});
  return true;
}

void RaftCore::AnswerOldTerm(const Envelope& envelope) {
  if (std::holds_alternative<VoteRequest>(envelope.message)) {
    Reply(envelope, VoteReply{.pre_vote = false, .granted = false});
  } else if (IsFromLeader(envelope.message)) {
    // It answers no round; what counts is the envelope's term, which makes the stale leader step
    // down.
    Reply(envelope, HeartbeatReply{.round = RoundId(0)});
  }
}

void RaftCore::OnPersisted(WriteId last) {
  const InvariantScope scope(this);
  CHECK_LT(last, next_write_);
  gate_.OnPersisted(last, term(), &output_.messages);
  while (!pending_writes_.empty() && pending_writes_.front().id <= last) {
    pending_writes_.pop_front();
  }
  const bool log_advanced = log_.OnPersisted(last);
  if (auto* follower = std::get_if<Follower>(&role_)) {
    MaybeAcknowledge(*follower);
  } else if (std::holds_alternative<Candidate>(role_)) {
    CountOwnVote();
  } else if (Leader* leader = leader_role(); leader != nullptr && log_advanced) {
    MaybeCommit(*leader);
  }
}

void RaftCore::OnApplied(LogIndex last) {
  const InvariantScope scope(this);
  log_.OnApplied(last);
}

bool RaftCore::HasOutput() const {
  if (!output_.messages.empty() || !output_.snapshots.empty() || !output_.reads.empty() ||
      !output_.events.empty() || log_.has_unwritten() || gate_.hard_state_write() == next_write_ ||
      MayHandOut()) {
    return true;
  }
  if (const auto* follower = std::get_if<Follower>(&role_)) {
    return follower->acknowledgement_due;
  }
  const Leader* leader = leader_role();
  return leader != nullptr && LeaderHasOutput(*leader);
}

// Appends, read rounds and acknowledgements are only formed here, so that all inputs of a turn
// share them.
Output RaftCore::TakeOutput() {
  const InvariantScope scope(this);
  if (Leader* leader = leader_role()) {
    SendLeaderOutput(*leader);
  } else if (auto* follower = std::get_if<Follower>(&role_)) {
    SendAcknowledgement(*follower);
  }
  BeginWrite();
  if (MayHandOut()) {
    output_.committed = log_.TakeDeliverable();
  }
  return std::exchange(output_, Output());
}

void RaftCore::SetHardState(HardState hard_state) {
  if (hard_state == hard_state_) {
    return;
  }
  if (hard_state.term > hard_state_.term) {
    leader_of_term_ = kNobody;
  }
  hard_state_ = hard_state;
  gate_.OnHardStateChanged(next_write_);
}

bool RaftCore::DiskIsStalled() const {
  return !pending_writes_.empty() &&
         now_ticks_ - pending_writes_.front().begun_at_tick >= config_.election_timeout_ticks;
}

void RaftCore::BeginWrite() {
  const bool with_hard_state = gate_.hard_state_write() == next_write_;
  if (!with_hard_state && !log_.has_unwritten()) {
    return;
  }
  LogWrite write;
  write.id = next_write_;
  if (with_hard_state) {
    write.hard_state = hard_state_;
  }
  write.entries = log_.BeginWrite(next_write_);
  pending_writes_.push_back({.id = next_write_, .begun_at_tick = now_ticks_});
  next_write_ = next_write_.Next();
  output_.write = std::move(write);
}

void RaftCore::Send(NodeId to, Term term_of_message, Message message) {
  CHECK_NE(to, self_);
  gate_.Pass({.from = self_, .to = to, .term = term_of_message, .message = std::move(message)},
             term(), &output_.messages);
}

void RaftCore::EmitEvent(Event::Kind kind, EventCause cause, LogIndex index) {
  output_.events.push_back({.kind = kind,
                            .role = role(),
                            .term = term(),
                            .leader = leader(),
                            .index = index,
                            .cause = std::move(cause)});
}

NodeId RaftCore::self() const { return self_; }

RaftRole RaftCore::role() const {
  static_assert(std::is_same_v<std::variant_alternative_t<3, Role>, Leader>);
  return static_cast<RaftRole>(role_.index());
}

Term RaftCore::term() const { return hard_state_.term; }
NodeId RaftCore::vote() const { return hard_state_.vote; }

NodeId RaftCore::leader() const {
  if (const auto* follower = std::get_if<Follower>(&role_)) {
    return follower->leader;
  }
  return leader_role() != nullptr ? self_ : kNobody;
}

EntryId RaftCore::last_entry() const { return log_.last(); }

ClusterMillis RaftCore::last_stamp() const { return log_.last_stamp(); }
LogIndex RaftCore::commit_index() const { return log_.commit_index(); }
LogIndex RaftCore::applied_index() const { return log_.applied_index(); }
LogIndex RaftCore::durable_index() const { return log_.durable_index(); }

uint64_t RaftCore::uncommitted_entries() const {
  const Leader* leader = leader_role();
  if (leader == nullptr) {
    return 0;
  }
  return log_.last().index - std::max(log_.commit_index(), leader->term_start.Previous());
}

bool RaftCore::has_committed_in_term() const {
  const Leader* leader = leader_role();
  return leader != nullptr && log_.commit_index() >= leader->term_start;
}

const FollowerProgress* RaftCore::progress(NodeId peer) const {
  const Leader* leader = leader_role();
  if (leader == nullptr) {
    return nullptr;
  }
  return leader->Find(peer);
}

void RaftCore::CheckNothingIsOverdue() const {
  CHECK(configuration_ == log_.configurations().active())
      << "the log has another configuration: " << Describe(*log_.configurations().active());
  CHECK(!retired_ || role() == RaftRole::kFollower) << "a retired node is a " << Describe(role());
  const Leader* leader = leader_role();
  if (leader == nullptr) {
    return;
  }
  const LogIndex reached = QuorumIndex(*leader);
  CHECK(reached < leader->term_start || reached <= log_.commit_index())
      << reached << " is not committed, though a quorum holds it";
  CHECK(!leader->rounds.confirms() || QuorumRound(*leader) < leader->rounds.awaited_round())
      << "reads wait, though a quorum has answered";
}

CoreView RaftCore::View() const {
  CoreView view;
  view.self = self_;
  view.role = role();
  view.hard_state = hard_state_;
  view.hard_state_durable = hard_state_durable();
  view.leader_of_term = leader_of_term_;
  view.memory_previous = log_.previous();
  view.memory_entries = log_.entry_count();
  view.last = log_.last();
  view.commit = log_.commit_index();
  view.commit_term = log_.TermAt(log_.commit_index());
  view.handed_out = log_.handed_out_index();
  view.applied = log_.applied_index();
  view.durable = log_.durable_index();
  view.persisted = gate_.persisted();
  view.next_write = next_write_;
  view.open_loads = open_loads_.size();
  view.installing = is_installing();
  if (const auto* follower = std::get_if<Follower>(&role_)) {
    view.verified = follower->verified;
  } else if (const Leader* leader = leader_role()) {
    view.term_start = leader->term_start;
  }
  return view;
}

}  // namespace raftkv::raft
