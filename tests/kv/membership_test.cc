#include "kv/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kv/errors.h"
#include "kv/limits.h"
#include "kv/member_list.h"
#include "tests/kv/single_member.h"
#include "tests/kv/three_members.h"

namespace raftkv::kv {
namespace {

using Result = absl::StatusOr<uint64_t>;

constexpr MonotonicNanos kSoon = 30 * kNanosPerSecond;

// Member 1 leads, alone at first; the others say what the test says that they do.
class MembershipTest : public SingleMemberTest {
 protected:
  MembershipTest() {
    machine_.outcome.set_verdict(log::v1::CommandOutcome::VERDICT_APPLIED);
    machine_.version = kMembershipVersion;
    configuration_ = Left(Removing(ThreeMembers(), 2));
    configuration_ = Removing(*configuration_, 3);
  }
  void SetUp() override { StartLeader(&directory_); }

  // As a state machine does when it has applied a configuration.
  void Apply() {
    const raft::RaftCore& core = member_->driver().core();
    if (core.is_configuration_committed() && core.configuration_payload() != nullptr) {
      configuration_->ParseFromString(*core.configuration_payload());
    }
  }
  void Go(int ticks = 1) {
    for (int i = 0; i < ticks; ++i) {
      Apply();
      Tick();
      Apply();
    }
  }
  void Say(uint64_t peer, raft::Message message) {
    EXPECT_TRUE(member_->driver()
                    .Take({.from = raft::NodeId(peer),
                           .to = raft::NodeId(1),
                           .term = member_->driver().core().term(),
                           .message = std::move(message)})
                    .ok());
  }
  // `peer` has all that the leader has.
  void Acknowledge(uint64_t peer) {
    Say(peer, raft::HeartbeatReply{.round = raft::RoundId(0)});
    Say(peer, raft::AppendAccepted{.match_index = member_->driver().core().last_entry().index});
    Turn();
  }
  void GoWith(uint64_t peer, int ticks = 20) {
    for (int i = 0; i < ticks; ++i) {
      Acknowledge(peer);
      Go();
    }
  }
  void Ask(Membership::Change change, Answer<Result>* answer, MonotonicNanos within = kSoon) {
    member_->membership()->Request(std::move(change), In(within), answer->callback());
    Go();
  }
  static Membership::Adding Newcomer(uint64_t number, bool stay_learner = false) {
    return {.name = "new" + std::to_string(number),
            .peer_address = "new:" + std::to_string(number),
            .data_id = 1000 + number,
            .stay_learner = stay_learner};
  }
  static std::string ReasonOf(const Answer<Result>& answer) {
    if (!answer.has_come()) {
      return "none";
    }
    const auto info = FindErrorInfo(answer->status());
    return info.has_value() ? info->reason() : std::string(answer->status().ToString());
  }
  const raft::Configuration& now() { return member_->driver().core().configuration(); }
  std::set<raft::NodeId> Ids(std::initializer_list<uint64_t> ids) {
    std::set<raft::NodeId> set;
    for (const uint64_t id : ids) {
      set.insert(raft::NodeId(id));
    }
    return set;
  }
  // A learner that has caught up.
  void AddLearner(uint64_t number) {
    Answer<Result> added;
    Ask(Newcomer(number, /*stay_learner=*/true), &added);
    Go();
    ASSERT_TRUE(added.has_come() && added->ok()) << ReasonOf(added);
  }

  // `peer` answers the newest heartbeat, and acknowledges nothing.
  void AnswerHeartbeat(uint64_t peer) {
    for (const auto& sent : transport_.TakeMessages()) {
      const auto* heartbeat = std::get_if<raft::Heartbeat>(&sent.envelope.message);
      if (heartbeat != nullptr) {
        round_ = std::max(round_, heartbeat->round);
      }
    }
    Say(peer, raft::HeartbeatReply{.round = round_});
  }
  // Members 4 and 5, which vote.
  void AddTwoVoters() {
    ASSERT_NO_FATAL_FAILURE(AddLearner(1));
    ASSERT_NO_FATAL_FAILURE(AddLearner(2));
    for (int i = 0; i < 20; ++i) {
      Acknowledge(5);
      GoWith(4, 1);
    }
    for (const uint64_t id : {uint64_t{4}, uint64_t{5}}) {
      Answer<Result> promoted;
      Ask(Membership::Promoting{id}, &promoted);
      for (int i = 0; i < 20; ++i) {
        Acknowledge(5);
        GoWith(4, 1);
      }
      ASSERT_TRUE(promoted.has_come() && promoted->ok()) << ReasonOf(promoted);
    }
    ASSERT_EQ(now().voters, Ids({1, 4, 5}));
  }

