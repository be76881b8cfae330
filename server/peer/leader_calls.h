// LeaderCalls are the unary calls by which a member has its leader do what only a leader does, and
// that are answered when that has ended.
#pragma once

#include <list>

#include "base/deadline.h"
#include "kv/membership.h"
#include "raft/runtime/requests.h"
#include "raftkv/peer/v1/forward.grpc.pb.h"
#include "server/loop/event_loop.h"
#include "server/peer/peer_call.h"

namespace raftkv::server {

// Confined to the loop.
class LeaderCalls final {
 public:
  explicit LeaderCalls(EventLoop* loop) : loop_(loop) {}
  ~LeaderCalls() { GiveUp(kNever); }
  LeaderCalls(const LeaderCalls&) = delete;
  LeaderCalls& operator=(const LeaderCalls&) = delete;

  // `done` hears, by `deadline` plus a tick, what the leader's driver says, Unavailable, or
  // ResourceExhausted beyond kForwardedTransfersMax.
  void TransferLeadership(peer::v1::ForwardService::Stub* stub,
                          const peer::v1::TransferLeadershipRequest& request,
                          MonotonicNanos deadline, raft::TransferCallback done);
  // The same: how that ended there, OUTCOME_UNKNOWN, or OVERLOADED beyond kMembershipChangesMax.
  void ChangeMembers(peer::v1::ForwardService::Stub* stub,
                     const peer::v1::ChangeMembersRequest& request, MonotonicNanos deadline,
                     kv::Membership::Done done);
  // Those whose time is over by `now` end without an answer.
  void GiveUp(MonotonicNanos now);

 private:
  template <typename Response, typename Done>
  struct Open {
    PeerCall<Response>* call;
    MonotonicNanos deadline;
    Done done;
  };

  EventLoop* const loop_;
  std::list<Open<peer::v1::TransferLeadershipResponse, raft::TransferCallback>> transfers_;
  std::list<Open<peer::v1::ChangeMembersResponse, kv::Membership::Done>> changes_;
};

}  // namespace raftkv::server
