// What a server's services do between clients and the store, without gRPC: requests become calls of
// the production store, its results become replies.
#pragma once

#include "kv/member.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/requests.h"

namespace raftkv::simulation {

// Confined to one thread. Ends with its process; requests without an answer never get one then.
class KvFront {
 public:
  KvFront(kv::Member* member, const MonotonicClock* clock, Counters* counters)
      : member_(*member), clock_(*clock), counters_(*counters) {}

  void Handle(Request request, ReplyCallback done);

 private:
  void HandleWrite(const Request& request, ReplyCallback done);
  kv::ReadFreshness FreshnessOf(const Request& request) const;

  kv::Member& member_;
  const MonotonicClock& clock_;
  Counters& counters_;
};

}  // namespace raftkv::simulation
