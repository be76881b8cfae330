#include "tests/simulation/counters.h"

namespace raftkv::simulation {
namespace {

struct Named {
  Situation situation;
  absl::string_view name;
};

// In the order of the enum.
constexpr Named kNames[] = {
    {Situation::kLeaderElected, "leader elected"},
    {Situation::kCandidateGaveUp, "candidate gave up"},
    {Situation::kPreVoteRefusedByLiveLeader, "pre-vote refused by live leader"},
    {Situation::kVoteRepeated, "vote repeated"},
    {Situation::kTwoLeadersAtOnce, "two leaders at once, of different terms"},
    {Situation::kLeaderLostQuorum, "leader lost quorum"},
    {Situation::kLeaderResignedOverDisk, "leader resigned over disk"},
    {Situation::kCandidateForLeaderUnreachable, "campaigned as its leader took no connection"},
    {Situation::kAskedToStand, "asked to stand by the leader"},
    {Situation::kLeadershipTransferred, "leadership transferred"},
    {Situation::kHandoverGivenUp, "handover given up"},
    {Situation::kHandedOverByPriority, "handed over by priority"},
    {Situation::kReluctantElected, "elected with priority 0"},
    {Situation::kMemberAdded, "member added"},
    {Situation::kMemberPromoted, "member promoted when asked"},
    {Situation::kMemberRemoved, "member removed"},
    {Situation::kMemberUpdated, "member's address changed"},
    {Situation::kLeaderRemoved, "leader stepped down when it was removed"},
    {Situation::kElectedInJoint, "leader elected in a joint configuration"},
    {Situation::kConfigurationTakenBack, "configuration taken back"},
    {Situation::kChangeRefused, "change of members refused: it would lose the quorum"},
    {Situation::kChangeInDoubt, "change of members in doubt"},
    {Situation::kLeaderCrashedWithUncommittedTail, "leader crashed with uncommitted tail"},
    {Situation::kAppendRejected, "append rejected"},
    {Situation::kFollowerTruncated, "follower truncated"},
    {Situation::kDurableEntryTruncated, "durable entry truncated"},
    {Situation::kEntryOverwrittenAndRestored, "entry overwritten and restored"},
    {Situation::kOldTermCommittedByNewOne, "old term committed by new one"},
    {Situation::kEntriesLoadedFromDisk, "entries loaded from disk"},
    {Situation::kLogTrimmed, "log trimmed"},
    {Situation::kLoadMetTrim, "load met a trim"},
    {Situation::kSnapshotSent, "snapshot sent"},
    {Situation::kSnapshotKeptLog, "snapshot installed, log kept"},
    {Situation::kSnapshotReplacedLog, "snapshot installed, log replaced"},
    {Situation::kConflictingLogReplaced, "conflicting log replaced by a snapshot"},
    {Situation::kSnapshotRefusedAsStale, "snapshot refused as stale"},
    {Situation::kSnapshotBrokenOff, "snapshot broken off"},
    {Situation::kSnapshotResumed, "snapshot resumed"},
    {Situation::kSnapshotBegunAgain, "snapshot begun again"},
    {Situation::kSnapshotFailed, "snapshot failed"},
    {Situation::kSnapshotStopped, "snapshot stopped by its sender"},
    {Situation::kSnapshotOutrun, "snapshot outrun by a trim"},
    {Situation::kSnapshotEchoed, "snapshot offered again, late"},
    {Situation::kAdoptPutOff, "snapshot waited for the old state"},
    {Situation::kWatchTold, "watch told of events"},
    {Situation::kWatchToldInPart, "watch told of a part of a revision"},
    {Situation::kWatchResumedElsewhere, "watch went on at another node"},
    {Situation::kWatchOutrun, "watch outrun by the end of the history"},
    {Situation::kPastRead, "state of the past read"},
    {Situation::kPastCompacted, "state of the past compacted"},
    {Situation::kFutureRefused, "revision not there yet"},
    {Situation::kHistoryCompacted, "history compacted by a request"},
    {Situation::kWalkDone, "walk done"},
    {Situation::kWalkOutlivedItsState, "walk outlived its state"},
    {Situation::kWalkOutrun, "walk outrun by the end of the history"},
    {Situation::kOldRead, "read of a state that is young enough"},
    {Situation::kOldReadWithoutLeader, "age known without a leader"},
    {Situation::kTooStale, "state too old and no leader"},
    {Situation::kNodeKilled, "node killed"},
    {Situation::kPowerLost, "power lost"},
    {Situation::kAllNodesDown, "all nodes down"},
    {Situation::kNodePaused, "node paused"},
    {Situation::kUnsyncedEntryLost, "unsynced entry lost"},
    {Situation::kUnsyncedVoteLost, "unsynced vote lost"},
    {Situation::kUnsyncedApplyLost, "unsynced apply lost"},
    {Situation::kUnsyncedTrimLost, "unsynced trim lost"},
    {Situation::kUnsyncedInstallLost, "unsynced install lost"},
    {Situation::kWriteTorn, "write torn"},
    {Situation::kGapInWal, "gap in wal"},
    {Situation::kSyncFailed, "sync failed"},
    {Situation::kFailedSyncSurvived, "failed sync survived"},
    {Situation::kSyncStalled, "sync stalled"},
    {Situation::kLogStartedInTheMiddle, "log started in the middle"},
    {Situation::kTrimmedLogStarted, "trimmed log started"},
    {Situation::kStateBent, "state bent"},
    {Situation::kBentFollowerStopped, "bent follower stopped"},
    {Situation::kBentLeaderStopped, "bent leader stopped"},
    {Situation::kApplyStalled, "apply stalled"},
    {Situation::kRunRolledBack, "run rolled back"},
    {Situation::kStreamBroken, "stream broken"},
    {Situation::kStreamReplaced, "stream replaced"},
    {Situation::kMessageHeldByCut, "message held by cut"},
    {Situation::kMessageLost, "message lost"},
    {Situation::kMessageDoubled, "message doubled"},
    {Situation::kMessageOvertaken, "message overtaken"},
    {Situation::kOneWayCut, "one way cut"},
    {Situation::kBridge, "bridge"},
    {Situation::kStar, "star"},
    {Situation::kClogged, "clogged"},
    {Situation::kLargeOverSlowLink, "large entries over a slow link"},
    {Situation::kUrgentOvertookBulk, "urgent frame overtook bulk"},
    {Situation::kJuggle, "new leaders stranded"},
    {Situation::kLongAbsence, "member away for long"},
    {Situation::kProposalForwarded, "proposal forwarded"},
    {Situation::kForwardStreamLostWithProposals, "forward stream lost with proposals"},
    {Situation::kForwardHeldBack, "forward held back"},
    {Situation::kForwardRefused, "forward refused"},
    {Situation::kProposedAgain, "proposed again"},
    {Situation::kUnknownHappened, "unknown happened"},
    {Situation::kUnknownNeverHappened, "unknown never happened"},
    {Situation::kAnsweredNoLeader, "answered no leader"},
    {Situation::kAnsweredOverloaded, "answered overloaded"},
    {Situation::kAnsweredDiskFull, "answered disk full"},
    {Situation::kDeletedOnFullDisk, "deleted on a full disk"},
    {Situation::kAnsweredShuttingDown, "answered shutting down"},
    {Situation::kPreconditionFailed, "precondition failed"},
    {Situation::kRangeRefused, "range refused"},
    {Situation::kThenBranchTaken, "then branch taken"},
    {Situation::kElseBranchTaken, "else branch taken"},
    {Situation::kTxnWithinTxn, "txn within txn"},
    {Situation::kKeyTouched, "key touched"},
    {Situation::kKeyIncremented, "key incremented"},
    {Situation::kIncrementRefused, "increment refused"},
    {Situation::kRequestReplayed, "request replayed"},
    {Situation::kRequestIdReused, "request id reused"},
    {Situation::kRequestsFull, "requests full"},
    {Situation::kRequestForgotten, "request forgotten"},
    {Situation::kReadForwarded, "read forwarded"},
    {Situation::kReadAcrossLeaderChange, "read across leader change"},
    {Situation::kStaleReadOfOldState, "stale read of old state"},
    {Situation::kKeyExpired, "key expired"},
    {Situation::kExpireMetRenewedKey, "expire met renewed key"},
    {Situation::kExpireOfDeposedLeader, "expire of deposed leader"},
    {Situation::kTtlOutlivedClusterStop, "ttl outlived a stop of the whole cluster"},
    {Situation::kLeaseGranted, "lease granted"},
    {Situation::kLeaseRenewed, "lease renewed"},
    {Situation::kLeaseRevokedWithKeys, "lease revoked with keys"},
    {Situation::kLeaseExpired, "lease expired"},
    {Situation::kKeysExpiredTogether, "keys expired together"},
    {Situation::kExpiryMetRenewedLease, "expiry met renewed lease"},
    {Situation::kLeaseOutlivedItsLeader, "lease outlived its leader"},
    {Situation::kKeyHungOnLease, "key hung on lease"},
    {Situation::kLeaseMissing, "lease missing"},
    {Situation::kLeaseRefused, "lease refused"},
    {Situation::kClusterClockStepBack, "cluster clock step back"},
    {Situation::kMinorityLeftDead, "minority left dead"},
    {Situation::kMinorityLeftCutOff, "minority left cut off"},
};

constexpr bool AreInOrder() {
  for (size_t i = 0; i < kSituations; ++i) {
    if (static_cast<size_t>(kNames[i].situation) != i) {
      return false;
    }
  }
  return sizeof(kNames) / sizeof(kNames[0]) == kSituations;
}
static_assert(AreInOrder());

}  // namespace

absl::string_view Name(Situation situation) { return kNames[static_cast<size_t>(situation)].name; }

void Counters::Add(const Counters& other) {
  for (size_t i = 0; i < kSituations; ++i) {
    counts_[i] += other.counts_[i];
  }
}

}  // namespace raftkv::simulation
