#include "tests/simulation/model_store.h"

#include <glog/logging.h>

#include <algorithm>
#include <set>

#include "kv/state_hash.h"
#include "tests/simulation/sim_table.h"

namespace raftkv::simulation {

using kv::KvRecord;
using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::DeleteOperation;
using log::v1::Guard;
using log::v1::Operation;
using log::v1::OperationOutcome;
using log::v1::PutOperation;
using log::v1::StoredKeyValue;
using log::v1::Txn;
using raft::LogIndex;

namespace {

void FillPrevious(const std::string& key, const KvRecord& record, StoredKeyValue* previous) {
  previous->set_key(key);
  previous->set_value(record.value);
  previous->set_create_revision(record.header.create_revision);
  previous->set_mod_revision(record.header.mod_revision);
  previous->set_version(record.header.version);
  previous->set_deadline_ms(record.header.deadline.value());
}

bool Holds(const Guard& guard, const KvRecord* record) {
  const kv::RecordHeader header = record == nullptr ? kv::RecordHeader() : record->header;
  switch (guard.condition_case()) {
    case Guard::kExists:
      return guard.exists() == (record != nullptr);
    case Guard::kModRevision:
      return guard.mod_revision() == header.mod_revision;
    case Guard::kVersion:
      return guard.version() == header.version;
    case Guard::kValue:
      return record != nullptr && guard.value() == record->value;
    case Guard::CONDITION_NOT_SET:
      break;
  }
  LOG(FATAL) << "nobody sends this";
}

bool IsOneKey(const DeleteOperation& operation) {
  return operation.end_key() == operation.start_key() + std::string(1, '\0');
}

}  // namespace

CommandOutcome ModelStore::Apply(const Command& command, const EntryFacts& entry) {
  if (command.has_txn()) {
    return ApplyTxn(command.txn(), entry);
  }
  CHECK(command.has_expire());
  ApplyExpire(command.expire(), entry);
  CommandOutcome outcome;
  outcome.set_verdict(CommandOutcome::VERDICT_APPLIED);
  outcome.set_revision(revision_);
  return outcome;
}

CommandOutcome ModelStore::ApplyTxn(const Txn& txn, const EntryFacts& entry) {
  CommandOutcome outcome;
  for (const Guard& guard : txn.guards()) {
    const auto row = rows_.find(guard.key());
    const KvRecord* record = row == rows_.end() ? nullptr : &row->second.record;
    if (!Holds(guard, record)) {
      outcome.set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
      outcome.set_revision(revision_);
      outcome.set_current_mod_revision(record == nullptr ? 0 : record->header.mod_revision);
      return outcome;
    }
  }
  std::optional<Rows> rows = RunOperations(txn, entry, &outcome);
  if (!rows.has_value()) {
    outcome.clear_operations();
    outcome.set_verdict(CommandOutcome::VERDICT_RANGE_TOO_LARGE);
    outcome.set_revision(revision_);
    return outcome;
  }
  const bool changes =
      std::any_of(txn.operations().begin(), txn.operations().end(),
                  [](const Operation& operation) { return operation.has_put(); }) ||
      std::any_of(outcome.operations().begin(), outcome.operations().end(),
                  [](const OperationOutcome& result) { return result.deleted() > 0; });
  Become(*std::move(rows), entry.index);
  revision_ += changes ? 1 : 0;
  outcome.set_verdict(CommandOutcome::VERDICT_APPLIED);
  outcome.set_revision(revision_);
  return outcome;
}

std::optional<ModelStore::Rows> ModelStore::RunOperations(const Txn& txn, const EntryFacts& entry,
                                                          CommandOutcome* outcome) const {
  Rows rows = rows_;
  for (const Operation& operation : txn.operations()) {
    OperationOutcome* const result = outcome->add_operations();
    if (operation.has_put()) {
      const PutOperation& put = operation.put();
      const auto old = rows.find(put.key());
      Row row;
      row.record.value = put.value();
      kv::RecordHeader& header = row.record.header;
      header = {.create_revision = revision_ + 1,
                .mod_revision = revision_ + 1,
                .version = 1,
                .deadline = raft::ClusterMillis(0)};
      if (old != rows.end()) {
        header.create_revision = old->second.record.header.create_revision;
        header.version = old->second.record.header.version + 1;
        if (put.return_previous()) {
          FillPrevious(old->first, old->second.record, result->add_previous());
        }
      }
      if (put.has_ttl_ms()) {
        header.deadline = entry.stamp + put.ttl_ms() + 1;
        row.ttl_ms = put.ttl_ms();
        row.ttl_from = entry.proposed_at;
      } else if (put.keep_ttl() && old != rows.end()) {
        header.deadline = old->second.record.header.deadline;
        row.ttl_ms = old->second.ttl_ms;
        row.ttl_from = old->second.ttl_from;
      }
      rows[put.key()] = std::move(row);
      continue;
    }
    const DeleteOperation& deletion = operation.delete_();
    std::vector<std::string> keys;
    uint64_t bytes = 0;
    for (auto row = rows.lower_bound(deletion.start_key()); row != rows.end(); ++row) {
      if (!deletion.end_key().empty() && row->first >= deletion.end_key()) {
        break;
      }
      if (deletion.limit() > 0 && keys.size() == deletion.limit()) {
        result->set_more(true);
        break;
      }
      keys.push_back(row->first);
      bytes += row->first.size() + row->second.record.value.size();
      const bool too_many =
          !IsOneKey(deletion) && deletion.keys_max() > 0 && keys.size() > deletion.keys_max();
      const bool too_large = deletion.return_previous() && deletion.previous_bytes_max() > 0 &&
                             bytes > deletion.previous_bytes_max();
      if (too_many || too_large) {
        outcome->set_exceeding(too_many ? keys.size() : bytes);
        outcome->set_exceeding_bytes(!too_many);
        return std::nullopt;
      }
      if (deletion.return_previous()) {
        FillPrevious(row->first, row->second.record, result->add_previous());
      }
    }
    result->set_deleted(keys.size());
    for (const std::string& key : keys) {
      rows.erase(key);
    }
  }
  return rows;
}

void ModelStore::ApplyExpire(const log::v1::Expire& expire, const EntryFacts& entry) {
  Rows rows = rows_;
  std::set<std::pair<raft::ClusterMillis, std::string>> due;
  for (const auto& [key, row] : rows) {
    const raft::ClusterMillis deadline = row.record.header.deadline;
    const std::pair place(deadline, key);
    if (deadline.value() != 0 && deadline <= entry.stamp &&
        place >= std::pair(raft::ClusterMillis(expire.start_deadline_ms()), expire.start_key())) {
      due.insert(place);
    } else if (key == expire.start_key()) {
      expiries_.push_back({.key = key});
    }
  }
  uint64_t removed = 0;
  for (const auto& [deadline, key] : due) {
    if (removed++ == expire.keys_max()) {
      break;
    }
    const Row& row = rows.at(key);
    expiries_.push_back(
        {.key = key, .removed = true, .ttl_ms = row.ttl_ms, .proposed_at = row.ttl_from});
    rows.erase(key);
  }
  revision_ += rows.size() < rows_.size() ? 1 : 0;
  Become(std::move(rows), entry.index);
}

void ModelStore::Become(Rows rows, LogIndex index) {
  const auto note = [&](const std::string& key, const KvRecord* before, const KvRecord* after) {
    rows_hash_ ^= before == nullptr ? 0 : RowHash(key, *before);
    rows_hash_ ^= after == nullptr ? 0 : RowHash(key, *after);
    const auto product_hash = [&](const KvRecord* record) {
      return record == nullptr ? 0 : kv::RowHash(key, record->header, record->value);
    };
    product_rows_hash_ += product_hash(after) - product_hash(before);
    std::vector<Version>& versions = history_[key];
    if (versions.empty() || versions.back().index != index) {
      versions.push_back({.index = index, .record = std::nullopt});
    }
    versions.back().record = after == nullptr ? std::nullopt : std::optional(*after);
  };
  for (const auto& [key, row] : rows_) {
    if (!rows.contains(key)) {
      note(key, &row.record, nullptr);
    }
  }
  for (const auto& [key, row] : rows) {
    const auto old = rows_.find(key);
    if (old == rows_.end()) {
      note(key, nullptr, &row.record);
    } else if (old->second.record.header != row.record.header) {
      note(key, &old->second.record, &row.record);
    }
  }
  rows_ = std::move(rows);
}

std::optional<KvRecord> ModelStore::Get(absl::string_view key, LogIndex index) const {
  const auto versions = history_.find(key);
  if (versions == history_.end()) {
    return std::nullopt;
  }
  const auto after = std::upper_bound(
      versions->second.begin(), versions->second.end(), index,
      [](LogIndex bound, const Version& version) { return bound < version.index; });
  return after == versions->second.begin() ? std::nullopt : std::prev(after)->record;
}

std::vector<std::pair<std::string, KvRecord>> ModelStore::List(absl::string_view start,
                                                               absl::string_view end,
                                                               LogIndex index) const {
  std::vector<std::pair<std::string, KvRecord>> rows;
  for (auto key = history_.lower_bound(start); key != history_.end(); ++key) {
    if (!end.empty() && key->first >= end) {
      break;
    }
    if (std::optional<KvRecord> record = Get(key->first, index); record.has_value()) {
      rows.emplace_back(key->first, *std::move(record));
    }
  }
  return rows;
}

}  // namespace raftkv::simulation
