#include "tests/simulation/sim_disk.h"

#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <utility>

#include "kv/member_list.h"

namespace raftkv::simulation {
namespace {

// Of power cuts that find an unsynced tail in a file: those that take some of it, and of these the
// ones that leave half a record.
constexpr uint64_t kTailCutPermille = 850;
constexpr uint64_t kTornPermille = 500;

void WriteEntries(const std::vector<raft::LogWrite>& writes, DiskLog* log) {
  for (const raft::LogWrite& write : writes) {
    for (const raft::Entry& entry : write.entries) {
      const uint64_t place = entry.id.index.value() - 1;
      CHECK_GT(entry.id.index, log->trimmed) << "a write before the log's first entry";
      CHECK_LE(place, log->entries.size()) << "a write leaves a gap in the log";
      log->entries.resize(place);
      log->entries.push_back(entry);
    }
  }
}

void TrimLog(raft::LogIndex through, DiskLog* log) {
  CHECK_LE(through.value(), log->entries.size()) << "what is not in the log is forgotten";
  log->trimmed = std::max(log->trimmed, through);
}

void InstallInto(const SimDisk::Install& install, DiskLog* log) {
  const raft::EntryId last = install.content->table.applied.id;
  const uint64_t place = last.index.value() - 1;
  if (install.keeps_log) {
    CHECK(place < log->entries.size() && log->entries[place].id == last)
        << "the log that is kept does not hold the snapshot's last entry";
    return;
  }
  log->entries.clear();
  for (const raft::EntryId& id : install.content->history) {
    log->entries.push_back({.id = id, .kind = {}, .stamp = {}, .payload = nullptr});
    const auto record = install.content->configurations.find(id.index);
    if (record != install.content->configurations.end()) {
      raft::Entry& entry = log->entries.back();
      entry.kind = raft::EntryKind::kConfiguration;
      entry.payload = std::make_shared<const std::string>(record->second);
      log::v1::ClusterConfiguration configuration;
      CHECK(configuration.ParseFromString(record->second));
      entry.configuration = std::make_shared<const raft::Configuration>(kv::IdsOf(configuration));
    }
  }
  log->entries.back().stamp = install.content->table.applied.stamp;
  log->trimmed = last.index;
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
    WriteEntries(*writes, &written_log_);
  } else if (const auto* trim = std::get_if<Trim>(&record)) {
    TrimLog(trim->through, &written_log_);
  } else if (const auto* install = std::get_if<Install>(&record)) {
    InstallInto(*install, &written_log_);
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
    }
    WriteEntries(*writes, &content_.log);
  } else if (const auto* trim = std::get_if<Trim>(&record)) {
    TrimLog(trim->through, &content_.log);
  } else if (const auto* install = std::get_if<Install>(&record)) {
    InstallInto(*install, &content_.log);
    content_.table = install->content->table;
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
  } else if (std::holds_alternative<Install>(record)) {
    counters_.Note(Situation::kUnsyncedInstallLost);
  } else if (std::holds_alternative<Trim>(record)) {
    counters_.Note(Situation::kUnsyncedTrimLost);
  }
}

}  // namespace raftkv::simulation
