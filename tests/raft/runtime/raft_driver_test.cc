// A driver where nothing goes wrong: requests on any member, applying, what is sent, stop. What is
// batched, forwarded and stamped has files of its own.
#include "raft/runtime/raft_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(RaftDriverTest, SingleMemberWritesAndReads) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  const auto write = cluster.Propose(kOnly, "a");
  const auto read = cluster.Read(kOnly);
  EXPECT_EQ(cluster.driver(kOnly).pending_requests(), 2u);
  cluster.Settle();
  EXPECT_EQ(write->result, ProposalResult::kApplied);
  EXPECT_EQ(write->outcome, "done a");
  EXPECT_EQ(read->result, ReadResult::kReady);
  EXPECT_EQ(cluster.driver(kOnly).pending_requests(), 0u);
}

TEST(RaftDriverTest, WritesOnAnyMemberReachAllOnce) {
  DriverCluster cluster({});
  cluster.AwaitLeader();
  for (const NodeId node : cluster.nodes()) {
    const auto write = cluster.Propose(node, "from " + std::to_string(node.value()));
    cluster.Settle();
    EXPECT_EQ(write->result, ProposalResult::kApplied) << node;
    EXPECT_EQ(write->outcome, "done " + write->command) << node;
  }
  for (const NodeId node : cluster.nodes()) {
    EXPECT_THAT(cluster.machine(node).commands(), ElementsAre("from 1", "from 2", "from 3"));
  }
}

TEST(RaftDriverTest, ReadsOnAnyMemberSeeWhatWasAcknowledged) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Propose(leader, "a");
  cluster.Settle();
  const LogIndex written = cluster.machine(leader).applied().index;
  for (const NodeId node : cluster.nodes()) {
    const auto read = cluster.Read(node);
    cluster.Settle();
    EXPECT_EQ(read->result, ReadResult::kReady) << node;
    EXPECT_GE(read->applied, written) << node;
  }
}

TEST(RaftDriverTest, AReadWaitsUntilItsIndexIsApplied) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.machine(follower).TakeAtMost(0);
  cluster.Propose(leader, "a");
  cluster.Settle();
  const LogIndex written = cluster.machine(leader).applied().index;
  const auto read = cluster.Read(follower);
  cluster.Tick(3);
  EXPECT_FALSE(read->result.has_value());
  cluster.machine(follower).TakeAll();
  cluster.Settle();
  EXPECT_EQ(read->result, ReadResult::kReady);
  EXPECT_GE(read->applied, written);
}

TEST(RaftDriverTest, ReadsOfOneTurnShareOneRequest) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  std::vector<std::shared_ptr<ReadProbe>> reads;
  for (int i = 0; i < 50; ++i) {
    reads.push_back(cluster.Read(follower));
  }
  cluster.Propose(follower, "a");
  cluster.driver(follower).RunTurn();
  const std::vector<FakeTransport::SentForward> sent = cluster.transport(follower).TakeRequests();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].to, leader);
  EXPECT_EQ(sent[0].request.term, cluster.driver(leader).core().term());
  EXPECT_THAT(sent[0].request.proposals, SizeIs(1));
  ASSERT_THAT(sent[0].request.reads, SizeIs(1));

  cluster.driver(leader).OnForwardRequest(follower, sent[0].request);
  cluster.Settle();
  EXPECT_TRUE(std::all_of(reads.begin(), reads.end(),
                          [](const auto& read) { return read->result == ReadResult::kReady; }));
}

bool MovesOnlyTheCommitIndex(const FakeTransport::SentMessage& sent) {
  const auto* heartbeat = std::get_if<Heartbeat>(&sent.envelope.message);
  return heartbeat != nullptr && heartbeat->round == RoundId(0);
}

TEST(RaftDriverTest, ACommitIndexTravelsAloneOnlyWhenNothingElseCarriesIt) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick();

  cluster.ForgetSent();
  cluster.Propose(leader, "alone");
  cluster.Settle();
  const auto& sent = cluster.sent(leader);
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), MovesOnlyTheCommitIndex), 2)
      << "one to each follower";

  // While an entry is under way the next one gathers: its append carries the commit index.
  cluster.ForgetSent();
  cluster.Propose(leader, "first");
  cluster.driver(leader).RunTurn();
  cluster.Propose(leader, "second");
  cluster.Settle();
  const auto& carried = cluster.sent(leader);
  EXPECT_EQ(std::count_if(carried.begin(), carried.end(), MovesOnlyTheCommitIndex), 2)
      << "only for the second";
  for (const NodeId node : cluster.nodes()) {
    EXPECT_THAT(cluster.machine(node).commands(), ElementsAre("alone", "first", "second"));
  }
}

