#include "kv/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "kv/lease_expirer.h"
#include "kv/limits.h"
#include "tests/kv/single_member.h"

namespace raftkv::kv {
namespace {

using raft::ClusterMillis;
using testing::ElementsAre;
using testing::IsEmpty;

Lease MakeLease(int64_t id, uint64_t renewed, uint64_t lasts_ms, uint64_t keys = 0) {
  return {.id = id,
          .ttl_ms = lasts_ms,
          .lasts_ms = lasts_ms,
          .renewed = ClusterMillis(renewed),
          .keys = keys,
          .keys_max = 10};
}

MATCHER_P(HasId, id, "") { return arg.id == id; }

TEST(LeaseTest, EndsAfterItsRenewalOrTheChangeOfLeaders) {
  const Lease lease = MakeLease(1, 100, 50);
  EXPECT_EQ(DeadlineOf(lease, ClusterMillis(0)), ClusterMillis(151));
  EXPECT_EQ(DeadlineOf(lease, ClusterMillis(120)), ClusterMillis(171));
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(DeadlineOf(MakeLease(1, 100, kLast), ClusterMillis(0)), ClusterMillis(kLast));
}

TEST(LeaseTableTest, FindsWhatIsDueByTheOrderOfEnds) {
  LeaseTable table;
  table.Put(MakeLease(1, 100, 50));
  table.Put(MakeLease(2, 100, 20));
  table.Put(MakeLease(3, 100, 90));
  EXPECT_THAT(table.FindDue(ClusterMillis(120), {}, 10), IsEmpty());
  EXPECT_THAT(table.FindDue(ClusterMillis(151), {}, 10), ElementsAre(HasId(2), HasId(1)));
  EXPECT_THAT(table.FindDue(ClusterMillis(151), {}, 1), ElementsAre(HasId(2)));
  EXPECT_THAT(table.FindDue(ClusterMillis(151), ClusterMillis(125), 10), ElementsAre(HasId(2)));
  table.Put(MakeLease(2, 150, 20));
  EXPECT_THAT(table.FindDue(ClusterMillis(151), {}, 10), ElementsAre(HasId(1)));
  table.Erase(1);
  table.Erase(1);
  EXPECT_THAT(table.FindDue(ClusterMillis(171), {}, 10), ElementsAre(HasId(2)));
  EXPECT_EQ(table.Find(1), nullptr);
  EXPECT_EQ(table.Find(2)->renewed, ClusterMillis(150));
}

class LeaseExpirerTest : public SingleMemberTest {
 protected:
  // Ids whose end was proposed, in order.
  std::vector<int64_t> Ended() const {
    std::vector<int64_t> ids;
    for (const log::v1::Command& command : machine_.commands) {
      if (command.has_expire_lease()) {
        ids.push_back(command.expire_lease().id());
      }
    }
    return ids;
  }
  uint64_t Now() { return store().Now().value(); }
};

TEST_F(LeaseExpirerTest, ProposesTheEndOfWhatIsOver) {
  StartLeader();
  machine_.lease_table.Put(MakeLease(1, Now(), 1000));
  machine_.lease_table.Put(MakeLease(2, Now(), 60'000));
  Tick(95);
  EXPECT_THAT(Ended(), IsEmpty());
  Tick(25);
  // The scripted state machine ends nothing, so it is said again.
  ASSERT_FALSE(Ended().empty());
  EXPECT_EQ(Ended().front(), 1);
  machine_.lease_table.Erase(1);
  const size_t ended = Ended().size();
  Tick(100);
  EXPECT_EQ(Ended().size(), ended);
}

TEST_F(LeaseExpirerTest, WaitsForTheTimeThatANewLeaderGives) {
  StartLeader();
  machine_.lease_table.Put(MakeLease(1, Now(), 1000));
  machine_.lease_figures.term_began = ClusterMillis(Now() + 1000);
  Tick(150);
  EXPECT_THAT(Ended(), IsEmpty());
  Tick(70);
  EXPECT_FALSE(Ended().empty());
}

TEST_F(LeaseExpirerTest, AFollowerProposesNothing) {
  Start(3);
  machine_.lease_table.Put(MakeLease(1, 0, 1));
  Tick(300);
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(LeaseExpirerTest, OneEntryHasNoMoreKeysThanALeaseMayHave) {
  StartLeader();
  const uint64_t now = Now();
  for (int64_t id = 1; id <= 4; ++id) {
    Lease lease = MakeLease(id, now, 10, kLeaseKeysMax / 2 + 1);
    machine_.lease_table.Put(lease);
  }
  // Two of them would be too many.
  for (int i = 0; i < 100 && Ended().empty(); ++i) {
    Tick();
  }
  EXPECT_THAT(Ended(), ElementsAre(1));
}

class LeaseReadTest : public SingleMemberTest {};

TEST_F(LeaseReadTest, GetAndListReadTheAppliedState) {
  StartLeader();
  machine_.lease_table.Put(MakeLease(1, 5, 1000, 2));
  machine_.lease_table.Put(MakeLease(9, 5, 2000));
  machine_.answers.lease_keys = {.keys = {"a", "b"}, .more = false};
  const ReadFreshness freshness{.deadline = In(kNanosPerSecond)};

  Answer<absl::StatusOr<Store::FoundLease>> bare;
  store().GetLease(1, std::nullopt, freshness, bare.callback());
  Turn();
  ASSERT_TRUE(bare.has_come());
  EXPECT_EQ((*bare)->lease.lasts_ms, 1000U);
  EXPECT_THAT((*bare)->keys.keys, IsEmpty());

  Answer<absl::StatusOr<Store::FoundLease>> whole;
  store().GetLease(1, "", freshness, whole.callback());
  Turn();
  EXPECT_FALSE(whole.has_come()) << "keys are on the disk";
  pool_.RunAll();
  ASSERT_TRUE(whole.has_come());
  EXPECT_THAT((*whole)->keys.keys, ElementsAre("a", "b"));

  Answer<absl::StatusOr<Store::FoundLease>> none;
  store().GetLease(2, std::nullopt, freshness, none.callback());
  Turn();
  ASSERT_TRUE(none.has_come());
  EXPECT_TRUE(absl::IsNotFound(none->status()));

  Answer<absl::StatusOr<Store::LeaseList>> first;
  store().ListLeases(0, 1, freshness, first.callback());
  Turn();
  ASSERT_TRUE(first.has_come());
  EXPECT_THAT((*first)->leases, ElementsAre(HasId(1)));
  EXPECT_TRUE((*first)->more);
  Answer<absl::StatusOr<Store::LeaseList>> rest;
  store().ListLeases(1, 10, freshness, rest.callback());
  Turn();
  EXPECT_THAT((*rest)->leases, ElementsAre(HasId(9)));
  EXPECT_FALSE((*rest)->more);
}

}  // namespace
}  // namespace raftkv::kv
