// Short runs made by hand: what Raft does is accepted, and one illegal step for each rule is not.
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/spec/raft_spec.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

EntryId Id(uint64_t term, uint64_t index) { return {Term(term), LogIndex(index)}; }

Entry At(uint64_t term, uint64_t index) {
  return {.id = Id(term, index), .kind = EntryKind::kNoOp, .stamp = {}, .payload = nullptr};
}

class SpecTest : public testing::Test {
 protected:
  explicit SpecTest(Configuration configuration = {.voters = {NodeId(1), NodeId(2), NodeId(3)},
                                                   .outgoing_voters = {},
                                                   .learners = {}})
      : spec_(configuration, [this](const std::string& what) { rejections_.push_back(what); }) {
    for (const auto& half : {configuration.voters, configuration.outgoing_voters}) {
      for (const NodeId id : half) {
        Start(id.value());
      }
    }
  }

  void Start(uint64_t id, uint64_t applied = 0) {
    Disk& disk = disks_[NodeId(id)];
    spec_.OnStarted(NodeId(id), {.hard_state = &disk.hard_state, .log = &disk.log},
                    LogIndex(applied));
  }
  // Not durable before Sync.
  void Write(uint64_t id, std::optional<HardState> hard_state, std::vector<Entry> entries = {}) {
    const LogWrite write{.id = {}, .hard_state = hard_state, .entries = std::move(entries)};
    spec_.OnWrite(NodeId(id), write);
    disks_[NodeId(id)].writes.push_back(write);
  }
  void Sync(uint64_t id) {
    Disk& disk = disks_[NodeId(id)];
    for (const LogWrite& write : std::exchange(disk.writes, {})) {
      disk.hard_state = write.hard_state.value_or(disk.hard_state);
      for (const Entry& entry : write.entries) {
        disk.log.resize(entry.id.index.value() - 1);
        disk.log.push_back(entry);
      }
    }
  }
  // Synced.
  void Store(uint64_t id, HardState hard_state, std::vector<Entry> entries = {}) {
    Write(id, hard_state, std::move(entries));
    Sync(id);
  }
  void Send(uint64_t from, uint64_t to, uint64_t term, Message message) {
    spec_.OnSent({.from = NodeId(from), .to = NodeId(to), .term = Term(term), .message = message});
  }
  static HardState Vote(uint64_t term, uint64_t vote) {
    return {.term = Term(term), .vote = NodeId(vote)};
  }

  // Server `id` becomes a candidate with the PreVote of `voter`.
  void Campaign(uint64_t id, uint64_t voter, uint64_t term, EntryId last = {}) {
    Send(id, voter, term, VoteRequest{.pre_vote = true, .last_entry = last});
    Send(voter, id, term, VoteReply{.pre_vote = true, .granted = true});
    Store(id, Vote(term, id));
    Send(id, voter, term, VoteRequest{.pre_vote = false, .last_entry = last});
  }
  void Grant(uint64_t id, uint64_t candidate, uint64_t term) {
    Store(id, Vote(term, candidate));
    Send(id, candidate, term, VoteReply{.pre_vote = false, .granted = true});
  }
  // Server 1 leads term 1 with the vote of 2, and has appended its first entry.
  void Lead() {
    Campaign(1, 2, 1);
    Grant(2, 1, 1);
    Store(1, Vote(1, 1), {At(1, 1)});
  }
  void Append(uint64_t to, EntryId previous, std::vector<Entry> entries, uint64_t commit = 0) {
    Send(1, to, 1, AppendRequest{previous, std::move(entries), LogIndex(commit)});
  }
  void Accept(uint64_t id, uint64_t match) {
    Send(id, 1, 1, AppendAccepted{.match_index = LogIndex(match)});
  }
  // And the entry is committed, by 1 and 2.
  void LeadAndCommit() {
    Lead();
    Append(2, Id(0, 0), {At(1, 1)});
    Store(2, Vote(1, 1), {At(1, 1)});
    Accept(2, 1);
    Commit(1, 1);
  }
  // Server 3 has its first entry, of term 2, which it led with the vote of 2; 1 led term 1.
  void LeadTwice() {
    Lead();
    Store(3, Vote(1, 0));
    Campaign(3, 2, 2);
    Grant(2, 3, 2);
    Store(3, Vote(2, 3), {At(2, 1)});
  }
  // Server 1 has applied its first entry, and sends 3, which is in its term, a snapshot of that.
  void SendSnapshot() {
    LeadAndCommit();
    Store(3, Vote(1, 0));
    spec_.OnApplied(NodeId(1), Id(1, 1));
    spec_.OnSnapshotSent(NodeId(1), NodeId(3), Term(1), Id(1, 1));
  }
  // With it, `log` is on the disk.
  void Install(uint64_t id, std::vector<Entry> log) {
    disks_[NodeId(id)].log = std::move(log);
    spec_.OnSnapshotInstalled(NodeId(id), Id(1, 1));
  }
  void Beat(uint64_t to, uint64_t round, uint64_t commit = 0) {
    Send(1, to, 1, Heartbeat{.commit_index = LogIndex(commit), .round = RoundId(round)});
  }
  void Commit(uint64_t id, uint64_t index) { spec_.OnCommitIndex(NodeId(id), LogIndex(index)); }
  void Ask(uint64_t read, uint64_t asker, uint64_t commit) {
    spec_.OnReadAsked(NodeId(1), ReadId(read),
                      {.asker = NodeId(asker), .term = Term(1), .commit_index = LogIndex(commit)});
  }
  void Answer(uint64_t read, uint64_t index) {
    spec_.OnReadAnswered(NodeId(1), {.id = ReadId(read), .read_index = LogIndex(index)});
  }

