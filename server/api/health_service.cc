#include "server/api/health_service.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kv/errors.h"
#include "server/limits.h"
#include "server/loop/message_bytes.h"

namespace raftkv::server {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One stream of status changes. Deletes itself after its last event: the end of its last operation
// and, for a call that began, gRPC's notice that it is done.
class HealthService::Watch final : public EventTag, private UnfinishedRequests::Request {
 public:
  explicit Watch(HealthService* service) : service_(service), stream_(&context_) {
    context_.AsyncNotifyWhenDone(&done_tag_);
    service_->service_.service()->Announce(service_->watch_method_, &context_, &stream_,
                                           service_->queue_, this);
  }

  void OnEvent(bool ok) override {
    switch (state_) {
      case State::kAnnounced:
        if (!ok) {  // The server is shutting down.
          delete this;
          return;
        }
        new Watch(service_);
        state_ = State::kReading;
        unfinished_ = calls().unfinished.Add(this, calls().clock->Now());
        stream_.Read(&request_, this);
        return;
      case State::kReading:
        if (unfinished_.has_value()) {
          calls().unfinished.Remove(*unfinished_);
        }
        Begin(ok);
        DeleteIfOver();
        return;
      case State::kWriting:
        state_ = State::kIdle;
        if (!ok || done_ || service_->ended_) {
          Finish();
        } else {
          SendIfChanged();
        }
        DeleteIfOver();
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

  void OnLeftOver(bool ok) override {
    if (state_ == State::kAnnounced && !ok) {
      delete this;
      return;
    }
    state_ = State::kFinished;
    DeleteIfOver();
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
    stream_.Write(SerializeMessage(response), this);
  }

  void EndIfIdle() {
    if (state_ == State::kIdle) {
      Finish();
    }
  }

 private:
  enum class State { kAnnounced, kReading, kIdle, kWriting, kFinishing, kFinished };

  class DoneTag final : public EventTag {
   public:
    explicit DoneTag(Watch* watch) : watch_(watch) {}
    void OnEvent(bool /*ok*/) override {
      watch_->done_ = true;
      watch_->EndIfIdle();
      watch_->DeleteIfOver();
    }
    void OnLeftOver(bool /*ok*/) override {
      watch_->done_ = true;
      if (watch_->state_ == State::kIdle) {
        watch_->state_ = State::kFinished;
      }
      watch_->DeleteIfOver();
    }

   private:
    Watch* const watch_;
  };

  CallAccounting& calls() { return *service_->accounting_; }

  void GiveUp() override {
    unfinished_.reset();
    context_.TryCancel();
  }

  void Begin(bool ok) {
    HealthCheckRequest request;
    if (!ok || !ParseMessage(&request_, &request)) {
      Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the call has no such request"));
      return;
    }
    kind_ = KindOf(request.service());
    service_->watches(kind_).rounds.Add(this);
    state_ = State::kIdle;
    Tell();
  }

  void Finish(const grpc::Status& status = grpc::Status(grpc::StatusCode::UNAVAILABLE,
                                                        "the member is stopping")) {
    state_ = State::kFinishing;
    stream_.Finish(status, this);
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
  grpc::ByteBuffer request_;
  UnaryService::Stream stream_;
  std::optional<UnfinishedRequests::Ticket> unfinished_;
  Kind kind_ = Kind::kUnknown;
  std::optional<Status> sent_;
};

HealthService::HealthService(const kv::Store* store) : store_(*store) {
  service_.AddMethod<HealthCheckRequest>(
      "Check", kv::UnreadError,
      [this](ApiCall* call, const HealthCheckRequest& request) { Check(call, request); });
  watch_method_ = service_.AddStream("Watch");
}

void HealthService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  queue_ = queue;
  accounting_ = accounting;
  service_.Start(queue, accounting);
  new Watch(this);
}

HealthService::Kind HealthService::KindOf(const std::string& service) {
  // Who looks after a member may ask it also when it knows no leader.
  if (service.empty() || service == "raftkv.v1.MaintenanceService") {
    return Kind::kLiveness;
  }
  if (service == "raftkv.leader") {
    return Kind::kLeadership;
  }
  if (service == "raftkv.v1.KvService" || service == "raftkv.v1.ClusterService" ||
      service == "raftkv.v1.WatchService") {
    return Kind::kReadiness;
  }
  return Kind::kUnknown;
}

HealthService::Status HealthService::Current(Kind kind) const {
  const raft::RaftStatus raft = store_.raft();
  bool serving = !store_.draining();
  switch (kind) {
    case Kind::kUnknown:
      return HealthCheckResponse::SERVICE_UNKNOWN;
    case Kind::kLiveness:
      break;
    case Kind::kReadiness:
      serving = serving && raft.is_caught_up();
      break;
    case Kind::kLeadership:
      serving = serving && raft.leads();
      break;
  }
  return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::Check(ApiCall* call, const HealthCheckRequest& request) {
  const Kind kind = KindOf(request.service());
  if (kind == Kind::kUnknown) {
    call->Fail(absl::NotFoundError(
        absl::StrCat("no health is known for ", kv::EchoKey(request.service()),
                     "; there are \"\", \"raftkv.v1.KvService\", \"raftkv.v1.ClusterService\", "
                     "\"raftkv.v1.WatchService\", "
                     "\"raftkv.v1.MaintenanceService\" and \"raftkv.leader\"")));
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
