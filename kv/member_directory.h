// MemberDirectory is the only place that knows who is a member and where. It brings together what
// the applied configuration says, what members published through the log, where others saw them,
// and what this process was told at its start.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/kv_state_machine.h"
#include "kv/peer_addresses.h"
#include "raft/core/config.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/configuration.pb.h"

namespace raftkv::kv {

// What is known of one member.
struct MemberEntry {
  uint64_t id = 0;
  std::string name;
  uint64_t data_id = 0;
  bool learner = false;
  std::string peer_address;      // As it published it, else as it was founded with.
  std::string client_address;    // Empty until it has published one.
  std::string version;           // Likewise.
  uint32_t command_version = 0;  // 0 until it has published one.
  // How much it is wanted to lead; the default until it has published another.
  uint64_t priority = raft::kPriorityDefault;
};

// Confined to the loop.
class MemberDirectory {
 public:
  // This member itself. Addresses are what it publishes.
  struct Self {
    uint64_t id = 0;
    std::string name;
    uint64_t data_id = 0;
    std::string client_address;
    std::string peer_address;
    // RaftConfig::priority.
    uint64_t priority = raft::kPriorityDefault;
    // Which backup its data was made from (storage/restore_record.h); 0: none.
    uint64_t restored_from = 0;
  };

  // `configuration` is that of the applied state, which may change between calls; nullopt while the
  // cluster is not founded. Borrows both.
  MemberDirectory(Self self, const std::optional<log::v1::ClusterConfiguration>* configuration,
                  const KvStateMachine* state_machine)
      : self_(std::move(self)), configuration_(*configuration), state_machine_(*state_machine) {}

  const Self& self() const { return self_; }
  // Once it is known: a member that joins has none before, which is 0.
  void SetSelfId(uint64_t id) { self_.id = id; }
  void SetSelfAddresses(std::string client_address, std::string peer_address);
  // Where others may be, besides what is stored.
  PeerAddresses& addresses() { return addresses_; }
  const PeerAddresses& addresses() const { return addresses_; }

  bool founded() const { return configuration_.has_value(); }
  const std::optional<log::v1::ClusterConfiguration>& configuration() const {
    return configuration_;
  }
  // The newest in this member's log, committed or not: by it members reach each other (thesis
  // §4.1), while clients are told of configuration(). REQUIRES: founded().
  const log::v1::ClusterConfiguration& newest() const {
    return newest_.has_value() ? *newest_ : *configuration_;
  }
  // The newest is what `payload` says, null being configuration().
  void FollowLog(const std::shared_ptr<const std::string>& payload);
  // Whether the member `id` was removed, which is for ever: configuration() says so.
  bool IsRemoved(uint64_t id) const;

  // 0 while the cluster is not founded.
  uint64_t cluster_id() const { return founded() ? configuration_->cluster_id() : 0; }

  // What every member knows (kv/command_version.h), as of the applied log.
  uint32_t cluster_version() const { return state_machine_.cluster_version(); }

  // Whether cluster_version() may come to `version` by itself soon: no member has published that it
  // knows less. So it is in the first moments of a cluster.
  bool MayComeTo(uint32_t version) const;

  // All members, in the order of their ids; none while the cluster is not founded.
  std::vector<MemberEntry> Members() const;
  // All but this member.
  std::vector<MemberEntry> Others() const;
  // All but this member whom the newest or the applied configuration has: a member that is removed
  // is there until that is committed.
  std::vector<MemberEntry> Peers() const;
  // nullopt also for whom neither has.
  std::optional<MemberEntry> Find(raft::NodeId id) const;
  // What it published about itself; nullptr before it did.
  const log::v1::MemberRecord* PublishedBy(uint64_t id) const;
  // As published: those that are not the default.
  std::map<raft::NodeId, uint64_t> Priorities() const;
  // Where a member may be reached, the likeliest first; not empty for a member.
  std::vector<std::string> AddressesOf(raft::NodeId id) const;
  // For logs: id and, of a member, its name.
  std::string Describe(raft::NodeId id) const;

 private:
  MemberEntry EntryOf(const log::v1::ConfiguredMember& member,
                      const log::v1::ClusterConfiguration& in) const;
  const log::v1::ConfiguredMember* FindConfigured(uint64_t id) const;

  Self self_;
  const std::optional<log::v1::ClusterConfiguration>& configuration_;
  const KvStateMachine& state_machine_;
  // What newest_ was read from; null: it is configuration_'s, and newest_ is empty.
  std::shared_ptr<const std::string> payload_;
  std::optional<log::v1::ClusterConfiguration> newest_;
  PeerAddresses addresses_;
};

}  // namespace raftkv::kv
