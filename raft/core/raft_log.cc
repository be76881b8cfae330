#include "raft/core/raft_log.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace raftkv::raft {

RaftLog::RaftLog(RestoredState restored, uint64_t memory_bytes_max)
    : memory_bytes_max_(memory_bytes_max),
      previous_(restored.previous),
      previous_stamp_(restored.previous_stamp),
      configurations_(std::move(restored.configuration)),
      next_to_write_(previous_.index.Next()),
      durable_(previous_.index),
      commit_(restored.applied.index),
      handed_out_(restored.applied.index),
      applied_(restored.applied.index) {
  const EntryId applied = restored.applied;
  CHECK_LE(previous_.index, applied.index);
  for (Entry& entry : restored.tail) {
    Append(std::move(entry));
  }
  durable_ = last().index;
  next_to_write_ = durable_.Next();
  const std::optional<Term> applied_term = TermAt(applied.index);
  CHECK(applied_term.has_value()) << "the log ends at " << last().index << ", before applied entry "
                                  << applied.index;
  CHECK_EQ(*applied_term, applied.term) << "at applied index " << applied.index;
  TrimMemory();
}

std::optional<Term> RaftLog::TermAt(LogIndex index) const {
  if (index == LogIndex(0)) {
    return Term(0);
  }
  if (index < previous_.index || index > last().index) {
    return std::nullopt;
  }
  return index == previous_.index ? previous_.term : At(index).id.term;
}

ClusterMillis RaftLog::StampAt(LogIndex index) const {
  return index == previous_.index ? previous_stamp_ : At(index).stamp;
}

const Entry& RaftLog::At(LogIndex index) const {
  CHECK_GE(index, first_index());
  CHECK_LE(index, last().index);
  return entries_[index - first_index()];
}

std::vector<Entry> RaftLog::EntriesFrom(LogIndex first, uint64_t bytes_max) const {
  std::vector<Entry> result = {At(first)};
  uint64_t bytes = result.front().size_bytes();
  for (LogIndex index = first.Next(); index <= last().index; index = index.Next()) {
    const Entry& entry = At(index);
    bytes += entry.size_bytes();
    if (bytes > bytes_max) {
      break;
    }
    result.push_back(entry);
  }
  return result;
}

uint64_t RaftLog::BytesAfter(LogIndex index) const {
  uint64_t bytes = 0;
  for (LogIndex i = index.Next(); i <= last().index; i = i.Next()) {
    bytes += At(i).size_bytes();
  }
  return bytes;
}

LogIndex RaftLog::LastIndexWithTermAtMost(LogIndex bound, Term term) const {
  bound = std::min(bound, last().index);
  if (bound <= previous_.index) {
    return bound;
  }
  const auto end = entries_.begin() + static_cast<ptrdiff_t>(bound - previous_.index);
  const auto first_above = std::partition_point(
      entries_.begin(), end, [term](const Entry& entry) { return entry.id.term <= term; });
  return previous_.index + static_cast<uint64_t>(first_above - entries_.begin());
}

void RaftLog::Append(Entry entry) {
  CHECK_EQ(entry.id.index, last().index.Next());
  CHECK_GE(entry.id.term, last().term);
  CHECK_GE(entry.stamp, last_stamp()) << "at index " << entry.id.index;
  CHECK_EQ(entry.kind == EntryKind::kConfiguration, entry.configuration != nullptr);
  // What is applied is in the configuration as of the applied index.
  if (entry.configuration != nullptr && entry.id.index > applied_) {
    configurations_.OnAppended(entry.id.index, entry.configuration, entry.payload);
  }
  memory_bytes_ += entry.size_bytes();
  entries_.push_back(std::move(entry));
}

std::optional<LogIndex> RaftLog::Merge(std::vector<Entry> entries) {
  std::optional<LogIndex> truncated_from;
  for (Entry& entry : entries) {
    const LogIndex index = entry.id.index;
    if (index <= last().index) {
      const std::optional<Term> own_term = TermAt(index);
      // Memory keeps all that is not committed, so what it does not hold agrees.
      if (!own_term.has_value() || *own_term == entry.id.term) {
        continue;
      }
      // Thesis §3.5: only a real conflict truncates; a shorter or older message must not.
      TruncateFrom(index);
      truncated_from = index;
    }
    Append(std::move(entry));
  }
  return truncated_from;
}

