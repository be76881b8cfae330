// MemberChanges brings what people and nodes ask of the cluster's members to the leader, and on the
// leader asks whoever is to be added who it is, before kv::Membership does the rest.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "kv/membership.h"
#include "raftkv/peer/v1/forward.pb.h"
#include "raftkv/peer/v1/raft.pb.h"
#include "server/peer/grpc_transport.h"
#include "server/peer/hello_asker.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// Confined to the loop.
class MemberChanges final {
 public:
  struct Hooks {
    // Makes what asks a node at `peer_address` for its Hello.
    std::function<std::unique_ptr<HelloAsker>(
        const std::string& name, const std::string& peer_address, HelloAsker::OnAnswer on_answer)>
        new_asker;
    // To the leader, which is another member.
    std::function<void(raft::NodeId leader, peer::v1::ChangeMembersRequest change,
                       MonotonicNanos deadline, kv::Membership::Done done)>
        forward;
    kv::Membership* membership = nullptr;
  };

  explicit MemberChanges(PeerContext* context) : context_(context) {}
  // REQUIRES: before anything below.
  void SetHooks(Hooks hooks) { hooks_ = std::move(hooks); }

  // On the leader, or through it when that is allowed. Besides what Membership::Request says: an
  // addition is refused with BAD_NAME or BAD_ADDRESS, MEMBER_UNREACHABLE when nobody answers there
  // within kNewcomerAnswerSeconds, and MEMBER_UNFIT when who answers has another name, belongs to
  // a cluster, founds one, or is too old. One that may replace the member of its name, which has
  // other data, does when this leader has --auto_replace and, as the request comes, has not heard
  // that member for two election timeouts: it is removed, and then the node added, by the same
  // deadline; MEMBER_EXISTS otherwise. `done` hears by `deadline` plus a tick.
  void Request(const peer::v1::ChangeMembersRequest& change, bool may_forward,
               MonotonicNanos deadline, kv::Membership::Done done);
  // Called every tick.
  void Tick();
  // Refuses what waits.
  void Shutdown();

 private:
  // Who is to be added, and is asked who it is.
  struct Newcomer {
    peer::v1::AddedMember wanted;
    MonotonicNanos deadline;
    MonotonicNanos patience;
    kv::Membership::Done done;
    std::unique_ptr<HelloAsker> asker;
    std::string problem = "no answer yet";
    bool over = false;
  };

  void AskNewcomer(const peer::v1::AddedMember& wanted, MonotonicNanos deadline,
                   kv::Membership::Done done);
  void OnAnswer(Newcomer* newcomer, const grpc::Status& status,
                const peer::v1::HelloResponse& response);
  absl::Status CheckNewcomer(const peer::v1::AddedMember& wanted,
                             const peer::v1::HelloResponse& response) const;
  // Whether this leader may have the node at `peer_address` in the place of `old`.
  absl::Status CheckReplaceable(const log::v1::ConfiguredMember& old,
                                const std::string& peer_address) const;
  void Replace(const log::v1::ConfiguredMember& old, kv::Membership::Adding adding,
               Newcomer* newcomer);
  static void End(Newcomer* newcomer, const absl::Status& status);

  PeerContext* const context_;
  Hooks hooks_;
  std::list<Newcomer> newcomers_;  // At most kMembershipChangesMax. Their places do not change.
};

}  // namespace raftkv::server
