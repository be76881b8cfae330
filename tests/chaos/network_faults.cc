#include "tests/chaos/network_faults.h"

#include <glog/logging.h>

#include <vector>

namespace raftkv::chaos {
namespace {

using integration::Millis;
using simulation::Dice;

constexpr uint64_t kTakeLeaderPermille = 500;
// Slow links are that everywhere, or at one member.
constexpr uint64_t kEverywherePermille = 500;
constexpr int64_t kSlowLinkBytesPerSecondMin = 300'000;
constexpr int64_t kSlowLinkBytesPerSecondMax = 2'000'000;
constexpr int64_t kSlowLinkDelayMaxMs = 100;

LinkRule Cut(Dice* dice) {
  return {.bytes = dice->Chance(500) ? LinkRule::Bytes::kHold : LinkRule::Bytes::kDrop};
}

size_t SingleOut(std::optional<size_t> leader, const PeerNetwork& network, Dice* dice) {
  return leader.has_value() && dice->Chance(kTakeLeaderPermille) ? *leader
                                                                 : dice->Below(network.size());
}

// Puts every member on one of two sides, `apart` alone on its own or not.
std::vector<bool> Split(size_t apart, size_t size, Dice* dice) {
  std::vector<bool> side(size, false);
  side[apart] = true;
  for (size_t member = 0; member < size; ++member) {
    side[member] = side[member] || (size > 3 && dice->Chance(300));
  }
  // Somebody is on the other side.
  side[(apart + 1 + dice->Below(size - 1)) % size] = false;
  return side;
}

void CutBetween(const std::vector<bool>& side, std::optional<size_t> bridge, PeerNetwork* network,
                Dice* dice) {
  const LinkRule cut = Cut(dice);
  for (size_t from = 0; from < side.size(); ++from) {
    for (size_t to = 0; to < side.size(); ++to) {
      if (side[from] != side[to] && from != bridge && to != bridge) {
        network->SetRule(from, to, cut);
      }
    }
  }
}

void BuildBridge(size_t bridge, PeerNetwork* network, Dice* dice) {
  const size_t size = network->size();
  std::vector<bool> side(size, false);
  // In turn, so that both sides have members.
  for (size_t i = 1; i < size; ++i) {
    side[(bridge + i) % size] = i % 2 == 0;
  }
  CutBetween(side, bridge, network, dice);
}

void CutOneWay(size_t member, PeerNetwork* network, Dice* dice) {
  const LinkRule cut = Cut(dice);
  const bool is_mute = dice->Chance(500);
  for (size_t other = 0; other < network->size(); ++other) {
    if (other != member) {
      network->SetRule(is_mute ? member : other, is_mute ? other : member, cut);
    }
  }
}

// From and to `only`, or everywhere.
void SetRules(const LinkRule& rule, std::optional<size_t> only, PeerNetwork* network) {
  for (size_t from = 0; from < network->size(); ++from) {
    for (size_t to = 0; to < network->size(); ++to) {
      if (from != to && (!only.has_value() || from == only || to == only)) {
        network->SetRule(from, to, rule);
      }
    }
  }
}

LinkRule DrawSlowLink(Dice* dice) {
  const Millis delay(dice->Between(0, kSlowLinkDelayMaxMs));
  return {.delay_min = delay,
          .delay_max = delay,
          .bytes_per_second = static_cast<uint64_t>(
              dice->Between(kSlowLinkBytesPerSecondMin, kSlowLinkBytesPerSecondMax))};
}

}  // namespace

void BeginNetworkFault(FaultKind kind, std::optional<size_t> leader, PeerNetwork* network,
                       Dice* dice) {
  CHECK(IsOfNetwork(kind));
  const size_t member = SingleOut(leader, *network, dice);
  if (kind == FaultKind::kPartition) {
    CutBetween(Split(member, network->size(), dice), std::nullopt, network, dice);
  } else if (kind == FaultKind::kOneWay) {
    CutOneWay(member, network, dice);
  } else if (kind == FaultKind::kBridge) {
    // The leader reaches all as a bridge, so nobody would notice.
    BuildBridge(member == leader ? (member + 1) % network->size() : member, network, dice);
  } else if (kind == FaultKind::kDelay) {
    SetRules({.delay_min = Millis(25), .delay_max = Millis(125)}, std::nullopt, network);
  } else if (kind == FaultKind::kLongDelay) {
    SetRules({.delay_min = Millis(1000), .delay_max = Millis(1000)}, member, network);
  } else if (kind == FaultKind::kSlowLinks) {
    SetRules(DrawSlowLink(dice),
             dice->Chance(kEverywherePermille) ? std::nullopt : std::optional(member), network);
  } else {
    network->SetResets(static_cast<uint64_t>(dice->Between(50, 300)));
  }
}

bool FeltInNetwork(FaultKind kind, const RelayCounts& before, const RelayCounts& after) {
  if (kind == FaultKind::kDelay || kind == FaultKind::kLongDelay) {
    return after.delayed_chunks > before.delayed_chunks;
  }
  if (kind == FaultKind::kSlowLinks) {
    return after.slow_waits > before.slow_waits;
  }
  if (kind == FaultKind::kResets) {
    return after.resets > before.resets;
  }
  return after.withheld_chunks > before.withheld_chunks;
}

}  // namespace raftkv::chaos
