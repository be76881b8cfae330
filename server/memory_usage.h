// MemoryUsage tells what of --memory_bytes_max the process uses, and what for.
#pragma once

#include <cstdint>

#include "raftkv/v1/cluster.pb.h"
#include "server/loop/answer_backlog.h"
#include "storage/storage.h"

namespace raftkv::server {

// Confined to the loop, and waits for nothing.
class MemoryUsage {
 public:
  // Borrows what is pointed to.
  MemoryUsage(int64_t planned_bytes, const storage::Storage* storage, const AnswerBacklog* backlog)
      : planned_bytes_(planned_bytes), storage_(*storage), backlog_(*backlog) {}

  // All but what the log has.
  void Fill(v1::MemoryUse* use) const;

 private:
  const int64_t planned_bytes_;
  const storage::Storage& storage_;
  const AnswerBacklog& backlog_;
};

}  // namespace raftkv::server
