// The network between members: streams and calls as production has them, or, in the harsher mode,
// each message of Raft by itself.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/frames.h"
#include "tests/simulation/links.h"
#include "tests/simulation/options.h"
#include "tests/simulation/peer_streams.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace raftkv::simulation {

// Confined to one thread.
class Network {
 public:
  Network(const SimOptions* options, Scheduler* scheduler, Trace* trace, Counters* counters);

  // A process of `node` begins or ends.
  void Attach(raft::NodeId node, Endpoint* endpoint) { endpoints_[node] = endpoint; }
  void Detach(raft::NodeId node, bool silently);
  void OnProcessSilent(raft::NodeId node) { streams_.OnProcessSilent(node); }

  void SendToFollower(raft::NodeId from, raft::NodeId to, LeaderFrame frame);
  void SendToLeader(raft::NodeId from, raft::NodeId to, FollowerFrame frame);
  void SendVoteRequest(raft::Envelope message);
  // Answers the oldest open request of the addressee and kind; dropped when there is none.
  void SendVoteReply(raft::Envelope message);
  void SendTimeoutNow(raft::Envelope message);
  // False while the stream has as much under way as it takes.
  [[nodiscard]] bool HasForwardRoom(raft::NodeId from, raft::NodeId leader) const {
    return streams_.HasForwardRoom(from, leader);
  }
  // False when it certainly does not leave.
  [[nodiscard]] bool Forward(raft::NodeId from, raft::NodeId leader, raft::ForwardRequest request);
  void ReplyToForward(raft::NodeId from, raft::NodeId origin, raft::ForwardReply reply);
  // A frame of a snapshot, from its leader and back to it. Returns false when the frame certainly
  // will not arrive.
  [[nodiscard]] bool SendSnapshotFrame(raft::NodeId from, raft::NodeId to, Frame frame) {
    return streams_.SendToAcceptor(StreamKind::kSnapshot, from, to, std::move(frame));
  }
  void AnswerSnapshot(raft::NodeId from, raft::NodeId leader, SnapshotAnswer answer) {
    streams_.SendToOpener(StreamKind::kSnapshot, from, leader, std::move(answer));
  }

  // Faults.
  void Cut(Link link);
  void Heal(Link link);
  bool IsCut(Link link) const { return links_.IsCut(link); }
  void Clog(Link link, SimTime until) { links_.Clog(link, until); }
  void SetSpeed(Link link, SimTime nanos_per_byte) { links_.SetSpeed(link, nanos_per_byte); }
  void ResetStreams(raft::NodeId opener, raft::NodeId acceptor);
  // From now on nothing is lost, doubled or late, except across cuts.
  void BecomeReliable();
  bool is_reliable() const { return reliable_; }

 private:
  // A request for a vote that its callee has not answered.
  struct VoteCall {
    bool pre_vote;
    SimTime asked_at;
    uint64_t callers_life;
  };

  bool IsUp(raft::NodeId node) const { return endpoints_.contains(node); }
  // How long votes are waited for, on either side.
  SimTime VoteTimeout() const { return options_.ElectionTimeout(); }
  // Sends one message by itself, with all that may befall it.
  void SendDatagram(Link link, const Frame& frame);
  // Takes a message that is a call through the wire's bytes, where they are simulated, and sends it
  // by itself, where messages travel so. Returns whether it sent it.
  bool SentAsDatagram(Link link, raft::Envelope* message);
  void SendOneDatagram(Link link, const Frame& frame);
  // Whether a call reaches the callee, and when; it needs a connection, so both ways.
  std::optional<SimTime> DelayOfCall(Link link);
  void DeliverVoteRequest(raft::Envelope message, SimTime asked_at, uint64_t callers_life);
  void DeliverVoteReply(raft::Envelope message, const VoteCall& call);
  bool IsLost(Link link);

  const SimOptions& options_;
  Scheduler& scheduler_;
  Trace& trace_;
  Counters& counters_;
  Dice dice_;
  bool reliable_ = false;
  Links links_;
  std::map<raft::NodeId, Endpoint*> endpoints_;
  PeerStreams streams_;
  // By callee and caller.
  std::map<Link, std::deque<VoteCall>> vote_calls_;
  // How often the process of a node ended.
  std::map<raft::NodeId, uint64_t> lives_;
  // The latest arrival of a datagram, to see which are overtaken.
  std::map<Link, SimTime> last_arrival_;
};

}  // namespace raftkv::simulation
