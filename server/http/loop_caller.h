// LoopCaller has a call done by the loop for a thread that waits, as those of HTTP do: it takes the
// same path there as one that came by gRPC.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/http/api_caller.h"
#include "server/loop/client_service.h"
#include "server/loop/event_loop.h"
#include "server/loop/unary_call.h"

namespace raftkv::server {

// Thread-safe, but for the loop's own thread, which would wait for itself. Whoever calls bounds how
// many calls there are at once.
class LoopCaller final : public ApiCaller {
 public:
  // Beyond a call's time, before the waiting thread answers by itself. Only a loop that does not
  // turn at all needs it.
  static constexpr MonotonicNanos kGrace = 2 * kNanosPerSecond;

  // Offers the methods of these services, and borrows all that is pointed to.
  LoopCaller(const std::vector<ClientService*>& services, EventLoop* loop,
             CallAccounting* accounting, const MonotonicClock* clock);

  absl::StatusOr<Answer> Call(const std::string& path,
                              std::unique_ptr<google::protobuf::Message> request,
                              MonotonicNanos timeout) override;
  // Nobody waits any more, from now on and within a fraction of a second: what a call came to is
  // not known then.
  void Close() { closed_ = true; }

  // By their paths.
  const std::map<std::string, const ClientService::Method*>& methods() const { return methods_; }

 private:
  // Constant after construction.
  std::map<std::string, const ClientService::Method*> methods_;
  EventLoop& loop_;
  CallAccounting& accounting_;
  const MonotonicClock& clock_;
  std::atomic<bool> closed_{false};
};

}  // namespace raftkv::server
