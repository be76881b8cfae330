#include "storage/rocksdb_options.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "glog/logging.h"
#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/listener.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/table.h"
#include "storage/ballast.h"
#include "storage/disk_failure.h"
#include "storage/info_log.h"
#include "storage/key_layout.h"
#include "storage/ordered_inserts.h"

namespace raftkv::storage {
namespace {

// Of StorageOptions::write_buffer_bytes, for the family that is written least.
constexpr uint64_t kMetaShare = 4;

// Of a family, at most: one that takes writes while others are flushed. A write waits when all are
// full.
constexpr int kWriteBuffers = 3;

// Tables are large, so that even much data takes few open files; so many make the first level below
// 0, and so many, roughly, one compaction.
constexpr uint64_t kTableBytesMax = 64 << 20;
constexpr uint64_t kTableBytesMin = 1 << 20;
constexpr uint64_t kBaseLevelTables = 4;
constexpr uint64_t kCompactionTables = 8;

// A compaction, a flush and the write-ahead log fit into the reserve together.
constexpr uint64_t kTablePartOfReserve = 16;
constexpr int64_t kWriteBufferPartOfReserve = 16;
constexpr int64_t kWalPartOfReserve = 4;
constexpr int64_t kWriteBufferBytesMin = 1 << 20;

// A piece of the cache with a lock of its own. The write buffers' share is spread unevenly over
// them, and must leave room for blocks in each.
constexpr uint64_t kCacheShardBytes = 8 << 20;
constexpr int kCacheShardBitsMax = 6;

constexpr size_t kBlockBytes = 16 << 10;
constexpr double kBloomBitsPerKey = 10;
constexpr double kIndexShareOfCache = 0.5;
// When they take so much of the cache, the oldest write buffer is flushed before it is full.
constexpr double kWriteBuffersShareOfCache = 0.5;

// Ends the process where RocksDB would go read-only or, after a full disk, go on over a hole.
class AbortingListener final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (status->IsCorruption()) {
      ExitOnCorruption("a database file", status->ToString());
    }
    if (status->severity() >= rocksdb::Status::kHardError) {
      AbortOnWriteFailure("write a database file", *status);
    }
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::BlockBasedTableOptions MakeTableOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = kBlockBytes;
  // Indexes and filters count against the cache's size, but data blocks do not push them out.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // Not in pieces, although those of a large file would be easier to cache: a damaged file with
  // such an index can end the process inside RocksDB 7.8.3 instead of being refused.
  table.format_version = 5;
  return table;
}

uint64_t TableBytes(const StorageOptions& options) {
  if (options.disk_reserve_bytes == 0) {
    return kTableBytesMax;
  }
  return std::clamp(static_cast<uint64_t>(options.disk_reserve_bytes) / kTablePartOfReserve,
                    kTableBytesMin, kTableBytesMax);
}

int CacheShardBits(uint64_t cache_bytes) {
  int bits = 0;
  while (bits < kCacheShardBitsMax && cache_bytes >> (bits + 1) >= kCacheShardBytes) {
    ++bits;
  }
  return bits;
}

rocksdb::ColumnFamilyOptions MakeFamily(const StorageOptions& options,
                                        const rocksdb::BlockBasedTableOptions& table,
                                        uint64_t write_buffer_bytes) {
  rocksdb::ColumnFamilyOptions family;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.write_buffer_size = write_buffer_bytes;
  family.max_write_buffer_number = kWriteBuffers;
  family.target_file_size_base = TableBytes(options);
  family.max_bytes_for_level_base = kBaseLevelTables * family.target_file_size_base;
  family.max_compaction_bytes = kCompactionTables * family.target_file_size_base;
  family.compression = rocksdb::kNoCompression;
  return family;
}

// Written in order, it goes from the front, and is read only at start and for who lags.
rocksdb::ColumnFamilyOptions MakeLogFamily(const StorageOptions& options,
                                           const rocksdb::BlockBasedTableOptions& table,
                                           OrderedInserts::Of inserts) {
  rocksdb::ColumnFamilyOptions family = MakeFamily(options, table, options.log_write_buffer_bytes);
  family.level0_file_num_compaction_trigger = 8;
  // Files of a log follow each other, so a compaction need only move them, but the leveled one
  // rewrites them. Side by side, puts at 256 in flight: 1.2 times the rate, 0.8 of the p99.
  family.compaction_style = rocksdb::kCompactionStyleUniversal;
  family.compaction_options_universal.allow_trivial_move = true;
  family.memtable_insert_with_hint_prefix_extractor = MakeOrderedInsertsHint(inserts);
  return family;
}

}  // namespace