  raft::RoundId round_;
  std::optional<log::v1::ClusterConfiguration> configuration_;
  MemberDirectory directory_{SelfOf(1), &configuration_, &machine_};
};

TEST_F(MembershipTest, ALearnerThatHasCaughtUpVotes) {
  Answer<Result> added;
  Ask(Newcomer(1), &added);
  Go();
  ASSERT_TRUE(added.has_come());
  EXPECT_EQ(**added, 4u) << "2 and 3 were others";
  EXPECT_EQ(now().learners, Ids({4}));
  Go(200);
  EXPECT_EQ(now().voters, Ids({1})) << "it has said nothing";
  GoWith(4);
  EXPECT_EQ(now().voters, Ids({1, 4}));
  EXPECT_FALSE(now().IsJoint());
}

TEST_F(MembershipTest, ALearnerThatTakesLongerThanAnElectionHasNotCaughtUp) {
  Answer<Result> added;
  Ask(Newcomer(1), &added);
  Go();
  log::v1::Command command;
  command.mutable_raise_cluster_version()->set_version(kMembershipVersion);
  for (int i = 0; i < 5; ++i) {
    // What it has by now is what the leader had before.
    const raft::LogIndex old = member_->driver().core().last_entry().index;
    store().Write(command, In(kSoon), [](const absl::StatusOr<log::v1::CommandOutcome>&) {});
    for (int wait = 0; wait < 3; ++wait) {
      Go(50);
      Say(4, raft::HeartbeatReply{.round = raft::RoundId(0)});
    }
    Say(4, raft::AppendAccepted{.match_index = old});
    Go();
    EXPECT_EQ(now().voters, Ids({1}));
    EXPECT_FALSE(now().IsJoint());
  }
  GoWith(4);
  EXPECT_EQ(now().voters, Ids({1, 4}));
}

TEST_F(MembershipTest, OneThatIsToStayALearnerIsPromotedWhenAsked) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  Answer<Result> early;
  Ask(Membership::Promoting{4}, &early);
  EXPECT_EQ(ReasonOf(early), "NOT_CAUGHT_UP");
  GoWith(4, 200);
  EXPECT_EQ(now().learners, Ids({4}));
  Answer<Result> promoted;
  Ask(Membership::Promoting{4}, &promoted);
  GoWith(4);
  ASSERT_TRUE(promoted.has_come());
  EXPECT_TRUE(promoted->ok());
  EXPECT_EQ(now().voters, Ids({1, 4}));
  Answer<Result> again;
  Ask(Membership::Promoting{4}, &again);
  EXPECT_TRUE(again.has_come() && again->ok());
}

TEST_F(MembershipTest, APromotionWaitsUntilTheJointStepOfAnotherIsLeft) {
  AddLearner(1);
  AddLearner(2);
  for (int i = 0; i < 20; ++i) {
    Acknowledge(4);
    Acknowledge(5);
    Go();
  }
  Answer<Result> first;
  Ask(Membership::Promoting{.id = 5}, &first);
  ASSERT_TRUE(now().IsJoint());
  Answer<Result> second;
  Ask(Membership::Promoting{.id = 4}, &second);
  Acknowledge(4);
  Go();
  EXPECT_FALSE(second.has_come()) << ReasonOf(second);
  for (int i = 0; i < 20; ++i) {
    Acknowledge(4);
    Acknowledge(5);
    Go();
  }
  EXPECT_EQ(ReasonOf(first), "OK");
  EXPECT_EQ(ReasonOf(second), "OK");
  EXPECT_EQ(now().voters, Ids({1, 4, 5}));
}

TEST_F(MembershipTest, AddingIsKnownByTheDataId) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  Answer<Result> again;
  Ask(Newcomer(1), &again);
  ASSERT_TRUE(again.has_come() && again->ok());
  EXPECT_EQ(**again, 4u);
  Membership::Adding wiped = Newcomer(1);
  wiped.data_id = 7;
  Answer<Result> same_name;
  Ask(wiped, &same_name);
  EXPECT_EQ(ReasonOf(same_name), "MEMBER_EXISTS");
  wiped.name = "other";
  Answer<Result> same_address;
  Ask(wiped, &same_address);
  EXPECT_EQ(ReasonOf(same_address), "MEMBER_EXISTS");
  EXPECT_EQ(now().Members(), Ids({1, 4}));
}