TEST(RaftDriverTest, RepliesComeBeforeFramesThatOnlyMoveTheCommitIndex) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick();
  cluster.ForgetSent();
  bool answered = false;
  size_t commit_frames_before = 99;
  cluster.driver(leader).Propose(
      "a", cluster.clock().Now() + kNanosPerSecond, [&](ProposalResult, std::string) {
        answered = true;
        const auto taken = cluster.transport(leader).TakeMessages();
        commit_frames_before =
            static_cast<size_t>(std::count_if(taken.begin(), taken.end(), MovesOnlyTheCommitIndex));
      });
  cluster.Settle();
  EXPECT_TRUE(answered);
  EXPECT_EQ(commit_frames_before, 0u);
}

TEST(RaftDriverTest, AStalledStateMachineKeepsOrderAndHeartbeats) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.machine(leader).TakeAtMost(0);
  std::vector<std::shared_ptr<ProposalProbe>> probes;
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i) {
    expected.push_back("c" + std::to_string(i));
    probes.push_back(cluster.Propose(leader, expected.back()));
    cluster.Settle();
  }
  EXPECT_THAT(cluster.machine(leader).commands(), IsEmpty());
  const Term term = cluster.driver(leader).core().term();
  cluster.ForgetSent();
  cluster.Tick(50);
  EXPECT_EQ(cluster.driver(leader).core().term(), term) << "heartbeats went on";
  EXPECT_GE(cluster.sent(leader).size(), 100u);
  for (const NodeId node : cluster.Others(leader)) {
    EXPECT_EQ(cluster.machine(node).commands(), expected) << "others are not held up";
  }
  EXPECT_FALSE(probes.front()->result.has_value());

  cluster.machine(leader).TakeAtMost(1);
  cluster.Tick(10);
  EXPECT_EQ(cluster.machine(leader).commands(), expected);
  for (const auto& probe : probes) {
    EXPECT_EQ(probe->result, ProposalResult::kApplied);
  }
}

TEST(RaftDriverTest, AStalledStateMachineIsAskedOnceATurn) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.machine(kOnly).TakeAtMost(0);
  cluster.Propose(kOnly, "a");
  cluster.Settle();
  EXPECT_FALSE(cluster.driver(kOnly).RunTurn()) << "it would spin";
  cluster.machine(kOnly).TakeAll();
  cluster.driver(kOnly).RunTurn();
  EXPECT_THAT(cluster.machine(kOnly).commands(), ElementsAre("a"));
}

TEST(RaftDriverTest, ApplyingIsCutIntoRunsOfBoundedBytes) {
  DriverCluster cluster(
      {.members = 1, .driver = {.entry_commands_max = 1, .apply_bytes_max = 2000}});
  cluster.AwaitLeader();
  cluster.machine(kOnly).TakeAtMost(0);
  for (int i = 0; i < 9; ++i) {
    cluster.Propose(kOnly, std::string(500, 'x'));
  }
  cluster.Propose(kOnly, std::string(5000, 'y'));
  cluster.Settle();
  const size_t runs_before = cluster.machine(kOnly).runs().size();
  cluster.machine(kOnly).TakeAll();
  cluster.Settle();
  const std::vector<size_t>& runs = cluster.machine(kOnly).runs();
  EXPECT_EQ(
      std::vector<size_t>(runs.begin() + static_cast<std::ptrdiff_t>(runs_before), runs.end()),
      (std::vector<size_t>{3, 3, 3, 1}));
}

TEST(RaftDriverTest, CallbacksMayAskAgain) {
  DriverCluster cluster({.members = 1, .driver = {.proposals_max = 2}});
  cluster.AwaitLeader();
  std::shared_ptr<ProposalProbe> second;
  std::shared_ptr<ReadProbe> read;
  cluster.driver(kOnly).Propose("first", cluster.clock().Now() + kNanosPerSecond,
                                [&](ProposalResult result, std::string) {
                                  EXPECT_EQ(result, ProposalResult::kApplied);
                                  second = cluster.Propose(kOnly, "second");
                                  read = cluster.Read(kOnly);
                                });
  cluster.Settle();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->result, ProposalResult::kApplied);
  EXPECT_EQ(read->result, ReadResult::kReady);
}

