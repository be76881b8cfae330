// A log store in memory whose disk a test can stop.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "raft/runtime/log_store.h"

namespace raftkv::raft {

// Confined to one thread.
class MemoryLogStore final : public LogStore {
 public:
  void Write(LogWrite write) override;
  std::optional<WriteId> TakeDurable() override;
  void Load(const LoadEntries& request) override;
  std::vector<LoadedEntries> TakeLoaded() override;

  // While held, writes pile up and do not become durable.
  void HoldWrites() { held_ = true; }
  void ReleaseWrites();
  // Makes the oldest write durable although writes are held. Returns whether there was one.
  bool FinishOneWrite();

  // Forgets what is not durable, as a crash does; WriteIds start anew.
  void Crash();

  // Whether a turn of the driver would find something finished.
  bool has_news() const { return news_ || !loaded_.empty(); }
  // What a crash would leave.
  const HardState& hard_state() const { return hard_state_; }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void MakeDurable(LogWrite write);

  bool held_ = false;
  std::deque<LogWrite> writing_;
  // Durable state: entries_[i] has index i + 1.
  HardState hard_state_;
  std::vector<Entry> entries_;
  WriteId durable_;
  bool news_ = false;
  std::vector<LoadedEntries> loaded_;
};

}  // namespace raftkv::raft
