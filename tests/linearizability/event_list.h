// Invocations and completions of operations in order of time, in a linked list from which an
// operation can be taken out and put back in constant time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace raftkv::linearizability {

// Confined to one thread.
class EventList {
 public:
  struct Event {
    int64_t time;
    bool completes;
    int operation;
  };
  // A place in the list. End() follows the last event.
  using Position = size_t;

  // Replaces what is in it. At equal times invocations come first, so that operations which only
  // touch count as concurrent. REQUIRES: two events of each operation, with numbers below `count`.
  void Fill(std::vector<Event> events, size_t count);

  bool empty() const { return Next(End()) == End(); }
  Position Begin() const { return Next(End()); }
  Position End() const { return 0; }
  Position Next(Position position) const { return links_[position].next; }
  const Event& At(Position position) const { return events_[position - 1]; }

  void Remove(int operation);
  // REQUIRES: it is the operation removed last of those that are out.
  void PutBack(int operation);

 private:
  struct Link {
    Position previous = 0;
    Position next = 0;
  };

  std::vector<Event> events_;
  std::vector<Link> links_;  // One more than events: 0 is the end, and before the beginning.
  std::vector<std::pair<Position, Position>> positions_;  // By operation.
};

}  // namespace raftkv::linearizability
