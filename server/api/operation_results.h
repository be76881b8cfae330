// What operations came to, as clients see it; headers are left out.
#pragma once

#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::server {

// When and where a result is from.
struct ResultContext {
  raft::ClusterMillis now;  // The member's cluster time.
  int64_t revision = 0;     // Of the command.
};

// Each fills the response to a request from the outcome of its operation, whose values it takes.
void FillResult(const v1::GetRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::GetResponse* response);
void FillResult(const v1::PutRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::PutResponse* response);
void FillResult(const v1::DeleteRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::DeleteResponse* response);
void FillResult(const v1::DeleteRangeRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::DeleteRangeResponse* response);
void FillResult(const v1::ListRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::ListResponse* response);
void FillResult(const v1::TouchRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::TouchResponse* response);
void FillResult(const v1::IncrementRequest& request, const ResultContext& context,
                log::v1::OperationOutcome* outcome, v1::IncrementResponse* response);
// `results` are of the branch that `succeeded` names.
void FillTxn(const v1::TxnRequest& request, const ResultContext& context, bool succeeded,
             google::protobuf::RepeatedPtrField<log::v1::OperationOutcome>* results,
             v1::TxnResponse* response);

}  // namespace raftkv::server
