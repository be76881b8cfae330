// What a leader knows of one follower's log and what it has under way to it. Every transition
// between its states is made here.
//
//            accepted
//   Probe ------------------> Replicate ---+ accepted: the window shrinks
//     |  <------------------      ^        | sent: the window grows, next moves on
//     |   rejected,               +--------+
//     |   stream lost,                |
//     |   window stuck                | what comes next is trimmed
//     +--- rejected: next moves back  v
//     +--- trimmed --------------> Snapshot, until the follower accepts, or the stream is lost or
//                                  nothing brings a snapshot any more: back to Probe
//
// Probe: next_index() is a guess; one message at a time asks about it. Replicate: the logs agree
// before next_index(); entries go out without waiting, up to the window. Snapshot: the log does not
// hold what the follower lacks; nothing is appended. Whoever leaves Snapshot for Probe is asked at
// the end of the log: how far it is by then only the follower knows, and its answer may have been
// lost. Confined to one thread.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/core/config.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// Appends sent and not acknowledged, in order, bounded by number and bytes; the last one may exceed
// the bytes.
class InflightWindow {
 public:
  InflightWindow(uint64_t appends_max, uint64_t bytes_max)
      : appends_max_(appends_max), bytes_max_(bytes_max) {}

  bool empty() const { return appends_.empty(); }
  bool full() const { return appends_.size() >= appends_max_ || bytes_ >= bytes_max_; }
  uint64_t size() const { return appends_.size(); }
  uint64_t bytes_left() const { return bytes_ >= bytes_max_ ? 0 : bytes_max_ - bytes_; }

  // REQUIRES: !full(), and `last` is after the newest.
  void Add(LogIndex last, uint64_t bytes);
  // Removes what ends at `match_index` or before.
  void Acknowledge(LogIndex match_index);
  void Clear();

 private:
  struct Append {
    LogIndex last;
    uint64_t bytes;
  };

  // Constant after construction.
  const uint64_t appends_max_;
  const uint64_t bytes_max_;

  std::deque<Append> appends_;
  uint64_t bytes_ = 0;  // Invariant: the sum over appends_.
};

class FollowerProgress {
 public:
  // A follower that is not heard for so many is not waited for.
  static constexpr uint64_t kLostElectionTimeouts = 10;
  enum class State { kProbe, kReplicate, kSnapshot };

  // Starts in Probe. REQUIRES: next_index >= 1.
  FollowerProgress(LogIndex next_index, const RaftConfig& config);

  State state() const { return state_; }
  LogIndex match_index() const { return match_index_; }
  LogIndex next_index() const { return next_index_; }
  const InflightWindow& window() const { return window_; }
  // Whether there is something to send, when the leader's log ends at `last`.
  bool WantsAppend(LogIndex last) const;
  // How many bytes of entries the next message may carry.
  uint64_t append_bytes_max() const;

  // An append left that carries `bytes` of entries up to `last`, and the commit index. REQUIRES:
  // WantsAppend held.
  void OnSent(LogIndex last, uint64_t bytes, LogIndex commit_index);
  // Returns whether match_index() rose. Old and repeated answers change nothing.
  bool OnAccepted(LogIndex match_index);
  // The follower's log does not hold `rejected`, and agrees at `agree` at best: back to probing.
  // Returns false, and changes nothing, when the answer is an old one.
  bool OnRejected(LogIndex rejected, LogIndex agree);
  // What is under way may be lost: back to probing. A probe keeps its guess. The leader's log ends
  // at `last`.
  void OnStreamLost(LogIndex last);
  // The entries from next_index() on are not in the leader's log any more.
  void OnTrimmed();
  // Nothing brings the follower a snapshot any more; the leader's log ends at `last`. Changes
  // nothing outside Snapshot.
  void OnSnapshotEnded(LogIndex last);

  // One tick has passed; the leader's log ends at `last`.
  void Tick(LogIndex last);
  // The follower sent something in this term.
  void OnContact() { ticks_since_contact_ = 0; }
  // The follower received part of what is under way, so the rest still is.
  void OnPartTaken();
  // The follower answers, so what it did not answer for long was lost: sends the probe again, or
  // leaves Replicate when the window has not moved for an election timeout.
  void OnHeartbeatReply(RoundId round);
  // It sent something within an election timeout, or has not been followed for so long yet.
  bool is_heard() const { return ticks_since_contact_ < election_timeout_ticks_; }
  // It sent nothing for the longest time that a follower waits for its leader.
  bool is_silent() const { return ticks_since_contact_ >= 2 * election_timeout_ticks_; }
  // It sent nothing for so long that it need not be waited for.
  bool is_lost() const {
    return ticks_since_contact_ >= kLostElectionTimeouts * election_timeout_ticks_;
  }
  RoundId answered_round() const { return answered_round_; }
  // For so long it has been heard and in Replicate, and has had all that the leader had an election
  // timeout before; less than an election timeout says little.
  uint64_t kept_up_ticks() const { return kept_up_ticks_; }

  // The part of the commit index that is safe to tell: what the follower is known to hold.
  LogIndex SafeCommitIndex(LogIndex commit_index) const;
  // The largest commit index that a message has brought to the follower, if it arrived.
  LogIndex told_commit_index() const { return told_commit_index_; }
  void OnCommitIndexSent(LogIndex commit_index);

 private:
  void BecomeProbe(LogIndex next_index);
  void BecomeReplicate();
  void MeasureKeepingUp(LogIndex last);

  // Constant after construction.
  const uint64_t append_bytes_max_;
  const uint64_t probe_lost_ticks_;  // An unanswered probe of this age is sent again.
  // A window that has not moved for so long is given up, and silence of so long is an absence.
  const uint64_t election_timeout_ticks_;

  State state_ = State::kProbe;
  LogIndex match_index_;  // Never falls within a leader's term.
  LogIndex next_index_;   // Invariant: next_index_ > match_index_.
  // Probe only.
  bool probe_outstanding_ = false;
  uint64_t ticks_since_probe_ = 0;
  // Replicate only.
  InflightWindow window_;
  uint64_t ticks_since_window_moved_ = 0;

  uint64_t ticks_since_contact_ = 0;
  RoundId answered_round_;
  LogIndex told_commit_index_;

  uint64_t kept_up_ticks_ = 0;
  // Where the leader's log ended so many ticks ago. The follower is to have that within an election
  // timeout.
  LogIndex keep_up_mark_;
  uint64_t ticks_since_mark_ = 0;
};

}  // namespace raftkv::raft
