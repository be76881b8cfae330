#include "raft/runtime/pending_reads.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/deadline.h"

namespace raftkv::raft {

void PendingReads::Add(MonotonicNanos deadline, MonotonicNanos now, ReadCallback done) {
  CHECK(done != nullptr);
  if (size_ >= reads_max_) {
    answers_.push_back({std::move(done), ReadResult::kOverloaded});
    return;
  }
  waiting_.push_back({.asked_at = now, .deadline = deadline, .done = std::move(done)});
  ++size_;
  next_due_ = std::min(next_due_, deadline);
}

void PendingReads::AskFor(ReadId id, Term term, bool forwarded, MonotonicNanos now) {
  CHECK(has_waiting());
  const bool inserted = groups_
                            .emplace(id, Group{.term = term,
                                               .forwarded = forwarded,
                                               .asked_at = now,
                                               .reads = std::exchange(waiting_, {})})
                            .second;
  CHECK(inserted) << "read " << id;
}

void PendingReads::OnConfirmed(ReadId id, LogIndex read_index) {
  const auto group = groups_.find(id);
  if (group == groups_.end()) {
    return;
  }
  std::vector<Read>& confirmed = confirmed_[read_index];
  std::move(group->second.reads.begin(), group->second.reads.end(), std::back_inserter(confirmed));
  groups_.erase(group);
}

std::optional<Term> PendingReads::OnRefused(ReadId id) {
  const auto group = groups_.find(id);
  if (group == groups_.end()) {
    return std::nullopt;
  }
  const Term term = group->second.term;
  Return(std::move(group->second.reads));
  groups_.erase(group);
  return term;
}

void PendingReads::ReturnForwarded() {
  for (auto& [id, group] : groups_) {
    if (group.forwarded) {
      Return(std::exchange(group.reads, {}));
    }
  }
  std::erase_if(groups_, [](const auto& item) { return item.second.forwarded; });
}

void PendingReads::ReturnOverdue(MonotonicNanos now) {
  const auto overdue = [&](const auto& item) {
    return item.second.forwarded && DeadlineAfter(item.second.asked_at, retry_after_) <= now;
  };
  for (auto& item : groups_) {
    if (overdue(item)) {
      Return(std::exchange(item.second.reads, {}));
    }
  }
  std::erase_if(groups_, overdue);
}

void PendingReads::OnApplied(LogIndex applied) {
  while (!confirmed_.empty() && confirmed_.begin()->first <= applied) {
    FinishAll(&confirmed_.begin()->second, ReadResult::kReady);
    confirmed_.erase(confirmed_.begin());
  }
}

void PendingReads::Expire(MonotonicNanos now, const LeaderWatch& watch) {
  // Without a leader the end of a wait moves as reads come, so every look is a full one; with one,
  // only deadlines matter.
  const std::optional<MonotonicNanos> nowhere_since = watch.nowhere_since();
  if (now < next_due_ && !nowhere_since.has_value()) {
    return;
  }
  next_due_ = kNever;
  FinishDue(&waiting_, ReadResult::kNoLeader, now, nowhere_since);
  for (auto& [id, group] : groups_) {
    // A group may lose all its reads and stay until its answer comes: it is small.
    FinishDue(&group.reads, ReadResult::kNoLeader, now, nowhere_since);
  }
  for (auto& [read_index, reads] : confirmed_) {
    // The leader did its part.
    FinishDue(&reads, ReadResult::kBehind, now, nowhere_since);
  }
  std::erase_if(confirmed_, [](const auto& item) { return item.second.empty(); });
}

void PendingReads::Shutdown() {
  FinishAll(&waiting_, ReadResult::kShuttingDown);
  for (auto& [id, group] : groups_) {
    FinishAll(&group.reads, ReadResult::kShuttingDown);
  }
  groups_.clear();
  for (auto& [read_index, reads] : confirmed_) {
    FinishAll(&reads, ReadResult::kShuttingDown);
  }
  confirmed_.clear();
}

std::vector<PendingReads::Answer> PendingReads::TakeAnswers() {
  return std::exchange(answers_, {});
}

void PendingReads::CheckInvariants(LogIndex applied) const {
  uint64_t size = 0;
  const auto check = [&](const std::vector<Read>& reads) {
    size += reads.size();
    for (const Read& read : reads) {
      CHECK_LE(next_due_, read.deadline) << "nobody looks when its time is over";
    }
  };
  check(waiting_);
  for (const auto& [id, group] : groups_) {
    check(group.reads);
  }
  for (const auto& [read_index, reads] : confirmed_) {
    CHECK_GT(read_index, applied) << "reads wait for what is applied";
    check(reads);
  }
  CHECK_EQ(size_, size);
}

void PendingReads::Finish(Read* read, ReadResult result) {
  CHECK_GT(size_, 0u);
  --size_;
  answers_.push_back({std::exchange(read->done, nullptr), result});
}

void PendingReads::FinishAll(std::vector<Read>* reads, ReadResult result) {
  for (Read& read : *reads) {
    Finish(&read, result);
  }
  reads->clear();
}

void PendingReads::FinishDue(std::vector<Read>* reads, ReadResult at_deadline, MonotonicNanos now,
                             std::optional<MonotonicNanos> nowhere_since) {
  for (Read& read : *reads) {
    if (nowhere_since.has_value() &&
        DeadlineAfter(std::max(*nowhere_since, read.asked_at), leader_wait_) <= now) {
      Finish(&read, ReadResult::kNoLeader);
    } else if (read.deadline <= now) {
      Finish(&read, at_deadline);
    } else {
      next_due_ = std::min(next_due_, read.deadline);
    }
  }
  // A finished read has given its callback away.
  std::erase_if(*reads, [](const Read& read) { return read.done == nullptr; });
}

void PendingReads::Return(std::vector<Read> reads) {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(reads.begin()),
                  std::make_move_iterator(reads.end()));
}

}  // namespace raftkv::raft
