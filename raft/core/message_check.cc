// What a correct peer never says. Raft trusts its members, so this is no defence against lies in
// general; it keeps a faulty member's word from ending the process or from reaching the log.
#include <glog/logging.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {
namespace {

absl::Status CheckAppend(Term term, const AppendRequest& request) {
  EntryId before = request.previous;
  if (before.index.value() > kNumberMax || request.commit_index.value() > kNumberMax) {
    return absl::InvalidArgumentError("an index is out of range");
  }
  std::optional<ClusterMillis> stamp;
  for (const Entry& entry : request.entries) {
    if (entry.id.index != before.index.Next()) {
      return absl::InvalidArgumentError(
          absl::StrCat("entry ", Describe(entry.id), " does not follow ", Describe(before)));
    }
    if (entry.id.term < before.term || (stamp.has_value() && entry.stamp < *stamp)) {
      return absl::InvalidArgumentError(
          absl::StrCat("entry ", Describe(entry.id), " goes back in term or time"));
    }
    before = entry.id;
    stamp = entry.stamp;
  }
  if (before.term > term) {
    return absl::InvalidArgumentError(
        absl::StrCat("entry ", Describe(before), " is of a later term than its message"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RaftCore::CheckMessage(const Envelope& envelope) const {
  absl::Status status = CheckEnvelope(envelope);
  // Old messages are dealt with before what they say matters; it may well have been right once.
  if (!status.ok() || envelope.term < term()) {
    return status;
  }
  if (IsFromLeader(envelope.message)) {
    status = CheckClaimToLead(envelope);
  }
  if (const auto* append = std::get_if<AppendRequest>(&envelope.message)) {
    status.Update(CheckAgainstAgreed(envelope, *append));
  } else if (const auto* reply = std::get_if<VoteReply>(&envelope.message)) {
    // A candidate asks for votes when its own is durable (thesis §3.8).
    const bool grant_of_this_term = reply->granted && !reply->pre_vote && envelope.term == term();
    if (grant_of_this_term && role() == RaftRole::kCandidate && !hard_state_durable()) {
      return absl::InvalidArgumentError("no vote was asked for yet");
    }
  }
  return status;
}

absl::Status RaftCore::CheckEnvelope(const Envelope& envelope) const {
  if (envelope.to != self_) {
    return absl::InvalidArgumentError(absl::StrCat("this is node ", self_.value()));
  }
  if (envelope.from == self_ || envelope.from == kNobody) {
    return absl::InvalidArgumentError("the sender is no other member");
  }
  if (envelope.term.value() > kNumberMax) {
    return absl::InvalidArgumentError("the term is out of range");
  }
  if (const auto* append = std::get_if<AppendRequest>(&envelope.message)) {
    return CheckAppend(envelope.term, *append);
  }
  const auto* vote = std::get_if<VoteRequest>(&envelope.message);
  if (vote != nullptr && vote->pre_vote && vote->transfer) {
    return absl::InvalidArgumentError("nobody is asked to stand for a PreVote");
  }
  return envelope.term < term() ? absl::OkStatus() : CheckAgainstLog(envelope);
}

// What a message claims about this node's own log or rounds. Old messages are dealt with before it
// matters.
absl::Status RaftCore::CheckAgainstLog(const Envelope& envelope) const {
  const LogIndex last = log_.last().index;
  if (const auto* heartbeat = std::get_if<Heartbeat>(&envelope.message)) {
    // A leader tells of nothing that this node has not acknowledged to it.
    if (heartbeat->commit_index > last || heartbeat->held_by_all > last) {
      return absl::InvalidArgumentError(absl::StrCat("the log ends at ", last.value()));
    }
  }
  const Leader* leader = leader_role();
  if (leader == nullptr || envelope.term > term()) {
    return absl::OkStatus();
  }
  const auto* accepted = std::get_if<AppendAccepted>(&envelope.message);
  if (accepted != nullptr && accepted->match_index > last) {
    return absl::InvalidArgumentError(absl::StrCat("the log ends at ", last.value()));
  }
  const auto* reply = std::get_if<HeartbeatReply>(&envelope.message);
  if (reply != nullptr && reply->round > leader->rounds.last_round()) {
    return absl::InvalidArgumentError("the round was not begun");
  }
  return absl::OkStatus();
}

// Thesis §3.4: at most one leader in a term.
absl::Status RaftCore::CheckClaimToLead(const Envelope& envelope) const {
  if (envelope.term > term() || leader_of_term_ == kNobody || leader_of_term_ == envelope.from) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("node ", leader_of_term_.value(), " leads term ",
                                                 term().value(), ", node ", envelope.from.value(),
                                                 " cannot"));
}

// What is committed is in every later leader's log (thesis §3.6.3), and what agreed once with this
// term's leader agrees for ever (thesis §3.3: a leader only appends). What memory no longer holds
// is committed and taken to agree.
absl::Status RaftCore::CheckAgainstAgreed(const Envelope& envelope,
                                          const AppendRequest& request) const {
  const auto* follower = std::get_if<Follower>(&role_);
  const bool same_leader =
      follower != nullptr && envelope.term == term() && follower->leader == envelope.from;
  const LogIndex agreed = same_leader ? follower->verified : log_.commit_index();
  const auto contradicted = [&](EntryId id) {
    const std::optional<Term> own = id.index <= agreed ? log_.TermAt(id.index) : std::nullopt;
    return own.has_value() && *own != id.term;
  };
  if (contradicted(request.previous)) {
    return ContradictsAgreed(request.previous);
  }
  for (const Entry& entry : request.entries) {
    if (contradicted(entry.id)) {
      return ContradictsAgreed(entry.id);
    }
  }
  return CheckFirstNewStamp(request);
}

absl::Status RaftCore::ContradictsAgreed(EntryId id) const {
  return absl::InvalidArgumentError(
      absl::StrCat(Describe(id), " contradicts entry ",
                   Describe(EntryId{*log_.TermAt(id.index), id.index}), ", which was agreed on"));
}

// Cluster time does not go back along the log. REQUIRES: nothing agreed is contradicted.
absl::Status RaftCore::CheckFirstNewStamp(const AppendRequest& request) const {
  if (!HoldsEntry(request.previous)) {
    return absl::OkStatus();  // It will be rejected.
  }
  for (const Entry& entry : request.entries) {
    const LogIndex index = entry.id.index;
    const bool held =
        index <= log_.last().index && log_.TermAt(index).value_or(entry.id.term) == entry.id.term;
    if (held) {
      continue;
    }
    const ClusterMillis before = log_.StampAt(index.Previous());
    if (entry.stamp < before) {
      return absl::InvalidArgumentError(
          absl::StrCat("entry ", Describe(entry.id), " is stamped ", entry.stamp.value(),
                       ", before the entry that it follows: ", before.value()));
    }
    break;  // The others are in order among themselves.
  }
  return absl::OkStatus();
}

}  // namespace raftkv::raft
