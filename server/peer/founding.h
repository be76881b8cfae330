// Founding brings several fresh nodes together into one cluster: each asks every other founder who
// it is, and once all have answered with the same list, all store the same founding record.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/raft.pb.h"
#include "server/options.h"
#include "server/peer/hello_asker.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// The founding record: ids 1..N by sorted names, all of them voters, and the cluster id, which is a
// hash of the rest and of the backup that all were made from (0: none). `data_ids` are by name.
// REQUIRES: one for every founder.
log::v1::ClusterConfiguration MakeFoundingRecord(const std::vector<Founder>& founders,
                                                 const std::map<std::string, uint64_t>& data_ids,
                                                 uint64_t restored_from = 0);

// Whether member `name`, whose directory has `data_id` and who was to found a cluster of
// `founders`, may take over the record of a cluster that one of them belongs to already: the record
// is of this very list and holds this directory. FailedPrecondition otherwise, with the words that
// follow "... belongs to cluster ...": what differs, and what to do.
absl::Status CheckFoundedRecord(const log::v1::ClusterConfiguration& record,
                                const std::vector<Founder>& founders, const std::string& name,
                                uint64_t data_id);

// Whether a stored configuration holds the member as which it is stored, or is older than that:
// none may speak in the name of another. FailedPrecondition otherwise, also for a member that was
// removed, with what to do.
absl::Status CheckStoredIdentity(const log::v1::ClusterConfiguration& configuration,
                                 uint64_t member_id, const std::string& name);

// What is said of a member that was removed, and what to do.
std::string RemovedText(uint64_t cluster_id, uint64_t member_id, const std::string& name);

// What is different in `founders`, the list that a member of a cluster was started with, from the
// members of that cluster and where they are published to be; empty: nothing, or no list.
std::string ListDifference(const kv::MemberDirectory& directory,
                           const std::vector<Founder>& founders);

// Confined to the loop.
class Founding final {
 public:
  struct Hooks {
    // Makes what asks a founder for its Hello.
    std::function<std::unique_ptr<HelloAsker>(const Founder& founder,
                                              HelloAsker::OnAnswer on_answer)>
        new_asker;
    // The cluster exists and this node is in it.
    std::function<void(const log::v1::ClusterConfiguration& record)> on_founded;
    // The cluster exists and has a member of this name, whose data is not here any more, and this
    // node may ask to take its place. Must not destroy the founding.
    std::function<void()> on_wiped;
    // This node can never become a member as it is; `reason` says why and what to do.
    std::function<void(const std::string& reason)> on_refused;
  };

  // `founders` are sorted by name and contain this node.
  Founding(PeerContext* context, std::vector<Founder> founders, Hooks hooks);

  // Asks founders that have not answered, and logs whom it waits for; called every tick.
  void Tick();
  // Whom it waits for, and why; empty when all have answered.
  std::string Describe() const;

 private:
  struct Peer {
    Founder founder;
    std::unique_ptr<HelloAsker> asker;
    uint64_t data_id = 0;  // 0: no answer that counts yet.
    std::string problem = "no answer yet";
  };

  void OnAnswer(Peer* peer, const grpc::Status& status, const peer::v1::HelloResponse& response);
  void OnFoundedPeer(Peer* peer, const peer::v1::HelloResponse& response);
  void FoundWhenAllAnswered();

  PeerContext* const context_;
  const std::vector<Founder> founders_;
  const Hooks hooks_;
  std::deque<Peer> peers_;  // Their places do not change.
  MonotonicNanos next_log_ = 0;
  bool over_ = false;
};

// What this node says when it asks another who it is.
peer::v1::HelloRequest MakeHello(const PeerContext& context, const std::vector<Founder>& founders);
// What this node answers to a Hello: who it is, and its founding list or its cluster.
peer::v1::HelloResponse AnswerHello(const PeerContext& context,
                                    const std::vector<Founder>& founders);

}  // namespace raftkv::server
