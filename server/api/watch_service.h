// The client API's WatchService: streams that tell what kv::WatchHub has for them, each no faster
// than its client reads.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/store.h"
#include "kv/watch_hub.h"
#include "raftkv/v1/cluster.pb.h"
#include "raftkv/v1/watch.pb.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"
#include "server/loop/stream_call.h"
#include "server/loop/unary_call.h"

namespace raftkv::server {

// What a request asks for.
struct WatchPlan {
  kv::WatchOptions options;  // `from` is 0 for what happens from now on.
  bool initial_state = false;
  bool keys_only = false;
  bool as_text = false;
  MonotonicNanos heartbeat = 0;  // 0: none.
};

// Fails with the error to answer with.
absl::StatusOr<WatchPlan> CheckWatch(const v1::WatchRequest& request);

// Confined to the loop.
class WatchService final {
 public:
  // Borrows the store, the hub and what `header` needs.
  WatchService(kv::Store* store, kv::WatchHub* hub, const MonotonicClock* clock,
               ResponseHeaderFiller header);
  ~WatchService();

  // What to register with the server.
  ClientService& service() { return service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // Sends what found no room before, and the heartbeats that are due, a few in each turn; called
  // every turn. Returns whether there is more to do.
  bool OnTurn();
  // All streams end, with SHUTTING_DOWN, within the next turns.
  void End();
  // Who watches. Looks at each.
  void FillStatus(v1::WatchStatus* status) const;

 private:
  class Stream;
  using Timers = std::set<std::pair<MonotonicNanos, Stream*>>;

  kv::Store& store_;
  kv::WatchHub& hub_;
  const MonotonicClock& clock_;
  const ResponseHeaderFiller header_;
  ClientService service_{"raftkv.v1.WatchService"};
  StreamCall::Method watch_method_;
  // Keys that the ranges of watches are made of.
  uint64_t range_bytes_ = 0;
  // Messages that clients have not read take no more room than others leave free, so that whoever
  // asks something else is answered.
  uint64_t unread_bytes_ = 0;
  // Streams whose next message has to wait for that, the first to come first.
  std::list<Stream*> waiting_;
  // When streams have to do something though nothing happened.
  Timers timers_;
  // What initial states are read from, by stream; here, so that none outlives the storage.
  std::map<const Stream*, std::shared_ptr<const kv::KvView>> views_;
  // Those that have a watch.
  std::set<Stream*> watching_;
};

}  // namespace raftkv::server
