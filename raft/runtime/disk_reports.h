// DiskReports knows whose disks are nearly full, for all that this member was told: a leader by the
// others' replies to its heartbeats, everybody else by the leader. It decides nothing by that.
#pragma once

#include <set>
#include <vector>

#include "raft/core/message.h"
#include "raft/core/raft_core.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// Confined to one thread.
class DiskReports {
 public:
  void SetOwn(bool low) { own_ = low; }
  bool own() const { return own_; }

  // What `envelope` tells, which the core has taken. Ignored unless it was said to the leader of
  // the core's term, or by it.
  void Note(const RaftCore& core, const Envelope& envelope);

  // Voters whose disks are nearly full, ascending. A leader counts those that told it in its term,
  // and not those that it has not heard for an election timeout: who is away holds nobody up. A
  // follower believes its leader, and what it knows of itself. Without a leader it knows no more
  // than that.
  std::vector<NodeId> Low(const RaftCore& core) const;

 private:
  bool own_ = false;
  // What was said in this term: to this member, which led, or by its leader. Of an older term it
  // is nothing that counts.
  Term term_;
  std::set<NodeId> low_;
};

}  // namespace raftkv::raft
