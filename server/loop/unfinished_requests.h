// Calls of which the beginning has come and the request has not, as of a client on a slow link, or
// of one that holds our memory on purpose.
#pragma once

#include <cstddef>
#include <list>

#include "base/clock.h"

namespace raftkv::server {

// Knows them by age and gives the oldest up: those that take too long, and those that are too many
// once they are slow. Most requests come whole with their beginning and are here for a moment.
// Confined to the loop.
class UnfinishedRequests final {
 public:
  class Request {
   public:
    virtual ~Request() = default;
    // The request is no longer waited for, and not here any more.
    virtual void GiveUp() = 0;
  };

  // Younger ones are not slow.
  static constexpr MonotonicNanos kSlowAge = 1 * kNanosPerSecond;
  static constexpr MonotonicNanos kAgeMax = 20 * kNanosPerSecond;

 private:
  struct Entry {
    Request* request;
    MonotonicNanos since;
    bool slow;
  };
  using Entries = std::list<Entry>;

 public:
  using Ticket = Entries::iterator;

  // `now` never decreases.
  Ticket Add(Request* request, MonotonicNanos now);
  // It is finished, or nobody waits for it.
  void Remove(Ticket ticket);
  // Gives up what is older than kAgeMax, and the oldest of more than `slow_max` slow ones.
  void Tick(MonotonicNanos now, size_t slow_max);

  size_t size() const { return entries_.size(); }

 private:
  Entries entries_;  // Oldest first.
  // The slow ones are the first `slow_` and end here.
  Entries::iterator slow_end_ = entries_.end();
  size_t slow_ = 0;
};

}  // namespace raftkv::server