void RaftLog::TruncateFrom(LogIndex index) {
  CHECK_GT(index, commit_) << "a leader contradicts a committed entry";
  CHECK_LE(index, last().index);
  const LogIndex kept = index.Previous();
  while (last().index > kept) {
    memory_bytes_ -= entries_.back().size_bytes();
    entries_.pop_back();
  }
  configurations_.OnTruncated(index);
  durable_ = std::min(durable_, kept);
  next_to_write_ = std::min(next_to_write_, index);
  for (PendingWrite& write : pending_writes_) {
    write.last = std::min(write.last, kept);
  }
}

std::vector<Entry> RaftLog::BeginWrite(WriteId id) {
  CHECK(pending_writes_.empty() || pending_writes_.back().id < id);
  std::vector<Entry> result;
  for (; next_to_write_ <= last().index; next_to_write_ = next_to_write_.Next()) {
    result.push_back(At(next_to_write_));
  }
  pending_writes_.push_back({.id = id, .last = last().index});
  return result;
}

bool RaftLog::OnPersisted(WriteId last_id) {
  const LogIndex before = durable_;
  while (!pending_writes_.empty() && pending_writes_.front().id <= last_id) {
    durable_ = std::max(durable_, pending_writes_.front().last);
    pending_writes_.pop_front();
  }
  CHECK_LT(durable_, next_to_write_);
  TrimMemory();
  return durable_ > before;
}

bool RaftLog::CommitTo(LogIndex index) {
  CHECK_LE(index, last().index);
  if (index <= commit_) {
    return false;
  }
  commit_ = index;
  return true;
}

LogIndex RaftLog::DeliverableIndex() const { return std::min(commit_, durable_); }

std::vector<Entry> RaftLog::TakeDeliverable() {
  std::vector<Entry> result;
  for (; has_deliverable(); handed_out_ = handed_out_.Next()) {
    result.push_back(At(handed_out_.Next()));
  }
  return result;
}

void RaftLog::OnApplied(LogIndex applied) {
  CHECK_GE(applied, applied_);
  CHECK_LE(applied, handed_out_);
  applied_ = applied;
  configurations_.OnApplied(applied);
  TrimMemory();
}

void RaftLog::AdvanceTo(EntryId last) {
  CHECK(TermAt(last.index) == last.term) << "the log does not hold the snapshot's last entry";
  CHECK_GT(last.index, handed_out_);
  CHECK_LE(last.index, durable_);
  CommitTo(last.index);
  handed_out_ = last.index;
  OnApplied(last.index);
}

void RaftLog::ResetTo(const SnapshotMeta& snapshot) {
  const EntryId last = snapshot.point.last;
  CHECK_GT(last.index, commit_) << "a snapshot takes committed entries back";
  CHECK(!has_unwritten()) << "entries from " << next_to_write_ << " on would come after it";
  entries_.clear();
  memory_bytes_ = 0;
  previous_ = last;
  previous_stamp_ = snapshot.point.stamp;
  // Not even an uncommitted configuration of the old log may count any more (openraft#1808).
  configurations_.OnReplaced(snapshot.configuration);
  next_to_write_ = last.index.Next();
  durable_ = commit_ = handed_out_ = applied_ = last.index;
  for (PendingWrite& write : pending_writes_) {
    write.last = std::min(write.last, last.index);
  }
}

void RaftLog::TrimMemory() {
  const LogIndex keep_after = std::min(applied_, durable_);
  while (memory_bytes_ > memory_bytes_max_ && !entries_.empty() &&
         entries_.front().id.index <= keep_after) {
    memory_bytes_ -= entries_.front().size_bytes();
    previous_ = entries_.front().id;
    previous_stamp_ = entries_.front().stamp;
    entries_.pop_front();
  }
}

}  // namespace raftkv::raft