void FitToReserve(StorageOptions* options) {
  const int64_t reserve = options->disk_reserve_bytes;
  if (reserve == 0) {
    return;
  }
  const auto lessen = [](int64_t part, int64_t least, uint64_t* bytes) {
    *bytes = std::min(*bytes, static_cast<uint64_t>(std::max(part, least)));
  };
  lessen(reserve / kWriteBufferPartOfReserve, kWriteBufferBytesMin, &options->write_buffer_bytes);
  lessen(reserve / kWriteBufferPartOfReserve, kWriteBufferBytesMin,
         &options->log_write_buffer_bytes);
  // A start on a full disk turns it into tables, in the space of the ballast.
  lessen(std::min(reserve / kWalPartOfReserve, kBallastBytesMax),
         kWalPartOfReserve * kWriteBufferBytesMin, &options->wal_bytes_max);
}

rocksdb::Env* EnvOf(const StorageOptions& options) {
  return options.env != nullptr ? options.env : rocksdb::Env::Default();
}

DatabaseMemory::DatabaseMemory(const StorageOptions& options)
    : cache_(rocksdb::NewLRUCache(options.cache_bytes, CacheShardBits(options.cache_bytes),
                                  /*strict_capacity_limit=*/false, kIndexShareOfCache)),
      write_buffers_(std::make_shared<rocksdb::WriteBufferManager>(
          static_cast<size_t>(static_cast<double>(options.cache_bytes) * kWriteBuffersShareOfCache),
          cache_)) {}

StorageMemory DatabaseMemory::Use() const {
  const size_t buffers = write_buffers_->memory_usage();
  const size_t reserved = write_buffers_->dummy_entries_in_cache_usage();
  const size_t cache = cache_->GetUsage();
  return {.cached_blocks = cache > reserved ? cache - reserved : 0, .write_buffers = buffers};
}

