#include "tests/simulation/sim_state_machine.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "tests/simulation/sim_snapshot.h"

namespace raftkv::simulation {

using kv::KvRecord;
using log::v1::StoredKeyValue;
using raft::ClusterMillis;

namespace {

// Gets that miss the cache.
constexpr uint64_t kColdPermille = 300;
// A stall comes somewhere among the first reads of a run.
constexpr uint64_t kReadsBeforeStall = 8;
// Of the runs that are ready to be written, as many as a tenth of those that stall are put off.
constexpr uint64_t kPutOffShare = 10;
constexpr uint64_t kCommandsPerRunMax = 64;
// Of the times that a snapshot could take the state's place.
constexpr uint64_t kAdoptPutOffPermille = 300;

void Fill(absl::string_view key, const KvRecord& record, bool with_value, StoredKeyValue* stored) {
  stored->set_key(key.data(), key.size());
  stored->set_value(with_value ? record.value : std::string());
  stored->set_create_revision(record.header.create_revision);
  stored->set_mod_revision(record.header.mod_revision);
  stored->set_version(record.header.version);
  stored->set_deadline_ms(record.header.deadline.value());
  stored->set_lease_id(record.header.lease_id);
}

class SimKvView final : public kv::KvView {
 public:
  explicit SimKvView(TableContent content) : content_(std::move(content)) {}

  int64_t revision() const override { return content_.applied.revision; }
  raft::LogIndex applied() const override { return content_.applied.id.index; }
  absl::Status Verify(const kv::GivenUp& /*given_up*/) const override {
    return kv::CheckRows(content_.applied, static_cast<int64_t>(content_.latest.size()),
                         ProductRowsHash(content_));
  }

  absl::StatusOr<std::optional<StoredKeyValue>> Get(absl::string_view key) const override {
    std::optional<StoredKeyValue> stored;
    if (const auto row = content_.latest.find(key); row != content_.latest.end()) {
      Fill(key, row->second, /*with_value=*/true, &stored.emplace());
    }
    return stored;
  }

  absl::StatusOr<kv::ScanResult> Scan(const kv::ScanOptions& options) const override {
    kv::ScanResult result;
    const auto add = [&](const auto& row) {
      if (result.rows.size() == options.keys_max) {
        result.more = true;
        return false;
      }
      Fill(row.first, row.second, !options.keys_only, &result.rows.emplace_back());
      return true;
    };
    const auto begin = content_.latest.lower_bound(options.interval.start);
    const auto end = options.interval.end.empty()
                         ? content_.latest.end()
                         : content_.latest.lower_bound(options.interval.end);
    if (options.descending) {
      for (auto row = end; row != begin && add(*std::prev(row)); --row) {
      }
    } else {
      for (auto row = begin; row != end && add(*row); ++row) {
      }
    }
    return result;
  }

  absl::StatusOr<int64_t> Count(const kv::KeyInterval& interval,
                                const kv::GivenUp& /*given_up*/) const override {
    const auto begin = content_.latest.lower_bound(interval.start);
    const auto end =
        interval.end.empty() ? content_.latest.end() : content_.latest.lower_bound(interval.end);
    return std::distance(begin, end);
  }

  absl::StatusOr<kv::DueKeys> FindDueKeys(ClusterMillis now, uint64_t keys_max) const override {
    kv::DueKeys due;
    for (const auto& [deadline, key] : content_.ttl) {
      if (deadline > now || due.keys.size() == keys_max) {
        due.next_deadline = deadline;
        break;
      }
      due.keys.push_back({.deadline = deadline, .key = key});
    }
    return due;
  }

  absl::StatusOr<kv::LeaseKeys> FindLeaseKeys(int64_t id, absl::string_view after,
                                              uint64_t /*bytes_max*/,
                                              const kv::GivenUp& /*given_up*/) const override {
    kv::LeaseKeys found;
    for (const auto& [key, record] : content_.latest) {
      if (record.header.lease_id == id && key > after) {
        found.keys.push_back(key);
      }
    }
    return found;
  }

