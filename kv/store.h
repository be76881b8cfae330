// Store is the replicated key space as every API sees it: commands go through the log and their
// outcomes come back, reads are as fresh as they ask to be. What a request looks like, and what an
// answer, is its caller's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/disk_pool.h"
#include "kv/key_walk.h"
#include "kv/kv_state_machine.h"
#include "kv/limits.h"
#include "kv/member_directory.h"
#include "kv/read_freshness.h"
#include "kv/revision_waiters.h"
#include "kv/state_age.h"
#include "raft/runtime/raft_driver.h"
#include "raft/runtime/raft_status.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Each `done` is called exactly once, on the loop, maybe before the call returns; errors are those
// of kv/errors.h. Confined to the loop.
class Store {
 public:
  template <typename Result>
  using Done = std::function<void(absl::StatusOr<Result> result)>;

  // Which state was read.
  struct ReadPoint {
    int64_t revision = 0;
    raft::LogIndex applied;
    // Where no leader was asked, how old what was read was at most, if anything is known of that.
    std::optional<MonotonicNanos> age = std::nullopt;
  };
  struct Found {
    ReadPoint at;
    std::optional<log::v1::StoredKeyValue> record;  // With its key; nullopt: no such key.
  };
  struct Page {
    ReadPoint at;
    ScanResult keys;
  };
  struct Evaluated {
    ReadPoint at;
    log::v1::CommandOutcome outcome;  // Whose revision is that of `at`.
  };
  struct Counted {
    ReadPoint at;
    int64_t keys = 0;
  };
  struct Verified {
    raft::LogIndex index;
    StateDigest digest;  // Of the state after the entry there.
  };

  // What a member hears that must not go on as it is.
  struct Alarms {
    // A file is corrupted: the member must neither lead nor answer from it. Once for each read that
    // met it.
    std::function<void(const std::string& problem)> on_damaged;
    // The rows are not those that commands left: nothing of this state can be trusted.
    std::function<void(const std::string& what)> on_wrong_state;
  };

  // `pool` is for reads, `upkeep` for what may take minutes.
  // `directory`, which may be null, names members in errors.
  // Borrows the rest; no callback of theirs may come after its end.
  Store(raft::RaftDriver* driver, KvStateMachine* state_machine, DiskPool* pool, DiskPool* upkeep,
        const MonotonicClock* clock, const MemberDirectory* directory, Alarms alarms);

  // Brings a command into the log and hears what it came to: the outcome of a command that was
  // applied with its guards holding. An error says whether it was certainly not proposed
  // (UNAVAILABLE, RESOURCE_EXHAUSTED), applied without effect (ABORTED, INVALID_ARGUMENT,
  // FAILED_PRECONDITION, OUT_OF_RANGE), or neither is known (OUTCOME_UNKNOWN). A command that not
  // every member knows is not proposed (UNIMPLEMENTED; it waits kVersionWait when that may come any
  // moment), nor one that adds data while a voter's disk is nearly full (RESOURCE_EXHAUSTED).
  void Write(const log::v1::Command& command, MonotonicNanos deadline,
             Done<log::v1::CommandOutcome> done);
  // OK once the applied state is as fresh as asked for. The driver says when that is so of a
  // linearizable read: its read index is confirmed (raft/core/read_index.cc is the leader's part)
  // and applied (raft/runtime/pending_reads.h).
  void AwaitFreshness(const ReadFreshness& freshness, std::function<void(absl::Status)> done);
  // REVISION_FUTURE, REVISION_COMPACTED: that state is not there, not yet or not any more.
  void Get(const std::string& key, const ReadFreshness& freshness, Done<Found> done);
  // `scan.given_up` is the store's.
  void Scan(ScanOptions scan, const ReadFreshness& freshness, Done<Page> done);
  // The state as of now, and a part of one that was taken before. A view is for one request: it
  // holds on to files.
  std::shared_ptr<const KvView> TakeView() { return state_machine_.TakeView(); }
  void ScanView(std::shared_ptr<const KvView> view, ScanOptions scan, MonotonicNanos deadline,
                Done<ScanResult> done);
  // The next piece of a walk, and where it begins. As the history may end before a slow walk does:
  // REVISION_COMPACTED. REQUIRES: the last piece was answered.
  struct Walk {
    ReadPoint at;
    std::shared_ptr<KeyWalk> keys;
  };
  void BeginWalk(const ReadFreshness& freshness, Done<Walk> done);
  void ReadWalk(KeyWalk* walk, ScanOptions scan, MonotonicNanos deadline, Done<ScanResult> done);
  // Lets go of what the walk reads from, until it is read again.
  void LetGo(KeyWalk* walk);
  // Compacts the history up to a revision, 0 being the newest; hears up to which.
  void Compact(int64_t revision, MonotonicNanos deadline, Done<int64_t> done);
  void Count(const KeyInterval& interval, const ReadFreshness& freshness, Done<Counted> done);
  struct FoundLease {
    ReadPoint at;
    Lease lease;
    raft::ClusterMillis term_began;  // Of LeaseTotals.
    LeaseKeys keys;                  // If they are asked for.
  };
  // With a page of its keys, those after `keys_after`, unless that is nullopt. NOT_FOUND when there
  // is no such lease.
  void GetLease(int64_t id, std::optional<std::string> keys_after, const ReadFreshness& freshness,
                Done<FoundLease> done);
  struct LeaseList {
    ReadPoint at;
    raft::ClusterMillis term_began;  // Of LeaseTotals.
    std::vector<Lease> leases;       // By id.
    bool more = false;               // There are others after these.
  };
  // At most `max` leases whose ids are more than `after`.
  void ListLeases(int64_t after, size_t max, const ReadFreshness& freshness, Done<LeaseList> done);
  // What a transaction that only reads comes to; it brings nothing into the log. Fails as Write
  // does where guards or bounds do not hold. REQUIRES: CheckCommand accepts it, and none of its
  // operations writes.
  void Evaluate(log::v1::Txn txn, const ReadFreshness& freshness, Done<Evaluated> done);

