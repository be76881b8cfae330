// A state machine that remembers what it was told, in order.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stable_hash.h"
#include "raft/runtime/state_machine.h"

namespace raftkv::raft {

// What a RecordingStateMachine carries from one member to another.
struct RecordedState {
  SnapshotMeta meta;
  std::vector<std::string> commands;
};

// Staged by a RecordingStateMachine, or by a test.
class RecordedSnapshot final : public StagedSnapshot {
 public:
  explicit RecordedSnapshot(RecordedState state)
      : StagedSnapshot(state.meta), commands_(std::move(state.commands)) {}
  const std::vector<std::string>& commands() const { return commands_; }

 private:
  const std::vector<std::string> commands_;
};

// The outcome of command "c" is "done c". Confined to one thread.
class RecordingStateMachine final : public StateMachine {
 public:
  // Commands in a chunk of a snapshot.
  static constexpr size_t kChunkCommands = 16;

  size_t Apply(absl::Span<const Entry> run, OutcomeObserver* observer) override;
  // Over all commands, in their order.
  std::optional<uint64_t> StateHash(LogIndex index) const override;
  EntryId applied() const override { return meta_.point.last; }
  std::unique_ptr<SnapshotReader> TakeSnapshot() override;
  std::unique_ptr<SnapshotWriter> StageSnapshot(const SnapshotPoint& point) override;
  // The snapshot is a RecordedSnapshot.
  bool Adopt(const StagedSnapshot& snapshot) override;

  // What counts before the first entry.
  void Found(Configuration configuration) { meta_.configuration = std::move(configuration); }
  const Configuration& configuration() const { return meta_.configuration; }

  // At most this many entries are taken by each Apply from now on; 0 stalls.
  void TakeAtMost(size_t entries) { entries_max_ = entries; }
  void TakeAll() { entries_max_ = std::numeric_limits<size_t>::max(); }
  // Whether Adopt says that it cannot yet.
  void HoldAdopt(bool hold) { adopt_held_ = hold; }
  // Changes the state behind its back: `command` is in it from now on, and no entry brought it.
  void Bend(const std::string& command);
  // As a start: of states before the applied one nothing is known.
  void ForgetHashes();

  // Every command, in the order in which they were applied, here or where a snapshot is from.
  const std::vector<std::string>& commands() const { return commands_; }
  // Entries of commands only, that were applied here.
  const std::vector<Entry>& command_entries() const { return command_entries_; }
  // Entries in each call of Apply that took any.
  const std::vector<size_t>& runs() const { return runs_; }
  size_t CountOf(const std::string& command) const;
  uint64_t snapshots_taken() const { return snapshots_taken_; }
  uint64_t snapshots_adopted() const { return snapshots_adopted_; }

 private:
  void ApplyCommands(const Entry& entry, OutcomeObserver* observer);
  void AddCommand(std::string command);

  size_t entries_max_ = std::numeric_limits<size_t>::max();
  bool adopt_held_ = false;
  SnapshotMeta meta_;  // Of a snapshot taken now.
  std::vector<std::string> commands_;
  std::vector<Entry> command_entries_;
  std::vector<size_t> runs_;
  uint64_t state_hash_ = kStableHashOfNothing;
  std::map<LogIndex, uint64_t> hashes_;  // The newest kHashesKept.
  uint64_t snapshots_taken_ = 0;
  uint64_t snapshots_adopted_ = 0;
};

}  // namespace raftkv::raft
