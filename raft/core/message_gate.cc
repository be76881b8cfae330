#include "raft/core/message_gate.h"

#include <glog/logging.h>

#include <utility>
#include <variant>

namespace raftkv::raft {

void MessageGate::OnHardStateChanged(WriteId carrier) {
  CHECK_GE(carrier, hard_state_write_);
  CHECK_GT(carrier, persisted_) << "what is durable carries nothing new";
  hard_state_write_ = carrier;
}

void MessageGate::OnPersisted(WriteId last, Term term, std::vector<Envelope>* out) {
  CHECK_GE(last, persisted_);
  persisted_ = last;
  while (!held_.empty() && held_.front().after <= persisted_) {
    if (held_.front().said_in == term) {
      out->push_back(std::move(held_.front().envelope));
    }
    held_.pop_front();
  }
}

void MessageGate::DropVoteRequests() {
  std::erase_if(held_, [](const HeldMessage& held) {
    return std::holds_alternative<VoteRequest>(held.envelope.message);
  });
}

void MessageGate::Pass(Envelope envelope, Term term, std::vector<Envelope>* out) {
  if (is_open()) {
    CHECK(held_.empty());
    out->push_back(std::move(envelope));
    return;
  }
  // A reply to a later round says all that the earlier one did: a stalled disk must not pile them
  // up.
  if (!held_.empty() && std::holds_alternative<HeartbeatReply>(envelope.message)) {
    HeldMessage& newest = held_.back();
    if (newest.said_in == term && newest.envelope.to == envelope.to &&
        std::holds_alternative<HeartbeatReply>(newest.envelope.message)) {
      newest.envelope = std::move(envelope);
      return;
    }
  }
  CHECK(held_.empty() || (held_.back().after <= hard_state_write_ && held_.back().said_in <= term));
  held_.push_back({.after = hard_state_write_, .said_in = term, .envelope = std::move(envelope)});
}

}  // namespace raftkv::raft
