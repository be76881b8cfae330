// The client API's ClusterService: who is in the cluster, and how this member is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/member_directory.h"
#include "kv/membership.h"
#include "kv/store.h"
#include "raft/runtime/raft_driver.h"
#include "raftkv/peer/v1/forward.pb.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"
#include "server/loop/request_stats.h"

namespace raftkv::server {

void FillStats(const RequestStats& stats, v1::RequestStats* proto);

// Confined to the loop.
class ClusterService final {
 public:
  // What only the process knows of itself.
  struct Hooks {
    MonotonicNanos started_at = 0;
    std::function<int64_t()> disk_bytes;
    // Fills in all but what the log has.
    std::function<void(v1::MemoryUse* use)> fill_memory;
    // Asks member `leader` to hand over to `target`; `done` hears what its driver says
    // (raft::RaftDriver::TransferLeadership).
    std::function<void(raft::NodeId leader, raft::NodeId target, MonotonicNanos deadline,
                       raft::TransferCallback done)>
        transfer_at;
    // Has the leader change who is a member (MemberChanges::Request).
    std::function<void(const peer::v1::ChangeMembersRequest& change, MonotonicNanos deadline,
                       kv::Membership::Done done)>
        change_members;
    std::function<void(v1::RequestStats* stats)> fill_requests;
    // Adds what the member knows of each other one.
    std::function<void(v1::GetStatusResponse* response)> fill_peers;
    // Who watches; ClientApi's own.
    std::function<void(v1::WatchStatus* status)> fill_watches = nullptr;
    // What is wrong with the member's connections; empty: nothing.
    std::function<std::vector<std::string>()> warnings;
  };

  // Borrows all that is pointed to.
  ClusterService(const kv::MemberDirectory* directory, kv::Store* store, raft::RaftDriver* driver,
                 const MonotonicClock* clock, ResponseHeaderFiller header, Hooks hooks);

  // What to register with the server and to start.
  ClientService& service() { return service_; }
  // What GetStatus warns of.
  std::vector<std::string> Warnings() const;

 private:
  void AddMembershipMethods();
  void ListMembers(ApiCall* call, const v1::ListMembersRequest& request);
  void FinishListMembers(ApiCall* call) const;
  void TransferLeadership(ApiCall* call, const v1::TransferLeadershipRequest& request);
  // The member that the request names; kNobody when it names none.
  template <typename Request>
  absl::StatusOr<raft::NodeId> FindTarget(const Request& request) const;
  void AddMember(ApiCall* call, const v1::AddMemberRequest& request);
  void RemoveMember(ApiCall* call, const v1::RemoveMemberRequest& request);
  void PromoteMember(ApiCall* call, const v1::PromoteMemberRequest& request);
  void UpdateMember(ApiCall* call, const v1::UpdateMemberRequest& request);
  // Calls `then` with the member that the request names, once a leader is known; else fails.
  template <typename Request>
  void WithTarget(ApiCall* call, const Request& request,
                  std::function<void(raft::NodeId target)> then);
  void HandOver(ApiCall* call, raft::NodeId target, std::function<void(const absl::Status&)> done);
  // Has the change made, and answers with the member.
  template <typename Response>
  void Change(ApiCall* call, const peer::v1::ChangeMembersRequest& change);
  template <typename Response>
  void AnswerWith(ApiCall* call, raft::NodeId id);
  void PublishFor(ApiCall* call, raft::NodeId target, const std::string& address);
  void Remove(ApiCall* call, raft::NodeId target);
  void FillMember(const kv::MemberEntry& entry, v1::Member* member) const;
  void FinishTransfer(ApiCall* call, const absl::Status& status);
  void FillStatus(v1::GetStatusResponse* response) const;

  const kv::MemberDirectory& directory_;
  kv::Store& store_;
  raft::RaftDriver& driver_;
  const MonotonicClock& clock_;
  const ResponseHeaderFiller header_;
  const Hooks hooks_;
  ClientService service_{"raftkv.v1.ClusterService"};
};

}  // namespace raftkv::server
