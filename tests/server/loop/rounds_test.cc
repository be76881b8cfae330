#include "server/loop/rounds.h"

#include <gtest/gtest.h>

#include <vector>

namespace raftkv::server {
namespace {

struct Member {
  int visits = 0;
};

constexpr size_t kMembers = 16'000;
constexpr size_t kStep = 256;

class RoundsTest : public testing::Test {
 protected:
  RoundsTest() {
    for (Member& member : members_) {
      rounds_.Add(&member);
    }
  }

  size_t Step() {
    return rounds_.Step(kStep, [](Member* member) { ++member->visits; });
  }
  size_t Visited() const {
    size_t visited = 0;
    for (const Member& member : members_) {
      visited += member.visits > 0 ? 1 : 0;
    }
    return visited;
  }

  std::vector<Member> members_ = std::vector<Member>(kMembers);
  Rounds<Member> rounds_;
};

TEST_F(RoundsTest, NothingIsVisitedBetweenRounds) {
  EXPECT_FALSE(rounds_.under_way());
  EXPECT_EQ(Step(), 0U);
  EXPECT_EQ(Visited(), 0U);
}

TEST_F(RoundsTest, ARoundVisitsEachOnceAndAStepOnlyAFew) {
  rounds_.Begin();
  size_t steps = 0;
  for (; rounds_.under_way(); ++steps) {
    ASSERT_LE(Step(), kStep);
  }
  EXPECT_EQ(steps, (kMembers + kStep - 1) / kStep);
  for (const Member& member : members_) {
    EXPECT_EQ(member.visits, 1);
  }
  EXPECT_EQ(Step(), 0U);
}

TEST_F(RoundsTest, RoundsThatBeginBeforeTheLastIsOverLeaveNobodyBehind) {
  // Something changes at every step.
  for (size_t step = 0; step < kMembers / kStep + 1; ++step) {
    rounds_.Begin();
    Step();
  }
  EXPECT_EQ(Visited(), kMembers);
}

TEST_F(RoundsTest, ThoseThatComeAndGoTakeNobodysTurn) {
  std::vector<Member> more(kMembers);
  rounds_.Begin();
  Step();
  for (Member& member : more) {
    rounds_.Add(&member);
  }
  for (size_t i = 0; i < kMembers; i += 2) {
    rounds_.Remove(&members_[i]);
  }
  while (rounds_.under_way()) {
    Step();
  }
  for (size_t i = 1; i < kMembers; i += 2) {
    EXPECT_GE(members_[i].visits, 1) << i;
  }
}

TEST_F(RoundsTest, AVisitMayRemoveTheVisited) {
  rounds_.Begin();
  size_t visited = 0;
  while (rounds_.under_way()) {
    visited += rounds_.Step(kStep, [this](Member* member) { rounds_.Remove(member); });
  }
  EXPECT_EQ(visited, kMembers);
  rounds_.Begin();
  EXPECT_FALSE(rounds_.under_way());
}

}  // namespace
}  // namespace raftkv::server
