// What clients do with leases: a few ids, so that they meet each other.
#pragma once

#include <cstdint>
#include <string>

#include "raftkv/log/v1/command.pb.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"

namespace raftkv::simulation {

// With dice of its own: what was drawn before there were leases is drawn as ever. Confined to one
// thread.
class LeaseDraws {
 public:
  explicit LeaseDraws(const SimOptions* options)
      : options_(*options), dice_(options->seed, "lease clients") {}

  // Whether the next write is about a lease itself, and what it is then.
  bool DrawCommand(log::v1::Command* command);
  // Has an operation that writes a key hang it on a lease, or a guard look for one, now and then.
  void MaybeHang(log::v1::Operation* operation);
  void MaybeLook(log::v1::Guard* guard);

 private:
  // Of a lease that is there, or was, or never will be.
  int64_t DrawId() { return 1 + static_cast<int64_t>(dice_.Below(options_.lease_ids)); }
  uint64_t DrawTtl() { return 1 + dice_.Below(dice_.Pick<uint64_t>({1, 8}) * options_.ttl_ms_max); }

  const SimOptions& options_;
  Dice dice_;
};

}  // namespace raftkv::simulation
