// Backups are the calls of MaintenanceService.Backup: each is the applied state as of one moment,
// on its way to a client.
//
// A snapshot of the state is read chunk by chunk on a pool, one ahead, framed as a file
// (kv/backup_file.h) and sent as fast as the client takes it and kBackupBytesPerSecond allow. So a
// backup costs memory for two chunks, whatever the state's size and the client's speed.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/clock.h"
#include "kv/disk_pool.h"
#include "kv/store.h"
#include "server/api/response_header.h"
#include "server/loop/stream_call.h"
#include "server/loop/unary_call.h"
#include "server/loop/unary_service.h"

namespace raftkv::server {

// Confined to the loop.
class Backups final {
 public:
  // What was sent, since the start.
  struct Counts {
    uint64_t begun = 0;
    uint64_t completed = 0;
    uint64_t bytes = 0;
  };

  // Borrows all that is pointed to. `member_name` is for manifests.
  Backups(kv::Store* store, kv::DiskPool* pool, ResponseHeaderFiller header,
          std::string member_name);
  ~Backups();

  // Starts taking calls of a method of `service`. REQUIRES: the server is started.
  void Start(UnaryService* service, int method, grpc::ServerCompletionQueue* queue,
             CallAccounting* accounting);
  // Sends what may be sent by now; called every turn.
  void OnTurn();
  // Fails all that are under way; called when the node stops. Calls end once what they read on the
  // pool has come back.
  void End();

  size_t running() const { return running_.size(); }
  const Counts& counts() const { return counts_; }

 private:
  class Call;

  kv::Store& store_;
  kv::DiskPool& pool_;
  const ResponseHeaderFiller header_;
  const std::string member_name_;

  // Set by Start.
  StreamCall::Method method_;

  // Those that count against kBackupsMax.
  std::set<Call*> running_;
  Counts counts_;
  // Bytes that may be sent now; below 0 after a large one.
  int64_t allowance_ = 0;
  MonotonicNanos allowed_at_ = 0;
  bool ended_ = false;
};

}  // namespace raftkv::server
