#include "storage/work_counter.h"

namespace raftkv::storage {

DatabaseWork WorkCounter::work() const {
  MutexLock lock(&mutex_);
  return work_;
}

void WorkCounter::OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& info) {
  const rocksdb::TableProperties& table = info.table_properties;
  MutexLock lock(&mutex_);
  ++work_.flushes;
  work_.flushed_bytes += table.data_size + table.index_size + table.filter_size;
}

void WorkCounter::OnCompactionCompleted(rocksdb::DB* /*db*/,
                                        const rocksdb::CompactionJobInfo& info) {
  MutexLock lock(&mutex_);
  ++work_.compactions;
  work_.compaction_read_bytes += info.stats.total_input_bytes;
  work_.compaction_written_bytes += info.stats.total_output_bytes;
  work_.compaction_micros += info.stats.elapsed_micros;
}

void WorkCounter::OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) {
  MutexLock lock(&mutex_);
  work_.slowdowns += info.condition.cur == rocksdb::WriteStallCondition::kDelayed ? 1 : 0;
  work_.stops += info.condition.cur == rocksdb::WriteStallCondition::kStopped ? 1 : 0;
}

}  // namespace raftkv::storage
