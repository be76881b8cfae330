#include "storage/run_overlay.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "glog/logging.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

constexpr char kLatestName[] = "a record of `latest`";
// From so many on, changes are written in the order of their keys.
constexpr size_t kOrderedChangesMin = 256;
// Dead keys that a run may walk over on the loop, a few hundred microseconds; else it stalls. One
// step of an iterator may add as many.
constexpr uint64_t kDeadKeysOnLoopMax = 2000;
// Keys of a range that are read on the loop; of a larger one, all are read elsewhere.
constexpr uint64_t kKeysOnLoopMax = 2000;

rocksdb::ReadOptions MakeReadOptions(RunOverlay::Reads reads) {
  rocksdb::ReadOptions options;
  if (reads == RunOverlay::Reads::kFromCache) {
    options.read_tier = rocksdb::kBlockCacheTier;
    options.max_skippable_internal_keys = kDeadKeysOnLoopMax;
  }
  return options;
}

}  // namespace

rocksdb::ReadOptions RunOverlay::OwnReadOptions() const { return MakeReadOptions(reads_); }

bool RunOverlay::AreTooMany(uint64_t keys) const {
  return reads_ == Reads::kFromCache && keys > kKeysOnLoopMax;
}

bool RunOverlay::WalkedTooFar() const {
  return reads_ == Reads::kFromCache &&
         DeadKeysWalked() - dead_keys_walked_before_ > kDeadKeysOnLoopMax;
}

RunOverlay::Row* RunOverlay::Insert(absl::string_view key) {
  Row& row = rows_.emplace_back();
  row.key.assign(key.data(), key.size());
  by_key_.emplace(row.key, &row);
  return &row;
}

void RunOverlay::NoteOnDisk(const kv::RecordHeader& header, Row* row) {
  row->on_disk = true;
  row->disk_deadline = header.deadline;
  row->disk_lease = header.lease_id;
}

RunOverlay::Row* RunOverlay::Load(absl::string_view key, bool with_value) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    Row* row = found->second;
    const State& state = row->state;
    if (!state.exists || (state.has_header && (state.has_value || !with_value))) {
      return row;
    }
  }
  if (known_ != nullptr && !with_value && found == by_key_.end()) {
    if (const std::optional<kv::RecordHeader> header = known_->Find(key); header.has_value()) {
      Row* row = Insert(key);
      NoteOnDisk(*header, row);
      row->state.exists = true;
      row->state.record.header = *header;
      return row;
    }
  }
  const rocksdb::Status status =
      generation_->db->Get(MakeReadOptions(reads_), generation_->latest, ToSlice(key), &pinned_);
  if (status.IsIncomplete()) {
    return nullptr;
  }
  if (!status.ok() && !status.IsNotFound()) {
    ExitOnCorruption(kLatestName, status.ToString());
  }
  Row* row = found == by_key_.end() ? Insert(key) : found->second;
  if (status.ok()) {
    const std::optional<LatestRecord> record = DecodeAndHashRecord(key, ToView(pinned_));
    if (!record.has_value()) {
      ExitOnCorruption(kLatestName, "its bytes make no record");
    }
    NoteOnDisk(record->header, row);
    row->state.exists = true;
    row->state.record.header = record->header;
    row->state.has_header = true;
    row->state.has_value = with_value;
    if (with_value) {
      row->state.record.value.assign(record->value.data(), record->value.size());
    }
  }
  pinned_.Reset();
  return row;
}

std::optional<const kv::KvRecord*> RunOverlay::Find(absl::string_view key, bool with_value) {
  Row* row = Load(key, with_value);
  if (row == nullptr) {
    return std::nullopt;
  }
  return row->state.exists ? &row->state.record : nullptr;
}

std::vector<RunOverlay::Row*> RunOverlay::RowsBetween(absl::string_view start,
                                                      absl::string_view end) const {
  std::vector<Row*> rows;
  for (const auto& [key, row] : by_key_) {
    if (key >= start && (end.empty() || key < end)) {
      rows.push_back(row);
    }
  }
  std::sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->key < b->key; });
  return rows;
}

