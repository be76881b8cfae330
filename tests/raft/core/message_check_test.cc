// What a correct peer never says is told apart before the core's own checks meet it. That nothing
// which a correct peer says is refused is shown by the random clusters and by the simulator, which
// ask about every message.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/core/raft_core.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::HasSubstr;

Heartbeat SomeHeartbeat(uint64_t commit = 0) {
  return {.commit_index = LogIndex(commit), .round = RoundId(0)};
}

// Node 1 of voters 1, 2, 3. Its log: 1/1 and 2/2 applied, 2/3 not; stamped 100, 200, 300.
class MessageCheckTest : public testing::Test {
 protected:
  MessageCheckTest() : core_(SomeConfig(), SomeState(), Rng(1)) {}

  static RaftConfig SomeConfig() {
    RaftConfig config;
    config.self = NodeId(1);
    config.heartbeat_ticks = 2;
    config.election_timeout_ticks = kElectionTicks;
    return config;
  }
  static RestoredState SomeState() {
    RestoredState state;
    state.hard_state = {.term = Term(3), .vote = kNobody};
    state.configuration.voters = {NodeId(1), NodeId(2), NodeId(3)};
    state.tail = {MakeEntry(1, 1, 100), MakeEntry(2, 2, 200), MakeEntry(2, 3, 300)};
    state.applied = Id(2, 2);
    return state;
  }

  static Envelope From(uint64_t from, uint64_t term, Message message) {
    return {
        .from = NodeId(from), .to = NodeId(1), .term = Term(term), .message = std::move(message)};
  }
  // A message that is taken.
  void Step(uint64_t from, uint64_t term, Message message) {
    Do([envelope = From(from, term, std::move(message))](RaftCore& core) {
      const absl::Status taken = core.Take(envelope);
      EXPECT_TRUE(taken.ok()) << taken;
    });
    Persist();
  }
  void Persist() {
    Do([](RaftCore& core) {
      while (core.HasOutput()) {
        if (const Output output = core.TakeOutput(); output.write.has_value()) {
          core.OnPersisted(output.write->id);
        }
      }
    });
  }
  // What is wrong with a message; "" when a correct peer can have sent it. It is told to a core of
  // its own, which has been told all that this one was.
  std::string Refusal(uint64_t from, uint64_t term, Message message) const {
    RaftCore core(SomeConfig(), SomeState(), Rng(1));
    for (const auto& input : inputs_) {
      input(core);
    }
    const bool had_output = core.HasOutput();
    const Term term_before = core.term();
    const absl::Status taken = core.Take(From(from, term, std::move(message)));
    if (!taken.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(taken)) << taken;
      EXPECT_EQ(core.HasOutput(), had_output) << "what is refused changes nothing";
      EXPECT_EQ(core.term(), term_before);
    }
    return std::string(taken.message());
  }

  void BecomeCandidate(bool durable) {
    while (core_.role() == RaftRole::kFollower) {
      Do([](RaftCore& core) { core.Tick(); });
    }
    Do([](RaftCore& core) {
      EXPECT_TRUE(core.Take(From(2, 4, VoteReply{.pre_vote = true, .granted = true})).ok());
    });
    ASSERT_EQ(core_.role(), RaftRole::kCandidate);
    if (durable) {
      Persist();
    }
  }
  void Lead() {
    BecomeCandidate(/*durable=*/true);
    Step(2, 4, VoteReply{.pre_vote = false, .granted = true});
    ASSERT_EQ(core_.role(), RaftRole::kLeader);
  }

  void Do(std::function<void(RaftCore&)> input) {
    input(core_);
    inputs_.push_back(std::move(input));
  }

  RaftCore core_;
  std::vector<std::function<void(RaftCore&)>> inputs_;
};

TEST_F(MessageCheckTest, ASecondLeaderInATerm) {
  Step(2, 3, SomeHeartbeat());
  EXPECT_THAT(Refusal(3, 3, SomeHeartbeat()), HasSubstr("node 2 leads term 3"));
  EXPECT_THAT(Refusal(3, 3, Append(Id(2, 3), {})), HasSubstr("node 2 leads term 3"));
  EXPECT_EQ(Refusal(2, 3, SomeHeartbeat()), "");
  EXPECT_EQ(Refusal(3, 2, SomeHeartbeat()), "") << "of an old term: it learns the new one";
  EXPECT_EQ(Refusal(3, 4, SomeHeartbeat()), "") << "of a new term: it may well lead";
}

TEST_F(MessageCheckTest, AnotherLeaderWhereThisNodeLeads) {
  Lead();
  EXPECT_THAT(Refusal(3, 4, SomeHeartbeat()), HasSubstr("node 1 leads term 4"));
  EXPECT_THAT(Refusal(3, 4, Append(Id(2, 3), {})), HasSubstr("node 1 leads term 4"));
}

TEST_F(MessageCheckTest, AnEntryInPlaceOfACommittedOne) {
  for (const uint64_t term : {3, 4}) {
    EXPECT_THAT(Refusal(2, term, Append(Id(1, 1), {MakeEntry(3, 2, 400)})),
                HasSubstr("3/2 contradicts entry 2/2"));
  }
  EXPECT_EQ(Refusal(2, 3, Append(Id(1, 1), {MakeEntry(2, 2, 200), MakeEntry(3, 3, 300)})), "")
      << "what is not committed may go";
  EXPECT_EQ(Refusal(2, 2, Append(Id(1, 1), {MakeEntry(2, 2, 200)})), "") << "of an old term";
}