TEST_F(MembershipTest, AStepWaitsForTheOneBefore) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  GoWith(4);
  Answer<Result> promoted;
  Ask(Membership::Promoting{4}, &promoted);
  Go();
  ASSERT_TRUE(now().IsJoint());
  Answer<Result> second;
  Ask(Newcomer(2), &second);
  Answer<Result> third;
  Ask(Newcomer(3), &third);
  EXPECT_FALSE(second.has_come());
  Go(90);
  EXPECT_FALSE(promoted.has_come()) << "nobody has acknowledged it";
  GoWith(4, 30);
  EXPECT_TRUE(promoted.has_come() && promoted->ok());
  EXPECT_TRUE(second.has_come() && second->ok());
  EXPECT_TRUE(third.has_come() && third->ok());
  EXPECT_EQ(now().Members(), Ids({1, 4, 5, 6}));
}

TEST_F(MembershipTest, WhoWaitsTooLongForAnotherStepIsRefused) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  GoWith(4);
  Answer<Result> promoted;
  Ask(Membership::Promoting{4}, &promoted, kSoon);
  Answer<Result> blocked;
  Ask(Newcomer(2), &blocked);
  // The voter-to-be is heard, but acknowledges nothing.
  for (int i = 0; i < 400 && !blocked.has_come(); ++i) {
    Say(4, raft::HeartbeatReply{.round = raft::RoundId(0)});
    Go();
  }
  EXPECT_EQ(ReasonOf(blocked), "MEMBERSHIP_CHANGE_PENDING");
  EXPECT_FALSE(promoted.has_come());
}

TEST_F(MembershipTest, RemovingAsksWhetherTheOthersAreThere) {
  Answer<Result> last;
  Ask(Membership::Removing{1}, &last);
  EXPECT_EQ(ReasonOf(last), "WOULD_LOSE_QUORUM");
  Answer<Result> nobody;
  Ask(Membership::Removing{9}, &nobody);
  EXPECT_EQ(ReasonOf(nobody), "MEMBER_NOT_FOUND");
  Answer<Result> before;
  Ask(Membership::Removing{2}, &before);
  EXPECT_TRUE(before.has_come() && before->ok()) << "it was removed long ago";

  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  GoWith(4);
  Answer<Result> learner;
  Ask(Membership::Removing{4}, &learner);
  Go();
  EXPECT_TRUE(learner.has_come() && learner->ok());
  EXPECT_EQ(now().Members(), Ids({1}));
}

TEST_F(MembershipTest, AVoterGoesByAJointStep) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  GoWith(4);
  Answer<Result> promoted;
  Ask(Membership::Promoting{4}, &promoted);
  GoWith(4);
  ASSERT_EQ(now().voters, Ids({1, 4}));
  Answer<Result> removed;
  Ask(Membership::Removing{4}, &removed);
  EXPECT_TRUE(now().IsJoint());
  GoWith(4);
  ASSERT_TRUE(removed.has_come() && removed->ok()) << ReasonOf(removed);
  EXPECT_EQ(now().Members(), Ids({1}));
  EXPECT_TRUE(directory_.IsRemoved(4));
}

// 5 is down: without 4 there would be no majority.
TEST_F(MembershipTest, WhoIsNeededForAMajorityStays) {
  ASSERT_NO_FATAL_FAILURE(AddTwoVoters());
  GoWith(4, 300);
  Answer<Result> removed;
  Ask(Membership::Removing{4}, &removed);
  EXPECT_EQ(ReasonOf(removed), "WOULD_LOSE_QUORUM");
  EXPECT_EQ(now().voters, Ids({1, 4, 5}));
}

