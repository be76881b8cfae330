// Clusters under random trouble: loss, duplication, reordering, cuts, slow disks, crashes that lose
// what was not synced, late loads, late applying, changes of members, logs that are trimmed at any
// time and snapshots that come late, twice or never. The oracle watches safety all the time; then
// everything heals, and the cluster must come to terms.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/core/describe.h"
#include "tests/support/raft_cluster.h"

namespace raftkv::raft {
namespace {

constexpr uint64_t kSteps = 4000;
constexpr size_t kNetworkMax = 200;

RaftConfig SmallConfig(Rng& rng) {
  RaftConfig config;
  config.self = NodeId(1);
  config.heartbeat_ticks = 2;
  config.election_timeout_ticks = 12;
  config.append_bytes_max = 64 + rng.Below(300);
  config.inflight_appends_max = 1 + rng.Below(4);
  config.inflight_bytes_max = config.append_bytes_max * (1 + rng.Below(3));
  config.log_memory_bytes_max = config.append_bytes_max + rng.Below(2000);
  config.uncommitted_bytes_max = 2000;
  return config;
}

Configuration SomeConfiguration(uint64_t seed) {
  Configuration configuration;
  for (uint64_t node = 1; node <= (seed % 3 == 0 ? 5 : 3); ++node) {
    configuration.voters.insert(NodeId(node));
  }
  if (seed % 4 == 1) {
    configuration.learners.insert(NodeId(7));
  }
  if (seed % 5 == 2) {
    configuration.outgoing_voters = {NodeId(1), NodeId(2), NodeId(8)};
  }
  return configuration;
}

// Nodes that are in no configuration at the start.
const std::set<NodeId> kStrangers = {NodeId(10), NodeId(11)};

class RandomRun {
 public:
  RandomRun(uint64_t seed, bool members_change)
      : members_change_(members_change),
        rng_(seed),
        cluster_(SmallConfig(rng_), SomeConfiguration(seed), seed, nullptr,
                 members_change ? kStrangers : std::set<NodeId>()) {
    for (const auto& [id, node] : cluster_.nodes()) {
      ids_.push_back(id);
    }
  }

  void MakeTrouble() {
    for (uint64_t step = 0; step < kSteps; ++step) {
      OneStep();
      while (cluster_.network().size() > kNetworkMax) {
        TakeMessage(0);
      }
      if (step % 200 == 0) {
        cluster_.CheckLogMatching();
      }
    }
  }

  // Everything works again. Returns whether a command proposed now is soon applied everywhere.
  bool Recovers() {
    cluster_.HealAll();
    for (NodeId id : ids_) {
      RaftCluster::Node& node = cluster_.node(id);
      node.persists_at_once = node.loads_at_once = node.applies_at_once = true;
      node.installs_at_once = true;
      cluster_.IsUp(id) ? cluster_.Drain(id) : cluster_.Restart(id);
    }
    for (int tick = 0; tick < 40 * 12; ++tick) {
      for (NodeId id : ids_) {
        cluster_.Tick(id);
        BringSnapshots(id);
      }
      DeliverAll();
      if (tick > 20 * 12 && ProposeSomewhere("the last") && AllApplied()) {
        return true;
      }
    }
    return false;
  }

  RaftCluster& cluster() { return cluster_; }
  uint64_t terms() const { return terms_; }
  // That a leader took.
  uint64_t changes() const { return changes_; }
  uint64_t reads_handed() const { return reads_handed_; }
  // That a leader began.
  uint64_t transfers() const { return transfers_; }
  // Installed, with and without the log.
  uint64_t logs_kept() const { return logs_kept_; }
  uint64_t logs_replaced() const { return logs_replaced_; }

 private:
  NodeId Any() { return ids_[rng_.Below(ids_.size())]; }

