#include "server/grpc_transport.h"

#include <glog/logging.h>

#include <utility>
#include <variant>

#include "raft/wire/convert.h"

namespace raftkv::server {

void GrpcTransport::Connect() {
  const auto& records = node_->state_machine->member_records();
  for (const log::v1::ConfiguredMember& member : node_->configuration()->members()) {
    if (member.id() == node_->member_id) {
      continue;
    }
    const auto record = records.find(member.id());
    const auto seen = seen_addresses_.find(raft::NodeId(member.id()));
    std::string address = member.peer_address();
    if (seen != seen_addresses_.end()) {
      address = seen->second;
    } else if (record != records.end()) {
      address = record->second.peer_address();
    }
    std::unique_ptr<PeerLink>& link = links_[raft::NodeId(member.id())];
    if (link != nullptr && link->address() == address) {
      continue;
    }
    const bool moved = link != nullptr;
    if (moved) {
      LOG(INFO) << "member " << member.id() << " \"" << member.name() << "\" moved to " << address;
      link->Shutdown();
    }
    link = std::make_unique<PeerLink>(node_, member, address);
    if (moved) {
      link->MarkStreamsLost();
    }
  }
}

PeerLink* GrpcTransport::LinkTo(raft::NodeId peer) const {
  const auto found = links_.find(peer);
  return found == links_.end() ? nullptr : found->second.get();
}

void GrpcTransport::ReportLosses() {
  for (auto& [peer, link] : links_) {
    if (link->TakeAppendStreamLost()) {
      node_->driver->OnStreamLost(peer);
    }
    if (link->TakeForwardStreamLost()) {
      node_->driver->OnForwardLost(peer);
    }
  }
}

void GrpcTransport::Shutdown() {
  for (auto& [peer, link] : links_) {
    link->Shutdown();
  }
}

void GrpcTransport::OnPeerSeen(raft::NodeId peer, const std::string& address) {
  if (!address.empty()) {
    seen_addresses_[peer] = address;
  }
  if (PeerLink* link = LinkTo(peer); link != nullptr) {
    link->OnPeerSeen();
  }
}

void GrpcTransport::Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) {
  if (std::holds_alternative<raft::VoteReply>(envelope.message)) {
    incoming_->SendVoteReply(envelope);
    return;
  }
  if (!wire::IsLeaderMessage(envelope.message) &&
      !std::holds_alternative<raft::VoteRequest>(envelope.message)) {
    incoming_->SendAppendReply(envelope);
    return;
  }
  PeerLink* link = LinkTo(envelope.to);
  if (link == nullptr) {
    return;
  }
  if (std::holds_alternative<raft::VoteRequest>(envelope.message)) {
    link->RequestVote(envelope);
  } else {
    link->SendAppend(envelope, cluster_time);
  }
}

bool GrpcTransport::HasForwardRoom(raft::NodeId leader) const {
  const PeerLink* link = LinkTo(leader);
  return link == nullptr || link->HasForwardRoom();
}

bool GrpcTransport::Forward(raft::NodeId leader, raft::ForwardRequest request) {
  PeerLink* link = LinkTo(leader);
  return link != nullptr && link->Forward(std::move(request));
}

void GrpcTransport::ReplyToForward(raft::NodeId origin, raft::ForwardReply reply) {
  incoming_->SendForwardReply(origin, std::move(reply));
}

}  // namespace raftkv::server
