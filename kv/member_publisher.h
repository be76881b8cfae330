// A member tells the others, through the log, where it is reached and which version it runs, as
// often as what the log says differs.
#pragma once

#include "base/clock.h"
#include "kv/member_directory.h"
#include "kv/store.h"

namespace raftkv::kv {

// Confined to the loop.
class MemberPublisher final {
 public:
  // Borrows everything; no callback of the store may come after its end. A proposal is given up
  // after `timeout`.
  MemberPublisher(const MemberDirectory* directory, Store* store, const MonotonicClock* clock,
                  MonotonicNanos timeout)
      : directory_(*directory), store_(*store), clock_(*clock), timeout_(timeout) {}

  // Called every tick once the cluster is founded.
  void Tick();

 private:
  const MemberDirectory& directory_;
  Store& store_;
  const MonotonicClock& clock_;
  const MonotonicNanos timeout_;
  MonotonicNanos next_look_ = 0;
  bool under_way_ = false;
};

}  // namespace raftkv::kv
