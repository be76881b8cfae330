#include "tests/support/memory_log_store.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace raftkv::raft {

void MemoryLogStore::Write(LogWrite write) {
  writing_.emplace_back(std::move(write));
  if (!held_) {
    ReleaseWrites();
  }
}

std::optional<WriteId> MemoryLogStore::TakeDurable() {
  if (!std::exchange(news_, false)) {
    return std::nullopt;
  }
  return durable_;
}

void MemoryLogStore::Load(const LoadEntries& request) {
  LoadedEntries loaded{.peer = request.peer, .previous = {}, .entries = {}, .trimmed = false};
  loaded.trimmed = request.first <= previous_.index;
  if (!loaded.trimmed) {
    const size_t first = PlaceOf(request.first);
    CHECK_LT(first, entries_.size());
    loaded.previous = first == 0 ? previous_ : entries_[first - 1].id;
    uint64_t bytes = 0;
    for (size_t i = first; i < entries_.size(); ++i) {
      bytes += entries_[i].size_bytes();
      if (i > first && bytes > request.bytes_max) {
        break;
      }
      loaded.entries.push_back(entries_[i]);
    }
  }
  loaded_.push_back(std::move(loaded));
}

std::vector<LoadedEntries> MemoryLogStore::TakeLoaded() { return std::exchange(loaded_, {}); }

void MemoryLogStore::Trim(LogIndex through) {
  CHECK_LE(through, last_index()) << "what is not durable is not applied";
  if (through <= previous_.index) {
    return;
  }
  const Entry& last_trimmed = entries_[PlaceOf(through)];
  const EntryId previous = last_trimmed.id;
  previous_stamp_ = last_trimmed.stamp;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(PlaceOf(through) + 1));
  previous_ = previous;
}

LogIndex MemoryLogStore::FirstOfNewest(uint64_t bytes) const {
  LogIndex first = last_index().Next();
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->size_bytes() > bytes) {
      break;
    }
    bytes -= entry->size_bytes();
    first = entry->id.index;
  }
  return first;
}

void MemoryLogStore::Install(std::shared_ptr<StagedSnapshot> snapshot, bool keeps_log) {
  writing_.emplace_back(PendingInstall{.snapshot = std::move(snapshot), .keeps_log = keeps_log});
  if (!held_) {
    ReleaseWrites();
  }
}

std::shared_ptr<StagedSnapshot> MemoryLogStore::TakeInstalled() {
  return std::exchange(installed_, nullptr);
}

void MemoryLogStore::ReleaseWrites() {
  held_ = false;
  while (FinishOneWrite()) {
  }
}

bool MemoryLogStore::FinishOneWrite() {
  if (writing_.empty()) {
    return false;
  }
  std::visit([this](auto& work) { MakeDurable(std::move(work)); }, writing_.front());
  writing_.pop_front();
  return true;
}

void MemoryLogStore::Crash() {
  writing_.clear();
  loaded_.clear();
  installed_ = nullptr;
  durable_ = WriteId(0);
  news_ = false;
}

void MemoryLogStore::MakeDurable(LogWrite write) {
  CHECK_EQ(write.id, durable_.Next());
  if (write.hard_state.has_value()) {
    hard_state_ = *write.hard_state;
  }
  for (Entry& entry : write.entries) {
    CHECK_GT(entry.id.index, previous_.index) << "before the log's first";
    CHECK_LE(PlaceOf(entry.id.index), entries_.size()) << "a gap";
    entries_.resize(PlaceOf(entry.id.index));
    entries_.push_back(std::move(entry));
  }
  durable_ = write.id;
  news_ = true;
}

void MemoryLogStore::MakeDurable(const PendingInstall& install) {
  CHECK(installed_ == nullptr) << "a second one before the first was taken";
  const SnapshotPoint& point = install.snapshot->meta().point;
  if (install.keeps_log) {
    CHECK(point.last == previous_ ||
          (point.last.index > previous_.index && point.last.index <= last_index() &&
           entries_[PlaceOf(point.last.index)].id == point.last))
        << "the log that is to stay does not hold the snapshot's last entry";
  } else {
    entries_.clear();
    previous_ = point.last;
    previous_stamp_ = point.stamp;
  }
  installed_ = last_installed_ = install.snapshot;
}

}  // namespace raftkv::raft
