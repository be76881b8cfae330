#include "server/peer/joining.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/limits.h"
#include "server/log_text.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kAskInterval = kNanosPerSecond;
// An answer comes when the change is committed.
constexpr MonotonicNanos kAskTimeout = 10 * kNanosPerSecond;
constexpr MonotonicNanos kSayInterval = 5 * kNanosPerSecond;

}  // namespace

Joining::Joining(PeerContext* context, std::vector<std::string> addresses, OnInvited on_invited)
    : context_(context),
      addresses_(std::move(addresses)),
      on_invited_(std::move(on_invited)),
      connection_(context->clock, {.addresses = [this] { return addresses_; },
                                   .on_replaced = [this] { GiveUpCall(); },
                                   // Whoever is of the cluster will do.
                                   .credentials = context->CredentialsFor("")}),
      next_log_(context->clock->Now() + kSayInterval / 5) {}

Joining::~Joining() { GiveUpCall(); }

void Joining::Tick() {
  if (over_) {
    return;
  }
  const MonotonicNanos now = context_->clock->Now();
  if (!addresses_.empty()) {
    connection_.Tick();
    if (call_ != nullptr && now - asked_at_ >= kAskTimeout) {
      connection_.GiveUp(absl::StrCat(connection_.address(), " does not answer"));
    }
    if (call_ == nullptr && now - asked_at_ >= kAskInterval &&
        connection_.unreachable_since() == 0) {
      asked_at_ = now;
      Ask();
    }
  }
  if (now >= next_log_) {
    next_log_ = now + kSayInterval;
    LOG(INFO) << Describe();
  }
}

std::string Joining::Describe() const {
  if (addresses_.empty()) {
    return "belongs to no cluster yet: waiting until one invites this node (raftkvctl member add)";
  }
  return absl::StrCat("belongs to no cluster yet: asking ", absl::StrJoin(addresses_, ","),
                      " to add this node (",
                      connection_.unreachable_since() != 0 ? connection_.problem() : problem_, ")");
}

void Joining::Ask() {
  peer::v1::ChangeMembersRequest request;
  request.mutable_add()->set_name(context_->self().name);
  request.mutable_add()->set_peer_address(context_->self().peer_address);
  request.mutable_add()->set_may_replace(context_->auto_replace);
  const auto stub = peer::v1::ForwardService::NewStub(connection_.channel());
  call_ = new Call(
      [&](grpc::ClientContext* context) {
        return stub->AsyncChangeMembers(context, request, context_->loop->queue());
      },
      [this](const grpc::Status& status, const peer::v1::ChangeMembersResponse& response) {
        call_ = nullptr;
        OnAnswer(status, response);
      });
}

void Joining::OnAnswer(const grpc::Status& status,
                       const peer::v1::ChangeMembersResponse& response) {
  if (!status.ok()) {
    problem_ = PeerFailureText(status);
  } else if (response.has_error()) {
    problem_ = response.error().message();
  } else {
    problem_ = absl::StrCat("added as member ", response.member_id(), ", the invitation will come");
    return;
  }
  // The next one may know more.
  connection_.GiveUp(absl::StrCat(connection_.address(), ": ", problem_));
}

void Joining::OnHello(const peer::v1::HelloRequest& request) {
  if (over_ || !request.has_invitation() || request.invitation().cluster_id() == 0) {
    return;
  }
  for (const log::v1::ConfiguredMember& member : request.invitation().members()) {
    if (member.name() == context_->self().name && member.data_id() == context_->self().data_id) {
      over_ = true;
      on_invited_(member.id(), request.invitation());
      return;
    }
  }
}

void Joining::GiveUpCall() {
  if (call_ != nullptr) {
    std::exchange(call_, nullptr)->Abandon();
  }
}

}  // namespace raftkv::server
