#include "tests/simulation/links.h"

#include <algorithm>

namespace raftkv::simulation {
namespace {

// How much longer a late packet takes.
constexpr int64_t kLateFactorMax = 20;
// What is given to a slow link has come after so many election timeouts.
constexpr int64_t kQueueTimeoutsMax = 2;

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

void Links::SetSpeed(Link link, SimTime nanos_per_byte) {
  if (nanos_per_byte == 0) {
    nanos_per_byte_.erase(link);
  } else {
    nanos_per_byte_[link] = nanos_per_byte;
  }
}

SimTime Links::TimeFor(Link link, uint64_t bytes) const {
  const auto speed = nanos_per_byte_.find(link);
  return speed == nanos_per_byte_.end() ? 0 : speed->second * static_cast<SimTime>(bytes);
}

SimTime Links::Carry(Link link, uint64_t bytes) {
  if (!IsSlow(link)) {
    return 0;
  }
  SimTime& busy_until = busy_until_[link];
  busy_until = std::min(std::max(busy_until, scheduler_.now()) + TimeFor(link, bytes),
                        scheduler_.now() + kQueueTimeoutsMax * options_.ElectionTimeout());
  return busy_until - scheduler_.now();
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