// Not deadly at once: the entries would follow a log that is not theirs.
TEST_F(MessageCheckTest, EntriesAfterAnotherOneThanTheCommitted) {
  EXPECT_THAT(Refusal(2, 3, Append(Id(3, 2), {MakeEntry(3, 3, 300)})),
              HasSubstr("3/2 contradicts entry 2/2"));
  EXPECT_THAT(Refusal(2, 3, Append(Id(1, 2), {})), HasSubstr("1/2 contradicts entry 2/2"));
  EXPECT_EQ(Refusal(2, 3, Append(Id(3, 3), {})), "") << "there it is merely rejected";
}

TEST_F(MessageCheckTest, ALeaderThatContradictsItself) {
  Step(2, 3, Append(Id(2, 2), {MakeEntry(2, 3, 300)}));
  EXPECT_THAT(Refusal(2, 3, Append(Id(2, 2), {MakeEntry(3, 3, 300)})),
              HasSubstr("3/3 contradicts entry 2/3"));
  EXPECT_EQ(Refusal(3, 4, Append(Id(2, 2), {MakeEntry(4, 3, 300)})), "") << "the next leader may";
}

TEST_F(MessageCheckTest, StampsThatGoBackBehindTheOwnLog) {
  EXPECT_THAT(Refusal(2, 3, Append(Id(2, 3), {MakeEntry(3, 4, 299)})),
              HasSubstr("3/4 is stamped 299, before the entry that it follows: 300"));
  // Behind entries that are there already, and in place of one that is not committed.
  EXPECT_THAT(
      Refusal(2, 3,
              Append(Id(1, 1), {MakeEntry(2, 2, 200), MakeEntry(2, 3, 200), MakeEntry(3, 4, 201)})),
      HasSubstr("stamped 201"));
  EXPECT_THAT(Refusal(2, 3, Append(Id(2, 2), {MakeEntry(3, 3, 199)})), HasSubstr("stamped 199"));
  EXPECT_EQ(Refusal(2, 3, Append(Id(2, 3), {MakeEntry(3, 4, 300)})), "");
  EXPECT_EQ(Refusal(2, 3, Append(Id(2, 2), {MakeEntry(3, 3, 200)})), "");
  EXPECT_EQ(Refusal(2, 3, Append(Id(2, 9), {MakeEntry(3, 10, 0)})), "")
      << "there it is merely rejected";
}

TEST_F(MessageCheckTest, VotesThatNobodyWasAskedFor) {
  BecomeCandidate(/*durable=*/false);
  EXPECT_EQ(Refusal(3, 4, VoteReply{.pre_vote = false, .granted = false}), "")
      << "the answer to an older request may say so";
  EXPECT_THAT(Refusal(2, 4, VoteReply{.pre_vote = false, .granted = true}),
              HasSubstr("no vote was asked for yet"));
  EXPECT_THAT(Refusal(3, 4, VoteReply{.pre_vote = false, .granted = true}),
              HasSubstr("no vote was asked"));
  Persist();
  EXPECT_EQ(Refusal(3, 4, VoteReply{.pre_vote = false, .granted = true}), "");
}

// Harmless by themselves; they are refused with the rest.
TEST_F(MessageCheckTest, WhatMakesNoSense) {
  EXPECT_THAT(Refusal(0, 3, SomeHeartbeat()), HasSubstr("no other member"));
  EXPECT_THAT(Refusal(2, 3, SomeHeartbeat(/*commit=*/4)), HasSubstr("the log ends at 3"));
  EXPECT_THAT(Refusal(2, 3, Append(Id(2, 3), {MakeEntry(4, 4, 300)})), HasSubstr("later term"));
  Lead();
  EXPECT_THAT(Refusal(2, 4, AppendAccepted{.match_index = LogIndex(9)}),
              HasSubstr("the log ends at 4"));
  EXPECT_THAT(Refusal(2, 4, HeartbeatReply{.round = RoundId(9)}), HasSubstr("not begun"));
}

// Thesis §4.1: a member that has not heard of a change must be able to follow whoever leads by it.
TEST_F(MessageCheckTest, RequestsOfStrangersAreJudgedLikeOthers) {
  EXPECT_EQ(Refusal(9, 3, SomeHeartbeat()), "");
  EXPECT_EQ(Refusal(9, 4, Append(Id(2, 3), {MakeEntry(4, 4, 300)})), "");
  EXPECT_EQ(Refusal(9, 4, VoteRequest{.pre_vote = false, .last_entry = Id(2, 3)}), "");
  EXPECT_THAT(Refusal(9, 3, SomeHeartbeat(/*commit=*/4)), HasSubstr("the log ends at 3"));
  Step(9, 4, SomeHeartbeat());
  EXPECT_EQ(core_.leader(), NodeId(9));
}

TEST_F(MessageCheckTest, RepliesOfStrangersCountForNothing) {
  BecomeCandidate(/*durable=*/true);
  Step(9, 4, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(core_.role(), RaftRole::kCandidate);
  Step(9, 5, VoteReply{.pre_vote = false, .granted = false});
  EXPECT_EQ(core_.term(), Term(4)) << "nor does their term";
  Step(2, 4, VoteReply{.pre_vote = false, .granted = true});
  ASSERT_EQ(core_.role(), RaftRole::kLeader);
  Step(9, 4, AppendAccepted{.match_index = LogIndex(4)});
  Step(9, 4, HeartbeatReply{.round = RoundId(0)});
  EXPECT_EQ(core_.commit_index(), LogIndex(2));
}

}  // namespace
}  // namespace raftkv::raft