bool RunOverlay::Scan(absl::string_view start, absl::string_view end, bool with_values,
                      Visitor visit) {
  if (!end.empty() && start >= end) {
    return true;
  }
  const std::vector<Row*> known = RowsBetween(start, end);
  auto next_known = known.begin();
  // Visits known rows before `key`, or all that are left; false when the visitor has seen enough.
  const auto visit_known_before = [&](const absl::string_view* key) {
    for (; next_known != known.end() && (key == nullptr || (*next_known)->key < *key);
         ++next_known) {
      const State& state = (*next_known)->state;
      if (state.exists && !visit((*next_known)->key, state.record.header, state.record.value)) {
        return false;
      }
    }
    return true;
  };

  uint64_t keys = 0;
  LiveIterator iterator(*generation_, MakeReadOptions(reads_), start, end, dead_.get(),
                        &found_dead_);
  for (; iterator.Valid(); iterator.Next()) {
    if (WalkedTooFar() || AreTooMany(++keys)) {
      return false;
    }
    const absl::string_view key = iterator.key();
    if (!visit_known_before(&key)) {
      return true;
    }
    const std::optional<LatestRecord> record = DecodeAndHashRecord(key, iterator.value());
    if (!record.has_value()) {
      ExitOnCorruption(kLatestName, "its bytes make no record");
    }
    if (next_known != known.end() && (*next_known)->key == key) {
      State& state = (*next_known++)->state;
      if (!state.has_header) {
        state.record.header = record->header;
        state.has_header = true;
      }
      // An unchanged row may lack the value that RocksDB has.
      const absl::string_view value = state.changed ? state.record.value : record->value;
      if (state.exists && !visit(key, state.record.header, value)) {
        return true;
      }
      continue;
    }
    Row* row = Insert(key);
    NoteOnDisk(record->header, row);
    row->state.exists = true;
    row->state.record.header = record->header;
    if (!visit(row->key, record->header, with_values ? record->value : absl::string_view())) {
      return true;
    }
  }
  if (iterator.status().IsIncomplete() || WalkedTooFar()) {
    return false;
  }
  if (!iterator.status().ok()) {
    ExitOnCorruption("`latest`", iterator.status().ToString());
  }
  visit_known_before(nullptr);
  return true;
}

void RunOverlay::Change(Row* row, State state) {
  undo_.push_back({row, std::exchange(row->state, std::move(state))});
}

void RunOverlay::Put(absl::string_view key, kv::KvRecord record) {
  const auto found = by_key_.find(key);
  CHECK(found != by_key_.end()) << "a key was written unread";
  staged_bytes_ += 2 * key.size() + record.value.size() + kChangeOverheadBytes;
  Change(found->second,
         {.exists = true, .has_value = true, .changed = true, .record = std::move(record)});
}

void RunOverlay::Delete(absl::string_view key) {
  const auto found = by_key_.find(key);
  CHECK(found != by_key_.end()) << "a key was deleted unread";
  CHECK(found->second->state.exists) << "an absent key was deleted";
  staged_bytes_ += 2 * key.size() + kChangeOverheadBytes;
  Change(found->second, {.exists = false, .has_value = false, .changed = true, .record = {}});
}

kv::TtlRow RunOverlay::PlaceOf(const Row& row) {
  return {.deadline = row.state.record.header.deadline, .key = row.key};
}

RunOverlay::Row* RunOverlay::InsertDue(const kv::TtlRow& place, uint64_t row_hash) {
  Row* row = Insert(place.key);
  row->on_disk = true;
  row->disk_deadline = place.deadline;
  row->state.exists = true;
  row->state.has_header = false;
  row->state.record.header.deadline = place.deadline;
  row->state.record.header.row_hash = row_hash;
  return row;
}

std::vector<RunOverlay::Row*> RunOverlay::WrittenAndDue(const kv::TtlRow& start,
                                                        raft::ClusterMillis until) {
  std::vector<Row*> rows;
  for (Row& row : rows_) {
    const raft::ClusterMillis deadline = row.state.record.header.deadline;
    if (row.state.changed && row.state.exists && deadline.value() != 0 && deadline <= until &&
        !(PlaceOf(row) < start)) {
      rows.push_back(&row);
    }
  }
  std::sort(rows.begin(), rows.end(),
            [](const Row* a, const Row* b) { return PlaceOf(*a) < PlaceOf(*b); });
  return rows;
}

