// Sends frames through the bytes that they have on the wire, so that what raft/wire makes of them
// is part of a run. What a member says must never be turned down by another.
#pragma once

#include "tests/simulation/frames.h"

namespace raftkv::simulation {

LeaderFrame ThroughWire(LeaderFrame frame, raft::NodeId from, raft::NodeId to);
FollowerFrame ThroughWire(FollowerFrame frame, raft::NodeId from, raft::NodeId to);
// A VoteRequest, a VoteReply or a TimeoutNow.
raft::Envelope ThroughWire(const raft::Envelope& call);
raft::ForwardRequest ThroughWire(raft::ForwardRequest request);
raft::ForwardReply ThroughWire(const raft::ForwardReply& reply);

}  // namespace raftkv::simulation
