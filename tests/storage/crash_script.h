// A workload for a Storage together with what the disk must hold after each of its writes. The
// writes of a script reach the write-ahead log one after the other, so whatever a crash leaves must
// be the state after one of them: no earlier one than was acknowledged, no later one than was
// begun.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "raft/core/output.h"
#include "raft/core/snapshot.h"
#include "raft/core/types.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {

// Everything that a Storage keeps, but for the data id, in a form of its own.
struct StoreState {
  struct Row {
    std::shared_ptr<const std::string> value;
    int64_t create_revision = 0;
    int64_t mod_revision = 0;
    int64_t version = 0;
    uint64_t deadline = 0;

    friend bool operator==(const Row& a, const Row& b);
  };

  bool founded = false;
  raft::HardState hard_state;
  LogEdge start;  // What the log follows.
  std::vector<raft::Entry> log;
  raft::EntryId applied;
  uint64_t applied_stamp = 0;
  int64_t revision = 0;
  uint64_t configured_at = 0;  // Index of the entry that brought the configuration; 0: founded.
  std::map<std::string, Row> keys;
  uint64_t cluster_time = 0;  // Where the clock goes on: the largest of what was saved and stamped.

  // Of the last entry of the log, or of what it follows when it is empty.
  uint64_t last() const { return start.id.index.value() + log.size(); }
  uint64_t last_stamp() const {
    return log.empty() ? start.stamp.value() : log.back().stamp.value();
  }
  // REQUIRES: it is in the log.
  const raft::Entry& At(uint64_t index) const { return log.at(index - start.id.index.value() - 1); }
  // Cuts the log's end off.
  void KeepUpTo(uint64_t index) { log.resize(index - start.id.index.value()); }
};

// Whether `found` is the state that is expected. A saved cluster time may be missing: storage skips
// saving it rather than wait.
bool Matches(const StoreState& expected, const StoreState& found);

// One line of what differs, for people.
std::string DescribeDifference(const StoreState& expected, const StoreState& found);

// What an open storage holds. DataLoss when it reports that something is corrupted. Takes the
// storage's Restore.
absl::StatusOr<StoreState> ReadState(Store* store);

struct ScriptOptions {
  uint64_t seed = 1;
  int steps = 100;
  uint64_t value_bytes_max = 3000;
  bool reopens = true;
  bool snapshots = true;
  uint64_t staging_writes_max = 0;  // Appends while a snapshot is staged.
};

// A random sequence of: appends of one or more writes at once, with new terms and votes and with
// suffixes that conflict; applied entries with puts, keys that expire, deletes and expiries; saved
// cluster times; trims of the log; snapshots that are staged and take the place of the state, and
// of the log or not; and ends and new openings of the storage.
class CrashScript {
 public:
  struct Step {
    enum class Kind { kFound, kWrite, kApply, kSaveTime, kTrim, kInstall, kReopen };
    Kind kind = Kind::kReopen;
    // Ids are given when they are handed over. Of kInstall: while the snapshot is being staged.
    std::vector<raft::LogWrite> writes;
    std::vector<raft::Entry> entries;  // To apply.
    raft::ClusterReading reading;
    uint64_t trim_through = 0;
    raft::SnapshotPoint point;
    std::vector<std::string> chunks;
    bool keeps_log = false;
    size_t states = 0;  // How many there are once the step is done.
  };

  // Goes on from the last state of `history`, which is not empty.
  CrashScript(const ScriptOptions& options, std::vector<StoreState> history);

  // How many states the history has.
  size_t start() const { return start_; }
  const std::vector<Step>& steps() const { return steps_; }
  // The history, then one more after each write to the database.
  const std::vector<StoreState>& states() const { return states_; }

 private:
  // Each adds a step.
  void Found();
  void Append();
  void Apply();
  void SaveTime();
  void Trim();
  void Install();
  raft::LogWrite MakeWrite();
  void FinishStep(Step step);

  // What the next write starts from.
  const StoreState& now() const { return states_.back(); }
  StoreState& AddState();
  raft::Entry MakeEntry(uint64_t index, raft::Term term);
  log::v1::Command MakeCommand();
  std::string RandomKey();

  const ScriptOptions options_;
  const size_t start_;
  Rng rng_;
  uint64_t clock_ = 1000;
  std::vector<Step> steps_;
  std::vector<StoreState> states_;
};

// Hears how far a script has come, in numbers of states.
class ScriptObserver {
 public:
  virtual ~ScriptObserver() = default;
  // The states before `count` may be on disk from now on.
  virtual void OnBegin(size_t count) = 0;
  // State number `count` - 1, or a later one, is on disk from now on.
  virtual void OnDurable(size_t count) = 0;
  // A snapshot is being staged, or not any more.
  virtual void OnStaging(bool /*begins*/) {}
};

// Runs a script on an open store. Fails when the store does not open again. A snapshot that cannot
// be staged is staged once more.
absl::Status RunScript(const CrashScript& script, Store* store, ScriptObserver* observer);

}  // namespace raftkv::storage
