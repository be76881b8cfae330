#include "kv/command_semantics.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "google/protobuf/message.h"
#include "kv/state_hash.h"

namespace raftkv::kv {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::DeleteOperation;
using log::v1::Expire;
using log::v1::Guard;
using log::v1::Operation;
using log::v1::OperationOutcome;
using log::v1::PutOperation;
using log::v1::StoredKeyValue;
using log::v1::Txn;

enum class Step { kDone, kStalled, kRangeTooLarge };

// One transaction while it runs.
struct TxnContext {
  raft::ClusterMillis stamp;
  KvTable* table;
  StoreTotals totals;  // As the transaction leaves them, but for the revision.
  int64_t revision;    // At which its writes happen.
  bool changed = false;
  CommandOutcome* outcome;  // Null when nobody reads it.
};

// What a previous record counts against previous_bytes_max.
uint64_t PreviousBytes(absl::string_view key, absl::string_view value) {
  return key.size() + value.size() + kPreviousOverheadBytes;
}

bool IsSingleKey(const DeleteOperation& operation) {
  const std::string& start = operation.start_key();
  const std::string& end = operation.end_key();
  return end.size() == start.size() + 1 && end.back() == '\0' &&
         end.compare(0, start.size(), start) == 0;
}

// The first moment at which ttl_ms have certainly passed: the stamp is rounded down, hence one
// more.
raft::ClusterMillis ExpiryAfter(raft::ClusterMillis stamp, uint64_t ttl_ms) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  if (ttl_ms >= kLast - stamp.value()) {
    return raft::ClusterMillis(kLast);
  }
  return stamp + (ttl_ms + 1);
}

void FillPrevious(absl::string_view key, const RecordHeader& header, absl::string_view value,
                  StoredKeyValue* previous) {
  previous->set_key(key.data(), key.size());
  previous->set_value(value.data(), value.size());
  previous->set_create_revision(header.create_revision);
  previous->set_mod_revision(header.mod_revision);
  previous->set_version(header.version);
  previous->set_deadline_ms(header.deadline.value());
}

// `record` is null for an absent key, whose revision and version are 0 and which equals no value.
bool Holds(const Guard& guard, const KvRecord* record) {
  switch (guard.condition_case()) {
    case Guard::kExists:
      return guard.exists() == (record != nullptr);
    case Guard::kModRevision:
      return guard.mod_revision() == (record == nullptr ? 0 : record->header.mod_revision);
    case Guard::kVersion:
      return guard.version() == (record == nullptr ? 0 : record->header.version);
    case Guard::kValue:
      return record != nullptr && record->value == guard.value();
    case Guard::CONDITION_NOT_SET:
      break;
  }
  CHECK(false) << "a guard without a condition passed CheckCommand";
  return false;
}

Step ApplyPut(PutOperation* put, TxnContext* context) {
  const bool wants_previous = put->return_previous() && context->outcome != nullptr;
  const std::optional<const KvRecord*> found = context->table->Find(put->key(), wants_previous);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* old = *found;
  if (context->outcome != nullptr) {
    OperationOutcome* result = context->outcome->add_operations();
    if (wants_previous && old != nullptr) {
      FillPrevious(put->key(), old->header, old->value, result->add_previous());
    }
  }

  KvRecord record;
  record.header.create_revision = old == nullptr ? context->revision : old->header.create_revision;
  record.header.mod_revision = context->revision;
  record.header.version = old == nullptr ? 1 : old->header.version + 1;
  if (put->has_ttl_ms()) {
    record.header.deadline = ExpiryAfter(context->stamp, put->ttl_ms());
  } else if (put->has_keep_ttl() && put->keep_ttl() && old != nullptr) {
    record.header.deadline = old->header.deadline;
  }
  record.value = std::move(*put->mutable_value());
  record.header.row_hash = RowHash(put->key(), record.header, record.value);

  context->totals.key_count += old == nullptr ? 1 : 0;
  context->totals.rows_hash += record.header.row_hash - (old == nullptr ? 0 : old->header.row_hash);
  context->changed = true;
  context->table->Put(put->key(), std::move(record));
  return Step::kDone;
}

