#include "tests/support/raft_cluster.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"

namespace raftkv::raft {
namespace {

RaftCluster::LoadedEntries ReadEntries(const RaftCluster::Node& node, const LoadEntries& request) {
  if (request.first <= node.trimmed) {
    return {.peer = request.peer, .previous = {}, .entries = {}, .trimmed = true};
  }
  const std::vector<Entry>& log = node.log;
  const uint64_t first = request.first.value() - 1;
  CHECK_LT(first, log.size());
  RaftCluster::LoadedEntries loaded{
      .peer = request.peer, .previous = first == 0 ? EntryId() : log[first - 1].id, .entries = {}};
  uint64_t bytes = 0;
  for (uint64_t place = first; place < log.size(); ++place) {
    bytes += log[place].size_bytes();
    if (!loaded.entries.empty() && bytes > request.bytes_max) {
      break;
    }
    loaded.entries.push_back(log[place]);
  }
  return loaded;
}

}  // namespace

RaftCluster::RaftCluster(const RaftConfig& config, Configuration configuration, uint64_t seed,
                         ClusterObserver* observer, const std::set<NodeId>& strangers)
    : config_(config),
      configuration_(std::move(configuration)),
      seed_(seed),
      observer_(observer),
      spec_(configuration_, [this](const std::string& finding) {
        oracle_.Expect(false, [&] { return finding; });
      }) {
  std::set<NodeId> ids = configuration_.Members();
  ids.insert(strangers.begin(), strangers.end());
  for (NodeId id : ids) {
    nodes_.emplace(id, Node());
    Restart(id);
  }
}

void RaftCluster::Tick(NodeId id) {
  nodes_.at(id).core->Tick();
  Drain(id);
}

absl::Status RaftCluster::Propose(NodeId id, const std::vector<std::string>& payloads) {
  absl::Status status = absl::OkStatus();
  for (const std::string& payload : payloads) {
    status = nodes_.at(id).core->Propose(payload, ClusterMillis(++stamp_)).status();
    if (!status.ok()) {
      break;
    }
  }
  Drain(id);
  return status;
}

absl::Status RaftCluster::TransferLeadership(NodeId id, NodeId target) {
  const absl::Status status = nodes_.at(id).core->TransferLeadership(target);
  Drain(id);
  return status;
}

absl::Status RaftCluster::ProposeConfiguration(NodeId id, Configuration to) {
  const absl::Status status =
      nodes_.at(id)
          .core->ProposeConfiguration(std::move(to), "configuration", ClusterMillis(++stamp_))
          .status();
  Drain(id);
  return status;
}

void RaftCluster::Read(NodeId id, ReadId read) {
  oracle_.OnReadAsked(read);
  RequestRead(id, read, /*asker=*/id);
  Drain(id);
}

void RaftCluster::AskRead(NodeId asker, ReadId read) {
  oracle_.OnReadAsked(read);
  asked_reads_.emplace(read, AskedRead{.asker = asker, .term = nodes_.at(asker).core->term()});
}

bool RaftCluster::HandRead(NodeId id, ReadId read) {
  const AskedRead asked = asked_reads_.extract(read).mapped();
  RaftCore& core = *nodes_.at(id).core;
  if (core.role() != RaftRole::kLeader || core.term() != asked.term) {
    return false;
  }
  RequestRead(id, read, asked.asker);
  Drain(id);
  return true;
}

void RaftCluster::RequestRead(NodeId id, ReadId read, NodeId asker) {
  RaftCore& core = *nodes_.at(id).core;
  spec_.OnReadAsked(id, read,
                    {.asker = asker, .term = core.term(), .commit_index = core.commit_index()});
  core.RequestRead(read, asker);
}

void RaftCluster::LoseStream(NodeId id, NodeId peer) {
  nodes_.at(id).core->OnStreamLost(peer);
  Drain(id);
}

void RaftCluster::DeliverPart(NodeId from, NodeId to) {
  RaftCore& sender = *nodes_.at(from).core;
  nodes_.at(to).core->OnPartHeard(from, sender.term());
  sender.OnPartTaken(to);
  Drain(to);
  Drain(from);
}

void RaftCluster::Persist(NodeId id, uint64_t count) {
  Node& node = nodes_.at(id);
  std::optional<WriteId> last;
  for (; count > 0 && !node.writes.empty(); --count) {
    WriteToDisk(id, node.writes.front());
    last = node.writes.front().id;
    node.writes.pop_front();
  }
  if (last.has_value()) {
    node.core->OnPersisted(*last);
    Drain(id);
  }
}

void RaftCluster::WriteToDisk(NodeId id, const LogWrite& write) {
  Node& node = nodes_.at(id);
  if (write.hard_state.has_value()) {
    oracle_.Expect(write.hard_state->term >= node.hard_state.term,
                   [] { return std::string("a term on disk falls"); });
    node.hard_state = *write.hard_state;
  }
  for (const Entry& entry : write.entries) {
    const uint64_t place = entry.id.index.value() - 1;
    oracle_.Expect(place <= node.log.size() && entry.id.index > node.trimmed,
                   [&] { return absl::StrCat("a gap on disk before ", Describe(entry)); });
    node.log.resize(place);
    node.log.push_back(entry);
  }
}

void RaftCluster::AnswerLoad(NodeId id) {
  Node& node = nodes_.at(id);
  if (node.loads.empty()) {
    return;
  }
  LoadedEntries loaded = std::move(node.loads.front());
  node.loads.pop_front();
  if (loaded.trimmed) {
    node.core->OnEntriesTrimmed(loaded.peer);
  } else {
    node.core->OnEntriesLoaded(loaded.peer, loaded.previous, std::move(loaded.entries));
  }
  Drain(id);
}

void RaftCluster::Apply(NodeId id) {
  Node& node = nodes_.at(id);
  if (node.core->is_installing()) {
    return;
  }
  for (const Entry& entry : std::exchange(node.to_apply, {})) {
    oracle_.OnApplied(id, entry);
    spec_.OnApplied(id, entry.id);
    node.applied = entry.id.index;
  }
  node.core->OnApplied(node.applied);
  Drain(id);
}

void RaftCluster::Trim(NodeId id, LogIndex through) {
  Node& node = nodes_.at(id);
  node.trimmed = std::max(node.trimmed, std::min(through, node.applied));
}

RaftCluster::Snapshot RaftCluster::TakeSnapshot(NodeId id, NodeId peer) {
  const Node& node = nodes_.at(id);
  const uint64_t last = node.applied.value();
  CHECK_GT(last, 0u);
  spec_.OnSnapshotSent(id, peer, node.core->term(), node.log[last - 1].id);
  return {.from = id,
          .to = peer,
          .term = node.core->term(),
          .meta = {.point = {.last = node.log[last - 1].id, .stamp = node.log[last - 1].stamp},
                   .configuration = ConfigurationAsOf(node, node.applied)},
          .log = {node.log.begin(), node.log.begin() + static_cast<ptrdiff_t>(last)}};
}

RaftCore::SnapshotUse RaftCluster::DeliverSnapshot(const Snapshot& snapshot) {
  Node& node = nodes_.at(snapshot.to);
  if (node.core == nullptr || node.installing.has_value() || IsCut(snapshot.from, snapshot.to)) {
    return RaftCore::SnapshotUse::kNone;
  }
  CHECK(!node.core->HasOutput());
  const RaftCore::SnapshotUse use = node.core->BeginInstall(snapshot.meta.point, snapshot.term);
  if (use != RaftCore::SnapshotUse::kNone) {
    node.installing = snapshot;
  }
  Drain(snapshot.to);
  return use;
}

// On a disk the snapshot comes after all writes before it, and tells of them.
void RaftCluster::FinishInstall(NodeId id) {
  Node& node = nodes_.at(id);
  if (!node.installing.has_value()) {
    return;
  }
  Persist(id, node.writes.size());
  if (!node.installing.has_value()) {
    return;  // Persisting drained the node, and so did this.
  }
  const Snapshot snapshot = *std::exchange(node.installing, std::nullopt);
  const LogIndex last = snapshot.meta.point.last.index;
  const uint64_t place = last.value() - 1;
  const bool holds =
      node.core->UseOf(snapshot.meta.point, node.core->term()) == RaftCore::SnapshotUse::kKeepsLog;
  oracle_.Expect(
      holds == (place < node.log.size() && node.log[place].id == snapshot.meta.point.last),
      [&] { return absl::StrCat("node ", id.value(), " misjudges its log"); });
  if (!holds) {
    node.log = snapshot.log;
    node.trimmed = last;
  }
  node.to_apply.clear();
  node.applied = last;
  oracle_.OnRestarted(id, last);
  spec_.OnSnapshotInstalled(id, snapshot.meta.point.last);
  node.core->OnInstalled(snapshot.meta);
  Drain(id);
}

void RaftCluster::EndSnapshot(NodeId id, NodeId peer) {
  nodes_.at(id).core->OnSnapshotEnded(peer);
  Drain(id);
}

void RaftCluster::SetPersistsAtOnce(NodeId id, bool at_once) {
  nodes_.at(id).persists_at_once = at_once;
  if (at_once && IsUp(id)) {
    Drain(id);
  }
}

void RaftCluster::Drain(NodeId id) {
  while (DrainOnce(id)) {
  }
}

bool RaftCluster::DrainOnce(NodeId id) {
  Node& node = nodes_.at(id);
  if (node.core->HasOutput()) {
    CarryOut(id, node.core->TakeOutput());
    CHECK(!node.core->HasOutput());
    return true;
  }
  if (node.persists_at_once && !node.writes.empty()) {
    Persist(id, node.writes.size());
    return true;
  }
  if (node.loads_at_once && !node.loads.empty()) {
    AnswerLoad(id);
    return true;
  }
  if (node.installing.has_value() && node.installs_at_once) {
    FinishInstall(id);
    return true;
  }
  if (node.applies_at_once && !node.to_apply.empty() && !node.core->is_installing()) {
    Apply(id);
    return true;
  }
  // What a driver does at the end of a turn.
  node.core->SendCommitIndex();
  if (!node.core->HasOutput()) {
    return false;
  }
  Output output = node.core->TakeOutput();
  const bool said_anything = !output.messages.empty();
  CarryOut(id, std::move(output));
  return said_anything;
}

void RaftCluster::CarryOut(NodeId id, Output output) {
  Node& node = nodes_.at(id);
  if (observer_ != nullptr) {
    observer_->OnOutput(id, output);
  }
  if (output.write.has_value()) {
    spec_.OnWrite(id, *output.write);
    node.writes.push_back(*std::move(output.write));
  }
  spec_.OnCommitIndex(id, node.core->commit_index());
  for (Envelope& envelope : output.messages) {
    spec_.OnSent(envelope);
    oracle_.OnSent(envelope, {.hard_state = node.hard_state,
                              .last_entry = node.log.empty() ? EntryId() : node.log.back().id});
    network_.push_back(std::move(envelope));
  }
  for (const LoadEntries& load : output.loads) {
    node.loads.push_back(ReadEntries(node, load));
  }
  node.snapshots_wanted.insert(node.snapshots_wanted.end(), output.snapshots.begin(),
                               output.snapshots.end());
  for (const Entry& entry : output.committed) {
    const uint64_t place = entry.id.index.value() - 1;
    oracle_.Expect(place < node.log.size() && node.log[place].id == entry.id, [&] {
      return absl::StrCat("node ", id.value(), " applies ", Describe(entry),
                          " before it is durable");
    });
    node.to_apply.push_back(entry);
  }
  for (const ReadOutcome& read : output.reads) {
    oracle_.OnReadAnswered(read);
    spec_.OnReadAnswered(id, read);
  }
  oracle_.OnCommitIndex(node.core->commit_index());
  if (node.core->role() == RaftRole::kLeader) {
    oracle_.OnLeader(id, node.core->term());
    oracle_.OnLeadersLog(node.core->term(), node.log);
  }
}

void RaftCluster::Crash(NodeId id) {
  Node& node = nodes_.at(id);
  node.core = nullptr;
  node.writes.clear();
  node.loads.clear();
  node.to_apply.clear();
  node.snapshots_wanted.clear();
  node.installing.reset();
}

void RaftCluster::Restart(NodeId id, std::optional<LogIndex> applied,
                          std::optional<LogIndex> previous) {
  Node& node = nodes_.at(id);
  CHECK(node.core == nullptr);
  node.applied = applied.value_or(node.applied);
  oracle_.OnRestarted(id, node.applied);
  spec_.OnStarted(id, {.hard_state = &node.hard_state, .log = &node.log}, node.applied);
  ++node.restarts;
  node.core = StartCore(id, node.applied, previous.value_or(node.trimmed));
  Drain(id);
}

std::unique_ptr<RaftCore> RaftCluster::StartCore(NodeId id, LogIndex applied, LogIndex previous) {
  const Node& node = nodes_.at(id);
  RaftConfig config = config_;
  config.self = id;
  RestoredState restored;
  restored.hard_state = node.hard_state;
  CHECK_LE(applied.value(), node.log.size());
  CHECK_LE(node.trimmed, previous);
  restored.configuration = ConfigurationAsOf(node, applied);
  if (applied > LogIndex(0)) {
    restored.applied = node.log[applied.value() - 1].id;
  }
  if (previous > LogIndex(0)) {
    restored.previous = node.log[previous.value() - 1].id;
    restored.previous_stamp = node.log[previous.value() - 1].stamp;
  }
  restored.tail.assign(node.log.begin() + static_cast<ptrdiff_t>(previous.value()), node.log.end());
  return std::make_unique<RaftCore>(config, std::move(restored),
                                    Rng(seed_ * 1000 + id.value() * 100 + node.restarts));
}

Configuration RaftCluster::ConfigurationAsOf(const Node& node, LogIndex applied) const {
  for (size_t place = applied.value(); place > 0; --place) {
    if (node.log[place - 1].configuration != nullptr) {
      return *node.log[place - 1].configuration;
    }
  }
  return configuration_;
}

void RaftCluster::CheckLogMatching() {
  for (const auto& [a, node_a] : nodes_) {
    for (const auto& [b, node_b] : nodes_) {
      bool agree_after = false;
      for (size_t place = std::min(node_a.log.size(), node_b.log.size()); place > 0; --place) {
        const Entry& entry_a = node_a.log[place - 1];
        const Entry& entry_b = node_b.log[place - 1];
        const bool same = Describe(entry_a) == Describe(entry_b);
        oracle_.Expect(same || (!agree_after && entry_a.id != entry_b.id), [&, &a = a, &b = b] {
          return absl::StrCat("nodes ", a.value(), " and ", b.value(), " hold ", Describe(entry_a),
                              " and ", Describe(entry_b));
        });
        agree_after = agree_after || same;
      }
    }
  }
}

void RaftCluster::Deliver(Envelope envelope) {
  const NodeId to = envelope.to;
  if (!IsUp(to) || IsCut(envelope.from, to)) {
    return;
  }
  const absl::Status taken = nodes_.at(to).core->Take(envelope);
  oracle_.Expect(taken.ok(), [&] {
    return absl::StrCat("what a correct node said is refused: ", Describe(envelope), ": ",
                        taken.message());
  });
  Drain(to);
}

}  // namespace raftkv::raft
