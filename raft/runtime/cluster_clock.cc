#include "raft/runtime/cluster_clock.h"

namespace raftkv::raft {

ClusterClock::ClusterClock(ClusterMillis restored, const MonotonicClock* clock)
    : clock_(clock), stamp_(restored), seen_at_(clock->Now()) {}

ClusterMillis ClusterClock::Now() const {
  return stamp_ + static_cast<uint64_t>((clock_->Now() - seen_at_) / kNanosPerMilli);
}

void ClusterClock::Observe(Term term, ClusterMillis stamp) {
  // An equal stamp is ignored as well: taking it would throw away the fraction of a millisecond
  // gone by since.
  if (term < term_ || (term == term_ && stamp <= stamp_)) {
    return;
  }
  term_ = term;
  stamp_ = stamp;
  seen_at_ = clock_->Now();
}

}  // namespace raftkv::raft
