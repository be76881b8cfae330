// Rounds visits many, a few at a time, so that what one turn of the loop costs does not depend on
// how many there are.
#pragma once

#include <cstddef>
#include <set>

namespace raftkv::server {

// Whoever is a member when a round begins is visited once before the round is over, or leaves.
// Between rounds nothing costs anything. Members are borrowed. Confined to one thread.
template <typename Member>
class Rounds {
 public:
  void Add(Member* member) {
    members_.insert(member);
    // It may stand before some that must still be visited.
    if (left_ > 0) {
      ++left_;
    }
  }
  void Remove(Member* member) { members_.erase(member); }

  // A round that is under way counts for those that it visits from now on.
  void Begin() { left_ = members_.size(); }
  bool under_way() const { return left_ > 0 && !members_.empty(); }

  // Visits the next `count` of the round at most, and returns how many. `visit` may add and remove
  // members, also the visited one.
  template <typename Visit>
  size_t Step(size_t count, Visit visit) {
    size_t visited = 0;
    for (; visited < count && under_way(); ++visited) {
      auto next = members_.upper_bound(last_);
      if (next == members_.end()) {
        next = members_.begin();
      }
      last_ = *next;
      --left_;
      visit(*next);
    }
    return visited;
  }

 private:
  std::set<Member*> members_;
  // The one visited last; it may be gone, only its place in the order counts.
  Member* last_ = nullptr;
  size_t left_ = 0;
};

}  // namespace raftkv::server