Step ApplySingleDelete(const DeleteOperation& operation, TxnContext* context) {
  // One key never exceeds keys_max, which is at least 1 when it is set.
  const std::string& key = operation.start_key();
  const bool with_value = operation.return_previous();
  const std::optional<const KvRecord*> found = context->table->Find(key, with_value);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* old = *found;
  const uint64_t bytes_max = operation.previous_bytes_max();
  const uint64_t bytes = with_value && old != nullptr ? PreviousBytes(key, old->value) : 0;
  if (bytes_max > 0 && bytes > bytes_max) {
    if (context->outcome != nullptr) {
      context->outcome->set_exceeding(bytes);
      context->outcome->set_exceeding_bytes(true);
    }
    return Step::kRangeTooLarge;
  }
  if (context->outcome != nullptr) {
    OperationOutcome* result = context->outcome->add_operations();
    result->set_deleted(old == nullptr ? 0 : 1);
    if (with_value && old != nullptr) {
      FillPrevious(key, old->header, old->value, result->add_previous());
    }
  }
  if (old != nullptr) {
    context->totals.key_count -= 1;
    context->totals.rows_hash -= old->header.row_hash;
    context->changed = true;
    context->table->Delete(key);
  }
  return Step::kDone;
}

Step ApplyRangeDelete(const DeleteOperation& operation, TxnContext* context) {
  const uint64_t limit = operation.limit();
  const uint64_t keys_max = operation.keys_max();
  const uint64_t bytes_max = operation.previous_bytes_max();
  const bool with_values = operation.return_previous();

  OperationOutcome result;
  std::vector<std::string> keys;
  uint64_t rows_hash = 0;
  uint64_t bytes = 0;
  uint64_t exceeding = 0;
  bool exceeding_bytes = false;
  const bool scanned = context->table->Scan(
      operation.start_key(), operation.end_key(), with_values,
      [&](absl::string_view key, const RecordHeader& header, absl::string_view value) {
        if (limit > 0 && keys.size() == limit) {
          result.set_more(true);
          return false;
        }
        keys.emplace_back(key);
        rows_hash += header.row_hash;
        if (keys_max > 0 && keys.size() > keys_max) {
          exceeding = keys.size();
          return false;
        }
        if (!with_values) {
          return true;
        }
        bytes += PreviousBytes(key, value);
        if (bytes_max > 0 && bytes > bytes_max) {
          exceeding = bytes;
          exceeding_bytes = true;
          return false;
        }
        if (context->outcome != nullptr) {
          FillPrevious(key, header, value, result.add_previous());
        }
        return true;
      });
  if (!scanned) {
    return Step::kStalled;
  }
  if (exceeding > 0) {
    if (context->outcome != nullptr) {
      context->outcome->set_exceeding(exceeding);
      context->outcome->set_exceeding_bytes(exceeding_bytes);
    }
    return Step::kRangeTooLarge;
  }

  for (const std::string& key : keys) {
    context->table->Delete(key);
  }
  context->totals.key_count -= static_cast<int64_t>(keys.size());
  context->totals.rows_hash -= rows_hash;
  context->changed = context->changed || !keys.empty();
  if (context->outcome != nullptr) {
    result.set_deleted(keys.size());
    *context->outcome->add_operations() = std::move(result);
  }
  return Step::kDone;
}

Step ApplyOperation(Operation* operation, TxnContext* context) {
  switch (operation->kind_case()) {
    case Operation::kPut:
      return ApplyPut(operation->mutable_put(), context);
    case Operation::kDelete:
      return IsSingleKey(operation->delete_()) ? ApplySingleDelete(operation->delete_(), context)
                                               : ApplyRangeDelete(operation->delete_(), context);
    case Operation::KIND_NOT_SET:
      break;
  }
  CHECK(false) << "an operation without a kind passed CheckCommand";
  return Step::kDone;
}

bool ApplyTxn(Txn* txn, raft::ClusterMillis stamp, KvTable* table, StoreTotals* totals,
              CommandOutcome* outcome) {
  for (const Guard& guard : txn->guards()) {
    const std::optional<const KvRecord*> found = table->Find(guard.key(), guard.has_value());
    if (!found.has_value()) {
      return false;
    }
    if (!Holds(guard, *found)) {
      if (outcome != nullptr) {
        outcome->set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
        outcome->set_revision(totals->revision);
        outcome->set_current_mod_revision(*found == nullptr ? 0 : (*found)->header.mod_revision);
      }
      return true;
    }
  }

  TxnContext context{.stamp = stamp,
                     .table = table,
                     .totals = *totals,
                     .revision = totals->revision + 1,
                     .outcome = outcome};
  const KvTable::Mark mark = table->SetMark();
  for (Operation& operation : *txn->mutable_operations()) {
    switch (ApplyOperation(&operation, &context)) {
      case Step::kDone:
        break;
      case Step::kStalled:
        return false;
      case Step::kRangeTooLarge:
        table->RollBack(mark);
        if (outcome != nullptr) {
          outcome->clear_operations();
          outcome->set_verdict(CommandOutcome::VERDICT_RANGE_TOO_LARGE);
          outcome->set_revision(totals->revision);
        }
        return true;
    }
  }
  if (context.changed) {
    context.totals.revision = context.revision;
  }
  *totals = context.totals;
  if (outcome != nullptr) {
    outcome->set_verdict(CommandOutcome::VERDICT_APPLIED);
    outcome->set_revision(totals->revision);
  }
  return true;
}

