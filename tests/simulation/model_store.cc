#include "tests/simulation/model_store.h"

#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "kv/remembered_requests.h"
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
  previous->set_lease_id(record.header.lease_id);
}

// Less, equal or greater: -1, 0, 1.
template <typename Value>
bool Passes(log::v1::Comparison comparison, const Value& actual, const Value& wanted) {
  const int order = actual < wanted ? -1 : (wanted < actual ? 1 : 0);
  switch (comparison) {
    case log::v1::COMPARISON_GREATER:
      return order > 0;
    case log::v1::COMPARISON_LESS:
      return order < 0;
    case log::v1::COMPARISON_NOT_EQUAL:
      return order != 0;
    default:
      return order == 0;
  }
}

bool Holds(const Guard& guard, const KvRecord* record) {
  const kv::RecordHeader header = record == nullptr ? kv::RecordHeader() : record->header;
  switch (guard.condition_case()) {
    case Guard::kExists:
      return Passes(guard.comparison(), record != nullptr, guard.exists());
    case Guard::kModRevision:
      return Passes(guard.comparison(), header.mod_revision, guard.mod_revision());
    case Guard::kVersion:
      return Passes(guard.comparison(), header.version, guard.version());
    case Guard::kLeaseId:
      return Passes(guard.comparison(), header.lease_id, guard.lease_id());
    case Guard::kCreateRevision:
      return Passes(guard.comparison(), header.create_revision, guard.create_revision());
    case Guard::kValue:
      return record != nullptr && Passes(guard.comparison(), record->value, guard.value());
    case Guard::CONDITION_NOT_SET:
      break;
  }
  LOG(FATAL) << "nobody sends this";
}

bool IsInside(const std::string& key, const std::string& start, const std::string& end) {
  return key >= start && (end.empty() || key < end);
}

bool IsOneKey(const DeleteOperation& operation) {
  return operation.end_key() == operation.start_key() + std::string(1, '\0');
}

}  // namespace

void ModelStore::OnEntry(const EntryFacts& entry) {
  if (entry.term != term_) {
    term_ = entry.term;
    term_began_ = entry.stamp;
  }
}

CommandOutcome ModelStore::Apply(const Command& command, const EntryFacts& entry) {
  switch (command.kind_case()) {
    case Command::kTxn:
      return command.has_request() ? ApplyRequest(command, entry) : ApplyTxn(command.txn(), entry);
    case Command::kGrantLease:
      return command.has_request() ? ApplyRequest(command, entry)
                                   : ApplyGrant(command.grant_lease(), entry);
    case Command::kRenewLease:
      return ApplyRenewal(command.renew_lease(), entry);
    case Command::kRevokeLease:
      return ApplyRevocation(command.revoke_lease().id(), entry);
    case Command::kExpireLease:
      ApplyLeaseExpiry(command.expire_lease().id(), entry);
      break;
    case Command::kCompactHistory:
      // It changes what can be told of the past, of which the model forgets nothing.
      break;
    default:
      CHECK(command.has_expire());
      ApplyExpire(command.expire(), entry);
  }
  CommandOutcome outcome;
  outcome.set_verdict(CommandOutcome::VERDICT_APPLIED);
  outcome.set_revision(revision_);
  return outcome;
}

kv::RequestTotals ModelStore::requests() const {
  kv::RequestTotals totals{.first = next_request_ - remembered_.size(), .next = next_request_};
  for (const Remembered& each : remembered_) {
    totals.bytes += each.id.size() + each.request.outcome.size();
    totals.rows_hash += kv::RequestHash(each.id, each.request);
  }
  return totals;
}

