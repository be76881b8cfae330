#include "server/api/lease_service.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/deadline.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "server/api/key_value.h"
#include "server/api/request_checks.h"
#include "server/limits.h"
#include "server/loop/message_bytes.h"
#include "server/loop/unknown_fields.h"

namespace raftkv::server {

using log::v1::Command;
using log::v1::CommandOutcome;

namespace {

// As it was right after a command that made it, or renewed it.
void FillLease(const CommandOutcome& outcome, v1::Lease* lease) {
  lease->set_id(outcome.lease_id());
  SetMillis(outcome.lease_ttl_ms(), lease->mutable_ttl());
  SetMillis(outcome.lease_lasts_ms(), lease->mutable_ttl_remaining());
}

}  // namespace

absl::StatusOr<Command> MakeCommand(const v1::GrantLeaseRequest& request) {
  Command command;
  log::v1::GrantLease* const grant = command.mutable_grant_lease();
  if (request.id() < 0) {
    return kv::BadLeaseError("id", request.id(),
                             "must be 1 or more, or 0 to have the store choose a free one");
  }
  RAFTKV_ASSIGN_OR_RETURN(const uint64_t ttl_ms, LeaseTtlMillis(request.ttl()));
  if (!request.request_id().empty()) {
    RAFTKV_ASSIGN_OR_RETURN(*command.mutable_request(), MakeMark(request.request_id(), request));
  }
  grant->set_id(request.id());
  grant->set_ttl_ms(ttl_ms);
  grant->set_leases_max(kv::kLeasesMax);
  grant->set_keys_max(kv::kLeaseKeysMax);
  return command;
}

absl::StatusOr<Command> MakeCommand(const v1::RenewLeaseRequest& request) {
  Command command;
  RAFTKV_RETURN_IF_ERROR(CheckLeaseId("id", request.id()));
  log::v1::RenewLease* const renewal = command.mutable_renew_lease();
  renewal->set_id(request.id());
  if (request.has_ttl()) {
    RAFTKV_ASSIGN_OR_RETURN(const uint64_t ttl_ms, LeaseTtlMillis(request.ttl()));
    renewal->set_ttl_ms(ttl_ms);
  }
  return command;
}

absl::StatusOr<Command> MakeCommand(const v1::RevokeLeaseRequest& request) {
  Command command;
  RAFTKV_RETURN_IF_ERROR(CheckLeaseId("id", request.id()));
  command.mutable_revoke_lease()->set_id(request.id());
  return command;
}

// A stream that keeps leases alive. A renewal that it waits for may come after its end, and finds
// nobody then.
class LeaseService::Stream final : public StreamCall {
 public:
  explicit Stream(LeaseService* service)
      : StreamCall(service->keep_alive_method_), service_(*service) {}
  ~Stream() override { service_.streams_.erase(this); }

  // Ends it with `error`, or as it was to end already, once gRPC has what is being written.
  void End(const absl::Status& error) {
    if (!end_.has_value()) {
      end_ = error;
    }
    GoOn();
  }

 private:
  // What a request comes to, once it is known.
  struct Answer {
    std::optional<v1::KeepLeaseAliveResponse> response;
  };

  void OnBegun() override {
    new Stream(&service_);
    service_.streams_.insert(this);
    if (service_.ended_) {
      End(kv::ShuttingDownError());
    } else if (service_.streams_.size() > kLeaseStreamsMax) {
      End(kv::OverloadedError());
    } else {
      GoOn();
    }
  }

  void OnRead(bool ok, grpc::ByteBuffer* message) override {
    if (!ok) {
      asks_no_more_ = true;
      GoOn();
      return;
    }
    v1::KeepLeaseAliveRequest request;
    const absl::Status taken =
        ParseMessage(message, &request)
            ? Take(request)
            : kv::MalformedError(v1::KeepLeaseAliveRequest::descriptor()->full_name());
    if (taken.ok()) {
      GoOn();
    } else {
      End(taken);
    }
  }