  void OneStep() {
    const NodeId id = Any();
    const uint64_t dice = rng_.Below(1000);
    if (!cluster_.IsUp(id)) {
      if (dice < 300) {
        RestartSomewhere(id);
      }
      return;
    }
    if (dice < 250) {
      cluster_.Tick(id);
    } else if (dice < 700) {
      StepNetwork();
    } else if (dice < 780) {
      ProposeSomewhere(absl::StrCat("c", ++commands_, std::string(rng_.Below(80), '.')));
    } else if (dice < 800) {
      cluster_.Read(id, ReadId(++reads_));
    } else if (dice < 820) {
      cluster_.AskRead(id, ReadId(++reads_));
    } else if (dice < 840) {
      HandReadSomewhere();
    } else if (dice < 940) {
      StepDisk(id);
    } else if (dice < 960) {
      cluster_.LoseStream(id, Any());
    } else if (dice < 975) {
      cluster_.Cut(id, Any());
    } else if (dice < 985) {
      cluster_.HealAll();
    } else if (dice < 990) {
      cluster_.Crash(id);
    }
    if (cluster_.IsUp(id) && rng_.Below(20) == 0) {
      StepSnapshots(id);
    }
    if (rng_.Below(60) == 0) {
      TransferSomewhere();
    }
    if (members_change_ && rng_.Below(30) == 0) {
      ChangeMembersSomewhere();
    }
    if (cluster_.IsUp(id)) {
      terms_ = std::max(terms_, cluster_.node(id).core->term().value());
    }
  }

  void RestartSomewhere(NodeId id) {
    // An unsynced state machine may be behind, and the log in memory may begin anywhere before it.
    const RaftCluster::Node& node = cluster_.node(id);
    const LogIndex applied = Between(node.trimmed, node.applied);
    cluster_.Restart(id, applied, Between(node.trimmed, applied));
  }

  LogIndex Between(LogIndex first, LogIndex last) { return first + rng_.Below(last - first + 1); }

  void StepSnapshots(NodeId id) {
    RaftCluster::Node& node = cluster_.node(id);
    switch (rng_.Below(5)) {
      case 0:
        cluster_.Trim(id, Between(node.trimmed, node.applied));
        break;
      case 1:
        node.installs_at_once = rng_.Below(3) != 0;
        cluster_.Drain(id);
        break;
      case 2:
        cluster_.FinishInstall(id);
        break;
      default:
        StepSnapshotsUnderWay(id);
    }
  }

  // Takes those that are wanted, and some that are not; brings some of them, some twice.
  void StepSnapshotsUnderWay(NodeId id) {
    RaftCluster::Node& node = cluster_.node(id);
    const bool leads = node.core->role() == RaftRole::kLeader;
    if (leads && node.applied > LogIndex(0)) {
      const bool wanted = !node.snapshots_wanted.empty() && rng_.Below(2) == 0;
      snapshots_.push_back(
          cluster_.TakeSnapshot(id, wanted ? node.snapshots_wanted.back() : Any()));
    }
    for (NodeId peer : std::exchange(node.snapshots_wanted, {})) {
      if (rng_.Below(3) == 0) {
        cluster_.EndSnapshot(id, peer);
      } else {
        node.snapshots_wanted.push_back(peer);
      }
    }
    if (!snapshots_.empty()) {
      const size_t place =
          rng_.Below(2) == 0 ? snapshots_.size() - 1 : rng_.Below(snapshots_.size());
      DeliverSnapshot(snapshots_[place]);
      if (rng_.Below(3) != 0) {
        snapshots_.erase(snapshots_.begin() + static_cast<ptrdiff_t>(place));
      }
    }
  }

  void DeliverSnapshot(const RaftCluster::Snapshot& snapshot) {
    if (snapshot.from == snapshot.to) {
      return;
    }
    const RaftCore::SnapshotUse use = cluster_.DeliverSnapshot(snapshot);
    logs_kept_ += use == RaftCore::SnapshotUse::kKeepsLog ? 1 : 0;
    logs_replaced_ += use == RaftCore::SnapshotUse::kReplacesLog ? 1 : 0;
  }

