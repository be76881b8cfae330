#include "tests/simulation/client_history.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

namespace raftkv::simulation {

using linearizability::Kind;
using linearizability::Outcome;
using log::v1::CommandOutcome;
using log::v1::DeleteOperation;
using log::v1::Guard;
using log::v1::OperationOutcome;
using log::v1::PutOperation;
using log::v1::StoredKeyValue;
using log::v1::Txn;

namespace {

// For a value that inherits the time to live of the one before it, which may be up at once.
constexpr int64_t kTtlMin = 1;

bool IsOneKey(const DeleteOperation& deletion) {
  return deletion.end_key() == deletion.start_key() + std::string(1, '\0');
}

class HistoryOfClients {
 public:
  HistoryOfClients(const std::vector<std::string>& keys, int64_t drift_ppm_max)
      : keys_(keys.begin(), keys.end()), drift_ppm_max_(drift_ppm_max) {}

  void Add(const ClientOperation& operation) {
    operation_ = &operation;
    if (!operation.unknown && operation.reply.status != Reply::Status::kOk) {
      return;  // Certainly no effect, and it says nothing.
    }
    if (operation.request.kind == RequestKind::kWrite) {
      // Without operations where it is about a lease, and then none of the checker's keys.
      AddTxn(operation.request.command.txn());
    } else if (!operation.unknown && operation.request.linearizable) {
      AddRead();
    }
  }

  linearizability::History Take() { return std::move(history_); }

 private:
  linearizability::Operation& AddOne(Kind kind, const std::string& key, Outcome outcome) {
    linearizability::Operation& added = history_.emplace_back();
    added.client = static_cast<int64_t>(operation_->client);
    added.kind = kind;
    added.key = key;
    added.invoked = operation_->invoked;
    added.completed = operation_->completed;
    added.answer.outcome = outcome;
    return added;
  }

  void AddGet(const std::string& key, const StoredKeyValue* row, int64_t revision) {
    linearizability::Operation& get = AddOne(Kind::kGet, key, Outcome::kOk);
    get.answer.store_revision = revision;
    if (row != nullptr) {
      get.answer.found = true;
      get.answer.value = row->value();
      get.answer.mod_revision = row->mod_revision();
    }
  }

  void AddRead() {
    const Request& request = operation_->request;
    const Reply& reply = operation_->reply;
    if (request.kind == RequestKind::kGet) {
      AddGet(request.key, reply.rows.empty() ? nullptr : &reply.rows.front(), reply.revision);
      return;
    }
    for (const std::string& key : KeysIn(request.scan.interval.start, request.scan.interval.end)) {
      const auto row =
          std::find_if(reply.rows.begin(), reply.rows.end(),
                       [&](const StoredKeyValue& shown) { return shown.key() == key; });
      // A page that is full says nothing of what would have come after it.
      const bool beyond = reply.more && (request.scan.descending ? key < reply.rows.back().key()
                                                                 : key > reply.rows.back().key());
      if (!beyond) {
        AddGet(key, row == reply.rows.end() ? nullptr : &*row, reply.revision);
      }
    }
  }

  void AddTxn(const Txn& txn) {
    if (txn.has_else()) {
      return;  // It writes no key that the checker looks at.
    }
    const CommandOutcome& outcome = operation_->reply.outcome;
    if (operation_->unknown) {
      for (const log::v1::Operation& each : txn.operations()) {
        AddUnknown(each, txn);
      }
      return;
    }
    switch (outcome.verdict()) {
      case CommandOutcome::VERDICT_GUARD_FAILED:
        AddGuardFailure(txn.guards(0), outcome);
        break;
      case CommandOutcome::VERDICT_APPLIED:
        AddApplied(txn, outcome);
        break;
      default:
        break;  // A range was too large: it says nothing that the checker knows.
    }
  }

  void AddUnknown(const log::v1::Operation& each, const Txn& txn) {
    if (each.has_put()) {
      AddPut(each.put(), txn, Outcome::kUnknown);
      return;
    }
    for (const std::string& key : KeysIn(each.delete_().start_key(), each.delete_().end_key())) {
      AddOne(Kind::kDelete, key, Outcome::kUnknown).expected_revision = Expected(txn, key);
    }
  }

