#include "tests/support/raft_script.h"

#include <algorithm>
#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "raft/core/describe.h"

namespace raftkv::raft {
namespace {

// A cluster that still talks after so many deliveries would talk for ever.
constexpr int kDeliveriesMax = 10'000;

// Thrown at a command that makes no sense; ends as an error line in the transcript.
struct BadCommand : std::runtime_error {
  using std::runtime_error::runtime_error;
};

uint64_t Number(const std::string& word) {
  uint64_t value = 0;
  if (!absl::SimpleAtoi(word, &value)) {
    throw BadCommand(absl::StrCat("not a number: ", word));
  }
  return value;
}

std::set<NodeId> NodeSet(const std::string& list) {
  std::set<NodeId> nodes;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(list, ','))) {
    nodes.insert(NodeId(Number(word)));
  }
  return nodes;
}

const std::string& Word(const std::vector<std::string>& words, size_t place) {
  if (place >= words.size()) {
    throw BadCommand("too few words");
  }
  return words[place];
}

// Takes "learners=A,B" and "outgoing=A,B"; returns whether it was one of them.
bool SetMembers(const std::string& word, Configuration* configuration) {
  if (absl::StartsWith(word, "learners=")) {
    configuration->learners = NodeSet(word.substr(word.find('=') + 1));
    return true;
  }
  if (absl::StartsWith(word, "outgoing=")) {
    configuration->outgoing_voters = NodeSet(word.substr(word.find('=') + 1));
    return true;
  }
  return false;
}

void SetOption(RaftConfig& config, const std::string& name, uint64_t value) {
  const std::map<std::string, uint64_t*> options = {
      {"heartbeat", &config.heartbeat_ticks},
      {"election", &config.election_timeout_ticks},
      {"append_bytes", &config.append_bytes_max},
      {"inflight", &config.inflight_appends_max},
      {"inflight_bytes", &config.inflight_bytes_max},
      {"memory_bytes", &config.log_memory_bytes_max},
      {"uncommitted_bytes", &config.uncommitted_bytes_max},
  };
  const auto option = options.find(name);
  if (option == options.end()) {
    throw BadCommand(absl::StrCat("no option ", name));
  }
  *option->second = value;
}

const char* DescribeState(FollowerProgress::State state) {
  switch (state) {
    case FollowerProgress::State::kProbe:
      return "probe";
    case FollowerProgress::State::kReplicate:
      return "replicate";
    case FollowerProgress::State::kSnapshot:
      return "snapshot";
  }
  return "unknown state";
}

const char* DescribeUse(RaftCore::SnapshotUse use) {
  switch (use) {
    case RaftCore::SnapshotUse::kNone:
      return "of no use";
    case RaftCore::SnapshotUse::kKeepsLog:
      return "keeps the log";
    case RaftCore::SnapshotUse::kReplacesLog:
      return "replaces the log";
  }
  return "of unknown use";
}

std::string DescribeProgress(NodeId peer, const FollowerProgress& progress) {
  return absl::StrCat("  ", peer.value(), " ", DescribeState(progress.state()),
                      " match=", progress.match_index().value(),
                      " next=", progress.next_index().value(),
                      " inflight=", progress.window().size());
}

}  // namespace

RaftScript::RaftScript()
    : commands_{
          {"cluster", &RaftScript::Cluster},
          {"tick", &RaftScript::Tick},
          {"campaign", &RaftScript::Campaign},
          {"elect", &RaftScript::Elect},
          {"win", &RaftScript::Win},
          {"propose", &RaftScript::Propose},
          {"configure", &RaftScript::Configure},
          {"read", &RaftScript::Read},
          {"ask", &RaftScript::Ask},
          {"hand", &RaftScript::Hand},
          {"settle", &RaftScript::Settle},
          {"deliver", &RaftScript::Deliver},
          {"drop", &RaftScript::Drop},
          {"copy", &RaftScript::Copy},
          {"replay", &RaftScript::Replay},
          {"network", &RaftScript::Network},
          {"cut", &RaftScript::Cut},
          {"isolate", &RaftScript::Isolate},
          {"heal", &RaftScript::Heal},
          {"stream_lost", &RaftScript::StreamLost},
          {"part", &RaftScript::Part},
          {"persist", &RaftScript::Persist},
          {"loads", &RaftScript::Loads},
          {"apply", &RaftScript::Apply},
          {"trim", &RaftScript::Trim},
          {"snapshot", &RaftScript::Snapshot},
          {"install", &RaftScript::Install},
          {"installs", &RaftScript::Installs},
          {"snapshot_ended", &RaftScript::SnapshotEnded},
          {"crash", &RaftScript::Crash},
          {"restart", &RaftScript::Restart},
          {"status", &RaftScript::Status},
          {"log", &RaftScript::Log},
          {"progress", &RaftScript::Progress},
          {"trace", &RaftScript::Trace},
      } {}

