#include "storage/wal_survey.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "rocksdb/db.h"
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
    survey_->empties_log_ = false;
    if (*index == survey_->fenced_) {
      survey_->fenced_term_ = entry->id.term;
    }
    return rocksdb::Status::OK();
  }
  // An entry behind the end that the same write has set.
  rocksdb::Status DeleteCF(uint32_t family, const rocksdb::Slice& key) override {
    if (family == survey_->raft_log_ && DecodeLogKey(ToView(key)) == survey_->fenced_) {
      survey_->fenced_term_ = kNoTerm;
    }
    return rocksdb::Status::OK();
  }
  // A trim, or all of the log when a snapshot takes its place.
  rocksdb::Status DeleteRangeCF(uint32_t family, const rocksdb::Slice& begin,
                                const rocksdb::Slice& end) override {
    if (family != survey_->raft_log_) {
      return rocksdb::Status::OK();
    }
    const std::optional<raft::LogIndex> first = DecodeLogKey(ToView(begin));
    const std::optional<raft::LogIndex> kept = DecodeLogKey(ToView(end));
    if (!first.has_value() || !kept.has_value()) {
      return rocksdb::Status::Corruption("a trim of the log makes no sense");
    }
    if (survey_->last_entry_.has_value() && survey_->last_entry_->index < *kept) {
      survey_->last_entry_.reset();
      survey_->empties_log_ = true;
    }
    if (survey_->fenced_ >= *first && survey_->fenced_ < *kept) {
      survey_->fenced_term_ = kNoTerm;
    }
    survey_->deleted_before_ = std::max(survey_->deleted_before_, *kept);
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
  }
  for (const auto& [name, family] : ids) {
    if (const auto number = numbers.find(family); number != numbers.end()) {
      first_files_[name] = number->second;
    }
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

uint64_t WalSurvey::SyncedBefore(uint64_t generation) const {
  std::vector<std::string> names = GenerationFamilies(generation);
  names.insert(names.end(), {kRaftLogFamily, kMetaFamily, rocksdb::kDefaultColumnFamilyName});
  uint64_t before = 0;
  for (const std::string& name : names) {
    const auto file = first_files_.find(name);
    before = std::max(before, file == first_files_.end() ? 0 : file->second);
  }
  return before;
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
  // The replay stops before all of it.
  if (first_file_ != 0 && first_sequence_ > tables.newest_sequence + 1) {
    meta_.clear();
    last_entry_.reset();
    empties_log_ = false;
    fenced_term_.reset();
    deleted_before_ = raft::LogIndex();
  }
  const auto switched = meta_.find(kGenerationKey);
  const uint64_t synced_before = SyncedBefore(
      switched == meta_.end() ? tables.generation
                              : DecodeNumber(switched->second).value_or(tables.generation));
  // Whether there is something in the files from that one on that is certainly synced. RocksDB
  // leaves no file for the next one before it holds a record.
  const bool synced_needed = first_wal != 0 && expected < synced_before;
  if (synced_needed && first_file_ != expected) {
    return LostWal(database_path, expected, "is missing or has lost its beginning");
  }
  const bool synced_gap = gap_file_ != 0 && gap_file_ <= synced_before;
  const bool ends_early = next_sequence_ <= tables.newest_sequence;
  if (synced_gap || (synced_needed && ends_early) || (gap_file_ != 0 && ends_early)) {
    return absl::DataLossError(absl::StrCat(
        "the write-ahead log in ", database_path,
        " has lost changes that were synced, from number ", next_sequence_,
        " on: the tables go up to number ", tables.newest_sequence,
        gap_file_ == 0 ? "" : absl::StrFormat(", and it goes on in %06d.log", gap_file_), ". ",
        kRemedy));
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
