// Between protobuf and the values that raft/core and raft/runtime work with. This is the only place
// that takes bytes of peers on trust or turns them down: what FromProto returns is well formed
// (known kinds, no id, term or index of 0 where there must be one, entries without gaps and with
// terms that fit, counts within bounds); whether it makes sense now is for the core to say. Every
// refusal is InvalidArgument naming the field and its value.
//
// Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "raft/core/configuration.h"
#include "raft/core/message.h"
#include "raft/core/snapshot.h"
#include "raft/runtime/transport.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/forward.pb.h"
#include "raftkv/peer/v1/raft.pb.h"

namespace raftkv::wire {

// Bounds on what one frame may hold.
inline constexpr int kFrameMessagesMax = 4096;
inline constexpr int kAppendEntriesMax = 1 << 16;
inline constexpr int kForwardItemsMax = 1 << 16;  // Of each kind.
// More than the storage puts into one chunk of a snapshot.
inline constexpr uint64_t kSnapshotChunkBytesMax = 8 << 20;
// No cluster comes to live as long as this in milliseconds (285,000 years). A larger stamp would
// drive the clocks of all members to where deadlines overflow, and clocks never go back.
inline constexpr uint64_t kClusterMillisMax = uint64_t{1} << 53;

// Which stream carries a message: a leader's frames and a follower's frames. Votes and TimeoutNow
// travel alone.
bool IsLeaderMessage(const raft::Message& message);
bool IsFollowerMessage(const raft::Message& message);

// Append an envelope's message to a frame. A frame has one term: the first message sets it, and a
// message of another term needs a frame of its own. REQUIRES: the frame is empty or of the
// envelope's term; IsLeaderMessage, respectively IsFollowerMessage.
void AppendToFrame(const raft::Envelope& envelope, peer::v1::AppendEntriesRequest* frame);
void AppendToFrame(const raft::Envelope& envelope, peer::v1::AppendEntriesResponse* frame);

// The identity is left to the caller. REQUIRES: the message is a VoteRequest, a VoteReply,
// respectively a TimeoutNow.
peer::v1::RequestVoteRequest ToVoteRequestProto(const raft::Envelope& envelope);
peer::v1::RequestVoteResponse ToVoteResponseProto(const raft::Envelope& envelope);
peer::v1::TimeoutNowRequest ToTimeoutNowProto(const raft::Envelope& envelope);

peer::v1::ForwardRequest ToProto(raft::ForwardRequest request);
peer::v1::ForwardResponse ToProto(const raft::ForwardReply& reply);

// What `from` says to `to`. A frame may be empty: then it only opens a stream. Also checks the
// frame's cluster time.
absl::StatusOr<std::vector<raft::Envelope>> FromProto(peer::v1::AppendEntriesRequest frame,
                                                      raft::NodeId from, raft::NodeId to);
absl::StatusOr<std::vector<raft::Envelope>> FromProto(const peer::v1::AppendEntriesResponse& frame,
                                                      raft::NodeId from, raft::NodeId to);
absl::StatusOr<raft::Envelope> FromProto(const peer::v1::RequestVoteRequest& request,
                                         raft::NodeId from, raft::NodeId to);
absl::StatusOr<raft::Envelope> FromProto(const peer::v1::RequestVoteResponse& response,
                                         raft::NodeId from, raft::NodeId to);
absl::StatusOr<raft::Envelope> FromProto(const peer::v1::TimeoutNowRequest& request,
                                         raft::NodeId from, raft::NodeId to);
absl::StatusOr<raft::ForwardRequest> FromProto(peer::v1::ForwardRequest frame);
absl::StatusOr<raft::ForwardReply> FromProto(const peer::v1::ForwardResponse& frame);

// What a leader brings to a follower, without who it is: the identity is checked apart.
struct SnapshotOffer {
  raft::Term term;
  raft::SnapshotPoint point;
  uint64_t first_chunk = 0;  // Of this stream.
};
struct SnapshotChunk {
  uint64_t number = 0;
  std::string data;
};
peer::v1::SnapshotOpening ToProto(const SnapshotOffer& offer);
absl::StatusOr<SnapshotOffer> FromProto(const peer::v1::SnapshotOpening& opening);
// With the checksum, which FromProto compares.
peer::v1::SnapshotChunk ToProto(SnapshotChunk chunk);
absl::StatusOr<SnapshotChunk> FromProto(peer::v1::SnapshotChunk chunk);

// The ids that count. InvalidArgument when they do not name exactly the listed members, when there
// is no voter, or when a learner votes.
absl::StatusOr<raft::Configuration> FromProto(const log::v1::ClusterConfiguration& configuration);
// The same of the ClusterConfiguration that is the payload of a kConfiguration.
absl::StatusOr<std::shared_ptr<const raft::Configuration>> ConfigurationOf(
    const raft::Entry& entry);

}  // namespace raftkv::wire
