// What a RaftCore wants done. The fields stand in the order in which they are to be carried out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "raft/core/configuration.h"
#include "raft/core/message.h"
#include "raft/core/types.h"

namespace raftkv::raft {

enum class RaftRole { kFollower, kPreCandidate, kCandidate, kLeader };

// One write to the log store, to be made durable as a whole and in the order of ids. Entries follow
// each other without a gap; an entry at an index that the store holds already replaces it and
// everything after it.
struct LogWrite {
  WriteId id;
  std::optional<HardState> hard_state;
  std::vector<Entry> entries;
};

// Asks for entries that are no longer in memory. Answered by RaftCore::OnEntriesLoaded. At most one
// per peer is open.
struct LoadEntries {
  NodeId peer;         // For whom; comes back with the answer.
  LogIndex first;      // At least 1.
  uint64_t bytes_max;  // At least one entry is returned, however large.
};

// A linearizable read may be served once `read_index` is applied; or, `aborted`, this node stopped
// leading before a quorum confirmed, and the read must be asked for again.
struct ReadOutcome {
  ReadId id;
  bool aborted = false;
  LogIndex read_index;
};

// Why something happened.
struct EventCause {
  enum class Reason {
    kNoLeaderHeard,      // For `ticks`.
    kLeaderSilent,       // `peer`, for `ticks`.
    kLeaderUnreachable,  // `peer`: RaftCore::OnPeerUnreachable.
    kElectionNotWon,     // Within `ticks`.
    kPreVotesWon,        // Of `nodes`.
    kVotesWon,           // Of `nodes`.
    kHigherTerm,         // Of `peer`.
    kVoteGiven,          // To `peer`.
    kAskedToStand,       // By leader `peer`.
    kToldToHandOver,     // To `peer`: RaftCore::TransferLeadership.
    kHigherPriority,     // `peer` is rather to lead: RaftCore::SetPriorities.
    kHandoverLate,       // `peer` did not take over within `ticks`.
    kHandoverInVain,     // `peer` does not vote any more.
    kLeaderHeard,        // `peer`.
    kQuorumLost,         // A leader heard of no quorum for an election timeout.
    kDiskStalled,        // A leader's log write took longer than `ticks`.
    kLogConflict,        // With the leader's log.
    kNewestInLog,        // Of the configurations there.
    kRemoved,            // A leader committed a configuration in which it does not vote.
    kRetired,            // RaftCore::Retire.
    kLogHeldIt,          // The last entry of a snapshot: the log stays.
    kLogLackedIt,        // The log ended before it or contradicted it, and begins after it now.
  };
  Reason reason;
  NodeId peer = kNobody;
  uint64_t ticks = 0;
  std::set<NodeId> nodes = {};
};

// What happened, for logs, metrics and transcripts. One struct for all; Describe (describe.h) makes
// it a line.
struct Event {
  enum class Kind {
    kRoleChanged,    // role, term and leader say the new state.
    kLeaderChanged,  // This follower now follows `leader` in `term` (or nobody).
    kLogTruncated,   // Entries from `index` on conflicted with the leader's and are gone.
    // `configuration`, of the entry at `index`, counts from now on: an entry came or went. 0: it
    // was applied before the start.
    kConfigurationChanged,
    kSnapshotInstalled,  // This follower's state is that of the leader as of `index`.
    kHandoverBegun,      // This leader appends nothing until another leads.
    kHandoverGivenUp,    // This leader goes on.
  };
  Kind kind;
  RaftRole role = RaftRole::kFollower;
  Term term;
  NodeId leader = kNobody;
  LogIndex index;
  EventCause cause;
  std::shared_ptr<const Configuration> configuration = nullptr;
};

struct Output {
  // 1. Hand to the log store; report with OnPersisted when durable. The messages below need not
  //    wait for it: what must wait is held back inside the core.
  std::optional<LogWrite> write;
  // 2. Send, in order per addressee.
  std::vector<Envelope> messages;
  // 3. Read from the log store.
  std::vector<LoadEntries> loads;
  //    To these followers bring a snapshot of the applied state, since what they lack is trimmed;
  //    report with OnSnapshotEnded. Asked for again after every loss of the append stream.
  std::vector<NodeId> snapshots;
  // 4. Apply, in order; report with OnApplied. Committed and durable here.
  //    Each entry is handed out once.
  std::vector<Entry> committed;
  // 5. Answer reads.
  std::vector<ReadOutcome> reads;
  // 6. Tell people.
  std::vector<Event> events;
};

}  // namespace raftkv::raft
