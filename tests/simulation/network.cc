#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

#include "tests/simulation/wire_codec.h"

namespace raftkv::simulation {

using raft::Envelope;
using raft::NodeId;

namespace {

// As in the server: the oldest of more is refused.
constexpr size_t kVoteCallsMax = 8;
constexpr uint64_t kVoteBytes = 20;

}  // namespace

Network::Network(const SimOptions* options, Scheduler* scheduler, Trace* trace, Counters* counters)
    : options_(*options),
      scheduler_(*scheduler),
      trace_(*trace),
      counters_(*counters),
      dice_(options->seed, "network"),
      links_(options, scheduler, Dice(options->seed, "links")),
      streams_(options, scheduler, &links_, &endpoints_, Dice(options->seed, "streams"), counters) {
}

void Network::Detach(NodeId node, bool silently) {
  ++lives_[node];
  streams_.OnProcessGone(node, silently);
  std::erase_if(vote_calls_, [node](const auto& item) { return item.first.first == node; });
  endpoints_.erase(node);
}

void Network::SendToFollower(NodeId from, NodeId to, LeaderFrame frame) {
  if (options_.wire_bytes) {
    frame = ThroughWire(std::move(frame), from, to);
  }
  if (options_.network_mode == NetworkMode::kStreams) {
    if (!streams_.SendToAcceptor(StreamKind::kAppend, from, to, std::move(frame))) {
      endpoints_.at(from)->OnAppendStreamLost(to);
    }
    return;
  }
  for (Envelope& message : frame.messages) {
    SendDatagram({from, to}, LeaderFrame{.term = frame.term,
                                         .cluster_time = frame.cluster_time,
                                         .messages = {std::move(message)}});
  }
}

void Network::SendToLeader(NodeId from, NodeId to, FollowerFrame frame) {
  if (options_.wire_bytes) {
    frame = ThroughWire(std::move(frame), from, to);
  }
  if (options_.network_mode == NetworkMode::kStreams) {
    streams_.SendToOpener(StreamKind::kAppend, from, to, std::move(frame));
    return;
  }
  for (Envelope& message : frame.messages) {
    SendDatagram({from, to}, FollowerFrame{.messages = {std::move(message)}});
  }
}

bool Network::IsLost(Link link) {
  const bool lost = links_.IsCut(link) || (!reliable_ && dice_.Chance(options_.lost_permille));
  counters_.Note(Situation::kMessageLost, lost ? 1 : 0);
  return lost;
}

bool Network::SentAsDatagram(Link link, Envelope* message) {
  if (options_.wire_bytes) {
    *message = ThroughWire(*message);
  }
  if (options_.network_mode != NetworkMode::kDatagrams) {
    return false;
  }
  SendDatagram(link, VoteFrame{std::move(*message)});
  return true;
}

void Network::SendVoteRequest(Envelope message) {
  const Link link(message.from, message.to);
  if (SentAsDatagram(link, &message)) {
    return;
  }
  const std::optional<SimTime> delay = DelayOfCall(link);
  if (!delay.has_value()) {
    return;
  }
  scheduler_.After(*delay, [this, message = std::move(message), asked_at = scheduler_.now(),
                            life = lives_[link.first]]() mutable {
    DeliverVoteRequest(std::move(message), asked_at, life);
  });
}

void Network::SendTimeoutNow(Envelope message) {
  const Link link(message.from, message.to);
  if (SentAsDatagram(link, &message)) {
    return;
  }
  if (const std::optional<SimTime> delay = DelayOfCall(link); delay.has_value()) {
    scheduler_.After(*delay, [this, message = std::move(message)]() mutable {
      const NodeId from = message.from;
      const NodeId to = message.to;
      if (IsUp(to)) {
        endpoints_.at(to)->OnFrame(from, VoteFrame{std::move(message)});
      }
    });
  }
}

std::optional<SimTime> Network::DelayOfCall(Link link) {
  if (IsLost(link) || links_.IsCut({link.second, link.first})) {
    return std::nullopt;
  }
  return links_.Carry(link, kVoteBytes) + links_.DrawDelay(link);
}

void Network::DeliverVoteRequest(Envelope message, SimTime asked_at, uint64_t callers_life) {
  if (!IsUp(message.to)) {
    return;
  }
  std::deque<VoteCall>& calls = vote_calls_[{message.to, message.from}];
  std::erase_if(calls, [this](const VoteCall& call) {
    return call.asked_at + VoteTimeout() < scheduler_.now();
  });
  if (calls.size() >= kVoteCallsMax) {
    calls.pop_front();
  }
  calls.push_back({.pre_vote = std::get<raft::VoteRequest>(message.message).pre_vote,
                   .asked_at = asked_at,
                   .callers_life = callers_life});
  const NodeId from = message.from;
  const NodeId to = message.to;
  endpoints_.at(to)->OnFrame(from, VoteFrame{std::move(message)});
}

void Network::SendVoteReply(Envelope message) {
  const Link link(message.from, message.to);
  if (SentAsDatagram(link, &message)) {
    return;
  }
  const bool pre_vote = std::get<raft::VoteReply>(message.message).pre_vote;
  std::deque<VoteCall>& calls = vote_calls_[link];
  const auto call = std::find_if(calls.begin(), calls.end(), [pre_vote](const VoteCall& open) {
    return open.pre_vote == pre_vote;
  });
  if (call == calls.end()) {
    return;
  }
  const VoteCall answered = *call;
  calls.erase(call);
  if (IsLost(link)) {
    return;
  }
  const SimTime delay = links_.Carry(link, kVoteBytes) + links_.DrawDelay(link);
  scheduler_.After(delay, [this, message = std::move(message), answered]() mutable {
    DeliverVoteReply(std::move(message), answered);
  });
}

void Network::DeliverVoteReply(Envelope message, const VoteCall& call) {
  const NodeId from = message.from;
  const NodeId to = message.to;
  const bool too_late = call.asked_at + VoteTimeout() < scheduler_.now();
  if (IsUp(to) && lives_[to] == call.callers_life && !too_late) {
    endpoints_.at(to)->OnFrame(from, VoteFrame{std::move(message)});
  }
}

bool Network::Forward(NodeId from, NodeId leader, raft::ForwardRequest request) {
  const bool has_proposals = !request.proposals.empty();
  const bool has_reads = !request.reads.empty();
  if (options_.wire_bytes) {
    request = ThroughWire(std::move(request));
  }
  if (!streams_.SendToAcceptor(StreamKind::kForward, from, leader, std::move(request))) {
    return false;
  }
  counters_.Note(Situation::kProposalForwarded, has_proposals ? 1 : 0);
  counters_.Note(Situation::kReadForwarded, has_reads ? 1 : 0);
  return true;
}

void Network::ReplyToForward(NodeId from, NodeId origin, raft::ForwardReply reply) {
  if (!reply.refused_proposals.empty() || !reply.refused_reads.empty()) {
    counters_.Note(Situation::kForwardRefused);
  }
  if (options_.wire_bytes) {
    reply = ThroughWire(reply);
  }
  streams_.SendToOpener(StreamKind::kForward, from, origin, std::move(reply));
}

void Network::SendDatagram(Link link, const Frame& frame) {
  if (IsLost(link)) {
    return;
  }
  SendOneDatagram(link, frame);
  if (!reliable_ && dice_.Chance(options_.doubled_permille)) {
    counters_.Note(Situation::kMessageDoubled);
    SendOneDatagram(link, frame);
  }
}

void Network::SendOneDatagram(Link link, const Frame& frame) {
  const SimTime delay = links_.Carry(link, BytesOf(frame)) + links_.DrawDelay(link);
  SimTime& last_arrival = last_arrival_[link];
  if (scheduler_.now() + delay < last_arrival) {
    counters_.Note(Situation::kMessageOvertaken);
  }
  last_arrival = std::max(last_arrival, scheduler_.now() + delay);
  scheduler_.After(delay, [this, link, frame]() {
    if (IsUp(link.second)) {
      endpoints_.at(link.second)->OnFrame(link.first, frame);
    }
  });
}

void Network::Cut(Link link) {
  if (links_.Cut(link)) {
    trace_.Add({link.first.value(), link.second.value()}, [&] {
      return absl::StrCat("cut n", link.first.value(), " -> n", link.second.value());
    });
    streams_.OnCut(link);
  }
}

void Network::Heal(Link link) {
  if (links_.Heal(link)) {
    trace_.Add({link.first.value(), link.second.value()}, [&] {
      return absl::StrCat("heal n", link.first.value(), " -> n", link.second.value());
    });
    streams_.OnHealed(link);
  }
}

void Network::ResetStreams(NodeId opener, NodeId acceptor) {
  streams_.Reset(StreamKind::kAppend, opener, acceptor);
  streams_.Reset(StreamKind::kForward, opener, acceptor);
  streams_.Reset(StreamKind::kSnapshot, opener, acceptor);
  if (options_.network_mode == NetworkMode::kDatagrams && IsUp(opener)) {
    endpoints_.at(opener)->OnAppendStreamLost(acceptor);
    endpoints_.at(opener)->Wake();
  }
}

void Network::BecomeReliable() {
  reliable_ = true;
  links_.BecomeReliable();
}

}  // namespace raftkv::simulation