  void ExpectAccepted() { EXPECT_THAT(rejections_, IsEmpty()); }
  // Once, by this rule.
  void ExpectRejected(const std::string& rule) {
    EXPECT_THAT(rejections_, ElementsAre(HasSubstr(rule)));
    rejections_.clear();
  }

  struct Disk {
    HardState hard_state;
    std::vector<Entry> log;
    std::vector<LogWrite> writes;
  };
  std::map<NodeId, Disk> disks_;
  std::vector<std::string> rejections_;
  RaftSpec spec_;
};

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

// Snapshots.

TEST_F(SpecTest, AcceptsASnapshotAndWhatFollowsIt) {
  SendSnapshot();
  Install(3, {At(1, 1)});
  Commit(3, 1);
  Accept(3, 1);
  Store(1, Vote(1, 1), {At(1, 2)});
  Append(3, Id(1, 1), {At(1, 2)});
  Store(3, Vote(1, 0), {At(1, 2)});
  Accept(3, 2);
  Start(3, 1);
  ExpectAccepted();
}

TEST_F(SpecTest, AcceptsASnapshotThatALogHoldsAlready) {
  SendSnapshot();
  Store(1, Vote(1, 1), {At(1, 2)});
  Append(3, Id(0, 0), {At(1, 1), At(1, 2)});
  Store(3, Vote(1, 0), {At(1, 1), At(1, 2)});
  Install(3, {At(1, 1), At(1, 2)});
  Accept(3, 2);
  ExpectAccepted();
}

TEST_F(SpecTest, SnapshotsAreOfLeaders) {
  LeadAndCommit();
  spec_.OnSnapshotSent(NodeId(2), NodeId(3), Term(1), Id(1, 1));
  ExpectRejected("§5.3: its sender leads");
}

TEST_F(SpecTest, SnapshotsAreOfWhatIsApplied) {
  LeadAndCommit();
  spec_.OnSnapshotSent(NodeId(1), NodeId(3), Term(1), Id(1, 1));
  ExpectRejected("§5.1: a snapshot is of what is applied");
}

TEST_F(SpecTest, SnapshotsThatAreInstalledWereSent) {
  LeadAndCommit();
  Install(3, {At(1, 1)});
  ExpectRejected("§5.3: a leader sent it the snapshot");
}

TEST_F(SpecTest, SnapshotsTakeNothingBack) {
  SendSnapshot();
  spec_.OnSnapshotSent(NodeId(1), NodeId(2), Term(1), Id(1, 1));
  Beat(2, 0, 1);
  Commit(2, 1);
  Install(2, {At(1, 1)});
  ExpectRejected("§5.3: a snapshot takes nothing back");
}

