#include "storage/rocksdb_kv_state_machine.h"

#include <algorithm>
#include <optional>

#include "glog/logging.h"
#include "raft/runtime/command_batch.h"
#include "rocksdb/iterator.h"
#include "storage/command_semantics.h"
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
  Run prepared{.overlay = RunOverlay(families_, reads),
               .result = {.applied = applied_, .outcomes = {}}};
  size_t count = 0;
  while (count < run.size() && prepared.result.commands < kRunCommandsMax &&
         prepared.overlay.staged_bytes() < kRunBytesMax) {
    if (!applier_.Apply(run[count], *observer, &prepared.overlay, &prepared.result)) {
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
  for (AppliedRun::Outcome& outcome : prepared.result.outcomes) {
    observer->OnOutcome(outcome.origin, outcome.sequence, std::move(outcome.bytes));
  }
  return count;
}

bool RocksDbKvStateMachine::Commit(const Run& run) {
  batch_.Clear();
  const raft::ClusterMillis earliest = run.overlay.WriteTo(&batch_);
  const rocksdb::Status built =
      batch_.Put(families_.meta, kAppliedKey, EncodeAppliedState(run.result.applied));
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
  applied_ = run.result.applied;
  for (const log::v1::MemberRecord& record : run.overlay.member_records()) {
    member_records_[record.member_id()] = record;
  }
  if (earliest.value() != 0) {
    earliest_deadline_.OnApplied(applied_.id.index, earliest);
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
  return std::make_shared<RocksDbKvView>(families_, applied_.revision, earliest_deadline_.value());
}

}  // namespace raftkv::storage
