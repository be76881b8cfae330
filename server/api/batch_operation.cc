#include "server/api/batch_operation.h"

#include <glog/logging.h>

#include <utility>

#include "kv/errors.h"

namespace raftkv::server {
namespace {

// Of one within a transaction, where only the whole has an id.
OperationTraits TraitsWithinTxn(const v1::TxnOp& op) {
  switch (op.op_case()) {
    case v1::TxnOp::kGet:
    case v1::TxnOp::kList:
      return {.only_reads = true, .returns_values = true};
    case v1::TxnOp::kPut:
      return {.returns_values = op.put().return_previous()};
    case v1::TxnOp::kDeleteKey:
      return {.returns_values = op.delete_key().return_previous()};
    case v1::TxnOp::kDeleteRange:
      return {.returns_values = op.delete_range().return_previous()};
    case v1::TxnOp::kTxn:
      return TraitsOf(op.txn());
    case v1::TxnOp::kTouch:
    case v1::TxnOp::kIncrement:
    case v1::TxnOp::OP_NOT_SET:
      break;
  }
  return {};
}

using ResultDone = std::function<void(absl::StatusOr<v1::BatchResult> result)>;

// Takes what one method came to, and has it in the result's field.
template <typename Response>
KvOperations::Done<Response> Into(Response* (v1::BatchResult::*field)(), ResultDone done) {
  return [field, done = std::move(done)](absl::StatusOr<Response> response) {
    if (!response.ok()) {
      done(response.status());
      return;
    }
    v1::BatchResult result;
    *(result.*field)() = *std::move(response);
    done(std::move(result));
  };
}

template <typename Response>
v1::ResponseHeader TakeHeaderOf(Response* response) {
  v1::ResponseHeader header;
  header.Swap(response->mutable_header());
  response->clear_header();
  return header;
}

}  // namespace

OperationTraits TraitsOf(const v1::TxnRequest& txn) {
  OperationTraits traits{.only_reads = true, .has_request_id = !txn.request_id().empty()};
  for (const auto* branch : {&txn.then_ops(), &txn.else_ops()}) {
    for (const v1::TxnOp& op : *branch) {
      const OperationTraits of_op = TraitsWithinTxn(op);
      traits.only_reads = traits.only_reads && of_op.only_reads;
      traits.returns_values = traits.returns_values || of_op.returns_values;
    }
  }
  return traits;
}

OperationTraits TraitsOf(const v1::BatchOp& op) {
  switch (op.op_case()) {
    case v1::BatchOp::kGet:
      return {.only_reads = true, .returns_values = true};
    case v1::BatchOp::kPut:
      return {.has_request_id = !op.put().request_id().empty(),
              .returns_values = op.put().return_previous()};
    case v1::BatchOp::kDeleteKey:
      return {.has_request_id = !op.delete_key().request_id().empty(),
              .returns_values = op.delete_key().return_previous()};
    case v1::BatchOp::kTouch:
      return {.has_request_id = !op.touch().request_id().empty()};
    case v1::BatchOp::kIncrement:
      return {.has_request_id = !op.increment().request_id().empty()};
    case v1::BatchOp::kTxn:
      return TraitsOf(op.txn());
    case v1::BatchOp::OP_NOT_SET:
      break;
  }
  return {};
}

absl::Status UnsendableError(const OperationTraits& traits) {
  if (traits.only_reads) {
    return kv::UnreadError();
  }
  return traits.has_request_id ? kv::UnreadMarkedOutcomeError() : kv::UnreadOutcomeError();
}

void RunOperation(KvOperations* operations, v1::BatchOp op, MonotonicNanos answer_by,
                  ResultDone done) {
  switch (op.op_case()) {
    case v1::BatchOp::kGet:
      return operations->Get(std::move(*op.mutable_get()), answer_by,
                             Into(&v1::BatchResult::mutable_get, std::move(done)));
    case v1::BatchOp::kPut:
      return operations->Put(std::move(*op.mutable_put()), answer_by,
                             Into(&v1::BatchResult::mutable_put, std::move(done)));
    case v1::BatchOp::kDeleteKey:
      return operations->Delete(std::move(*op.mutable_delete_key()), answer_by,
                                Into(&v1::BatchResult::mutable_delete_key, std::move(done)));
    case v1::BatchOp::kTouch:
      return operations->Touch(std::move(*op.mutable_touch()), answer_by,
                               Into(&v1::BatchResult::mutable_touch, std::move(done)));
    case v1::BatchOp::kIncrement:
      return operations->Increment(std::move(*op.mutable_increment()), answer_by,
                                   Into(&v1::BatchResult::mutable_increment, std::move(done)));
    case v1::BatchOp::kTxn:
      return operations->Txn(std::move(*op.mutable_txn()), answer_by,
                             Into(&v1::BatchResult::mutable_txn, std::move(done)));
    case v1::BatchOp::OP_NOT_SET:
      break;
  }
  LOG(FATAL) << "an operation without a kind was begun";
}

int64_t RevisionOf(const v1::BatchResult& result) {
  switch (result.result_case()) {
    case v1::BatchResult::kGet:
      return result.get().header().revision();
    case v1::BatchResult::kPut:
      return result.put().header().revision();
    case v1::BatchResult::kDeleteKey:
      return result.delete_key().header().revision();
    case v1::BatchResult::kTouch:
      return result.touch().header().revision();
    case v1::BatchResult::kIncrement:
      return result.increment().header().revision();
    case v1::BatchResult::kTxn:
      return result.txn().header().revision();
    case v1::BatchResult::kError:
    case v1::BatchResult::RESULT_NOT_SET:
      break;
  }
  return 0;
}

v1::ResponseHeader TakeHeader(v1::BatchResult* result) {
  switch (result->result_case()) {
    case v1::BatchResult::kGet:
      return TakeHeaderOf(result->mutable_get());
    case v1::BatchResult::kPut:
      return TakeHeaderOf(result->mutable_put());
    case v1::BatchResult::kDeleteKey:
      return TakeHeaderOf(result->mutable_delete_key());
    case v1::BatchResult::kTouch:
      return TakeHeaderOf(result->mutable_touch());
    case v1::BatchResult::kIncrement:
      return TakeHeaderOf(result->mutable_increment());
    case v1::BatchResult::kTxn:
      return TakeHeaderOf(result->mutable_txn());
    case v1::BatchResult::kError:
    case v1::BatchResult::RESULT_NOT_SET:
      break;
  }
  return v1::ResponseHeader();
}

}  // namespace raftkv::server
