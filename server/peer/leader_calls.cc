#include "server/peer/leader_calls.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "kv/errors.h"
#include "kv/limits.h"
#include "server/limits.h"
#include "server/loop/grpc_error.h"
#include "server/peer/grpc_status.h"

namespace raftkv::server {
namespace {

// `error` makes what they are told: most of the time there is nobody to tell.
template <typename OpenCalls>
void GiveUpLate(MonotonicNanos now, absl::Status (*error)(), OpenCalls* calls) {
  for (auto open = calls->begin(); open != calls->end();) {
    if (open->deadline > now) {
      ++open;
      continue;
    }
    open->call->Abandon();
    const auto done = std::move(open->done);
    open = calls->erase(open);
    done(error());
  }
}

}  // namespace

void LeaderCalls::TransferLeadership(peer::v1::ForwardService::Stub* stub,
                                     const peer::v1::TransferLeadershipRequest& request,
                                     MonotonicNanos deadline, raft::TransferCallback done) {
  if (transfers_.size() >= kForwardedTransfersMax) {
    done(absl::ResourceExhaustedError(
        absl::StrCat("already ", transfers_.size(), " wait for leadership to change hands")));
    return;
  }
  transfers_.push_back({.call = nullptr, .deadline = deadline, .done = std::move(done)});
  const auto open = std::prev(transfers_.end());
  open->call = new PeerCall<peer::v1::TransferLeadershipResponse>(
      [&](grpc::ClientContext* context) {
        return stub->AsyncTransferLeadership(context, request, loop_->queue());
      },
      [this, open](const grpc::Status& status, const peer::v1::TransferLeadershipResponse&) {
        const raft::TransferCallback answered = std::move(open->done);
        transfers_.erase(open);
        answered(FromPeerStatus(status));
      });
}

void LeaderCalls::ChangeMembers(peer::v1::ForwardService::Stub* stub,
                                const peer::v1::ChangeMembersRequest& request,
                                MonotonicNanos deadline, kv::Membership::Done done) {
  if (changes_.size() >= kv::kMembershipChangesMax) {
    done(kv::OverloadedError());
    return;
  }
  changes_.push_back({.call = nullptr, .deadline = deadline, .done = std::move(done)});
  const auto open = std::prev(changes_.end());
  open->call = new PeerCall<peer::v1::ChangeMembersResponse>(
      [&](grpc::ClientContext* context) {
        return stub->AsyncChangeMembers(context, request, loop_->queue());
      },
      [this, open](const grpc::Status& status, const peer::v1::ChangeMembersResponse& response) {
        const kv::Membership::Done answered = std::move(open->done);
        changes_.erase(open);
        if (!status.ok()) {
          answered(kv::ChangeUnknownError());
        } else if (response.has_error()) {
          answered(FromRpcStatus(response.error()));
        } else {
          answered(response.member_id());
        }
      });
}

void LeaderCalls::GiveUp(MonotonicNanos now) {
  GiveUpLate(
      now, [] { return absl::UnavailableError("the leader does not answer"); }, &transfers_);
  GiveUpLate(now, kv::ChangeUnknownError, &changes_);
}

}  // namespace raftkv::server
