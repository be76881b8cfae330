#include "server/health_service.h"

#include <grpcpp/support/async_stream.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/limits.h"

namespace raftkv::server {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One stream of status changes. Deletes itself after its last event: the end of its last operation
// and, for a call that began, gRPC's notice that it is done.
class HealthService::Watch final : public EventTag {
 public:
  explicit Watch(HealthService* service) : service_(service), writer_(&context_) {
    context_.AsyncNotifyWhenDone(&done_tag_);
    service_->grpc_service_.RequestWatch(&context_, &request_, &writer_,
                                         service_->node_->loop->queue(),
                                         service_->node_->loop->queue(), this);
  }

  void OnEvent(bool ok) override {
    switch (state_) {
      case State::kAnnounced:
        if (!ok) {  // The server is shutting down.
          delete this;
          return;
        }
        Begin();
        return;
      case State::kWriting:
        state_ = State::kIdle;
        if (!ok || done_ || service_->ended_) {
          Finish();
        } else {
          SendIfChanged();
        }
        return;
      case State::kFinishing:
        state_ = State::kFinished;
        DeleteIfOver();
        return;
      case State::kIdle:
      case State::kFinished:
        return;
    }
  }

  // The change that it is told of may be the service's end.
  void Tell() {
    if (service_->ended_) {
      EndIfIdle();
    } else {
      SendIfChanged();
    }
  }

  void SendIfChanged() {
    const Status status = service_->Current(kind_);
    if (state_ != State::kIdle || sent_ == status) {
      return;
    }
    sent_ = status;
    state_ = State::kWriting;
    HealthCheckResponse response;
    response.set_status(status);
    writer_.Write(response, this);
  }

  void EndIfIdle() {
    if (state_ == State::kIdle) {
      Finish();
    }
  }

 private:
  enum class State { kAnnounced, kIdle, kWriting, kFinishing, kFinished };

  class DoneTag final : public EventTag {
   public:
    explicit DoneTag(Watch* watch) : watch_(watch) {}
    void OnEvent(bool /*ok*/) override {
      watch_->done_ = true;
      watch_->EndIfIdle();
      watch_->DeleteIfOver();
    }

   private:
    Watch* const watch_;
  };

  void Begin() {
    new Watch(service_);
    kind_ = KindOf(request_.service());
    service_->watches(kind_).rounds.Add(this);
    state_ = State::kIdle;
    Tell();
  }

  void Finish() {
    state_ = State::kFinishing;
    writer_.Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the member is stopping"), this);
  }

  void DeleteIfOver() {
    if (state_ == State::kFinished && done_) {
      service_->watches(kind_).rounds.Remove(this);
      delete this;
    }
  }

  HealthService* const service_;
  State state_ = State::kAnnounced;
  bool done_ = false;
  DoneTag done_tag_{this};
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_;
  Kind kind_ = Kind::kUnknown;
  std::optional<Status> sent_;
};

void HealthService::Start() {
  check_method_ = UnaryCall::Method{
      .announce =
          [this](auto* context, auto* bytes, auto* responder, auto* queue, void* tag) {
            grpc_service_.RequestCheck(context, bytes, responder, queue, queue, tag);
          },
      .handle = [this](UnaryCall* call) { HandleCheck(call); },
      .unsendable = Unread,
      .queue = node_->loop->queue(),
      .accounting = &node_->calls};
  UnaryCall::Announce(check_method_, kPostedCallsPerMethod);
  new Watch(this);
}

HealthService::Kind HealthService::KindOf(const std::string& service) {
  if (service.empty()) {
    return Kind::kLiveness;
  }
  if (service == "raftkv.leader") {
    return Kind::kLeadership;
  }
  if (service == "raftkv.v1.KvService" || service == "raftkv.v1.ClusterService") {
    return Kind::kReadiness;
  }
  return Kind::kUnknown;
}

HealthService::Status HealthService::Current(Kind kind) const {
  const raft::RaftCore& core = node_->driver->core();
  bool serving = !node_->draining;
  switch (kind) {
    case Kind::kUnknown:
      return HealthCheckResponse::SERVICE_UNKNOWN;
    case Kind::kLiveness:
      break;
    case Kind::kReadiness:
      // An entry of the current term is applied: the state has everything that was committed before
      // this leader.
      serving = serving && core.leader() != raft::kNobody &&
                node_->state_machine->applied().term == core.term();
      break;
    case Kind::kLeadership:
      serving = serving && core.role() == raft::RaftRole::kLeader;
      break;
  }
  return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::HandleCheck(UnaryCall* call) {
  HealthCheckRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  const Kind kind = KindOf(request.service());
  if (kind == Kind::kUnknown) {
    call->Fail(
        ApiError{.code = grpc::StatusCode::NOT_FOUND,
                 .reason = "",
                 .message = absl::StrCat("no health is known for ", EchoKey(request.service()),
                                         "; there are \"\", \"raftkv.v1.KvService\", "
                                         "\"raftkv.v1.ClusterService\" and \"raftkv.leader\""),
                 .metadata = {},
                 .retry_delay_ms = std::nullopt,
                 .retry_pushback_ms = std::nullopt});
    return;
  }
  HealthCheckResponse response;
  response.set_status(Current(kind));
  call->Finish(response);
}

bool HealthService::OnTurn() {
  size_t left = kWatchesPerTurnMax;
  bool more = false;
  for (size_t i = 0; i < kKinds; ++i) {
    Watches& watches = watches_[i];
    if (const Status status = Current(static_cast<Kind>(i)); watches.told != status) {
      watches.told = status;
      watches.rounds.Begin();
    }
    left -= watches.rounds.Step(left, [](Watch* watch) { watch->Tell(); });
    more = more || watches.rounds.under_way();
  }
  return more;
}

void HealthService::EndWatches() {
  ended_ = true;
  for (Watches& watches : watches_) {
    watches.rounds.Begin();
  }
}

}  // namespace raftkv::server