// 5 is heard, but has not acknowledged the joint step, so it does not know that it goes.
TEST_F(MembershipTest, WhoGoesHearsOfItFirst) {
  ASSERT_NO_FATAL_FAILURE(AddTwoVoters());
  Answer<Result> removed;
  Ask(Membership::Removing{5}, &removed);
  for (int i = 0; i < 30; ++i) {
    AnswerHeartbeat(4);
    AnswerHeartbeat(5);
    GoWith(4, 1);
  }
  EXPECT_TRUE(member_->driver().core().is_configuration_committed());
  EXPECT_TRUE(now().IsJoint());
  Acknowledge(5);
  GoWith(4);
  EXPECT_TRUE(removed.has_come() && removed->ok()) << ReasonOf(removed);
  EXPECT_EQ(now().Members(), Ids({1, 4}));
}

TEST_F(MembershipTest, AnAddressIsOneMembersAlone) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  Answer<Result> moved;
  Ask(Membership::Updating{4, "moved:1"}, &moved);
  Go();
  EXPECT_TRUE(moved.has_come() && moved->ok());
  EXPECT_EQ(directory_.Find(raft::NodeId(4))->peer_address, "moved:1");
  Answer<Result> taken;
  Ask(Membership::Updating{1, "moved:1"}, &taken);
  EXPECT_EQ(ReasonOf(taken), "MEMBER_EXISTS");
}

TEST_F(MembershipTest, OlderMembersWouldNotUnderstandIt) {
  machine_.version = kMembershipVersion - 1;
  configuration_ = ThreeMembers();
  Answer<Result> added;
  Ask(Newcomer(1), &added);
  EXPECT_EQ(ReasonOf(added), "none") << "what 2 and 3 know will be told any moment";
  machine_.records[2].set_command_version(kMembershipVersion - 1);
  Go();
  EXPECT_EQ(ReasonOf(added), "MEMBER_TOO_OLD");
  EXPECT_EQ(now().Members(), Ids({1}));
}

TEST_F(MembershipTest, WhatMembersKnowIsWaitedForAfterTheFounding) {
  machine_.version = kMembershipVersion - 1;
  Answer<Result> added;
  Ask(Newcomer(1), &added);
  EXPECT_FALSE(added.has_come());
  Go(200);
  EXPECT_EQ(machine_.version, kMembershipVersion);
  EXPECT_TRUE(added.has_come() && added->ok()) << ReasonOf(added);
}

TEST_F(MembershipTest, BoundsAreKept) {
  for (uint64_t number = 1; number < kMembersMax; ++number) {
    ASSERT_NO_FATAL_FAILURE(AddLearner(number));
  }
  Answer<Result> beyond;
  Ask(Newcomer(100), &beyond);
  EXPECT_EQ(ReasonOf(beyond), "TOO_MANY_MEMBERS");

  GoWith(4);
  Answer<Result> promoted;
  Ask(Membership::Promoting{4}, &promoted);
  std::vector<Answer<Result>> waiting(kMembershipChangesMax);
  for (Answer<Result>& answer : waiting) {
    member_->membership()->Request(Membership::Removing{5}, In(kSoon), answer.callback());
  }
  EXPECT_EQ(ReasonOf(waiting.back()), "OVERLOADED");
  EXPECT_FALSE(waiting.front().has_come());
}

class FollowerMembershipTest : public MembershipTest {
 protected:
  void SetUp() override { Start(3, &directory_); }
};

TEST_F(FollowerMembershipTest, WhoDoesNotLeadRefuses) {
  Answer<Result> added;
  Ask(Newcomer(1), &added);
  EXPECT_EQ(ReasonOf(added), "NO_LEADER");
}

TEST_F(MembershipTest, ALeaderThatLosesItsQuorumSaysWhatIsOpen) {
  ASSERT_NO_FATAL_FAILURE(AddLearner(1));
  GoWith(4);
  Answer<Result> promoted;
  Ask(Membership::Promoting{4}, &promoted);
  Answer<Result> waiting;
  Ask(Newcomer(2), &waiting);
  ASSERT_TRUE(now().IsJoint());
  for (int i = 0; i < 1000 && !promoted.has_come(); ++i) {
    Go();
  }
  EXPECT_EQ(ReasonOf(promoted), "OUTCOME_UNKNOWN");
  EXPECT_EQ(ReasonOf(waiting), "NO_LEADER");
}

}  // namespace
}  // namespace raftkv::kv