  // What this member's state was after the entry at `index`, 0 being the newest that is applied.
  // One that is not applied yet is waited for; OUT_OF_RANGE when it is too long ago. With `scan`,
  // the rows as of then or later are read first and compared with the state's hash of them:
  // CORRUPTED, and `on_wrong_state` hears it, when they differ.
  void Verify(raft::LogIndex index, bool scan, MonotonicNanos deadline, Done<Verified> done);

  struct Backup {
    std::unique_ptr<raft::SnapshotReader> state;
    raft::ClusterMillis cluster_time;  // Deadlines go on from there.
    StateDigest digest;
    uint32_t cluster_version = 0;
  };
  // All of the applied state as of now, and what goes with it.
  Backup TakeBackup();
  // What a client is answered with for a failed read of a Backup or a view. Damage is an alarm.
  absl::Status ReadError(const absl::Status& status);

  // Asks the leader what there is to be applied, if it was not asked for kAgeCheckInterval: so how
  // old the state may be stays known where nobody reads. Called every tick.
  void CheckAge();

  // From now on everything new is refused, and reads that wait for a revision with it; what is on
  // its way goes on.
  void Drain() { draining_ = true; }
  // Reads that are on a pool end soon, and without an answer of use.
  void GiveUpReads() { *reads_given_up_ = true; }
  bool draining() const { return draining_; }

  // Fails waiting reads whose time is over; called every tick.
  void Tick();
  // Serves what waited for a revision or an entry that is applied now; called every turn,
  // after the driver's.
  void OnApplied();

  raft::RaftStatus raft() const { return driver_.Status(); }
  raft::ClusterMillis Now() const { return driver_.Now(); }
  int64_t revision() const { return state_machine_.revision(); }
  int64_t key_count() const { return state_machine_.key_count(); }
  int64_t expired_keys() const { return state_machine_.expired_keys(); }
  uint64_t lease_count() const { return state_machine_.lease_totals().count; }
  int64_t expired_leases() const { return state_machine_.expired_leases(); }
  uint32_t cluster_version() const { return state_machine_.cluster_version(); }
  const HistoryState& history() const { return state_machine_.history(); }

 private:
  // Hears the age of a ReadPoint.
  using Fresh = std::function<void(absl::StatusOr<std::optional<MonotonicNanos>> age)>;
  using PoolRead =
      std::function<std::function<void()>(const KvView& view, const GivenUp& given_up)>;

