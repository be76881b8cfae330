// Node is what every service of one member works with.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "raft/runtime/raft_driver.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/v1/types.pb.h"
#include "server/event_loop.h"
#include "server/options.h"
#include "server/peer_addresses.h"
#include "server/peer_refusals.h"
#include "server/read_pool.h"
#include "server/unary_call.h"
#include "storage/kv_state_machine.h"
#include "storage/storage.h"

namespace raftkv::server {

class QuorumWatch;

// Borrows all it points to. Confined to the loop.
struct Node {
  const ServerOptions* options = nullptr;
  const MonotonicClock* clock = nullptr;
  EventLoop* loop = nullptr;
  ReadPool* pool = nullptr;
  storage::Storage* storage = nullptr;
  storage::KvStateMachine* state_machine = nullptr;
  raft::RaftDriver* driver = nullptr;
  const QuorumWatch* quorum_watch = nullptr;

  uint64_t member_id = 0;
  // Addresses that this member publishes.
  std::string client_address;
  std::string peer_address;
  MonotonicNanos started_at = 0;
  // Of the data directory, when it was last looked at.
  int64_t disk_bytes = 0;
  // From the signal to stop on: new requests are refused.
  bool draining = false;
  // The data directory turned out to be unusable: damaged, foreign, or an older copy. Stops the
  // member, exit 2.
  std::function<void(const std::string& reason)> stop_unusable;
  CallAccounting calls;
  PeerRefusals peer_refusals;
  PeerAddresses peer_addresses;

  // The configuration of the cluster; nullopt while it is not founded.
  const std::optional<log::v1::ClusterConfiguration>& configuration() const {
    return storage->configuration();
  }
  // Where another member may be reached, the likeliest first; not empty.
  std::vector<std::string> AddressesOf(const log::v1::ConfiguredMember& member) const;
  // What its record in the log says, else the founding record.
  const std::string& PublishedAddressOf(const log::v1::ConfiguredMember& member) const;
  // Refuses what member `from` said, naming both sides.
  grpc::Status RefuseContent(raft::NodeId from, const absl::Status& status);
  MonotonicNanos RequestTimeout() const { return options->request_timeout_ms * kNanosPerMilli; }
  void FillHeader(int64_t revision, v1::ResponseHeader* header) const;
  // Calls `read` once the applied state is as fresh as `consistency` says, or fails the call: by
  // `deadline` at the latest, and at once while draining.
  void ReadWhenFresh(UnaryCall* call, v1::Consistency consistency, MonotonicNanos deadline,
                     std::function<void()> read) const;
  // Runs `read` with the state as of now on the read pool and then what it returned on the loop.
  // `read` should end once `given_up` says that the call's time is over, and does not begin after
  // it: then the call is failed. Returns false when the pool is full; nothing happens then.
  using PoolRead = std::function<std::function<void()>(const storage::KvView& view,
                                                       const storage::GivenUp& given_up)>;
  [[nodiscard]] bool ReadOnPool(UnaryCall* call, ReadPool::Length length, PoolRead read) const;
};

}  // namespace raftkv::server
