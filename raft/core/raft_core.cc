#include "raft/core/raft_core.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "raft/core/describe.h"

namespace raftkv::raft {

RaftCore::RaftCore(const RaftConfig& config, RestoredState restored, Rng rng)
    : config_(config),
      self_(config.self),
      configuration_(std::move(restored.configuration)),
      rng_(rng),
      log_(restored.previous, restored.previous_stamp, std::move(restored.tail), restored.applied,
           config.log_memory_bytes_max),
      hard_state_(restored.hard_state) {
  CHECK(config.Validate().ok()) << config.Validate();
  CHECK(configuration_.IsMember(self_)) << self_ << " is not in " << Describe(configuration_);
  CHECK(!configuration_.voters.empty());
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

void RaftCore::Step(Envelope envelope) {
  const InvariantScope scope(this);
  if (const absl::Status status = CheckEnvelope(envelope); !status.ok()) {
    return EmitEvent(Event::Kind::kMessageRefused, LogIndex(0),
                     absl::StrCat(Describe(envelope), ": ", status.message()));
  }
  if (!AdoptTerm(envelope)) {
    return;
  }
  if (const auto* vote_request = std::get_if<VoteRequest>(&envelope.message)) {
    vote_request->pre_vote ? HandlePreVoteRequest(envelope, *vote_request)
                           : HandleVoteRequest(envelope, *vote_request);
  } else if (const auto* vote_reply = std::get_if<VoteReply>(&envelope.message)) {
    HandleVoteReply(envelope, *vote_reply);
  } else if (auto* append = std::get_if<AppendRequest>(&envelope.message)) {
    AppendRequest request = std::move(*append);
    HandleAppendRequest(envelope, std::move(request));
  } else if (const auto* accepted = std::get_if<AppendAccepted>(&envelope.message)) {
    HandleAppendAccepted(envelope, *accepted);
  } else if (const auto* rejected = std::get_if<AppendRejected>(&envelope.message)) {
    HandleAppendRejected(envelope, *rejected);
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&envelope.message)) {
    HandleHeartbeat(envelope, *heartbeat);
  } else {
    HandleHeartbeatReply(envelope, std::get<HeartbeatReply>(envelope.message));
  }
}

// Thesis §3.3: whoever sees a higher term adopts it, and messages of lower terms are answered with
// the own one. Three exceptions: the term of a PreVote request or grant is one that nobody has
// started; and a RequestVote does not reach who has a live leader (thesis §4.2.3). A node that is
// ahead of its leader is not lost by the last: it answers the leader's next message with its own
// term.
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
    if (RAFTKV_MUTANT(kAckOfOldTermCounts) &&
        std::holds_alternative<AppendAccepted>(envelope.message)) {
      return true;
    }
    AnswerOldTerm(envelope);
    return false;
  }
  if (envelope.term == term()) {
    return true;
  }
  if (request != nullptr && HasLiveLeaderOtherThan(envelope.from)) {
    return false;
  }
  const bool from_leader = std::holds_alternative<AppendRequest>(envelope.message) ||
                           std::holds_alternative<Heartbeat>(envelope.message);
  BecomeFollower(
      envelope.term, from_leader ? envelope.from : kNobody,
      absl::StrCat("higher term ", envelope.term.value(), " from ", envelope.from.value()));
  return true;
}

void RaftCore::AnswerOldTerm(const Envelope& envelope) {
  if (std::holds_alternative<VoteRequest>(envelope.message)) {
    Reply(envelope, VoteReply{.pre_vote = false, .granted = false});
  } else if (RAFTKV_MUTANT(kStaleLeaderNotTold)) {
    return;
  } else if (std::holds_alternative<AppendRequest>(envelope.message) ||
             std::holds_alternative<Heartbeat>(envelope.message)) {
    // It answers no round; what counts is the envelope's term, which makes the stale leader step
    // down.
    Reply(envelope, HeartbeatReply{.round = RoundId(0)});
  }
}

void RaftCore::OnPersisted(WriteId last) {
  const InvariantScope scope(this);
  CHECK_GE(last, persisted_);
  CHECK_LT(last, next_write_);
  persisted_ = last;
  while (!pending_writes_.empty() && pending_writes_.front().id <= last) {
    pending_writes_.pop_front();
  }
  const bool log_advanced = log_.OnPersisted(last);
  ReleaseHeldMessages();
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
  if (!output_.messages.empty() || !output_.reads.empty() || !output_.events.empty() ||
      log_.has_unwritten() || hard_state_write_ == next_write_ || log_.has_deliverable()) {
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
  output_.committed = log_.TakeDeliverable();
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
  hard_state_write_ = next_write_;
}

bool RaftCore::DiskIsStalled() const {
  return !pending_writes_.empty() &&
         now_ticks_ - pending_writes_.front().begun_at_tick >= config_.election_timeout_ticks;
}

void RaftCore::BeginWrite() {
  const bool with_hard_state = hard_state_write_ == next_write_;
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

// A message says what a node believes under its hard state, so it must not be heard of by anybody
// while that can still be forgotten: a vote (thesis §3.8), but also any other word in a term.
// Writes become durable in order, so the entries that were in the log when it was said are durable
// too, as the tail that a candidate advertises must be.
void RaftCore::Send(NodeId to, Term term_of_message, Message message) {
  CHECK_NE(to, self_);
  Envelope envelope{
      .from = self_, .to = to, .term = term_of_message, .message = std::move(message)};
  if (hard_state_durable() || RAFTKV_MUTANT(kSendsBeforeDurable)) {
    output_.messages.push_back(std::move(envelope));
    return;
  }
  // A reply to a later round says all that the earlier one did: a stalled disk must not pile them
  // up.
  if (!held_messages_.empty() && std::holds_alternative<HeartbeatReply>(envelope.message)) {
    HeldMessage& newest = held_messages_.back();
    if (newest.said_in == term() && newest.envelope.to == to &&
        std::holds_alternative<HeartbeatReply>(newest.envelope.message)) {
      newest.envelope = std::move(envelope);
      return;
    }
  }
  held_messages_.push_back(
      {.after = hard_state_write_, .said_in = term(), .envelope = std::move(envelope)});
}

void RaftCore::ReleaseHeldMessages() {
  while (!held_messages_.empty() && held_messages_.front().after <= persisted_) {
    HeldMessage& held = held_messages_.front();
    if (held.said_in == term()) {
      output_.messages.push_back(std::move(held.envelope));
    }
    held_messages_.pop_front();
  }
}

void RaftCore::EmitEvent(Event::Kind kind, LogIndex index, std::string reason) {
  output_.events.push_back({.kind = kind,
                            .role = role(),
                            .term = term(),
                            .leader = leader(),
                            .index = index,
                            .reason = std::move(reason)});
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
  return leader != nullptr &&
         (log_.commit_index() >= leader->term_start || RAFTKV_MUTANT(kReadsBeforeOwnCommit));
}

const Configuration& RaftCore::configuration() const { return configuration_; }

const FollowerProgress* RaftCore::progress(NodeId peer) const {
  const Leader* leader = leader_role();
  if (leader == nullptr) {
    return nullptr;
  }
  const auto found = leader->followers.find(peer);
  return found == leader->followers.end() ? nullptr : &found->second;
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
  view.persisted = persisted_;
  view.next_write = next_write_;
  if (const auto* follower = std::get_if<Follower>(&role_)) {
    view.verified = follower->verified;
  } else if (const Leader* leader = leader_role()) {
    view.term_start = leader->term_start;
  }
  return view;
}

}  // namespace raftkv::raft
