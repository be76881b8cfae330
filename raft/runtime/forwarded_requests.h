// What other members forwarded to this one as the leader, and the answers to them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "raft/core/output.h"
#include "raft/core/types.h"
#include "raft/runtime/pending_proposals.h"
#include "raft/runtime/transport.h"

namespace raftkv::raft {

// Proposals wait here for a place in the log and are forgotten once they have one: their origin
// sees them applied. Reads are remembered until the core answers them. Answers to one member are
// gathered into one reply. Confined to the loop's thread.
class ForwardedRequests {
 public:
  ForwardedRequests(ProposalBudget* budget, uint64_t reads_max)
      : budget_(*budget), reads_max_(reads_max) {}

  // Queues the proposals of a request for the leader of request.term, which is this member; the
  // ones that find no room are refused as overloaded.
  void Queue(NodeId origin, ForwardRequest request);
  // Refuses all of a request: this member does not lead its term.
  void Refuse(NodeId origin, const ForwardRequest& request);
  // Refuses what is queued for other terms than `term`.
  void RefuseOtherTerms(Term term);

  // CHECKs that what is queued is for `term`, which this member leads; 0: it leads none.
  void CheckInvariants(Term term) const;

  bool has_proposals() const { return !queue_.empty(); }
  uint64_t proposals() const { return queue_.size(); }
  // REQUIRES: has_proposals().
  const Proposal& front() const { return queue_.front().proposal; }
  // Takes the front out, for the log or to be returned. REQUIRES: has_proposals().
  struct Queued {
    NodeId from;
    Term term;
    Proposal proposal;
  };
  Queued TakeFront();
  // The proposal was appended.
  void OnAppended(const Queued& queued) { budget_.GiveBack(queued.proposal.command.size()); }
  // The proposal could not be appended now: it waits in front again.
  void ReturnFront(Queued queued) { queue_.push_front(std::move(queued)); }

  // Remembers for whom the core is asked for a read index. Returns false when there are too many:
  // the read is then left unanswered, and its origin asks again.
  [[nodiscard]] bool AddRead(ReadId id, NodeId origin, ReadId origin_id);
  // Returns false when the read is not a forwarded one.
  bool OnReadOutcome(const ReadOutcome& outcome);

  bool has_replies() const { return !replies_.empty(); }
  // The answers gathered since the last call, by member; `term` is this member's.
  std::map<NodeId, ForwardReply> TakeReplies(Term term);

 private:
  struct ForeignRead {
    NodeId origin;
    ReadId origin_id;
  };

  ProposalBudget& budget_;
  const uint64_t reads_max_;
  std::deque<Queued> queue_;
  std::map<ReadId, ForeignRead> reads_;
  std::map<NodeId, ForwardReply> replies_;
};

}  // namespace raftkv::raft
