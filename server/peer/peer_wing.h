// PeerWing is all that a member has to do with the others: its transport, its half of the peer API,
// how it becomes a member, and what it notices about its connections.
#pragma once

#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kv/member.h"
#include "kv/member_directory.h"
#include "raft/runtime/raft_driver.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/options.h"
#include "server/peer/foreign_data_check.h"
#include "server/peer/founding.h"
#include "server/peer/grpc_transport.h"
#include "server/peer/joining.h"
#include "server/peer/member_changes.h"
#include "server/peer/peer_context.h"
#include "server/peer/peer_service.h"
#include "server/peer/quorum_watch.h"
#include "storage/storage.h"

namespace raftkv::server {

// Confined to the loop.
class PeerWing {
 public:
  struct Hooks {
    // The data directory turned out to be unusable: foreign, or an older copy.
    std::function<void(const std::string& reason)> stop_unusable;
    // This node, which belonged to no cluster, is the member `id` of one, and that is stored.
    std::function<void(uint64_t id, raft::Configuration configuration)> on_joined;
    // This member was removed. `at_start`: it has not heard a leader since it started.
    std::function<void(const std::string& what, bool at_start)> on_removed;
  };

  // `founders` is --initial_cluster, sorted by name, maybe empty. `snapshots` and `tls` are as
  // PeerContext's. Borrows the rest.
  PeerWing(const ServerOptions* options, std::vector<Founder> founders, storage::Storage* storage,
           kv::MemberDirectory* directory, std::shared_ptr<PortTls> tls, kv::DiskPool* snapshots,
           EventLoop* loop, const MonotonicClock* clock, Hooks hooks);

  raft::Transport* transport() { return &transport_; }
  // As GrpcTransport's.
  void TransferLeadership(raft::NodeId leader, raft::NodeId target, MonotonicNanos deadline,
                          raft::TransferCallback done) {
    transport_.TransferLeadership(leader, target, deadline, std::move(done));
  }
  // As MemberChanges::Request, on this member or through the leader.
  void ChangeMembers(const peer::v1::ChangeMembersRequest& change, MonotonicNanos deadline,
                     kv::Membership::Done done) {
    member_changes_.Request(change, /*may_forward=*/true, deadline, std::move(done));
  }
  // REQUIRES: before anything below.
  void SetMember(kv::Member* member);

  void Register(grpc::ServerBuilder* builder);
  // Starts taking calls. REQUIRES: the server is started.
  void Start();
  // Says who this is and in which cluster, and how --initial_cluster differs from it.
  void LogCluster() const;
  // Connects to the cluster that this member is in, or founds one with the others, or alone.
  // REQUIRES: the directory knows this member's addresses; called once, after Start.
  void Join();

  // Called every tick.
  void Tick();
  // Called before each turn of the driver.
  void ReportLosses() { transport_.ReportLosses(); }
  // Ends every stream and call.
  void Shutdown();

  // Adds what is known of each other member.
  void FillStatus(v1::GetStatusResponse* response) const { transport_.FillStatus(response); }
  // What is wrong with the connections to others, for people; empty when nothing is.
  std::vector<std::string> Warnings() const;
  PeerWingFigures Figures() const;

 private:
  void OnFounded(const log::v1::ClusterConfiguration& record);
  void OnWiped();
  void BeginJoining(std::vector<std::string> addresses);
  void OnInvited(uint64_t id, const log::v1::ClusterConfiguration& configuration);
  void OnRemoved();
  peer::v1::HelloResponse OnHello(const peer::v1::HelloRequest& request);

  const ServerOptions& options_;
  std::vector<Founder> founders_;
  storage::Storage& storage_;
  PeerContext context_;
  PeerService service_{&context_};
  GrpcTransport transport_{&context_, &service_};
  QuorumWatch quorum_watch_{&context_, &transport_};
  MemberChanges member_changes_{&context_};
  const Hooks hooks_;
  std::unique_ptr<Founding> founding_;
  std::unique_ptr<Joining> joining_;
  bool has_been_member_ = false;  // In this process: it was invited, or heard a leader.
  bool removed_ = false;
  std::unique_ptr<ForeignDataCheck> foreign_data_check_;
  bool shut_down_ = false;
};

}  // namespace raftkv::server
