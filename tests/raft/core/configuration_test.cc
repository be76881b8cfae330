#include "raft/core/configuration.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/core/configuration_history.h"
#include "raft/core/describe.h"
#include "tests/raft/core/configurations.h"

namespace raftkv::raft {
namespace {

using testing::HasSubstr;

TEST(ConfigurationTest, VotersChangeInTwoSteps) {
  EXPECT_TRUE(CheckSuccessor(Simple({1, 2, 3}), Joint({3, 4}, {1, 2, 3})).ok());
  EXPECT_TRUE(CheckSuccessor(Joint({3, 4}, {1, 2, 3}), Simple({3, 4})).ok());
  EXPECT_TRUE(CheckSuccessor(Simple({1}), Joint({1}, {1})).ok()) << "of no use, and no harm";
}

TEST(ConfigurationTest, LearnersChangeWithAnyStep) {
  EXPECT_TRUE(CheckSuccessor(Simple({1, 2}), Simple({1, 2}, {3})).ok());
  EXPECT_TRUE(CheckSuccessor(Simple({1, 2}, {3}), Joint({1, 2, 3}, {1, 2})).ok());
  EXPECT_TRUE(CheckSuccessor(Joint({1, 2}, {1, 2, 3}), Simple({1, 2}, {3})).ok());
  EXPECT_TRUE(CheckSuccessor(Simple({1, 2}, {3}), Simple({1, 2})).ok());
}

TEST(ConfigurationTest, StepsWhoseQuorumsMightNotMeetAreRefused) {
  const auto why = [](const Configuration& from, const Configuration& to) {
    return std::string(CheckSuccessor(from, to).message());
  };
  EXPECT_EQ(why(Simple({1}), Simple({2})),
            "voters=(2) cannot follow voters=(1): other voters need a joint configuration first");
  EXPECT_THAT(why(Simple({1, 2, 3}), Simple({1, 2, 3, 4})),
              HasSubstr("a joint configuration first"));
  EXPECT_THAT(why(Simple({1, 2, 3}), Joint({4}, {1, 2})), HasSubstr("must be outgoing"));
  EXPECT_THAT(why(Joint({4}, {1, 2}), Joint({5}, {4})), HasSubstr("must be left first"));
  EXPECT_THAT(why(Joint({4}, {1, 2}), Simple({1, 2})), HasSubstr("other voters"));
  EXPECT_THAT(why(Simple({1}), Simple({})), HasSubstr("nobody votes"));
  EXPECT_THAT(why(Simple({1, 2}), Simple({1, 2}, {2})), HasSubstr("a learner votes"));
  EXPECT_THAT(why(Simple({1, 2}), Joint({1}, {1, 2}, {2})), HasSubstr("a learner votes"));
}

std::shared_ptr<const Configuration> Shared(const std::vector<uint64_t>& voters) {
  return std::make_shared<const Configuration>(Simple(voters));
}

TEST(ConfigurationHistoryTest, TheNewestCounts) {
  ConfigurationHistory history(Simple({1}));
  EXPECT_EQ(*history.active(), Simple({1}));
  EXPECT_EQ(history.active_index(), LogIndex(0));
  history.OnAppended(LogIndex(5), Shared({2}));
  history.OnAppended(LogIndex(7), Shared({3}));
  EXPECT_EQ(*history.active(), Simple({3}));
  EXPECT_EQ(history.active_index(), LogIndex(7));
}

TEST(ConfigurationHistoryTest, TruncationBringsAnOlderOneBack) {
  ConfigurationHistory history(Simple({1}));
  history.OnAppended(LogIndex(5), Shared({2}));
  history.OnAppended(LogIndex(7), Shared({3}));
  history.OnTruncated(LogIndex(8));
  EXPECT_EQ(history.active_index(), LogIndex(7));
  history.OnTruncated(LogIndex(7));
  EXPECT_EQ(*history.active(), Simple({2}));
  history.OnAppended(LogIndex(7), Shared({4}));
  history.OnTruncated(LogIndex(2));
  EXPECT_EQ(*history.active(), Simple({1}));
}

TEST(ConfigurationHistoryTest, WhatIsAppliedStays) {
  ConfigurationHistory history(Simple({1}));
  history.OnAppended(LogIndex(5), Shared({2}));
  history.OnAppended(LogIndex(7), Shared({3}));
  history.OnApplied(LogIndex(4));
  EXPECT_TRUE(history.MayVote(NodeId(1)));
  history.OnApplied(LogIndex(6));
  EXPECT_FALSE(history.MayVote(NodeId(1)));
  history.OnTruncated(LogIndex(7));
  EXPECT_EQ(*history.active(), Simple({2}));
  EXPECT_EQ(history.active_index(), LogIndex(5));
}

TEST(ConfigurationHistoryTest, WhoVotedBeforeMayVoteAgain) {
  ConfigurationHistory history(Simple({1, 2}));
  history.OnAppended(LogIndex(5), Shared({2, 3}));
  EXPECT_TRUE(history.MayVote(NodeId(1)));
  EXPECT_TRUE(history.MayVote(NodeId(3)));
  EXPECT_FALSE(history.MayVote(NodeId(4)));
  history.OnApplied(LogIndex(5));
  EXPECT_FALSE(history.MayVote(NodeId(1)));
}

TEST(ConfigurationHistoryDeathTest, WhatMakesNoSense) {
  ConfigurationHistory history(Simple({1}));
  history.OnAppended(LogIndex(5), Shared({2}));
  EXPECT_DEATH(history.OnAppended(LogIndex(5), Shared({3})), "Check failed");
  EXPECT_DEATH(history.OnAppended(LogIndex(6), Shared({})), "Check failed");
  history.OnApplied(LogIndex(5));
  EXPECT_DEATH(history.OnTruncated(LogIndex(5)), "what is applied stays");
}

}  // namespace
}  // namespace raftkv::raft
