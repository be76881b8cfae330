// What is overdue at a driver is noticed.
#include <gtest/gtest.h>

#include <string>

#include "raft/runtime/forwarded_requests.h"
#include "raft/runtime/pending_proposals.h"
#include "raft/runtime/pending_reads.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

constexpr MonotonicNanos kDeadline = 1000;

class NobodyListens final : public OutcomeObserver {
 public:
  bool Wants(uint64_t, uint64_t) const override { return false; }
  void OnOutcome(uint64_t, uint64_t, std::string) override {}
};

TEST(DriverInvariantsDeathTest, AReadThatCouldBeAnswered) {
  PendingReads reads(/*reads_max=*/10, /*leader_wait=*/10, /*retry_after=*/10);
  reads.Add(kDeadline, /*now=*/0, [](ReadResult) {});
  reads.AskFor(ReadId(1), Term(1), /*forwarded=*/false, /*now=*/0);
  reads.OnConfirmed(ReadId(1), LogIndex(5));
  reads.CheckInvariants(LogIndex(4));
  EXPECT_DEATH(reads.CheckInvariants(LogIndex(5)), "reads wait for what is applied");
}

TEST(DriverInvariantsDeathTest, AProposalWhoseTermIsOver) {
  ProposalBudget budget(/*proposals_max=*/10, /*bytes_max=*/100);
  PendingProposals proposals(&budget, /*leader_wait=*/10, /*first_sequence=*/1);
  proposals.Add("a", kDeadline, /*now=*/0, [](ProposalResult, std::string) {});
  proposals.BindFront(Term(3));
  proposals.CheckInvariants(/*applied_term=*/Term(3));
  EXPECT_DEATH(proposals.CheckInvariants(/*applied_term=*/Term(4)), "a term that is over");
}

TEST(DriverInvariantsDeathTest, AForwardedProposalForAnotherTerm) {
  ProposalBudget budget(/*proposals_max=*/10, /*bytes_max=*/100);
  ForwardedRequests forwarded(&budget, /*reads_max=*/10);
  forwarded.Queue(
      NodeId(2),
      {.term = Term(3), .proposals = {{.origin = 1, .sequence = 1, .command = "a"}}, .reads = {}});
  forwarded.CheckInvariants(Term(3));
  EXPECT_DEATH(forwarded.CheckInvariants(Term(0)), "not led here");
}

TEST(DriverInvariantsDeathTest, AnEntryThatWasAppliedBehindItsBack) {
  DriverClusterOptions options;
  options.members = 1;
  DriverCluster cluster(options);
  const NodeId leader = cluster.AwaitLeader();
  RaftDriver& driver = cluster.driver(leader);
  driver.CheckInvariants();
  const Entry entry{.id = {.term = Term(1), .index = driver.core().last_entry().index.Next()},
                    .kind = EntryKind::kNoOp,
                    .stamp = {},
                    .payload = nullptr};
  NobodyListens observer;
  cluster.machine(leader).Apply({&entry, 1}, &observer);
  EXPECT_DEATH(driver.CheckInvariants(), "another applied entry");
}

}  // namespace
}  // namespace raftkv::raft
