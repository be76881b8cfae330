// A state machine that remembers what it was told, in order.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "raft/runtime/state_machine.h"

namespace raftkv::raft {

// The outcome of command "c" is "done c". Confined to one thread.
class RecordingStateMachine final : public StateMachine {
 public:
  size_t Apply(absl::Span<const Entry> run, OutcomeObserver* observer) override;
  EntryId applied() const override { return applied_; }

  // At most this many entries are taken by each Apply from now on; 0 stalls.
  void TakeAtMost(size_t entries) { entries_max_ = entries; }
  void TakeAll() { entries_max_ = std::numeric_limits<size_t>::max(); }

  // Every command, in the order in which they were applied.
  const std::vector<std::string>& commands() const { return commands_; }
  // Entries of commands only.
  const std::vector<Entry>& command_entries() const { return command_entries_; }
  // Entries in each call of Apply that took any.
  const std::vector<size_t>& runs() const { return runs_; }
  size_t CountOf(const std::string& command) const;

 private:
  void ApplyCommands(const Entry& entry, OutcomeObserver* observer);

  size_t entries_max_ = std::numeric_limits<size_t>::max();
  EntryId applied_;
  std::vector<std::string> commands_;
  std::vector<Entry> command_entries_;
  std::vector<size_t> runs_;
};

}  // namespace raftkv::raft
