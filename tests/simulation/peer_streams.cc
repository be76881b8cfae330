#include "tests/simulation/peer_streams.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace raftkv::simulation {

using raft::NodeId;

namespace {

// Of one stream and direction.
constexpr size_t kPartsUnderWayMax = 2;

// Takes what builds on nothing out of a leader's frame: signs of life may overtake appends.
LeaderFrame TakeUrgent(LeaderFrame* frame) {
  LeaderFrame urgent{.term = frame->term, .cluster_time = frame->cluster_time, .messages = {}};
  const auto is_append = [](const raft::Envelope& envelope) {
    return std::holds_alternative<raft::AppendRequest>(envelope.message);
  };
  std::copy_if(frame->messages.begin(), frame->messages.end(), std::back_inserter(urgent.messages),
               std::not_fn(is_append));
  std::erase_if(frame->messages, std::not_fn(is_append));
  return urgent;
}

}  // namespace

PeerStreams::PeerStreams(const SimOptions* options, Scheduler* scheduler, Links* links,
                         std::map<NodeId, Endpoint*>* endpoints, Dice dice, Counters* counters)
    : options_(*options),
      scheduler_(*scheduler),
      links_(*links),
      endpoints_(*endpoints),
      dice_(dice),
      counters_(*counters) {}

bool PeerStreams::SendToAcceptor(StreamKind kind, NodeId opener, NodeId acceptor, Frame frame) {
  const Key key{kind, opener, acceptor};
  const auto opened = opened_.find(key);
  const StreamRef stream = opened == opened_.end() ? Open(key) : opened->second;
  if (stream == nullptr || (kind == StreamKind::kForward && !stream->connected)) {
    return false;
  }
  if (stream->connected) {
    Transmit(stream, /*to_acceptor=*/true, std::move(frame));
  } else {
    stream->unsent.push_back(std::move(frame));
  }
  return true;
}

bool PeerStreams::HasForwardRoom(NodeId opener, NodeId acceptor) const {
  const auto opened = opened_.find({StreamKind::kForward, opener, acceptor});
  const bool room =
      opened == opened_.end() || opened->second->there.under_way < options_.forward_frames_max;
  counters_.Note(Situation::kForwardHeldBack, room ? 0 : 1);
  return room;
}

void PeerStreams::SendToOpener(StreamKind kind, NodeId acceptor, NodeId opener, Frame frame) {
  const auto accepted = accepted_.find({kind, opener, acceptor});
  if (accepted != accepted_.end()) {
    Transmit(accepted->second, /*to_acceptor=*/false, std::move(frame));
  }
}

bool PeerStreams::IsConnectable(NodeId opener, NodeId acceptor) const {
  return IsUp(acceptor) && !links_.IsCut(Link(opener, acceptor)) &&
         !links_.IsCut(Link(acceptor, opener));
}

PeerStreams::StreamRef PeerStreams::Open(const Key& key) {
  if (scheduler_.now() < next_attempt_[key]) {
    return nullptr;
  }
  const auto stream = std::make_shared<Stream>();
  std::tie(stream->kind, stream->opener, stream->acceptor) = key;
  opened_[key] = stream;
  // An attempt that meets nobody takes a while to fail.
  const SimTime delay = IsConnectable(stream->opener, stream->acceptor)
                            ? links_.DrawDelay(LinkOf(*stream, /*to_acceptor=*/true)) +
                                  links_.DrawDelay(LinkOf(*stream, /*to_acceptor=*/false))
                            : dice_.Between(0, options_.ElectionTimeout() / 2);
  scheduler_.After(delay, [this, stream] { FinishConnecting(stream); });
  return stream;
}

void PeerStreams::FinishConnecting(const StreamRef& stream) {
  if (stream->broken) {
    return;
  }
  if (!IsConnectable(stream->opener, stream->acceptor)) {
    Break(stream, /*notice_max=*/0);
    return;
  }
  stream->connected = true;
  Transmit(stream, /*to_acceptor=*/true, std::nullopt);
  for (Frame& frame : std::exchange(stream->unsent, {})) {
    Transmit(stream, /*to_acceptor=*/true, std::move(frame));
  }
  endpoints_.at(stream->opener)->Wake();
}