CommandOutcome ModelStore::ApplyRequest(const Command& command, const EntryFacts& entry) {
  const log::v1::RequestMark& mark = command.request();
  CommandOutcome outcome;
  for (const Remembered& each : remembered_) {
    if (each.id != mark.id()) {
      continue;
    }
    if (each.request.content_hash == mark.content_hash()) {
      CHECK(outcome.ParseFromString(each.request.outcome));
      outcome.set_replayed(true);
    } else {
      outcome.set_verdict(CommandOutcome::VERDICT_REQUEST_ID_REUSED);
      outcome.set_revision(revision_);
    }
    return outcome;
  }
  for (uint64_t i = 0; i < kv::kRequestsDroppedAtOnce && !remembered_.empty() &&
                       remembered_.front().request.keep_until <= entry.stamp;
       ++i) {
    remembered_.pop_front();
    ++forgotten_;
  }
  const kv::RequestTotals totals = requests();
  if (remembered_.size() >= mark.ids_max() || totals.bytes >= mark.bytes_max()) {
    outcome.set_verdict(CommandOutcome::VERDICT_REQUESTS_FULL);
    outcome.set_exceeding(remembered_.size());
    outcome.set_revision(revision_);
    return outcome;
  }
  outcome = command.has_grant_lease() ? ApplyGrant(command.grant_lease(), entry)
                                      : ApplyTxn(command.txn(), entry);
  remembered_.push_back({.id = mark.id(),
                         .request = {.number = next_request_++,
                                     .keep_until = entry.stamp + mark.keep_ms(),
                                     .content_hash = mark.content_hash(),
                                     .outcome = outcome.SerializeAsString()}});
  return outcome;
}

bool ModelStore::GuardHolds(const Guard& guard) const {
  if (!guard.is_range()) {
    const auto row = rows_.find(guard.key());
    return Holds(guard, row == rows_.end() ? nullptr : &row->second.record);
  }
  bool any = false;
  bool all = true;
  for (const auto& [key, row] : rows_) {
    if (IsInside(key, guard.key(), guard.end_key())) {
      any = true;
      all = all && Holds(guard, &row.record);
    }
  }
  return any ? all : Holds(guard, nullptr);
}

bool ModelStore::GuardsHold(const Txn& txn) const {
  return std::all_of(txn.guards().begin(), txn.guards().end(),
                     [this](const Guard& guard) { return GuardHolds(guard); });
}

CommandOutcome ModelStore::ApplyTxn(const Txn& txn, const EntryFacts& entry) {
  CommandOutcome outcome;
  const bool holds = GuardsHold(txn);
  if (!holds && !txn.has_else()) {
    // The first that does not hold is about one key.
    const auto guard = std::find_if(txn.guards().begin(), txn.guards().end(),
                                    [this](const Guard& each) { return !GuardHolds(each); });
    const auto row = rows_.find(guard->key());
    outcome.set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
    outcome.set_current_mod_revision(row == rows_.end() ? 0
                                                        : row->second.record.header.mod_revision);
    outcome.set_revision(revision_);
    return outcome;
  }
  Attempt attempt{.entry = entry, .rows = rows_, .failure = {}};
  if (!RunBranch(txn, holds, &attempt, outcome.mutable_operations())) {
    if (!txn.has_else()) {
      attempt.failure.clear_failed_at();
    }
    attempt.failure.set_revision(revision_);
    return attempt.failure;
  }
  Become(std::move(attempt.rows), entry.index, revision_ + 1, kv::HistoryEventType::kDelete);
  revision_ += attempt.changes ? 1 : 0;
  outcome.set_verdict(CommandOutcome::VERDICT_APPLIED);
  outcome.set_succeeded(holds);
  outcome.set_revision(revision_);
  return outcome;
}

bool ModelStore::RunBranch(const Txn& txn, bool holds, Attempt* attempt, Outcomes* outcomes) const {
  const auto& operations = holds ? txn.operations() : txn.else_operations();
  for (int i = 0; i < operations.size(); ++i) {
    if (!Run(operations[i], attempt, outcomes->Add())) {
      const std::string within = attempt->failure.failed_at();
      attempt->failure.set_failed_at(absl::StrCat(holds ? "then_ops[" : "else_ops[", i, "]",
                                                  within.empty() ? "" : ".txn.", within));
      return false;
    }
  }
  return true;
}

bool ModelStore::Run(const Operation& operation, Attempt* attempt, OperationOutcome* result) const {
  switch (operation.kind_case()) {
    case Operation::kPut:
      return RunPut(operation.put(), attempt, result);
    case Operation::kDelete:
      return RunDelete(operation.delete_(), attempt, result);
    case Operation::kGet:
      if (const auto row = attempt->rows.find(operation.get().key()); row != attempt->rows.end()) {
        FillPrevious(row->first, row->second.record, result->add_found());
      }
      return true;
    case Operation::kList:
      RunList(operation.list(), *attempt, result);
      return true;
    case Operation::kTouch:
      return RunTouch(operation.touch(), attempt, result);
    case Operation::kIncrement:
      return RunIncrement(operation.increment(), attempt, result);
    case Operation::kTxn: {
      const bool holds = GuardsHold(operation.txn());
      result->set_succeeded(holds);
      return RunBranch(operation.txn(), holds, attempt, result->mutable_operations());
    }
    case Operation::KIND_NOT_SET:
      break;
  }
  LOG(FATAL) << "nobody sends this";
}

