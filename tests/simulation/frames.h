// What travels between two members, and who takes it at the other end.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "raft/core/message.h"
#include "raft/core/snapshot.h"
#include "raft/runtime/transport.h"

namespace raftkv::simulation {

// A leader's messages that leave together, all of one term.
struct LeaderFrame {
  raft::Term term;
  raft::ClusterMillis cluster_time;
  std::vector<raft::Envelope> messages;
};

// A follower's answers that leave together.
struct FollowerFrame {
  std::vector<raft::Envelope> messages;
};

// What travels as a call of its own: votes, and TimeoutNow.
struct VoteFrame {
  raft::Envelope message;
};

// A leader's first frame on a stream for a snapshot.
struct SnapshotOffer {
  uint64_t attempt = 0;  // Of the leader's process; answers repeat it.
  raft::Term term;
  raft::SnapshotPoint point;
};

// A part of the snapshot that was offered last.
struct SnapshotChunk {
  uint64_t attempt = 0;
  raft::Term term;
  uint64_t number = 0;  // From 0.
  std::string data;
  bool last = false;
};

// What the follower says to the offer and to each chunk.
struct SnapshotAnswer {
  uint64_t attempt = 0;
  // The chunk that it wants next; nothing when it wants none, for the reason that `status` says.
  std::optional<uint64_t> next_chunk;
  absl::Status status;
};

using Frame = std::variant<LeaderFrame, FollowerFrame, VoteFrame, raft::ForwardRequest,
                           raft::ForwardReply, SnapshotOffer, SnapshotChunk, SnapshotAnswer>;

// About as many as it takes on the wire.
uint64_t BytesOf(const Frame& frame);

// A node as the network sees it. While its process is stopped, calls wait for it to go on.
class Endpoint {
 public:
  virtual ~Endpoint() = default;

  virtual void OnFrame(raft::NodeId from, Frame frame) = 0;
  // A part of a frame of `term` arrived, perhaps the last; `take` tells the sender so.
  virtual void OnPart(raft::NodeId from, raft::Term term, std::function<void()> take) = 0;
  // `peer` has taken a part of what this node sends as a leader.
  virtual void OnPartTaken(raft::NodeId peer) = 0;
  // The stream that this node opened to `peer` for appends or for forwarded requests broke, or
  // could not take what it was given. To be reported before the next turn, never inside one.
  virtual void OnAppendStreamLost(raft::NodeId peer) = 0;
  virtual void OnForwardStreamLost(raft::NodeId peer) = 0;
  // The same for the one on which it offers snapshots.
  virtual void OnSnapshotStreamLost(raft::NodeId peer) = 0;
  // A stream of this node can be written to now, or broke: a turn is due.
  virtual void Wake() = 0;
};

}  // namespace raftkv::simulation
