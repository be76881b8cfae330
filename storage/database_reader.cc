#include "storage/database_reader.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rocksdb/db.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"

namespace raftkv::storage {

namespace {

absl::StatusOr<std::optional<std::string>> ReadRow(rocksdb::DB* db,
                                                   rocksdb::ColumnFamilyHandle* family,
                                                   absl::string_view key) {
  std::string value;
  const rocksdb::Status status = db->Get(rocksdb::ReadOptions(), family, ToSlice(key), &value);
  if (status.IsNotFound()) {
    return std::optional<std::string>();
  }
  if (!status.ok()) {
    return ReadFailure(NameOf(family), status);
  }
  return std::optional<std::string>(std::move(value));
}

// Over what follows the start of the log. Before it there may be rows that were deleted and whose
// tombstones went first, and many tombstones.
class LogIterator {
 public:
  LogIterator(const OwnFamilies& families, const LogEdge& start)
      : first_(EncodeLogKey(start.id.index.Next())), bound_(first_) {
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &bound_;
    iterator_.reset(families.db->NewIterator(options, families.raft_log));
  }
  LogIterator(const LogIterator&) = delete;
  LogIterator& operator=(const LogIterator&) = delete;

  rocksdb::Iterator* get() const { return iterator_.get(); }

 private:
  const std::string first_;
  const rocksdb::Slice bound_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace

absl::StatusOr<MemberIdentity> DatabaseReader::ReadIdentity() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> format, ReadMeta(kFormatKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> data_id, ReadMeta(kDataIdKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> name, ReadMeta(kNameKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> member_id, ReadMeta(kMemberIdKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> cluster_id, ReadMeta(kClusterIdKey));
  const std::optional<uint64_t> version = DecodeNumber(format.value_or(""));
  if (!version.has_value()) {
    return BadBytes("`meta`", "the format version is missing");
  }
  if (*version != kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database ", families_.db->GetName(), " has format version ", *version,
                     ", this raftkvd uses version ", kFormatVersion,
                     ": run a raftkvd that knows version ", *version));
  }
  MemberIdentity identity;
  identity.data_id = DecodeId(data_id.value_or("")).value_or(0);
  if (identity.data_id == 0) {
    return BadBytes("`meta`", "the data id is missing");
  }
  RAFTKV_ASSIGN_OR_RETURN(identity.generation, ReadGeneration());
  if (identity.generation == 0) {
    return BadBytes("`meta`", "the generation is missing");
  }
  if (!name.has_value() && !member_id.has_value() && !cluster_id.has_value()) {
    return identity;
  }
  identity.name = name.value_or("");
  identity.member_id = DecodeNumber(member_id.value_or("")).value_or(0);
  identity.cluster_id = DecodeId(cluster_id.value_or("")).value_or(0);
  if (identity.name.empty() || identity.member_id == 0 || identity.cluster_id == 0) {
    return BadBytes("`meta`", "the founding record is incomplete");
  }
  return identity;
}

absl::StatusOr<uint64_t> DatabaseReader::ReadGeneration() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> number, ReadMeta(kGenerationKey));
  return DecodeNumber(number.value_or("")).value_or(0);
}

absl::StatusOr<std::optional<std::string>> DatabaseReader::ReadMeta(absl::string_view key) const {
  if (unreplayed_ != nullptr) {
    if (const auto row = unreplayed_->find(std::string(key)); row != unreplayed_->end()) {
      return std::optional<std::string>(row->second);
    }
  }
  return ReadRow(families_.db, families_.meta, key);
}

absl::StatusOr<raft::HardState> DatabaseReader::ReadHardState() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value, ReadMeta(kHardStateKey));
  if (!value.has_value()) {
    return raft::HardState();
  }
  const std::optional<raft::HardState> state = DecodeHardState(*value);
  if (!state.has_value()) {
    return BadBytes("`meta`", "the hard state makes no sense");
  }
  return *state;
}

absl::StatusOr<raft::ClusterReading> DatabaseReader::ReadSavedClusterClock() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value, ReadMeta(kClusterClockKey));
  if (!value.has_value()) {
    return raft::ClusterReading();
  }
  const std::optional<raft::ClusterReading> reading = DecodeClusterReading(*value);
  if (!reading.has_value()) {
    return BadBytes("`meta`", "the cluster clock makes no sense");
  }
  return *reading;
}

