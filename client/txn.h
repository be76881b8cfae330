// Transactions: what a Client's Run takes and returns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "client/types.h"

namespace raftkv {

// How what a key has must compare with what a guard says.
enum class Comparison { kEqual, kNotEqual, kGreater, kLess };

struct CreateRevisionIs {
  int64_t create_revision = 0;
};

// The lease that the key hangs on; 0: none.
struct LeaseIs {
  int64_t lease_id = 0;
};

// A condition on every key of a range; a range without a key has what an absent key has.
struct Guard {
  KeyRange range = SingleKey{};
  std::variant<KeyExists, ModRevisionIs, VersionIs, ValueIs, CreateRevisionIs, LeaseIs> target =
      KeyExists{};
  Comparison comparison = Comparison::kEqual;
};

// The operations of a transaction. Of their options, precondition, consistency, min_revision,
// page_token, timeout and request_id are the whole transaction's, and must be unset.
struct GetOp {
  std::string key = {};
};
struct PutOp {
  std::string key = {};
  std::string value = {};
  PutOptions options = {};
};
struct DeleteOp {
  std::string key = {};
  DeleteOptions options = {};
};
struct DeleteRangeOp {
  KeyRange range = SingleKey{};
  DeleteRangeOptions options = {};
};
struct ListOp {
  KeyRange range = SingleKey{};
  ListOptions options = {};
};
struct TouchOp {
  std::string key = {};
  TouchOptions options = {};
};
struct IncrementOp {
  std::string key = {};
  IncrementOptions options = {};
};
// A transaction within one, by Nested. Its guards, too, are about the state before any operation.
struct Txn;
struct NestedTxn {
  std::shared_ptr<const Txn> txn = nullptr;  // shared by copies of the operation; must be set
};
using TxnOp =
    std::variant<GetOp, PutOp, DeleteOp, DeleteRangeOp, ListOp, TouchOp, IncrementOp, NestedTxn>;

// `then_ops` when every guard holds, else `else_ops`: all of it at one revision, or nothing.
struct Txn {
  std::vector<Guard> guards = {};
  std::vector<TxnOp> then_ops = {};
  std::vector<TxnOp> else_ops = {};
};

inline NestedTxn Nested(Txn txn) { return {std::make_shared<const Txn>(std::move(txn))}; }

struct TxnOptions {
  // Of a transaction that only reads.
  Consistency consistency = Consistency::kLinearizable;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

// Without headers, and in the order of the operations.
struct TxnResult;
struct NestedTxnResult {
  std::shared_ptr<const TxnResult> result = nullptr;  // shared by copies; set
};
using TxnOpResult = std::variant<GetResult, PutResult, DeleteResult, DeleteRangeResult, ListResult,
                                 TouchResult, IncrementResult, NestedTxnResult>;

struct TxnResult {
  ResponseHeader header = {};
  bool succeeded = false;  // the guards held
  std::vector<TxnOpResult> results = {};
  bool replayed = false;
};

}  // namespace raftkv
