// The answers that gRPC has taken and could not send yet: their clients are slow, or do not read.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/clock.h"

namespace raftkv::server {

// Answers below kSmallAnswerBytes are never refused and not counted: the call itself costs as much.
// Confined to the loop.
class AnswerBacklog {
 private:
  struct Answer {
    uint64_t bytes;
    std::function<void()> give_up;
  };
  using Answers = std::multimap<MonotonicNanos, Answer>;

 public:
  // Stays valid until it is removed.
  using Ticket = Answers::iterator;

  explicit AnswerBacklog(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Whether an answer of so many bytes may be sent.
  bool HasRoomFor(uint64_t bytes) const;
  // Counts an answer until Remove. From `give_up_at` on every Tick calls `give_up`, which must not
  // remove it at once. REQUIRES: HasRoomFor(bytes), and the answer is not small.
  Ticket Add(uint64_t bytes, MonotonicNanos give_up_at, std::function<void()> give_up);
  void Remove(Ticket ticket);
  void Tick(MonotonicNanos now);

  uint64_t bytes() const { return bytes_; }

 private:
  const uint64_t bytes_max_;
  // By the time at which they are given up.
  Answers answers_;
  // Invariant: the bytes of answers_, at most bytes_max_.
  uint64_t bytes_ = 0;
};

}  // namespace raftkv::server
