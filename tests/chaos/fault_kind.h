// The harm that a chaos run does, by name, and how often each kind was really felt.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv::chaos {

enum class FaultKind {
  kKill,         // kill -9 of any member
  kKillLeader,   // of the leader
  kKillAll,      // of all at once
  kRestart,      // SIGTERM
  kPause,        // SIGSTOP for 1 to 15 s
  kPauseLeader,  // of the leader
  kPartition,    // two groups hear nothing of each other
  kOneWay,       // one member is not heard, or hears nothing
  kBridge,       // two groups hear only one member that both hear
  kDelay,        // 75 +- 50 ms between all members
  kLongDelay,    // one second from and to one member
  kResets,       // twice a second, 5 to 30 % of the connections are reset
  kSlowLinks,    // 0.3 to 2 MB/s and up to 100 ms between members, with large values
  kSlowSync,     // each sync takes 20 ms to 3 s
  kFailedSync,   // a sync answers EIO, and the member must abort
  kClockStep,    // the wall clocks of some are set, by a minute or an hour, then a partition
  kClockSlew,    // they run up to 10 % too fast or too slow, then a partition
  kMove,         // one member comes back at another peer port
  kMoveMany,     // two or all do at once, or exchange their ports
  kRename,       // the names of some or all get other addresses
  kDamagedFile,  // a file of a killed member is damaged, and it starts, leads, or refuses
  kFullDisk,     // no space is left: puts must be refused, or the member aborts
  kPowerCut,     // of one member
  kPowerCutAll,  // of all at once
};
inline constexpr size_t kFaultKinds = 24;

// As typed after --faults.
absl::string_view Name(FaultKind kind);
// It needs a disk of its own for every member.
bool NeedsDisks(FaultKind kind);
bool IsOfNetwork(FaultKind kind);
// It needs clocks that a preloaded library shifts.
bool NeedsShiftedClocks(FaultKind kind);
// It needs members that know each other by names.
bool NeedsNames(FaultKind kind);
std::vector<FaultKind> AllFaultKinds();
// "kill,pause" -> the kinds; empty -> all. InvalidArgument names what is not known.
absl::StatusOr<std::vector<FaultKind>> ParseFaultKinds(absl::string_view list);

// Confined to one thread.
class FaultCounts {
 public:
  // Notes a fault that had its effect.
  void Add(FaultKind kind) { ++counts_[static_cast<size_t>(kind)]; }
  uint64_t count(FaultKind kind) const { return counts_[static_cast<size_t>(kind)]; }

 private:
  std::array<uint64_t, kFaultKinds> counts_{};
};

}  // namespace raftkv::chaos
