#include "kv/command_version.h"

#include <algorithm>

namespace raftkv::kv {
namespace {

bool IsNewGuard(const log::v1::Guard& guard) {
  return guard.has_create_revision() || guard.has_lease_id() || guard.comparison() != 0 ||
         guard.is_range() || !guard.end_key().empty();
}

bool IsNewOperation(const log::v1::Operation& operation) {
  return (!operation.has_put() && !operation.has_delete_()) || operation.put().has_lease_id();
}

bool IsNewTxn(const log::v1::Txn& txn) {
  return txn.has_else() || txn.else_operations_size() > 0 || txn.answer_bytes_max() > 0 ||
         txn.scanned_keys_max() > 0 ||
         std::any_of(txn.guards().begin(), txn.guards().end(), IsNewGuard) ||
         std::any_of(txn.operations().begin(), txn.operations().end(), IsNewOperation);
}

}  // namespace

// A test puts another version of this file in its place: tests/support/next_command_version.cc.

uint32_t OwnCommandVersion() { return kNewestCommandVersion; }

uint32_t CommandVersionOf(const log::v1::Command& command) {
  if (command.has_compact_history()) {
    return kHistoryCommandVersion;
  }
  if (command.has_grant_lease() || command.has_renew_lease() || command.has_revoke_lease() ||
      command.has_expire_lease()) {
    return kLeaseCommandVersion;
  }
  return command.has_request() || IsNewTxn(command.txn()) ? kTxnCommandVersion
                                                          : kFirstCommandVersion;
}

}  // namespace raftkv::kv
