#include "tests/simulation/wire_codec.h"

#include <glog/logging.h>

#include <string>
#include <utility>

#include "raft/wire/convert.h"

namespace raftkv::simulation {

using raft::Envelope;
using raft::NodeId;

namespace {

template <typename Proto>
Proto ThroughBytes(const Proto& message) {
  Proto parsed;
  CHECK(parsed.ParseFromString(message.SerializeAsString()));
  return parsed;
}

template <typename T>
T Accepted(absl::StatusOr<T> converted) {
  CHECK(converted.ok()) << "a member's own frame is refused: " << converted.status();
  return *std::move(converted);
}

}  // namespace

LeaderFrame ThroughWire(LeaderFrame frame, NodeId from, NodeId to) {
  peer::v1::AppendEntriesRequest proto;
  proto.set_cluster_time_ms(frame.cluster_time.value());
  for (const Envelope& message : frame.messages) {
    wire::AppendToFrame(message, &proto);
  }
  proto = ThroughBytes(proto);
  frame.term = raft::Term(proto.term());
  frame.cluster_time = raft::ClusterMillis(proto.cluster_time_ms());
  frame.messages = Accepted(wire::FromProto(std::move(proto), from, to));
  return frame;
}

FollowerFrame ThroughWire(FollowerFrame frame, NodeId from, NodeId to) {
  peer::v1::AppendEntriesResponse proto;
  for (const Envelope& message : frame.messages) {
    wire::AppendToFrame(message, &proto);
  }
  frame.messages = Accepted(wire::FromProto(ThroughBytes(proto), from, to));
  return frame;
}

Envelope ThroughWire(const Envelope& call) {
  if (std::holds_alternative<raft::VoteRequest>(call.message)) {
    return Accepted(
        wire::FromProto(ThroughBytes(wire::ToVoteRequestProto(call)), call.from, call.to));
  }
  if (std::holds_alternative<raft::TimeoutNow>(call.message)) {
    return Accepted(
        wire::FromProto(ThroughBytes(wire::ToTimeoutNowProto(call)), call.from, call.to));
  }
  return Accepted(
      wire::FromProto(ThroughBytes(wire::ToVoteResponseProto(call)), call.from, call.to));
}

raft::ForwardRequest ThroughWire(raft::ForwardRequest request) {
  return Accepted(wire::FromProto(ThroughBytes(wire::ToProto(std::move(request)))));
}

raft::ForwardReply ThroughWire(const raft::ForwardReply& reply) {
  return Accepted(wire::FromProto(ThroughBytes(wire::ToProto(reply))));
}

}  // namespace raftkv::simulation