  // As a driver does when nothing is in the way.
  void BringSnapshots(NodeId id) {
    for (NodeId peer : std::exchange(cluster_.node(id).snapshots_wanted, {})) {
      if (cluster_.node(id).core->progress(peer) != nullptr) {
        DeliverSnapshot(cluster_.TakeSnapshot(id, peer));
        cluster_.EndSnapshot(id, peer);
      }
    }
  }

  // Often to a node that does not lead any more, or not in that term.
  void HandReadSomewhere() {
    for (NodeId id : ids_) {
      const auto& asked = cluster_.asked_reads();
      if (!asked.empty() && cluster_.IsUp(id) && rng_.Below(2) == 0) {
        reads_handed_ += cluster_.HandRead(id, asked.begin()->first) ? 1 : 0;
      }
    }
  }

  Envelope TakeMessage(size_t place) {
    Envelope envelope = cluster_.network()[place];
    cluster_.network().erase(cluster_.network().begin() + static_cast<ptrdiff_t>(place));
    return envelope;
  }

  void StepNetwork() {
    if (cluster_.network().empty()) {
      return;
    }
    // Mostly in order.
    const size_t place = rng_.Below(4) == 0 ? rng_.Below(cluster_.network().size()) : 0;
    const uint64_t fate = rng_.Below(100);
    if (fate < 8) {
      TakeMessage(place);
    } else if (fate < 16) {
      cluster_.Deliver(cluster_.network()[place]);
    } else {
      cluster_.Deliver(TakeMessage(place));
    }
  }

  void StepDisk(NodeId id) {
    RaftCluster::Node& node = cluster_.node(id);
    switch (rng_.Below(5)) {
      case 0:
        node.persists_at_once = rng_.Below(3) != 0;
        node.loads_at_once = rng_.Below(3) != 0;
        node.applies_at_once = rng_.Below(3) != 0;
        break;
      case 1:
        cluster_.AnswerLoad(id);
        break;
      case 2:
        cluster_.Apply(id);
        break;
      default:
        cluster_.Persist(id, 1 + rng_.Below(3));
    }
    cluster_.Drain(id);
  }

  bool ProposeSomewhere(const std::string& payload) {
    bool proposed = false;
    for (NodeId id : ids_) {
      if (cluster_.IsUp(id) && cluster_.node(id).core->role() == RaftRole::kLeader) {
        proposed = cluster_.Propose(id, {payload}).ok() || proposed;
      }
    }
    return proposed;
  }

  void TransferSomewhere() {
    const NodeId target = rng_.Below(3) == 0 ? kNobody : Any();
    for (NodeId id : ids_) {
      if (cluster_.IsUp(id) && cluster_.node(id).core->role() == RaftRole::kLeader) {
        transfers_ += cluster_.TransferLeadership(id, target).ok() ? 1 : 0;
      }
    }
  }

  void ChangeMembersSomewhere() {
    for (NodeId id : ids_) {
      if (cluster_.IsUp(id) && cluster_.node(id).core->role() == RaftRole::kLeader) {
        Configuration to = NextConfiguration(cluster_.node(id).core->configuration());
        changes_ += cluster_.ProposeConfiguration(id, std::move(to)).ok() ? 1 : 0;
      }
    }
  }

  Configuration NextConfiguration(const Configuration& now) {
    Configuration to{.voters = now.voters, .outgoing_voters = {}, .learners = {}};
    if (!now.IsJoint() && rng_.Below(4) != 0) {
      to.outgoing_voters = now.voters;
      to.voters.clear();
      for (uint64_t voters = 1 + rng_.Below(4); voters > 0; --voters) {
        to.voters.insert(Any());
      }
    }
    if (const NodeId learner = Any(); rng_.Below(2) == 0 && !to.IsVoter(learner)) {
      to.learners.insert(learner);
    }
    return to;
  }

