#include "raft/runtime/state_audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "tests/raft/core/configurations.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr LogIndex kNothing{0};
constexpr MonotonicNanos kTick = 10 * kNanosPerMilli;
constexpr uint64_t kRight = 17;
constexpr uint64_t kWrong = 4;
constexpr uint64_t kOther = 9;

// Node 1 leads term 5 of some voters and has applied 100 entries.
class StateAuditTest : public testing::Test {
 protected:
  StateAuditTest() { SetVoters({1, 2, 3}); }

  void SetVoters(const std::vector<uint64_t>& voters, const std::vector<uint64_t>& learners = {}) {
    configuration_ = Simple(voters, learners);
  }
  void Tick() {
    now_ += kTick;
    audit_.Tick(
        {.term = term_, .self = NodeId(1), .configuration = configuration_, .applied = applied_},
        [this](LogIndex index) {
          EXPECT_EQ(index, applied_);
          return own_hash_;
        },
        now_);
  }
  void TickFor(MonotonicNanos time) {
    for (MonotonicNanos passed = 0; passed < time; passed += kTick) {
      Tick();
    }
  }
  LogIndex Ask() { return audit_.Ask(term_, now_); }
  // Begins an audit and asks in it.
  void Begin() {
    Tick();
    ASSERT_EQ(Ask(), applied_);
  }
  void Answer(uint64_t member, uint64_t hash) { Answer(member, hash, term_, applied_); }
  void Answer(uint64_t member, uint64_t hash, Term term, LogIndex index) {
    audit_.TakeAnswer(NodeId(member), term,
                      {.low_on_disk = false, .audited = index, .state_hash = hash});
  }
  LogIndex DiffersAt(uint64_t member) { return audit_.DifferenceOf(NodeId(member), term_).index; }
  std::vector<uint64_t> Found() {
    std::vector<uint64_t> members;
    for (const NodeId member : audit_.TakeFound()) {
      members.push_back(member.value());
    }
    return members;
  }

  StateAudit audit_;
  Term term_{5};
  Configuration configuration_;
  LogIndex applied_{100};
  std::optional<uint64_t> own_hash_ = kRight;
  MonotonicNanos now_ = 1000 * kNanosPerSecond;
};

TEST_F(StateAuditTest, EqualStatesEndAnAuditInWhichNobodyIsFound) {
  Begin();
  Answer(2, kRight);
  EXPECT_EQ(Ask(), LogIndex(100)) << "one has not answered";
  Answer(3, kRight);
  EXPECT_EQ(Ask(), kNothing);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(audit_.disagreement(), kNothing);
}

TEST_F(StateAuditTest, TheNextBeginsAnIntervalAfterTheLastHoweverQuietItIs) {
  Begin();
  Answer(2, kRight);
  Answer(3, kRight);
  TickFor(StateAudit::kInterval - kTick);
  EXPECT_EQ(Ask(), kNothing);
  Tick();
  EXPECT_EQ(Ask(), LogIndex(100));
  applied_ = LogIndex(130);
  Tick();
  EXPECT_EQ(Ask(), LogIndex(100)) << "an audit stays with its entry";
}

TEST_F(StateAuditTest, OneOfThreeIsWrongAsSoonAsTheTwoOthersAgree) {
  Begin();
  Answer(3, kWrong);
  EXPECT_THAT(Found(), IsEmpty()) << "it may be the leader";
  Answer(2, kRight);
  EXPECT_THAT(Found(), ElementsAre(3));
  EXPECT_EQ(DiffersAt(3), LogIndex(100));
  EXPECT_EQ(DiffersAt(2), kNothing);
  EXPECT_EQ(DiffersAt(1), kNothing);
  EXPECT_EQ(audit_.disagreement(), kNothing);
  EXPECT_EQ(Ask(), kNothing);
}

TEST_F(StateAuditTest, ADifferenceHasBothHashes) {
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong);
  const StateDifference difference = audit_.DifferenceOf(NodeId(3), term_);
  EXPECT_EQ(difference.own_hash, kWrong);
  EXPECT_EQ(difference.right_hash, kRight);
}

