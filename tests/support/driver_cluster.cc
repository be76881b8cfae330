#include "tests/support/driver_cluster.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"

namespace raftkv::raft {
namespace {

// More than any settling needs; a cluster that keeps itself busy without time passing is a defect.
constexpr int kRoundsMax = 2000;

}  // namespace

DriverCluster::DriverCluster(const DriverClusterOptions& options) : options_(options) {
  for (uint64_t id = 1; id <= options.members; ++id) {
    Start(NodeId(id));
  }
}

void DriverCluster::Settle() {
  for (int round = 0; round < kRoundsMax; ++round) {
    bool busy = Deliver();
    busy |= CarrySnapshots();
    for (auto& [id, member] : members_) {
      StopWhoDiffers();
      if (stopped_.contains(id)) {
        continue;
      }
      busy |= member.driver->RunTurn();
      member.driver->CheckInvariants();
      busy |= member.store.has_news();
    }
    StopWhoDiffers();
    CollectSent();
    if (!busy) {
      busy = std::any_of(under_way_.begin(), under_way_.end(), [&](const UnderWay& item) {
        return hold_ == nullptr || !hold_(item.from, item.to, item.traffic());
      });
    }
    if (!busy) {
      return;
    }
  }
  LOG(FATAL) << "the cluster does not settle";
}

void DriverCluster::Tick(uint64_t ticks) {
  for (uint64_t i = 0; i < ticks; ++i) {
    clock_.Advance(kTickNanos);
    for (auto& [id, member] : members_) {
      if (!stopped_.contains(id)) {
        member.driver->Tick();
      }
    }
    Settle();
  }
}

bool DriverCluster::TickUntil(const std::function<bool()>& condition, uint64_t ticks_max) {
  for (uint64_t i = 0; i < ticks_max; ++i) {
    if (condition()) {
      return true;
    }
    Tick();
  }
  return condition();
}

NodeId DriverCluster::AwaitLeader() {
  NodeId leader = kNobody;
  const auto agreed = [&] {
    leader = kNobody;
    for (auto& [id, member] : members_) {
      if (!IsAway(id) && member.driver->core().has_committed_in_term()) {
        leader = id;
      }
    }
    return leader != kNobody && std::all_of(members_.begin(), members_.end(), [&](auto& item) {
             return IsAway(item.first) || item.second.driver->core().leader() == leader;
           });
  };
  CHECK(TickUntil(agreed)) << "no leader";
  return leader;
}

std::vector<NodeId> DriverCluster::Others(NodeId node) const {
  std::vector<NodeId> others = nodes();
  std::erase(others, node);
  return others;
}

void DriverCluster::Isolate(NodeId node) {
  isolated_.insert(node);
  BreakStreams(node);
}

void DriverCluster::Heal() {
  for (const NodeId node : std::exchange(isolated_, {})) {
    // What was sent into the cut is lost, which its sender may learn only now.
    BreakStreams(node);
  }
}

void DriverCluster::LoseForwardStream(NodeId from, NodeId to, bool silently) {
  CollectSent();
  std::erase_if(under_way_, [&](const UnderWay& item) {
    return (item.traffic() == Traffic::kForwardRequest && item.from == from && item.to == to) ||
           (item.traffic() == Traffic::kForwardReply && item.from == to && item.to == from);
  });
  if (!silently) {
    driver(from).OnForwardLost(to);
  }
}

void DriverCluster::Restart(NodeId node) {
  CollectSent();
  Member& member = members_.at(node);
  stopped_.erase(node);
  member.driver.reset();
  member.store.Crash();
  member.machine.ForgetHashes();
  member.transport.TakeSnapshotOrders();
  std::erase_if(snapshots_, [node](const auto& item) { return item.first.first == node; });
  BreakStreams(node);
  Start(node);
}

std::shared_ptr<ProposalProbe> DriverCluster::Propose(NodeId node, std::string command,
                                                      MonotonicNanos timeout) {
  auto probe = std::make_shared<ProposalProbe>();
  probe->command = command;
  driver(node).Propose(std::move(command), clock_.Now() + timeout,
                       [probe](ProposalResult result, std::string outcome) {
                         CHECK(!probe->result.has_value()) << "answered twice";
                         probe->result = result;
                         probe->outcome = std::move(outcome);
                       });
  return probe;
}

std::vector<std::shared_ptr<ProposalProbe>> DriverCluster::ProposeMany(NodeId node, int count) {
  std::vector<std::shared_ptr<ProposalProbe>> probes;
  for (int i = 0; i < count; ++i) {
    probes.push_back(Propose(node, "c" + std::to_string(i)));
  }
  return probes;
}

std::shared_ptr<ReadProbe> DriverCluster::Read(NodeId node, MonotonicNanos timeout) {
  auto probe = std::make_shared<ReadProbe>();
  driver(node).Read(clock_.Now() + timeout, [this, node, probe](ReadResult result) {
    CHECK(!probe->result.has_value()) << "answered twice";
    probe->result = result;
    probe->applied = machine(node).applied().index;
  });
  return probe;
}

std::vector<NodeId> DriverCluster::nodes() const {
  std::vector<NodeId> nodes;
  for (const auto& [id, member] : members_) {
    nodes.push_back(id);
  }
  return nodes;
}

void DriverCluster::ForgetSent() {
  CollectSent();
  for (auto& [id, member] : members_) {
    member.sent.clear();
  }
}

void DriverCluster::Start(NodeId node) {
  const bool is_new = !members_.contains(node);
  Member& member = members_[node];
  if (is_new) {
    Configuration founded;
    for (uint64_t id = 1; id <= options_.members; ++id) {
      founded.voters.insert(NodeId(id));
    }
    member.machine.Found(std::move(founded));
  }
  // What the log store made the member's state is that, whether or not the last process saw it.
  member.machine.HoldAdopt(false);
  if (const auto& installed = member.store.last_installed();
      installed != nullptr && installed->meta().point.last.index > member.machine.applied().index) {
    CHECK(member.machine.Adopt(*installed));
  }
  RestoredState restored;
  restored.hard_state = member.store.hard_state();
  restored.configuration = member.machine.configuration();
  restored.applied = member.machine.applied();
  restored.previous = member.store.previous();
  restored.previous_stamp = member.store.previous_stamp();
  restored.tail = member.store.entries();
  RaftConfig config;
  config.self = node;
  config.heartbeat_ticks = 1;
  config.election_timeout_ticks = 10;
  config.uncommitted_bytes_max = options_.uncommitted_bytes_max;
  config.log_memory_bytes_max = options_.log_memory_bytes_max;
  config.append_bytes_max = std::min(config.append_bytes_max, options_.log_memory_bytes_max);
  const uint64_t origin = next_origin_;
  next_origin_ += 1'000'000;
  member.driver = std::make_unique<RaftDriver>(
      options_.driver, origin,
      std::make_unique<RaftCore>(config, std::move(restored), Rng(options_.seed * 1000 + origin)),
      ClusterReading(), &member.transport, &member.store, &member.machine, &clock_,
      &member.observer);
}

void DriverCluster::StopWhoDiffers() {
  for (auto& [id, member] : members_) {
    if (std::exchange(member.observer.differs, false)) {
      stopped_.insert(id);
      BreakStreams(id);
    }
    CHECK(options_.states_may_differ || member.observer.audit_findings.empty())
        << "node " << id << ": " << member.observer.audit_findings.back();
  }
}

void DriverCluster::RecordingObserver::OnStateDiffers(const StateDifference& difference) {
  CHECK_NE(difference.own_hash, difference.right_hash);
  audit_findings.push_back(absl::StrCat("differs at ", difference.index.value()));
  differs = true;
}

void DriverCluster::RecordingObserver::OnMemberDiffers(NodeId member,
                                                       const StateDifference& difference) {
  audit_findings.push_back(
      absl::StrCat("node ", member.value(), " differs at ", difference.index.value()));
}

void DriverCluster::RecordingObserver::OnStatesDisagree(LogIndex index) {
  audit_findings.push_back(absl::StrCat("no quorum agrees at ", index.value()));
}

void DriverCluster::CollectSent() {
  for (auto& [id, member] : members_) {
    for (FakeTransport::SentMessage& message : member.transport.TakeMessages()) {
      member.sent.push_back(message);
      const NodeId to = message.envelope.to;
      under_way_.push_back({id, to, std::move(message)});
    }
    for (FakeTransport::SentForward& forward : member.transport.TakeRequests()) {
      under_way_.push_back({id, forward.to, std::move(forward.request)});
    }
    for (FakeTransport::SentReply& reply : member.transport.TakeReplies()) {
      under_way_.push_back({id, reply.to, std::move(reply.reply)});
    }
  }
  std::erase_if(under_way_, [&](const UnderWay& item) { return IsCut(item.from, item.to); });
}

void DriverCluster::CollectSnapshots(NodeId node) {
  for (FakeTransport::SnapshotOrder& order : transport(node).TakeSnapshotOrders()) {
    const Link link(node, order.to);
    if (order.snapshot == nullptr) {
      snapshots_.erase(link);
      continue;
    }
    ++members_.at(node).snapshots_begun;
    const bool is_first = snapshots_
                              .emplace(link, SnapshotUnderWay{.term = order.term,
                                                              .reader = std::move(order.snapshot)})
                              .second;
    CHECK(is_first) << "a second snapshot to " << order.to;
  }
}

bool DriverCluster::CarrySnapshots() {
  for (const auto& [id, member] : members_) {
    CollectSnapshots(id);
  }
  bool moved = false;
  for (const auto& [id, member] : members_) {
    for (const NodeId to : nodes()) {
      const Link link(id, to);
      const auto found = snapshots_.find(link);
      if (found != snapshots_.end()) {
        moved |= CarrySnapshot(link, &found->second);
      }
    }
  }
  return moved;
}

bool DriverCluster::CarrySnapshot(const Link& link, SnapshotUnderWay* snapshot) {
  const auto [from, to] = link;
  if (IsCut(from, to)) {
    *snapshot->answer = absl::UnavailableError("the link is cut");
  } else if (hold_ != nullptr && hold_(from, to, Traffic::kSnapshot)) {
    return false;
  } else if (snapshot->writer == nullptr && !snapshot->is_offered) {
    StageSnapshot(link, snapshot);
    return true;
  } else if (!snapshot->is_offered) {
    absl::StatusOr<std::shared_ptr<StagedSnapshot>> staged = snapshot->writer->Finish();
    snapshot->writer = nullptr;
    snapshot->is_offered = true;
    CHECK(staged.ok()) << staged.status();
    driver(to).InstallSnapshot(
        snapshot->term, *std::move(staged),
        [answer = snapshot->answer](const absl::Status& status) { *answer = status; });
    return true;
  }
  if (!snapshot->answer->has_value()) {
    return false;
  }
  const absl::Status status = **snapshot->answer;
  snapshots_.erase(link);
  driver(from).OnSnapshotSent(to, absl::IsAlreadyExists(status) ? absl::OkStatus() : status);
  return true;
}

void DriverCluster::StageSnapshot(const Link& link, SnapshotUnderWay* snapshot) {
  const auto [from, to] = link;
  const SnapshotPoint point = snapshot->reader->point();
  const absl::Status wanted = driver(to).CheckSnapshot(from, snapshot->term, point);
  if (!wanted.ok()) {
    snapshot->is_offered = true;
    *snapshot->answer = wanted;
    return;
  }
  snapshot->writer = machine(to).StageSnapshot(point);
  for (uint64_t number = 0;; ++number) {
    const absl::StatusOr<std::optional<std::string>> chunk = snapshot->reader->ReadChunk(number);
    CHECK(chunk.ok()) << chunk.status();
    if (!chunk->has_value()) {
      return;
    }
    driver(to).OnPartHeard(from, snapshot->term);
    const absl::Status written = snapshot->writer->Write(**chunk);
    CHECK(written.ok()) << written;
  }
}

bool DriverCluster::Deliver() {
  CollectSent();
  std::deque<UnderWay> held;
  bool delivered = false;
  for (UnderWay& item : std::exchange(under_way_, {})) {
    if (hold_ != nullptr && hold_(item.from, item.to, item.traffic())) {
      held.push_back(std::move(item));
      continue;
    }
    DeliverOne(std::move(item));
    delivered = true;
  }
  under_way_ = std::move(held);
  return delivered;
}

void DriverCluster::DeliverOne(UnderWay item) {
  RaftDriver& to = driver(item.to);
  switch (item.traffic()) {
    case Traffic::kRaft: {
      auto& message = std::get<FakeTransport::SentMessage>(item.content);
      const Term term = message.envelope.term;
      const bool is_leaders = std::holds_alternative<AppendRequest>(message.envelope.message) ||
                              std::holds_alternative<Heartbeat>(message.envelope.message);
      // No member lies here, so none may be refused.
      const std::string text = Describe(message.envelope);
      const absl::Status taken = to.Take(std::move(message.envelope));
      CHECK(taken.ok()) << text << ": " << taken;
      if (is_leaders) {
        to.ObserveClusterTime(term, message.cluster_time);
      }
      break;
    }
    case Traffic::kForwardRequest:
      to.OnForwardRequest(item.from, std::get<ForwardRequest>(std::move(item.content)));
      break;
    case Traffic::kForwardReply:
      to.OnForwardReply(item.from, std::get<ForwardReply>(std::move(item.content)));
      break;
    case Traffic::kSnapshot:
      LOG(FATAL) << "goes in CarrySnapshot";
  }
}

bool DriverCluster::IsCut(NodeId from, NodeId to) const { return IsAway(from) || IsAway(to); }

void DriverCluster::BreakStreams(NodeId node) {
  CollectSent();
  std::erase_if(under_way_,
                [&](const UnderWay& item) { return item.from == node || item.to == node; });
  // A sender that goes on hears of it with the next settling.
  for (auto& [link, snapshot] : snapshots_) {
    if (link.first == node || link.second == node) {
      snapshot.is_offered = true;
      *snapshot.answer = absl::UnavailableError("the stream broke");
    }
  }
  for (auto& [id, member] : members_) {
    if (id == node) {
      continue;
    }
    const bool reachable = !IsCut(id, node);
    member.transport.SetReachable(node, reachable);
    transport(node).SetReachable(id, reachable);
    member.driver->OnStreamLost(node);
    member.driver->OnForwardLost(node);
    if (members_.at(node).driver != nullptr) {
      driver(node).OnStreamLost(id);
      driver(node).OnForwardLost(id);
    }
  }
}

}  // namespace raftkv::raft