std::optional<kv::KvTable::Deleted> RunOverlay::DeleteDue(const kv::TtlRow& start,
                                                          raft::ClusterMillis until,
                                                          uint64_t keys_max, const DueReader* due) {
  const std::vector<Row*> written = WrittenAndDue(start, until);
  auto next_written = written.begin();
  Deleted deleted;
  const auto remove = [&](Row* row) {
    if (due != nullptr && !Show(row, *due)) {
      return false;
    }
    staged_bytes_ += 2 * row->key.size() + kChangeOverheadBytes;
    deleted.rows_hash += row->state.record.header.row_hash;
    ++deleted.keys;
    Change(row, {.exists = false, .has_value = false, .changed = true, .record = {}});
    return true;
  };
  // Removes written rows before `place`, or all that are left. These are known whole.
  const auto remove_written_before = [&](const kv::TtlRow* place) {
    for (; deleted.keys < keys_max && next_written != written.end() &&
           (place == nullptr || PlaceOf(**next_written) < *place);
         ++next_written) {
      CHECK(remove(*next_written)) << "what was written needs no reading";
    }
  };

  rocksdb::ReadOptions options = MakeReadOptions(reads_);
  std::string end;
  if (until.value() < std::numeric_limits<uint64_t>::max()) {
    end = EncodeTtlKey(until + 1, "");
  }
  const rocksdb::Slice upper_bound = end;
  if (!end.empty()) {
    options.iterate_upper_bound = &upper_bound;
  }
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(options, generation_->ttl));
  iterator->Seek(EncodeTtlKey(start.deadline, start.key));
  while (deleted.keys < keys_max && iterator->Valid() && !WalkedTooFar()) {
    const std::optional<kv::TtlRow> place = DecodeTtlKey(ToView(iterator->key()));
    const std::optional<uint64_t> row_hash = DecodeRowHash(ToView(iterator->value()));
    if (!place.has_value() || !row_hash.has_value()) {
      ExitOnCorruption("`ttl`", "a row makes no sense");
    }
    remove_written_before(&*place);
    if (deleted.keys == keys_max) {
      break;
    }
    const auto found = by_key_.find(place->key);
    // What this run changed has its place among `written` now, or none.
    if (found == by_key_.end() || !found->second->state.changed) {
      if (!remove(found == by_key_.end() ? InsertDue(*place, *row_hash) : found->second)) {
        return std::nullopt;
      }
    }
    if (deleted.keys < keys_max) {
      iterator->Next();
    }
  }
  if (deleted.keys < keys_max && (iterator->status().IsIncomplete() || WalkedTooFar())) {
    return std::nullopt;
  }
  if (!iterator->status().ok() && !iterator->status().IsIncomplete()) {
    ExitOnCorruption("`ttl`", iterator->status().ToString());
  }
  remove_written_before(nullptr);
  return deleted;
}

bool RunOverlay::Show(Row* row, const DueReader& due) {
  if (!row->state.has_header || (!row->state.has_value && !row->state.changed)) {
    const auto known = known_ != nullptr ? known_->Find(row->key) : std::nullopt;
    if (known.has_value() && known->mod_revision > due.values_up_to) {
      row->state.record.header = *known;
      row->state.has_header = true;
    } else if (Load(row->key, /*with_value=*/true) == nullptr) {
      return false;
    }
  }
  CHECK(row->state.exists) << "a row of `ttl` without a record";
  due.visit(row->key, row->state.record);
  return true;
}

void RunOverlay::AddEvent(kv::HistoryEvent event) {
  staged_bytes_ += kv::BytesOf(event);
  events_.push_back(std::move(event));
}

void RunOverlay::WriteHistory(rocksdb::WriteBatch* batch) const {
  std::string header;
  for (const kv::HistoryEvent& event : events_) {
    EncodeEventHeader(event, &header);
    const std::string row_key = EncodeHistoryKey(event.revision, event.key);
    const rocksdb::Slice key = row_key;
    const rocksdb::Slice parts[] = {header, event.record.value};
    const rocksdb::Status built = batch->Put(generation_->history, rocksdb::SliceParts(&key, 1),
                                             rocksdb::SliceParts(parts, 2));
    CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  }
}

void RunOverlay::PutMemberRecord(const log::v1::MemberRecord& record) {
  staged_bytes_ += record.ByteSizeLong() + kChangeOverheadBytes;
  member_records_.push_back(record);
}

kv::KvTable::Mark RunOverlay::SetMark() const {
  return {.changes = undo_.size(),
          .member_records = member_records_.size(),
          .requests = request_undo_.size(),
          .events = events_.size(),
          .leases = lease_undo_.size()};
}

