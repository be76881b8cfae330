// Who calls whom between members: made by the caller, checked by the callee on every stream and
// unary call.
#pragma once

#include "absl/status/status.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/raft.pb.h"

namespace raftkv::wire {

inline constexpr uint32_t kProtocolVersion = 3;

// The identity that `sender` presents to `addressee`.
// The data id of a sender that is no member of `configuration` is left open.
peer::v1::PeerIdentity MakeIdentity(const log::v1::ClusterConfiguration& configuration,
                                    raft::NodeId sender, raft::NodeId addressee);

// Whether `identity` is that of a member of the same cluster, with the data directory it was
// configured with, calling `self`. FailedPrecondition naming both sides otherwise. Thread-safe.
absl::Status CheckIdentity(const peer::v1::PeerIdentity& identity,
                           const log::v1::ClusterConfiguration& configuration, raft::NodeId self);

}  // namespace raftkv::wire