RaftScript::~RaftScript() = default;

std::string RaftScript::Run(const std::string& command) {
  printed_.clear();
  const Words words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  try {
    const auto found = commands_.find(Word(words, 0));
    if (found == commands_.end()) {
      throw BadCommand("no such command");
    }
    if (cluster_ == nullptr && words[0] != "cluster") {
      throw BadCommand("no cluster yet");
    }
    (this->*found->second)(words);
  } catch (const BadCommand& bad) {
    Print(absl::StrCat("ERROR in `", command, "`: ", bad.what()));
  }
  PrintFindings();
  return printed_;
}

void RaftScript::OnOutput(NodeId node, const Output& output) {
  const std::string prefix = absl::StrCat(node.value(), ": ");
  if (trace_ && output.write.has_value()) {
    Print(prefix + Describe(*output.write));
  }
  if (trace_) {
    for (const Envelope& envelope : output.messages) {
      Print(prefix + "sends " + Describe(envelope));
    }
  }
  for (const LoadEntries& load : output.loads) {
    Print(prefix + Describe(load));
  }
  for (NodeId peer : output.snapshots) {
    Print(absl::StrCat(prefix, "wants a snapshot for ", peer.value()));
  }
  for (const Entry& entry : output.committed) {
    Print(prefix + "committed " + Describe(entry));
  }
  for (const ReadOutcome& read : output.reads) {
    Print(prefix + Describe(read));
  }
  for (const Event& event : output.events) {
    Print(prefix + Describe(event));
  }
}

void RaftScript::Cluster(const Words& words) {
  RaftConfig config;
  config.heartbeat_ticks = 10;
  config.election_timeout_ticks = 100;
  Configuration configuration;
  for (uint64_t node = 1; node <= Number(Word(words, 1)); ++node) {
    configuration.voters.insert(NodeId(node));
  }
  uint64_t seed = 1;
  std::set<NodeId> strangers;
  for (size_t place = 2; place < words.size(); ++place) {
    if (SetMembers(words[place], &configuration)) {
      continue;
    }
    const std::vector<std::string> pair = absl::StrSplit(words[place], absl::MaxSplits('=', 1));
    const std::string& value = Word(pair, 1);
    if (pair[0] == "strangers") {
      strangers = NodeSet(value);
    } else if (pair[0] == "seed") {
      seed = Number(value);
    } else {
      SetOption(config, pair[0], Number(value));
    }
  }
  cluster_ = std::make_unique<RaftCluster>(config, std::move(configuration), seed, this, strangers);
}

void RaftScript::Tick(const Words& words) {
  const uint64_t ticks = Number(Word(words, words.size() - 1));
  for (uint64_t tick = 0; tick < ticks; ++tick) {
    for (size_t place = 1; place + 1 < words.size(); ++place) {
      for (NodeId node : Nodes(words[place])) {
        cluster_->Tick(node);
      }
    }
  }
}

void RaftScript::Campaign(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  for (int tick = 0; tick < 1000; ++tick) {
    if (cluster_->node(node).core->role() != RaftRole::kFollower) {
      return;
    }
    cluster_->Tick(node);
  }
  throw BadCommand("it does not campaign");
}

void RaftScript::Elect(const Words& words) {
  Win(words);
  Settle(words);
}

void RaftScript::Win(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  for (const auto& [other, state] : cluster_->nodes()) {
    const bool is_cut_off = cluster_->IsCut(other, node) && cluster_->IsCut(node, other);
    for (int tick = 0; tick < 100 && other != node && cluster_->IsUp(other) && !is_cut_off;
         ++tick) {
      cluster_->Tick(other);
    }
  }
  cluster_->network().clear();
  for (int tick = 0; tick < 2000; ++tick) {
    if (cluster_->node(node).core->role() == RaftRole::kLeader) {
      return;
    }
    cluster_->Tick(node);
    DeliverVotes();
  }
  throw BadCommand("it does not win");
}

