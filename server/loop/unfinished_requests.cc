#include "server/loop/unfinished_requests.h"

#include "base/deadline.h"

namespace raftkv::server {

UnfinishedRequests::Ticket UnfinishedRequests::Add(Request* request, MonotonicNanos now) {
  const Ticket ticket =
      entries_.insert(entries_.end(), Entry{.request = request, .since = now, .slow = false});
  if (slow_end_ == entries_.end()) {
    slow_end_ = ticket;
  }
  return ticket;
}

void UnfinishedRequests::Remove(Ticket ticket) {
  if (ticket == slow_end_) {
    ++slow_end_;
  }
  slow_ -= ticket->slow ? 1 : 0;
  entries_.erase(ticket);
}

void UnfinishedRequests::Tick(MonotonicNanos now, size_t slow_max) {
  for (; slow_end_ != entries_.end() && DeadlineAfter(slow_end_->since, kSlowAge) <= now;
       ++slow_end_) {
    slow_end_->slow = true;
    ++slow_;
  }
  while (slow_ > slow_max || (slow_ > 0 && DeadlineAfter(entries_.front().since, kAgeMax) <= now)) {
    Request* const request = entries_.front().request;
    Remove(entries_.begin());
    request->GiveUp();
  }
}

}  // namespace raftkv::server
