#include "storage/rocksdb_kv_state_machine.h"

#include <algorithm>
#include <optional>

#include "glog/logging.h"
#include "raft/runtime/command_batch.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/rocksdb_kv_view.h"

namespace raftkv::storage {
namespace {

// One write of a run: large enough to spread its fixed cost, small enough for a turn of the loop.
constexpr uint64_t kRunBytesMax = 4 << 20;
constexpr uint64_t kRunCommandsMax = 4096;
// Point reads that one warming brings in; a run that is colder stalls again.
constexpr size_t kWarmedKeysMax = 4096;
// A range may be larger than the cache, and then warming it does not help: after so many stalls of
// one entry the loop waits for the disk, because a cluster that stands still is worse than a slow
// turn.
constexpr int kStallsMax = 8;
constexpr size_t kRecentDeadlinesMax = 1024;

void ReadIntoCache(const ColumnFamilies& families, const TableReads& reads) {
  // Failures are left to the read that needs the bytes.
  rocksdb::PinnableSlice value;
  for (const std::string& key : reads.keys) {
    families.db->Get(rocksdb::ReadOptions(), families.latest, key, &value).PermitUncheckedError();
    value.Reset();
  }
  for (const KeyInterval& interval : reads.intervals) {
    rocksdb::ReadOptions options;
    const rocksdb::Slice upper_bound = interval.end;
    if (!interval.end.empty()) {
      options.iterate_upper_bound = &upper_bound;
    }
    const std::unique_ptr<rocksdb::Iterator> iterator(
        families.db->NewIterator(options, families.latest));
    for (iterator->Seek(interval.start); iterator->Valid(); iterator->Next()) {
    }
    iterator->status().PermitUncheckedError();
  }
}

}  // namespace

RocksDbKvStateMachine::RocksDbKvStateMachine(
    const ColumnFamilies& families, const AppliedState& applied,
    raft::ClusterMillis earliest_deadline, std::map<uint64_t, log::v1::MemberRecord> member_records,
    ReaderThread* reader, Waker* waker)
    : families_(families),
      reader_(reader),
      waker_(waker),
      applied_(applied),
      member_records_(std::move(member_records)),
      earliest_deadline_(earliest_deadline) {}

size_t RocksDbKvStateMachine::Apply(absl::Span<const raft::Entry> run,
                                    raft::OutcomeObserver* observer) {
  if (run.empty() || warming_) {
    return 0;
  }
  const auto reads =
      stalls_ < kStallsMax ? RunOverlay::Reads::kFromCache : RunOverlay::Reads::kFromDisk;
  Run prepared{.overlay = RunOverlay(families_, reads), .applied = applied_, .outcomes = {}};
  size_t count = 0;
  while (count < run.size() && prepared.commands < kRunCommandsMax &&
         prepared.overlay.staged_bytes() < kRunBytesMax) {
    if (!PrepareEntry(run[count], *observer, &prepared)) {
      stalls_ = count == 0 ? stalls_ + 1 : 1;
      Warm(run.subspan(count));
      break;
    }
    ++count;
  }
  if (count == 0 || !Commit(prepared)) {
    return 0;
  }
  if (!warming_) {
    stalls_ = 0;
  }
  for (Outcome& outcome : prepared.outcomes) {
    observer->OnOutcome(outcome.origin, outcome.sequence, std::move(outcome.bytes));
  }
  return count;
}

bool RocksDbKvStateMachine::PrepareEntry(const raft::Entry& entry,
                                         const raft::OutcomeObserver& observer, Run* run) {
  CHECK_EQ(entry.id.index, run->applied.id.index.Next()) << "an entry was skipped";
  CHECK_GE(entry.id.term, run->applied.id.term) << "terms go back at index " << entry.id.index;
  const KvTable::Mark mark = run->overlay.SetMark();
  const AppliedState applied_before = run->applied;
  const size_t outcomes_before = run->outcomes.size();
  switch (entry.kind) {
    case raft::EntryKind::kNoOp:
      break;
    case raft::EntryKind::kCommands:
      if (!PrepareCommands(entry, observer, run)) {
        run->overlay.RollBack(mark);
        run->applied = applied_before;
        run->outcomes.resize(outcomes_before);
        return false;
      }
      break;
  }
  run->applied.id = entry.id;
  run->applied.stamp = entry.stamp;
  return true;
}

bool RocksDbKvStateMachine::PrepareCommands(const raft::Entry& entry,
                                            const raft::OutcomeObserver& observer, Run* run) {
  if (entry.payload == nullptr) {
    return true;
  }
  StoreTotals totals{.revision = run->applied.revision, .key_count = run->applied.key_count};
  raft::CommandBatchReader reader(*entry.payload);
  while (reader.Next()) {
    ++run->commands;
    auto* command = google::protobuf::Arena::CreateMessage<log::v1::Command>(&arena_);
    const absl::string_view bytes = reader.command();
    if (!command->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      LOG(FATAL) << "the log entry at index " << entry.id.index << " holds a broken command";
    }
    if (const absl::Status status = CheckCommand(*command); !status.ok()) {
      LOG(FATAL) << "the log entry at index " << entry.id.index << " holds " << status.message()
                 << ": this member needs the newer version that the others run";
    }
    log::v1::CommandOutcome* outcome = nullptr;
    if (observer.Wants(reader.origin(), reader.sequence())) {
      outcome = google::protobuf::Arena::CreateMessage<log::v1::CommandOutcome>(&arena_);
    }
    const bool applied = ApplyCommand(command, entry.stamp, &run->overlay, &totals, outcome);
    if (applied && outcome != nullptr) {
      run->outcomes.push_back({reader.origin(), reader.sequence(), outcome->SerializeAsString()});
    }
    if (!applied) {
      arena_.Reset();
      return false;
    }
  }
  arena_.Reset();
  if (!reader.ok()) {
    LOG(FATAL) << "the log entry at index " << entry.id.index << " holds a broken batch";
  }
  CHECK_GE(totals.key_count, 0);
  run->applied.revision = totals.revision;
  run->applied.key_count = totals.key_count;
  return true;
}

bool RocksDbKvStateMachine::Commit(const Run& run) {
  batch_.Clear();
  const raft::ClusterMillis earliest = run.overlay.WriteTo(&batch_);
  const rocksdb::Status built =
      batch_.Put(families_.meta, kAppliedKey, EncodeAppliedState(run.applied));
  CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();

  // Unsynced: the entries themselves are durable, and the log is replayed in order.
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  const rocksdb::Status status = families_.db->Write(options, &batch_);
  if (status.IsIncomplete()) {
    return false;
  }
  if (!status.ok()) {
    AbortOnWriteFailure("apply committed entries", status);
  }
  applied_ = run.applied;
  for (const log::v1::MemberRecord& record : run.overlay.member_records()) {
    member_records_[record.member_id()] = record;
  }
  if (earliest.value() != 0) {
    NoteDeadline(applied_.id.index, earliest);
  }
  return true;
}

void RocksDbKvStateMachine::Warm(absl::Span<const raft::Entry> stalled) {
  TableReads reads;
  log::v1::Command command;
  for (const raft::Entry& entry : stalled) {
    if (entry.payload == nullptr || reads.keys.size() >= kWarmedKeysMax) {
      continue;
    }
    raft::CommandBatchReader reader(*entry.payload);
    while (reader.Next()) {
      const absl::string_view bytes = reader.command();
      if (command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        AppendTableReads(command, &reads);
      }
    }
  }
  warming_ = true;
  reader_->Post([this, reads = std::move(reads)] {
    ReadIntoCache(families_, reads);
    warming_ = false;
    waker_->Wake();
  });
}

CacheLookup RocksDbKvStateMachine::GetCached(absl::string_view key,
                                             log::v1::StoredKeyValue* record) const {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = families_.db->Get(options, families_.latest, ToSlice(key), &value);
  if (status.IsNotFound()) {
    return CacheLookup::kAbsent;
  }
  // A failure is for the view to report.
  if (!status.ok() || !FillStoredKeyValue(key, ToView(value), /*with_value=*/true, record)) {
    return CacheLookup::kNotCached;
  }
  return CacheLookup::kFound;
}

std::shared_ptr<const KvView> RocksDbKvStateMachine::TakeView() const {
  return std::make_shared<RocksDbKvView>(families_, applied_.revision, earliest_deadline_);
}

void RocksDbKvStateMachine::NoteDeadline(raft::LogIndex index, raft::ClusterMillis deadline) {
  if (earliest_deadline_.value() == 0 || deadline < earliest_deadline_) {
    earliest_deadline_ = deadline;
  }
  while (!recent_deadlines_.empty() && recent_deadlines_.back().second >= deadline) {
    recent_deadlines_.pop_back();
  }
  if (recent_deadlines_.size() < kRecentDeadlinesMax) {
    recent_deadlines_.emplace_back(index, deadline);
  } else {
    // Full on members that never scan. The earlier deadline at the later index only costs a scan
    // too many.
    recent_deadlines_.back().first = index;
  }
}

void RocksDbKvStateMachine::OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) {
  while (!recent_deadlines_.empty() && recent_deadlines_.front().first <= applied) {
    recent_deadlines_.pop_front();
  }
  earliest_deadline_ = next_deadline;
  if (recent_deadlines_.empty()) {
    return;
  }
  const raft::ClusterMillis recent = recent_deadlines_.front().second;
  if (next_deadline.value() == 0 || recent < next_deadline) {
    earliest_deadline_ = recent;
  }
}

}  // namespace raftkv::storage
