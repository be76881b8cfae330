// KvStreams are the calls of KvService.Stream: operations as they come, answers as they are done.
//
// What a stream holds is bounded by its window (kStream... in server/limits.h): beyond it the
// server reads no further, so gRPC's flow control holds the client up.
#pragma once

#include <cstdint>
#include <set>

#include "base/clock.h"
#include "server/api/kv_operations.h"
#include "server/loop/stream_call.h"
#include "server/loop/unary_call.h"
#include "server/loop/unary_service.h"

namespace raftkv::server {

// Confined to the loop.
class KvStreams final {
 public:
  // Since the start.
  struct Counts {
    uint64_t begun = 0;       // Streams.
    uint64_t operations = 0;  // That were answered.
    uint64_t failed = 0;      // Of these, with an error.
  };

  // Borrows the operations.
  explicit KvStreams(KvOperations* operations);
  ~KvStreams();

  // Starts taking calls of a method of `service`. REQUIRES: the server is started.
  void Start(UnaryService* service, int method, grpc::ServerCompletionQueue* queue,
             CallAccounting* accounting);
  // Reads nothing more, and ends each stream with SHUTTING_DOWN once what it read is answered;
  // called when the node begins to stop.
  void Drain();

  size_t open() const { return open_.size(); }
  const Counts& counts() const { return counts_; }

 private:
  class Call;

  KvOperations& operations_;
  StreamCall::Method method_;
  // Those that count against kKvStreamsMax.
  std::set<Call*> open_;
  Counts counts_;
  bool draining_ = false;
};

}  // namespace raftkv::server
