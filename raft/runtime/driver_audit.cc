// RaftDriver's part in audits (raft/runtime/state_audit.h).
#include <optional>
#include <utility>
#include <variant>

#include "raft/runtime/raft_driver.h"

namespace raftkv::raft {

void RaftDriver::TickAudit() {
  if (core_->role() != RaftRole::kLeader) {
    audit_.Stop();
    return;
  }
  audit_.Tick(
      {.term = core_->term(),
       .self = core_->self(),
       .configuration = core_->configuration(),
       .applied = state_machine_->applied().index},
      [this](LogIndex index) { return state_machine_->StateHash(index); }, clock_->Now());
  TellVerdicts();
}

void RaftDriver::TakeAuditNews(const Envelope& envelope) {
  // The core takes messages of old terms, too, to answer them.
  if (envelope.term != core_->term()) {
    return;
  }
  if (const auto* heartbeat = std::get_if<Heartbeat>(&envelope.message)) {
    TakeOrders(envelope, heartbeat->news);
  } else if (core_->role() == RaftRole::kLeader) {
    audit_.TakeAnswer(envelope.from, envelope.term,
                      std::get<HeartbeatReply>(envelope.message).news);
    TellVerdicts();
  }
}

void RaftDriver::TakeOrders(const Envelope& envelope, const ClusterNews& news) {
  asked_ = {.term = envelope.term, .leader = envelope.from, .index = news.audited};
  if (news.differs_at == LogIndex(0)) {
    return;
  }
  // By now the state machine may have forgotten what this member answered.
  const std::optional<uint64_t> own = answered_.index == news.differs_at
                                          ? answered_.state_hash
                                          : state_machine_->StateHash(news.differs_at);
  // Nothing is known of a state of before the start, or before a snapshot, and it may have become
  // right since it was judged: the next audit asks about the one of now.
  if (own.has_value() && *own != news.right_hash) {
    StopDiffering({.index = news.differs_at, .own_hash = *own, .right_hash = news.right_hash});
  }
}

// What leaves now may have been said in an earlier term, or before this member's role changed.
void RaftDriver::AddAuditNews(Envelope* envelope) {
  if (auto* heartbeat = std::get_if<Heartbeat>(&envelope->message)) {
    heartbeat->news.audited = audit_.Ask(envelope->term, clock_->Now());
    const StateDifference difference = audit_.DifferenceOf(envelope->to, envelope->term);
    heartbeat->news.differs_at = difference.index;
    heartbeat->news.right_hash = difference.right_hash;
  } else if (auto* reply = std::get_if<HeartbeatReply>(&envelope->message)) {
    const bool is_asked = asked_.index != LogIndex(0) && envelope->term == asked_.term &&
                          envelope->to == asked_.leader;
    const std::optional<uint64_t> hash =
        is_asked ? state_machine_->StateHash(asked_.index) : std::nullopt;
    if (hash.has_value()) {
      answered_ = {.index = asked_.index, .state_hash = *hash};
      reply->news.audited = answered_.index;
      reply->news.state_hash = answered_.state_hash;
    }
  }
}

void RaftDriver::TellVerdicts() {
  const Term term = core_->term();
  for (const NodeId member : audit_.TakeFound()) {
    const StateDifference difference = audit_.DifferenceOf(member, term);
    if (member == core_->self()) {
      StopDiffering(difference);
    } else {
      observer_->OnMemberDiffers(member, difference);
    }
  }
  const LogIndex told = std::exchange(told_disagreement_, audit_.disagreement());
  if (told == LogIndex(0) && told_disagreement_ != LogIndex(0)) {
    observer_->OnStatesDisagree(told_disagreement_);
  }
}

void RaftDriver::StopDiffering(const StateDifference& difference) {
  if (std::exchange(differs_, true)) {
    return;
  }
  // Before anybody hears of it: nothing that waits here may be committed or confirmed by it.
  Retire();
  observer_->OnStateDiffers(difference);
}

}  // namespace raftkv::raft