bool ModelStore::RunPut(const PutOperation& put, Attempt* attempt, OperationOutcome* result) const {
  const auto old = attempt->rows.find(put.key());
  Row row;
  row.record.value = put.value();
  kv::RecordHeader& header = row.record.header;
  header = {.create_revision = revision_ + 1,
            .mod_revision = revision_ + 1,
            .version = 1,
            .deadline = raft::ClusterMillis(0)};
  if (old != attempt->rows.end()) {
    header.create_revision = old->second.record.header.create_revision;
    header.version = old->second.record.header.version + 1;
    if (put.return_previous()) {
      FillPrevious(old->first, old->second.record, result->add_previous());
    }
  }
  if (put.has_ttl_ms()) {
    header.deadline = attempt->entry.stamp + put.ttl_ms() + 1;
    row.ttl_ms = put.ttl_ms();
    row.ttl_from = attempt->entry.proposed_at;
  } else if (put.has_lease_id()) {
    if (!Hang(put.key(), put.lease_id(), attempt)) {
      return false;
    }
    header.lease_id = put.lease_id();
  } else if (put.keep_ttl() && old != attempt->rows.end()) {
    header.deadline = old->second.record.header.deadline;
    header.lease_id = old->second.record.header.lease_id;
    row.ttl_ms = old->second.ttl_ms;
    row.ttl_from = old->second.ttl_from;
  }
  attempt->rows[put.key()] = std::move(row);
  attempt->changes = true;
  return true;
}

bool ModelStore::Hang(const std::string& key, int64_t id, Attempt* attempt) const {
  const auto lease = leases_.find(id);
  uint64_t others = 0;
  for (const auto& [other, row] : attempt->rows) {
    if (row.record.header.lease_id == id) {
      if (other == key) {
        return true;
      }
      ++others;
    }
  }
  if (lease != leases_.end() && others < lease->second.lease.keys_max) {
    return true;
  }
  attempt->failure.set_verdict(lease == leases_.end() ? CommandOutcome::VERDICT_LEASE_NOT_FOUND
                                                      : CommandOutcome::VERDICT_LEASE_KEYS_FULL);
  attempt->failure.set_failed_key(key);
  attempt->failure.set_lease_id(id);
  attempt->failure.set_exceeding(others);
  return false;
}

kv::LeaseTotals ModelStore::leases() const {
  std::map<int64_t, uint64_t> keys;
  for (const auto& [key, row] : rows_) {
    ++keys[row.record.header.lease_id];
  }
  kv::LeaseTotals totals{.count = leases_.size(), .rows_hash = 0, .term_began = term_began_};
  for (const auto& [id, each] : leases_) {
    kv::Lease lease = each.lease;
    lease.keys = keys[id];
    totals.rows_hash += kv::LeaseHash(lease);
  }
  return totals;
}

CommandOutcome ModelStore::LeaseOutcome(CommandOutcome::Verdict verdict, int64_t id) const {
  CommandOutcome outcome;
  outcome.set_verdict(verdict);
  outcome.set_revision(revision_);
  outcome.set_lease_id(id);
  if (const auto lease = leases_.find(id);
      lease != leases_.end() && verdict == CommandOutcome::VERDICT_APPLIED) {
    outcome.set_lease_ttl_ms(lease->second.lease.ttl_ms);
    outcome.set_lease_lasts_ms(lease->second.lease.lasts_ms);
  }
  return outcome;
}