void PeerStreams::Transmit(const StreamRef& stream, bool to_acceptor, Content content) {
  Direction& direction = DirectionOf(stream.get(), to_acceptor);
  const Link link = LinkOf(*stream, to_acceptor);
  ++direction.under_way;
  if (links_.IsCut(link) || !direction.held.empty()) {
    counters_.Note(Situation::kMessageHeldByCut);
    direction.held.push_back(std::move(content));
    return;
  }
  const uint64_t bytes = content.has_value() ? BytesOf(*content) : 0;
  const bool is_large = links_.TimeFor(link, bytes) >= options_.HeartbeatInterval();
  counters_.Note(Situation::kLargeOverSlowLink, is_large ? 1 : 0);
  if (content.has_value() && options_.large_frames == LargeFrames::kParts &&
      (links_.IsSlow(link) || !direction.bulk.empty())) {
    TransmitApart(stream, to_acceptor, *std::move(content));
    return;
  }
  AtArrival(stream, to_acceptor, bytes,
            [this, stream, to_acceptor, content = std::move(content)]() mutable {
              Deliver(stream, to_acceptor, std::move(content));
            });
}

void PeerStreams::AtArrival(const StreamRef& stream, bool to_acceptor, uint64_t bytes,
                            Scheduler::Event event) {
  Direction& direction = DirectionOf(stream.get(), to_acceptor);
  const Link link = LinkOf(*stream, to_acceptor);
  direction.last_arrival =
      std::max(scheduler_.now() + links_.Carry(link, bytes) + links_.DrawDelay(link),
               direction.last_arrival + 1);
  scheduler_.After(direction.last_arrival - scheduler_.now(), std::move(event));
}

void PeerStreams::TransmitApart(const StreamRef& stream, bool to_acceptor, Frame frame) {
  Direction& direction = DirectionOf(stream.get(), to_acceptor);
  // Its pieces count instead.
  --direction.under_way;
  auto* const leader = std::get_if<LeaderFrame>(&frame);
  Frame urgent = leader == nullptr ? std::exchange(frame, LeaderFrame()) : TakeUrgent(leader);
  const bool is_urgent = BytesOf(urgent) <= options_.part_bytes;
  for (Frame* each : {&urgent, &frame}) {
    const uint64_t bytes = BytesOf(*each);
    const bool bulk_waits = !direction.bulk.empty();
    if (bytes == 0) {
      continue;
    }
    ++direction.under_way;
    if (bytes > options_.part_bytes || (bulk_waits && !(is_urgent && each == &urgent))) {
      AddBulk(stream, to_acceptor, std::move(*each), bytes);
      continue;
    }
    counters_.Note(Situation::kUrgentOvertookBulk, bulk_waits ? 1 : 0);
    AtArrival(stream, to_acceptor, bytes,
              [this, stream, to_acceptor, content = Content(std::move(*each))]() mutable {
                Deliver(stream, to_acceptor, std::move(content));
              });
  }
}

void PeerStreams::AddBulk(const StreamRef& stream, bool to_acceptor, Frame frame, uint64_t bytes) {
  const auto* const leader = std::get_if<LeaderFrame>(&frame);
  const raft::Term term = leader == nullptr ? raft::Term() : leader->term;
  DirectionOf(stream.get(), to_acceptor)
      .bulk.push_back({.frame = std::move(frame), .term = term, .unsent_bytes = bytes});
  SendParts(stream, to_acceptor);
}

