#include "server/hello_asker.h"

#include <grpcpp/support/async_unary_call.h>

#include <chrono>
#include <utility>

#include "server/peer_link.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kInterval = 200 * kNanosPerMilli;
constexpr std::chrono::seconds kTimeout(2);

}  // namespace

// Deletes itself.
class HelloAsker::Call final : public EventTag {
 public:
  explicit Call(HelloAsker* asker) : asker_(asker) {
    context_.set_deadline(std::chrono::system_clock::now() + kTimeout);
    call_ = asker->stub_->AsyncHello(&context_, asker->request_, asker->node_->loop->queue());
    call_->Finish(&response_, &status_, this);
  }

  void OnEvent(bool /*ok*/) override {
    if (asker_ != nullptr) {
      asker_->call_ = nullptr;
      asker_->on_answer_(status_, response_);
    }
    delete this;
  }

  void Abandon() {
    asker_ = nullptr;
    context_.TryCancel();
  }

 private:
  HelloAsker* asker_;
  grpc::ClientContext context_;
  peer::v1::HelloResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<peer::v1::HelloResponse>> call_;
};

HelloAsker::HelloAsker(Node* node, const std::string& address, peer::v1::HelloRequest request,
                       OnAnswer on_answer)
    : node_(node),
      stub_(peer::v1::RaftService::NewStub(MakePeerChannel(address))),
      request_(std::move(request)),
      on_answer_(std::move(on_answer)) {}

HelloAsker::~HelloAsker() {
  if (call_ != nullptr) {
    call_->Abandon();
  }
}

void HelloAsker::Tick() {
  const MonotonicNanos now = node_->clock->Now();
  if (call_ == nullptr && now >= next_attempt_) {
    next_attempt_ = now + kInterval;
    call_ = new Call(this);
  }
}

}  // namespace raftkv::server
