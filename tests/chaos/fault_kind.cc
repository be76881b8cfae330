#include "tests/chaos/fault_kind.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace raftkv::chaos {

absl::string_view Name(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKill:
      return "kill";
    case FaultKind::kKillLeader:
      return "kill-leader";
    case FaultKind::kKillAll:
      return "kill-all";
    case FaultKind::kRestart:
      return "restart";
    case FaultKind::kPause:
      return "pause";
    case FaultKind::kPauseLeader:
      return "pause-leader";
    case FaultKind::kPartition:
      return "partition";
    case FaultKind::kOneWay:
      return "one-way";
    case FaultKind::kBridge:
      return "bridge";
    case FaultKind::kDelay:
      return "delay";
    case FaultKind::kLongDelay:
      return "long-delay";
    case FaultKind::kResets:
      return "resets";
    case FaultKind::kSlowLinks:
      return "slow-links";
    case FaultKind::kSlowSync:
      return "slow-sync";
    case FaultKind::kFailedSync:
      return "failed-sync";
    case FaultKind::kClockStep:
      return "clock-step";
    case FaultKind::kClockSlew:
      return "clock-slew";
    case FaultKind::kMove:
      return "move";
    case FaultKind::kMoveMany:
      return "move-many";
    case FaultKind::kRename:
      return "rename";
    case FaultKind::kDamagedFile:
      return "damaged-file";
    case FaultKind::kFullDisk:
      return "full-disk";
    case FaultKind::kPowerCut:
      return "power-cut";
    case FaultKind::kPowerCutAll:
      return "power-cut-all";
  }
  return "";
}

bool NeedsDisks(FaultKind kind) { return kind >= FaultKind::kFullDisk; }

bool IsOfNetwork(FaultKind kind) {
  return kind >= FaultKind::kPartition && kind <= FaultKind::kSlowLinks;
}

bool NeedsShiftedClocks(FaultKind kind) {
  return kind == FaultKind::kClockStep || kind == FaultKind::kClockSlew;
}

bool NeedsNames(FaultKind kind) { return kind == FaultKind::kRename; }

std::vector<FaultKind> AllFaultKinds() {
  std::vector<FaultKind> kinds;
  for (size_t i = 0; i < kFaultKinds; ++i) {
    kinds.push_back(static_cast<FaultKind>(i));
  }
  return kinds;
}

absl::StatusOr<std::vector<FaultKind>> ParseFaultKinds(absl::string_view list) {
  const std::vector<FaultKind> all = AllFaultKinds();
  if (list.empty()) {
    return all;
  }
  std::vector<FaultKind> kinds;
  for (const absl::string_view word : absl::StrSplit(list, ',')) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](FaultKind kind) { return Name(kind) == word; });
    if (found == all.end()) {
      return absl::InvalidArgumentError(absl::StrCat("no such fault: ", word));
    }
    kinds.push_back(*found);
  }
  return kinds;
}

}  // namespace raftkv::chaos