void PeerStreams::SendParts(const StreamRef& stream, bool to_acceptor) {
  Direction& direction = DirectionOf(stream.get(), to_acceptor);
  while (!direction.bulk.empty() && direction.parts_under_way < kPartsUnderWayMax &&
         !links_.IsCut(LinkOf(*stream, to_acceptor))) {
    Bulk& bulk = direction.bulk.front();
    const uint64_t bytes = std::min(bulk.unsent_bytes, options_.part_bytes);
    bulk.unsent_bytes -= bytes;
    ++direction.parts_under_way;
    AtArrival(stream, to_acceptor, bytes, [this, stream, to_acceptor, term = bulk.term] {
      DeliverPart(stream, to_acceptor, term);
    });
    if (bulk.unsent_bytes == 0) {
      AtArrival(stream, to_acceptor, /*bytes=*/0,
                [this, stream, to_acceptor, content = Content(std::move(bulk.frame))]() mutable {
                  Deliver(stream, to_acceptor, std::move(content));
                });
      direction.bulk.pop_front();
    }
  }
}

void PeerStreams::DeliverPart(const StreamRef& stream, bool to_acceptor, raft::Term term) {
  if (!IsHeard(stream, to_acceptor)) {
    return;
  }
  const Link link = LinkOf(*stream, to_acceptor);
  endpoints_.at(link.second)->OnPart(link.first, term, [this, stream, to_acceptor] {
    scheduler_.After(links_.DrawDelay(LinkOf(*stream, !to_acceptor)),
                     [this, stream, to_acceptor] { OnPartTaken(stream, to_acceptor); });
  });
}

void PeerStreams::OnPartTaken(const StreamRef& stream, bool to_acceptor) {
  if (stream->broken) {
    return;
  }
  if (links_.IsCut(LinkOf(*stream, !to_acceptor))) {
    // The word comes later, as TCP sends it again.
    scheduler_.After(options_.ElectionTimeout() / 4,
                     [this, stream, to_acceptor] { OnPartTaken(stream, to_acceptor); });
    return;
  }
  --DirectionOf(stream.get(), to_acceptor).parts_under_way;
  if (stream->kind == StreamKind::kAppend && to_acceptor) {
    endpoints_.at(stream->opener)->OnPartTaken(stream->acceptor);
  }
  SendParts(stream, to_acceptor);
}

bool PeerStreams::IsHeard(const StreamRef& stream, bool to_acceptor) const {
  const auto& heard_by = to_acceptor ? accepted_ : opened_;
  const auto heard = heard_by.find(KeyOf(*stream));
  return !stream->broken && heard != heard_by.end() && heard->second == stream;
}

void PeerStreams::Deliver(const StreamRef& stream, bool to_acceptor, Content content) {
  --DirectionOf(stream.get(), to_acceptor).under_way;
  if (to_acceptor && stream->kind == StreamKind::kForward && IsUp(stream->opener)) {
    // There is room for the next.
    endpoints_.at(stream->opener)->Wake();
  }
  if (!stream->broken && !content.has_value()) {
    Accept(stream);
    return;
  }
  if (!IsHeard(stream, to_acceptor)) {
    counters_.Note(Situation::kMessageLost);
    const auto* forward =
        content.has_value() ? std::get_if<raft::ForwardRequest>(&*content) : nullptr;
    if (forward != nullptr && !forward->proposals.empty()) {
      counters_.Note(Situation::kForwardStreamLostWithProposals);
    }
    return;
  }
  const Link link = LinkOf(*stream, to_acceptor);
  endpoints_.at(link.second)->OnFrame(link.first, *std::move(content));
}

void PeerStreams::Accept(const StreamRef& stream) {
  if (!IsUp(stream->acceptor)) {
    return;
  }
  StreamRef& accepted = accepted_[KeyOf(*stream)];
  if (accepted != nullptr && accepted != stream) {
    counters_.Note(Situation::kStreamReplaced);
    Break(accepted, options_.delay_max);
  }
  accepted = stream;
}

void PeerStreams::Break(const StreamRef& stream, SimTime notice_max) {
  if (stream->broken) {
    return;
  }
  stream->broken = true;
  counters_.Note(Situation::kStreamBroken);
  scheduler_.After(dice_.Between(0, notice_max), [this, stream] { OnOpenerNotices(stream); });
  scheduler_.After(dice_.Between(0, notice_max), [this, stream] {
    const auto accepted = accepted_.find(KeyOf(*stream));
    if (accepted != accepted_.end() && accepted->second == stream) {
      accepted_.erase(accepted);
    }
  });
}

