#include "tests/simulation/ledger.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kv/state_hash.h"
#include "raft/core/describe.h"
#include "raft/runtime/command_batch.h"

namespace raftkv::simulation {

using raft::Describe;
using raft::NodeId;

void Ledger::OnApplied(NodeId node, const std::vector<AppliedStep>& steps) {
  for (const AppliedStep& step : steps) {
    const uint64_t index = step.entry.id.index.value();
    if (index == entries_.size() + 1) {
      Append(node, step);
    }
    findings_.Expect(index <= entries_.size(), [&] {
      return absl::StrCat("node ", node.value(), " applies ", Describe(step.entry),
                          " before anybody applied what comes before it");
    });
    if (index > entries_.size()) {
      return;
    }
    const CommittedEntry& known = entries_[index - 1];
    findings_.Expect(known.id == step.entry.id, [&] {
      return absl::StrCat("node ", node.value(), " applies ", Describe(step.entry), " where ",
                          Describe(known.id), " was applied");
    });
    findings_.Expect(known.state_hash == step.state_hash, [&] {
      return absl::StrCat("node ", node.value(), " has another state after ", Describe(step.entry),
                          " than the model: revision ", step.applied.revision, ", ",
                          step.applied.key_count, " keys; the model has revision ",
                          model_.revision(), ", ", model_.key_count(), " keys at index ",
                          entries_.size());
    });
    findings_.Expect(known.applied.history == step.applied.history, [&] {
      return absl::StrCat("node ", node.value(), " keeps another history after ",
                          Describe(step.entry), ": from revision ", step.applied.history.compacted,
                          " on, others from ", known.applied.history.compacted);
    });
    const bool is_right = known.applied.rows_hash == step.applied.rows_hash;
    findings_.Expect(is_right || excused_.contains(node), [&] {
      return absl::StrCat("node ", node.value(), " has another hash of its rows after ",
                          Describe(step.entry), " than the model");
    });
  }
}

void Ledger::CheckStateHashes(
    NodeId node, raft::LogIndex applied,
    absl::FunctionRef<std::optional<uint64_t>(raft::LogIndex index)> hash_at) const {
  for (const CommittedEntry& entry : entries_) {
    const std::optional<uint64_t> hash = hash_at(entry.id.index);
    const bool is_right = !hash.has_value() || *hash == kv::StateHash(entry.applied);
    findings_.Expect(is_right || excused_.contains(node), [&] {
      return absl::StrCat("node ", node.value(), " has another hash of its state at index ",
                          entry.id.index.value(), " than the model");
    });
  }
  findings_.Expect(hash_at(applied).has_value(), [&] {
    return absl::StrCat("node ", node.value(), " does not know the hash of its state at index ",
                        applied.value());
  });
}

void Ledger::Append(NodeId node, const AppliedStep& step) {
  const raft::Entry& entry = step.entry;
  const EntryFacts facts{.index = entry.id.index,
                         .stamp = entry.stamp,
                         .proposed_at = logs_.ProposedAt(entry.id),
                         .term = entry.id.term};
  CheckClusterTime(facts, entry.kind);
  model_.OnEntry(facts);
  raft::CommandBatchReader reader(raft::CommandsOf(entry));
  while (reader.Next()) {
    log::v1::Command command;
    CHECK(command.ParseFromString(std::string(reader.command())));
    ApplyToModel(command, facts);
  }
  CHECK(reader.ok()) << "node " << node << " applied a broken batch";
  CheckExpiries(facts);
  CheckLeaseExpiries(facts);
  const kv::AppliedState applied{.id = entry.id,
                                 .stamp = entry.stamp,
                                 .revision = model_.revision(),
                                 .key_count = model_.key_count(),
                                 .rows_hash = model_.product_rows_hash(),
                                 .cluster_version = kv::kNewestCommandVersion,
                                 .requests = model_.requests(),
                                 .leases = model_.leases(),
                                 .history = step.applied.history};
  entries_.push_back({.id = entry.id,
                      .state_hash = model_.rows_hash() ^ AppliedHash(applied),
                      .applied = applied});
}

void Ledger::ApplyToModel(const log::v1::Command& command, const EntryFacts& entry) {
  log::v1::CommandOutcome outcome = model_.Apply(command, entry);
  counters_.Note(Situation::kRequestForgotten, model_.TakeForgotten());
  const OperationNumber operation = TagOf(command);
  if (operation == 0) {
    return;
  }
  switch (outcome.verdict()) {
    case log::v1::CommandOutcome::VERDICT_REQUEST_ID_REUSED:
      counters_.Note(Situation::kRequestIdReused);
      return;  // It is as if it had not come.
    case log::v1::CommandOutcome::VERDICT_REQUESTS_FULL:
      counters_.Note(Situation::kRequestsFull);
      return;
    default:
      break;
  }
  if (outcome.replayed()) {
    counters_.Note(Situation::kRequestReplayed);
    findings_.Expect(effects_.contains(operation), [&] {
      return absl::StrCat("operation ", operation, " is answered from an earlier one at index ",
                          entry.index.value(), ", and there was none");
    });
    return;
  }
  NoteKinds(command.txn(), outcome);
  NoteLease(command, outcome);
  const bool is_new =
      effects_.emplace(operation, Effect{.index = entry.index, .outcome = std::move(outcome)})
          .second;
  findings_.Expect(is_new, [&] {
    return absl::StrCat("operation ", operation, " is committed twice, now at index ",
                        entry.index.value());
  });
  findings_.Expect(!refused_.contains(operation), [&] {
    return absl::StrCat("operation ", operation, " is committed at index ", entry.index.value(),
                        ", but its client was told that it had no effect");
  });
}

void Ledger::NoteKinds(const log::v1::Txn& txn, const log::v1::CommandOutcome& outcome) {
  using log::v1::CommandOutcome;
  if (outcome.verdict() == CommandOutcome::VERDICT_NOT_AN_INTEGER ||
      outcome.verdict() == CommandOutcome::VERDICT_INTEGER_OVERFLOW) {
    counters_.Note(Situation::kIncrementRefused);
  }
  if (outcome.verdict() != CommandOutcome::VERDICT_APPLIED) {
    return;
  }
  if (txn.has_else()) {
    counters_.Note(outcome.succeeded() ? Situation::kThenBranchTaken : Situation::kElseBranchTaken);
  }
  for (const log::v1::OperationOutcome& result : outcome.operations()) {
    if (result.touched()) {
      counters_.Note(Situation::kKeyTouched);
    }
    if (result.value() != 0) {
      counters_.Note(Situation::kKeyIncremented);
    }
    if (result.operations_size() > 0) {
      counters_.Note(Situation::kTxnWithinTxn);
    }
  }
}

void Ledger::NoteLease(const log::v1::Command& command, const log::v1::CommandOutcome& outcome) {
  using log::v1::CommandOutcome;
  switch (outcome.verdict()) {
    case CommandOutcome::VERDICT_LEASE_NOT_FOUND:
      counters_.Note(Situation::kLeaseMissing);
      return;
    case CommandOutcome::VERDICT_LEASE_EXISTS:
    case CommandOutcome::VERDICT_LEASES_FULL:
    case CommandOutcome::VERDICT_LEASE_KEYS_FULL:
      counters_.Note(Situation::kLeaseRefused);
      return;
    case CommandOutcome::VERDICT_APPLIED:
      break;
    default:
      return;
  }
  if (command.has_grant_lease()) {
    counters_.Note(Situation::kLeaseGranted);
  } else if (command.has_renew_lease()) {
    counters_.Note(Situation::kLeaseRenewed);
  } else if (command.has_revoke_lease() && outcome.lease_keys() > 0) {
    counters_.Note(Situation::kLeaseRevokedWithKeys);
  } else if (command.txn().operations_size() > 0 &&
             command.txn().operations(0).put().has_lease_id() && outcome.succeeded()) {
    counters_.Note(Situation::kKeyHungOnLease);
  }
}

// A lease lives as long as it was last renewed for, and as long again from any change of leaders.
void Ledger::CheckLeaseExpiries(const EntryFacts& entry) {
  counters_.Note(Situation::kLeaseOutlivedItsLeader, model_.TakeOutlived());
  for (const ModelStore::LeaseExpiry& expiry : model_.TakeLeaseExpiries()) {
    if (!expiry.removed) {
      counters_.Note(Situation::kExpiryMetRenewedLease);
      continue;
    }
    counters_.Note(Situation::kLeaseExpired);
    if (expiry.keys > 1) {
      counters_.Note(Situation::kKeysExpiredTogether);
    }
    const int64_t lived = FastestNanos(entry.proposed_at - expiry.renewed_at);
    findings_.Expect(lived >= static_cast<int64_t>(expiry.lasts_ms) * kNanosPerMilli, [&] {
      return absl::StrCat("lease ", expiry.id, ", last renewed for ", expiry.lasts_ms,
                          " ms, expires at index ", entry.index.value(), " after ", lived, " ns");
    });
  }
}

int64_t Ledger::FastestNanos(SimTime nanos) const {
  constexpr int64_t kMillion = 1'000'000;
  return nanos + nanos / kMillion * options_.drift_ppm_max +
         nanos % kMillion * options_.drift_ppm_max / kMillion + 1;
}

void Ledger::CheckClusterTime(const EntryFacts& entry, raft::EntryKind kind) {
  findings_.Expect(entry.stamp >= last_stamp_, [&] {
    return absl::StrCat("stamps go back from ", last_stamp_.value(), " to ", entry.stamp.value(),
                        " at index ", entry.index.value());
  });
  last_stamp_ = entry.stamp;
  // Of a no-op and of a configuration, which no deadline is counted from, the stamp may be of a
  // moment before the turn in which the entry is written.
  if (kind != raft::EntryKind::kCommands) {
    return;
  }
  const int64_t lead =
      static_cast<int64_t>(entry.stamp.value()) * kNanosPerMilli - FastestNanos(entry.proposed_at);
  // A stamp is rounded down, so it may be a millisecond behind its moment.
  findings_.Expect(!least_lead_.has_value() || lead <= least_lead_->nanos + kNanosPerMilli, [&] {
    return absl::StrCat("cluster time runs ahead by ", lead - least_lead_->nanos, " ns from index ",
                        least_lead_->index.value(), " to ", entry.index.value(), ", stamp ",
                        entry.stamp.value());
  });
  if (!least_lead_.has_value() || lead < least_lead_->nanos) {
    least_lead_ = {.nanos = lead, .index = entry.index};
  }
}

void Ledger::CheckExpiries(const EntryFacts& entry) {
  for (const ModelStore::Expiry& expiry : model_.TakeExpiries()) {
    if (!expiry.removed) {
      counters_.Note(Situation::kExpireMetRenewedKey);
      continue;
    }
    counters_.Note(Situation::kKeyExpired);
    if (all_down_at_.has_value() && expiry.proposed_at < *all_down_at_) {
      counters_.Note(Situation::kTtlOutlivedClusterStop);
    }
    const int64_t lived = FastestNanos(entry.proposed_at - expiry.proposed_at);
    findings_.Expect(lived >= static_cast<int64_t>(expiry.ttl_ms) * kNanosPerMilli, [&] {
      return absl::StrCat("key ", expiry.key, " with a ttl of ", expiry.ttl_ms,
                          " ms expires at index ", entry.index.value(), " after ", lived, " ns");
    });
  }
}

void Ledger::OnStarted(NodeId node, const TableContent& content) {
  CheckState(node, content, " starts with another state at index ");
}

void Ledger::OnSnapshotAdopted(NodeId node, const TableContent& content) {
  CheckState(node, content, " adopts a snapshot of another state at index ");
}

void Ledger::CheckState(NodeId node, const TableContent& content, absl::string_view what) {
  const uint64_t index = content.applied.id.index.value();
  const bool is_known = index <= entries_.size();
  const uint64_t expected = index == 0 ? ContentHash(TableContent())
                            : is_known ? entries_[index - 1].state_hash
                                       : 0;
  findings_.Expect(is_known && ContentHash(content) == expected, [&] {
    return absl::StrCat("node ", node.value(), what, index, " than was applied there");
  });
  CheckEvents(node, content);
  if (!IsBent(content)) {
    excused_.erase(node);
  }
  findings_.Expect(!IsBent(content) || excused_.contains(node), [&] {
    return absl::StrCat("node ", node.value(), " has at index ", index,
                        " another hash of its rows than the rows come to");
  });
}

void Ledger::CheckEvents(NodeId node, const TableContent& content) {
  const kv::HistoryState& history = content.applied.history;
  auto expected = model_.events().lower_bound({history.removed + 1, ""});
  bool fits = true;
  for (const auto& [place, event] : content.events) {
    kv::HistoryEvent bare = event;
    bare.previous.reset();
    if (expected == model_.events().end() || expected->first != place) {
      fits = false;
      break;
    }
    kv::HistoryEvent model = expected->second.event;
    std::optional<kv::KvRecord> before = expected->second.before;
    model.record.header.row_hash = 0;
    if (before.has_value()) {
      before->header.row_hash = 0;
    }
    fits = fits && bare == model && (!event.previous.has_value() || event.previous == before);
    ++expected;
  }
  fits = fits &&
         (expected == model_.events().end() || expected->first.first > content.applied.revision);
  findings_.Expect(fits, [&] {
    return absl::StrCat("node ", node.value(), " has a history at revision ",
                        content.applied.revision, " that is not the model's");
  });
}

void Ledger::OnRefused(OperationNumber operation) {
  refused_.insert(operation);
  findings_.Expect(Find(operation) == nullptr, [&] {
    return absl::StrCat("a client is told that operation ", operation,
                        " had no effect, but it is committed");
  });
}

const Ledger::Effect* Ledger::Find(OperationNumber operation) const {
  const auto effect = effects_.find(operation);
  return effect == effects_.end() ? nullptr : &effect->second;
}

}  // namespace raftkv::simulation