absl::StatusOr<std::optional<RestoreRecord>> DatabaseReader::ReadRestoreRecord() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value, ReadMeta(kRestoredKey));
  std::optional<RestoreRecord> record;
  if (value.has_value()) {
    record = DecodeRestoreRecord(*value);
    if (!record.has_value()) {
      return BadBytes("`meta`", "what it was restored from makes no sense");
    }
  }
  return record;
}

absl::StatusOr<LogEdge> DatabaseReader::ReadLogStart() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value, ReadMeta(kLogStartKey));
  if (!value.has_value()) {
    return LogEdge();
  }
  const std::optional<LogEdge> start = DecodeLogEdge(*value);
  if (!start.has_value()) {
    return BadBytes("`meta`", "the start of the log makes no sense");
  }
  return *start;
}

absl::StatusOr<LogEdge> DatabaseReader::ReadLogEnd() const {
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge start, ReadLogStart());
  const LogIterator log(families_, start);
  rocksdb::Iterator* const iterator = log.get();
  iterator->SeekToLast();
  if (!iterator->status().ok()) {
    return ReadFailure("`raft_log`", iterator->status());
  }
  if (!iterator->Valid()) {
    return start;
  }
  const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(iterator->key()));
  std::optional<raft::Entry> entry;
  if (index.has_value()) {
    entry = DecodeLogValue(*index, ToView(iterator->value()));
  }
  if (!entry.has_value()) {
    return BadBytes("`raft_log`", "the last entry makes no sense");
  }
  return LogEdge{.id = entry->id, .stamp = entry->stamp};
}

absl::StatusOr<std::optional<raft::Term>> DatabaseReader::ReadTerm(raft::LogIndex index) const {
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge start, ReadLogStart());
  if (index == start.id.index) {
    return std::optional<raft::Term>(start.id.term);
  }
  if (index < start.id.index) {
    return std::optional<raft::Term>();
  }
  std::string value;
  const rocksdb::Status status =
      families_.db->Get(rocksdb::ReadOptions(), families_.raft_log, EncodeLogKey(index), &value);
  if (status.IsNotFound()) {
    return std::optional<raft::Term>();
  }
  if (!status.ok()) {
    return ReadFailure("`raft_log`", status);
  }
  const std::optional<raft::Entry> entry = DecodeLogValue(index, value);
  if (!entry.has_value()) {
    return BadBytes("`raft_log`", "an entry makes no sense");
  }
  return std::optional<raft::Term>(entry->id.term);
}

absl::Status DatabaseReader::ReadTail(uint64_t bytes_max, raft::RestoredState* restored) const {
  const raft::EntryId applied = restored->applied;
  std::vector<raft::Entry>& tail = restored->tail;
  uint64_t bytes = 0;
  std::optional<raft::EntryId> after;  // The entry that was read before, which follows in the log.
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge start, ReadLogStart());
  bool reaches_start = true;
  const LogIterator log(families_, start);
  rocksdb::Iterator* const iterator = log.get();
  for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) {
    const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(iterator->key()));
    std::optional<raft::Entry> entry;
    if (index.has_value()) {
      entry = DecodeLogValue(*index, ToView(iterator->value()));
    }
    if (!entry.has_value()) {
      return BadBytes("`raft_log`", "an entry makes no sense");
    }
    const raft::EntryId id = entry->id;
    if (after.has_value() && (id.index.Next() != after->index || id.term > after->term)) {
      return BadBytes("`raft_log`",
                      absl::StrCat("entry ", id.index.value(), " of term ", id.term.value(),
                                   " stands before entry ", after->index.value(), " of term ",
                                   after->term.value()));
    }
    if (id.index == applied.index && id.term != applied.term) {
      return BadBytes("`raft_log`",
                      absl::StrCat("the applied entry ", applied.index.value(), " is of term ",
                                   applied.term.value(), ", the log has term ", id.term.value()));
    }
    after = id;
    bytes += entry->size_bytes();
    if (id.index <= applied.index && bytes > bytes_max) {
      restored->previous = id;
      restored->previous_stamp = entry->stamp;
      reaches_start = false;
      break;
    }
    tail.push_back(*std::move(entry));
  }
  if (!iterator->status().ok()) {
    return ReadFailure("`raft_log`", iterator->status());
  }
  std::reverse(tail.begin(), tail.end());
  if (!reaches_start) {
    return absl::OkStatus();
  }
  restored->previous = start.id;
  restored->previous_stamp = start.stamp;
  if (!tail.empty() && tail.front().id.index != start.id.index.Next()) {
    return BadBytes("`raft_log`", absl::StrCat("it begins at index ", tail.front().id.index.value(),
                                               ", not after index ", start.id.index.value()));
  }
  return absl::OkStatus();
}

