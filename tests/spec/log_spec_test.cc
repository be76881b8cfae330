// Logs, and what of them is committed and applied: one illegal step for each rule is not accepted.
#include "tests/spec/spec_fixture.h"

namespace raftkv::raft {
namespace {

TEST_F(SpecTest, CommittedEntriesStay) {
  LeadTwice();
  Append(2, Id(0, 0), {At(1, 1)});
  Send(3, 1, 2, AppendRequest{Id(0, 0), {At(2, 1)}, LogIndex(0)});
  Store(1, Vote(2, 0), {At(2, 1)});
  Send(1, 3, 2, AppendAccepted{.match_index = LogIndex(1)});
  Commit(3, 1);
  Send(3, 1, 2, Heartbeat{.commit_index = LogIndex(1), .round = RoundId(0)});
  Commit(1, 1);
  Write(1, Vote(3, 0), {At(1, 1)});
  ExpectRejected("§3.6: what is committed is not replaced");
}

TEST_F(SpecTest, AcknowledgedEntriesStay) {
  Lead();
  Append(2, Id(0, 0), {At(1, 1)});
  Store(2, Vote(1, 1), {At(1, 1)});
  Accept(2, 1);
  Write(2, std::nullopt, {At(1, 1)});
  ExpectRejected("§3.5: nor is what it acknowledged in this term");
}

TEST_F(SpecTest, ALeaderOnlyAppends) {
  Lead();
  Write(1, std::nullopt, {At(1, 1)});
  ExpectRejected("figure 3.2: a leader only appends");
}

TEST_F(SpecTest, NobodyButTheLeaderCreatesEntries) {
  Lead();
  Write(2, std::nullopt, {At(1, 1), At(1, 2)});
  ExpectRejected("§3.4: a leader has the votes of a quorum");
}

TEST_F(SpecTest, NobodyCreatesEntriesOfAnotherTerm) {
  Lead();
  Store(1, Vote(2, 0));
  Write(1, std::nullopt, {At(1, 2)});
  ExpectRejected("§3.5: entries are created in the term of their leader");
}

TEST_F(SpecTest, LogsMatch) {
  LeadTwice();
  Write(3, std::nullopt, {At(2, 2)});
  Write(1, Vote(2, 0), {At(2, 2)});
  ExpectRejected("§3.5: an entry follows what it follows in the log of its term's leader");
}

TEST_F(SpecTest, ALogHasNoGaps) {
  Lead();
  Write(1, std::nullopt, {At(1, 2)});
  Write(2, std::nullopt, {At(1, 2)});
  ExpectRejected("§3.5: a log has no gaps");
}

TEST_F(SpecTest, AFollowerListensToItsOwnTermsLeader) {
  LeadTwice();
  Write(2, std::nullopt, {At(1, 1)});
  ExpectRejected("§3.5: entries are from the leader of its term");
}

TEST_F(SpecTest, ALeaderSendsItsLog) {
  Lead();
  Append(2, Id(1, 1), {At(1, 2)});
  ExpectRejected("§3.5: a leader sends a piece of its log");
}

TEST_F(SpecTest, ALeaderSendsAfterWhatItHolds) {
  Lead();
  Append(2, Id(1, 2), {});
  ExpectRejected("§3.5: a leader sends a piece of its log");
}

TEST_F(SpecTest, AnAcknowledgedEntryIsDurable) {
  Lead();
  Append(2, Id(0, 0), {At(1, 1)});
  Write(2, std::nullopt, {At(1, 1)});
  Accept(2, 1);
  ExpectRejected("§3.8: what is acknowledged is durable, and in the leader's log");
}

TEST_F(SpecTest, AnAcknowledgedEntryIsTheLeaders) {
  LeadTwice();
  Store(1, Vote(2, 0));
  Send(1, 3, 2, AppendAccepted{.match_index = LogIndex(1)});
  ExpectRejected("§3.8: what is acknowledged is durable, and in the leader's log");
}

// Commitment.

TEST_F(SpecTest, AnAppendTellsWhatIsCommitted) {
  Lead();
  Append(2, Id(1, 1), {}, 1);
  ExpectRejected("§3.6: a leader tells what it has committed");
}

TEST_F(SpecTest, AHeartbeatTellsWhatWasAcknowledged) {
  LeadAndCommit();
  Beat(3, 1, 1);
  ExpectRejected("§3.5: a heartbeat tells of no more than is committed and was acknowledged");
}

TEST_F(SpecTest, ACommitIndexNeverFalls) {
  LeadAndCommit();
  Commit(1, 0);
  ExpectRejected("§3.6: a commit index never falls");
}

TEST_F(SpecTest, AQuorumHoldsWhatIsCommitted) {
  Lead();
  Commit(1, 1);
  ExpectRejected("§3.6.2: a quorum holds it and it is of the leader's term");
}

TEST_F(SpecTest, ALeaderCountsItselfWhenItsEntryIsDurable) {
  Lead();
  Write(1, std::nullopt, {At(1, 2)});
  Append(2, Id(0, 0), {At(1, 1), At(1, 2)});
  Store(2, Vote(1, 1), {At(1, 1), At(1, 2)});
  Accept(2, 2);
  Commit(1, 2);
  ExpectRejected("§3.6.2: a quorum holds it and it is of the leader's term");
}

TEST_F(SpecTest, AnEarlierTermIsNotCommittedByCounting) {
  Lead();
  Store(2, Vote(1, 1), {At(1, 1)});
  Campaign(1, 2, 2, Id(1, 1));
  Grant(2, 1, 2);
  Write(1, std::nullopt, {At(2, 2)});
  Send(2, 1, 2, AppendAccepted{.match_index = LogIndex(1)});
  Commit(1, 1);
  ExpectRejected("§3.6.2: a quorum holds it and it is of the leader's term");
}

TEST_F(SpecTest, AFollowerCommitsWhatTheLeaderDid) {
  LeadAndCommit();
  Append(3, Id(1, 1), {}, 1);
  Store(3, Vote(1, 0));
  Commit(3, 1);
  ExpectRejected("figure 3.2: all servers commit the same entries");
}

TEST_F(SpecTest, EntriesAreAppliedInOrder) {
  LeadAndCommit();
  spec_.OnApplied(NodeId(1), Id(1, 2));
  ExpectRejected("§3.5: entries are applied in log order");
}

TEST_F(SpecTest, AppliedEntriesAreCommitted) {
  Lead();
  spec_.OnApplied(NodeId(1), Id(1, 1));
  ExpectRejected("§3.5: it is committed");
}

TEST_F(SpecTest, AppliedEntriesAreDurable) {
  LeadAndCommit();
  Append(3, Id(0, 0), {At(1, 1)}, 1);
  Write(3, Vote(1, 0), {At(1, 1)});
  Commit(3, 1);
  spec_.OnApplied(NodeId(3), Id(1, 1));
  ExpectRejected("§3.8: what is applied is durable");
}

}  // namespace
}  // namespace raftkv::raft
