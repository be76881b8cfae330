#include "tests/support/memory_log_store.h"

#include <glog/logging.h>

#include <utility>

namespace raftkv::raft {

void MemoryLogStore::Write(LogWrite write) {
  writing_.push_back(std::move(write));
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
  const size_t first = request.first.value() - 1;
  CHECK_LT(first, entries_.size());
  if (first > 0) {
    loaded.previous = entries_[first - 1].id;
  }
  uint64_t bytes = 0;
  for (size_t i = first; i < entries_.size(); ++i) {
    bytes += entries_[i].size_bytes();
    if (i > first && bytes > request.bytes_max) {
      break;
    }
    loaded.entries.push_back(entries_[i]);
  }
  loaded_.push_back(std::move(loaded));
}

std::vector<LoadedEntries> MemoryLogStore::TakeLoaded() { return std::exchange(loaded_, {}); }

void MemoryLogStore::ReleaseWrites() {
  held_ = false;
  while (FinishOneWrite()) {
  }
}

bool MemoryLogStore::FinishOneWrite() {
  if (writing_.empty()) {
    return false;
  }
  MakeDurable(std::move(writing_.front()));
  writing_.pop_front();
  return true;
}

void MemoryLogStore::Crash() {
  writing_.clear();
  loaded_.clear();
  durable_ = WriteId(0);
  news_ = false;
}

void MemoryLogStore::MakeDurable(LogWrite write) {
  CHECK_EQ(write.id, durable_.Next());
  if (write.hard_state.has_value()) {
    hard_state_ = *write.hard_state;
  }
  for (Entry& entry : write.entries) {
    CHECK_LE(entry.id.index.value(), entries_.size() + 1) << "a gap";
    entries_.resize(entry.id.index.value() - 1);
    entries_.push_back(std::move(entry));
  }
  durable_ = write.id;
  news_ = true;
}

}  // namespace raftkv::raft
