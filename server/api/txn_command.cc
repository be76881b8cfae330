#include "server/api/txn_command.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "kv/limits.h"
#include "server/api/request_checks.h"

namespace raftkv::server {
namespace {

using google::protobuf::RepeatedPtrField;
using log::v1::Command;
using log::v1::ListOperation;
using log::v1::Txn;

// The field of an operation that only a request of its own may set; empty: none is set.
template <typename Request>
absl::string_view FieldOfTheWhole(const Request& request) {
  if constexpr (requires { request.request_id(); }) {
    if (!request.request_id().empty()) {
      return "request_id";
    }
  }
  if constexpr (requires { request.precondition(); }) {
    if (request.has_precondition()) {
      return "precondition";
    }
  }
  if constexpr (requires { request.consistency(); }) {
    if (request.consistency() != v1::CONSISTENCY_UNSPECIFIED) {
      return "consistency";
    }
  }
  if constexpr (requires { request.min_revision(); }) {
    if (request.min_revision() != 0) {
      return "min_revision";
    }
  }
  if constexpr (requires { request.max_staleness(); }) {
    if (request.has_max_staleness()) {
      return "max_staleness";
    }
  }
  if constexpr (requires { request.at_revision(); }) {
    if (request.at_revision() != 0) {
      return "at_revision";
    }
  }
  if constexpr (requires { request.page_token(); }) {
    if (!request.page_token().empty()) {
      return "page_token";
    }
  }
  return "";
}

absl::Status CheckCount(absl::string_view of_what, uint64_t count, uint64_t limit) {
  return count <= limit ? absl::OkStatus() : kv::TxnTooLargeError(of_what, count, limit);
}

// Turns one request with all that is within it. Errors have paths from the message at hand on.
class TxnTranslation {
 public:
  explicit TxnTranslation(const CommandLimits& limits) : limits_(limits) {}

  bool only_reads() const { return only_reads_; }

  absl::Status Translate(v1::TxnRequest* request, uint64_t depth, Txn* txn) {
    RAFTKV_RETURN_IF_ERROR(CheckCount("levels", depth, kv::kTxnDepthMax));
    if (request->then_ops_size() == 0 && request->else_ops_size() == 0) {
      return kv::BadTxnError("then_ops", "is empty, and so is else_ops: there is nothing to do");
    }
    txn->set_has_else(true);
    operations_ += request->then_ops_size() + request->else_ops_size();
    guards_ += request->guards_size();
    RAFTKV_RETURN_IF_ERROR(CheckCount("operations", operations_, kv::kTxnOperationsMax));
    RAFTKV_RETURN_IF_ERROR(CheckCount("guards", guards_, kv::kTxnGuardsMax));
    for (int i = 0; i < request->guards_size(); ++i) {
      if (const absl::Status status = TranslateGuard(request->mutable_guards(i), txn->add_guards());
          !status.ok()) {
        return kv::WithinField(absl::StrCat("guards[", i, "]"), status);
      }
    }
    RAFTKV_RETURN_IF_ERROR(
        TranslateBranch("then_ops", request->mutable_then_ops(), depth, txn->mutable_operations()));
    return TranslateBranch("else_ops", request->mutable_else_ops(), depth,
                           txn->mutable_else_operations());
  }

 private:
  absl::Status TranslateBranch(absl::string_view name, RepeatedPtrField<v1::TxnOp>* ops,
                               uint64_t depth, RepeatedPtrField<log::v1::Operation>* operations) {
    for (int i = 0; i < ops->size(); ++i) {
      if (const absl::Status status = TranslateOperation(ops->Mutable(i), depth, operations->Add());
          !status.ok()) {
        return kv::WithinField(absl::StrCat(name, "[", i, "]"), status);
      }
    }
    return absl::OkStatus();
  }

  absl::Status TranslateOperation(v1::TxnOp* op, uint64_t depth, log::v1::Operation* operation) {
    only_reads_ = only_reads_ && (op->has_get() || op->has_list() || op->has_txn());
    switch (op->op_case()) {
      case v1::TxnOp::kGet:
        return Within("get", op->mutable_get(), [&](v1::GetRequest* get) {
          operation->mutable_get()->set_key(get->key());
          return CheckKey("key", get->key());
        });
      case v1::TxnOp::kPut:
        return Within("put", op->mutable_put(), [&](v1::PutRequest* put) {
          return TakeOperation(MakeCommand(put, limits_.value_bytes_max), operation);
        });
      case v1::TxnOp::kDeleteKey:
        return Within("delete_key", op->mutable_delete_key(), [&](v1::DeleteRequest* deletion) {
          return TakeOperation(MakeCommand(deletion, limits_.value_bytes_max), operation);
        });
      case v1::TxnOp::kDeleteRange:
        return Within("delete_range", op->mutable_delete_range(),
                      [&](v1::DeleteRangeRequest* deletion) {
                        RAFTKV_RETURN_IF_ERROR(CountRange());
                        return TakeOperation(MakeCommand(*deletion, limits_.delete_range_keys_max),
                                             operation);
                      });
      case v1::TxnOp::kList:
        return Within("list", op->mutable_list(), [&](v1::ListRequest* list) {
          RAFTKV_RETURN_IF_ERROR(CountRange());
          return TranslateList(*list, operation->mutable_list());
        });
      case v1::TxnOp::kTouch:
        return Within("touch", op->mutable_touch(), [&](v1::TouchRequest* touch) {
          return TakeOperation(MakeCommand(touch, limits_.value_bytes_max), operation);
        });
      case v1::TxnOp::kIncrement:
        return Within("increment", op->mutable_increment(), [&](v1::IncrementRequest* increment) {
          return TakeOperation(MakeCommand(increment, limits_.value_bytes_max), operation);
        });
      case v1::TxnOp::kTxn:
        return Within("txn", op->mutable_txn(), [&](v1::TxnRequest* txn) {
          return Translate(txn, depth + 1, operation->mutable_txn());
        });
      case v1::TxnOp::OP_NOT_SET:
        break;
    }
    return kv::BadTxnError(
        "op",
        "is not set; set one of get, put, delete_key, delete_range, list, touch, "
        "increment and txn");
  }