TEST(RaftDriverTest, AnIdleDriverHasNoWork) {
  DriverCluster cluster({});
  cluster.AwaitLeader();
  cluster.Settle();
  for (const NodeId node : cluster.nodes()) {
    EXPECT_FALSE(cluster.driver(node).RunTurn()) << node;
  }
}

TEST(RaftDriverTest, EventsReachTheObserver) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  const std::vector<Event>& events = cluster.events(kOnly);
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& event) {
    return event.kind == Event::Kind::kRoleChanged && event.role == RaftRole::kLeader;
  }));
}

TEST(RaftDriverTest, ShutdownAnswersWhatWaits) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  const auto in_log = cluster.Propose(kOnly, "in log");
  cluster.Settle();
  const auto waiting = cluster.Propose(kOnly, "waiting");
  const auto read = cluster.Read(kOnly);
  cluster.driver(kOnly).Shutdown();
  EXPECT_EQ(in_log->result, ProposalResult::kOutcomeUnknown);
  EXPECT_EQ(waiting->result, ProposalResult::kShuttingDown);
  EXPECT_EQ(read->result, ReadResult::kShuttingDown);
  EXPECT_EQ(cluster.driver(kOnly).pending_requests(), 0u);

  const auto late = cluster.Propose(kOnly, "late");
  EXPECT_EQ(late->result, ProposalResult::kShuttingDown) << "at once";
  const auto late_read = cluster.Read(kOnly);
  EXPECT_EQ(late_read->result, ReadResult::kShuttingDown) << "at once";
  cluster.store(kOnly).ReleaseWrites();
  cluster.Tick(5);
  EXPECT_THAT(cluster.machine(kOnly).commands(), ElementsAre("in log"));
}

TEST(RaftDriverTest, AStoppingLeaderRefusesForwardedRequests) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.SetHold([](NodeId, NodeId, Traffic traffic) { return traffic == Traffic::kRaft; });
  cluster.Propose(leader, "under way");
  cluster.Settle();
  const auto queued = cluster.Propose(follower, "queued");
  cluster.Settle();
  cluster.driver(leader).Shutdown();
  const auto late = cluster.Propose(follower, "late");
  cluster.SetHold(nullptr);
  cluster.Settle();
  EXPECT_FALSE(queued->result.has_value());
  EXPECT_FALSE(late->result.has_value());
  cluster.Isolate(leader);
  cluster.AwaitLeader();
  cluster.Settle();
  EXPECT_EQ(queued->result, ProposalResult::kApplied) << "by the next leader";
  EXPECT_EQ(late->result, ProposalResult::kApplied);
  EXPECT_EQ(cluster.machine(follower).CountOf("queued"), 1u);
  EXPECT_EQ(cluster.machine(follower).CountOf("late"), 1u);
}

TEST(RaftDriverTest, OutcomesOfOthersAreNotWanted) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  const auto probe = cluster.Propose(kOnly, "a");
  cluster.Settle();
  const uint64_t origin = DriverCluster::kFirstOrigin;
  const uint64_t sequence = origin + 1;
  EXPECT_TRUE(cluster.driver(kOnly).Wants(origin, sequence));
  EXPECT_FALSE(cluster.driver(kOnly).Wants(origin, sequence + 1));
  EXPECT_FALSE(cluster.driver(kOnly).Wants(origin + 1, sequence));
  cluster.driver(kOnly).OnOutcome(origin + 1, sequence, "another's");
  cluster.Settle();
  EXPECT_FALSE(probe->result.has_value());
}

TEST(DriverOptionsTest, EveryBoundIsAtLeastOne) {
  EXPECT_TRUE(DriverOptions().Validate().ok());
  const std::vector<DriverOptions> broken = {{.uncommitted_entries_max = 0},
                                             {.uncommitted_large_entries_max = 0},
                                             {.entry_commands_max = 0},
                                             {.entry_bytes_max = 0},
                                             {.apply_bytes_max = 0},
                                             {.proposals_max = 0},
                                             {.proposal_bytes_max = 0},
                                             {.forwarded_max = 0},
                                             {.forwarded_bytes_max = 0},
                                             {.reads_max = 0},
                                             {.leader_wait = 0},
                                             {.log_bytes_max = 0},
                                             {.log_entries_kept = 0},
                                             {.snapshots_max = 0},
                                             {.snapshot_retry_after = 0},
                                             {.read_retry_after = -1}};
  for (const DriverOptions& options : broken) {
    EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(DriverOptions{.reads_max = 0}.Validate().message(),
            "reads_max is 0, must be at least 1");
}

}  // namespace
}  // namespace raftkv::raft
