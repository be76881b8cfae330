#include "server/api/kv_service.h"

#include <utility>

#include "base/status_macros.h"
#include "kv/errors.h"
#include "server/api/key_value.h"
#include "server/api/page_token.h"
#include "server/api/request_checks.h"

namespace raftkv::server {

using log::v1::CommandOutcome;
using log::v1::OperationOutcome;
using log::v1::StoredKeyValue;

namespace {

template <typename Request>
kv::ReadFreshness FreshnessOf(const Request& request, const ApiCall& call) {
  return {.linearizable = request.consistency() != v1::CONSISTENCY_STALE,
          .min_revision = request.min_revision(),
          .deadline = call.AnswerBy()};
}

absl::Status CheckGet(const v1::GetRequest& request) {
  RAFTKV_RETURN_IF_ERROR(CheckKey("key", request.key()));
  return CheckMinRevision(request.min_revision());
}

}  // namespace

KvService::KvService(const Limits& limits, kv::Store* store, ResponseHeaderFiller header)
    : limits_(limits), store_(*store), header_(std::move(header)) {
  service_.AddMethod<v1::GetRequest>(
      "Get", kv::UnreadError,
      [this](ApiCall* call, const v1::GetRequest& request) { Get(call, request); });
  service_.AddMethod<v1::PutRequest>(
      "Put", kv::UnreadOutcomeError,
      [this](ApiCall* call, v1::PutRequest request) { Put(call, std::move(request)); });
  service_.AddMethod<v1::DeleteRequest>(
      "Delete", kv::UnreadOutcomeError,
      [this](ApiCall* call, v1::DeleteRequest request) { Delete(call, std::move(request)); });
  service_.AddMethod<v1::ListRequest>(
      "List", kv::UnreadError,
      [this](ApiCall* call, const v1::ListRequest& request) { List(call, request); });
  service_.AddMethod<v1::DeleteRangeRequest>(
      "DeleteRange", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::DeleteRangeRequest& request) { DeleteRange(call, request); });
}

void KvService::Get(ApiCall* call, const v1::GetRequest& request) {
  if (const absl::Status status = CheckGet(request); !status.ok()) {
    call->Fail(status);
    return;
  }
  store_.Get(
      request.key(), FreshnessOf(request, *call),
      [this, call, form = ValueForm(request.as_text())](absl::StatusOr<kv::Store::Found> found) {
        if (!found.ok()) {
          call->Fail(found.status());
          return;
        }
        v1::GetResponse response;
        header_(found->at.revision, response.mutable_header());
        if (found->record.has_value()) {
          FillKeyValue(*std::move(found->record), form, store_.Now(), response.mutable_kv());
        }
        call->Finish(response);
      });
}

void KvService::Put(ApiCall* call, v1::PutRequest request) {
  const ValueForm form(request.as_text());
  Write(call, MakeCommand(&request, limits_.value_bytes_max),
        [this, call, form](CommandOutcome outcome) {
          v1::PutResponse response;
          header_(outcome.revision(), response.mutable_header());
          response.set_mod_revision(outcome.revision());
          OperationOutcome& put = *outcome.mutable_operations(0);
          if (put.previous_size() > 0) {
            FillKeyValue(std::move(*put.mutable_previous(0)), form, store_.Now(),
                         response.mutable_previous());
          }
          call->Finish(response);
        });
}

void KvService::Delete(ApiCall* call, v1::DeleteRequest request) {
  const ValueForm form(request.as_text());
  Write(call, MakeCommand(&request, limits_.value_bytes_max),
        [this, call, form](CommandOutcome outcome) {
          v1::DeleteResponse response;
          header_(outcome.revision(), response.mutable_header());
          OperationOutcome& deletion = *outcome.mutable_operations(0);
          response.set_deleted(deletion.deleted() > 0);
          if (deletion.previous_size() > 0) {
            FillKeyValue(std::move(*deletion.mutable_previous(0)), form, store_.Now(),
                         response.mutable_previous());
          }
          call->Finish(response);
        });
}

void KvService::DeleteRange(ApiCall* call, const v1::DeleteRangeRequest& request) {
  const ValueForm form(request.as_text());
  Write(call, MakeCommand(request, limits_.delete_range_keys_max),
        [this, call, form](CommandOutcome outcome) {
          v1::DeleteRangeResponse response;
          header_(outcome.revision(), response.mutable_header());
          OperationOutcome& deletion = *outcome.mutable_operations(0);
          response.set_deleted(static_cast<int64_t>(deletion.deleted()));
          response.set_more(deletion.more());
          for (StoredKeyValue& record : *deletion.mutable_previous()) {
            FillKeyValue(std::move(record), form, store_.Now(), response.add_previous());
          }
          call->Finish(response);
        });
}

void KvService::Write(ApiCall* call, const absl::StatusOr<log::v1::Command>& command,
                      std::function<void(CommandOutcome outcome)> finish) {
  if (!command.ok()) {
    call->Fail(command.status());
    return;
  }
  store_.Write(*command, call->AnswerBy(),
               [call, finish = std::move(finish)](absl::StatusOr<CommandOutcome> outcome) {
                 if (outcome.ok()) {
                   finish(*std::move(outcome));
                 } else {
                   call->Fail(outcome.status());
                 }
               });
}

void KvService::List(ApiCall* call, const v1::ListRequest& request) {
  absl::StatusOr<kv::ScanOptions> scan = ListedScan(request);
  if (!scan.ok()) {
    call->Fail(scan.status());
    return;
  }
  const kv::ReadFreshness freshness = FreshnessOf(request, *call);
  if (request.count_only()) {
    store_.Count(scan->interval, freshness,
                 [this, call](const absl::StatusOr<kv::Store::Counted>& counted) {
                   if (!counted.ok()) {
                     call->Fail(counted.status());
                     return;
                   }
                   v1::ListResponse response;
                   header_(counted->at.revision, response.mutable_header());
                   response.set_count(counted->keys);
                   call->Finish(response);
                 });
    return;
  }
  store_.Scan(*std::move(scan), freshness,
              [this, call, request](absl::StatusOr<kv::Store::Page> page) {
                if (page.ok()) {
                  AnswerPage(call, request, *std::move(page));
                } else {
                  call->Fail(page.status());
                }
              });
}

void KvService::AnswerPage(ApiCall* call, const v1::ListRequest& request, kv::Store::Page page) {
  v1::ListResponse response;
  header_(page.at.revision, response.mutable_header());
  response.set_count(static_cast<int64_t>(page.keys.rows.size()));
  if (page.keys.more) {
    response.set_next_page_token(MakePageToken(request, page.keys.rows.back().key()));
  }
  const ValueForm form = request.keys_only() ? ValueForm::None() : ValueForm(request.as_text());
  for (StoredKeyValue& record : page.keys.rows) {
    FillKeyValue(std::move(record), form, store_.Now(), response.add_kvs());
  }
  call->Finish(response);
}

}  // namespace raftkv::server