CommandOutcome ModelStore::ApplyGrant(const log::v1::GrantLease& grant, const EntryFacts& entry) {
  if (leases_.contains(grant.id())) {
    return LeaseOutcome(CommandOutcome::VERDICT_LEASE_EXISTS, grant.id());
  }
  if (leases_.size() >= grant.leases_max()) {
    CommandOutcome outcome = LeaseOutcome(CommandOutcome::VERDICT_LEASES_FULL, grant.id());
    outcome.set_exceeding(leases_.size());
    return outcome;
  }
  int64_t id = grant.id();
  for (uint64_t number = 0; id == 0 || (grant.id() == 0 && leases_.contains(id)); ++number) {
    id = static_cast<int64_t>(kv::LeaseIdHash(entry.stamp, revision_, leases().rows_hash, number) %
                              (uint64_t{1} << 53));
  }
  leases_[id] = {.lease = {.id = id,
                           .ttl_ms = grant.ttl_ms(),
                           .lasts_ms = grant.ttl_ms(),
                           .renewed = entry.stamp,
                           .keys = 0,
                           .keys_max = grant.keys_max()},
                 .renewed_at = entry.proposed_at};
  return LeaseOutcome(CommandOutcome::VERDICT_APPLIED, id);
}

CommandOutcome ModelStore::ApplyRenewal(const log::v1::RenewLease& renewal,
                                        const EntryFacts& entry) {
  const auto found = leases_.find(renewal.id());
  if (found == leases_.end()) {
    return LeaseOutcome(CommandOutcome::VERDICT_LEASE_NOT_FOUND, renewal.id());
  }
  kv::Lease& lease = found->second.lease;
  outlived_ += lease.renewed < term_began_ && lease.renewed + lease.lasts_ms < entry.stamp ? 1 : 0;
  lease.renewed = entry.stamp;
  lease.lasts_ms = renewal.ttl_ms() == 0 ? lease.ttl_ms : renewal.ttl_ms();
  found->second.renewed_at = entry.proposed_at;
  return LeaseOutcome(CommandOutcome::VERDICT_APPLIED, renewal.id());
}

uint64_t ModelStore::EndLease(int64_t id, const EntryFacts& entry, kv::HistoryEventType removal) {
  Rows rows = rows_;
  const size_t removed = std::erase_if(
      rows, [id](const auto& row) { return row.second.record.header.lease_id == id; });
  revision_ += removed > 0 ? 1 : 0;
  Become(std::move(rows), entry.index, revision_, removal);
  leases_.erase(id);
  return removed;
}

CommandOutcome ModelStore::ApplyRevocation(int64_t id, const EntryFacts& entry) {
  if (!leases_.contains(id)) {
    return LeaseOutcome(CommandOutcome::VERDICT_LEASE_NOT_FOUND, id);
  }
  CommandOutcome outcome = LeaseOutcome(CommandOutcome::VERDICT_APPLIED, id);
  outcome.set_lease_keys(EndLease(id, entry, kv::HistoryEventType::kDelete));
  outcome.set_revision(revision_);
  return outcome;
}

void ModelStore::ApplyLeaseExpiry(int64_t id, const EntryFacts& entry) {
  const auto found = leases_.find(id);
  if (found == leases_.end()) {
    return;
  }
  const ModelLease each = found->second;
  LeaseExpiry expiry{.id = id,
                     .removed = false,
                     .keys = 0,
                     .lasts_ms = each.lease.lasts_ms,
                     .renewed_at = each.renewed_at};
  if (entry.stamp > std::max(each.lease.renewed, term_began_) + each.lease.lasts_ms) {
    expiry.removed = true;
    expiry.keys = EndLease(id, entry, kv::HistoryEventType::kExpire);
  }
  lease_expiries_.push_back(expiry);
}

bool ModelStore::RunDelete(const DeleteOperation& deletion, Attempt* attempt,
                           OperationOutcome* result) const {
  std::vector<std::string> keys;
  for (const auto& [key, row] : attempt->rows) {
    if (!IsInside(key, deletion.start_key(), deletion.end_key())) {
      continue;
    }
    if (deletion.limit() > 0 && keys.size() == deletion.limit()) {
      result->set_more(true);
      break;
    }
    keys.push_back(key);
    if (!IsOneKey(deletion) && deletion.keys_max() > 0 && keys.size() > deletion.keys_max()) {
      attempt->failure.set_verdict(CommandOutcome::VERDICT_RANGE_TOO_LARGE);
      attempt->failure.set_exceeding(keys.size());
      attempt->failure.set_limit(deletion.keys_max());
      return false;
    }
    if (deletion.return_previous()) {
      FillPrevious(key, row.record, result->add_previous());
    }
  }
  result->set_deleted(keys.size());
  for (const std::string& key : keys) {
    attempt->rows.erase(key);
  }
  attempt->changes = attempt->changes || !keys.empty();
  return true;
}