  template <typename Request, typename Translation>
  static absl::Status Within(absl::string_view name, Request* request, Translation translate) {
    const absl::string_view field = FieldOfTheWhole(*request);
    const absl::Status status = field.empty()
                                    ? translate(request)
                                    : kv::BadTxnError(field, "must be unset within a transaction");
    return status.ok() ? status : kv::WithinField(name, status);
  }

  static absl::Status TakeOperation(absl::StatusOr<Command> command,
                                    log::v1::Operation* operation) {
    RAFTKV_RETURN_IF_ERROR(command.status());
    *operation = std::move(*command->mutable_txn()->mutable_operations(0));
    return absl::OkStatus();
  }

  static absl::Status TranslateList(const v1::ListRequest& request, ListOperation* list) {
    RAFTKV_ASSIGN_OR_RETURN(kv::ScanOptions scan, ListedScan(request));
    list->set_start_key(std::move(scan.interval.start));
    list->set_end_key(std::move(scan.interval.end));
    list->set_keys_max(scan.keys_max);
    list->set_bytes_max(scan.bytes_max);
    list->set_keys_only(scan.keys_only);
    list->set_descending(scan.descending);
    list->set_count_only(request.count_only());
    return absl::OkStatus();
  }

  absl::Status TranslateGuard(v1::Guard* guard, log::v1::Guard* translated) {
    RAFTKV_ASSIGN_OR_RETURN(kv::KeyInterval interval,
                            SelectedInterval(guard->has_range(), guard->range()));
    translated->set_key(std::move(interval.start));
    if (!guard->range().has_key()) {
      RAFTKV_RETURN_IF_ERROR(CountRange());
      translated->set_is_range(true);
      translated->set_end_key(std::move(interval.end));
    }
    if (guard->comparison() != v1::COMPARISON_EQUAL) {
      translated->set_comparison(static_cast<log::v1::Comparison>(guard->comparison()));
    }
    return SetTarget(guard, translated);
  }

  absl::Status SetTarget(v1::Guard* guard, log::v1::Guard* translated) const {
    switch (guard->target_case()) {
      case v1::Guard::kExists:
        if (guard->comparison() > v1::COMPARISON_NOT_EQUAL) {
          return kv::BadGuardError("comparison",
                                   "is greater or less, and exists is only equal or "
                                   "not equal");
        }
        translated->set_exists(guard->exists());
        return absl::OkStatus();
      case v1::Guard::kVersion:
        translated->set_version(guard->version());
        return CheckNumber("version", guard->version());
      case v1::Guard::kCreateRevision:
        translated->set_create_revision(guard->create_revision());
        return CheckNumber("create_revision", guard->create_revision());
      case v1::Guard::kModRevision:
        translated->set_mod_revision(guard->mod_revision());
        return CheckNumber("mod_revision", guard->mod_revision());
      case v1::Guard::kData:
        translated->set_value(std::move(*guard->mutable_data()));
        return CheckValue("data", translated->value().size(), limits_.value_bytes_max);
      case v1::Guard::kText:
        translated->set_value(std::move(*guard->mutable_text()));
        return CheckValue("text", translated->value().size(), limits_.value_bytes_max);
      case v1::Guard::kLeaseId:
        translated->set_lease_id(guard->lease_id());
        if (guard->lease_id() < 0) {
          return kv::BadLeaseError("lease_id", guard->lease_id(), "must be 0 (no lease) or more");
        }
        return absl::OkStatus();
      case v1::Guard::TARGET_NOT_SET:
        break;
    }
    return kv::BadGuardError("target",
                             "is not set; set one of exists, version, create_revision, "
                             "mod_revision, data, text and lease_id");
  }

  static absl::Status CheckNumber(absl::string_view field, int64_t number) {
    return number >= 0 ? absl::OkStatus()
                       : kv::BadGuardError(field, absl::StrCat("is ", number,
                                                               "; must be 0 (an absent key's) or "
                                                               "more"));
  }

  absl::Status CountRange() { return CheckCount("ranges", ++ranges_, kv::kTxnRangesMax); }

  const CommandLimits limits_;
  uint64_t operations_ = 0;
  uint64_t guards_ = 0;
  uint64_t ranges_ = 0;
  bool only_reads_ = true;
};

}  // namespace

absl::StatusOr<TxnCommand> MakeTxnCommand(v1::TxnRequest* request, const CommandLimits& limits) {
  RAFTKV_RETURN_IF_ERROR(
      CheckCount("bytes", request->ByteSizeLong(), limits.value_bytes_max + kv::kTxnSlackBytes));
  TxnCommand result;
  Txn* const txn = result.command.mutable_txn();
  TxnTranslation translation(limits);
  RAFTKV_RETURN_IF_ERROR(translation.Translate(request, /*depth=*/1, txn));
  txn->set_answer_bytes_max(kv::kTxnAnswerBytesMax);
  txn->set_scanned_keys_max(std::max(kv::kTxnScannedKeysMax, limits.delete_range_keys_max));
  result.only_reads = translation.only_reads();
  if (!result.only_reads && request->consistency() != v1::CONSISTENCY_UNSPECIFIED) {
    return kv::BadTxnError("consistency", "is set, and the transaction may write");
  }
  return result;
}

}  // namespace raftkv::server
