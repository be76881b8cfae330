// PeerContext is what the parts of the peer wing work with.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/server_context.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "kv/disk_pool.h"
#include "kv/member_directory.h"
#include "raft/runtime/raft_driver.h"
#include "raft/runtime/state_machine.h"
#include "server/loop/event_loop.h"
#include "server/peer/peer_figures.h"
#include "server/peer/peer_refusals.h"
#include "server/tls/port_tls.h"

namespace raftkv::server {

// Borrows all it points to; complete before any part is used, and constant but for what it counts.
// Confined to the loop.
struct PeerContext {
  const MonotonicClock* clock = nullptr;
  EventLoop* loop = nullptr;
  raft::RaftDriver* driver = nullptr;
  kv::MemberDirectory* directory = nullptr;
  raft::StateMachine* state_machine = nullptr;
  // For snapshots only, and of one thread: what is done on one snapshot is done in order.
  kv::DiskPool* snapshots = nullptr;
  MonotonicNanos election_timeout = 0;
  // --auto_replace.
  bool auto_replace = false;
  // For messages.
  std::string data_dir;
  // The data directory turned out to be unusable: foreign, or an older copy. Stops the member,
  // exit 2.
  std::function<void(const std::string& reason)> stop_unusable;
  // This member was removed from the cluster, for ever: it is to say so and stop.
  std::function<void()> on_removed;
  // Null: members speak plain text with each other.
  std::shared_ptr<PortTls> tls;
  PeerRefusals refusals;
  // By member; what is in it stays where it is.
  std::map<raft::NodeId, PeerTraffic> traffic = {};

  const kv::MemberDirectory::Self& self() const { return directory->self(); }
  raft::NodeId self_id() const { return raft::NodeId(self().id); }
  // Refuses what member `from` said, naming both sides.
  grpc::Status RefuseContent(raft::NodeId from, const absl::Status& status);
  // For connections to the member `name`: what PeerChannel::Hooks wants.
  std::function<std::shared_ptr<grpc::ChannelCredentials>(const std::string& address)>
  CredentialsFor(const std::string& name) const;
  // Whether the caller may speak for the member `name`: where certificates are asked for, its own
  // has to name that member. A refusal is counted and logged.
  grpc::Status CheckCertificate(const grpc::ServerContext& call, const std::string& name);
};

}  // namespace raftkv::server