TEST_F(SpecTest, LeadersInstallNoSnapshot) {
  SendSnapshot();
  Append(3, Id(0, 0), {At(1, 1)});
  Store(3, Vote(1, 0), {At(1, 1)});
  Campaign(3, 2, 2, Id(1, 1));
  Grant(2, 3, 2);
  Store(3, Vote(2, 3), {At(2, 2)});
  Install(3, {At(1, 1), At(2, 2)});
  ExpectRejected("figure 5.3: a leader installs none");
}

TEST_F(SpecTest, InstalledSnapshotsAreDurable) {
  SendSnapshot();
  Install(3, {});
  ExpectRejected("§3.8: what is installed is durable");
}

TEST_F(SpecTest, ALogThatLacksASnapshotsLastEntryGoes) {
  SendSnapshot();
  Install(3, {At(1, 1), At(1, 2)});
  ExpectRejected("figure 5.3: what follows in the log stays");
}

TEST_F(SpecTest, ALogThatHoldsASnapshotsLastEntryStays) {
  SendSnapshot();
  Store(1, Vote(1, 1), {At(1, 2)});
  Append(3, Id(0, 0), {At(1, 1), At(1, 2)});
  Store(3, Vote(1, 0), {At(1, 1), At(1, 2)});
  Install(3, {At(1, 1)});
  ExpectRejected("figure 5.3: what follows in the log stays");
}

// Logs.

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

// Reads.

TEST_F(SpecTest, ARoundIsNotUsedTwice) {
  Lead();
  Beat(2, 1);
  Beat(3, 1);
  ExpectAccepted();
  Beat(2, 1);
  ExpectRejected("§6.4: a round differs from those before it");
}

TEST_F(SpecTest, AnAnswerIsToARoundThatBegan) {
  Lead();
  Send(2, 1, 1, HeartbeatReply{.round = RoundId(1)});
  ExpectRejected("§6.4: only a begun round counts");
}

TEST_F(SpecTest, AReadIsAnsweredOnce) {
  LeadAndCommit();
  Ask(1, 2, 1);
  Answer(1, 1);
  Answer(1, 1);
  ExpectRejected("§6.4: a read that is answered was asked, once");
}

TEST_F(SpecTest, AReadNeedsACommitOfItsTerm) {
  Lead();
  Ask(1, 2, 0);
  Answer(1, 0);
  ExpectRejected("§6.4: a leader has committed in its term before it confirms reads");
}

TEST_F(SpecTest, AReadIndexIsCommitted) {
  LeadAndCommit();
  Write(1, std::nullopt, {At(1, 2)});
  Ask(1, 2, 1);
  Answer(1, 2);
  ExpectRejected("§6.4: a read index is what was committed when the read came, or later");
}

TEST_F(SpecTest, AReadIndexIsNotOld) {
  LeadAndCommit();
  Ask(1, 2, 2);
  Answer(1, 1);
  ExpectRejected("§6.4: a read index is what was committed when the read came, or later");
}

TEST_F(SpecTest, AnEarlierRoundDoesNotConfirmARead) {
  LeadAndCommit();
  Beat(2, 1);
  Ask(1, 1, 1);
  Send(2, 1, 1, HeartbeatReply{.round = RoundId(1)});
  Answer(1, 1);
  ExpectRejected("§6.4: a quorum has answered a round that began after the read came");
}

class JointSpecTest : public SpecTest {
 protected:
  JointSpecTest()
      : SpecTest({.voters = {NodeId(1), NodeId(2), NodeId(3)},
                  .outgoing_voters = {NodeId(1), NodeId(4), NodeId(5)},
                  .learners = {}}) {}
};

TEST_F(JointSpecTest, BothHalvesElect) {
  Send(4, 1, 1, VoteReply{.pre_vote = true, .granted = true});
  Campaign(1, 2, 1);
  Grant(2, 1, 1);
  Grant(4, 1, 1);
  Write(1, std::nullopt, {At(1, 1)});
  ExpectAccepted();
}

