#include "tests/linearizability/event_list.h"

#include <algorithm>
#include <tuple>

namespace raftkv::linearizability {

void EventList::Fill(std::vector<Event> events, size_t count) {
  events_ = std::move(events);
  std::sort(events_.begin(), events_.end(), [](const Event& a, const Event& b) {
    return std::tie(a.time, a.completes, a.operation) < std::tie(b.time, b.completes, b.operation);
  });
  positions_.assign(count, {});
  links_.assign(events_.size() + 1, {});
  for (Position position = 0; position < links_.size(); ++position) {
    links_[position].next = (position + 1) % links_.size();
    links_[position].previous = (position + links_.size() - 1) % links_.size();
    if (position == End()) {
      continue;
    }
    auto& [invocation, completion] = positions_[At(position).operation];
    (At(position).completes ? completion : invocation) = position;
  }
}

void EventList::Remove(int operation) {
  const auto& [invocation, completion] = positions_[operation];
  for (const Position position : {invocation, completion}) {
    const Link& link = links_[position];
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
  }
}

void EventList::PutBack(int operation) {
  const auto& [invocation, completion] = positions_[operation];
  for (const Position position : {completion, invocation}) {
    const Link& link = links_[position];
    links_[link.previous].next = position;
    links_[link.next].previous = position;
  }
}

}  // namespace raftkv::linearizability
