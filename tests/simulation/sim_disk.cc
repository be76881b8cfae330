#include "tests/simulation/sim_disk.h"

#include <glog/logging.h>

#include <map>
#include <utility>

namespace raftkv::simulation {
namespace {

// Of power cuts that find an unsynced tail in a file: those that take some of it, and of these the
// ones that leave half a record.
constexpr uint64_t kTailCutPermille = 850;
constexpr uint64_t kTornPermille = 500;

void WriteEntries(const std::vector<raft::Entry>& entries, std::vector<raft::Entry>* log) {
  for (const raft::Entry& entry : entries) {
    const uint64_t place = entry.id.index.value() - 1;
    CHECK_LE(place, log->size()) << "a write leaves a gap in the log";
    log->resize(place);
    log->push_back(entry);
  }
}

}  // namespace

uint64_t SimDisk::Write(Record record) {
  if (records_in_file_ == file_records_max_) {
    records_in_file_ = 0;
    ++file_;
  }
  ++records_in_file_;
  ++last_written_;
  if (const auto* writes = std::get_if<std::vector<raft::LogWrite>>(&record)) {
    for (const raft::LogWrite& write : *writes) {
      WriteEntries(write.entries, &written_log_);
    }
  }
  wal_.push_back({.number = last_written_, .file = file_, .record = std::move(record)});
  return last_written_;
}

void SimDisk::OnSynced(uint64_t record) {
  while (!wal_.empty() && wal_.front().number <= record) {
    TakeFront();
  }
}

void SimDisk::OnProcessKilled() { OnSynced(last_written_); }

void SimDisk::OnPowerLost() {
  // The last record that survives in each file, by file.
  std::map<uint64_t, uint64_t> kept_up_to;
  for (auto record = wal_.begin(); record != wal_.end();) {
    const uint64_t file = record->file;
    const uint64_t first = record->number;
    while (record != wal_.end() && record->file == file) {
      ++record;
    }
    const uint64_t last = (record == wal_.end() ? last_written_ : record->number - 1);
    kept_up_to[file] = last;
    if (dice_.Chance(kTailCutPermille)) {
      kept_up_to[file] = first - 1 + dice_.Below(last - first + 1);
      if (dice_.Chance(kTornPermille)) {
        // Half of the next record is there. Its checksum says so, and that is the end of the file.
        counters_.Note(Situation::kWriteTorn);
      }
    }
  }
  bool gap = false;
  while (!wal_.empty()) {
    const WalRecord& front = wal_.front();
    const bool kept = front.number <= kept_up_to.at(front.file);
    if (kept && gap) {
      counters_.Note(Situation::kGapInWal);
    }
    gap = gap || !kept;
    if (gap) {
      NoteLoss(front.record);
      wal_.pop_front();
    } else {
      TakeFront();
    }
  }
  written_log_ = content_.log;
}

void SimDisk::TakeFront() {
  Record& record = wal_.front().record;
  if (auto* writes = std::get_if<std::vector<raft::LogWrite>>(&record)) {
    for (const raft::LogWrite& write : *writes) {
      content_.hard_state = write.hard_state.value_or(content_.hard_state);
      WriteEntries(write.entries, &content_.log);
    }
  } else if (const auto* changes = std::get_if<TableChanges>(&record)) {
    ApplyChanges(*changes, &content_.table);
  } else {
    content_.cluster_clock = std::get<raft::ClusterReading>(record);
  }
  wal_.pop_front();
}

void SimDisk::NoteLoss(const Record& record) {
  if (const auto* writes = std::get_if<std::vector<raft::LogWrite>>(&record)) {
    for (const raft::LogWrite& write : *writes) {
      if (write.hard_state.has_value() && write.hard_state->vote != raft::kNobody) {
        counters_.Note(Situation::kUnsyncedVoteLost);
      }
      if (!write.entries.empty()) {
        counters_.Note(Situation::kUnsyncedEntryLost);
      }
    }
  } else if (std::holds_alternative<TableChanges>(record)) {
    counters_.Note(Situation::kUnsyncedApplyLost);
  }
}

}  // namespace raftkv::simulation