rocksdb::DBOptions MakeDbOptions(const StorageOptions& options, const DatabaseMemory& memory,
                                 rocksdb::WalFilter* wal_filter) {
  rocksdb::DBOptions db;
  db.env = EnvOf(options);
  db.create_if_missing = false;
  db.create_missing_column_families = false;

  // Recovery. The default mode opens after a flipped byte in the middle of the WAL, silently
  // without what follows. This one refuses, yet takes a cut tail; the filter turns it into a prefix
  // across files.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.wal_filter = wal_filter;
  db.paranoid_checks = true;
  db.best_efforts_recovery = false;
  // With SyncWAL, 7.8.3 can refuse a healthy database over this (rocksdb#10892).
  db.track_and_verify_wals_in_manifest = false;

  // The WAL. Data reaches the page cache with each Write, so a killed process loses nothing;
  // SyncWAL does the rest.
  db.manual_wal_flush = false;
  db.wal_bytes_per_sync = 0;
  db.recycle_log_file_num = 0;
  // Bounds the replay at start. Rarely written column families would otherwise keep old files
  // alive.
  db.max_total_wal_size = options.wal_bytes_max;
  db.wal_compression = rocksdb::kNoCompression;
  db.write_buffer_manager = memory.write_buffers();

  // Writes: two threads write, so none of the modes for many writers pays, and some break the order
  // that WalGapFilter relies on.
  db.enable_pipelined_write = false;
  db.unordered_write = false;
  db.two_write_queues = false;
  db.atomic_flush = false;
  db.allow_concurrent_memtable_write = false;  // Allows the insert hint of `raft_log`.
  db.enable_write_thread_adaptive_yield =
      false;  // Spinning takes the CPU from the thread waited for.

  // Failures end the process (AbortingListener, and every caller of Write); nothing resumes by
  // itself.
  db.max_bgerror_resume_count = 0;
  db.listeners.push_back(std::make_shared<AbortingListener>());

  // Background work and files.
  db.max_background_jobs = 2;
  db.bytes_per_sync =
      1 << 20;  // Keeps a flush from filling the device's queue before the next fdatasync.
  db.use_fsync = false;
  db.allow_mmap_reads = false;
  db.allow_mmap_writes = false;
  db.max_open_files = -1;
  // An opening starts so many for each column family, whatever there is to open; the default is 16.
  db.max_file_opening_threads = 4;
  // Releasing a view or an iterator must not unlink files on the loop.
  db.avoid_unnecessary_blocking_io = true;
  db.skip_stats_update_on_db_open = true;
  // A start reads all of it, and CheckManifest hashes it; the default is 1 GiB.
  db.max_manifest_file_size = 64 << 20;

  // Noise. An idle node does nothing.
  db.statistics = nullptr;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log = MakeInfoLog();
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> MakeColumnFamilies(
    const StorageOptions& options, const DatabaseMemory& memory,
    const std::vector<std::string>& names) {
  const rocksdb::BlockBasedTableOptions plain = MakeTableOptions(memory.cache());

  // Every write looks its key up first: absent keys must be cheap.
  rocksdb::BlockBasedTableOptions latest_table = plain;
  latest_table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  latest_table.whole_key_filtering = true;
  // A key that was just written is likely to be written again, and apply reads from memory only.
  latest_table.prepopulate_block_cache =
      rocksdb::BlockBasedTableOptions::PrepopulateBlockCache::kFlushOnly;
  latest_table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  rocksdb::ColumnFamilyOptions latest =
      MakeFamily(options, latest_table, options.write_buffer_bytes);
  latest.memtable_whole_key_filtering = true;
  latest.memtable_prefix_bloom_size_ratio = 0.02;
  latest.memtable_insert_with_hint_prefix_extractor =
      MakeOrderedInsertsHint(OrderedInserts::Of::kState);
  // The upper levels are rewritten soon; only what stays is worth compressing.
  latest.level_compaction_dynamic_level_bytes = true;
  latest.compression_per_level = {rocksdb::kNoCompression, rocksdb::kNoCompression,
                                  rocksdb::kLZ4Compression};

  // Ids come in no order, and one that is new must be cheap to look up.
  rocksdb::BlockBasedTableOptions requests_table = plain;
  requests_table.filter_policy = latest_table.filter_policy;
  requests_table.whole_key_filtering = true;
  rocksdb::ColumnFamilyOptions requests =
      MakeFamily(options, requests_table, options.write_buffer_bytes);
  requests.memtable_whole_key_filtering = true;
  requests.memtable_prefix_bloom_size_ratio = 0.02;
  // So do those of leases, which have no rows that are written in order.
  const rocksdb::ColumnFamilyOptions leases = requests;
  requests.memtable_insert_with_hint_prefix_extractor = MakeNumberedInsertsHint(kRequestPlaceRow);

  rocksdb::ColumnFamilyOptions ttl = MakeFamily(options, plain, options.write_buffer_bytes);
  ttl.memtable_insert_with_hint_prefix_extractor =
      MakeOrderedInsertsHint(OrderedInserts::Of::kState);
  const rocksdb::ColumnFamilyOptions raft_log =
      MakeLogFamily(options, plain, OrderedInserts::Of::kLog);
  const rocksdb::ColumnFamilyOptions history =
      MakeLogFamily(options, plain, OrderedInserts::Of::kHistory);
  rocksdb::ColumnFamilyOptions meta =
      MakeFamily(options, plain, options.write_buffer_bytes / kMetaShare);

  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    if (name == kRaftLogFamily) {
      families.emplace_back(name, raft_log);
    } else if (absl::StartsWith(name, kLatestFamilyPrefix)) {
      families.emplace_back(name, latest);
    } else if (absl::StartsWith(name, kTtlFamilyPrefix)) {
      families.emplace_back(name, ttl);
    } else if (absl::StartsWith(name, kRequestsFamilyPrefix)) {
      families.emplace_back(name, requests);
    } else if (absl::StartsWith(name, kLeasesFamilyPrefix)) {
      families.emplace_back(name, leases);
    } else if (absl::StartsWith(name, kHistoryFamilyPrefix)) {
      families.emplace_back(name, history);
    } else {
      families.emplace_back(name, meta);
    }
  }
  return families;
}

void CheckSafe(const rocksdb::DBOptions& options) {
  CHECK(options.wal_recovery_mode == rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords);
  CHECK(options.wal_filter != nullptr);
  CHECK(options.paranoid_checks);
  CHECK(!options.best_efforts_recovery);
  CHECK(!options.manual_wal_flush);
  CHECK_EQ(options.wal_bytes_per_sync, 0u);
  CHECK_EQ(options.recycle_log_file_num, 0u);
  CHECK(!options.enable_pipelined_write);
  CHECK(!options.unordered_write);
  CHECK(!options.two_write_queues);
  CHECK(!options.atomic_flush);
  CHECK_EQ(options.max_bgerror_resume_count, 0);
  CHECK(!options.allow_mmap_reads);
  CHECK(!options.allow_mmap_writes);
  CHECK(!options.listeners.empty());
  CHECK(options.info_log != nullptr);
}

}  // namespace raftkv::storage
