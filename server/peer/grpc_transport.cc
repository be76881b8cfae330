#include "server/peer/grpc_transport.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kv/errors.h"
#include "raft/wire/convert.h"

namespace raftkv::server {
namespace {

// The ip of `caller` with the port of `address`: until a name means the peer's new address, this is
// where it is. Empty when there is none.
std::string WhereSeen(const std::string& address, const std::string& caller) {
  const size_t scheme = caller.find(':');
  const size_t caller_port = caller.rfind(':');
  const size_t port = address.rfind(':');
  if ((!absl::StartsWith(caller, "ipv4:") && !absl::StartsWith(caller, "ipv6:")) ||
      caller_port == scheme || port == std::string::npos) {
    return "";
  }
  return absl::StrCat(absl::StrReplaceAll(caller.substr(scheme + 1, caller_port - scheme - 1),
                                          {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}}),
                      address.substr(port));
}

}  // namespace

void GrpcTransport::AddLinks() {
  if (shut_down_) {
    return;
  }
  for (const kv::MemberEntry& member : context_->directory->Peers()) {
    std::unique_ptr<PeerLink>& link = links_[raft::NodeId(member.id)];
    if (link == nullptr) {
      link = std::make_unique<PeerLink>(context_, member);
    }
  }
}

void GrpcTransport::FollowMembers() {
  AddLinks();
  std::erase_if(links_, [this](const auto& item) {
    return !context_->directory->Find(item.first).has_value();
  });
}

void GrpcTransport::Tick() {
  for (auto& [peer, link] : links_) {
    link->Tick();
  }
}

PeerLink* GrpcTransport::LinkTo(raft::NodeId peer) const {
  const auto found = links_.find(peer);
  return found == links_.end() ? nullptr : found->second.get();
}

void GrpcTransport::ReportLosses() {
  for (auto& [peer, link] : links_) {
    if (link->TakeAppendStreamLost()) {
      context_->driver->OnStreamLost(peer);
    }
    if (link->TakeForwardStreamLost()) {
      context_->driver->OnForwardLost(peer);
    }
    // One that still appends is there, whatever its port says.
    if (link->TakeConnectionRefused() && !incoming_->HasAppendStreamOf(peer)) {
      context_->driver->OnPeerUnreachable(peer);
    }
    if (const auto result = link->TakeSnapshotResult(); result.has_value()) {
      context_->driver->OnSnapshotSent(peer, *result);
    }
  }
  for (const raft::NodeId peer : std::exchange(unsent_snapshots_, {})) {
    context_->driver->OnSnapshotSent(peer, absl::UnavailableError("there is no link to it"));
  }
}

void GrpcTransport::Shutdown() {
  shut_down_ = true;
  for (auto& [peer, link] : links_) {
    link->Shutdown();
  }
}

void GrpcTransport::OnPeerSeen(raft::NodeId peer, const std::string& address,
                               const std::string& caller) {
  PeerLink* const link = LinkTo(peer);
  if (link == nullptr) {
    return;
  }
  context_->directory->addresses().OnSeen(link->name(), address);
  link->OnPeerSeen(WhereSeen(address, caller));
}

std::vector<PeerFigures> GrpcTransport::Figures() const {
  std::vector<PeerFigures> figures;
  for (const auto& [peer, link] : links_) {
    figures.push_back(link->Figures());
  }
  return figures;
}

void GrpcTransport::FillStatus(v1::GetStatusResponse* response) const {
  for (const auto& [peer, link] : links_) {
    v1::PeerStatus* status = response->add_peers();
    status->set_id(peer.value());
    status->set_reachable(link->unreachable_since() == 0);
    if (!status->reachable()) {
      const MonotonicNanos gone = context_->clock->Now() - link->unreachable_since();
      status->mutable_unreachable_for()->set_seconds(gone / kNanosPerSecond);
      status->mutable_unreachable_for()->set_nanos(static_cast<int32_t>(gone % kNanosPerSecond));
    }
    if (const auto* progress = context_->driver->core().progress(peer); progress != nullptr) {
      status->set_match_index(progress->match_index().value());
    }
  }
}

std::string GrpcTransport::UnreachableText() const {
  std::vector<std::string> texts;
  for (const auto& [peer, link] : links_) {
    if (link->unreachable_since() != 0) {
      texts.push_back(link->UnreachableText());
    }
  }
  return absl::StrJoin(texts, ", ");
}

void GrpcTransport::Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) {
  if (std::holds_alternative<raft::VoteReply>(envelope.message)) {
    incoming_->SendVoteReply(envelope);
    return;
  }
  if (wire::IsFollowerMessage(envelope.message)) {
    incoming_->SendAppendReply(envelope);
    return;
  }
  PeerLink* link = LinkTo(envelope.to);
  if (link == nullptr && context_->directory->founded()) {
    // A leader's log has brought it in this very turn.
    context_->directory->FollowLog(context_->driver->core().configuration_payload());
    AddLinks();
    link = LinkTo(envelope.to);
  }
  if (link == nullptr) {
    return;
  }
  if (std::holds_alternative<raft::VoteRequest>(envelope.message)) {
    link->RequestVote(envelope);
  } else if (std::holds_alternative<raft::TimeoutNow>(envelope.message)) {
    link->SendTimeoutNow(envelope);
  } else {
    link->SendAppend(envelope, cluster_time);
  }
}

void GrpcTransport::TransferLeadership(raft::NodeId leader, raft::NodeId target,
                                       MonotonicNanos deadline, raft::TransferCallback done) {
  if (PeerLink* const link = LinkTo(leader); link != nullptr) {
    link->TransferLeadership(target, deadline, std::move(done));
  } else {
    done(absl::UnavailableError(absl::StrCat("there is no link to member ", leader.value())));
  }
}

void GrpcTransport::ChangeMembers(raft::NodeId leader, peer::v1::ChangeMembersRequest change,
                                  MonotonicNanos deadline, kv::Membership::Done done) {
  if (PeerLink* const link = LinkTo(leader); link != nullptr) {
    link->ChangeMembers(std::move(change), deadline, std::move(done));
  } else {
    done(kv::NoLeaderError());
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

void GrpcTransport::SendSnapshot(raft::NodeId peer, raft::Term term,
                                 std::unique_ptr<raft::SnapshotReader> snapshot) {
  if (PeerLink* const link = LinkTo(peer); link != nullptr) {
    link->SendSnapshot(term, std::move(snapshot));
  } else {
    unsent_snapshots_.push_back(peer);
  }
}

void GrpcTransport::StopSnapshot(raft::NodeId peer) {
  if (PeerLink* const link = LinkTo(peer); link != nullptr) {
    link->StopSnapshot();
  }
}

}  // namespace raftkv::server
