#include "tests/simulation/links.h"

#include <algorithm>

namespace raftkv::simulation {
namespace {

// How much longer a late packet takes.
constexpr int64_t kLateFactorMax = 20;

}  // namespace

bool Links::IsSilentFor(raft::NodeId a, raft::NodeId b, SimTime limit) const {
  for (const Link& link : {Link(a, b), Link(b, a)}) {
    const auto since = cut_since_.find(link);
    if (since != cut_since_.end() && scheduler_.now() - since->second >= limit) {
      return true;
    }
  }
  return false;
}

SimTime Links::DrawDelay(Link link) {
  SimTime delay = dice_.Between(options_.delay_min, options_.delay_max);
  if (!reliable_ && dice_.Chance(options_.late_permille)) {
    delay *= dice_.Between(2, kLateFactorMax);
  }
  const auto clogged = clogged_until_.find(link);
  if (clogged != clogged_until_.end()) {
    delay += std::max<SimTime>(0, clogged->second - scheduler_.now());
  }
  return delay;
}

}  // namespace raftkv::simulation
