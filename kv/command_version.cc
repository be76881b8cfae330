#include "kv/command_version.h"

#include <algorithm>

#include "glog/logging.h"

namespace raftkv::kv {
namespace {

using log::v1::Command;
using log::v1::Guard;
using log::v1::Operation;
using log::v1::Txn;

uint32_t VersionOf(const Txn& txn);

// A switch without a default, here and below: whoever adds a kind is asked for its version.
uint32_t VersionOf(Guard::ConditionCase condition) {
  switch (condition) {
    case Guard::kExists:
    case Guard::kModRevision:
    case Guard::kVersion:
    case Guard::kValue:
    case Guard::CONDITION_NOT_SET:
      return kFirstCommandVersion;
    case Guard::kCreateRevision:
      return kTxnCommandVersion;
    case Guard::kLeaseId:
      return kLeaseCommandVersion;
  }
  LOG(FATAL) << "a guard of kind " << condition << " passed CheckCommand";
}

uint32_t VersionOf(const Guard& guard) {
  const bool is_new = guard.comparison() != 0 || guard.is_range() || !guard.end_key().empty();
  return std::max(VersionOf(guard.condition_case()),
                  is_new ? kTxnCommandVersion : kFirstCommandVersion);
}

uint32_t VersionOf(const Operation& operation) {
  switch (operation.kind_case()) {
    case Operation::kPut:
      return operation.put().has_lease_id() ? kLeaseCommandVersion : kFirstCommandVersion;
    case Operation::kDelete:
    case Operation::KIND_NOT_SET:
      return kFirstCommandVersion;
    case Operation::kGet:
    case Operation::kList:
      return kTxnCommandVersion;
    case Operation::kTouch:
      return operation.touch().has_lease_id() ? kLeaseCommandVersion : kTxnCommandVersion;
    case Operation::kIncrement:
      return operation.increment().has_lease_id() ? kLeaseCommandVersion : kTxnCommandVersion;
    case Operation::kTxn:
      return std::max(kTxnCommandVersion, VersionOf(operation.txn()));
  }
  LOG(FATAL) << "an operation of kind " << operation.kind_case() << " passed CheckCommand";
}

uint32_t VersionOf(const Txn& txn) {
  const bool is_new = txn.has_else() || txn.else_operations_size() > 0 ||
                      txn.answer_bytes_max() > 0 || txn.scanned_keys_max() > 0;
  uint32_t version = is_new ? kTxnCommandVersion : kFirstCommandVersion;
  for (const Guard& guard : txn.guards()) {
    version = std::max(version, VersionOf(guard));
  }
  for (const auto* branch : {&txn.operations(), &txn.else_operations()}) {
    for (const Operation& operation : *branch) {
      version = std::max(version, VersionOf(operation));
    }
  }
  return version;
}

uint32_t VersionOfKind(const Command& command) {
  switch (command.kind_case()) {
    case Command::kTxn:
      return VersionOf(command.txn());
    case Command::kExpire:
    case Command::kRaiseClusterVersion:
    case Command::KIND_NOT_SET:
      return kFirstCommandVersion;
    case Command::kMemberRecord:
      return command.member_record().has_priority() ? kPriorityCommandVersion
                                                    : kFirstCommandVersion;
    case Command::kGrantLease:
    case Command::kRenewLease:
    case Command::kRevokeLease:
    case Command::kExpireLease:
      return kLeaseCommandVersion;
    case Command::kCompactHistory:
      return kHistoryCommandVersion;
  }
  LOG(FATAL) << "a command of kind " << command.kind_case() << " passed CheckCommand";
}

}  // namespace

// A test puts another version of this file in its place: tests/support/next_command_version.cc.

uint32_t OwnCommandVersion() { return kNewestCommandVersion; }

uint32_t CommandVersionOf(const Command& command) {
  return std::max(VersionOfKind(command),
                  command.has_request() ? kTxnCommandVersion : kFirstCommandVersion);
}

}  // namespace raftkv::kv