TEST_F(JointSpecTest, OneHalfElectsNobody) {
  Send(4, 1, 1, VoteReply{.pre_vote = true, .granted = true});
  Campaign(1, 2, 1);
  Grant(2, 1, 1);
  Grant(3, 1, 1);
  Write(1, std::nullopt, {At(1, 1)});
  ExpectRejected("§3.4: a leader has the votes of a quorum");
}

Entry Configure(uint64_t term, uint64_t index, std::set<NodeId> voters,
                std::set<NodeId> outgoing = {}) {
  Entry entry = At(term, index);
  entry.kind = EntryKind::kConfiguration;
  entry.configuration = std::make_shared<const Configuration>(Configuration{
      .voters = std::move(voters), .outgoing_voters = std::move(outgoing), .learners = {}});
  return entry;
}

// From voters 1, 2, 3 on: 1 leads, entry 1 is committed, and server 4 is there.
class MembershipSpecTest : public SpecTest {
 protected:
  MembershipSpecTest() {
    LeadAndCommit();
    Start(4);
    Store(4, Vote(1, 0));
  }

  const Entry joint_ = Configure(1, 2, {NodeId(1), NodeId(4)}, {NodeId(1), NodeId(2), NodeId(3)});
  const Entry last_ = Configure(1, 3, {NodeId(1), NodeId(4)});

  // What `id` lacks of the leader's first entries, up to `entries`.
  void Follow(uint64_t id, std::vector<Entry> entries) {
    const EntryId previous =
        Id(entries.front().id.index == LogIndex(1) ? 0 : 1, entries.front().id.index.value() - 1);
    Append(id, previous, entries);
    const uint64_t match = entries.back().id.index.value();
    Store(id, Vote(1, id == 2 ? 1 : 0), std::move(entries));
    Accept(id, match);
  }
  void CommitJoint() {
    Store(1, Vote(1, 1), {joint_});
    Follow(2, {joint_});
    Follow(4, {At(1, 1), joint_});
    Commit(1, 2);
  }
};

TEST_F(MembershipSpecTest, AcceptsAChangeInTwoSteps) {
  CommitJoint();
  Store(1, Vote(1, 1), {last_});
  Follow(4, {last_});
  Commit(1, 3);
  ExpectAccepted();
}

TEST_F(MembershipSpecTest, TheNewestCountsBeforeItIsCommitted) {
  Store(1, Vote(1, 1), {joint_});
  Follow(2, {joint_});
  Commit(1, 2);
  ExpectRejected("§3.6.2: a quorum holds it");
}

TEST_F(MembershipSpecTest, WhatHoldsInALogCountsForItsServer) {
  Store(1, Vote(1, 1), {joint_});
  Follow(4, {At(1, 1), joint_});
  Store(4, Vote(2, 4));
  ExpectRejected("§9.6: who begins a term has the PreVotes of a quorum");
}

TEST_F(MembershipSpecTest, OneChangeComesAfterTheOther) {
  Write(1, std::nullopt, {joint_, last_});
  ExpectRejected("§4.1: one change of members at a time");
}

TEST_F(SpecTest, AChangeComesAfterACommitOfTheTerm) {
  Lead();
  Write(1, std::nullopt, {Configure(1, 2, {NodeId(1)}, {NodeId(1), NodeId(2), NodeId(3)})});
  ExpectRejected("§4.1: one change of members at a time, after a commit of the term");
}

TEST_F(MembershipSpecTest, VotersChangeThroughAJointConfiguration) {
  Write(1, std::nullopt, {Configure(1, 2, {NodeId(1), NodeId(4)})});
  ExpectRejected("§4.3: voters change by way of a joint configuration");
}

TEST_F(MembershipSpecTest, AJointConfigurationIsLeftForItsIncomingVoters) {
  CommitJoint();
  Write(1, std::nullopt, {Configure(1, 3, {NodeId(1), NodeId(2), NodeId(3)})});
  ExpectRejected("§4.3: voters change by way of a joint configuration");
}

}  // namespace
}  // namespace raftkv::raft