  absl::Status Take(const v1::KeepLeaseAliveRequest& request) {
    RAFTKV_RETURN_IF_ERROR(CheckFieldsAreKnown(request));
    v1::RenewLeaseRequest renewal;
    renewal.set_id(request.id());
    RAFTKV_ASSIGN_OR_RETURN(const Command command, MakeCommand(renewal));
    answers_.emplace_back();
    // Answers stay where they are while others come and go at the ends.
    Answer* const answer = &answers_.back();
    service_.store_.Write(command, DeadlineAfter(service_.clock_.Now(), calls().default_timeout),
                          [alive = std::weak_ptr<Stream*>(self_), answer,
                           id = request.id()](const absl::StatusOr<CommandOutcome>& outcome) {
                            if (const std::shared_ptr<Stream*> stream = alive.lock();
                                stream != nullptr) {
                              (*stream)->OnRenewed(id, outcome, answer);
                            }
                          });
    return absl::OkStatus();
  }

  void OnRenewed(int64_t id, const absl::StatusOr<CommandOutcome>& outcome, Answer* answer) {
    if (!outcome.ok() && !absl::IsNotFound(outcome.status())) {
      End(outcome.status());
      return;
    }
    v1::KeepLeaseAliveResponse& response = answer->response.emplace();
    service_.header_(outcome.ok() ? outcome->revision() : service_.store_.revision(),
                     response.mutable_header());
    if (outcome.ok()) {
      server::FillLease(*outcome, response.mutable_lease());
    } else {
      response.mutable_lease()->set_id(id);
      response.set_expired(true);
    }
    GoOn();
  }

  void OnWritten(bool ok) override {
    answers_.pop_front();
    if (!ok) {
      End(absl::CancelledError("the client is gone"));
    } else {
      GoOn();
    }
  }

  void OnGone() override { End(absl::CancelledError("the client is gone")); }

  // Begins what can be begun.
  void GoOn() {
    if (!is_open() || writing()) {
      return;
    }
    if (!end_.has_value() && asks_no_more_ && answers_.empty()) {
      end_ = absl::OkStatus();
    }
    if (end_.has_value()) {
      self_.reset();
      service_.streams_.erase(this);
      if (end_->ok()) {
        Finish(grpc::Status::OK);
      } else {
        Fail(*end_);
      }
      return;
    }
    if (!answers_.empty() && answers_.front().response.has_value()) {
      Write(SerializeMessage(*answers_.front().response));
    }
    if (!reading() && !asks_no_more_ && answers_.size() < kLeaseRenewalsAtOnce) {
      // It may come at any time.
      Read(/*whole_soon=*/false);
    }
  }

  LeaseService& service_;
  // For those who may come back when it has ended.
  std::shared_ptr<Stream*> self_ = std::make_shared<Stream*>(this);
  bool asks_no_more_ = false;
  // How it is to end, as soon as it can.
  std::optional<absl::Status> end_;
  // Of the requests that were taken, in their order. At most kLeaseRenewalsAtOnce.
  std::deque<Answer> answers_;
};

LeaseService::LeaseService(kv::Store* store, const MonotonicClock* clock,
                           ResponseHeaderFiller header)
    : store_(*store), clock_(*clock), header_(std::move(header)) {
  service_.AddMethod<v1::GrantLeaseRequest>(
      "GrantLease", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::GrantLeaseRequest& request) { Grant(call, request); });
  service_.AddMethod<v1::RenewLeaseRequest>(
      "RenewLease", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::RenewLeaseRequest& request) { Renew(call, request); });
  service_.AddMethod<v1::RevokeLeaseRequest>(
      "RevokeLease", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::RevokeLeaseRequest& request) { Revoke(call, request); });
  service_.AddMethod<v1::GetLeaseRequest>(
      "GetLease", kv::UnreadError,
      [this](ApiCall* call, const v1::GetLeaseRequest& request) { Get(call, request); });
  service_.AddMethod<v1::ListLeasesRequest>(
      "ListLeases", kv::UnreadError,
      [this](ApiCall* call, const v1::ListLeasesRequest& request) { List(call, request); });
  keep_alive_method_.number = service_.AddStream("KeepLeaseAlive");
}

LeaseService::~LeaseService() = default;

void LeaseService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  service_.Start(queue, accounting);
  keep_alive_method_.service = service_.service();
  keep_alive_method_.queue = queue;
  keep_alive_method_.accounting = accounting;
  new Stream(this);
}

void LeaseService::End() {
  ended_ = true;
  for (Stream* const stream : std::set<Stream*>(streams_)) {
    stream->End(kv::ShuttingDownError());
  }
}

