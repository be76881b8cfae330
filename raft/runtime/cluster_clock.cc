#include "raft/runtime/cluster_clock.h"

#include <algorithm>

#include "glog/logging.h"

namespace raftkv::raft {

ClusterReading RestoredReading(const ClusterReading& saved, const ClusterReading& log_end) {
  if (saved.term != log_end.term) {
    return log_end;
  }
  return {.term = saved.term, .time = std::max(saved.time, log_end.time)};
}

ClusterClock::ClusterClock(const ClusterReading& restored, const MonotonicClock* clock)
    : clock_(clock), term_(restored.term), stamp_(restored.time), seen_at_(clock->Now()) {}

ClusterMillis ClusterClock::Now() const {
  return stamp_ + static_cast<uint64_t>((clock_->Now() - seen_at_) / kNanosPerMilli);
}

void ClusterClock::Lead(const ClusterReading& log_end) {
  CHECK_GE(log_end.term, term_);
  term_ = log_end.term;
  RaiseTo(log_end.time);
}

void ClusterClock::FollowLog(const ClusterReading& log_end) {
  if (log_end.term != term_) {
    term_ = log_end.term;
    Set(log_end.time);
  }
  RaiseTo(log_end.time);
}

void ClusterClock::RaiseTo(ClusterMillis stamp) {
  if (stamp > Now()) {
    Set(stamp);
  }
}

void ClusterClock::Observe(Term term, ClusterMillis stamp) {
  // An equal stamp is ignored as well: taking it would throw away the fraction of a millisecond
  // gone by since.
  if (term == term_ && stamp > stamp_) {
    Set(stamp);
  }
}

void ClusterClock::Set(ClusterMillis stamp) {
  stamp_ = stamp;
  seen_at_ = clock_->Now();
}

}  // namespace raftkv::raft
