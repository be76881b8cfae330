// Lets the cluster know this member's addresses and version: proposes its record when the
// replicated one differs.
#pragma once

#include "server/node.h"

namespace raftkv::server {

// Confined to the loop.
class MemberPublisher final {
 public:
  explicit MemberPublisher(Node* node) : node_(node) {}

  // Called every tick; looks once a second.
  void Tick();

 private:
  Node* const node_;
  MonotonicNanos next_look_ = 0;
  bool under_way_ = false;
};

}  // namespace raftkv::server
