#include "kv/entry_applier.h"

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "raft/runtime/command_batch.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

EntryFate EntryApplier::Apply(const raft::Entry& entry, const raft::OutcomeObserver& observer,
                              KvTable* table, AppliedRun* run) {
  CHECK_EQ(entry.id.index, run->applied.id.index.Next()) << "an entry was skipped";
  CHECK_GE(entry.id.term, run->applied.id.term) << "terms go back at index " << entry.id.index;
  const KvTable::Mark mark = table->SetMark();
  const AppliedState applied_before = run->applied;
  const size_t outcomes_before = run->outcomes.size();
  const uint64_t commands_before = run->commands;
  if (entry.id.term != run->applied.id.term &&
      run->applied.cluster_version >= kLeaseCommandVersion) {
    run->applied.leases.term_began = entry.stamp;
  }
  switch (entry.kind) {
    case raft::EntryKind::kNoOp:
      break;
    case raft::EntryKind::kCommands:
      if (const EntryFate fate = ApplyCommands(entry, observer, table, run);
          fate != EntryFate::kApplied) {
        table->RollBack(mark);
        run->applied = applied_before;
        run->outcomes.resize(outcomes_before);
        run->commands = commands_before;
        return fate;
      }
      break;
    case raft::EntryKind::kConfiguration:
      ApplyConfiguration(entry, run);
      break;
  }
  run->applied.id = entry.id;
  run->applied.stamp = entry.stamp;
  run->digests.push_back(DigestOf(run->applied));
  return EntryFate::kApplied;
}

void EntryApplier::ApplyConfiguration(const raft::Entry& entry, AppliedRun* run) {
  CHECK(entry.payload != nullptr) << "an empty configuration at index " << entry.id.index;
  if (!run->configuration.emplace().ParseFromString(*entry.payload)) {
    LOG(FATAL) << "the log entry at index " << entry.id.index << " holds a broken configuration";
  }
}

EntryFate EntryApplier::ApplyCommands(const raft::Entry& entry,
                                      const raft::OutcomeObserver& observer, KvTable* table,
                                      AppliedRun* run) {
  arena_.Reset();
  StoreTotals totals{.revision = run->applied.revision,
                     .key_count = run->applied.key_count,
                     .rows_hash = run->applied.rows_hash,
                     .cluster_version = run->applied.cluster_version,
                     .requests = run->applied.requests,
                     .leases = run->applied.leases,
                     .compacted = run->applied.history.compacted};
  int64_t expired_keys = 0;
  int64_t expired_leases = 0;
  raft::CommandBatchReader reader(raft::CommandsOf(entry));
  while (reader.Next()) {
    ++run->commands;
    auto* command = google::protobuf::Arena::CreateMessage<log::v1::Command>(&arena_);
    const absl::string_view bytes = reader.command();
    if (!command->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      LOG(FATAL) << "the log entry at index " << entry.id.index << " holds a broken command";
    }
    if (const absl::Status status = CheckCommand(*command); !status.ok()) {
      run->too_new = absl::StrCat("the log entry at index ", entry.id.index.value(), " holds ",
                                  status.message(),
                                  ": start the newer version of raftkv that the other "
                                  "members run, on the same directory");
      return EntryFate::kTooNew;
    }
    log::v1::CommandOutcome* outcome = nullptr;
    if (observer.Wants(reader.origin(), reader.sequence())) {
      outcome = google::protobuf::Arena::CreateMessage<log::v1::CommandOutcome>(&arena_);
    }
    const bool expires = command->has_expire() || command->has_expire_lease();
    const int64_t keys_before = totals.key_count;
    const uint64_t leases_before = totals.leases.count;
    if (!ApplyOne(command, entry.stamp, table, &totals, &run->applied.history, outcome)) {
      return EntryFate::kStalled;
    }
    if (expires) {
      expired_keys += keys_before - totals.key_count;
      expired_leases += static_cast<int64_t>(leases_before - totals.leases.count);
    }
    if (outcome != nullptr) {
      run->outcomes.push_back({reader.origin(), reader.sequence(), outcome->SerializeAsString()});
    }
  }
  if (!reader.ok()) {
    LOG(FATAL) << "the log entry at index " << entry.id.index << " holds a broken batch";
  }
  CHECK_GE(totals.key_count, 0);
  if (totals.cluster_version >= kHistoryCommandVersion) {
    MoveHistory(history_limits_, entry.stamp, &run->applied.history);
  }
  run->expired_keys += expired_keys;
  run->expired_leases += expired_leases;
  run->applied.revision = totals.revision;
  run->applied.key_count = totals.key_count;
  run->applied.rows_hash = totals.rows_hash;
  run->applied.cluster_version = totals.cluster_version;
  run->applied.requests = totals.requests;
  run->applied.leases = totals.leases;
  return EntryFate::kApplied;
}

bool EntryApplier::ApplyOne(log::v1::Command* command, raft::ClusterMillis stamp, KvTable* table,
                            StoreTotals* totals, HistoryState* history,
                            log::v1::CommandOutcome* outcome) {
  if (totals->cluster_version < kHistoryCommandVersion) {
    if (!ApplyCommand(command, stamp, table, totals, outcome)) {
      return false;
    }
    if (totals->cluster_version >= kHistoryCommandVersion) {
      *history = BeginHistory(totals->revision);
      totals->compacted = history->compacted;
    }
    return true;
  }
  recorder_.Begin(table, history_limits_, totals->revision + 1, *history);
  if (!ApplyCommand(command, stamp, &recorder_, totals, outcome)) {
    return false;
  }
  recorder_.Finish(stamp, history);
  if (totals->compacted > history->compacted) {
    CompactHistory(totals->compacted, history);
  }
  totals->compacted = history->compacted;
  return true;
}

}  // namespace raftkv::kv