void RaftScript::DeliverVotes() {
  const auto is_vote = [](const Envelope& envelope) {
    return std::holds_alternative<VoteRequest>(envelope.message) ||
           std::holds_alternative<VoteReply>(envelope.message);
  };
  std::deque<Envelope>& network = cluster_->network();
  for (auto vote = std::find_if(network.begin(), network.end(), is_vote); vote != network.end();
       vote = std::find_if(network.begin(), network.end(), is_vote)) {
    Envelope envelope = std::move(*vote);
    network.erase(vote);
    cluster_->Deliver(std::move(envelope));
  }
}

void RaftScript::DeliverPrinted(Envelope envelope) {
  const bool is_lost = !cluster_->IsUp(envelope.to) || cluster_->IsCut(envelope.from, envelope.to);
  Print(absl::StrCat(is_lost ? "lost " : "deliver ", Describe(envelope)));
  cluster_->Deliver(std::move(envelope));
}

void RaftScript::Propose(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  std::vector<std::string> payloads;
  for (size_t place = 2; place < words.size(); ++place) {
    const bool is_size = absl::StartsWith(words[place], "*");
    payloads.push_back(is_size ? std::string(Number(words[place].substr(1)), 'x') : words[place]);
  }
  const absl::Status status = cluster_->Propose(node, payloads);
  if (!status.ok()) {
    Print(absl::StrCat("not proposed: ", status.ToString()));
  }
}

void RaftScript::Configure(const Words& words) {
  Configuration to;
  to.voters = NodeSet(Word(words, 2));
  for (size_t place = 3; place < words.size(); ++place) {
    if (!SetMembers(words[place], &to)) {
      throw BadCommand(absl::StrCat("no such members: ", words[place]));
    }
  }
  const absl::Status status = cluster_->ProposeConfiguration(UpNode(words[1]), std::move(to));
  if (!status.ok()) {
    Print(absl::StrCat("not proposed: ", status.ToString()));
  }
}

void RaftScript::Read(const Words& words) {
  cluster_->Read(UpNode(Word(words, 1)), ReadId(Number(Word(words, 2))));
}

void RaftScript::Ask(const Words& words) {
  cluster_->AskRead(UpNode(Word(words, 1)), ReadId(Number(Word(words, 2))));
}

void RaftScript::Hand(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  const ReadId read(Number(Word(words, 2)));
  if (!cluster_->asked_reads().contains(read)) {
    throw BadCommand(absl::StrCat("read ", read.value(), " was not asked"));
  }
  if (!cluster_->HandRead(node, read)) {
    Print(absl::StrCat(node.value(), ": refuses read ", read.value()));
  }
}

void RaftScript::Settle(const Words&) {
  for (int count = 0; !cluster_->network().empty(); ++count) {
    if (count == kDeliveriesMax) {
      throw BadCommand("it does not settle");
    }
    Envelope envelope = std::move(cluster_->network().front());
    cluster_->network().pop_front();
    if (trace_) {
      DeliverPrinted(std::move(envelope));
    } else {
      cluster_->Deliver(std::move(envelope));
    }
  }
}

void RaftScript::Deliver(const Words& words) {
  const NodeId from(Number(Word(words, 1)));
  const NodeId to(Number(Word(words, 2)));
  const uint64_t count = words.size() > 3 ? Number(words[3]) : kDeliveriesMax;
  // What the deliveries cause on the same link is for a later command.
  const auto under_way = static_cast<uint64_t>(
      std::count_if(cluster_->network().begin(), cluster_->network().end(),
                    [&](const Envelope& e) { return e.from == from && e.to == to; }));
  for (uint64_t done = 0; done < std::min(count, under_way); ++done) {
    DeliverPrinted(TakeOldest(from, to));
  }
}

void RaftScript::Drop(const Words& words) {
  const NodeId from(Number(Word(words, 1)));
  const NodeId to(Number(Word(words, 2)));
  const uint64_t count = words.size() > 3 ? Number(words[3]) : kDeliveriesMax;
  for (uint64_t done = 0; done < count && Oldest(from, to) != nullptr; ++done) {
    Print(absl::StrCat("drop ", Describe(TakeOldest(from, to))));
  }
}

