// The snapshots that a leader brings to followers: which are under way, whose turn is next, and
// what of the log they need afterwards.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/clock.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// A book, which begins and ends nothing itself. Of one time as a leader: Clear ends it. Confined to
// the loop's thread.
class SnapshotTransfers {
 public:
  // `at_once_max` are under way at most; after one that failed its follower gets none for
  // `retry_after`.
  SnapshotTransfers(uint64_t at_once_max, MonotonicNanos retry_after)
      : at_once_max_(at_once_max), retry_after_(retry_after) {}

  // `peer` lacks what is trimmed. Nothing happens while one is under way to it, or it waits.
  void Want(NodeId peer);
  // Who is to be brought one now, if anybody; it does not wait any more. Whoever is not there, as
  // `is_heard` tells, goes on waiting.
  std::optional<NodeId> TakeNext(MonotonicNanos now, absl::FunctionRef<bool(NodeId)> is_heard);
  // Somebody's turn would be now if fewer were under way, and one is to a follower that is away for
  // long, as `is_lost` tells: that one, and it is not under way any more.
  std::optional<NodeId> MakeRoom(MonotonicNanos now, absl::FunctionRef<bool(NodeId)> is_heard,
                                 absl::FunctionRef<bool(NodeId)> is_lost);
  // One is under way to `peer`, which stands at `point`.
  void OnBegun(NodeId peer, LogIndex point);
  // It ended; when it was `taken`, the follower needs the entries from there to `log_end` next.
  // Returns false, changing nothing, when none was under way.
  bool OnEnded(NodeId peer, bool taken, LogIndex log_end, MonotonicNanos now);
  // The log is being trimmed up to `through`: whose entries go is not catching up any more. Returns
  // the followers whose snapshot is for nothing therefore, and is not under way any more.
  std::vector<NodeId> OnTrimmed(LogIndex through);
  // Forgets all that is not of use: of members that are no followers any more, and of those that
  // wait and need none any more. Returns whose were under way.
  std::vector<NodeId> KeepOnly(absl::FunctionRef<bool(NodeId)> is_follower,
                               absl::FunctionRef<bool(NodeId)> needs_one);
  // Ends all. Returns whose were under way.
  std::vector<NodeId> Clear();

  bool empty() const { return under_way_.empty() && waiting_.empty(); }
  // Whose are under way.
  std::vector<NodeId> UnderWay() const;
  // For each follower that is brought a snapshot, or that has one and has not caught up with the
  // log since: the entries after this are needed by it. `match_index` tells how far a follower is
  // known to be.
  std::vector<LogIndex> NeededAfter(absl::FunctionRef<LogIndex(NodeId)> match_index);

 private:
  // The first in waiting_ whose turn may be now.
  std::deque<NodeId>::iterator FindNext(MonotonicNanos now,
                                        absl::FunctionRef<bool(NodeId)> is_heard);

  struct CatchUp {
    LogIndex reached;  // The point of the snapshot that it took, or as far as it came since.
    LogIndex log_end;  // Where the log ended by then: it needs what lies between.
  };

  // Constant after construction.
  const uint64_t at_once_max_;
  const MonotonicNanos retry_after_;

  std::deque<NodeId> waiting_;            // Invariant: nobody in it is in under_way_.
  std::map<NodeId, LogIndex> under_way_;  // The snapshots' points.
  std::map<NodeId, CatchUp> catching_up_;
  // Of those whose last one failed.
  std::map<NodeId, MonotonicNanos> not_before_;
};

}  // namespace raftkv::raft
