// Does harm to a cluster, one episode after the other: a fault strikes, lasts, is mended, and the
// cluster must take writes again. Every kind comes before any comes again. Sometimes the network
// has a fault of its own meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/damaged_member.h"
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
  // REQUIRES: both outlive it; kinds are not empty, and the cluster has what they need.
  Nemesis(ChaosCluster* cluster, Clients* clients, const NemesisOptions& options);

  // False with a gtest failure when the cluster does not recover.
  bool RunEpisode();

  const FaultCounts& counts() const { return counts_; }
  const DamageCounts& damages() const { return damages_; }
  // From the end of a fault until a write was acknowledged.
  integration::Millis longest_recovery() const { return longest_recovery_; }
  // From then until everybody served.
  integration::Millis longest_return() const { return longest_return_; }

 private:
  FaultKind NextKind();
  // A fault of the network that accompanies the kind.
  std::optional<FaultKind> Companion(FaultKind kind);
  // All of these return whether the fault had its effect.
  bool Strike(FaultKind kind);
  bool Kill(FaultKind kind, size_t victim);
  bool Freeze(size_t victim);
  bool DisturbNetwork(FaultKind kind, std::optional<size_t> leader);
  bool SlowSyncs(size_t victim);
  bool FailSync(size_t victim);
  bool FillDisk(size_t victim);
  bool CutPower(const std::vector<size_t>& victims);
  bool SlowLinks(std::optional<size_t> leader);
  bool ShiftClocks(FaultKind kind, size_t victim, std::optional<size_t> leader);
  bool Move(FaultKind kind, size_t victim);
  bool Rename(size_t victim);
  // The victim alone, with another one, or all, or not alone.
  std::vector<size_t> SomeWith(size_t victim, bool alone_too);
  void StopAll(const std::vector<size_t>& nodes);

  // Lets a fault last, mostly for a short time.
  void Last(integration::Millis shortest);
  bool Recover();
  // Everybody answers linearizable reads, whomever the fault was done to.
  bool AwaitAllServing();

  ChaosCluster* const cluster_;
  Clients* const clients_;
  const NemesisOptions options_;
  simulation::Dice dice_;
  // What is left of the current round of all kinds.
  std::vector<FaultKind> round_;
  FaultCounts counts_;
  DamageCounts damages_;
  integration::Millis longest_recovery_ = integration::Millis(0);
  integration::Millis longest_return_ = integration::Millis(0);
};

}  // namespace raftkv::chaos