template <typename Response>
void LeaseService::Write(ApiCall* call, const absl::StatusOr<Command>& command,
                         void (*fill)(const CommandOutcome& outcome, Response* response)) {
  if (!command.ok()) {
    call->Fail(command.status());
    return;
  }
  store_.Write(*command, call->AnswerBy(),
               [this, call, fill](const absl::StatusOr<CommandOutcome>& outcome) {
                 if (!outcome.ok()) {
                   call->Fail(outcome.status());
                   return;
                 }
                 Response response;
                 header_(outcome->revision(), response.mutable_header());
                 fill(*outcome, &response);
                 call->Finish(response);
               });
}

void LeaseService::Grant(ApiCall* call, const v1::GrantLeaseRequest& request) {
  Write<v1::GrantLeaseResponse>(
      call, MakeCommand(request),
      [](const CommandOutcome& outcome, v1::GrantLeaseResponse* response) {
        server::FillLease(outcome, response->mutable_lease());
        response->set_replayed(outcome.replayed());
      });
}

void LeaseService::Renew(ApiCall* call, const v1::RenewLeaseRequest& request) {
  Write<v1::RenewLeaseResponse>(
      call, MakeCommand(request),
      [](const CommandOutcome& outcome, v1::RenewLeaseResponse* response) {
        server::FillLease(outcome, response->mutable_lease());
      });
}

void LeaseService::Revoke(ApiCall* call, const v1::RevokeLeaseRequest& request) {
  Write<v1::RevokeLeaseResponse>(
      call, MakeCommand(request),
      [](const CommandOutcome& outcome, v1::RevokeLeaseResponse* response) {
        response->set_deleted(static_cast<int64_t>(outcome.lease_keys()));
      });
}

void LeaseService::FillLease(const kv::Lease& lease, raft::ClusterMillis term_began,
                             v1::Lease* filled) const {
  filled->set_id(lease.id);
  SetMillis(lease.ttl_ms, filled->mutable_ttl());
  const uint64_t deadline = kv::DeadlineOf(lease, term_began).value();
  const uint64_t now = store_.Now().value();
  // Deadlines are a millisecond later than asked for, since stamps are rounded down.
  SetMillis(deadline > now ? deadline - now - 1 : 0, filled->mutable_ttl_remaining());
}

void LeaseService::Get(ApiCall* call, const v1::GetLeaseRequest& request) {
  absl::Status status = CheckLeaseId("id", request.id());
  if (status.ok() && !request.after_key().empty()) {
    status = CheckKey("after_key", request.after_key());
  }
  if (!status.ok()) {
    call->Fail(status);
    return;
  }
  store_.GetLease(request.id(), request.keys() ? std::optional(request.after_key()) : std::nullopt,
                  {.deadline = call->AnswerBy()},
                  [this, call](const absl::StatusOr<kv::Store::FoundLease>& found) {
                    if (!found.ok()) {
                      call->Fail(found.status());
                      return;
                    }
                    v1::GetLeaseResponse response;
                    header_(found->at.revision, response.mutable_header());
                    FillLease(found->lease, found->term_began, response.mutable_lease());
                    for (const std::string& key : found->keys.keys) {
                      response.add_keys(key);
                    }
                    response.set_more_keys(found->keys.more);
                    call->Finish(response);
                  });
}

void LeaseService::List(ApiCall* call, const v1::ListLeasesRequest& request) {
  absl::Status status;
  if (request.page_size() < 0) {
    status = kv::BadPageSizeError(request.page_size());
  } else if (request.after_id() < 0) {
    status = kv::BadLeaseError("after_id", request.after_id(), "must be 0 or more");
  }
  if (!status.ok()) {
    call->Fail(status);
    return;
  }
  const int32_t page_size = request.page_size() == 0
                                ? kv::kLeaseListDefault
                                : std::min(request.page_size(), kv::kLeaseListMax);
  store_.ListLeases(request.after_id(), static_cast<size_t>(page_size),
                    {.deadline = call->AnswerBy()},
                    [this, call](const absl::StatusOr<kv::Store::LeaseList>& list) {
                      if (!list.ok()) {
                        call->Fail(list.status());
                        return;
                      }
                      v1::ListLeasesResponse response;
                      header_(list->at.revision, response.mutable_header());
                      for (const kv::Lease& lease : list->leases) {
                        FillLease(lease, list->term_began, response.add_leases());
                      }
                      response.set_more(list->more);
                      call->Finish(response);
                    });
}

}  // namespace raftkv::server
