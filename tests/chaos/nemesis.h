// Does harm to a cluster, one episode after the other: one kind of fault strikes, lasts, is mended,
// and the cluster must take writes again. Every kind comes before any comes again.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/fault_kind.h"
#include "tests/simulation/dice.h"

namespace raftkv::chaos {

struct NemesisOptions {
  uint64_t seed = 1;
  std::vector<FaultKind> kinds = AllFaultKinds();
  // No fault lasts longer.
  integration::Millis longest = integration::Millis(15'000);
};

// What happens when follows from the seed; how the cluster takes it does not. Confined to the main
// thread.
class Nemesis {
 public:
  // REQUIRES: both outlive it; kinds are not empty.
  Nemesis(ChaosCluster* cluster, Clients* clients, const NemesisOptions& options);

  // False with a gtest failure when the cluster does not recover.
  bool RunEpisode();

  const FaultCounts& counts() const { return counts_; }
  // From the end of a fault until a write was acknowledged.
  integration::Millis longest_recovery() const { return longest_recovery_; }

 private:
  FaultKind NextKind();
  // Returns whether the fault had its effect.
  bool Strike(FaultKind kind);
  bool KillSome(FaultKind kind);
  bool Restart();
  bool Freeze(FaultKind kind);

  size_t AnyMember() { return dice_.Below(cluster_->size()); }
  // A member that the kind strikes: the leader, or any.
  std::optional<size_t> Victim(bool leader);
  // Lets a fault last, mostly for a short time.
  void Last(integration::Millis shortest, integration::Millis longest);
  bool AwaitWrites();

  ChaosCluster* const cluster_;
  Clients* const clients_;
  const NemesisOptions options_;
  simulation::Dice dice_;
  // What is left of the current round of all kinds.
  std::vector<FaultKind> round_;
  FaultCounts counts_;
  integration::Millis longest_recovery_ = integration::Millis(0);
};

}  // namespace raftkv::chaos
