// A log store in memory whose disk a test can stop.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <variant>
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
  // At once.
  void Trim(LogIndex through) override;
  // Counts as the core does.
  LogIndex FirstOfNewest(uint64_t bytes) const override;
  void Install(std::shared_ptr<StagedSnapshot> snapshot, bool keeps_log) override;
  std::shared_ptr<StagedSnapshot> TakeInstalled() override;

  // While held, writes and snapshots pile up and do not become durable.
  void HoldWrites() { held_ = true; }
  void ReleaseWrites();
  // Makes the oldest write or snapshot durable although they are held. Returns whether there was
  // one.
  bool FinishOneWrite();

  // Forgets what is not durable, as a crash does; WriteIds start anew.
  void Crash();

  // Whether a turn of the driver would find something finished.
  bool has_news() const { return news_ || !loaded_.empty() || installed_ != nullptr; }
  // What a crash would leave.
  const HardState& hard_state() const { return hard_state_; }
  // The entry before the first, and its stamp; {0, 0} at the start of the log.
  EntryId previous() const { return previous_; }
  ClusterMillis previous_stamp() const { return previous_stamp_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // The last that was made the member's state; null: none ever was.
  const std::shared_ptr<StagedSnapshot>& last_installed() const { return last_installed_; }

 private:
  struct PendingInstall {
    std::shared_ptr<StagedSnapshot> snapshot;
    bool keeps_log;
  };

  void MakeDurable(LogWrite write);
  void MakeDurable(const PendingInstall& install);
  LogIndex last_index() const { return previous_.index + entries_.size(); }
  // The place in entries_. REQUIRES: index > previous_.index.
  size_t PlaceOf(LogIndex index) const { return index - previous_.index - 1; }

  bool held_ = false;
  std::deque<std::variant<LogWrite, PendingInstall>> writing_;
  // Durable state. entries_ follows previous_ without gaps.
  HardState hard_state_;
  EntryId previous_;
  ClusterMillis previous_stamp_;
  std::vector<Entry> entries_;
  std::shared_ptr<StagedSnapshot> last_installed_;
  WriteId durable_;
  bool news_ = false;
  std::vector<LoadedEntries> loaded_;
  std::shared_ptr<StagedSnapshot> installed_;
};

}  // namespace raftkv::raft
