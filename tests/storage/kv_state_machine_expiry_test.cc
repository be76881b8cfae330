// What deadlines do to keys, applied by RocksDbKvStateMachine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::CommandOutcome;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using KvStateMachineExpiryTest = OpenStoreTest;

TEST_F(KvStateMachineExpiryTest, DeadlineCountsFromTheStampAndIsNeverEarly) {
  Run(PutTtl("a", "1", 500), /*stamp=*/10'000);
  EXPECT_EQ(Record("a").deadline_ms(), 10'501u);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(10'501u, "a")));
  EXPECT_EQ(store_.machine().earliest_deadline(), raft::ClusterMillis(10'501));
  Run(PutTtl("b", "1", std::numeric_limits<uint64_t>::max()), /*stamp=*/10'000);
  EXPECT_EQ(Record("b").deadline_ms(), std::numeric_limits<uint64_t>::max());
}

TEST_F(KvStateMachineExpiryTest, TtlRowsFollowTheDeadline) {
  Run(PutTtl("a", "1", 100), 1000);
  Run(PutTtl("a", "2", 500), 1000);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "a")));
  Run(Txn({}, {KeepTtlOp("a", "3")}), 1400);
  EXPECT_EQ(Record("a").deadline_ms(), 1501u);
  EXPECT_EQ(store_.Value("a"), "3");
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "a")));
  Run(Put("a", "4"), 1400);
  EXPECT_EQ(Record("a").deadline_ms(), 0u);
  EXPECT_THAT(store_.TtlRows(), IsEmpty());
  Run(Txn({}, {KeepTtlOp("new", "1")}), 1400);
  EXPECT_EQ(Record("new").deadline_ms(), 0u);
  Run(PutTtl("a", "5", 100), 2000);
  Run(Delete("a"), 2000);
  EXPECT_THAT(store_.TtlRows(), IsEmpty());
  // Several changes in one run leave one row.
  store_.Run({PutTtl("a", "1", 10), PutTtl("a", "2", 20), Delete("a"), PutTtl("a", "3", 30)}, 3000);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(3031u, "a")));
}

TEST_F(KvStateMachineExpiryTest, ExpireRemovesOnlyWhatIsDueByItsOwnStamp) {
  store_.Run({PutTtl("due", "1", 100), PutTtl("later", "1", 500), Put("never", "1")}, 1000);
  CommandOutcome outcome = Run(Expire(0, "", 10), 1100);
  EXPECT_EQ(outcome.revision(), 3) << "1101 is the deadline";
  EXPECT_EQ(store_.machine().key_count(), 3);
  outcome = Run(Expire(0, "", 10), 1101);
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(outcome.revision(), 4);
  EXPECT_EQ(store_.Value("due"), "(absent)");
  EXPECT_EQ(store_.Value("later"), "1");
  EXPECT_EQ(store_.machine().key_count(), 2);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "later")));
}

TEST_F(KvStateMachineExpiryTest, CountsWhatExpiredAndNothingElse) {
  store_.Run({PutTtl("a", "1", 100), PutTtl("b", "1", 100), PutTtl("later", "1", 9000)}, 1000);
  Run(Delete("b"), 1050);
  EXPECT_EQ(store_.machine().expired_keys(), 0);
  Run(PutTtl("c", "1", 10), 1060);
  Run(Expire(0, "", 10), 2000);
  EXPECT_EQ(store_.machine().expired_keys(), 2);
  Run(Expire(0, "", 10), 2000);
  EXPECT_EQ(store_.machine().expired_keys(), 2) << "nothing was due";
}

TEST_F(KvStateMachineExpiryTest, StaleExpireSparesARewrittenKey) {
  store_.Run({PutTtl("a", "1", 100), PutTtl("b", "1", 100)}, 1000);
  store_.Run({PutTtl("a", "2", 5000), Put("b", "2"), Expire(1101, "a", 10)}, 1200);
  EXPECT_EQ(store_.Value("a"), "2");
  EXPECT_EQ(store_.Value("b"), "2");
}

TEST_F(KvStateMachineExpiryTest, ExpireBeginsAtItsPlaceAndEndsAtItsBound) {
  store_.Run({PutTtl("c", "1", 100), PutTtl("a", "1", 200), PutTtl("b", "1", 200),
              PutTtl("d", "1", 200), PutTtl("e", "1", 300)},
             1000);
  CommandOutcome outcome = Run(Expire(1201, "b", 2), 5000);
  EXPECT_EQ(outcome.revision(), 6) << "one command, one revision";
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1101u, "c"), Pair(1201u, "a"), Pair(1301u, "e")));
  EXPECT_EQ(Run(Expire(1302, "", 10), 5000).revision(), 6) << "nothing there";
  Run(Expire(0, "", 10), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(store_.machine().key_count(), 0);
}

// Rows of one run are not in the database yet, and rows there may be dead already.
TEST_F(KvStateMachineExpiryTest, ExpireSeesWhatItsRunWrote) {
  store_.Run({PutTtl("a", "1", 100), PutTtl("b", "1", 100), PutTtl("c", "1", 100)}, 1000);
  const std::vector<raft::Entry> run = {
      CommandEntry(2, {PutTtl("a", "2", 400), Delete("b"), PutTtl("new", "1", 50)}, 1100),
      CommandEntry(3, {Put("seen", "1"), Expire(0, "", 2), PutTtl("c", "2", 10)}, 1200),
      CommandEntry(4, {Expire(0, "", 10)}, 1300)};
  RecordingObserver observer;
  ASSERT_EQ(store_.machine().Apply(run, &observer), 3u);
  EXPECT_EQ(store_.Value("a"), "2") << "renewed";
  EXPECT_EQ(store_.Value("new"), "(absent)");
  EXPECT_EQ(store_.Value("c"), "(absent)");
  EXPECT_EQ(observer.outcomes[5].revision(), 9);
  EXPECT_EQ(observer.outcomes[6].revision(), 10) << "c was created again";
  EXPECT_EQ(store_.machine().key_count(), 2);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "a")));
}

}  // namespace
}  // namespace raftkv::storage