TEST_F(StateAuditTest, TheLeaderIsWrongWhenTheOthersAgree) {
  own_hash_ = kWrong;
  Begin();
  Answer(2, kRight);
  EXPECT_THAT(Found(), IsEmpty());
  Answer(3, kRight);
  EXPECT_THAT(Found(), ElementsAre(1));
  EXPECT_EQ(DiffersAt(1), LogIndex(100));
}

// Of five voters three must agree, not most of those that answered.
TEST_F(StateAuditTest, AMajorityIsOneOfAllVoters) {
  SetVoters({1, 2, 3, 4, 5});
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong);
  EXPECT_THAT(Found(), IsEmpty());
  TickFor(StateAudit::kAnswerTimeMax);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(audit_.disagreement(), LogIndex(100));
}

TEST_F(StateAuditTest, TwoOfFiveMayBeWrongInDifferentWays) {
  SetVoters({1, 2, 3, 4, 5});
  Begin();
  Answer(2, kWrong);
  Answer(3, kOther);
  Answer(4, kRight);
  Answer(5, kRight);
  EXPECT_THAT(Found(), ElementsAre(2, 3));
}

TEST_F(StateAuditTest, WhoAnswersAfterTheMajorityIsJudgedToo) {
  SetVoters({1, 2, 3, 4, 5});
  Begin();
  Answer(2, kRight);
  Answer(3, kRight);
  EXPECT_THAT(Found(), IsEmpty());
  TickFor(StateAudit::kAnswerTimeMax - kTick);
  EXPECT_EQ(Ask(), LogIndex(100)) << "two have not answered";
  Answer(4, kWrong);
  EXPECT_THAT(Found(), ElementsAre(4));
}

TEST_F(StateAuditTest, WithoutAMajorityThereIsOnlyAnAlarm) {
  Begin();
  Answer(2, kWrong);
  EXPECT_EQ(audit_.disagreement(), kNothing) << "the third may settle it";
  Answer(3, kOther);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(audit_.disagreement(), LogIndex(100));
  // Until a majority agrees.
  applied_ = LogIndex(200);
  TickFor(StateAudit::kInterval);
  Answer(3, kRight);
  EXPECT_EQ(audit_.disagreement(), kNothing);
}

TEST_F(StateAuditTest, TwoVotersThatDifferAreAnAlarm) {
  SetVoters({1, 2});
  Begin();
  Answer(2, kWrong);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(audit_.disagreement(), LogIndex(100));
}

TEST_F(StateAuditTest, MissingAnswersAreNoDifference) {
  Begin();
  TickFor(StateAudit::kAnswerTimeMax);
  EXPECT_EQ(audit_.disagreement(), kNothing);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(StateAuditTest, LearnersAreJudgedAndDoNotJudge) {
  SetVoters({1, 2}, {3, 4});
  Begin();
  Answer(3, kWrong);
  Answer(4, kWrong);
  EXPECT_THAT(Found(), IsEmpty()) << "learners make no majority";
  Answer(2, kRight);
  EXPECT_THAT(Found(), ElementsAre(3, 4));
}

TEST_F(StateAuditTest, AVoterAloneProvesNothing) {
  SetVoters({1}, {2, 3});
  Begin();
  Answer(2, kWrong);
  Answer(3, kWrong);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(audit_.disagreement(), applied_);
}

TEST_F(StateAuditTest, AJointConfigurationNeedsBothMajorities) {
  configuration_ = Joint({1, 2, 3}, {1, 4, 5});
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong);
  EXPECT_THAT(Found(), IsEmpty()) << "of the outgoing voters only one agrees";
  Answer(4, kRight);
  EXPECT_THAT(Found(), ElementsAre(3));
}

TEST_F(StateAuditTest, TheNextAuditDoesNotWaitForWhoIsAway) {
  Begin();
  Answer(2, kRight);
  TickFor(StateAudit::kAnswerTimeMax - kTick);
  applied_ = LogIndex(200);
  EXPECT_EQ(Ask(), LogIndex(100));
  Tick();
  EXPECT_EQ(Ask(), LogIndex(200));
  // Its answer comes too late.
  Answer(2, kRight);
  Answer(3, kWrong, term_, LogIndex(100));
  EXPECT_THAT(Found(), IsEmpty());
  Answer(3, kWrong);
  EXPECT_THAT(Found(), ElementsAre(3));
}

