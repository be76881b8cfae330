// The newest part of the log, in memory, and the marks on it: what was handed to the log store,
// what is durable, committed, handed out for applying, and applied.
//
//   previous_ | first .. applied .. handed out .. commit .. last
//   (on disk) |          applied <= handed out <= min(commit, durable)
//
// Durability is counted by WriteId, never by (term, index): when entries are overwritten and come
// back, the end of an older write says nothing about them. Truncation lowers the durable mark and
// what pending writes stand for.
//
// An installed snapshot raises all the marks to where it stands: it is durable, and what it stands
// for is committed and applied. Confined to one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "raft/core/configuration_history.h"
#include "raft/core/restored_state.h"
#include "raft/core/snapshot.h"
#include "raft/core/types.h"

namespace raftkv::raft {

class RaftLog {
 public:
  // The restored log (restored_state.h): `tail` is durable, and committed up to `applied`.
  // REQUIRES: previous.index <= applied.index <= the last index, and the terms agree.
  RaftLog(RestoredState restored, uint64_t memory_bytes_max);

  EntryId last() const { return entries_.empty() ? previous_ : entries_.back().id; }
  ClusterMillis last_stamp() const {
    return entries_.empty() ? previous_stamp_ : entries_.back().stamp;
  }
  // The entry before the first in memory.
  EntryId previous() const { return previous_; }
  LogIndex first_index() const { return previous_.index.Next(); }
  uint64_t entry_count() const { return entries_.size(); }
  uint64_t memory_bytes() const { return memory_bytes_; }
  // Term 0 at index 0; nothing where memory does not reach.
  std::optional<Term> TermAt(LogIndex index) const;
  // 0 at index 0. REQUIRES: previous().index <= index <= last().index.
  ClusterMillis StampAt(LogIndex index) const;
  // REQUIRES: the entry is in memory.
  const Entry& At(LogIndex index) const;
  // Entries from `first` on, as many as `bytes_max` allows but at least one. REQUIRES: `first` is
  // in memory.
  std::vector<Entry> EntriesFrom(LogIndex first, uint64_t bytes_max) const;
  // Bytes of the entries after `index`. REQUIRES: all of them are in memory.
  uint64_t BytesAfter(LogIndex index) const;

  // The largest index up to `bound` whose entry has a term of at most `term`: at a conflict, whole
  // terms can be skipped this way (thesis §3.5). What lies below memory counts as such an entry.
  LogIndex LastIndexWithTermAtMost(LogIndex bound, Term term) const;

  // REQUIRES: it follows last(), and its stamp does not go back.
  void Append(Entry entry);
  // Makes the log agree with a leader's `entries`. Only where an entry's term differs, it and what
  // follows go (returns from where); a late copy of an old message changes nothing. CHECKs that
  // nothing committed goes. REQUIRES: the entries are contiguous, start at most at last().index +
  // 1, and the log agrees right before them.
  std::optional<LogIndex> Merge(std::vector<Entry> entries);

  bool has_unwritten() const { return next_to_write_ <= last().index; }
  // The entries that the next write is to carry, which from here on is `id`. May be none.
  std::vector<Entry> BeginWrite(WriteId id);
  // Every write up to `last` is durable. Returns whether durable_index() rose.
  bool OnPersisted(WriteId last);

  // Raises the commit index. Returns whether it rose. REQUIRES: index <= last().index.
  bool CommitTo(LogIndex index);
  bool has_deliverable() const { return handed_out_ < DeliverableIndex(); }
  // Committed and durable entries that were not handed out before.
  std::vector<Entry> TakeDeliverable();
  // REQUIRES: applied_index() <= applied <= handed_out_index().
  void OnApplied(LogIndex applied);

  // A snapshot that stands at `last`, an entry of this log, was installed: the log stays as it is,
  // committed and applied up to there. REQUIRES: `last` is durable and was not handed out.
  void AdvanceTo(EntryId last);
  // The snapshot was installed in place of the log: all entries go, and the log goes on after it.
  // REQUIRES: all was written, and nothing at or after the snapshot's last entry is committed.
  void ResetTo(const SnapshotMeta& snapshot);

  LogIndex commit_index() const { return commit_; }
  LogIndex durable_index() const { return durable_; }
  LogIndex handed_out_index() const { return handed_out_; }
  LogIndex applied_index() const { return applied_; }
  // Those of the entries, durable or not.
  const ConfigurationHistory& configurations() const { return configurations_; }

 private:
  struct PendingWrite {
    WriteId id;
    LogIndex last;  // Durable up to here when the write ends.
  };

  LogIndex DeliverableIndex() const;
  void TruncateFrom(LogIndex index);
  // Forgets the oldest entries beyond the memory limit, as far as they are applied and durable.
  void TrimMemory();

  // Constant after construction.
  const uint64_t memory_bytes_max_;

  EntryId previous_;
  ClusterMillis previous_stamp_;
  // Invariant: contiguous, right after previous_; terms and stamps never fall.
  std::deque<Entry> entries_;
  uint64_t memory_bytes_ = 0;  // Invariant: the sum of entries_' size_bytes().
  ConfigurationHistory configurations_;

  LogIndex next_to_write_;  // Invariant: durable_ < next_to_write_ <= last().index + 1.
  std::deque<PendingWrite> pending_writes_;  // Invariant: every `last` is below next_to_write_.
  LogIndex durable_;
  LogIndex commit_;
  LogIndex handed_out_;
  LogIndex applied_;  // Invariant: applied_ <= handed_out_ <= min(commit_, durable_).
};

}  // namespace raftkv::raft