void PeerStreams::OnOpenerNotices(const StreamRef& stream) {
  const Key key = KeyOf(*stream);
  const auto opened = opened_.find(key);
  if (opened == opened_.end() || opened->second != stream) {
    return;
  }
  opened_.erase(opened);
  // As long as the server waits, measured in its election timeouts.
  next_attempt_[key] = scheduler_.now() + options_.ElectionTimeout() / 10;
  Endpoint* const endpoint = endpoints_.at(stream->opener);
  switch (stream->kind) {
    case StreamKind::kAppend:
      endpoint->OnAppendStreamLost(stream->acceptor);
      break;
    case StreamKind::kForward:
      endpoint->OnForwardStreamLost(stream->acceptor);
      break;
    case StreamKind::kSnapshot:
      endpoint->OnSnapshotStreamLost(stream->acceptor);
      break;
  }
  endpoint->Wake();
}

std::vector<PeerStreams::StreamRef> PeerStreams::LiveStreams(NodeId a, NodeId b) const {
  std::vector<StreamRef> streams;
  for (const auto* map : {&opened_, &accepted_}) {
    for (const auto& [key, stream] : *map) {
      const bool is_between = (stream->opener == a && stream->acceptor == b) ||
                              (stream->opener == b && stream->acceptor == a);
      if (is_between && !stream->broken) {
        streams.push_back(stream);
      }
    }
  }
  return streams;
}

void PeerStreams::OnProcessGone(NodeId node, bool silently) {
  BreakAllOf(node, silently ? options_.silence_limit : options_.delay_max);
  std::erase_if(opened_, [node](const auto& item) { return item.second->opener == node; });
  std::erase_if(accepted_, [node](const auto& item) { return item.second->acceptor == node; });
  std::erase_if(next_attempt_,
                [node](const auto& item) { return std::get<1>(item.first) == node; });
}

void PeerStreams::BreakAllOf(NodeId node, SimTime notice_max) {
  std::vector<StreamRef> streams;
  for (const auto* map : {&opened_, &accepted_}) {
    for (const auto& [key, stream] : *map) {
      if (stream->opener == node || stream->acceptor == node) {
        streams.push_back(stream);
      }
    }
  }
  for (const StreamRef& stream : streams) {
    Break(stream, notice_max);
  }
}

void PeerStreams::OnCut(Link link) {
  scheduler_.After(options_.silence_limit, [this, link] {
    if (!links_.IsSilentFor(link.first, link.second, options_.silence_limit)) {
      return;
    }
    for (const StreamRef& stream : LiveStreams(link.first, link.second)) {
      Break(stream, options_.delay_max);
    }
  });
}

void PeerStreams::OnHealed(Link link) {
  for (const StreamRef& stream : LiveStreams(link.first, link.second)) {
    // TCP tries again less and less often.
    const bool to_acceptor = stream->opener == link.first;
    scheduler_.After(dice_.Between(0, options_.ElectionTimeout() / 2),
                     [this, stream, to_acceptor] { Release(stream, to_acceptor); });
  }
}

void PeerStreams::Release(const StreamRef& stream, bool to_acceptor) {
  if (links_.IsCut(LinkOf(*stream, to_acceptor))) {
    return;
  }
  Direction& direction = DirectionOf(stream.get(), to_acceptor);
  for (Content& content : std::exchange(direction.held, {})) {
    --direction.under_way;
    Transmit(stream, to_acceptor, std::move(content));
  }
  SendParts(stream, to_acceptor);
}

void PeerStreams::Reset(StreamKind kind, NodeId opener, NodeId acceptor) {
  const auto opened = opened_.find({kind, opener, acceptor});
  if (opened != opened_.end()) {
    Break(opened->second, options_.ElectionTimeout() / 4);
  }
}

}  // namespace raftkv::simulation
