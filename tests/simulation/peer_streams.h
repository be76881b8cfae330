// The streams between members, as gRPC gives them: what is sent on one arrives in order, until the
// stream breaks. Then both ends hear of it, each in its own time, and what was under way is lost.
//
// For each ordered pair of members and each kind there is at most one stream that its opener uses,
// and one that its acceptor listens to. They differ for as long as an opening is under way or news
// of a break is. What is sent across a cut waits, as TCP sends it again, until the cut is healed or
// has lasted so long that the stream breaks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/frames.h"
#include "tests/simulation/links.h"
#include "tests/simulation/options.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

enum class StreamKind { kAppend, kForward, kSnapshot };

// Confined to one thread.
class PeerStreams {
 public:
  PeerStreams(const SimOptions* options, Scheduler* scheduler, Links* links,
              std::map<raft::NodeId, Endpoint*>* endpoints, Dice dice, Counters* counters);

  // Sends on the opener's stream, and opens one when there is none. Returns false when the frame
  // certainly will not arrive. With kForward also while the stream is not open yet.
  bool SendToAcceptor(StreamKind kind, raft::NodeId opener, raft::NodeId acceptor, Frame frame);
  // False while the opener's forward stream has forward_frames_max under way.
  bool HasForwardRoom(raft::NodeId opener, raft::NodeId acceptor) const;
  // Sends back on the stream that the acceptor listens to; dropped when there is none.
  void SendToOpener(StreamKind kind, raft::NodeId acceptor, raft::NodeId opener, Frame frame);

  // The process of `node` is gone. Its peers hear of it soon, or, when the machine is gone as well
  // (`silently`), only as they hear nothing.
  void OnProcessGone(raft::NodeId node, bool silently);
  // The process has not run for so long that its peers give up on their streams.
  void OnProcessSilent(raft::NodeId node) { BreakAllOf(node, /*notice_max=*/0); }
  // A link was cut or healed.
  void OnCut(Link link);
  void OnHealed(Link link);
  // Breaks the opener's stream, if there is one.
  void Reset(StreamKind kind, raft::NodeId opener, raft::NodeId acceptor);

 private:
  // Nothing is the opening, which says whose stream it is.
  using Content = std::optional<Frame>;

  // What goes in parts, or waits behind it.
  struct Bulk {
    Frame frame;
    raft::Term term;  // Of a leader's frame.
    uint64_t unsent_bytes;
  };
  struct Direction {
    SimTime last_arrival = 0;
    uint64_t under_way = 0;    // Frames sent and neither delivered nor lost.
    std::deque<Content> held;  // Waits for a cut to heal.
    std::deque<Bulk> bulk;
    size_t parts_under_way = 0;
  };
  struct Stream {
    StreamKind kind;
    raft::NodeId opener;
    raft::NodeId acceptor;
    bool connected = false;
    bool broken = false;
    std::deque<Frame> unsent;  // Given before it was connected.
    Direction there;
    Direction back;
  };
  using StreamRef = std::shared_ptr<Stream>;
  using Key = std::tuple<StreamKind, raft::NodeId, raft::NodeId>;  // Kind, opener, acceptor.

  static Direction& DirectionOf(Stream* stream, bool to_acceptor) {
    return to_acceptor ? stream->there : stream->back;
  }
  static Link LinkOf(const Stream& stream, bool to_acceptor) {
    return to_acceptor ? Link(stream.opener, stream.acceptor)
                       : Link(stream.acceptor, stream.opener);
  }
  static Key KeyOf(const Stream& stream) { return {stream.kind, stream.opener, stream.acceptor}; }
  bool IsUp(raft::NodeId node) const { return endpoints_.contains(node); }
  bool IsConnectable(raft::NodeId opener, raft::NodeId acceptor) const;
  StreamRef Open(const Key& key);
  void FinishConnecting(const StreamRef& stream);
  void Transmit(const StreamRef& stream, bool to_acceptor, Content content);
  // After the link has carried so many bytes, and everything on its way before them.
  void AtArrival(const StreamRef& stream, bool to_acceptor, uint64_t bytes, Scheduler::Event event);
  // Sends what is urgent at once, and the rest in turn.
  void TransmitApart(const StreamRef& stream, bool to_acceptor, Frame frame);
  void AddBulk(const StreamRef& stream, bool to_acceptor, Frame frame, uint64_t bytes);
  void SendParts(const StreamRef& stream, bool to_acceptor);
  void DeliverPart(const StreamRef& stream, bool to_acceptor, raft::Term term);
  void OnPartTaken(const StreamRef& stream, bool to_acceptor);
  bool IsHeard(const StreamRef& stream, bool to_acceptor) const;
  void Deliver(const StreamRef& stream, bool to_acceptor, Content content);
  void Accept(const StreamRef& stream);
  // Sends what a cut has held up, unless the link is cut again.
  void Release(const StreamRef& stream, bool to_acceptor);
  // Each end hears of it after a time of at most `notice_max`.
  void Break(const StreamRef& stream, SimTime notice_max);
  void OnOpenerNotices(const StreamRef& stream);
  void BreakAllOf(raft::NodeId node, SimTime notice_max);
  // Every stream between the two, or of all, that is not broken.
  std::vector<StreamRef> LiveStreams(raft::NodeId a, raft::NodeId b) const;

  const SimOptions& options_;
  Scheduler& scheduler_;
  Links& links_;
  std::map<raft::NodeId, Endpoint*>& endpoints_;
  Dice dice_;
  Counters& counters_;

  std::map<Key, StreamRef> opened_;
  std::map<Key, StreamRef> accepted_;
  std::map<Key, SimTime> next_attempt_;
};

}  // namespace raftkv::simulation
