#include "server/api/kv_operations.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "kv/errors.h"
#include "server/api/key_value.h"
#include "server/api/operation_results.h"
#include "server/api/page_token.h"
#include "server/api/request_checks.h"

namespace raftkv::server {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::RequestMark;
using log::v1::StoredKeyValue;

namespace {

// Before a value is taken out of the request.
template <typename Request>
absl::StatusOr<std::optional<RequestMark>> MarkOf(const Request& request) {
  if (request.request_id().empty()) {
    return std::optional<RequestMark>();
  }
  RAFTKV_ASSIGN_OR_RETURN(RequestMark mark, MakeMark(request.request_id(), request));
  return std::optional<RequestMark>(std::move(mark));
}

}  // namespace

KvOperations::KvOperations(const CommandLimits& limits, kv::Store* store,
                           ResponseHeaderFiller header)
    : limits_(limits), store_(*store), header_(std::move(header)) {}

v1::ResponseHeader KvOperations::HeaderAt(int64_t revision) const {
  v1::ResponseHeader header;
  header_(revision, &header);
  return header;
}

template <typename Response>
void KvOperations::Write(absl::StatusOr<Command> command, Mark mark, MonotonicNanos answer_by,
                         Done<Response> done,
                         std::function<void(CommandOutcome* outcome, Response* response)> fill) {
  if (!command.ok() || !mark.ok()) {
    done(command.ok() ? mark.status() : command.status());
    return;
  }
  if (mark->has_value()) {
    *command->mutable_request() = **std::move(mark);
  }
  store_.Write(*command, answer_by,
               [this, done = std::move(done),
                fill = std::move(fill)](absl::StatusOr<CommandOutcome> outcome) {
                 if (!outcome.ok()) {
                   done(outcome.status());
                   return;
                 }
                 Response response;
                 header_(outcome->revision(), response.mutable_header());
                 response.set_replayed(outcome->replayed());
                 fill(&*outcome, &response);
                 done(std::move(response));
               });
}

void KvOperations::Get(v1::GetRequest request, MonotonicNanos answer_by,
                       Done<v1::GetResponse> done) {
  const absl::Status key = CheckKey("key", request.key());
  const absl::StatusOr<kv::ReadFreshness> freshness = ReadFreshnessOf(request, answer_by);
  if (!key.ok() || !freshness.ok()) {
    done(key.ok() ? freshness.status() : key);
    return;
  }
  store_.Get(request.key(), *freshness,
             [this, form = ValueForm(request.as_text()),
              done = std::move(done)](absl::StatusOr<kv::Store::Found> found) {
               if (!found.ok()) {
                 done(found.status());
                 return;
               }
               v1::GetResponse response;
               header_(found->at, response.mutable_header());
               if (found->record.has_value()) {
                 FillKeyValue(*std::move(found->record), form, store_.Now(), response.mutable_kv());
               }
               done(std::move(response));
             });
}

void KvOperations::List(v1::ListRequest request, MonotonicNanos answer_by,
                        Done<v1::ListResponse> done) {
  absl::StatusOr<kv::ScanOptions> scan = ListedScan(request);
  const absl::StatusOr<kv::ReadFreshness> freshness = ReadFreshnessOf(request, answer_by);
  if (!scan.ok() || !freshness.ok()) {
    done(scan.ok() ? freshness.status() : scan.status());
    return;
  }
  if (request.count_only()) {
    store_.Count(scan->interval, *freshness,
                 [this, done = std::move(done)](const absl::StatusOr<kv::Store::Counted>& counted) {
                   if (!counted.ok()) {
                     done(counted.status());
                     return;
                   }
                   v1::ListResponse response;
                   header_(counted->at, response.mutable_header());
                   response.set_count(counted->keys);
                   done(std::move(response));
                 });
    return;
  }
  store_.Scan(*std::move(scan), *freshness,
              [this, done = std::move(done),
               request = std::move(request)](absl::StatusOr<kv::Store::Page> page) {
                if (!page.ok()) {
                  done(page.status());
                  return;
                }
                v1::ListResponse response;
                FillPage(request, *std::move(page), &response);
                done(std::move(response));
              });
}

void KvOperations::FillPage(const v1::ListRequest& request, kv::Store::Page page,
                            v1::ListResponse* response) const {
  header_(page.at, response->mutable_header());
  response->set_count(static_cast<int64_t>(page.keys.rows.size()));
  if (page.keys.more) {
    response->set_next_page_token(MakePageToken(request, page.keys.rows.back().key()));
  }
  const ValueForm form = request.keys_only() ? ValueForm::None() : ValueForm(request.as_text());
  for (StoredKeyValue& record : page.keys.rows) {
    FillKeyValue(std::move(record), form, store_.Now(), response->add_kvs());
  }
}

void KvOperations::Put(v1::PutRequest request, MonotonicNanos answer_by,
                       Done<v1::PutResponse> done) {
  Mark mark = MarkOf(request);
  absl::StatusOr<Command> command = MakeCommand(&request, limits_.value_bytes_max);
  Write<v1::PutResponse>(
      std::move(command), std::move(mark), answer_by, std::move(done),
      [this, as_text = request.as_text()](CommandOutcome* outcome, v1::PutResponse* response) {
        v1::PutRequest form;
        form.set_as_text(as_text);
        FillResult(form, {.now = store_.Now(), .revision = outcome->revision()},
                   outcome->mutable_operations(0), response);
      });
}

void KvOperations::Delete(v1::DeleteRequest request, MonotonicNanos answer_by,
                          Done<v1::DeleteResponse> done) {
  Mark mark = MarkOf(request);
  absl::StatusOr<Command> command = MakeCommand(&request, limits_.value_bytes_max);
  Write<v1::DeleteResponse>(
      std::move(command), std::move(mark), answer_by, std::move(done),
      [this, request = std::move(request)](CommandOutcome* outcome, v1::DeleteResponse* response) {
        FillResult(request, {.now = store_.Now(), .revision = outcome->revision()},
                   outcome->mutable_operations(0), response);
      });
}

void KvOperations::DeleteRange(v1::DeleteRangeRequest request, MonotonicNanos answer_by,
                               Done<v1::DeleteRangeResponse> done) {
  Mark mark = MarkOf(request);
  absl::StatusOr<Command> command = MakeCommand(request, limits_.delete_range_keys_max);
  Write<v1::DeleteRangeResponse>(
      std::move(command), std::move(mark), answer_by, std::move(done),
      [this, request = std::move(request)](CommandOutcome* outcome,
                                           v1::DeleteRangeResponse* response) {
        FillResult(request, {.now = store_.Now(), .revision = outcome->revision()},
                   outcome->mutable_operations(0), response);
      });
}

void KvOperations::Touch(v1::TouchRequest request, MonotonicNanos answer_by,
                         Done<v1::TouchResponse> done) {
  Mark mark = MarkOf(request);
  absl::StatusOr<Command> command = MakeCommand(&request, limits_.value_bytes_max);
  Write<v1::TouchResponse>(std::move(command), std::move(mark), answer_by, std::move(done),
                           [](CommandOutcome* outcome, v1::TouchResponse* response) {
                             FillResult(v1::TouchRequest(),
                                        {.now = {}, .revision = outcome->revision()},
                                        outcome->mutable_operations(0), response);
                           });
}

void KvOperations::Increment(v1::IncrementRequest request, MonotonicNanos answer_by,
                             Done<v1::IncrementResponse> done) {
  Mark mark = MarkOf(request);
  absl::StatusOr<Command> command = MakeCommand(&request, limits_.value_bytes_max);
  Write<v1::IncrementResponse>(std::move(command), std::move(mark), answer_by, std::move(done),
                               [](CommandOutcome* outcome, v1::IncrementResponse* response) {
                                 FillResult(v1::IncrementRequest(),
                                            {.now = {}, .revision = outcome->revision()},
                                            outcome->mutable_operations(0), response);
                               });
}

void KvOperations::Txn(v1::TxnRequest request, MonotonicNanos answer_by,
                       Done<v1::TxnResponse> done) {
  Mark mark = MarkOf(request);
  absl::StatusOr<TxnCommand> txn = MakeTxnCommand(&request, limits_);
  if (!txn.ok() || !mark.ok()) {
    done(txn.ok() ? mark.status() : txn.status());
    return;
  }
  const auto fill = [this, request = std::make_shared<const v1::TxnRequest>(std::move(request))](
                        CommandOutcome* outcome, v1::TxnResponse* response) {
    FillTxn(*request, {.now = store_.Now(), .revision = outcome->revision()}, outcome->succeeded(),
            outcome->mutable_operations(), response);
  };
  if (!txn->only_reads) {
    Write<v1::TxnResponse>(std::move(txn->command), std::move(mark), answer_by, std::move(done),
                           fill);
    return;
  }
  const kv::ReadFreshness freshness{.linearizable = request.consistency() != v1::CONSISTENCY_STALE,
                                    .deadline = answer_by};
  store_.Evaluate(
      std::move(*txn->command.mutable_txn()), freshness,
      [this, fill, done = std::move(done)](absl::StatusOr<kv::Store::Evaluated> evaluated) {
        if (!evaluated.ok()) {
          done(evaluated.status());
          return;
        }
        v1::TxnResponse response;
        header_(evaluated->at, response.mutable_header());
        fill(&evaluated->outcome, &response);
        done(std::move(response));
      });
}

}  // namespace raftkv::server
