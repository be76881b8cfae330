// What a RaftDriver is told once, at construction.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "base/clock.h"

namespace raftkv::raft {

struct DriverOptions {
  // Own entries not yet committed while the next batch gathers; 1 was best where it was measured,
  // on small machines.
  uint64_t uncommitted_entries_max = 1;
  // The same where the next command fills an entry by itself: there is nothing to gather.
  uint64_t uncommitted_large_entries_max = 4;
  // Commands and bytes of one entry; a larger single command is sent alone.
  uint64_t entry_commands_max = 1024;
  uint64_t entry_bytes_max = 512 << 10;
  // Bytes of the entries applied at once; a larger single entry is applied alone.
  uint64_t apply_bytes_max = 1 << 20;
  // Proposals waiting for a place in the log or for their outcome, and their bytes; beyond it they
  // are refused.
  uint64_t proposals_max = 32 << 10;
  uint64_t proposal_bytes_max = 64 << 20;
  // Proposals forwarded to the leader of the term, on a stream that still stands, whose outcome is
  // not known here, and their bytes; beyond it they wait. A larger single one is forwarded alone.
  uint64_t forwarded_max = 8 << 10;
  uint64_t forwarded_bytes_max = 16 << 20;
  // Reads waiting; beyond it they are refused.
  uint64_t reads_max = 32 << 10;
  // How long a request waits for a leader that will have it; usually 3 election timeouts.
  MonotonicNanos leader_wait = 3 * kNanosPerSecond;
  // What the log may take on the disk, roughly; beyond it entries go that a follower may lack, and
  // that one needs a snapshot then.
  uint64_t log_bytes_max = uint64_t{1} << 30;
  // Applied entries that stay although every member holds them, and at most a quarter of
  // log_bytes_max: a short absence needs no snapshot.
  uint64_t log_entries_kept = 10'000;
  // Snapshots under way at once; further followers wait.
  uint64_t snapshots_max = 2;
  // A snapshot that failed is not begun again before this.
  MonotonicNanos snapshot_retry_after = kNanosPerSecond;
  // A read that was forwarded is asked for again after this long without an answer; usually an
  // election timeout.
  MonotonicNanos read_retry_after = kNanosPerSecond;

  // InvalidArgument naming the field, its value and its bound.
  absl::Status Validate() const;
};

}  // namespace raftkv::raft
