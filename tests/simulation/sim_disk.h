// One node's disk: what its database holds, and what of it a crash may take.
//
// Like RocksDB's, the write-ahead log is a row of files, each with records. A sync covers all that
// was written before it began. A power cut takes some tail from each file by itself, and may leave
// half a record; recovery drops the half record and all that follows the first gap, whichever file
// it is in. Killing the process takes nothing that was written.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "raft/core/output.h"
#include "raft/core/raft_core.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/sim_table.h"

namespace raftkv::simulation {

// A log that may begin in the middle. What lies before its beginning stays here for who compares
// logs, and the member itself never sees it; of what came with a snapshot that is no more than ids.
struct DiskLog {
  std::vector<raft::Entry> entries;  // entries[i] has index i + 1.
  raft::LogIndex trimmed;            // The log begins after this.

  raft::EntryId last() const { return entries.empty() ? raft::EntryId() : entries.back().id; }
  // The entry before the log's first.
  raft::EntryId before_first() const {
    return trimmed.value() == 0 ? raft::EntryId() : entries[trimmed.value() - 1].id;
  }
};

// What a process finds when it opens the database.
struct DiskContent {
  raft::HardState hard_state;
  DiskLog log;
  TableContent table;
  raft::ClusterReading cluster_clock;
};

// A whole applied state, and the ids of the entries that made it: of entry i + 1 at i.
struct SnapshotContent {
  TableContent table;
  std::vector<raft::EntryId> history;
  // Of these, what those of configurations say.
  std::map<raft::LogIndex, std::string> configurations = {};
};

// Confined to one thread.
class SimDisk final {
 public:
  // The entries up to `through` go.
  struct Trim {
    raft::LogIndex through;
  };
  // A snapshot becomes the state, and, unless the log is kept, what comes before the log.
  struct Install {
    std::shared_ptr<const SnapshotContent> content;
    bool keeps_log = false;
  };
  // Writes of the log thread, one of its other batches, a run of applied entries, or the saved
  // cluster time.
  using Record =
      std::variant<std::vector<raft::LogWrite>, Trim, Install, TableChanges, raft::ClusterReading>;

  // A WAL file has at most `file_records_max` records.
  SimDisk(uint64_t file_records_max, Dice dice, Counters* counters)
      : file_records_max_(file_records_max), dice_(dice), counters_(*counters) {
    // As of a cluster whose members have all said what they know.
    content_.table.applied.cluster_version = kv::kNewestCommandVersion;
  }

  // The founding record. REQUIRES: before anything is written.
  void Found(const log::v1::ClusterConfiguration& record) { content_.table.configuration = record; }
  // Writes a record, without a sync, and returns its number.
  uint64_t Write(Record record);
  uint64_t last_written() const { return last_written_; }
  // A sync that began when `record` was the last is over.
  void OnSynced(uint64_t record);

  // The process ends; what it wrote stays.
  void OnProcessKilled();
  // The power goes off. Unsynced records are lost or not.
  void OnPowerLost();
  // Makes a bent state what its rows say. REQUIRES: as content().
  void Straighten() { content_.table.applied.rows_hash = ProductRowsHash(content_.table); }

  // What is there for the next process. REQUIRES: nothing was written since the last crash, or
  // nothing was ever written.
  const DiskContent& content() const { return content_; }
  // The log as written, synced or not.
  const DiskLog& written_log() const { return written_log_; }

 private:
  struct WalRecord {
    uint64_t number;
    uint64_t file;
    Record record;
  };

  // Moves the oldest record of the WAL into the content.
  void TakeFront();
  void NoteLoss(const Record& record);

  const uint64_t file_records_max_;
  Dice dice_;
  Counters& counters_;

  // As of the last sync.
  DiskContent content_;
  DiskLog written_log_;
  // What was written since.
  std::deque<WalRecord> wal_;
  uint64_t last_written_ = 0;
  uint64_t file_ = 0;
  uint64_t records_in_file_ = 0;
};

}  // namespace raftkv::simulation
