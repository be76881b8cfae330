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

// One stream of status changes.
class HealthService::Watch final : public StreamCall {
 public:
  explicit Watch(HealthService* service) : StreamCall(service->watch_method_), service_(*service) {}
  ~Watch() override {
    if (kind_.has_value()) {
      service_.watches(*kind_).rounds.Remove(this);
    }
  }

  // The change that it is told of may be the service's end.
  void Tell() {
    if (!is_open() || writing()) {
      return;
    }
    if (service_.ended_ || is_gone()) {
      Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the member is stopping"));
      return;
    }
    const Status status = service_.Current(*kind_);
    if (sent_ == status) {
      return;
    }
    sent_ = status;
    HealthCheckResponse response;
    response.set_status(status);
    Write(SerializeMessage(response));
  }

 private:
  void OnBegun() override {
    new Watch(&service_);
    Read(/*whole_soon=*/true);
  }

  void OnRead(bool ok, grpc::ByteBuffer* message) override {
    HealthCheckRequest request;
    if (!ok || !ParseMessage(message, &request)) {
      Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the call has no such request"));
      return;
    }
    kind_ = KindOf(request.service());
    service_.watches(*kind_).rounds.Add(this);
    Tell();
  }

  void OnWritten(bool ok) override {
    if (ok) {
      Tell();
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }

  void OnGone() override {
    // Its request may yet end, and does, since the call is over.
    if (kind_.has_value()) {
      Tell();
    }
  }

  HealthService& service_;
  // Once it has a request.
  std::optional<Kind> kind_;
  std::optional<Status> sent_;
};

HealthService::HealthService(const kv::Store* store) : store_(*store) {
  service_.AddMethod<HealthCheckRequest>(
      "Check", kv::UnreadError,
      [this](ApiCall* call, const HealthCheckRequest& request) { Check(call, request); });
  watch_method_.number = service_.AddStream("Watch");
}

void HealthService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  service_.Start(queue, accounting);
  watch_method_.service = service_.service();
  watch_method_.queue = queue;
  watch_method_.accounting = accounting;
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
      service == "raftkv.v1.WatchService" || service == "raftkv.v1.LeaseService") {
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
                     "\"raftkv.v1.WatchService\", \"raftkv.v1.LeaseService\", "
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