void RaftScript::Copy(const Words& words) {
  const NodeId from(Number(Word(words, 1)));
  const NodeId to(Number(Word(words, 2)));
  const Envelope* oldest = Oldest(from, to);
  if (oldest == nullptr) {
    throw BadCommand("nothing is under way there");
  }
  copies_[Word(words, 3)] = *oldest;
  Print(absl::StrCat("copy ", Describe(*oldest)));
}

void RaftScript::Replay(const Words& words) {
  const auto copy = copies_.find(Word(words, 1));
  if (copy == copies_.end()) {
    throw BadCommand("no such copy");
  }
  DeliverPrinted(copy->second);
}

void RaftScript::Network(const Words&) {
  for (const Envelope& envelope : cluster_->network()) {
    Print(absl::StrCat("  ", Describe(envelope)));
  }
}

void RaftScript::Cut(const Words& words) {
  const std::vector<std::string> one_way = absl::StrSplit(Word(words, 1), "->");
  if (one_way.size() == 2) {
    cluster_->Cut(NodeId(Number(one_way[0])), NodeId(Number(one_way[1])));
    return;
  }
  const NodeId a(Number(words[1]));
  const NodeId b(Number(Word(words, 2)));
  cluster_->Cut(a, b);
  cluster_->Cut(b, a);
}

void RaftScript::Isolate(const Words& words) {
  const NodeId node(Number(Word(words, 1)));
  for (const auto& [other, state] : cluster_->nodes()) {
    cluster_->Cut(node, other);
    cluster_->Cut(other, node);
  }
}

void RaftScript::Heal(const Words&) { cluster_->HealAll(); }

void RaftScript::StreamLost(const Words& words) {
  cluster_->LoseStream(UpNode(Word(words, 1)), NodeId(Number(Word(words, 2))));
}

void RaftScript::Part(const Words& words) {
  cluster_->DeliverPart(UpNode(Word(words, 1)), UpNode(Word(words, 2)));
}

void RaftScript::Persist(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  const std::string& what = Word(words, 2);
  if (what == "on" || what == "off") {
    cluster_->SetPersistsAtOnce(node, what == "on");
    return;
  }
  cluster_->Persist(node, Number(what));
}

void RaftScript::Loads(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  const std::string& what = Word(words, 2);
  if (what == "on" || what == "off") {
    cluster_->node(node).loads_at_once = what == "on";
    cluster_->Drain(node);
    return;
  }
  for (uint64_t count = Number(what); count > 0; --count) {
    cluster_->AnswerLoad(node);
  }
}

void RaftScript::Apply(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  cluster_->node(node).applies_at_once = Word(words, 2) == "on";
  cluster_->Drain(node);
}

void RaftScript::Trim(const Words& words) {
  cluster_->Trim(UpNode(Word(words, 1)), LogIndex(Number(Word(words, 2))));
}

void RaftScript::Snapshot(const Words& words) {
  snapshots_.push_back(
      cluster_->TakeSnapshot(UpNode(Word(words, 1)), NodeId(Number(Word(words, 2)))));
  Print(absl::StrCat(words[1], ": takes a ", Describe(snapshots_.back().meta.point)));
}

void RaftScript::Install(const Words& words) {
  const NodeId to = UpNode(Word(words, 1));
  const auto oldest = std::find_if(snapshots_.begin(), snapshots_.end(),
                                   [to](const auto& snapshot) { return snapshot.to == to; });
  if (oldest == snapshots_.end()) {
    throw BadCommand("no snapshot is under way there");
  }
  const RaftCluster::Snapshot snapshot = std::move(*oldest);
  snapshots_.erase(oldest);
  const RaftCore::SnapshotUse use =
      cluster_->node(to).core->UseOf(snapshot.meta.point, snapshot.term);
  Print(absl::StrCat("deliver ", Describe(snapshot.meta.point), ": ", DescribeUse(use)));
  cluster_->DeliverSnapshot(snapshot);
}

void RaftScript::Installs(const Words& words) {
  const NodeId node = UpNode(Word(words, 1));
  cluster_->node(node).installs_at_once = Word(words, 2) == "on";
  cluster_->Drain(node);
}

void RaftScript::SnapshotEnded(const Words& words) {
  cluster_->EndSnapshot(UpNode(Word(words, 1)), NodeId(Number(Word(words, 2))));
}