void ModelStore::RunList(const log::v1::ListOperation& list, const Attempt& attempt,
                         OperationOutcome* result) {
  std::vector<std::pair<std::string, KvRecord>> rows;
  for (const auto& [key, row] : attempt.rows) {
    if (IsInside(key, list.start_key(), list.end_key())) {
      rows.emplace_back(key, row.record);
    }
  }
  result->set_count(rows.size());
  if (list.count_only()) {
    return;
  }
  if (list.descending()) {
    std::reverse(rows.begin(), rows.end());
  }
  result->set_more(rows.size() > list.keys_max());
  rows.resize(std::min<size_t>(rows.size(), list.keys_max()));
  result->set_count(rows.size());
  for (auto& [key, record] : rows) {
    if (list.keys_only()) {
      record.value.clear();
    }
    FillPrevious(key, record, result->add_found());
  }
}

bool ModelStore::RunTouch(const log::v1::TouchOperation& touch, Attempt* attempt,
                          OperationOutcome* result) const {
  const auto row = attempt->rows.find(touch.key());
  result->set_touched(row != attempt->rows.end());
  if (row == attempt->rows.end()) {
    return true;
  }
  if (touch.has_lease_id() && !Hang(touch.key(), touch.lease_id(), attempt)) {
    return false;
  }
  row->second.record.header.lease_id = touch.lease_id();
  row->second.record.header.deadline =
      touch.has_ttl_ms() ? attempt->entry.stamp + touch.ttl_ms() + 1 : raft::ClusterMillis(0);
  row->second.ttl_ms = touch.ttl_ms();
  row->second.ttl_from = attempt->entry.proposed_at;
  return true;
}

bool ModelStore::RunIncrement(const log::v1::IncrementOperation& increment, Attempt* attempt,
                              OperationOutcome* result) const {
  const auto old = attempt->rows.find(increment.key());
  const auto fail = [&](CommandOutcome::Verdict verdict) {
    attempt->failure.set_verdict(verdict);
    attempt->failure.set_failed_key(increment.key());
    return false;
  };
  __int128 number = increment.initial();
  if (old != attempt->rows.end()) {
    const std::string& text = old->second.record.value;
    int64_t parsed = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (end.ec != std::errc() || std::to_string(parsed) != text) {
      return fail(CommandOutcome::VERDICT_NOT_AN_INTEGER);
    }
    number = parsed;
  }
  number += increment.delta();
  if (number > std::numeric_limits<int64_t>::max() ||
      number < std::numeric_limits<int64_t>::min()) {
    return fail(CommandOutcome::VERDICT_INTEGER_OVERFLOW);
  }
  PutOperation put;
  put.set_key(increment.key());
  put.set_value(std::to_string(static_cast<int64_t>(number)));
  if (increment.has_ttl_ms()) {
    put.set_ttl_ms(increment.ttl_ms());
  } else if (increment.has_lease_id()) {
    put.set_lease_id(increment.lease_id());
  } else if (!increment.has_persist()) {
    put.set_keep_ttl(true);
  }
  result->set_value(static_cast<int64_t>(number));
  return RunPut(put, attempt, result);
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
  Become(std::move(rows), entry.index, revision_, kv::HistoryEventType::kExpire);
}

void ModelStore::NoteEvent(const std::string& key, const KvRecord* before, const KvRecord* after,
                           int64_t revision, kv::HistoryEventType removal) {
  if (after != nullptr && after->header.mod_revision != revision) {
    return;  // A touch is no event.
  }
  ModelEvent& noted = events_[{revision, key}];
  noted.event.type = after == nullptr ? removal : kv::HistoryEventType::kPut;
  noted.event.revision = revision;
  noted.event.key = key;
  if (after != nullptr) {
    noted.event.record = *after;
  }
  if (before != nullptr) {
    noted.event.previous_mod_revision = before->header.mod_revision;
    noted.before = *before;
  }
}

void ModelStore::Become(Rows rows, LogIndex index, int64_t revision, kv::HistoryEventType removal) {
  const auto note = [&](const std::string& key, const KvRecord* before, const KvRecord* after) {
    NoteEvent(key, before, after, revision, removal);
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