 private:
  const TableContent content_;
};

class SimHistory final : public kv::HistorySource {
 public:
  explicit SimHistory(TableContent content) : content_(std::move(content)) {}

  absl::StatusOr<kv::HistoryPage> Read(const kv::HistoryQuery& query) const override {
    if (query.from.revision <= content_.applied.history.removed) {
      return absl::OutOfRangeError("these events are gone");
    }
    kv::HistoryPage page;
    uint64_t visited = 0;
    for (auto row = content_.events.lower_bound({query.from.revision, query.from.key});
         row != content_.events.end() && row->first.first <= query.through; ++row) {
      if (visited++ == query.visited_max || page.events.size() == query.events_max) {
        page.next = {.revision = row->first.first, .key = row->first.second};
        return page;
      }
      const bool is_wanted = std::any_of(
          query.intervals.begin(), query.intervals.end(),
          [&](const kv::KeyInterval& interval) { return interval.Holds(row->first.second); });
      if (is_wanted) {
        page.events.push_back(row->second);
      }
    }
    page.next = {.revision = std::max(query.through + 1, query.from.revision), .key = ""};
    return page;
  }

  absl::StatusOr<std::optional<kv::HistoryEvent>> Find(int64_t revision,
                                                       absl::string_view key) const override {
    const auto row = content_.events.find({revision, std::string(key)});
    if (row != content_.events.end()) {
      return std::optional(row->second);
    }
    if (revision <= content_.applied.history.removed) {
      return absl::OutOfRangeError("this event is gone");
    }
    return std::optional<kv::HistoryEvent>();
  }

