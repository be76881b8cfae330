// What Raft does is accepted, and one illegal step for each rule of elections and restarts is not.
#include "tests/spec/spec_fixture.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(SpecTest, AcceptsAnElectionAndReplicationAndAppliedEntries) {
  LeadAndCommit();
  Beat(2, 0, 1);
  Commit(2, 1);
  spec_.OnApplied(NodeId(1), Id(1, 1));
  spec_.OnApplied(NodeId(2), Id(1, 1));
  Start(2, 1);
  Store(3, Vote(1, 0));
  Append(3, Id(1, 1), {}, 1);
  Send(3, 1, 1, AppendRejected{.rejected_index = LogIndex(1), .hint = {}});
  ExpectAccepted();
}

TEST_F(SpecTest, AcceptsANewLeaderThatReplacesWhatIsNotCommitted) {
  LeadTwice();
  Send(3, 1, 2, AppendRequest{Id(0, 0), {At(2, 1)}, LogIndex(0)});
  Store(1, Vote(2, 0), {At(2, 1)});
  Send(1, 3, 2, AppendAccepted{.match_index = LogIndex(1)});
  Commit(3, 1);
  Send(3, 1, 2, Heartbeat{.commit_index = LogIndex(1), .round = RoundId(0)});
  Commit(1, 1);
  ExpectAccepted();
}

TEST_F(SpecTest, AcceptsReadsThatARoundOrTheirAskerConfirms) {
  LeadAndCommit();
  Ask(1, 1, 1);
  Beat(2, 1);
  Send(2, 1, 1, HeartbeatReply{.round = RoundId(1)});
  Answer(1, 1);
  Ask(2, 2, 1);
  Answer(2, 1);
  Ask(3, 1, 1);
  spec_.OnReadAnswered(NodeId(1), {.id = ReadId(3), .aborted = true, .read_index = LogIndex(0)});
  ExpectAccepted();
}

TEST_F(SpecTest, SaysWhatWasDoneAndWhichRuleForbidsItOnce) {
  Store(1, Vote(2, 0));
  Write(1, Vote(1, 0));
  Write(1, Vote(0, 0));
  EXPECT_THAT(rejections_, ElementsAre(testing::AllOf(HasSubstr("server 1: "), HasSubstr("term=1"),
                                                      HasSubstr("§3.3: terms never fall"))));
}

// Elections.

TEST_F(SpecTest, ALeaderNeedsAQuorumOfVotes) {
  Campaign(1, 2, 1);
  Write(1, std::nullopt, {At(1, 1)});
  ExpectRejected("§3.4: a leader has the votes of a quorum");
}

TEST_F(SpecTest, APreVoteIsNoVote) {
  Campaign(1, 2, 1);
  Append(2, Id(0, 0), {});
  ExpectRejected("§3.4: a leader has the votes of a quorum");
}

TEST_F(SpecTest, ARestartEndsALeadership) {
  Lead();
  Start(1);
  Beat(2, 1);
  ExpectRejected("§3.4: a term has one leader, in one life of it");
}

TEST_F(SpecTest, AVoteIsNotTakenBack) {
  Store(2, Vote(1, 0));
  Campaign(1, 2, 1);
  Store(2, Vote(1, 1));
  Store(2, Vote(1, 0));
  ExpectRejected("§3.4: a server votes once in a term");
}

TEST_F(SpecTest, AVoteIsGivenToOne) {
  Campaign(1, 2, 1);
  Grant(2, 1, 1);
  Send(2, 3, 1, VoteReply{.pre_vote = false, .granted = true});
  ExpectRejected("§3.4: a server votes once in a term");
}

TEST_F(SpecTest, AVoteIsDurableWhenItIsGiven) {
  Campaign(1, 2, 1);
  Store(2, Vote(1, 0));
  Write(2, Vote(1, 1));
  Send(2, 1, 1, VoteReply{.pre_vote = false, .granted = true});
  ExpectRejected("§3.8: a vote is durable");
}

TEST_F(SpecTest, AVoteIsForACandidate) {
  Store(2, Vote(1, 3));
  ExpectRejected("§3.4: votes are for candidates that asked");
}

TEST_F(SpecTest, AVoteIsForAnUpToDateLog) {
  LeadTwice();
  Store(1, Vote(3, 0));
  Campaign(2, 3, 3);
  Store(1, Vote(3, 2));
  ExpectRejected("§3.6.1: votes are for candidates whose logs are up to date");
}

TEST_F(SpecTest, ACandidateHasPreVotes) {
  Send(2, 1, 2, VoteReply{.pre_vote = true, .granted = true});  // Of another term.
  Write(1, Vote(1, 1));
  ExpectRejected("§9.6: who begins a term has the PreVotes of a quorum");
}

TEST_F(SpecTest, APreVoteIsForTheNextTerm) {
  Send(1, 2, 2, VoteRequest{.pre_vote = true, .last_entry = {}});
  ExpectRejected("§9.6: PreVotes are for the next term");
}

TEST_F(SpecTest, ACandidatesOwnVoteIsDurable) {
  Store(1, Vote(1, 0));
  Send(1, 2, 1, VoteRequest{.pre_vote = false, .last_entry = {}});
  ExpectRejected("§3.8: a candidate's own vote is durable");
}

TEST_F(SpecTest, ACandidatesLogIsDurable) {
  Campaign(1, 2, 1, Id(1, 1));
  ExpectRejected("§3.8: the log that it tells is durable");
}

TEST_F(SpecTest, ATermIsDurableBeforeItIsSpokenIn) {
  Write(2, Vote(1, 0));
  Send(2, 1, 1, VoteReply{.pre_vote = false, .granted = false});
  ExpectRejected("§3.8: what is said in a term waits until that is durable");
}

// What a restart must find.

TEST_F(SpecTest, ATermIsNotForgotten) {
  Store(2, Vote(1, 0));
  Send(2, 1, 1, VoteReply{.pre_vote = false, .granted = false});
  disks_[NodeId(2)].hard_state = {};
  Start(2);
  ExpectRejected("§3.8: the term in which it spoke is durable");
}

TEST_F(SpecTest, AVoteIsNotForgotten) {
  Campaign(1, 2, 1);
  Grant(2, 1, 1);
  disks_[NodeId(2)].hard_state.vote = kNobody;
  Start(2);
  ExpectRejected("§3.8: its vote is durable");
}

TEST_F(SpecTest, AnAcknowledgementIsNotForgotten) {
  LeadAndCommit();
  disks_[NodeId(2)].log.clear();
  Start(2);
  ExpectRejected("§3.8: what it acknowledged is durable");
}

TEST_F(SpecTest, TheLogHoldsWhatWasApplied) {
  LeadAndCommit();
  Start(3, 1);
  ExpectRejected("§3.8: what it applied is durable");
}

}  // namespace
}  // namespace raftkv::raft