  // Decides how a read comes to be as fresh as it asks to be: AwaitFreshness, that hears the age of
  // what is applied then.
  void AwaitState(const ReadFreshness& freshness, Fresh done);
  // For age_max, once min_revision is there.
  void AwaitAge(const ReadFreshness& freshness, Fresh done);
  // Asks the leader.
  void AwaitIndex(MonotonicNanos deadline, std::function<void(raft::ReadResult result)> done);
  // Has `read` answer once the state is fresh enough; answers with why it is not otherwise.
  template <typename Result>
  void WhenFresh(const ReadFreshness& freshness, Done<Result> done,
                 std::function<void(std::optional<MonotonicNanos> age, Done<Result> done)> read);
  ReadPoint PointNow(std::optional<MonotonicNanos> age) const;
  // What the state at `revision` is read from.
  absl::StatusOr<std::shared_ptr<WalkSource>> SourceAt(int64_t revision);
  // Runs `read` with a source on the pool, and then what it returned on the loop.
  using SourceRead =
      std::function<std::function<void()>(WalkSource* source, const GivenUp& given_up)>;
  void ReadSourceOnPool(std::shared_ptr<WalkSource> source, DiskPool::Length length,
                        MonotonicNanos deadline, SourceRead read,
                        std::function<void(absl::Status)> refuse);
  // What a failed read of a source is answered with.
  absl::Status SourceError(int64_t revision, const absl::Status& status);
  void GetAt(const std::string& key, const ReadFreshness& freshness, Done<Found> done);
  void ScanAt(const ScanOptions& scan, const ReadFreshness& freshness, Done<Page> done);
  void CountAt(const KeyInterval& interval, const ReadFreshness& freshness, Done<Counted> done);
  absl::Status CheckWrite(const log::v1::Command& command) const;
  // Takes a write that needs a version that the cluster may come to any moment. False: there is no
  // room for it, or no hope; it is left as it is.
  bool AwaitVersion(const log::v1::Command& command, MonotonicNanos deadline,
                    Done<log::v1::CommandOutcome>* done);
  void AwaitRevision(const ReadFreshness& freshness, std::function<void(absl::Status)> done);
  // Runs `read` with the state as of now on the pool and then what it returned on the loop. `read`
  // does not begin after the deadline and should end once `given_up` says that it is over;
  // `refuse` is called with why when it did not begin.
  void ReadOnPool(DiskPool* pool, DiskPool::Length length, MonotonicNanos deadline, PoolRead read,
                  std::function<void(absl::Status)> refuse);
  void ReadViewOnPool(std::shared_ptr<const KvView> view, DiskPool* pool, DiskPool::Length length,
                      MonotonicNanos deadline, PoolRead read,
                      std::function<void(absl::Status)> refuse);
  // `point` is that of now.
  void GetNow(const std::string& key, const ReadPoint& point, MonotonicNanos deadline,
              Done<Found> done);
  void ScanNow(const ScanOptions& scan, const ReadPoint& point, MonotonicNanos deadline,
               Done<Page> done);
  void EvaluateNow(const log::v1::Txn& txn, const ReadPoint& point, MonotonicNanos deadline,
                   Done<Evaluated> done);
  void VerifyNow(raft::LogIndex index, bool scan, MonotonicNanos deadline, Done<Verified> done);
  void GetLeaseNow(int64_t id, const std::optional<std::string>& keys_after,
                   MonotonicNanos deadline, Done<FoundLease> done);
  void CountNow(const KeyInterval& interval, const ReadPoint& point, MonotonicNanos deadline,
                Done<Counted> done);

  raft::RaftDriver& driver_;
  KvStateMachine& state_machine_;
  DiskPool& pool_;
  DiskPool& upkeep_;
  const MonotonicClock& clock_;
  const MemberDirectory* const directory_;
  const Alarms alarms_;
  // Shared with reads on other threads.
  const std::shared_ptr<std::atomic<bool>> reads_given_up_ =
      std::make_shared<std::atomic<bool>>(false);
  RevisionWaiters revision_waiters_{kRevisionWaitersMax};
  RevisionWaiters index_waiters_{kIndexWaitersMax};
  RevisionWaiters version_waiters_{kVersionWaitersMax};
  uint64_t version_wait_bytes_ = 0;
  bool draining_ = false;
  StateAge age_;
  MonotonicNanos age_checked_at_ = 0;
  bool checks_age_ = false;
};

}  // namespace raftkv::kv
