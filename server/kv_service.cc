#include "server/kv_service.h"

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "server/api_error.h"
#include "server/key_value.h"
#include "server/limits.h"
#include "server/page_token.h"
#include "server/request_checks.h"

namespace raftkv::server {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::OperationOutcome;
using log::v1::StoredKeyValue;

namespace {

// What a proposal that was not applied is answered with.
ApiError ProposalError(raft::ProposalResult result) {
  switch (result) {
    case raft::ProposalResult::kNoLeader:
      return NoLeader();
    case raft::ProposalResult::kOverloaded:
      return Overloaded();
    case raft::ProposalResult::kShuttingDown:
      return ShuttingDown();
    case raft::ProposalResult::kOutcomeUnknown:
      return OutcomeUnknown();
    case raft::ProposalResult::kApplied:
      break;
  }
  LOG(FATAL) << "an applied proposal is no error";
}

// What a view could not answer.
ApiError ReadError(const absl::Status& status) {
  return absl::IsCancelled(status) ? TooSlow() : Corrupted(status.message());
}

}  // namespace

void KvService::Start() {
  const auto add = [this](void (KvService::*handle)(UnaryCall*), ApiError (*unsendable)()) {
    methods_.push_back(
        UnaryCall::Method{.service = &grpc_service_,
                          .number = static_cast<int>(methods_.size()),
                          .handle = [this, handle](UnaryCall* call) { (this->*handle)(call); },
                          .unsendable = unsendable,
                          .queue = node_->loop->queue(),
                          .accounting = &node_->calls});
  };
  // In the order of grpc_service_.
  add(&KvService::HandleGet, Unread);
  add(&KvService::HandlePut, UnreadOutcome);
  add(&KvService::HandleDelete, UnreadOutcome);
  add(&KvService::HandleList, Unread);
  add(&KvService::HandleDeleteRange, UnreadOutcome);
  for (const UnaryCall::Method& method : methods_) {
    UnaryCall::Announce(method, kPostedCallsPerMethod);
  }
}

void KvService::HandleGet(UnaryCall* call) {
  v1::GetRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  if (auto error = CheckKey("key", request.key()); error.has_value()) {
    call->Fail(*error);
    return;
  }
  if (auto error = CheckMinRevision(request.min_revision()); error.has_value()) {
    call->Fail(*error);
    return;
  }
  const v1::Consistency consistency = request.consistency();
  const int64_t min_revision = request.min_revision();
  ReadWhenFresh(call, consistency, min_revision,
                [this, call, request = std::move(request)] { FinishGet(call, request); });
}

void KvService::FinishGet(UnaryCall* call, const v1::GetRequest& request) {
  v1::GetResponse response;
  node_->FillHeader(node_->state_machine->revision(), response.mutable_header());
  StoredKeyValue record;
  switch (node_->state_machine->GetCached(request.key(), &record)) {
    case storage::CacheLookup::kFound:
      record.set_key(request.key());
      FillKeyValue(std::move(record), ValueForm(request.as_text()), node_->driver->Now(),
                   response.mutable_kv());
      call->Finish(response);
      return;
    case storage::CacheLookup::kAbsent:
      call->Finish(response);
      return;
    case storage::CacheLookup::kNotCached:
      break;
  }
  const bool submitted = node_->ReadOnPool(
      call, ReadPool::Length::kShort,
      [this, call, request, response = std::move(response)](
          const storage::KvView& view, const storage::GivenUp& /*given_up*/) mutable {
        auto found = view.Get(request.key());
        return [this, call, as_text = request.as_text(), response = std::move(response),
                found = std::move(found)]() mutable {
          if (!found.ok()) {
            FailRead(call, found.status());
            return;
          }
          if (found->has_value()) {
            FillKeyValue(**std::move(found), ValueForm(as_text), node_->driver->Now(),
                         response.mutable_kv());
          }
          call->Finish(response);
        };
      });
  if (!submitted) {
    call->Fail(Overloaded());
  }
}

void KvService::FailRead(UnaryCall* call, const absl::Status& status) {
  call->Fail(ReadError(status));
  if (absl::IsDataLoss(status)) {
    node_->stop_unusable(std::string(status.message()));
  }
}

void KvService::HandlePut(UnaryCall* call) {
  v1::PutRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  Command command;
  if (auto error =
          MakeCommand(&request, static_cast<uint64_t>(node_->options->value_bytes_max), &command);
      error.has_value()) {
    call->Fail(*error);
    return;
  }
  const ValueForm form(request.as_text());
  Propose(call, command, request.key(), [this, call, form](CommandOutcome outcome) {
    v1::PutResponse response;
    node_->FillHeader(outcome.revision(), response.mutable_header());
    response.set_mod_revision(outcome.revision());
    OperationOutcome& put = *outcome.mutable_operations(0);
    if (put.previous_size() > 0) {
      FillKeyValue(std::move(*put.mutable_previous(0)), form, node_->driver->Now(),
                   response.mutable_previous());
    }
    call->Finish(response);
  });
}

void KvService::HandleDelete(UnaryCall* call) {
  v1::DeleteRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  Command command;
  if (auto error =
          MakeCommand(&request, static_cast<uint64_t>(node_->options->value_bytes_max), &command);
      error.has_value()) {
    call->Fail(*error);
    return;
  }
  const ValueForm form(request.as_text());
  Propose(call, command, request.key(), [this, call, form](CommandOutcome outcome) {
    v1::DeleteResponse response;
    node_->FillHeader(outcome.revision(), response.mutable_header());
    OperationOutcome& deletion = *outcome.mutable_operations(0);
    response.set_deleted(deletion.deleted() > 0);
    if (deletion.previous_size() > 0) {
      FillKeyValue(std::move(*deletion.mutable_previous(0)), form, node_->driver->Now(),
                   response.mutable_previous());
    }
    call->Finish(response);
  });
}

void KvService::HandleDeleteRange(UnaryCall* call) {
  v1::DeleteRangeRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  Command command;
  if (auto error = MakeCommand(
          request, static_cast<uint64_t>(node_->options->delete_range_keys_max), &command);
      error.has_value()) {
    call->Fail(*error);
    return;
  }
  const ValueForm form(request.as_text());
  Propose(call, command, /*key=*/"", [this, call, form](CommandOutcome outcome) {
    v1::DeleteRangeResponse response;
    node_->FillHeader(outcome.revision(), response.mutable_header());
    OperationOutcome& deletion = *outcome.mutable_operations(0);
    response.set_deleted(static_cast<int64_t>(deletion.deleted()));
    response.set_more(deletion.more());
    for (StoredKeyValue& record : *deletion.mutable_previous()) {
      FillKeyValue(std::move(record), form, node_->driver->Now(), response.add_previous());
    }
    call->Finish(response);
  });
}

void KvService::Propose(UnaryCall* call, const Command& command, std::string key,
                        std::function<void(CommandOutcome outcome)> finish) {
  if (node_->draining) {
    call->Fail(ShuttingDown());
    return;
  }
  const MonotonicNanos deadline = call->AnswerBy();
  const auto keys_max = static_cast<uint64_t>(node_->options->delete_range_keys_max);
  node_->driver->Propose(
      command.SerializeAsString(), deadline,
      [call, keys_max, key = std::move(key), finish = std::move(finish)](
          raft::ProposalResult result, std::string bytes) {
        if (result != raft::ProposalResult::kApplied) {
          call->Fail(ProposalError(result));
          return;
        }
        CommandOutcome outcome;
        CHECK(outcome.ParseFromString(bytes)) << "the state machine's outcome does not parse";
        switch (outcome.verdict()) {
          case CommandOutcome::VERDICT_APPLIED:
            finish(std::move(outcome));
            return;
          case CommandOutcome::VERDICT_GUARD_FAILED:
            call->Fail(PreconditionFailed(key, outcome.current_mod_revision()));
            return;
          case CommandOutcome::VERDICT_RANGE_TOO_LARGE:
            call->Fail(RangeTooLarge(outcome, keys_max));
            return;
          default:
            LOG(FATAL) << "the state machine's outcome has verdict " << outcome.verdict();
        }
      });
}

void KvService::ReadWhenFresh(UnaryCall* call, v1::Consistency consistency, int64_t min_revision,
                              std::function<void()> read) {
  const MonotonicNanos deadline = call->AnswerBy();
  node_->ReadWhenFresh(call, consistency, deadline,
                       [this, call, min_revision, deadline, read = std::move(read)]() mutable {
                         AwaitRevision(call, min_revision, deadline, std::move(read));
                       });
}

void KvService::AwaitRevision(UnaryCall* call, int64_t min_revision, MonotonicNanos deadline,
                              std::function<void()> read) {
  if (min_revision <= node_->state_machine->revision()) {
    read();
    return;
  }
  if (!revision_waiters_.Add({.call = call,
                              .min_revision = min_revision,
                              .deadline = deadline,
                              .read = std::move(read)})) {
    call->Fail(Overloaded());
  }
}

void KvService::OnApplied() {
  for (const RevisionWaiters::Waiter& waiter :
       revision_waiters_.TakeReached(node_->state_machine->revision())) {
    waiter.read();
  }
}

void KvService::Tick() {
  const MonotonicNanos until = node_->draining ? kNever : node_->clock->Now();
  for (const RevisionWaiters::Waiter& waiter : revision_waiters_.TakeLate(until)) {
    waiter.call->Fail(node_->draining
                          ? ShuttingDown()
                          : TooStale(waiter.min_revision, node_->state_machine->revision()));
  }
}

void KvService::HandleList(UnaryCall* call) {
  v1::ListRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  storage::ScanOptions scan;
  if (auto error = CheckList(request, &scan); error.has_value()) {
    call->Fail(*error);
    return;
  }
  const v1::Consistency consistency = request.consistency();
  const int64_t min_revision = request.min_revision();
  ReadWhenFresh(call, consistency, min_revision,
                [this, call, request = std::move(request), scan = std::move(scan)] {
                  if (request.count_only()) {
                    FinishCount(call, scan.interval);
                  } else {
                    FinishList(call, request, scan);
                  }
                });
}

void KvService::FinishList(UnaryCall* call, const v1::ListRequest& request,
                           const storage::ScanOptions& scan) {
  const ReadPool::Length length =
      scan.keys_max <= kShortListKeysMax ? ReadPool::Length::kShort : ReadPool::Length::kLong;
  const bool submitted = node_->ReadOnPool(
      call, length,
      [this, call, request, scan = scan](const storage::KvView& view,
                                         const storage::GivenUp& given_up) mutable {
        scan.given_up = given_up;
        auto page = view.Scan(scan);
        return [this, call, request, revision = view.revision(), page = std::move(page)]() mutable {
          if (!page.ok()) {
            FailRead(call, page.status());
            return;
          }
          v1::ListResponse response;
          node_->FillHeader(revision, response.mutable_header());
          response.set_count(static_cast<int64_t>(page->rows.size()));
          if (page->more) {
            response.set_next_page_token(MakePageToken(request, page->rows.back().key()));
          }
          const ValueForm form =
              request.keys_only() ? ValueForm::None() : ValueForm(request.as_text());
          for (StoredKeyValue& record : page->rows) {
            FillKeyValue(std::move(record), form, node_->driver->Now(), response.add_kvs());
          }
          call->Finish(response);
        };
      });
  if (!submitted) {
    call->Fail(Overloaded());
  }
}

void KvService::FinishCount(UnaryCall* call, const storage::KeyInterval& interval) {
  storage::KvStateMachine* const machine = node_->state_machine;
  if (const std::optional<int64_t> known = machine->KnownCount(interval); known.has_value()) {
    AnswerCount(call, machine->revision(), *known);
    return;
  }
  const uint64_t walk = machine->BeginCount(interval);
  const bool submitted = node_->ReadOnPool(
      call, ReadPool::Length::kLong,
      [this, call, interval, machine, walk](const storage::KvView& view,
                                            const storage::GivenUp& given_up) {
        auto count = view.Count(interval, given_up);
        return [this, call, machine, walk, revision = view.revision(), count = std::move(count)] {
          if (!count.ok()) {
            machine->EndCount(walk, std::nullopt);
            FailRead(call, count.status());
            return;
          }
          machine->EndCount(walk, *count);
          AnswerCount(call, revision, *count);
        };
      });
  if (!submitted) {
    machine->EndCount(walk, std::nullopt);
    call->Fail(Overloaded());
  }
}

void KvService::AnswerCount(UnaryCall* call, int64_t revision, int64_t count) const {
  v1::ListResponse response;
  node_->FillHeader(revision, response.mutable_header());
  response.set_count(count);
  call->Finish(response);
}

}  // namespace raftkv::server
