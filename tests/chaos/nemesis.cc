#include "tests/chaos/nemesis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/chaos/network_faults.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;
using integration::TestCluster;

// From the end of all faults until a write is acknowledged: two elections, and what two busy cores
// add.
constexpr Millis kRecoveryMax(20'000);
// From then until every member serves: what is left of an election, and a new connection.
constexpr Millis kReturnMax(10'000);
constexpr int64_t kCalmMaxMs = 1000;
// Two of three faults are short.
constexpr uint64_t kShortPermille = 667;
constexpr Millis kShort(3000);
constexpr uint64_t kCompanionPermille = 300;
constexpr uint64_t kTakeLeaderPermille = 500;
constexpr Millis kAbortMax(10'000);
// What may still be under way when a disk is mended.
constexpr Millis kLateAbortMax(500);
// From a full disk until puts are refused.
constexpr Millis kRefusalMax(10'000);
constexpr Millis kHogTimeout(1000);
// The largest value there may be.
constexpr size_t kLargeBytes = 1 << 20;
// It crosses the slowest link in 4 s, once what went before it has.
constexpr Millis kLargePutTimeout(20'000);
// By which a clock that was set differs at once, and by how much one that is slewed later.
constexpr int64_t kShortStepSeconds = 60;
constexpr int64_t kLongStepSeconds = 3600;
constexpr int64_t kSlewPpmMin = 1000;
constexpr int64_t kSlewPpmMax = 100'000;
constexpr int64_t kBeforeCutMaxMs = 2000;
// In so much of a cut all connections are reset, so that new ones are tried in vain.
constexpr Millis kResetFor(700);
constexpr uint64_t kResetAllPermille = 1000;
// Elections while links are slow: none, but for a machine that is busy with other things.
constexpr uint64_t kSlowLinkTermsMax = 2;

}  // namespace

Nemesis::Nemesis(ChaosCluster* cluster, Clients* clients, const NemesisOptions& options)
    : cluster_(cluster), clients_(clients), options_(options), dice_(options.seed, "nemesis") {}

bool Nemesis::RunEpisode() {
  const FaultKind kind = NextKind();
  const std::optional<FaultKind> companion = Companion(kind);
  const RelayCounts before = cluster_->network().counts();
  if (companion.has_value()) {
    std::cout << "with " << Name(*companion) << ": ";
    BeginNetworkFault(*companion, cluster_->FindLeader(), &cluster_->network(), &dice_);
  }
  if (Strike(kind)) {
    counts_.Add(kind);
  } else {
    std::cout << "  without effect" << std::endl;
  }
  if (companion.has_value() && FeltInNetwork(*companion, before, cluster_->network().counts())) {
    counts_.Add(*companion);
  }
  const bool recovered = Recover();
  std::this_thread::sleep_for(Millis(dice_.Between(0, kCalmMaxMs)));
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

std::optional<FaultKind> Nemesis::Companion(FaultKind kind) {
  std::vector<FaultKind> possible;
  std::copy_if(options_.kinds.begin(), options_.kinds.end(), std::back_inserter(possible),
               IsOfNetwork);
  if (IsOfNetwork(kind) || possible.empty() || !dice_.Chance(kCompanionPermille)) {
    return std::nullopt;
  }
  return dice_.Pick(possible);
}

bool Nemesis::Strike(FaultKind kind) {
  const std::optional<size_t> leader = cluster_->FindLeader();
  const bool needs_leader = kind == FaultKind::kKillLeader || kind == FaultKind::kPauseLeader;
  const bool takes_leader = needs_leader || dice_.Chance(kTakeLeaderPermille);
  const size_t any = dice_.Below(cluster_->size());
  const size_t victim = takes_leader ? leader.value_or(any) : any;
  std::cout << Name(kind);
  if (!IsOfNetwork(kind)) {
    std::cout << " " << TestCluster::Name(victim) << (leader == victim ? ", the leader" : "");
  }
  std::cout << std::endl;
  switch (kind) {
    case FaultKind::kKill:
    case FaultKind::kKillLeader:
    case FaultKind::kKillAll:
    case FaultKind::kRestart:
      return Kill(kind, victim) && (!needs_leader || leader.has_value());
    case FaultKind::kPause:
    case FaultKind::kPauseLeader:
      return Freeze(victim) && (!needs_leader || leader.has_value());
    case FaultKind::kPartition:
    case FaultKind::kOneWay:
    case FaultKind::kBridge:
    case FaultKind::kDelay:
    case FaultKind::kLongDelay:
    case FaultKind::kResets:
      return DisturbNetwork(kind, leader);
    case FaultKind::kSlowLinks:
      return SlowLinks(leader);
    case FaultKind::kClockStep:
    case FaultKind::kClockSlew:
      return ShiftClocks(kind, victim, leader);
    case FaultKind::kMove:
    case FaultKind::kMoveMany:
      return Move(kind, victim);
    case FaultKind::kRename:
      return Rename(victim);
    case FaultKind::kSlowSync:
      return SlowSyncs(victim);
    case FaultKind::kFailedSync:
      return FailSync(victim);
    case FaultKind::kDamagedFile:
      return DamageFileOf(victim, leader, cluster_, &dice_, &damages_);
    case FaultKind::kFullDisk:
      return FillDisk(victim);
    case FaultKind::kPowerCut:
      return CutPower({victim});
    case FaultKind::kPowerCutAll:
      return CutPower(cluster_->all());
  }
  return false;
}

bool Nemesis::Kill(FaultKind kind, size_t victim) {
  // With all of them down there is nothing to see, so that does not last.
  if (kind == FaultKind::kKillAll) {
    cluster_->Kill(cluster_->all());
    return true;
  }
  if (kind == FaultKind::kRestart) {
    cluster_->Stop(victim);
  } else {
    cluster_->Kill({victim});
  }
  Last(Millis(0));
  return true;
}

bool Nemesis::Freeze(size_t victim) {
  cluster_->Freeze(victim);
  Last(Millis(1000));
  cluster_->Thaw(victim);
  return true;
}

bool Nemesis::DisturbNetwork(FaultKind kind, std::optional<size_t> leader) {
  const RelayCounts before = cluster_->network().counts();
  BeginNetworkFault(kind, leader, &cluster_->network(), &dice_);
  Last(Millis(1000));
  return FeltInNetwork(kind, before, cluster_->network().counts());
}

bool Nemesis::SlowSyncs(size_t victim) {
  static const std::vector<int> kDelaysMs = {20, 100, 400, 3000};
  const std::string how = absl::StrCat("delay ", dice_.Pick(kDelaysMs));
  const bool everybody = dice_.Chance(300);
  for (const size_t node : cluster_->all()) {
    if (everybody || node == victim) {
      cluster_->MisbehaveAtSync(node, how);
    }
  }
  Last(Millis(1000));
  return cluster_->FeltAtSync(victim);
}

bool Nemesis::FailSync(size_t victim) {
  cluster_->MisbehaveAtSync(victim, "error");
  const bool aborted = cluster_->AwaitAbort(victim, kAbortMax);
  cluster_->BehaveAtSync(victim);
  EXPECT_TRUE(aborted || !cluster_->FeltAtSync(victim) ||
              cluster_->AwaitAbort(victim, kLateAbortMax))
      << TestCluster::Name(victim) << " goes on after a failed sync";
  return aborted;
}

// Without even its reserve it may abort, at any write of a member that has nothing left.
bool Nemesis::FillDisk(size_t victim) {
  cluster_->FillDisk(victim);
  const size_t other = (victim + 1) % cluster_->size();
  const bool felt = integration::WaitUntil(kRefusalMax, [&] {
    return cluster_->members().client(other).PutText("hog", "h", kHogTimeout).reason ==
               "DISK_FULL" ||
           cluster_->AwaitAbort(victim, Millis(0));
  });
  Last(Millis(1000));
  cluster_->FreeDisk(victim);
  static_cast<void>(cluster_->AwaitAbort(victim, kLateAbortMax));
  EXPECT_TRUE(felt) << TestCluster::Name(victim) << " has a full disk, and puts go on";
  return felt;
}

bool Nemesis::CutPower(const std::vector<size_t>& victims) {
  cluster_->CutPower(victims);
  if (victims.size() < cluster_->size()) {
    Last(Millis(0));
  }
  return true;
}

bool Nemesis::SlowLinks(std::optional<size_t> leader) {
  const RelayCounts before = cluster_->network().counts();
  const uint64_t first_term = cluster_->NewestTerm();
  BeginNetworkFault(FaultKind::kSlowLinks, leader, &cluster_->network(), &dice_);
  clients_->WriteLargeValues(true);
  const auto large = cluster_->members()
                         .client(leader.value_or(0))
                         .PutText("large", std::string(kLargeBytes, 'l'), kLargePutTimeout);
  Last(Millis(1000));
  clients_->WriteLargeValues(false);
  // Before the links are mended: slow is not down.
  static_cast<void>(clients_->AwaitWrite(kRecoveryMax));
  const uint64_t terms = cluster_->NewestTerm() - first_term;
  std::cout << "  a large value: " << (large.ok() ? "written" : large.status.error_message())
            << "; new terms: " << terms << std::endl;
  EXPECT_LE(terms, kSlowLinkTermsMax) << "signs of life do not get through slow links";
  return FeltInNetwork(FaultKind::kSlowLinks, before, cluster_->network().counts());
}

std::vector<size_t> Nemesis::SomeWith(size_t victim, bool alone_too) {
  const uint64_t how_many = dice_.Below(alone_too ? 3 : 2);
  if (how_many == 0) {
    return cluster_->all();
  }
  if (how_many == 2) {
    return {victim};
  }
  return {victim, (victim + 1 + dice_.Below(cluster_->size() - 1)) % cluster_->size()};
}

bool Nemesis::ShiftClocks(FaultKind kind, size_t victim, std::optional<size_t> leader) {
  const std::vector<size_t> nodes = SomeWith(victim, /*alone_too=*/true);
  const bool back = dice_.Chance(500);
  const int64_t amount = kind == FaultKind::kClockSlew
                             ? dice_.Between(kSlewPpmMin, kSlewPpmMax)
                             : (dice_.Chance(500) ? kShortStepSeconds : kLongStepSeconds);
  uint64_t before = 0;
  uint64_t after = 0;
  for (const size_t node : nodes) {
    integration::ShiftedClock& clock = cluster_->clock(node);
    before += clock.readings();
    kind == FaultKind::kClockSlew ? clock.Slew(back ? -amount : amount)
                                  : clock.Step(back ? -amount : amount);
  }
  std::cout << "  " << nodes.size() << " clocks " << (back ? "back" : "on") << " by " << amount
            << (kind == FaultKind::kClockSlew ? " ppm" : " s") << std::endl;
  std::this_thread::sleep_for(Millis(dice_.Between(0, kBeforeCutMaxMs)));
  // Connections that fail and come again are what waits most.
  BeginNetworkFault(FaultKind::kPartition, leader, &cluster_->network(), &dice_);
  cluster_->network().SetResets(kResetAllPermille);
  std::this_thread::sleep_for(kResetFor);
  cluster_->network().SetResets(0);
  Last(Millis(2000));
  for (const size_t node : nodes) {
    after += cluster_->clock(node).readings();
  }
  return after > before;
}

void Nemesis::StopAll(const std::vector<size_t>& nodes) {
  if (dice_.Chance(500)) {
    cluster_->Kill(nodes);
    return;
  }
  for (const size_t node : nodes) {
    cluster_->Stop(node);
  }
}

bool Nemesis::Move(FaultKind kind, size_t victim) {
  const bool many = kind == FaultKind::kMoveMany;
  const std::vector<size_t> nodes =
      many ? SomeWith(victim, /*alone_too=*/false) : std::vector<size_t>{victim};
  const bool exchange = many && dice_.Chance(300);
  const bool quietly = !many && dice_.Chance(500);
  std::cout << "  " << nodes.size() << (exchange ? " exchange their ports" : " to other ports")
            << (quietly ? ", told by --advertise_peer alone" : "") << std::endl;
  StopAll(nodes);
  Last(Millis(0));
  exchange ? cluster_->ExchangePorts(nodes) : cluster_->MoveToNewPorts(nodes, quietly);
  return true;
}

bool Nemesis::Rename(size_t victim) {
  const std::vector<size_t> nodes = SomeWith(victim, /*alone_too=*/true);
  const bool exchange = nodes.size() > 1 && dice_.Chance(500);
  std::cout << "  " << nodes.size() << (exchange ? " exchange their addresses" : " new addresses")
            << std::endl;
  StopAll(nodes);
  Last(Millis(0));
  exchange ? cluster_->ExchangeNames(nodes) : cluster_->MoveNames(nodes);
  return true;
}

void Nemesis::Last(Millis shortest) {
  const Millis bound =
      dice_.Chance(kShortPermille) ? std::min(kShort, options_.longest) : options_.longest;
  std::this_thread::sleep_for(
      Millis(dice_.Between(shortest.count(), std::max(shortest, bound).count())));
}

bool Nemesis::Recover() {
  if (!cluster_->Recover()) {
    return false;
  }
  const std::optional<Millis> written = clients_->AwaitWrite(kRecoveryMax);
  longest_recovery_ = std::max(longest_recovery_, written.value_or(kRecoveryMax));
  return written.has_value() && AwaitAllServing();
}

bool Nemesis::AwaitAllServing() {
  const Clock::time_point start = Clock::now();
  for (const size_t node : cluster_->all()) {
    if (!cluster_->AwaitServing(node, kReturnMax)) {
      ADD_FAILURE() << TestCluster::Name(node) << " answers no linearizable read "
                    << kReturnMax.count() << " ms after others have written";
      return false;
    }
  }
  longest_return_ = std::max(longest_return_, integration::Since(start));
  return true;
}

}  // namespace raftkv::chaos
