// The seam to the network between members.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "raft/core/message.h"
#include "raft/core/types.h"
#include "raft/runtime/snapshot.h"

namespace raftkv::raft {

// One command with the mark by which its origin knows it when it is applied.
struct Proposal {
  uint64_t origin = 0;    // Random id of the origin's process.
  uint64_t sequence = 0;  // Number at the origin, never used twice.
  std::string command;    // Means nothing to the runtime.
};

// What a follower asks of the member that it believes to lead.
struct ForwardRequest {
  Term term;  // The leader's; in another term the whole request is refused.
  std::vector<Proposal> proposals;
  std::vector<ReadId> reads;
};

enum class RefusalReason { kNotLeader, kOverloaded };

struct RefusedProposal {
  uint64_t sequence = 0;
  RefusalReason reason = RefusalReason::kNotLeader;
};

struct ConfirmedRead {
  ReadId id;
  LogIndex read_index;
};

// The answer to parts of earlier ForwardRequests. A proposal that was appended is not answered: its
// origin sees it applied.
struct ForwardReply {
  Term term;                                       // The answering member's.
  std::vector<RefusedProposal> refused_proposals;  // Certainly not appended.
  std::vector<ConfirmedRead> reads;
  std::vector<ReadId> refused_reads;
};

// Carries messages to other members. It may lose, delay and reorder them, but not alter or
// misdeliver them; messages of one ForwardRequest stream arrive in order or the stream is reported
// lost. Calls return at once; what cannot be queued within the transport's bounds is dropped.
// Confined to the loop's thread.
class Transport {
 public:
  virtual ~Transport() = default;

  // `cluster_time` is stamped on what a leader sends.
  virtual void Send(Envelope envelope, ClusterMillis cluster_time) = 0;
  // Whether proposals that are forwarded now would leave soon. Else they had better wait for that
  // with their owner, who still knows then that they have no effect; the loop turns when it
  // changes. Says nothing about whether `leader` is reached: only Forward does.
  [[nodiscard]] virtual bool HasForwardRoom(NodeId leader) const = 0;
  // Returns false when the request certainly did not and will not leave: no stream,
  // or its queue is full.
  [[nodiscard]] virtual bool Forward(NodeId leader, ForwardRequest request) = 0;
  virtual void ReplyToForward(NodeId origin, ForwardReply reply) = 0;

  // Brings a snapshot to a follower, as the leader of `term`; RaftDriver::OnSnapshotSent hears how
  // that ended, never inside this call. At most one at a time per follower.
  virtual void SendSnapshot(NodeId peer, Term term, std::unique_ptr<SnapshotReader> snapshot) = 0;
  // The snapshot under way to `peer` is of no use any more: gives it up without telling the driver.
  // Nothing happens when there is none.
  virtual void StopSnapshot(NodeId peer) = 0;
};

}  // namespace raftkv::raft
