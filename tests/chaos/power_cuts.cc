#include "tests/chaos/power_cuts.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/chaos/final_checks.h"
#include "tests/simulation/dice.h"

namespace raftkv::chaos {
namespace {

using integration::Millis;

constexpr Millis kRecoveryMax(20'000);
// Between cuts; sometimes too short for a leader to settle, and never long enough for the kernel to
// write by itself what nobody synced.
constexpr int64_t kShortestMs = 200;
constexpr int64_t kLongestMs = 2500;
constexpr Millis kLieFor(1500);

void LieForAWhile(ChaosCluster* cluster) {
  for (const size_t node : cluster->all()) {
    cluster->MisbehaveAtSync(node, "lie");
  }
  std::this_thread::sleep_for(kLieFor);
}

}  // namespace

PowerCutFigures CutPowerAgainAndAgain(const PowerCutOptions& options, ChaosCluster* cluster,
                                      Clients* clients) {
  simulation::Dice dice(options.seed, "power cuts");
  PowerCutFigures figures;
  while (figures.cuts < options.cuts && !testing::Test::HasFailure()) {
    std::this_thread::sleep_for(Millis(dice.Between(kShortestMs, kLongestMs)));
    if (options.lying_disks) {
      LieForAWhile(cluster);
    }
    cluster->CutPower(cluster->all());
    ++figures.cuts;
    if (!cluster->Recover() || !clients->AwaitWrite(kRecoveryMax).has_value()) {
      break;
    }
    clients->Pause();
    figures.lost_writes += CheckAgreement(&cluster->members(), *clients);
    clients->Resume();
  }
  return figures;
}

}  // namespace raftkv::chaos
