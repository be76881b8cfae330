// Joint configurations, and changes of members.
#include <memory>
#include <set>

#include "tests/spec/spec_fixture.h"

namespace raftkv::raft {
namespace {

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