  // By the newest configuration that a leader goes by.
  std::set<NodeId> Members() const {
    Term term;
    std::set<NodeId> members;
    for (NodeId id : ids_) {
      const RaftCore& core = *cluster_.nodes().at(id).core;
      if (core.role() == RaftRole::kLeader && core.term() > term) {
        term = core.term();
        members = core.configuration().Members();
      }
    }
    return members;
  }

  void DeliverAll() {
    for (int count = 0; !cluster_.network().empty() && count < 10'000; ++count) {
      cluster_.Deliver(TakeMessage(0));
    }
  }

  bool AllApplied() {
    DeliverAll();
    const std::set<NodeId> members = Members();
    if (members.empty()) {
      return false;
    }
    const LogIndex last = cluster_.node(*members.begin()).applied;
    return std::all_of(members.begin(), members.end(), [&](NodeId id) {
      const RaftCluster::Node& node = cluster_.node(id);
      return node.applied == last && node.log.size() == last.value() &&
             node.core->commit_index() == last;
    });
  }

  const bool members_change_;
  Rng rng_;
  RaftCluster cluster_;
  std::vector<NodeId> ids_;
  uint64_t commands_ = 0;
  uint64_t reads_ = 0;
  uint64_t reads_handed_ = 0;  // To a leader that took them.
  uint64_t changes_ = 0;
  uint64_t transfers_ = 0;
  uint64_t terms_ = 0;
  std::vector<RaftCluster::Snapshot> snapshots_;
  uint64_t logs_kept_ = 0;
  uint64_t logs_replaced_ = 0;
};

class RandomClusterTest : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomClusterTest, IsSafeAndRecoversWhileMembersChange) {
  const uint64_t first = GetParam() * 30;
  uint64_t committed = 0;
  uint64_t changes = 0;
  uint64_t logs_kept = 0;
  uint64_t logs_replaced = 0;
  for (uint64_t seed = first; seed < first + 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomRun run(seed, /*members_change=*/true);
    run.MakeTrouble();
    EXPECT_TRUE(run.Recovers());
    run.cluster().CheckLogMatching();
    ASSERT_THAT(run.cluster().oracle().findings(), testing::IsEmpty());
    committed += run.cluster().oracle().max_commit_index().value();
    changes += run.changes();
    logs_kept += run.logs_kept();
    logs_replaced += run.logs_replaced();
  }
  EXPECT_GT(logs_kept, 0u);
  EXPECT_GT(logs_replaced, 50u);
  EXPECT_GT(committed, 600u);
  EXPECT_GT(changes, 50u);
  RecordProperty("committed", static_cast<int>(committed));
  RecordProperty("changes", static_cast<int>(changes));
}

TEST_P(RandomClusterTest, IsSafeAndRecovers) {
  const uint64_t first = GetParam() * 10;
  uint64_t committed = 0;
  uint64_t reads = 0;
  uint64_t reads_handed = 0;
  uint64_t terms = 0;
  for (uint64_t seed = first; seed < first + 10; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomRun run(seed, /*members_change=*/false);
    run.MakeTrouble();
    EXPECT_TRUE(run.Recovers());
    run.cluster().CheckLogMatching();
    ASSERT_THAT(run.cluster().oracle().findings(), testing::IsEmpty());
    committed += run.cluster().oracle().max_commit_index().value();
    reads += run.cluster().oracle().reads_answered();
    reads_handed += run.reads_handed();
    terms += run.terms();
  }
  // Trouble must not be so great that nothing happens.
  EXPECT_GT(committed, 200u);
  EXPECT_GT(reads, 50u);
  EXPECT_GT(reads_handed, 20u);
  EXPECT_GT(terms, 30u);
  RecordProperty("committed", static_cast<int>(committed));
  RecordProperty("reads", static_cast<int>(reads));
  RecordProperty("terms", static_cast<int>(terms));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomClusterTest, testing::Range<uint64_t>(0, 10));

}  // namespace
}  // namespace raftkv::raft