 private:
  const TableContent content_;
};

ClusterMillis FirstDeadline(const TableContent& content) {
  return content.ttl.empty() ? ClusterMillis(0) : content.ttl.begin()->first;
}

}  // namespace

SimStateMachine::SimStateMachine(const SimOptions* options, ProcessEvents* events, SimDisk* disk,
                                 Dice dice, Counters* counters, Hooks hooks)
    : options_(*options),
      events_(*events),
      disk_(*disk),
      dice_(dice),
      cache_dice_(Dice(dice.Seed(), "cache")),
      counters_(*counters),
      hooks_(std::move(hooks)),
      table_(disk->content().table),
      digests_(kHashesKept, table_.content().applied),
      applier_(options->history_limits),
      earliest_deadline_(FirstDeadline(disk->content().table)) {}

size_t SimStateMachine::Apply(absl::Span<const raft::Entry> run, raft::OutcomeObserver* observer) {
  if (run.empty() || waiting_) {
    return 0;
  }
  const bool stalls = dice_.Chance(options_.apply_stall_permille);
  table_.StallAfter(stalls ? std::optional(dice_.Below(kReadsBeforeStall)) : std::nullopt);
  const kv::KvTable::Mark mark = table_.SetMark();
  kv::AppliedRun result{.applied = table_.content().applied, .outcomes = {}, .too_new = {}};
  std::vector<AppliedStep> steps;
  while (steps.size() < run.size() && result.commands < kCommandsPerRunMax) {
    const raft::Entry& entry = run[steps.size()];
    const kv::EntryFate fate = applier_.Apply(entry, *observer, &table_, &result);
    CHECK(fate != kv::EntryFate::kTooNew) << result.too_new;
    if (fate == kv::EntryFate::kStalled) {
      counters_.Note(Situation::kApplyStalled);
      Wait();
      break;
    }
    steps.push_back({.entry = entry,
                     .applied = result.applied,
                     .state_hash = table_.rows_hash() ^ AppliedHash(result.applied)});
  }
  if (steps.empty()) {
    return 0;
  }
  if (stalls && dice_.Below(kPutOffShare) == 0) {
    counters_.Note(Situation::kRunRolledBack);
    table_.RollBack(mark);
    Wait();
    return 0;
  }
  Commit(result.applied, std::move(result.configuration));
  digests_.Add(result.digests);
  hooks_.on_applied(steps);
  for (kv::AppliedRun::Outcome& outcome : result.outcomes) {
    observer->OnOutcome(outcome.origin, outcome.sequence, std::move(outcome.bytes));
  }
  return steps.size();
}

void SimStateMachine::Commit(const kv::AppliedState& applied,
                             std::optional<log::v1::ClusterConfiguration> configuration) {
  TableChanges changes = table_.Commit(applied, std::move(configuration));
  if (keeps_events_) {
    new_events_.events.insert(new_events_.events.end(), changes.events.begin(),
                              changes.events.end());
  }
  ClusterMillis earliest;
  for (const auto& [key, record] : changes.rows) {
    const ClusterMillis deadline = record.has_value() ? record->header.deadline : ClusterMillis(0);
    if (deadline.value() != 0 && (earliest.value() == 0 || deadline < earliest)) {
      earliest = deadline;
    }
  }
  disk_.Write(std::move(changes));
  if (earliest.value() != 0) {
    earliest_deadline_.OnApplied(applied.id.index, earliest);
  }
}

std::unique_ptr<raft::SnapshotReader> SimStateMachine::TakeSnapshot() {
  SnapshotContent content{.table = table_.content(), .history = {}};
  const std::vector<raft::Entry>& log = disk_.written_log().entries;
  for (uint64_t place = 0; place < applied().index.value(); ++place) {
    content.history.push_back(log[place].id);
    if (log[place].configuration != nullptr) {
      content.configurations[log[place].id.index] = *log[place].payload;
    }
  }
  return std::make_unique<SimSnapshotReader>(content, options_.snapshot_chunk_rows);
}

std::unique_ptr<raft::SnapshotWriter> SimStateMachine::StageSnapshot(
    const raft::SnapshotPoint& point) {
  return std::make_unique<SimSnapshotWriter>(point);
}

bool SimStateMachine::Adopt(const raft::StagedSnapshot& snapshot) {
  if (waiting_) {
    return false;
  }
  if (dice_.Chance(kAdoptPutOffPermille)) {
    counters_.Note(Situation::kAdoptPutOff);
    Wait();
    return false;
  }
  const SnapshotContent& content = *ContentOf(snapshot);
  CHECK_GT(content.table.applied.id.index, applied().index) << "the state would go back";
  table_ = SimTable(content.table);
  new_events_ = NewEvents{.events = {}, .has_gap = true};
  digests_.Restart(content.table.applied);
  // As if its rows were written now: who scanned the old state has not seen them.
  if (const ClusterMillis first = FirstDeadline(content.table); first.value() != 0) {
    earliest_deadline_.OnApplied(applied().index, first);
  }
  hooks_.on_adopted(snapshot.meta().point);
  return true;
}

void SimStateMachine::Bend() { ShiftRowsHash(1); }

void SimStateMachine::Straighten() { ShiftRowsHash(~uint64_t{0}); }

void SimStateMachine::ShiftRowsHash(uint64_t by) {
  kv::AppliedState shifted = content().applied;
  shifted.rows_hash += by;
  disk_.Write(table_.Commit(shifted));
  digests_.Restart(shifted);
}

void SimStateMachine::Wait() {
  waiting_ = true;
  events_.After(dice_.Between(options_.sync_min, 2 * options_.sync_max), [this] {
    waiting_ = false;
    hooks_.on_news();
  });
}

kv::CacheLookup SimStateMachine::GetCached(absl::string_view key, StoredKeyValue* record) const {
  if (cache_dice_.Chance(kColdPermille)) {
    return kv::CacheLookup::kNotCached;
  }
  const auto row = content().latest.find(key);
  if (row == content().latest.end()) {
    return kv::CacheLookup::kAbsent;
  }
  Fill(key, row->second, /*with_value=*/true, record);
  return kv::CacheLookup::kFound;
}

std::shared_ptr<const kv::HistorySource> SimStateMachine::HistoryOnDisk() const {
  return std::make_shared<SimHistory>(content());
}

void SimStateMachine::KeepEvents(bool keep) {
  keeps_events_ = keep;
  new_events_ = NewEvents();
}

std::shared_ptr<const kv::KvView> SimStateMachine::TakeView() {
  return std::make_shared<SimKvView>(content());
}

}  // namespace raftkv::simulation
