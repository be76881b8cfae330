// Which of the situations that bugs hide in a run has been in. A thousand seeds that never met one
// of them prove nothing about it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace raftkv::simulation {

enum class Situation {
  // Elections.
  kLeaderElected,
  kCandidateGaveUp,
  kPreVoteRefusedByLiveLeader,
  kVoteRepeated,
  kTwoLeadersAtOnce,
  kLeaderLostQuorum,
  kLeaderResignedOverDisk,
  kCandidateForLeaderUnreachable,
  kAskedToStand,
  kLeadershipTransferred,
  kHandoverGivenUp,
  kHandedOverByPriority,
  kReluctantElected,
  // Members.
  kMemberAdded,
  kMemberPromoted,
  kMemberRemoved,
  kMemberUpdated,
  kLeaderRemoved,
  kElectedInJoint,
  kConfigurationTakenBack,
  kChangeRefused,
  kChangeInDoubt,
  // Log.
  kLeaderCrashedWithUncommittedTail,
  kAppendRejected,
  kFollowerTruncated,
  kDurableEntryTruncated,
  kEntryOverwrittenAndRestored,
  kOldTermCommittedByNewOne,
  kEntriesLoadedFromDisk,
  // Trims and snapshots.
  kLogTrimmed,
  kLoadMetTrim,
  kSnapshotSent,
  kSnapshotKeptLog,
  kSnapshotReplacedLog,
  kConflictingLogReplaced,
  kSnapshotRefusedAsStale,
  kSnapshotBrokenOff,
  kSnapshotResumed,
  kSnapshotBegunAgain,
  kSnapshotFailed,
  kSnapshotStopped,
  kSnapshotOutrun,
  kSnapshotEchoed,
  kAdoptPutOff,
  // Watches.
  kWatchTold,
  kWatchToldInPart,
  kWatchResumedElsewhere,
  kWatchOutrun,
  // States of the past, walks, and answers that may be old.
  kPastRead,
  kPastCompacted,
  kFutureRefused,
  kHistoryCompacted,
  kWalkDone,
  kWalkOutlivedItsState,
  kWalkOutrun,
  kOldRead,
  kOldReadWithoutLeader,
  kTooStale,
  // Disks and restarts.
  kNodeKilled,
  kPowerLost,
  kAllNodesDown,
  kNodePaused,
  kUnsyncedEntryLost,
  kUnsyncedVoteLost,
  kUnsyncedApplyLost,
  kUnsyncedTrimLost,
  kUnsyncedInstallLost,
  kWriteTorn,
  kGapInWal,
  kSyncFailed,
  kFailedSyncSurvived,
  kSyncStalled,
  kLogStartedInTheMiddle,
  kTrimmedLogStarted,
  kStateBent,
  kBentFollowerStopped,
  kBentLeaderStopped,
  kApplyStalled,
  kRunRolledBack,
  // Network.
  kStreamBroken,
  kStreamReplaced,
  kMessageHeldByCut,
  kMessageLost,
  kMessageDoubled,
  kMessageOvertaken,
  kOneWayCut,
  kBridge,
  kStar,
  kClogged,
  kLargeOverSlowLink,
  kUrgentOvertookBulk,
  kJuggle,
  kLongAbsence,
  // Requests.
  kProposalForwarded,
  kForwardStreamLostWithProposals,
  kForwardHeldBack,
  kForwardRefused,
  kProposedAgain,
  kUnknownHappened,
  kUnknownNeverHappened,
  kAnsweredNoLeader,
  kAnsweredOverloaded,
  kAnsweredDiskFull,
  kDeletedOnFullDisk,
  kAnsweredShuttingDown,
  kPreconditionFailed,
  kRangeRefused,
  kThenBranchTaken,
  kElseBranchTaken,
  kTxnWithinTxn,
  kKeyTouched,
  kKeyIncremented,
  kIncrementRefused,
  kRequestReplayed,
  kRequestIdReused,
  kRequestsFull,
  kRequestForgotten,
  kReadForwarded,
  kReadAcrossLeaderChange,
  kStaleReadOfOldState,
  // Expiry.
  kKeyExpired,
  kExpireMetRenewedKey,
  kExpireOfDeposedLeader,
  kTtlOutlivedClusterStop,
  kLeaseGranted,
  kLeaseRenewed,
  kLeaseRevokedWithKeys,
  kLeaseExpired,
  kKeysExpiredTogether,
  kExpiryMetRenewedLease,
  kLeaseOutlivedItsLeader,
  kKeyHungOnLease,
  kLeaseMissing,
  kLeaseRefused,
  kClusterClockStepBack,
  // The end of a run.
  kMinorityLeftDead,
  kMinorityLeftCutOff,
  kCount,  // Last.
};

inline constexpr size_t kSituations = static_cast<size_t>(Situation::kCount);

// The name in reports, like "vote repeated".
absl::string_view Name(Situation situation);

// How often each was met. Confined to one thread.
class Counters {
 public:
  void Note(Situation situation, uint64_t times = 1) {
    counts_[static_cast<size_t>(situation)] += times;
  }
  uint64_t count(Situation situation) const { return counts_[static_cast<size_t>(situation)]; }
  void Add(const Counters& other);

 private:
  std::array<uint64_t, kSituations> counts_ = {};
};

}  // namespace raftkv::simulation
