// A state machine that answers as a test says, and a disk pool that works when a test says so.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/command_version.h"
#include "kv/disk_pool.h"
#include "kv/history_source.h"
#include "kv/kv_state_machine.h"
#include "kv/recent_digests.h"
#include "raft/runtime/command_batch.h"

namespace raftkv::kv {

// What views answer with. Confined to one thread.
struct ScriptedAnswers {
  int64_t revision = 0;
  raft::LogIndex applied;
  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> get{std::nullopt};
  absl::StatusOr<ScanResult> scan{ScanResult()};
  absl::StatusOr<int64_t> count{0};
  absl::Status verified;
  LeaseKeys lease_keys;
};

// Of which everything is read, and nothing happened.
class EmptyHistory final : public HistorySource {
 public:
  absl::StatusOr<HistoryPage> Read(const HistoryQuery& query) const override {
    HistoryPage page;
    page.next = {.revision = std::max(query.through + 1, query.from.revision), .key = ""};
    return page;
  }
  absl::StatusOr<std::optional<HistoryEvent>> Find(int64_t, absl::string_view) const override {
    return std::nullopt;
  }
};

class ScriptedView final : public KvView {
 public:
  explicit ScriptedView(ScriptedAnswers answers) : answers_(std::move(answers)) {}

  int64_t revision() const override { return answers_.revision; }
  raft::LogIndex applied() const override { return answers_.applied; }
  absl::Status Verify(const GivenUp&) const override { return answers_.verified; }
  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> Get(absl::string_view) const override {
    return answers_.get;
  }
  absl::StatusOr<ScanResult> Scan(const ScanOptions&) const override { return answers_.scan; }
  absl::StatusOr<int64_t> Count(const KeyInterval&, const GivenUp&) const override {
    return answers_.count;
  }
  absl::StatusOr<DueKeys> FindDueKeys(raft::ClusterMillis, uint64_t) const override {
    return DueKeys();
  }
  absl::StatusOr<LeaseKeys> FindLeaseKeys(int64_t, absl::string_view, uint64_t,
                                          const GivenUp&) const override {
    return answers_.lease_keys;
  }

 private:
  const ScriptedAnswers answers_;
};

// Each command raises the revision by one and comes to `outcome`. Confined to one thread.
class ScriptedStateMachine final : public KvStateMachine {
 public:
  static constexpr size_t kDigestsKept = 8;

  size_t Apply(absl::Span<const raft::Entry> run, raft::OutcomeObserver* observer) override {
    for (const raft::Entry& entry : run) {
      applied_ = entry.id;
      // Of some state or other, a different one at each index.
      digests_.Add({DigestOf({.id = entry.id, .stamp = entry.stamp, .history = {}})});
      answers.applied = entry.id.index;
      raft::CommandBatchReader batch(raft::CommandsOf(entry));
      while (batch.Next()) {
        ++answers.revision;
        log::v1::Command command;
        command.ParseFromString(std::string(batch.command()));
        if (command.has_member_record()) {
          records[command.member_record().member_id()] = command.member_record();
        }
        if (command.has_raise_cluster_version()) {
          version = command.raise_cluster_version().version();
        }
        commands.push_back(command);
        outcome.set_revision(answers.revision);
        observer->OnOutcome(batch.origin(), batch.sequence(), outcome.SerializeAsString());
      }
    }
    return run.size();
  }
  const RecentDigests& digests() const override { return digests_; }
  raft::EntryId applied() const override { return applied_; }
  // Nothing here trims a log.
  std::unique_ptr<raft::SnapshotReader> TakeSnapshot() override { return nullptr; }
  std::unique_ptr<raft::SnapshotWriter> StageSnapshot(const raft::SnapshotPoint&) override {
    return nullptr;
  }
  bool Adopt(const raft::StagedSnapshot&) override { return true; }
  CacheLookup GetCached(absl::string_view, log::v1::StoredKeyValue* record) const override {
    *record = cached_record;
    return cached;
  }
  std::shared_ptr<const KvView> TakeView() override {
    return std::make_shared<ScriptedView>(answers);
  }
  std::optional<int64_t> KnownCount(const KeyInterval&) override { return known_count; }
  uint64_t BeginCount(const KeyInterval&) override { return ++walks_begun; }
  void EndCount(uint64_t walk, std::optional<int64_t> count) override { walks_ended[walk] = count; }
  int64_t revision() const override { return answers.revision; }
  int64_t key_count() const override { return 0; }
  int64_t expired_keys() const override { return 0; }
  const LeaseTable& leases() const override { return lease_table; }
  const LeaseTotals& lease_totals() const override { return lease_figures; }
  int64_t expired_leases() const override { return 0; }
  raft::ClusterMillis earliest_deadline() const override { return {}; }
  void OnScanned(raft::LogIndex, raft::ClusterMillis) override {}
  const std::map<uint64_t, log::v1::MemberRecord>& member_records() const override {
    return records;
  }
  uint32_t cluster_version() const override { return version; }
  const HistoryState& history() const override { return history_state; }
  std::shared_ptr<const HistorySource> HistoryOnDisk() const override { return history_on_disk; }
  void KeepEvents(bool keep) override { keeps_events = keep; }
  NewEvents TakeEvents() override { return std::exchange(new_events, NewEvents()); }
  const std::string& too_new() const override { return unknown; }

  ScriptedAnswers answers;
  log::v1::CommandOutcome outcome;
  CacheLookup cached = CacheLookup::kNotCached;
  log::v1::StoredKeyValue cached_record;
  std::optional<int64_t> known_count;
  // What was applied, and the walks that began and came to an end.
  std::vector<log::v1::Command> commands;
  std::map<uint64_t, log::v1::MemberRecord> records;
  uint32_t version = kFirstCommandVersion;
  HistoryState history_state;
  LeaseTable lease_table;
  LeaseTotals lease_figures;
  std::shared_ptr<const HistorySource> history_on_disk = std::make_shared<EmptyHistory>();
  bool keeps_events = false;
  NewEvents new_events;
  std::string unknown;
  uint64_t walks_begun = 0;
  std::map<uint64_t, std::optional<int64_t>> walks_ended;

 private:
  raft::EntryId applied_;
  RecentDigests digests_{kDigestsKept, AppliedState()};
};

// Confined to one thread.
class ManualDiskPool final : public DiskPool {
 public:
  [[nodiscard]] bool Submit(Length length, Work work) override {
    if (full) {
      return false;
    }
    lengths.push_back(length);
    waiting_.push_back(std::move(work));
    return true;
  }
  // Does what waits, and brings it back to the loop.
  void RunAll() {
    for (const Work& work : std::exchange(waiting_, {})) {
      work()();
    }
  }
  size_t waiting() const { return waiting_.size(); }

  bool full = false;
  std::vector<Length> lengths;

 private:
  std::deque<Work> waiting_;
};

}  // namespace raftkv::kv
