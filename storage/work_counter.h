// WorkCounter counts what RocksDB does by itself.
#pragma once

#include "base/mutex.h"
#include "rocksdb/listener.h"
#include "storage/database_figures.h"

namespace raftkv::storage {

// Thread-safe; RocksDB calls it a few times a second at most.
class WorkCounter final : public rocksdb::EventListener {
 public:
  DatabaseWork work() const;

  void OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& info) override;
  void OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo& info) override;
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override;

 private:
  mutable Mutex mutex_;
  DatabaseWork work_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::storage
