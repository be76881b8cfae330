#include "server/api/maintenance_service.h"

#include <utility>

#include "kv/errors.h"
#include "server/api/request_checks.h"

namespace raftkv::server {

MaintenanceService::MaintenanceService(kv::Store* store, kv::DiskPool* snapshots,
                                       ResponseHeaderFiller header, std::string member_name)
    : store_(*store),
      header_(std::move(header)),
      backups_(store, snapshots, header_, std::move(member_name)) {
  service_.AddMethod<v1::VerifyHashRequest>(
      "VerifyHash", kv::UnreadError,
      [this](ApiCall* call, const v1::VerifyHashRequest& request) { VerifyHash(call, request); });
  service_.AddMethod<v1::CompactRequest>(
      "Compact", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::CompactRequest& request) { Compact(call, request); });
  backup_method_ = service_.AddStream("Backup");
}

void MaintenanceService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  service_.Start(queue, accounting);
  backups_.Start(service_.service(), backup_method_, queue, accounting);
}

void MaintenanceService::Compact(ApiCall* call, const v1::CompactRequest& request) {
  if (request.revision() < 0) {
    call->Fail(kv::BadRevisionError("revision", request.revision()));
    return;
  }
  store_.Compact(request.revision(), call->AnswerBy(),
                 [this, call](const absl::StatusOr<int64_t>& compacted) {
                   if (!compacted.ok()) {
                     call->Fail(compacted.status());
                     return;
                   }
                   v1::CompactResponse response;
                   header_(store_.revision(), response.mutable_header());
                   response.set_compact_revision(*compacted);
                   call->Finish(response);
                 });
}

void MaintenanceService::VerifyHash(ApiCall* call, const v1::VerifyHashRequest& request) {
  if (const absl::Status status = CheckIndex(request.index()); !status.ok()) {
    call->Fail(status);
    return;
  }
  store_.Verify(
      raft::LogIndex(request.index()), request.scan(), call->AnswerBy(),
      [this, call, scanned = request.scan()](const absl::StatusOr<kv::Store::Verified>& verified) {
        if (!verified.ok()) {
          call->Fail(verified.status());
          return;
        }
        v1::VerifyHashResponse response;
        header_(store_.revision(), response.mutable_header());
        response.set_index(verified->index.value());
        response.set_state_hash(verified->digest.hash);
        response.set_revision(verified->digest.revision);
        response.set_key_count(verified->digest.key_count);
        response.set_scanned(scanned);
        call->Finish(response);
      });
}

}  // namespace raftkv::server
