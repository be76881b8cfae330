#include "server/api/kv_service.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "kv/errors.h"
#include "server/api/batch_operation.h"
#include "server/api/batch_run.h"

namespace raftkv::server {

KvService::KvService(const Limits& limits, kv::Store* store, ResponseHeaderFiller header)
    : operations_(limits, store, std::move(header)) {
  AddOperation("Get", kv::UnreadError, &KvOperations::Get);
  AddOperation("Put", kv::UnreadOutcomeError, &KvOperations::Put);
  AddOperation("Delete", kv::UnreadOutcomeError, &KvOperations::Delete);
  AddOperation("List", kv::UnreadError, &KvOperations::List);
  AddOperation("DeleteRange", kv::UnreadOutcomeError, &KvOperations::DeleteRange);
  AddOperation("Touch", kv::UnreadOutcomeError, &KvOperations::Touch);
  AddOperation("Increment", kv::UnreadOutcomeError, &KvOperations::Increment);
  AddOperation("Txn", kv::UnreadOutcomeError, &KvOperations::Txn);
  service_.AddMethod<v1::BatchRequest>(
      "Batch", kv::UnreadOutcomeError,
      [this](ApiCall* call, v1::BatchRequest request) { Batch(call, std::move(request)); });
  stream_method_ = service_.AddStream("Stream");
}

void KvService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  service_.Start(queue, accounting);
  streams_.Start(service_.service(), stream_method_, queue, accounting);
}

template <typename Request, typename Response>
void KvService::AddOperation(const std::string& method, absl::Status (*unsendable)(),
                             Operation<Request, Response> operation) {
  service_.AddMethod<Request>(
      method, unsendable, [this, operation](ApiCall* call, Request request) {
        if constexpr (requires { request.request_id(); }) {
          if (!request.request_id().empty()) {
            call->SetUnsendable(kv::UnreadMarkedOutcomeError);
          }
        }
        if constexpr (std::is_same_v<Request, v1::TxnRequest>) {
          if (TraitsOf(request).only_reads) {
            call->SetUnsendable(kv::UnreadError);
          }
        }
        (operations_.*operation)(std::move(request), call->AnswerBy(),
                                 [call](const absl::StatusOr<Response>& response) {
                                   if (response.ok()) {
                                     call->Finish(*response);
                                   } else {
                                     call->Fail(response.status());
                                   }
                                 });
      });
}

void KvService::Batch(ApiCall* call, v1::BatchRequest request) {
  if (std::all_of(request.ops().begin(), request.ops().end(), [](const v1::BatchOp& op) {
        const OperationTraits traits = TraitsOf(op);
        return traits.only_reads || traits.has_request_id;
      })) {
    call->SetUnsendable(kv::UnreadMarkedOutcomeError);
  }
  RunBatch(&operations_, std::move(request), call->AnswerBy(),
           [call](const absl::StatusOr<v1::BatchResponse>& response) {
             if (response.ok()) {
               call->Finish(*response);
             } else {
               call->Fail(response.status());
             }
           });
}

}  // namespace raftkv::server
