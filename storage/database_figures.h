// What a storage tells about its disk work and its database, for whoever watches it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace raftkv::storage {

// What the log thread did since the start.
struct LogDiskCounts {
  // Of each batch: handing it to the system, and having it on the disk after that.
  Histogram write_nanos = Histogram::OfDurations();
  Histogram sync_nanos = Histogram::OfDurations();
  // Entries that one sync made durable.
  Histogram sync_entries = Histogram(1, 13);
  uint64_t bytes = 0;
};

// What RocksDB did by itself since the start.
struct DatabaseWork {
  uint64_t flushes = 0;
  uint64_t flushed_bytes = 0;
  uint64_t compactions = 0;
  uint64_t compaction_read_bytes = 0;
  uint64_t compaction_written_bytes = 0;
  uint64_t compaction_micros = 0;
  // How often it began to slow writers down, and to stop them.
  uint64_t slowdowns = 0;
  uint64_t stops = 0;
};

// How the database is.
struct DatabaseFigures {
  struct Family {
    std::string name;  // Without the number of its generation.
    uint64_t table_bytes = 0;
    uint64_t memtable_bytes = 0;
    uint64_t unflushed_memtables = 0;
    uint64_t level0_files = 0;
    uint64_t pending_compaction_bytes = 0;
  };
  std::vector<Family> families = {};
  DatabaseWork work;
  uint64_t running_flushes = 0;
  uint64_t running_compactions = 0;
  bool is_write_stopped = false;
  uint64_t delayed_write_bytes_per_second = 0;  // 0: writes are not delayed.
  uint64_t background_errors = 0;
  uint64_t cache_capacity_bytes = 0;
  uint64_t cache_used_bytes = 0;
  uint64_t cache_pinned_bytes = 0;
};

}  // namespace raftkv::storage
