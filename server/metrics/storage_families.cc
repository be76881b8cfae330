#include "base/clock.h"
#include "server/metrics/families.h"

namespace raftkv::server {
namespace {

using storage::DatabaseFigures;

void AddTables(const DatabaseFigures& database, FamilyList* list) {
  const auto gauge = [&](const char* name, const char* help,
                         uint64_t DatabaseFigures::Family::*figure) {
    FamilyList::Samples values;
    for (const DatabaseFigures::Family& family : database.families) {
      values.emplace_back(FamilyList::Labels{{"family", family.name}}, family.*figure);
    }
    list->Gauge(name, help, values);
  };
  gauge("raftkv_rocksdb_table_bytes", "Tables of a column family that are in use.",
        &DatabaseFigures::Family::table_bytes);
  gauge("raftkv_rocksdb_memtable_bytes", "Memtables of a column family.",
        &DatabaseFigures::Family::memtable_bytes);
  gauge("raftkv_rocksdb_unflushed_memtables",
        "Memtables of a column family that are full and not in tables yet.",
        &DatabaseFigures::Family::unflushed_memtables);
  gauge("raftkv_rocksdb_level0_files", "Tables of a column family in level 0.",
        &DatabaseFigures::Family::level0_files);
  gauge("raftkv_rocksdb_pending_compaction_bytes",
        "What compactions of a column family have to write, as RocksDB estimates it.",
        &DatabaseFigures::Family::pending_compaction_bytes);
}

void AddWork(const storage::DatabaseWork& work, FamilyList* list) {
  list->Counter("raftkv_rocksdb_flushes_total", "Memtables that became tables.", work.flushes);
  list->Counter("raftkv_rocksdb_flushed_bytes_total", "Tables that memtables became.",
                work.flushed_bytes);
  list->Counter("raftkv_rocksdb_compactions_total", "Compactions.", work.compactions);
  list->Counter("raftkv_rocksdb_compaction_read_bytes_total", "Read by compactions.",
                work.compaction_read_bytes);
  list->Counter("raftkv_rocksdb_compaction_written_bytes_total", "Written by compactions.",
                work.compaction_written_bytes);
  list->Counter("raftkv_rocksdb_compaction_seconds_total", "Time that compactions took.",
                static_cast<double>(work.compaction_micros) / 1e6);
  list->Counter(
      "raftkv_rocksdb_stalls_total",
      "How often RocksDB began to slow writes down, or to stop them.",
      {{{{"condition", "delayed"}}, work.slowdowns}, {{{"condition", "stopped"}}, work.stops}});
}

}  // namespace

void AddStorage(const storage::LogDiskCounts& log, const DatabaseFigures& database,
                FamilyList* list) {
  list->Durations("raftkv_disk_wal_fsync_duration_seconds",
                  "How long a sync of log entries, or of a vote, took.", log.sync_nanos);
  list->Durations("raftkv_disk_wal_write_duration_seconds",
                  "How long the write before it took, stalls of RocksDB included.",
                  log.write_nanos);
  list->Distribution("raftkv_disk_wal_sync_entries",
                     "Entries of the log that one sync made durable.", 1, {{{}, log.sync_entries}});
  list->Counter("raftkv_disk_wal_write_bytes_total",
                "Log entries written, before they are in tables.", log.bytes);
  AddTables(database, list);
  AddWork(database.work, list);
  list->Gauge("raftkv_rocksdb_running_flushes", "Flushes under way.", database.running_flushes);
  list->Gauge("raftkv_rocksdb_running_compactions", "Compactions under way.",
              database.running_compactions);
  list->Gauge("raftkv_rocksdb_is_write_stopped", "1 while RocksDB takes no writes.",
              database.is_write_stopped ? 1 : 0);
  list->Gauge("raftkv_rocksdb_delayed_write_bytes_per_second",
              "What RocksDB slows writes down to; 0: it does not.",
              database.delayed_write_bytes_per_second);
  list->Gauge("raftkv_rocksdb_background_errors", "Errors that RocksDB met by itself.",
              database.background_errors);
  list->Gauge("raftkv_rocksdb_block_cache_capacity_bytes",
              "Room for blocks of files and for write buffers.", database.cache_capacity_bytes);
  list->Gauge("raftkv_rocksdb_block_cache_usage_bytes", "What of that room is taken.",
              database.cache_used_bytes);
  list->Gauge("raftkv_rocksdb_block_cache_pinned_bytes", "What of that is in use right now.",
              database.cache_pinned_bytes);
}

}  // namespace raftkv::server
