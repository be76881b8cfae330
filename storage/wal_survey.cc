#include "storage/wal_survey.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/wal_gap_filter.h"

namespace raftkv::storage {
namespace {

absl::Status LostWal(const std::string& database_path, uint64_t file, absl::string_view how) {
  return absl::DataLossError(absl::StrCat("the write-ahead log ", database_path, "/",
                                          absl::StrFormat("%06d.log", file), " ", how, ". ",
                                          kRemedy));
}

}  // namespace

// Takes note of the rows of one batch.
class WalSurvey::RowReader final : public rocksdb::WriteBatch::Handler {
 public:
  explicit RowReader(WalSurvey* survey) : survey_(survey) {}

  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    if (family == survey_->meta_family_) {
      survey_->meta_[key.ToString()] = value.ToString();
    }
    if (family != survey_->raft_log_) {
      return rocksdb::Status::OK();
    }
    const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(key));
    std::optional<raft::Entry> entry;
    if (index.has_value()) {
      entry = DecodeLogValue(*index, ToView(value));
    }
    if (!entry.has_value()) {
      return rocksdb::Status::Corruption("an entry of the log makes no sense");
    }
    // A write ends with its last entry and only cuts behind it, so the last one is the end.
    survey_->last_entry_ = entry->id;
    if (*index == survey_->fenced_) {
      survey_->fenced_term_ = entry->id.term;
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  // A trim, which changes nothing at the log's end.
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }

 private:
  WalSurvey* const survey_;
};

void WalSurvey::ColumnFamilyLogNumberMap(const std::map<uint32_t, uint64_t>& numbers,
                                         const std::map<std::string, uint32_t>& ids) {
  needed_from_ = numbers.begin()->second;
  for (const auto& [family, number] : numbers) {
    needed_from_ = std::min(needed_from_, number);
    synced_before_ = std::max(synced_before_, number);
  }
  // What is not there makes the opening fail.
  if (const auto family = ids.find(kRaftLogFamily); family != ids.end()) {
    raft_log_ = family->second;
  }
  if (const auto family = ids.find(kMetaFamily); family != ids.end()) {
    meta_family_ = family->second;
  }
}

rocksdb::WalFilter::WalProcessingOption WalSurvey::LogRecordFound(
    unsigned long long log_number, const std::string&,  // NOLINT: RocksDB's own type.
    const rocksdb::WriteBatch& batch, rocksdb::WriteBatch*, bool*) {
  const BatchSequence sequence = ReadBatchSequence(batch);
  if (first_file_ == 0) {
    first_file_ = log_number;
    first_sequence_ = sequence.first;
  } else if (sequence.first > next_sequence_) {
    gap_file_ = log_number;
    return WalProcessingOption::kStopReplay;
  } else if (sequence.first < next_sequence_) {
    return WalProcessingOption::kCorruptedRecord;
  }
  next_sequence_ = sequence.first + sequence.count;
  RowReader reader(this);
  return batch.Iterate(&reader).ok() ? WalProcessingOption::kIgnoreCurrentRecord
                                     : WalProcessingOption::kCorruptedRecord;
}

absl::Status WalSurvey::Finish(const std::string& database_path, const TableFacts& tables,
                               uint64_t first_wal, const std::set<uint64_t>& present) {
  if (present.empty()) {
    return absl::DataLossError(absl::StrCat("the database ", database_path,
                                            " has no write-ahead log at all, and it always has one",
                                            ". ", kRemedy));
  }
  // The first file that is still needed, when that can be told. The tables may name numbers below
  // that of the first file there ever was, hence first_wal.
  const uint64_t expected = std::max({tables.oldest_wal, needed_from_, first_wal});
  if (first_wal != 0 && expected == first_wal && !present.contains(first_wal)) {
    return LostWal(database_path, first_wal, "is missing");
  }
  // Whether there is something in the files from that one on that is certainly synced. RocksDB
  // leaves no file for the next one before it holds a record.
  const bool synced_needed = first_wal != 0 && expected < synced_before_;
  if (synced_needed && first_file_ != expected) {
    return LostWal(database_path, expected, "is missing or has lost its beginning");
  }
  const bool synced_gap = gap_file_ != 0 && gap_file_ <= synced_before_;
  const bool ends_early = next_sequence_ <= tables.newest_sequence;
  if (synced_gap || (synced_needed && ends_early) || (gap_file_ != 0 && ends_early)) {
    return absl::DataLossError(absl::StrCat(
        "the write-ahead log in ", database_path,
        " has lost changes that were synced, from number ", next_sequence_,
        " on: the tables go up to number ", tables.newest_sequence,
        gap_file_ == 0 ? "" : absl::StrFormat(", and it goes on in %06d.log", gap_file_), ". ",
        kRemedy));
  }
  if (first_file_ != 0 && first_sequence_ > tables.newest_sequence + 1) {
    meta_.clear();
    last_entry_.reset();
    fenced_term_.reset();
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
