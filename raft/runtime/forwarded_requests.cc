#include "raft/runtime/forwarded_requests.h"

#include <glog/logging.h>

#include <utility>

namespace raftkv::raft {

void ForwardedRequests::Queue(NodeId origin, ForwardRequest request) {
  for (Proposal& proposal : request.proposals) {
    if (!budget_.TryTake(proposal.command.size())) {
      replies_[origin].refused_proposals.push_back(
          {.sequence = proposal.sequence, .reason = RefusalReason::kOverloaded});
      continue;
    }
    queue_.push_back({.from = origin, .term = request.term, .proposal = std::move(proposal)});
  }
}

void ForwardedRequests::Refuse(NodeId origin, const ForwardRequest& request) {
  ForwardReply& reply = replies_[origin];
  for (const Proposal& proposal : request.proposals) {
    reply.refused_proposals.push_back(
        {.sequence = proposal.sequence, .reason = RefusalReason::kNotLeader});
  }
  reply.refused_reads.insert(reply.refused_reads.end(), request.reads.begin(), request.reads.end());
}

void ForwardedRequests::RefuseOtherTerms(Term term) {
  // Terms never decrease along the queue, and none is above this member's.
  while (!queue_.empty() && queue_.front().term != term) {
    const Queued refused = TakeFront();
    budget_.GiveBack(refused.proposal.command.size());
    replies_[refused.from].refused_proposals.push_back(
        {.sequence = refused.proposal.sequence, .reason = RefusalReason::kNotLeader});
  }
}

void ForwardedRequests::CheckInvariants(Term term) const {
  for (const Queued& queued : queue_) {
    CHECK_EQ(queued.term, term) << "a proposal waits for a term that is not led here";
  }
}

ForwardedRequests::Queued ForwardedRequests::TakeFront() {
  Queued queued = std::move(queue_.front());
  queue_.pop_front();
  return queued;
}

bool ForwardedRequests::AddRead(ReadId id, NodeId origin, ReadId origin_id) {
  if (reads_.size() >= reads_max_) {
    return false;
  }
  reads_.emplace(id, ForeignRead{.origin = origin, .origin_id = origin_id});
  return true;
}

bool ForwardedRequests::OnReadOutcome(const ReadOutcome& outcome) {
  const auto read = reads_.find(outcome.id);
  if (read == reads_.end()) {
    return false;
  }
  ForwardReply& reply = replies_[read->second.origin];
  if (outcome.aborted) {
    reply.refused_reads.push_back(read->second.origin_id);
  } else {
    reply.reads.push_back({.id = read->second.origin_id, .read_index = outcome.read_index});
  }
  reads_.erase(read);
  return true;
}

std::map<NodeId, ForwardReply> ForwardedRequests::TakeReplies(Term term) {
  for (auto& [origin, reply] : replies_) {
    reply.term = term;
  }
  return std::exchange(replies_, {});
}

}  // namespace raftkv::raft
