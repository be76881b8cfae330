// Joining is how a node that belongs to no cluster becomes a member of one that runs: it waits
// until a member of that invites it by a Hello, and with --join asks members to add it. So does a
// member that was wiped and has --auto_replace.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/forward.grpc.pb.h"
#include "raftkv/peer/v1/raft.pb.h"
#include "server/peer/peer_call.h"
#include "server/peer/peer_channel.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// Confined to the loop.
class Joining final {
 public:
  // The configuration of a cluster, which holds this node as the member `id`.
  using OnInvited =
      std::function<void(uint64_t id, const log::v1::ClusterConfiguration& configuration)>;

  // `addresses` are whom it asks; empty: it waits, and asks nobody.
  Joining(PeerContext* context, std::vector<std::string> addresses, OnInvited on_invited);
  // Gives up the call that is under way.
  ~Joining();
  Joining(const Joining&) = delete;
  Joining& operator=(const Joining&) = delete;

  // Asks again when the last answer is long enough ago; called every tick.
  void Tick();
  // Takes the invitation, if it is one. Calls OnInvited at most once.
  void OnHello(const peer::v1::HelloRequest& request);
  // What it waits for, for people.
  std::string Describe() const;

 private:
  using Call = PeerCall<peer::v1::ChangeMembersResponse>;

  void Ask();
  void OnAnswer(const grpc::Status& status, const peer::v1::ChangeMembersResponse& response);
  void GiveUpCall();

  PeerContext* const context_;
  const std::vector<std::string> addresses_;
  const OnInvited on_invited_;
  PeerChannel connection_;
  Call* call_ = nullptr;
  MonotonicNanos asked_at_ = 0;
  MonotonicNanos next_log_ = 0;
  std::string problem_ = "no answer yet";
  bool over_ = false;
};

}  // namespace raftkv::server
