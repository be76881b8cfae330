// Who reaches whom, and how fast. Directed: a link may be cut one way only.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "raft/core/types.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

using Link = std::pair<raft::NodeId, raft::NodeId>;  // From, to.

// Confined to one thread.
class Links {
 public:
  Links(const SimOptions* options, const Scheduler* scheduler, Dice dice)
      : options_(*options), scheduler_(*scheduler), dice_(dice) {}

  // Returns whether that changed anything.
  bool Cut(Link link) { return cut_since_.emplace(link, scheduler_.now()).second; }
  bool Heal(Link link) { return cut_since_.erase(link) > 0; }
  bool IsCut(Link link) const { return cut_since_.contains(link); }
  // Whether one of both ways is cut, since `limit` or longer.
  bool IsSilentFor(raft::NodeId a, raft::NodeId b, SimTime limit) const;

  // Nothing arrives on the link before `until`; nothing is lost by it.
  void Clog(Link link, SimTime until) { clogged_until_[link] = until; }
  // From now on the link carries a byte in so many nanoseconds; 0: any number at once.
  void SetSpeed(Link link, SimTime nanos_per_byte);
  bool IsSlow(Link link) const { return nanos_per_byte_.contains(link); }
  // How long the link is busy with so many bytes alone.
  SimTime TimeFor(Link link, uint64_t bytes) const;
  // Gives the link so many bytes to carry, and returns when it has, from now: they queue behind
  // what it was given before. A queue has an end, so that is bounded.
  SimTime Carry(Link link, uint64_t bytes);
  // From now on no packet is late, and no link clogged or slow.
  void BecomeReliable() {
    reliable_ = true;
    clogged_until_.clear();
    nanos_per_byte_.clear();
  }

  // How long the next packet takes.
  SimTime DrawDelay(Link link);

 private:
  const SimOptions& options_;
  const Scheduler& scheduler_;
  Dice dice_;
  bool reliable_ = false;
  std::map<Link, SimTime> cut_since_;
  std::map<Link, SimTime> clogged_until_;
  std::map<Link, SimTime> nanos_per_byte_;
  std::map<Link, SimTime> busy_until_;
};

}  // namespace raftkv::simulation