  linearizability::Operation& AddPut(const PutOperation& put, const Txn& txn, Outcome outcome) {
    linearizability::Operation& added = AddOne(Kind::kPut, put.key(), outcome);
    added.value = put.value();
    added.expected_revision = Expected(txn, put.key());
    if (put.has_ttl_ms()) {
      // As the fastest clock counts it.
      const auto nanos = static_cast<int64_t>(put.ttl_ms()) * kNanosPerMilli;
      added.ttl = std::max(kTtlMin, nanos / (kMillion + drift_ppm_max_) * kMillion);
    } else if (put.keep_ttl()) {
      added.ttl = kTtlMin;
    }
    return added;
  }

  // The condition on the key, as far as the checker has a word for it.
  static std::optional<int64_t> Expected(const Txn& txn, const std::string& key) {
    for (const Guard& guard : txn.guards()) {
      if (guard.key() != key) {
        continue;
      }
      if (guard.has_mod_revision()) {
        return guard.mod_revision();
      }
      if (guard.has_exists() && !guard.exists()) {
        return 0;
      }
    }
    return std::nullopt;
  }

  // Whatever the condition was, the answer says which revision the key had.
  void AddGuardFailure(const Guard& guard, const CommandOutcome& outcome) {
    linearizability::Operation& failure =
        AddOne(Kind::kDelete, guard.key(), Outcome::kPreconditionFailed);
    const int64_t current = outcome.current_mod_revision();
    const bool by_revision = guard.has_mod_revision();
    failure.expected_revision = by_revision ? guard.mod_revision() : current + 1;
    failure.answer.mod_revision = current;
  }

  void AddApplied(const Txn& txn, const CommandOutcome& outcome) {
    if (TouchesAKeyTwice(txn)) {
      for (const log::v1::Operation& each : txn.operations()) {
        AddUnknown(each, txn);
      }
      return;
    }
    for (int i = 0; i < txn.operations_size(); ++i) {
      if (txn.operations(i).has_put()) {
        linearizability::Operation& put = AddPut(txn.operations(i).put(), txn, Outcome::kOk);
        put.answer.mod_revision = outcome.revision();
        put.answer.store_revision = outcome.revision();
      } else {
        AddDeletion(txn, txn.operations(i), outcome.operations(i), outcome.revision());
      }
    }
  }

  void AddDeletion(const Txn& txn, const log::v1::Operation& asked, const OperationOutcome& result,
                   int64_t revision) {
    const DeleteOperation& deletion = asked.delete_();
    std::set<std::string> deleted;
    for (const StoredKeyValue& row : result.previous()) {
      deleted.insert(row.key());
    }
    if (IsOneKey(deletion) && result.deleted() > 0) {
      deleted.insert(deletion.start_key());
    }
    if (deleted.size() < result.deleted()) {
      AddUnknown(asked, txn);  // It does not say which ones they were.
      return;
    }
    for (const std::string& key : KeysIn(deletion.start_key(), deletion.end_key())) {
      const bool found = deleted.contains(key);
      if (!found && result.more() && key > *deleted.rbegin()) {
        continue;  // The limit was reached before it.
      }
      linearizability::Operation& added = AddOne(Kind::kDelete, key, Outcome::kOk);
      added.expected_revision = Expected(txn, key);
      added.answer.found = found;
      added.answer.mod_revision = found ? std::optional(revision) : std::nullopt;
      added.answer.store_revision = revision;
    }
  }

  bool TouchesAKeyTwice(const Txn& txn) const {
    std::set<std::string> touched;
    for (const log::v1::Operation& each : txn.operations()) {
      const std::vector<std::string> keys =
          each.has_put() ? std::vector<std::string>{each.put().key()}
                         : KeysIn(each.delete_().start_key(), each.delete_().end_key());
      for (const std::string& key : keys) {
        if (!touched.insert(key).second) {
          return true;
        }
      }
    }
    return false;
  }

  // Those of [start, end), an empty end being open.
  std::vector<std::string> KeysIn(const std::string& start, const std::string& end) const {
    std::vector<std::string> keys;
    std::copy_if(keys_.begin(), keys_.end(), std::back_inserter(keys),
                 [&](const auto& key) { return key >= start && (end.empty() || key < end); });
    return keys;
  }

  static constexpr int64_t kMillion = 1'000'000;

  const std::set<std::string> keys_;
  const int64_t drift_ppm_max_;
  const ClientOperation* operation_ = nullptr;  // Being added.
  linearizability::History history_;
};

}  // namespace

linearizability::History ToHistory(const std::vector<ClientOperation>& operations,
                                   const std::vector<std::string>& keys, int64_t drift_ppm_max) {
  HistoryOfClients history(keys, drift_ppm_max);
  for (const ClientOperation& operation : operations) {
    history.Add(operation);
  }
  return history.Take();
}

}  // namespace raftkv::simulation
