// Which commands are understood, and what can be told of them before they are applied.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "kv/command_semantics.h"

namespace raftkv::kv {
namespace {

using google::protobuf::Message;
using google::protobuf::RepeatedPtrField;
using log::v1::Command;
using log::v1::Guard;
using log::v1::Operation;
using log::v1::Txn;

absl::Status CheckTxn(const Txn& txn);

// Of this message alone; those inside it are looked at where they are.
bool KnowsFields(const Message& message) {
  return message.GetReflection()->GetUnknownFields(message).empty();
}

absl::Status CheckGuard(const Guard& guard) {
  if (!KnowsFields(guard) || guard.condition_case() == Guard::CONDITION_NOT_SET ||
      !log::v1::Comparison_IsValid(guard.comparison())) {
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
    case Operation::kGet:
      known = known && KnowsFields(operation.get());
      break;
    case Operation::kList:
      known = known && KnowsFields(operation.list());
      break;
    case Operation::kTouch:
      known = known && KnowsFields(operation.touch());
      break;
    case Operation::kIncrement:
      known = known && KnowsFields(operation.increment());
      break;
    case Operation::kTxn:
      return known ? CheckTxn(operation.txn())
                   : absl::UnimplementedError("an operation that this version does not know");
    case Operation::KIND_NOT_SET:
      known = false;
      break;
  }
  return known ? absl::OkStatus()
               : absl::UnimplementedError("an operation that this version does not know");
}

absl::Status CheckTxn(const Txn& txn) {
  if (!KnowsFields(txn)) {
    return absl::UnimplementedError("a transaction that this version does not know");
  }
  for (const Guard& guard : txn.guards()) {
    if (absl::Status status = CheckGuard(guard); !status.ok()) {
      return status;
    }
  }
  for (const RepeatedPtrField<Operation>* branch : {&txn.operations(), &txn.else_operations()}) {
    for (const Operation& operation : *branch) {
      if (absl::Status status = CheckOperation(operation); !status.ok()) {
        return status;
      }
    }
  }
  return absl::OkStatus();
}

bool OperationAddsData(const Operation& operation);

bool TxnAddsData(const Txn& txn) {
  return std::any_of(txn.operations().begin(), txn.operations().end(), OperationAddsData) ||
         std::any_of(txn.else_operations().begin(), txn.else_operations().end(), OperationAddsData);
}

// A switch without a default, here and below: whoever adds a kind is asked whether it does.
bool OperationAddsData(const Operation& operation) {
  switch (operation.kind_case()) {
    case Operation::kPut:
    case Operation::kIncrement:
      return true;
    case Operation::kTxn:
      return TxnAddsData(operation.txn());
    case Operation::kDelete:
    case Operation::kGet:
    case Operation::kList:
    case Operation::kTouch:
    case Operation::KIND_NOT_SET:
      break;
  }
  return false;
}

}  // namespace

absl::Status CheckCommand(const Command& command) {
  bool known = KnowsFields(command) && KnowsFields(command.request());
  switch (command.kind_case()) {
    case Command::kTxn:
      if (absl::Status status = CheckTxn(command.txn()); !status.ok()) {
        return status;
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
    case Command::kGrantLease:
      known = known && KnowsFields(command.grant_lease());
      break;
    case Command::kRenewLease:
      known = known && KnowsFields(command.renew_lease());
      break;
    case Command::kRevokeLease:
      known = known && KnowsFields(command.revoke_lease());
      break;
    case Command::kExpireLease:
      known = known && KnowsFields(command.expire_lease());
      break;
    case Command::kCompactHistory:
      known = known && KnowsFields(command.compact_history());
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
  switch (command.kind_case()) {
    case Command::kTxn:
      return TxnAddsData(command.txn());
    case Command::kGrantLease:
      return true;
    case Command::kExpire:
    case Command::kMemberRecord:
    case Command::kRaiseClusterVersion:
    case Command::kRenewLease:
    case Command::kRevokeLease:
    case Command::kExpireLease:
    case Command::kCompactHistory:
    case Command::KIND_NOT_SET:
      break;
  }
  return false;
}

}  // namespace raftkv::kv