void RaftScript::Crash(const Words& words) { cluster_->Crash(UpNode(Word(words, 1))); }

void RaftScript::Restart(const Words& words) {
  const NodeId node(Number(Word(words, 1)));
  if (cluster_->IsUp(node)) {
    throw BadCommand("it is up");
  }
  cluster_->Restart(node);
}

void RaftScript::Status(const Words&) {
  for (const auto& [id, node] : cluster_->nodes()) {
    if (node.core == nullptr) {
      Print(absl::StrCat(id.value(), " down"));
      continue;
    }
    const RaftCore& core = *node.core;
    const auto name = [](NodeId n) { return n == kNobody ? "nobody" : ToString(n); };
    Print(absl::StrCat(
        id.value(), " ", Describe(core.role()), " term=", core.term().value(),
        " vote=", name(core.vote()), " leader=", name(core.leader()),
        " last=", Describe(core.last_entry()), " durable=", core.durable_index().value(),
        " commit=", core.commit_index().value(), " applied=", core.applied_index().value()));
  }
}

void RaftScript::Log(const Words& words) {
  const RaftCluster::Node& node = cluster_->node(NodeId(Number(Word(words, 1))));
  for (size_t place = node.trimmed.value(); place < node.log.size(); ++place) {
    Print(absl::StrCat("  ", Describe(node.log[place])));
  }
}

void RaftScript::Progress(const Words& words) {
  const RaftCore& core = *cluster_->node(UpNode(Word(words, 1))).core;
  for (NodeId peer : core.configuration().Members()) {
    if (const FollowerProgress* progress = core.progress(peer)) {
      Print(DescribeProgress(peer, *progress));
    }
  }
}

void RaftScript::Trace(const Words& words) { trace_ = Word(words, 1) == "on"; }

void RaftScript::Print(const std::string& line) { absl::StrAppend(&printed_, line, "\n"); }

void RaftScript::PrintFindings() {
  if (cluster_ == nullptr) {
    return;
  }
  const std::vector<std::string>& findings = cluster_->oracle().findings();
  for (; findings_printed_ < findings.size(); ++findings_printed_) {
    Print(absl::StrCat("ERROR: UNSAFE: ", findings[findings_printed_]));
  }
}

std::vector<NodeId> RaftScript::Nodes(const std::string& word) const {
  if (word != "all") {
    return {UpNode(word)};
  }
  std::vector<NodeId> nodes;
  for (const auto& [id, node] : cluster_->nodes()) {
    if (node.core != nullptr) {
      nodes.push_back(id);
    }
  }
  return nodes;
}

NodeId RaftScript::UpNode(const std::string& word) const {
  const NodeId node(Number(word));
  if (!cluster_->nodes().contains(node) || !cluster_->IsUp(node)) {
    throw BadCommand(absl::StrCat("node ", word, " is not up"));
  }
  return node;
}

const Envelope* RaftScript::Oldest(NodeId from, NodeId to) const {
  for (const Envelope& envelope : cluster_->network()) {
    if (envelope.from == from && envelope.to == to) {
      return &envelope;
    }
  }
  return nullptr;
}

Envelope RaftScript::TakeOldest(NodeId from, NodeId to) {
  std::deque<Envelope>& network = cluster_->network();
  const auto found = std::find_if(network.begin(), network.end(),
                                  [&](const Envelope& e) { return e.from == from && e.to == to; });
  if (found == network.end()) {
    throw BadCommand("nothing is under way there");
  }
  Envelope envelope = std::move(*found);
  network.erase(found);
  return envelope;
}

std::string RunTranscript(const std::string& text) {
  RaftScript script;
  std::string result;
  std::string printed;
  bool expecting = false;
  std::vector<std::string> lines = absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
  lines.push_back("");
  for (const std::string& line : lines) {
    if (line == "----") {
      absl::StrAppend(&result, line, "\n", printed);
      printed.clear();
      expecting = true;
    } else if (line.empty()) {
      expecting = false;
      absl::StrAppend(&result, "\n");
    } else if (!expecting) {
      absl::StrAppend(&result, line, "\n");
      if (!absl::StartsWith(line, "#")) {
        absl::StrAppend(&printed, script.Run(line));
      }
    }
  }
  while (absl::EndsWith(result, "\n\n")) {
    result.pop_back();
  }
  return result;
}

}  // namespace raftkv::raft
