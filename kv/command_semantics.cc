#include "kv/command_semantics.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "kv/lease_semantics.h"
#include "kv/operation_semantics.h"
#include "kv/remembered_requests.h"
#include "kv/txn_context.h"

namespace raftkv::kv {
namespace {

using google::protobuf::RepeatedPtrField;
using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::Comparison;
using log::v1::Expire;
using log::v1::Guard;
using log::v1::Operation;
using log::v1::OperationOutcome;
using log::v1::Txn;

template <typename Value>
bool Compares(const Value& actual, Comparison comparison, const Value& wanted) {
  switch (comparison) {
    case log::v1::COMPARISON_NOT_EQUAL:
      return actual != wanted;
    case log::v1::COMPARISON_GREATER:
      return actual > wanted;
    case log::v1::COMPARISON_LESS:
      return actual < wanted;
    default:
      return actual == wanted;
  }
}

// What a guard looks at. `header` is null for an absent key, whose numbers are 0 and whose value
// compares false with any.
bool Holds(const Guard& guard, const RecordHeader* header, absl::string_view value) {
  const auto number = [&](int64_t RecordHeader::*field, int64_t wanted) {
    return Compares(header == nullptr ? 0 : header->*field, guard.comparison(), wanted);
  };
  switch (guard.condition_case()) {
    case Guard::kExists:
      return Compares(header != nullptr, guard.comparison(), guard.exists());
    case Guard::kModRevision:
      return number(&RecordHeader::mod_revision, guard.mod_revision());
    case Guard::kVersion:
      return number(&RecordHeader::version, guard.version());
    case Guard::kCreateRevision:
      return number(&RecordHeader::create_revision, guard.create_revision());
    case Guard::kLeaseId:
      return number(&RecordHeader::lease_id, guard.lease_id());
    case Guard::kValue:
      return header != nullptr &&
             Compares(value, guard.comparison(), absl::string_view(guard.value()));
    case Guard::CONDITION_NOT_SET:
      break;
  }
  LOG(FATAL) << "a guard without a condition passed CheckCommand";
}

// `*holds` and, of the one key that a guard without a range is about, `*mod_revision`.
Step EvaluateGuard(const Guard& guard, TxnContext* context, bool* holds, int64_t* mod_revision) {
  if (!guard.is_range()) {
    const std::optional<const KvRecord*> found =
        context->table->Find(guard.key(), guard.has_value());
    if (!found.has_value()) {
      return Step::kStalled;
    }
    const KvRecord* const record = *found;
    *holds = record == nullptr ? Holds(guard, nullptr, {})
                               : Holds(guard, &record->header, record->value);
    *mod_revision = record == nullptr ? 0 : record->header.mod_revision;
    return Step::kDone;
  }
  bool empty = true;
  bool failed = false;
  *holds = true;
  const bool scanned = context->table->Scan(
      guard.key(), guard.end_key(), guard.has_value(),
      [&](absl::string_view, const RecordHeader& header, absl::string_view value) {
        empty = false;
        failed = !context->CountScanned();
        *holds = Holds(guard, &header, value);
        return *holds && !failed;
      });
  if (!scanned) {
    return Step::kStalled;
  }
  if (empty) {
    *holds = Holds(guard, nullptr, {});
  }
  return failed ? Step::kFailed : Step::kDone;
}

const char* BranchName(bool holds) { return holds ? "then_ops" : "else_ops"; }

// Which branch each transaction within takes, in the order in which they are done.
using Branches = absl::InlinedVector<bool, 16>;

// Looks at the guards of a transaction and of those within the branch that it takes, all of them
// before any operation is done: etcd's meaning, which a front-end could not have otherwise.
Step ChooseBranches(const Txn& txn, TxnContext* context, Branches* branches,
                    int64_t* mod_revision) {
  bool holds = true;
  for (int i = 0; holds && i < txn.guards_size(); ++i) {
    const Step step = EvaluateGuard(txn.guards(i), context, &holds, mod_revision);
    if (step == Step::kFailed) {
      context->failure.at = absl::StrCat("guards[", i, "]");
    }
    if (step != Step::kDone) {
      return step;
    }
  }
  branches->push_back(holds);
  const RepeatedPtrField<Operation>& taken = holds ? txn.operations() : txn.else_operations();
  for (int i = 0; i < taken.size(); ++i) {
    if (!taken[i].has_txn()) {
      continue;
    }
    const Step step = ChooseBranches(taken[i].txn(), context, branches, mod_revision);
    if (step == Step::kFailed) {
      context->failure.at = absl::StrCat(BranchName(holds), "[", i, "].txn.", context->failure.at);
    }
    if (step != Step::kDone) {
      return step;
    }
  }
  return Step::kDone;
}

// Does the branch that `*next` names, and those within it. `results` is null when nobody reads it.
Step RunBranch(Txn* txn, TxnContext* context, Branches::const_iterator* next,
               RepeatedPtrField<OperationOutcome>* results) {
  const bool holds = *(*next)++;
  auto* const taken = holds ? txn->mutable_operations() : txn->mutable_else_operations();
  for (int i = 0; i < taken->size(); ++i) {
    Operation* const operation = taken->Mutable(i);
    OperationOutcome* const result = results == nullptr ? nullptr : results->Add();
    Step step = Step::kDone;
    if (operation->has_txn()) {
      if (result != nullptr) {
        result->set_succeeded(**next);
      }
      step = RunBranch(operation->mutable_txn(), context, next,
                       result == nullptr ? nullptr : result->mutable_operations());
    } else {
      step = ApplyOperation(operation, context, result);
    }
    if (step == Step::kFailed) {
      const std::string within =
          context->failure.at.empty() ? "" : absl::StrCat(".txn.", context->failure.at);
      context->failure.at = absl::StrCat(BranchName(holds), "[", i, "]", within);
    }
    if (step != Step::kDone) {
      return step;
    }
  }
  return Step::kDone;
}

void FillFailure(const TxnFailure& failure, bool with_place, CommandOutcome* outcome) {
  outcome->set_verdict(failure.verdict);
  outcome->set_exceeding(failure.exceeding);
  outcome->set_exceeding_bytes(failure.exceeding_bytes);
  outcome->set_limit(failure.limit);
  outcome->set_failed_key(failure.key);
  outcome->set_lease_id(failure.lease_id);
  if (with_place) {
    outcome->set_failed_at(failure.at);
  }
}

// All of a transaction but its revision; false when the table stalled.
bool RunTxn(Txn* txn, TxnContext* context, CommandOutcome* outcome) {
  const KvTable::Mark mark = context->table->SetMark();
  Branches branches;
  int64_t mod_revision = 0;
  Step step = ChooseBranches(*txn, context, &branches, &mod_revision);
  const bool holds = step == Step::kDone && branches.front();
  if (step == Step::kDone && !holds && !txn->has_else()) {
    if (outcome != nullptr) {
      outcome->set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
      outcome->set_current_mod_revision(mod_revision);
    }
    return true;
  }
  if (step == Step::kDone) {
    Branches::const_iterator next = branches.begin();
    step = RunBranch(txn, context, &next,
                     outcome == nullptr ? nullptr : outcome->mutable_operations());
  }
  if (step == Step::kFailed) {
    context->table->RollBack(mark);
    if (outcome != nullptr) {
      outcome->clear_operations();
      FillFailure(context->failure, txn->has_else(), outcome);
    }
  } else if (step == Step::kDone && outcome != nullptr) {
    outcome->set_verdict(CommandOutcome::VERDICT_APPLIED);
    outcome->set_succeeded(holds);
  }
  return step != Step::kStalled;
}

bool ApplyTxn(Txn* txn, raft::ClusterMillis stamp, KvTable* table, StoreTotals* totals,
              CommandOutcome* outcome) {
  TxnContext context{.stamp = stamp,
                     .table = table,
                     .totals = *totals,
                     .revision = totals->revision + 1,
                     .answer_bytes_max = txn->answer_bytes_max(),
                     .scanned_keys_max = txn->scanned_keys_max()};
  if (!RunTxn(txn, &context, outcome)) {
    return false;
  }
  if (context.failure.verdict == CommandOutcome::VERDICT_UNSPECIFIED) {
    context.totals.revision += context.changed ? 1 : 0;
    *totals = context.totals;
  }
  if (outcome != nullptr) {
    outcome->set_revision(totals->revision);
  }
  return true;
}

// What may come under a request id: a transaction, or the grant of a lease.
bool ApplyOnce(Command* command, raft::ClusterMillis stamp, KvTable* table, StoreTotals* totals,
               CommandOutcome* outcome) {
  if (command->has_grant_lease()) {
    ApplyGrant(command->grant_lease(), stamp, table, totals, outcome);
    return true;
  }
  return ApplyTxn(command->mutable_txn(), stamp, table, totals, outcome);
}

// A command that happens once, however often it comes.
bool ApplyRequest(Command* command, raft::ClusterMillis stamp, KvTable* table, StoreTotals* totals,
                  CommandOutcome* outcome) {
  const log::v1::RequestMark& mark = command->request();
  CommandOutcome unread;
  if (outcome == nullptr) {
    outcome = &unread;
  }
  switch (BeginRequest(mark, stamp, table, &totals->requests, outcome)) {
    case RequestFate::kStalled:
      return false;
    case RequestFate::kAnswered:
      if (!outcome->replayed()) {
        outcome->set_revision(totals->revision);
      }
      return true;
    case RequestFate::kNew:
      break;
  }
  if (!ApplyOnce(command, stamp, table, totals, outcome)) {
    return false;
  }
  RememberRequest(mark, stamp, *outcome, table, &totals->requests);
  return true;
}

// The leader said where it found keys due when it looked; what counts is the deadlines that are
// there now and the stamp that every member sees: a stale Expire must not remove a key that was
// written again.
bool ApplyExpire(const Expire& expire, raft::ClusterMillis stamp, KvTable* table,
                 StoreTotals* totals) {
  const std::optional<KvTable::Deleted> removed = table->DeleteDue(
      {.deadline = raft::ClusterMillis(expire.start_deadline_ms()), .key = expire.start_key()},
      stamp, expire.keys_max(), /*due=*/nullptr);
  if (!removed.has_value()) {
    return false;
  }
  totals->key_count -= static_cast<int64_t>(removed->keys);
  totals->rows_hash -= removed->rows_hash;
  totals->revision += removed->keys > 0 ? 1 : 0;
  return true;
}

// A verdict for the outcome; nothing changes unless it is VERDICT_APPLIED.
CommandOutcome::Verdict ApplyCompaction(const log::v1::CompactHistory& compaction,
                                        StoreTotals* totals) {
  if (compaction.revision() > totals->revision) {
    return CommandOutcome::VERDICT_REVISION_FUTURE;
  }
  if (compaction.revision() <= totals->compacted) {
    return CommandOutcome::VERDICT_REVISION_COMPACTED;
  }
  totals->compacted = compaction.revision();
  return CommandOutcome::VERDICT_APPLIED;
}

}  // namespace

bool ApplyCommand(Command* command, raft::ClusterMillis stamp, KvTable* table, StoreTotals* totals,
                  CommandOutcome* outcome) {
  CommandOutcome::Verdict verdict = CommandOutcome::VERDICT_APPLIED;
  switch (command->kind_case()) {
    case Command::kTxn:
    case Command::kGrantLease:
      return command->has_request() ? ApplyRequest(command, stamp, table, totals, outcome)
                                    : ApplyOnce(command, stamp, table, totals, outcome);
    case Command::kRenewLease:
      ApplyRenewal(command->renew_lease(), stamp, table, totals, outcome);
      return true;
    case Command::kRevokeLease:
      return ApplyRevocation(command->revoke_lease(), table, totals, outcome);
    case Command::kExpireLease:
      if (!ApplyLeaseExpiry(command->expire_lease(), stamp, table, totals)) {
        return false;
      }
      break;
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
    case Command::kCompactHistory:
      verdict = ApplyCompaction(command->compact_history(), totals);
      break;
    case Command::KIND_NOT_SET:
      LOG(FATAL) << "a command without a kind passed CheckCommand";
  }
  if (outcome != nullptr) {
    outcome->set_verdict(verdict);
    outcome->set_revision(totals->revision);
    if (verdict != CommandOutcome::VERDICT_APPLIED) {
      outcome->set_compacted_revision(totals->compacted);
    }
  }
  return true;
}

bool EvaluateReads(const Txn& txn, int64_t revision, KvTable* table, CommandOutcome* outcome) {
  Txn reads = txn;
  TxnContext context{.stamp = {},
                     .table = table,
                     .totals = {},
                     .revision = revision,
                     .answer_bytes_max = txn.answer_bytes_max(),
                     .scanned_keys_max = txn.scanned_keys_max()};
  const bool done = RunTxn(&reads, &context, outcome);
  outcome->set_revision(revision);
  return done;
}

}  // namespace raftkv::kv
