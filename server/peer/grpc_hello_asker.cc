#include "server/peer/grpc_hello_asker.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kInterval = 200 * kNanosPerMilli;
constexpr MonotonicNanos kTimeout = 2 * kNanosPerSecond;

}  // namespace

GrpcHelloAsker::GrpcHelloAsker(PeerContext* context, std::string name, Addresses addresses,
                               peer::v1::HelloRequest request, OnAnswer on_answer)
    : context_(context),
      name_(std::move(name)),
      request_(std::move(request)),
      on_answer_(std::move(on_answer)),
      connection_(context->clock,
                  {.addresses = std::move(addresses),
                   .on_replaced =
                       [this] {
                         GiveUp(grpc::Status(grpc::StatusCode::UNAVAILABLE, connection_.problem()));
                       },
                   .credentials = context->CredentialsFor(name_)}) {}

GrpcHelloAsker::~GrpcHelloAsker() {
  if (call_ != nullptr) {
    call_->Abandon();
  }
}

void GrpcHelloAsker::Tick() {
  connection_.Tick();
  const MonotonicNanos now = context_->clock->Now();
  if (call_ != nullptr && now - asked_at_ >= kTimeout) {
    GiveUp(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "it does not answer"));
  }
  if (call_ == nullptr && now - asked_at_ >= kInterval) {
    asked_at_ = now;
    Ask();
  }
}

void GrpcHelloAsker::Ask() {
  if (connection_.channel() == nullptr) {
    on_answer_(grpc::Status(grpc::StatusCode::UNAVAILABLE, connection_.problem()), {});
    return;
  }
  peer::v1::RaftService::Stub stub(connection_.channel());
  call_ = new PeerCall<peer::v1::HelloResponse>(
      [&](grpc::ClientContext* context) {
        return stub.AsyncHello(context, request_, context_->loop->queue());
      },
      [this](const grpc::Status& status, const peer::v1::HelloResponse& response) {
        call_ = nullptr;
        if (status.ok() && response.name() != name_) {
          connection_.GiveUp(absl::StrCat("member \"", response.name(), "\" answers"));
        }
        on_answer_(status, response);
      });
}

void GrpcHelloAsker::GiveUp(const grpc::Status& status) {
  if (call_ != nullptr) {
    std::exchange(call_, nullptr)->Abandon();
    on_answer_(status, {});
  }
}

}  // namespace raftkv::server
