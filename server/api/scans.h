// Scans are the calls of KvService.Scan: each is a walk over keys as of one revision, on its way to
// a client.
//
// A chunk of keys is read on a pool, one ahead, and sent as fast as the client takes it. So a scan
// costs memory for two chunks, and for what a read in the past remembers, whatever it reads and
// however slow its client is. What it reads from is let go of every kScanViewHeldSeconds; it goes
// on from the state of then and the history, at the same revision.
#pragma once

#include <cstdint>
#include <set>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/store.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/key_value.h"
#include "server/api/response_header.h"
#include "server/loop/stream_call.h"
#include "server/loop/unary_call.h"
#include "server/loop/unary_service.h"

namespace raftkv::server {

// What a request asks for.
struct ScanPlan {
  kv::ScanOptions chunk;  // Of all that is left.
  uint64_t keys_left = 0;
  ValueForm form = ValueForm::None();
  kv::ReadFreshness freshness;
};

// Fails with the error to answer with. `fresh_by` is until when the state is waited for.
absl::StatusOr<ScanPlan> CheckScan(const v1::ScanRequest& request, MonotonicNanos fresh_by);

// Confined to the loop.
class Scans final {
 public:
  // Borrows the store and what `header` needs.
  Scans(kv::Store* store, ResponseHeaderFiller header);
  ~Scans();

  // Starts taking calls of a method of `service`. REQUIRES: the server is started.
  void Start(UnaryService* service, int method, grpc::ServerCompletionQueue* queue,
             CallAccounting* accounting);
  // Goes on with what found no room before, and lets go of states; called every turn.
  void OnTurn();
  // Fails all that are under way; called when the node stops. Calls end once what they read on the
  // pool has come back.
  void End();

  size_t running() const { return running_.size(); }

 private:
  class Call;

  kv::Store& store_;
  const ResponseHeaderFiller header_;

  // Set by Start.
  StreamCall::Method method_;

  // Those that count against kScansMax.
  std::set<Call*> running_;
  bool ended_ = false;
};

}  // namespace raftkv::server
