// The applied state of one process: production's meaning of entries (kv/entry_applier.h) on a
// table in memory, with the stalls of a disk, written to a disk that forgets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "kv/earliest_deadline.h"
#include "kv/entry_applier.h"
#include "kv/kv_state_machine.h"
#include "kv/recent_digests.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"
#include "tests/simulation/sim_disk.h"
#include "tests/simulation/sim_table.h"

namespace raftkv::simulation {

// One entry that was applied, and what the state was right after it.
struct AppliedStep {
  raft::Entry entry;
  kv::AppliedState applied;
  uint64_t state_hash;
};

// Confined to one thread. Ends with its process.
class SimStateMachine final : public kv::KvStateMachine {
 public:
  struct Hooks {
    // A stalled apply may go on.
    std::function<void()> on_news;
    // A run was applied; called before anybody hears of its outcomes.
    std::function<void(const std::vector<AppliedStep>&)> on_applied;
    // A snapshot took the state's place.
    std::function<void(const raft::SnapshotPoint&)> on_adopted;
  };

  // Starts as the disk is. Borrows everything.
  SimStateMachine(const SimOptions* options, ProcessEvents* events, SimDisk* disk, Dice dice,
                  Counters* counters, Hooks hooks);

  size_t Apply(absl::Span<const raft::Entry> run, raft::OutcomeObserver* observer) override;
  const kv::RecentDigests& digests() const override { return digests_; }
  raft::EntryId applied() const override { return table_.content().applied.id; }
  std::unique_ptr<raft::SnapshotReader> TakeSnapshot() override;
  std::unique_ptr<raft::SnapshotWriter> StageSnapshot(const raft::SnapshotPoint& point) override;
  bool Adopt(const raft::StagedSnapshot& snapshot) override;

  kv::CacheLookup GetCached(absl::string_view key, log::v1::StoredKeyValue* record) const override;
  std::shared_ptr<const kv::KvView> TakeView() override;
  // Counts walk.
  std::optional<int64_t> KnownCount(const kv::KeyInterval&) override { return std::nullopt; }
  uint64_t BeginCount(const kv::KeyInterval&) override { return 0; }
  void EndCount(uint64_t, std::optional<int64_t>) override {}
  int64_t revision() const override { return table_.content().applied.revision; }
  int64_t key_count() const override { return table_.content().applied.key_count; }
  int64_t expired_keys() const override { return 0; }
  const kv::LeaseTable& leases() const override { return content().leases; }
  const kv::LeaseTotals& lease_totals() const override { return content().applied.leases; }
  int64_t expired_leases() const override { return 0; }
  raft::ClusterMillis earliest_deadline() const override { return earliest_deadline_.value(); }
  void OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) override {
    earliest_deadline_.OnScanned(applied, next_deadline);
  }
  const std::map<uint64_t, log::v1::MemberRecord>& member_records() const override {
    return member_records_;
  }
  uint32_t cluster_version() const override { return table_.content().applied.cluster_version; }
  const kv::HistoryState& history() const override { return content().applied.history; }
  std::shared_ptr<const kv::HistorySource> HistoryOnDisk() const override;
  void KeepEvents(bool keep) override;
  NewEvents TakeEvents() override { return std::exchange(new_events_, NewEvents()); }
  const std::string& too_new() const override { return too_new_; }

  const TableContent& content() const { return table_.content(); }
  // Changes the state behind its back, in memory and on disk: to the others it looks as if a
  // command had had another meaning here, while its rows, and what clients read, stay right.
  void Bend();
  // Undoes it.
  void Straighten();

 private:
  void ShiftRowsHash(uint64_t by);
  // Nothing is applied for a while: the disk has to be waited for.
  void Wait();
  void Commit(const kv::AppliedState& applied,
              std::optional<log::v1::ClusterConfiguration> configuration);

  const SimOptions& options_;
  ProcessEvents& events_;
  SimDisk& disk_;
  Dice dice_;
  mutable Dice cache_dice_;
  Counters& counters_;
  const Hooks hooks_;

  SimTable table_;
  kv::RecentDigests digests_;
  kv::EntryApplier applier_;
  bool keeps_events_ = false;
  NewEvents new_events_;
  kv::EarliestDeadline earliest_deadline_;
  // Nobody publishes here: what the options say was published before the run.
  const std::map<uint64_t, log::v1::MemberRecord> member_records_ = options_.PublishedRecords();
  const std::string too_new_;
  bool waiting_ = false;
};

}  // namespace raftkv::simulation
