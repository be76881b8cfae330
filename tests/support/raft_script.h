// Transcript tests: a file of commands to a small cluster, each block followed by `----` and by
// what it printed. Blocks end at an empty line; lines before the first command of a block that
// start with `#` are comments.
//
// Commands (nodes are numbers; `all` stands for every node that is up):
//   cluster N [OPTION=VALUE]...  Options: learners=A,B, outgoing=A,B, strangers=A,B (nodes that are
//                              no members), and the fields of RaftConfig, shortened: heartbeat,
//                              election, append_bytes, inflight, inflight_bytes, memory_bytes,
//                              uncommitted_bytes. A heartbeat is 10 ticks and an election timeout
//                              100 unless said.
//   tick NODES TICKS           One tick each in turn. Messages stay in the network.
//   campaign NODE              Ticks it until it leaves the follower's role.
//   win NODE                   Loses what is under way, lets an election timeout pass for every
//                              node that it is not cut off from, and delivers votes until it leads;
//                              nothing else is delivered.
//   elect NODE                 win, then settle.
//   propose NODE TEXT...       Each text an entry, in one turn; *N is an entry of N bytes.
//   configure NODE VOTERS [outgoing=A,B] [learners=A,B]
//                              Proposes a configuration.
//   read NODE ID               A read of the node's own.
//   ask NODE ID                A read that the node forwards, as of now ...
//   hand NODE ID               ... and brings to a node, which takes or refuses it.
//   settle                     Delivers everything until nothing is under way; printed under trace.
//   deliver FROM TO [COUNT]    The oldest messages of a link, all unless COUNT is given; printed,
//                              with what they cause.
//   drop FROM TO [COUNT]
//   copy FROM TO NAME          Keeps a copy of the oldest message of a link.
//   replay NAME                Delivers the copy.
//   network                    Prints what is under way.
//   cut A B | cut A->B | isolate NODE | heal
//   stream_lost NODE PEER
//   part FROM TO               A part of a large message arrives, of FROM's term.
//   persist NODE off|on|COUNT  Off: writes stay pending. COUNT: that many become durable.
//   loads NODE off|on|COUNT    The same for loads.
//   apply NODE off|on
//   trim NODE INDEX            Forgets the log up to there, as far as it is applied.
//   snapshot FROM TO           Takes a snapshot as the leader of FROM's term.
//   install TO                 The oldest snapshot for TO arrives; printed, with its use.
//   installs NODE off|on       Off: what is installed stays pending.
//   snapshot_ended FROM TO
//   crash NODE | restart NODE
//   status | log NODE | progress NODE
//   trace on|off               Whether messages and writes are printed.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/raft_cluster.h"

namespace raftkv::raft {

class RaftScript final : public ClusterObserver {
 public:
  RaftScript();
  ~RaftScript() override;

  // Carries out one command and returns what it printed; a command that cannot be understood prints
  // an error line.
  std::string Run(const std::string& command);

  // Whether nothing that the oracle watches was broken so far.
  bool IsSafe() const { return cluster_ == nullptr || cluster_->oracle().findings().empty(); }

  void OnOutput(NodeId node, const Output& output) override;

 private:
  using Words = std::vector<std::string>;
  using Command = void (RaftScript::*)(const Words&);

  void Cluster(const Words& words);
  void Tick(const Words& words);
  void Campaign(const Words& words);
  void Elect(const Words& words);
  void Win(const Words& words);
  void Propose(const Words& words);
  void Configure(const Words& words);
  void Read(const Words& words);
  void Ask(const Words& words);
  void Hand(const Words& words);
  void Settle(const Words& words);
  void Deliver(const Words& words);
  void Drop(const Words& words);
  void Part(const Words& words);
  void Copy(const Words& words);
  void Replay(const Words& words);
  void Network(const Words& words);
  void Cut(const Words& words);
  void Isolate(const Words& words);
  void Heal(const Words& words);
  void StreamLost(const Words& words);
  void Persist(const Words& words);
  void Loads(const Words& words);
  void Apply(const Words& words);
  void Trim(const Words& words);
  void Snapshot(const Words& words);
  void Install(const Words& words);
  void Installs(const Words& words);
  void SnapshotEnded(const Words& words);
  void Crash(const Words& words);
  void Restart(const Words& words);
  void Status(const Words& words);
  void Log(const Words& words);
  void Progress(const Words& words);
  void Trace(const Words& words);

  void Print(const std::string& line);
  void PrintFindings();
  std::vector<NodeId> Nodes(const std::string& word) const;
  NodeId UpNode(const std::string& word) const;
  void DeliverVotes();
  void DeliverPrinted(Envelope envelope);
  // The oldest message of a link; null if there is none.
  const Envelope* Oldest(NodeId from, NodeId to) const;
  Envelope TakeOldest(NodeId from, NodeId to);

  const std::map<std::string, Command> commands_;
  std::unique_ptr<RaftCluster> cluster_;
  std::map<std::string, Envelope> copies_;
  std::deque<RaftCluster::Snapshot> snapshots_;
  bool trace_ = false;
  std::string printed_;
  size_t findings_printed_ = 0;
};

// Runs every block of a transcript's text and returns the text with each block's expectation
// replaced by what it printed now. A broken promise of Raft is printed too, so that it can never be
// an expectation.
std::string RunTranscript(const std::string& text);

}  // namespace raftkv::raft