void RunOverlay::RollBack(const Mark& mark) {
  CHECK_LE(mark.changes, undo_.size());
  CHECK_LE(mark.member_records, member_records_.size());
  while (undo_.size() > mark.changes) {
    Undo& undo = undo_.back();
    undo.row->state = std::move(undo.before);
    undo_.pop_back();
  }
  member_records_.resize(mark.member_records);
  RollBackRequests(mark.requests);
  CHECK_LE(mark.events, events_.size());
  events_.resize(mark.events);
  for (; lease_undo_.size() > mark.leases; lease_undo_.pop_back()) {
    LeaseUndo& undo = lease_undo_.back();
    if (undo.before.has_value()) {
      changed_leases_[undo.id] = *undo.before;
    } else {
      changed_leases_.erase(undo.id);
    }
  }
}

void RunOverlay::VisitChanged(
    absl::FunctionRef<void(absl::string_view key, const kv::RecordHeader* header)> visit) const {
  for (const Row& row : rows_) {
    if (row.state.changed) {
      visit(row.key, row.state.exists ? &row.state.record.header : nullptr);
    }
  }
}

void RunOverlay::VisitCreatedAndRemoved(
    absl::FunctionRef<void(absl::string_view key, bool created)> visit) const {
  for (const Row& row : rows_) {
    if (row.state.changed && row.state.exists != row.on_disk) {
      visit(row.key, row.state.exists);
    }
  }
}

RunOverlay::Written RunOverlay::WriteTo(rocksdb::WriteBatch* batch) const {
  Written written;
  std::vector<const Row*> changed;
  for (const Row& row : rows_) {
    if (row.state.changed) {
      changed.push_back(&row);
    }
  }
  written.ordered = changed.size() >= kOrderedChangesMin;
  if (written.ordered) {
    std::sort(changed.begin(), changed.end(),
              [](const Row* a, const Row* b) { return a->key < b->key; });
  }

  std::string header;
  const auto check = [](const rocksdb::Status& status) {
    CHECK(status.ok()) << "cannot build a write batch: " << status.ToString();
  };
  struct TtlChange {
    std::string row_key;
    std::optional<uint64_t> put;  // The row's hash; nullopt: the row goes.
  };
  std::vector<TtlChange> ttl_changes;
  for (const Row* row : changed) {
    const State& state = row->state;
    const rocksdb::Slice key = row->key;
    if (state.exists) {
      EncodeRecordHeader(state.record.header, &header);
      const rocksdb::Slice parts[] = {header, state.record.value};
      check(batch->Put(generation_->latest, rocksdb::SliceParts(&key, 1),
                       rocksdb::SliceParts(parts, 2)));
    } else if (row->on_disk) {
      check(batch->Delete(generation_->latest, key));
    }

    WriteLeasedKeyTo(*row, batch);
    const raft::ClusterMillis old_deadline =
        row->on_disk ? row->disk_deadline : raft::ClusterMillis(0);
    const raft::ClusterMillis deadline =
        state.exists ? state.record.header.deadline : raft::ClusterMillis(0);
    if (old_deadline.value() != 0 && old_deadline != deadline) {
      ttl_changes.push_back({.row_key = EncodeTtlKey(old_deadline, row->key), .put = std::nullopt});
    }
    if (deadline.value() != 0) {
      // Also where the deadline stays: the hash does not.
      ttl_changes.push_back(
          {.row_key = EncodeTtlKey(deadline, row->key), .put = state.record.header.row_hash});
      if (written.earliest_deadline.value() == 0 || deadline < written.earliest_deadline) {
        written.earliest_deadline = deadline;
      }
    }
  }
  if (written.ordered) {
    std::sort(ttl_changes.begin(), ttl_changes.end(),
              [](const TtlChange& a, const TtlChange& b) { return a.row_key < b.row_key; });
  }
  for (const TtlChange& change : ttl_changes) {
    check(change.put.has_value()
              ? batch->Put(generation_->ttl, change.row_key, EncodeRowHash(*change.put))
              : batch->Delete(generation_->ttl, change.row_key));
  }
  WriteRequestsTo(batch);
  WriteLeasesTo(batch);
  WriteHistory(batch);
  for (const log::v1::MemberRecord& record : member_records_) {
    check(batch->Put(generation_->state, EncodeMemberRecordKey(record.member_id()),
                     record.SerializeAsString()));
  }
  return written;
}

}  // namespace raftkv::storage
