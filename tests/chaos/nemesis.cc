#include "tests/chaos/nemesis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <thread>

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;
using integration::TestCluster;

// From the end of all faults until a write is acknowledged: two elections, and what two busy cores
// add.
constexpr Millis kRecoveryMax(20'000);
constexpr Millis kCalmMax(1000);
// Two of three faults are short.
constexpr uint64_t kShortPermille = 667;
constexpr Millis kShort(3000);

}  // namespace

Nemesis::Nemesis(ChaosCluster* cluster, Clients* clients, const NemesisOptions& options)
    : cluster_(cluster), clients_(clients), options_(options), dice_(options.seed, "nemesis") {}

bool Nemesis::RunEpisode() {
  const FaultKind kind = NextKind();
  const bool felt = Strike(kind);
  if (felt) {
    counts_.Add(kind);
  }
  const bool recovered = cluster_->Recover() && AwaitWrites();
  Last(Millis(0), kCalmMax);
  return recovered;
}

FaultKind Nemesis::NextKind() {
  if (round_.empty()) {
    round_ = options_.kinds;
  }
  const size_t i = dice_.Below(round_.size());
  const FaultKind kind = round_[i];
  round_.erase(round_.begin() + static_cast<ptrdiff_t>(i));
  return kind;
}

bool Nemesis::Strike(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKill:
    case FaultKind::kKillLeader:
    case FaultKind::kKillAll:
      return KillSome(kind);
    case FaultKind::kRestart:
      return Restart();
    case FaultKind::kPause:
    case FaultKind::kPauseLeader:
      return Freeze(kind);
  }
  return false;
}

bool Nemesis::KillSome(FaultKind kind) {
  if (kind == FaultKind::kKillAll) {
    std::cout << "kill all" << std::endl;
    cluster_->Kill(cluster_->all());
    return true;
  }
  const auto victim = Victim(kind == FaultKind::kKillLeader);
  if (!victim.has_value()) {
    return false;
  }
  std::cout << Name(kind) << " " << TestCluster::Name(*victim) << std::endl;
  cluster_->Kill({*victim});
  Last(Millis(0), options_.longest);
  return true;
}

bool Nemesis::Restart() {
  const size_t victim = AnyMember();
  std::cout << "restart " << TestCluster::Name(victim) << std::endl;
  cluster_->Stop(victim);
  Last(Millis(0), options_.longest);
  return true;
}

bool Nemesis::Freeze(FaultKind kind) {
  const auto victim = Victim(kind == FaultKind::kPauseLeader);
  if (!victim.has_value()) {
    return false;
  }
  std::cout << Name(kind) << " " << TestCluster::Name(*victim) << std::endl;
  cluster_->Freeze(*victim);
  Last(Millis(1000), options_.longest);
  cluster_->Thaw(*victim);
  return true;
}

std::optional<size_t> Nemesis::Victim(bool leader) {
  return leader ? cluster_->FindLeader() : AnyMember();
}

void Nemesis::Last(Millis shortest, Millis longest) {
  const Millis bound = dice_.Chance(kShortPermille) ? std::min(kShort, longest) : longest;
  std::this_thread::sleep_for(
      Millis(dice_.Between(shortest.count(), std::max(shortest, bound).count())));
}

bool Nemesis::AwaitWrites() {
  const Clock::time_point start = Clock::now();
  const uint64_t before = clients_->acknowledged_writes();
  const bool written = integration::WaitUntil(
      kRecoveryMax, [&] { return clients_->acknowledged_writes() > before; }, Millis(5));
  EXPECT_TRUE(written) << "no write in " << kRecoveryMax.count() << " ms after all was mended";
  longest_recovery_ = std::max(longest_recovery_, integration::Since(start));
  return written;
}

}  // namespace raftkv::chaos
