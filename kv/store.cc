#include "kv/store.h"

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "kv/command_semantics.h"
#include "kv/command_version.h"
#include "kv/errors.h"
#include "kv/view_table.h"

namespace raftkv::kv {

using log::v1::Command;
using log::v1::CommandOutcome;

namespace {

// What a proposal that was not applied is answered with.
absl::Status ProposalError(raft::ProposalResult result, bool with_request_id) {
  switch (result) {
    case raft::ProposalResult::kNoLeader:
      return NoLeaderError();
    case raft::ProposalResult::kOverloaded:
      return OverloadedError();
    case raft::ProposalResult::kShuttingDown:
      return ShuttingDownError();
    case raft::ProposalResult::kOutcomeUnknown:
      return OutcomeUnknownError(with_request_id);
    case raft::ProposalResult::kApplied:
      break;
  }
  LOG(FATAL) << "an applied proposal is no error";
}

absl::Status DiskFull(const std::vector<raft::NodeId>& low_on_disk,
                      const MemberDirectory* directory) {
  std::vector<std::string> members;
  std::vector<std::string> names;
  for (const raft::NodeId id : low_on_disk) {
    const auto member = directory == nullptr ? std::nullopt : directory->Find(id);
    members.push_back(directory == nullptr ? absl::StrCat(id.value()) : directory->Describe(id));
    names.push_back(member.has_value() ? member->name : absl::StrCat(id.value()));
  }
  return DiskFullError(members, names);
}

// What a command that failed may have to say of itself.
struct CommandWords {
  std::string guarded_key;  // Of its first guard.
  uint64_t keys_max = 0;    // Of its first deletion.
  bool has_request_id = false;
  int64_t compaction = 0;
};

CommandWords WordsOf(const Command& command) {
  CommandWords words;
  if (command.txn().guards_size() > 0) {
    words.guarded_key = command.txn().guards(0).key();
  }
  if (command.txn().operations_size() > 0) {
    words.keys_max = command.txn().operations(0).delete_().keys_max();
  }
  words.has_request_id = command.has_request();
  words.compaction = command.compact_history().revision();
  return words;
}

absl::StatusOr<CommandOutcome> ResultOf(CommandOutcome outcome, const CommandWords& words) {
  switch (outcome.verdict()) {
    case CommandOutcome::VERDICT_APPLIED:
      return outcome;
    case CommandOutcome::VERDICT_GUARD_FAILED:
      return PreconditionFailedError(words.guarded_key, outcome.current_mod_revision());
    case CommandOutcome::VERDICT_RANGE_TOO_LARGE:
      return RangeTooLargeError(outcome, words.keys_max);
    case CommandOutcome::VERDICT_NOT_AN_INTEGER:
      return NotAnIntegerError(outcome.failed_at(), outcome.failed_key());
    case CommandOutcome::VERDICT_INTEGER_OVERFLOW:
      return IntegerOverflowError(outcome.failed_at(), outcome.failed_key());
    case CommandOutcome::VERDICT_REQUEST_ID_REUSED:
      return RequestIdReusedError();
    case CommandOutcome::VERDICT_REQUESTS_FULL:
      return RequestsFullError(outcome.exceeding());
    case CommandOutcome::VERDICT_LEASE_NOT_FOUND:
      return LeaseNotFoundError(outcome.lease_id(), outcome.failed_at());
    case CommandOutcome::VERDICT_LEASE_EXISTS:
      return LeaseExistsError(outcome.lease_id());
    case CommandOutcome::VERDICT_LEASES_FULL:
      return TooManyLeasesError(outcome.exceeding());
    case CommandOutcome::VERDICT_LEASE_KEYS_FULL:
      return LeaseFullError(outcome.lease_id(), outcome.exceeding(), outcome.failed_at());
    case CommandOutcome::VERDICT_REVISION_COMPACTED:
      return RevisionCompactedError(words.compaction, outcome.compacted_revision());
    case CommandOutcome::VERDICT_REVISION_FUTURE:
      return RevisionFutureError(words.compaction, outcome.revision());
    default:
      LOG(FATAL) << "the state machine's outcome has verdict " << outcome.verdict();
  }
}

absl::StatusOr<CommandOutcome> ParseOutcome(const std::string& bytes, const CommandWords& words) {
  CommandOutcome outcome;
  CHECK(outcome.ParseFromString(bytes)) << "the state machine's outcome does not parse";
  return ResultOf(std::move(outcome), words);
}

bool HasRange(const log::v1::Txn& txn) {
  const auto is_range = [](const log::v1::Operation& operation) {
    return operation.has_list() || HasRange(operation.txn());
  };
  return std::any_of(txn.guards().begin(), txn.guards().end(),
                     [](const log::v1::Guard& guard) { return guard.is_range(); }) ||
         std::any_of(txn.operations().begin(), txn.operations().end(), is_range) ||
         std::any_of(txn.else_operations().begin(), txn.else_operations().end(), is_range);
}

}  // namespace

Store::Store(raft::RaftDriver* driver, KvStateMachine* state_machine, DiskPool* pool,
             DiskPool* upkeep, const MonotonicClock* clock, const MemberDirectory* directory,
             Alarms alarms)
    : driver_(*driver),
      state_machine_(*state_machine),
      pool_(*pool),
      upkeep_(*upkeep),
      clock_(*clock),
      directory_(directory),
      alarms_(std::move(alarms)) {}

absl::Status Store::CheckWrite(const Command& command) const {
  if (draining_) {
    return ShuttingDownError();
  }
  if (const uint32_t needed = CommandVersionOf(command);
      needed > state_machine_.cluster_version()) {
    return ClusterTooOldError(needed, state_machine_.cluster_version());
  }
  if (AddsData(command)) {
    const std::vector<raft::NodeId> low_on_disk = driver_.LowOnDisk();
    return low_on_disk.empty() ? absl::OkStatus() : DiskFull(low_on_disk, directory_);
  }
  return absl::OkStatus();
}

bool Store::AwaitVersion(const Command& command, MonotonicNanos deadline,
                         Done<CommandOutcome>* done) {
  const uint32_t needed = CommandVersionOf(command);
  // Every write comes by here, and nearly none has to wait.
  if (needed <= state_machine_.cluster_version()) {
    return false;
  }
  const uint64_t bytes = command.ByteSizeLong();
  if (draining_ || directory_ == nullptr || !directory_->MayComeTo(needed) ||
      version_wait_bytes_ + bytes > kVersionWaitBytesMax) {
    return false;
  }
  const auto shared = std::make_shared<Done<CommandOutcome>>(std::move(*done));
  RevisionWaiters::Waiter waiter{
      .awaited = needed,
      .deadline = std::min(deadline, DeadlineAfter(clock_.Now(), kVersionWait)),
      .done = [this, command, deadline, bytes, shared](const absl::Status& status) {
        version_wait_bytes_ -= bytes;
        if (status.ok()) {
          Write(command, deadline, std::move(*shared));
        } else {
          (*shared)(status);
        }
      }};
  if (!version_waiters_.Add(&waiter)) {
    *done = std::move(*shared);
    return false;
  }
  version_wait_bytes_ += bytes;
  return true;
}

void Store::Write(const Command& command, MonotonicNanos deadline, Done<CommandOutcome> done) {
  if (AwaitVersion(command, deadline, &done)) {
    return;
  }
  if (const absl::Status refused = CheckWrite(command); !refused.ok()) {
    done(refused);
    return;
  }
  driver_.Propose(command.SerializeAsString(), deadline,
                  [words = WordsOf(command), done = std::move(done)](raft::ProposalResult result,
                                                                     const std::string& bytes) {
                    if (result == raft::ProposalResult::kApplied) {
                      done(ParseOutcome(bytes, words));
                    } else {
                      done(ProposalError(result, words.has_request_id));
                    }
                  });
}

void Store::OnApplied() {
  for (const RevisionWaiters::Waiter& waiter :
       version_waiters_.TakeReached(state_machine_.cluster_version())) {
    waiter.done(absl::OkStatus());
  }
  for (const RevisionWaiters::Waiter& waiter :
       revision_waiters_.TakeReached(state_machine_.revision())) {
    waiter.done(absl::OkStatus());
  }
  for (const RevisionWaiters::Waiter& waiter :
       index_waiters_.TakeReached(static_cast<int64_t>(state_machine_.applied().index.value()))) {
    waiter.done(absl::OkStatus());
  }
}

void Store::Tick() {
  const MonotonicNanos until = draining_ ? kNever : clock_.Now();
  for (const RevisionWaiters::Waiter& waiter : revision_waiters_.TakeLate(until)) {
    waiter.done(draining_ ? ShuttingDownError()
                          : TooStaleError(waiter.awaited, state_machine_.revision()));
  }
  for (const RevisionWaiters::Waiter& waiter : version_waiters_.TakeLate(until)) {
    waiter.done(draining_ ? ShuttingDownError()
                          : ClusterTooOldError(static_cast<uint32_t>(waiter.awaited),
                                               state_machine_.cluster_version()));
  }
  for (const RevisionWaiters::Waiter& waiter : index_waiters_.TakeLate(until)) {
    waiter.done(draining_ ? ShuttingDownError()
                          : NotAppliedError(static_cast<uint64_t>(waiter.awaited),
                                            state_machine_.applied().index.value()));
  }
}

Store::Backup Store::TakeBackup() {
  Backup backup;
  backup.state = state_machine_.TakeSnapshot();
  const raft::SnapshotPoint point = backup.state->point();
  // The time that a restart of this member would go on from.
  backup.cluster_time = raft::RestoredReading(driver_.ReadClusterClock(),
                                              {.term = point.last.term, .time = point.stamp})
                            .time;
  backup.digest = *state_machine_.digests().At(point.last.index);
  backup.cluster_version = state_machine_.cluster_version();
  return backup;
}

absl::Status Store::ReadError(const absl::Status& status) {
  if (absl::IsCancelled(status)) {
    return TooSlowError();
  }
  if (absl::IsFailedPrecondition(status)) {
    alarms_.on_wrong_state(std::string(status.message()));
  } else if (absl::IsDataLoss(status)) {
    alarms_.on_damaged(std::string(status.message()));
  }
  return CorruptedError(status.message());
}

void Store::ReadOnPool(DiskPool* pool, DiskPool::Length length, MonotonicNanos deadline,
                       PoolRead read, std::function<void(absl::Status)> refuse) {
  ReadViewOnPool(state_machine_.TakeView(), pool, length, deadline, std::move(read),
                 std::move(refuse));
}

void Store::ReadViewOnPool(std::shared_ptr<const KvView> view, DiskPool* pool,
                           DiskPool::Length length, MonotonicNanos deadline, PoolRead read,
                           std::function<void(absl::Status)> refuse) {
  GivenUp given_up = [&clock = clock_, deadline, all = reads_given_up_] {
    return *all || clock.Now() >= deadline;
  };
  const bool submitted =
      pool->Submit(length, [given_up = std::move(given_up), view = std::move(view),
                            read = std::move(read), refuse]() mutable {
        std::function<void()> answer;
        if (given_up()) {
          answer = [refuse = std::move(refuse)] { refuse(TooSlowError()); };
        } else {
          answer = read(*view, given_up);
        }
        view.reset();
        return answer;
      });
  if (!submitted) {
    refuse(OverloadedError());
  }
}

template <typename Result>
void Store::WhenFresh(
    const ReadFreshness& freshness, Done<Result> done,
    std::function<void(std::optional<MonotonicNanos> age, Done<Result> done)> read) {
  AwaitState(freshness, [done = std::move(done), read = std::move(read)](
                            const absl::StatusOr<std::optional<MonotonicNanos>>& age) mutable {
    if (age.ok()) {
      read(*age, std::move(done));
    } else {
      done(age.status());
    }
  });
}

void Store::Get(const std::string& key, const ReadFreshness& freshness, Done<Found> done) {
  WhenFresh<Found>(freshness, std::move(done),
                   [this, key, freshness](std::optional<MonotonicNanos> age, Done<Found> found) {
                     if (freshness.at_revision != 0) {
                       GetAt(key, freshness, std::move(found));
                     } else {
                       GetNow(key, PointNow(age), freshness.deadline, std::move(found));
                     }
                   });
}

void Store::GetNow(const std::string& key, const ReadPoint& point, MonotonicNanos deadline,
                   Done<Found> done) {
  Found found{.at = point, .record = std::nullopt};
  log::v1::StoredKeyValue record;
  switch (state_machine_.GetCached(key, &record)) {
    case CacheLookup::kFound:
      record.set_key(key);
      found.record = std::move(record);
      done(std::move(found));
      return;
    case CacheLookup::kAbsent:
      done(std::move(found));
      return;
    case CacheLookup::kNotCached:
      break;
  }
  ReadOnPool(
      &pool_, DiskPool::Length::kShort, deadline,
      [this, key, point, done](const KvView& view, const GivenUp& /*given_up*/) {
        auto stored = view.Get(key);
        return [this, done, point, stored = std::move(stored)]() mutable {
          if (stored.ok()) {
            done(Found{.at = point, .record = *std::move(stored)});
          } else {
            done(ReadError(stored.status()));
          }
        };
      },
      done);
}

void Store::Scan(ScanOptions scan, const ReadFreshness& freshness, Done<Page> done) {
  WhenFresh<Page>(freshness, std::move(done),
                  [this, scan = std::move(scan), freshness](std::optional<MonotonicNanos> age,
                                                            Done<Page> page) {
                    if (freshness.at_revision != 0) {
                      ScanAt(scan, freshness, std::move(page));
                    } else {
                      ScanNow(scan, PointNow(age), freshness.deadline, std::move(page));
                    }
                  });
}

void Store::ScanNow(const ScanOptions& scan, const ReadPoint& point, MonotonicNanos deadline,
                    Done<Page> done) {
  ReadOnPool(
      &pool_,
      scan.keys_max <= kShortListKeysMax ? DiskPool::Length::kShort : DiskPool::Length::kLong,
      deadline,
      [this, scan = scan, point, done](const KvView& view, const GivenUp& given_up) mutable {
        scan.given_up = given_up;
        auto keys = view.Scan(scan);
        return [this, done, point, keys = std::move(keys)]() mutable {
          if (keys.ok()) {
            done(Page{.at = point, .keys = *std::move(keys)});
          } else {
            done(ReadError(keys.status()));
          }
        };
      },
      done);
}

void Store::Evaluate(log::v1::Txn txn, const ReadFreshness& freshness, Done<Evaluated> done) {
  WhenFresh<Evaluated>(freshness, std::move(done),
                       [this, txn = std::move(txn), deadline = freshness.deadline](
                           std::optional<MonotonicNanos> age, Done<Evaluated> evaluated) {
                         EvaluateNow(txn, PointNow(age), deadline, std::move(evaluated));
                       });
}

void Store::EvaluateNow(const log::v1::Txn& txn, const ReadPoint& point, MonotonicNanos deadline,
                        Done<Evaluated> done) {
  ReadOnPool(
      &pool_, HasRange(txn) ? DiskPool::Length::kLong : DiskPool::Length::kShort, deadline,
      [this, txn, point, done](const KvView& view, const GivenUp& given_up) {
        ViewTable table(&view, given_up);
        CommandOutcome outcome;
        absl::StatusOr<CommandOutcome> result;
        const bool read = EvaluateReads(txn, view.revision(), &table, &outcome);
        if (read) {
          result = ResultOf(std::move(outcome), CommandWords());
        }
        return [this, done, point, read, failure = table.status(),
                result = std::move(result)]() mutable {
          if (!read) {
            done(ReadError(failure));
          } else if (result.ok()) {
            done(Evaluated{.at = point, .outcome = *std::move(result)});
          } else {
            done(result.status());
          }
        };
      },
      done);
}

void Store::ScanView(std::shared_ptr<const KvView> view, ScanOptions scan, MonotonicNanos deadline,
                     Done<ScanResult> done) {
  const auto length =
      scan.keys_max <= kShortListKeysMax ? DiskPool::Length::kShort : DiskPool::Length::kLong;
  ReadViewOnPool(
      std::move(view), &pool_, length, deadline,
      [this, scan = std::move(scan), done](const KvView& state, const GivenUp& given_up) mutable {
        scan.given_up = given_up;
        auto keys = state.Scan(scan);
        return [this, done, keys = std::move(keys)]() mutable {
          if (keys.ok()) {
            done(*std::move(keys));
          } else {
            done(ReadError(keys.status()));
          }
        };
      },
      done);
}

void Store::Compact(int64_t revision, MonotonicNanos deadline, Done<int64_t> done) {
  Command command;
  const int64_t wanted = revision == 0 ? state_machine_.revision() : revision;
  command.mutable_compact_history()->set_revision(wanted);
  Write(command, deadline, [wanted, done](const absl::StatusOr<CommandOutcome>& outcome) {
    if (outcome.ok()) {
      done(wanted);
    } else {
      done(outcome.status());
    }
  });
}

void Store::Count(const KeyInterval& interval, const ReadFreshness& freshness, Done<Counted> done) {
  WhenFresh<Counted>(
      freshness, std::move(done),
      [this, interval, freshness](std::optional<MonotonicNanos> age, Done<Counted> counted) {
        if (freshness.at_revision != 0) {
          CountAt(interval, freshness, std::move(counted));
        } else {
          CountNow(interval, PointNow(age), freshness.deadline, std::move(counted));
        }
      });
}

void Store::CountNow(const KeyInterval& interval, const ReadPoint& point, MonotonicNanos deadline,
                     Done<Counted> done) {
  if (const std::optional<int64_t> known = state_machine_.KnownCount(interval); known.has_value()) {
    done(Counted{.at = point, .keys = *known});
    return;
  }
  const uint64_t walk = state_machine_.BeginCount(interval);
  ReadOnPool(
      &pool_, DiskPool::Length::kLong, deadline,
      [this, interval, walk, point, done](const KvView& view, const GivenUp& given_up) {
        auto count = view.Count(interval, given_up);
        return [this, walk, done, point, count = std::move(count)] {
          if (count.ok()) {
            state_machine_.EndCount(walk, *count);
            done(Counted{.at = point, .keys = *count});
          } else {
            state_machine_.EndCount(walk, std::nullopt);
            done(ReadError(count.status()));
          }
        };
      },
      [this, walk, done](const absl::Status& why) {
        state_machine_.EndCount(walk, std::nullopt);
        done(why);
      });
}

void Store::Verify(raft::LogIndex index, bool scan, MonotonicNanos deadline, Done<Verified> done) {
  if (draining_) {
    done(ShuttingDownError());
    return;
  }
  const raft::LogIndex applied = state_machine_.applied().index;
  if (index <= applied) {
    VerifyNow(index.value() == 0 ? applied : index, scan, deadline, std::move(done));
    return;
  }
  RevisionWaiters::Waiter waiter{
      .awaited = static_cast<int64_t>(index.value()),
      .deadline = deadline,
      .done = [this, index, scan, deadline, done](const absl::Status& reached) {
        if (reached.ok()) {
          VerifyNow(index, scan, deadline, done);
        } else {
          done(reached);
        }
      }};
  if (!index_waiters_.Add(&waiter)) {
    done(OverloadedError());
  }
}

void Store::VerifyNow(raft::LogIndex index, bool scan, MonotonicNanos deadline,
                      Done<Verified> done) {
  // Known before a long walk, which may take until it is forgotten.
  const std::optional<StateDigest> digest = state_machine_.digests().At(index);
  if (!digest.has_value()) {
    done(IndexTooOldError(index.value(), state_machine_.digests().first().value()));
    return;
  }
  const Verified verified{.index = index, .digest = *digest};
  if (!scan) {
    done(verified);
    return;
  }
  ReadOnPool(
      &upkeep_, DiskPool::Length::kLong, deadline,
      [this, verified, done](const KvView& view, const GivenUp& given_up) {
        absl::Status status = view.Verify(given_up);
        return [this, verified, done, status = std::move(status)] {
          if (status.ok()) {
            done(verified);
          } else {
            done(ReadError(status));
          }
        };
      },
      done);
}

}  // namespace raftkv::kv
