// Reads: one illegal step for each rule is not accepted.
#include "tests/spec/spec_fixture.h"

namespace raftkv::raft {
namespace {

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

}  // namespace
}  // namespace raftkv::raft
