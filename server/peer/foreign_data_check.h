// A member that starts with data looks whether that data is of the cluster that its peers are in: a
// directory that was mixed up with another cluster's would otherwise wait for a leader for ever.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/peer/hello_asker.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// Confined to the loop.
class ForeignDataCheck final {
 public:
  // `on_foreign` is called at most once, with what is wrong and what to do, when a majority of this
  // member's own configuration answers for another cluster. One stray address is not enough: then
  // it is not this member that is wrong. REQUIRES: the cluster is founded.
  ForeignDataCheck(PeerContext* context, std::function<void(const std::string& reason)> on_foreign);

  // Asks until a leader is known; called every tick.
  void Tick();

 private:
  void OnAnswer(const kv::MemberEntry& member, const grpc::Status& status,
                const peer::v1::HelloResponse& response);

  PeerContext* const context_;
  const std::function<void(const std::string& reason)> on_foreign_;
  std::vector<std::unique_ptr<HelloAsker>> askers_;
  // By member id: the other cluster that its address answered for last.
  std::map<uint64_t, uint64_t> foreign_clusters_;
  bool over_ = false;
};

}  // namespace raftkv::server
