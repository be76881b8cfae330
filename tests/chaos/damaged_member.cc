#include "tests/chaos/damaged_member.h"

#include <iostream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/chaos/file_damage.h"

namespace raftkv::chaos {
namespace {

using integration::Millis;
using simulation::Dice;

constexpr uint64_t kAheadPermille = 500;
constexpr int64_t kStragglersShortestMs = 300;
constexpr int64_t kStragglersLongestMs = 2000;
// Some elections.
constexpr Millis kLeadMax(8000);
// Other leaders are frozen so often, until it leads.
constexpr int kPushesMax = 4;
// For clients to read from it and write through it.
constexpr int64_t kLeadsShortestMs = 500;
constexpr int64_t kLeadsLongestMs = 2000;

// The other members, by what they are used for when the victim is to be ahead: together with the
// victim `keepers` are a majority, and so are the `stragglers`.
struct Others {
  std::vector<size_t> keepers;
  std::vector<size_t> stragglers;
};

Others Divide(size_t victim, std::optional<size_t> leader, const ChaosCluster& cluster) {
  Others others;
  const size_t first = leader.value_or(victim);
  const size_t keepers = cluster.size() / 2;
  for (size_t i = 0; i < cluster.size(); ++i) {
    const size_t node = (first + i) % cluster.size();
    if (node != victim) {
      (others.keepers.size() < keepers ? others.keepers : others.stragglers).push_back(node);
    }
  }
  return others;
}

void FreezeAll(const std::vector<size_t>& nodes, ChaosCluster* cluster) {
  for (const size_t node : nodes) {
    cluster->Freeze(node);
  }
}

void ThawAll(const std::vector<size_t>& nodes, ChaosCluster* cluster) {
  for (const size_t node : nodes) {
    cluster->Thaw(node);
  }
}

// Freezes whoever else leads. Whether it came to lead, which it does not when it stopped.
bool PushToLead(size_t victim, ChaosCluster* cluster) {
  for (int pushes = 0; pushes < kPushesMax && !cluster->StoppedOverDamage(victim); ++pushes) {
    const std::optional<size_t> leader = cluster->FindLeader();
    if (leader == victim) {
      return true;
    }
    if (leader.has_value()) {
      cluster->Freeze(*leader);
      static_cast<void>(integration::WaitUntil(kLeadMax, [&] {
        const std::optional<size_t> next = cluster->FindLeader();
        return next.has_value() || cluster->StoppedOverDamage(victim);
      }));
      cluster->Thaw(*leader);
    }
  }
  return false;
}

bool AwaitLead(size_t victim, ChaosCluster* cluster) {
  bool leads = false;
  static_cast<void>(integration::WaitUntil(kLeadMax, [&] {
    leads = cluster->Leads(victim);
    return leads || cluster->StoppedOverDamage(victim);
  }));
  return leads;
}

}  // namespace

bool DamageFileOf(size_t victim, std::optional<size_t> leader, ChaosCluster* cluster, Dice* dice,
                  DamageCounts* counts) {
  const bool ahead = dice->Chance(kAheadPermille);
  const Others others = Divide(victim, leader, *cluster);
  if (ahead) {
    FreezeAll(others.stragglers, cluster);
    std::this_thread::sleep_for(Millis(dice->Between(kStragglersShortestMs, kStragglersLongestMs)));
  }
  cluster->Kill({victim});
  if (ahead) {
    FreezeAll(others.keepers, cluster);
    ThawAll(others.stragglers, cluster);
  }
  const std::string data_dir = cluster->members().data_dir(victim);
  const auto damage = FileDamage::Do(data_dir, absl::StrCat(data_dir, ".intact"), dice);
  if (!damage.has_value()) {
    ThawAll(others.keepers, cluster);
    return false;
  }
  ++counts->damaged;
  std::cout << "  " << damage->description() << std::flush;
  const bool serves = cluster->StartDamaged(victim);
  const bool leads = serves && (ahead ? AwaitLead(victim, cluster) : PushToLead(victim, cluster));
  if (leads) {
    std::this_thread::sleep_for(Millis(dice->Between(kLeadsShortestMs, kLeadsLongestMs)));
  }
  ThawAll(others.keepers, cluster);
  const bool stopped = serves && cluster->EndDamaged(victim);
  std::cout << (ahead ? "; ahead of others" : "") << (serves ? "" : "; refused")
            << (leads ? "; led" : "") << (stopped ? "; stopped" : "") << std::endl;
  serves ? damage->UndoTable() : damage->UndoAll();
  damage->Forget();
  counts->refused += serves ? 0 : 1;
  counts->led += leads ? 1 : 0;
  counts->stopped += stopped ? 1 : 0;
  return leads || stopped || !serves;
}

}  // namespace raftkv::chaos