// Heartbeats may be rarer than that.
TEST_F(StateAuditTest, TheTimeForAnswersBeginsWithTheQuestion) {
  Tick();
  TickFor(2 * StateAudit::kAnswerTimeMax);
  applied_ = LogIndex(200);
  EXPECT_EQ(Ask(), LogIndex(100));
  TickFor(StateAudit::kAnswerTimeMax - kTick);
  EXPECT_EQ(Ask(), LogIndex(100));
  Tick();
  EXPECT_EQ(Ask(), LogIndex(200));
}

TEST_F(StateAuditTest, AnswersOfOtherTermsEntriesAndNodesDoNotCount) {
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong, Term(4), applied_);
  Answer(3, kWrong, Term(6), applied_);
  Answer(3, kWrong, term_, LogIndex(99));
  Answer(3, 0, term_, kNothing);  // It does not know.
  Answer(7, kWrong);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(Ask(), LogIndex(100)) << "node 3 has not answered";
  Answer(3, kRight);
  EXPECT_THAT(Found(), IsEmpty());
}

// A term is a leader's: its heartbeats say nothing of what it found in an earlier one.
TEST_F(StateAuditTest, AnotherTermBeginsAnew) {
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong);
  EXPECT_EQ(audit_.DifferenceOf(NodeId(3), Term(5)).index, LogIndex(100));
  EXPECT_EQ(audit_.DifferenceOf(NodeId(3), Term(4)).index, kNothing);
  EXPECT_EQ(audit_.Ask(Term(4), now_), kNothing);
  audit_.Stop();
  EXPECT_EQ(DiffersAt(3), kNothing);
  Begin();
  EXPECT_EQ(audit_.Ask(Term(4), now_), kNothing)
      << "a heartbeat of an earlier term may still leave";
  Answer(2, kRight);
  term_ = Term(8);
  Tick();
  EXPECT_EQ(Ask(), LogIndex(100)) << "at once";
  Answer(3, kWrong);
  EXPECT_THAT(Found(), IsEmpty()) << "node 2 has not answered in this term";
}

TEST_F(StateAuditTest, AnotherConfigurationBeginsAnew) {
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong);
  EXPECT_THAT(Found(), ElementsAre(3));
  SetVoters({1, 2, 4});
  Tick();
  EXPECT_EQ(DiffersAt(3), kNothing);
  EXPECT_EQ(Ask(), LogIndex(100));
  Answer(3, kWrong);
  Answer(4, kRight);
  EXPECT_THAT(Found(), IsEmpty());
  Answer(2, kWrong);
  EXPECT_THAT(Found(), ElementsAre(2));
}

// It may have missed every heartbeat that told it.
TEST_F(StateAuditTest, AFindingStaysUntilTheMemberIsRight) {
  Begin();
  Answer(2, kRight);
  Answer(3, kWrong);
  EXPECT_THAT(Found(), ElementsAre(3));
  applied_ = LogIndex(200);
  TickFor(StateAudit::kInterval);
  ASSERT_EQ(Ask(), LogIndex(200));
  Answer(2, kRight);
  applied_ = LogIndex(300);
  TickFor(StateAudit::kAnswerTimeMax);
  ASSERT_EQ(Ask(), LogIndex(300));
  EXPECT_EQ(DiffersAt(3), LogIndex(100)) << "it did not answer";
  Answer(2, kRight);
  Answer(3, kWrong);
  EXPECT_EQ(DiffersAt(3), LogIndex(300));
  EXPECT_THAT(Found(), IsEmpty()) << "told once";
  TickFor(StateAudit::kInterval);
  ASSERT_EQ(Ask(), LogIndex(300));
  Answer(2, kRight);
  Answer(3, kRight);
  EXPECT_EQ(DiffersAt(3), kNothing);
}

TEST_F(StateAuditTest, WithoutAnOwnHashNothingIsAsked) {
  own_hash_ = std::nullopt;
  Tick();
  EXPECT_EQ(Ask(), kNothing);
  own_hash_ = kRight;
  Tick();
  EXPECT_EQ(Ask(), LogIndex(100)) << "as soon as it is known";
}

TEST_F(StateAuditTest, BeforeTheFirstEntryNothingIsAsked) {
  applied_ = LogIndex(0);
  Tick();
  EXPECT_EQ(Ask(), kNothing);
}

}  // namespace
}  // namespace raftkv::raft
