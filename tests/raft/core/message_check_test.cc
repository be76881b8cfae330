// What a correct peer never says is told apart before the core's own checks meet it. That nothing
// which a correct peer says is refused is shown by the random clusters and by the simulator, which
// ask about every message.
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {
namespace {

using testing::HasSubstr;

constexpr uint64_t kElectionTicks = 20;

EntryId Id(uint64_t term, uint64_t index) { return {.term = Term(term), .index = LogIndex(index)}; }

Entry At(uint64_t term, uint64_t index, uint64_t stamp) {
  return {.id = Id(term, index),
          .kind = EntryKind::kCommands,
          .stamp = ClusterMillis(stamp),
          .payload = nullptr};
}

AppendRequest Append(EntryId previous, std::vector<Entry> entries, uint64_t commit = 0) {
  return {.previous = previous, .entries = std::move(entries), .commit_index = LogIndex(commit)};
}

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
    state.tail = {At(1, 1, 100), At(2, 2, 200), At(2, 3, 300)};
    state.applied = Id(2, 2);
    return state;
  }

  static Envelope From(uint64_t from, uint64_t term, Message message) {
    return {
        .from = NodeId(from), .to = NodeId(1), .term = Term(term), .message = std::move(message)};
  }
  // A message that is taken.
  void Step(uint64_t from, uint64_t term, Message message) {
    const Envelope envelope = From(from, term, std::move(message));
    EXPECT_TRUE(core_.CheckMessage(envelope).ok()) << core_.CheckMessage(envelope);
    core_.Step(envelope);
    Persist();
  }
  void Persist() {
    while (core_.HasOutput()) {
      if (const Output output = core_.TakeOutput(); output.write.has_value()) {
        core_.OnPersisted(output.write->id);
      }
    }
  }
  std::string Refusal(uint64_t from, uint64_t term, Message message) const {
    const absl::Status status = core_.CheckMessage(From(from, term, std::move(message)));
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  }
  // Refused in words; without the check it would end the process in others.
  void ExpectDeadly(const Envelope& envelope, const std::string& words, const std::string& end) {
    EXPECT_THAT(std::string(core_.CheckMessage(envelope).message()), HasSubstr(words));
    EXPECT_DEATH(core_.Step(envelope), end);
  }

  void BecomeCandidate(bool durable) {
    while (core_.role() == RaftRole::kFollower) {
      core_.Tick();
    }
    core_.Step(From(2, 4, VoteReply{.pre_vote = true, .granted = true}));
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

  RaftCore core_;
};

using MessageCheckDeathTest = MessageCheckTest;

TEST_F(MessageCheckDeathTest, ASecondLeaderInATerm) {
  Step(2, 3, SomeHeartbeat());
  ExpectDeadly(From(3, 3, SomeHeartbeat()), "node 2 leads term 3", "both 2 and 3 lead term 3");
  ExpectDeadly(From(3, 3, Append(Id(2, 3), {})), "node 2 leads term 3", "both 2 and 3 lead term 3");
  EXPECT_EQ(Refusal(2, 3, SomeHeartbeat()), "");
  EXPECT_EQ(Refusal(3, 2, SomeHeartbeat()), "") << "of an old term: it learns the new one";
  EXPECT_EQ(Refusal(3, 4, SomeHeartbeat()), "") << "of a new term: it may well lead";
}

TEST_F(MessageCheckDeathTest, AnotherLeaderWhereThisNodeLeads) {
  Lead();
  ExpectDeadly(From(3, 4, SomeHeartbeat()), "node 1 leads term 4", "both 1 and 3 lead term 4");
  ExpectDeadly(From(3, 4, Append(Id(2, 3), {})), "node 1 leads term 4", "both 1 and 3 lead term 4");
}

TEST_F(MessageCheckDeathTest, AnEntryInPlaceOfACommittedOne) {
  for (const uint64_t term : {3, 4}) {
    ExpectDeadly(From(2, term, Append(Id(1, 1), {At(3, 2, 400)})), "3/2 contradicts entry 2/2",
                 "contradicts a committed entry");
  }
  EXPECT_EQ(Refusal(2, 3, Append(Id(1, 1), {At(2, 2, 200), At(3, 3, 300)})), "")
      << "what is not committed may go";
  EXPECT_EQ(Refusal(2, 2, Append(Id(1, 1), {At(2, 2, 200)})), "") << "of an old term";
}

// Not deadly at once: the entries would follow a log that is not theirs.
TEST_F(MessageCheckTest, EntriesAfterAnotherOneThanTheCommitted) {
  EXPECT_THAT(Refusal(2, 3, Append(Id(3, 2), {At(3, 3, 300)})),
              HasSubstr("3/2 contradicts entry 2/2"));
  EXPECT_THAT(Refusal(2, 3, Append(Id(1, 2), {})), HasSubstr("1/2 contradicts entry 2/2"));
  EXPECT_EQ(Refusal(2, 3, Append(Id(3, 3), {})), "") << "there it is merely rejected";
}

TEST_F(MessageCheckDeathTest, ALeaderThatContradictsItself) {
  Step(2, 3, Append(Id(2, 2), {At(2, 3, 300)}));
  ExpectDeadly(From(2, 3, Append(Id(2, 2), {At(3, 3, 300)})), "3/3 contradicts entry 2/3",
               "contradicts itself");
  EXPECT_EQ(Refusal(3, 4, Append(Id(2, 2), {At(4, 3, 300)})), "") << "the next leader may";
}

TEST_F(MessageCheckDeathTest, StampsThatGoBackBehindTheOwnLog) {
  ExpectDeadly(From(2, 3, Append(Id(2, 3), {At(3, 4, 299)})),
               "3/4 is stamped 299, before the entry that it follows: 300", "at index 4");
  // Behind entries that are there already, and in place of one that is not committed.
  ExpectDeadly(From(2, 3, Append(Id(1, 1), {At(2, 2, 200), At(2, 3, 200), At(3, 4, 201)})),
               "stamped 201", "at index 4");
  ExpectDeadly(From(2, 3, Append(Id(2, 2), {At(3, 3, 199)})), "stamped 199", "at index 3");
  EXPECT_EQ(Refusal(2, 3, Append(Id(2, 3), {At(3, 4, 300)})), "");
  EXPECT_EQ(Refusal(2, 3, Append(Id(2, 2), {At(3, 3, 200)})), "");
  EXPECT_EQ(Refusal(2, 3, Append(Id(2, 9), {At(3, 10, 0)})), "") << "there it is merely rejected";
}

TEST_F(MessageCheckDeathTest, VotesThatNobodyWasAskedFor) {
  BecomeCandidate(/*durable=*/false);
  EXPECT_EQ(Refusal(3, 4, VoteReply{.pre_vote = false, .granted = false}), "")
      << "the answer to an older request may say so";
  EXPECT_THAT(Refusal(2, 4, VoteReply{.pre_vote = false, .granted = true}),
              HasSubstr("no vote was asked for yet"));
  core_.Step(From(2, 4, VoteReply{.pre_vote = false, .granted = true}));
  ExpectDeadly(From(3, 4, VoteReply{.pre_vote = false, .granted = true}), "no vote was asked",
               "led on a vote that could be forgotten");
  Persist();
  EXPECT_EQ(Refusal(3, 4, VoteReply{.pre_vote = false, .granted = true}), "");
}

// The core makes an event of these and goes on; they are refused with the rest.
TEST_F(MessageCheckTest, WhatTheCoreWouldIgnore) {
  EXPECT_THAT(Refusal(9, 3, SomeHeartbeat()), HasSubstr("no other member"));
  EXPECT_THAT(Refusal(2, 3, SomeHeartbeat(/*commit=*/4)), HasSubstr("the log ends at 3"));
  EXPECT_THAT(Refusal(2, 3, Append(Id(2, 3), {At(4, 4, 300)})), HasSubstr("later term"));
  Lead();
  EXPECT_THAT(Refusal(2, 4, AppendAccepted{.match_index = LogIndex(9)}),
              HasSubstr("the log ends at 4"));
  EXPECT_THAT(Refusal(2, 4, HeartbeatReply{.round = RoundId(9)}), HasSubstr("not begun"));
}

}  // namespace
}  // namespace raftkv::raft