absl::StatusOr<GenerationContent> GenerationReader::Read() const {
  GenerationContent content;
  RAFTKV_ASSIGN_OR_RETURN(content.applied, ReadAppliedState());
  RAFTKV_ASSIGN_OR_RETURN(content.configuration, ReadConfiguration());
  RAFTKV_ASSIGN_OR_RETURN(content.member_records, ReadMemberRecords());
  RAFTKV_ASSIGN_OR_RETURN(content.earliest_deadline, ReadEarliestDeadline());
  RAFTKV_ASSIGN_OR_RETURN(content.leases, ReadLeases());
  return content;
}

absl::StatusOr<kv::AppliedState> GenerationReader::ReadAppliedState() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                          ReadRow(generation_.db, generation_.state, kAppliedKey));
  if (!value.has_value()) {
    return kv::AppliedState();
  }
  std::optional<kv::AppliedState> state = DecodeAppliedState(*value);
  if (!state.has_value()) {
    return BadBytes(NameOf(generation_.state), "the applied index makes no sense");
  }
  if (state->cluster_version < kv::kHistoryCommandVersion) {
    return *std::move(state);
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> history,
                          ReadRow(generation_.db, generation_.state, kHistoryKey));
  std::optional<kv::HistoryState> decoded;
  if (history.has_value()) {
    decoded = DecodeHistoryState(*history);
  }
  if (!decoded.has_value()) {
    return BadBytes(NameOf(generation_.state), "what is said of the history makes no sense");
  }
  state->history = *std::move(decoded);
  return *std::move(state);
}

absl::StatusOr<std::optional<log::v1::ClusterConfiguration>> GenerationReader::ReadConfiguration()
    const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                          ReadRow(generation_.db, generation_.state, kConfigurationKey));
  std::optional<log::v1::ClusterConfiguration> configuration;
  if (value.has_value() && !configuration.emplace().ParseFromString(*value)) {
    return BadBytes(NameOf(generation_.state), "the configuration makes no sense");
  }
  return configuration;
}

absl::StatusOr<std::map<uint64_t, log::v1::MemberRecord>> GenerationReader::ReadMemberRecords()
    const {
  std::map<uint64_t, log::v1::MemberRecord> records;
  const rocksdb::Slice end = kMemberRecordEnd;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_.db->NewIterator(options, generation_.state));
  for (iterator->Seek(kMemberRecordPrefix); iterator->Valid(); iterator->Next()) {
    log::v1::MemberRecord record;
    const rocksdb::Slice value = iterator->value();
    if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      return BadBytes(NameOf(generation_.state), "a member's record makes no sense");
    }
    records[record.member_id()] = record;
  }
  if (!iterator->status().ok()) {
    return ReadFailure(NameOf(generation_.state), iterator->status());
  }
  return records;
}

absl::StatusOr<raft::ClusterMillis> GenerationReader::ReadEarliestDeadline() const {
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_.db->NewIterator(rocksdb::ReadOptions(), generation_.ttl));
  iterator->SeekToFirst();
  if (!iterator->status().ok()) {
    return ReadFailure(NameOf(generation_.ttl), iterator->status());
  }
  if (!iterator->Valid()) {
    return raft::ClusterMillis(0);
  }
  const std::optional<kv::TtlRow> row = DecodeTtlKey(ToView(iterator->key()));
  if (!row.has_value()) {
    return BadBytes(NameOf(generation_.ttl), "a row makes no sense");
  }
  return row->deadline;
}

absl::StatusOr<kv::LeaseTable> GenerationReader::ReadLeases() const {
  kv::LeaseTable leases;
  const std::string leases_end = LeasesEnd();
  const rocksdb::Slice end = leases_end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_.db->NewIterator(options, generation_.leases));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    const std::optional<int64_t> id = DecodeLeaseKey(ToView(iterator->key()));
    std::optional<kv::Lease> lease;
    if (id.has_value()) {
      lease = DecodeLease(*id, ToView(iterator->value()));
    }
    if (!lease.has_value()) {
      return BadBytes(NameOf(generation_.leases), "a lease makes no sense");
    }
    leases.Put(*lease);
  }
  if (!iterator->status().ok()) {
    return ReadFailure(NameOf(generation_.leases), iterator->status());
  }
  return leases;
}

}  // namespace raftkv::storage
