#include "server/api/operation_results.h"

#include <utility>

#include "glog/logging.h"
#include "server/api/key_value.h"
#include "server/api/page_token.h"

namespace raftkv::server {
namespace {

using google::protobuf::RepeatedPtrField;
using log::v1::OperationOutcome;
using log::v1::StoredKeyValue;

// The previous record of a single key, if it was asked for.
template <typename Response>
void FillPrevious(bool as_text, const ResultContext& context, OperationOutcome* outcome,
                  Response* response) {
  if (outcome->previous_size() > 0) {
    FillKeyValue(std::move(*outcome->mutable_previous(0)), ValueForm(as_text), context.now,
                 response->mutable_previous());
  }
}

void FillTxnResult(const v1::TxnOp& op, const ResultContext& context, OperationOutcome* outcome,
                   v1::TxnResult* result) {
  switch (op.op_case()) {
    case v1::TxnOp::kGet:
      return FillResult(op.get(), context, outcome, result->mutable_get());
    case v1::TxnOp::kPut:
      return FillResult(op.put(), context, outcome, result->mutable_put());
    case v1::TxnOp::kDeleteKey:
      return FillResult(op.delete_key(), context, outcome, result->mutable_delete_key());
    case v1::TxnOp::kDeleteRange:
      return FillResult(op.delete_range(), context, outcome, result->mutable_delete_range());
    case v1::TxnOp::kList:
      return FillResult(op.list(), context, outcome, result->mutable_list());
    case v1::TxnOp::kTouch:
      return FillResult(op.touch(), context, outcome, result->mutable_touch());
    case v1::TxnOp::kIncrement:
      return FillResult(op.increment(), context, outcome, result->mutable_increment());
    case v1::TxnOp::kTxn:
      return FillTxn(op.txn(), context, outcome->succeeded(), outcome->mutable_operations(),
                     result->mutable_txn());
    case v1::TxnOp::OP_NOT_SET:
      break;
  }
  LOG(FATAL) << "an operation without a kind was proposed";
}

}  // namespace

void FillResult(const v1::GetRequest& request, const ResultContext& context,
                OperationOutcome* outcome, v1::GetResponse* response) {
  if (outcome->found_size() > 0) {
    FillKeyValue(std::move(*outcome->mutable_found(0)), ValueForm(request.as_text()), context.now,
                 response->mutable_kv());
  }
}

void FillResult(const v1::PutRequest& request, const ResultContext& context,
                OperationOutcome* outcome, v1::PutResponse* response) {
  response->set_mod_revision(context.revision);
  FillPrevious(request.as_text(), context, outcome, response);
}

void FillResult(const v1::DeleteRequest& request, const ResultContext& context,
                OperationOutcome* outcome, v1::DeleteResponse* response) {
  response->set_deleted(outcome->deleted() > 0);
  FillPrevious(request.as_text(), context, outcome, response);
}

void FillResult(const v1::DeleteRangeRequest& request, const ResultContext& context,
                OperationOutcome* outcome, v1::DeleteRangeResponse* response) {
  response->set_deleted(static_cast<int64_t>(outcome->deleted()));
  response->set_more(outcome->more());
  for (StoredKeyValue& record : *outcome->mutable_previous()) {
    FillKeyValue(std::move(record), ValueForm(request.as_text()), context.now,
                 response->add_previous());
  }
}

void FillResult(const v1::ListRequest& request, const ResultContext& context,
                OperationOutcome* outcome, v1::ListResponse* response) {
  response->set_count(static_cast<int64_t>(outcome->count()));
  if (outcome->more()) {
    response->set_next_page_token(
        MakePageToken(request, outcome->found(outcome->found_size() - 1).key()));
  }
  const ValueForm form = request.keys_only() ? ValueForm::None() : ValueForm(request.as_text());
  for (StoredKeyValue& record : *outcome->mutable_found()) {
    FillKeyValue(std::move(record), form, context.now, response->add_kvs());
  }
}

void FillResult(const v1::TouchRequest& /*request*/, const ResultContext& /*context*/,
                OperationOutcome* outcome, v1::TouchResponse* response) {
  response->set_touched(outcome->touched());
}

void FillResult(const v1::IncrementRequest& /*request*/, const ResultContext& context,
                OperationOutcome* outcome, v1::IncrementResponse* response) {
  response->set_value(outcome->value());
  response->set_mod_revision(context.revision);
}

void FillTxn(const v1::TxnRequest& request, const ResultContext& context, bool succeeded,
             RepeatedPtrField<OperationOutcome>* results, v1::TxnResponse* response) {
  response->set_succeeded(succeeded);
  const RepeatedPtrField<v1::TxnOp>& branch = succeeded ? request.then_ops() : request.else_ops();
  CHECK_EQ(branch.size(), results->size()) << "another transaction's outcome";
  for (int i = 0; i < branch.size(); ++i) {
    FillTxnResult(branch[i], context, results->Mutable(i), response->add_results());
  }
}

}  // namespace raftkv::server
