// WalSurvey looks through the write-ahead log of a database before anything is changed: whether the
// files that must be there are, and what the replay will bring. What a power cut explains passes,
// what it does not explain is damage.
//
// Of the families that a state was staged in, and that are nobody's yet, none of this is true: they
// begin with the file that was being written when they were made, whatever is synced.
//
// RocksDB notices neither a missing nor an emptied WAL file. But each column family knows the file
// from which on it is not in tables, and RocksDB syncs every older file before it says so. So up to
// the newest of those nothing can be missing after a power cut, and where something is, sequence
// numbers or the first record show it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "raft/core/types.h"
#include "rocksdb/wal_filter.h"
#include "rocksdb/write_batch.h"

namespace raftkv::storage {

// What the open database says without its WAL.
struct TableFacts {
  uint64_t newest_sequence = 0;
  uint64_t oldest_wal = 0;  // Older files are not needed any more.
  uint64_t generation = 0;  // Which state is the member's, unless the WAL says otherwise.
};

// For one read-only opening, of which it lets no record through. Confined to the thread that opens.
class WalSurvey final : public rocksdb::WalFilter {
 public:
  // Keeps an eye on the log's entry at `fenced`.
  explicit WalSurvey(raft::LogIndex fenced) : fenced_(fenced) {}

  const char* Name() const override { return "raftkv.WalSurvey"; }
  void ColumnFamilyLogNumberMap(const std::map<uint32_t, uint64_t>& numbers,
                                const std::map<std::string, uint32_t>& ids) override;
  WalProcessingOption LogRecordFound(unsigned long long log_number,  // NOLINT: RocksDB's own type.
                                     const std::string& log_file_name,
                                     const rocksdb::WriteBatch& batch,
                                     rocksdb::WriteBatch* new_batch, bool* batch_changed) override;

  // After the opening: DataLoss when a file is missing or has lost what was synced. `first_wal` is
  // the file that the last opening began with (FenceRecord), 0 when that is not known; `present`
  // are the numbers of the files there are. Then forgets what the replay will not bring.
  absl::Status Finish(const std::string& database_path, const TableFacts& tables,
                      uint64_t first_wal, const std::set<uint64_t>& present);

  // REQUIRES: Finish returned OK.
  // Rows of `meta` that the replay will bring.
  const std::map<std::string, std::string>& meta() const { return meta_; }
  // The last entry that it will leave in the log of those that it writes, nothing for none.
  std::optional<raft::EntryId> last_entry() const { return last_entry_; }
  // It will delete all that it writes to the log, and what the tables hold of it. That need not be
  // one range: the log's end was cut before its beginning was.
  bool empties_log() const { return empties_log_; }
  // The term that it will leave at the watched index, kNoTerm when it deletes what is there;
  // nothing when it leaves that to the tables.
  std::optional<raft::Term> fenced_term() const { return fenced_term_; }
  static constexpr raft::Term kNoTerm{};
  // It will delete what the tables hold of the log before this.
  raft::LogIndex deleted_before() const { return deleted_before_; }

 private:
  class RowReader;

  // Everything in older files is synced, because some column family is in tables up to it.
  uint64_t SyncedBefore(uint64_t generation) const;

  // Constant after construction.
  const raft::LogIndex fenced_;

  // Constant once the first record is there.
  uint32_t raft_log_ = 0;
  uint32_t meta_family_ = 0;
  // The first file that is not in tables, by family. No family needs files that are older than all
  // of these.
  std::map<std::string, uint64_t> first_files_;
  uint64_t needed_from_ = 0;

  uint64_t first_file_ = 0;  // Of the first record; 0 when there is none.
  uint64_t first_sequence_ = 0;
  uint64_t next_sequence_ = 0;  // What follows the last record.
  uint64_t gap_file_ = 0;       // In which the records go on after a gap; 0 when there is none.

  std::map<std::string, std::string> meta_;
  std::optional<raft::EntryId> last_entry_;
  bool empties_log_ = false;
  std::optional<raft::Term> fenced_term_;
  raft::LogIndex deleted_before_;
};

}  // namespace raftkv::storage