// The leader said where it found keys due when it looked; what counts is the deadlines that are
// there now and the stamp that every member sees: a stale Expire must not remove a key that was
// written again.
bool ApplyExpire(const Expire& expire, raft::ClusterMillis stamp, KvTable* table,
                 StoreTotals* totals) {
  const std::optional<KvTable::Deleted> removed = table->DeleteDue(
      {.deadline = raft::ClusterMillis(expire.start_deadline_ms()), .key = expire.start_key()},
      stamp, expire.keys_max());
  if (!removed.has_value()) {
    return false;
  }
  totals->key_count -= static_cast<int64_t>(removed->keys);
  totals->rows_hash -= removed->rows_hash;
  totals->revision += removed->keys > 0 ? 1 : 0;
  return true;
}

// Of this message alone; those inside it are looked at where they are.
bool KnowsFields(const google::protobuf::Message& message) {
  return message.GetReflection()->GetUnknownFields(message).empty();
}

absl::Status CheckGuard(const Guard& guard) {
  if (!KnowsFields(guard) || guard.condition_case() == Guard::CONDITION_NOT_SET) {
    return absl::UnimplementedError("a guard that this version does not know");
  }
  return absl::OkStatus();
}

absl::Status CheckOperation(const Operation& operation) {
  bool known = KnowsFields(operation);
  switch (operation.kind_case()) {
    case Operation::kPut:
      known = known && KnowsFields(operation.put());
      break;
    case Operation::kDelete:
      known = known && KnowsFields(operation.delete_());
      break;
    case Operation::KIND_NOT_SET:
      known = false;
      break;
  }
  return known ? absl::OkStatus()
               : absl::UnimplementedError("an operation that this version does not know");
}

}  // namespace

absl::Status CheckCommand(const Command& command) {
  bool known = KnowsFields(command);
  switch (command.kind_case()) {
    case Command::kTxn:
      known = known && KnowsFields(command.txn());
      for (const Guard& guard : command.txn().guards()) {
        if (absl::Status status = CheckGuard(guard); !status.ok()) {
          return status;
        }
      }
      for (const Operation& operation : command.txn().operations()) {
        if (absl::Status status = CheckOperation(operation); !status.ok()) {
          return status;
        }
      }
      break;
    case Command::kExpire:
      known = known && KnowsFields(command.expire());
      break;
    case Command::kMemberRecord:
      known = known && KnowsFields(command.member_record());
      break;
    case Command::kRaiseClusterVersion:
      known = known && KnowsFields(command.raise_cluster_version());
      known = known && CheckClusterVersion(command.raise_cluster_version().version()).ok();
      break;
    case Command::KIND_NOT_SET:
      known = false;
      break;
  }
  return known ? absl::OkStatus()
               : absl::UnimplementedError("a kind of command that this version does not know");
}

absl::Status CheckClusterVersion(uint32_t version) {
  if (version <= OwnCommandVersion()) {
    return absl::OkStatus();
  }
  return absl::UnimplementedError(absl::StrCat(
      "this version of raftkv knows the commands of version ", OwnCommandVersion(),
      ", and the cluster uses those of version ", version,
      ": start the newer version of raftkv that the other members run, on the same directory"));
}

bool AddsData(const Command& command) {
  const auto& operations = command.txn().operations();
  return std::any_of(operations.begin(), operations.end(),
                     [](const Operation& operation) { return operation.has_put(); });
}

bool ApplyCommand(Command* command, raft::ClusterMillis stamp, KvTable* table, StoreTotals* totals,
                  CommandOutcome* outcome) {
  switch (command->kind_case()) {
    case Command::kTxn:
      return ApplyTxn(command->mutable_txn(), stamp, table, totals, outcome);
    case Command::kExpire:
      if (!ApplyExpire(command->expire(), stamp, table, totals)) {
        return false;
      }
      break;
    case Command::kMemberRecord:
      table->PutMemberRecord(command->member_record());
      break;
    case Command::kRaiseClusterVersion:
      totals->cluster_version =
          std::max(totals->cluster_version, command->raise_cluster_version().version());
      break;
    case Command::KIND_NOT_SET:
      CHECK(false) << "a command without a kind passed CheckCommand";
  }
  if (outcome != nullptr) {
    outcome->set_verdict(CommandOutcome::VERDICT_APPLIED);
    outcome->set_revision(totals->revision);
  }
  return true;
}

}  // namespace raftkv::kv
