#include "raft/core/progress.h"

#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

using State = FollowerProgress::State;

RaftConfig TestConfig() {
  RaftConfig config;
  config.self = NodeId(1);
  config.heartbeat_ticks = 2;
  config.election_timeout_ticks = 10;
  config.append_bytes_max = 100;
  config.inflight_appends_max = 2;
  config.inflight_bytes_max = 150;
  return config;
}

// Follower of a leader whose log ends at 9, in agreement up to 4.
FollowerProgress Replicating() {
  FollowerProgress progress(LogIndex(10), TestConfig());
  progress.OnSent(LogIndex(9), 0, LogIndex(0));
  EXPECT_TRUE(progress.OnRejected(LogIndex(9), LogIndex(4)));
  progress.OnSent(LogIndex(4), 0, LogIndex(0));
  EXPECT_TRUE(progress.OnAccepted(LogIndex(4)));
  EXPECT_EQ(progress.state(), State::kReplicate);
  return progress;
}

void PassTicks(FollowerProgress& progress, int ticks) {
  for (int tick = 0; tick < ticks; ++tick) {
    progress.Tick(LogIndex(0));
  }
}

// The follower answers, and has each time what the leader had.
void KeepUp(FollowerProgress& progress, uint64_t from, uint64_t ticks) {
  for (uint64_t index = from; index < from + ticks; ++index) {
    progress.OnSent(LogIndex(index), 1, LogIndex(0));
    progress.Tick(LogIndex(index));
    progress.OnContact();
    progress.OnAccepted(LogIndex(index));
  }
}

TEST(InflightWindowTest, IsBoundedByNumber) {
  InflightWindow window(2, 1000);
  window.Add(LogIndex(3), 10);
  EXPECT_FALSE(window.full());
  window.Add(LogIndex(5), 10);
  EXPECT_TRUE(window.full());
  window.Acknowledge(LogIndex(4));
  EXPECT_EQ(window.size(), 1u);
  EXPECT_EQ(window.bytes_left(), 990u);
}

TEST(InflightWindowTest, IsBoundedByBytes) {
  InflightWindow window(9, 100);
  window.Add(LogIndex(3), 99);
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.bytes_left(), 1u);
  window.Add(LogIndex(4), 500);
  EXPECT_TRUE(window.full());
  EXPECT_EQ(window.bytes_left(), 0u);
  window.Acknowledge(LogIndex(4));
  EXPECT_TRUE(window.empty());
  EXPECT_EQ(window.bytes_left(), 100u);
}

TEST(FollowerProgressTest, ProbesOnceAtATime) {
  FollowerProgress progress(LogIndex(10), TestConfig());
  EXPECT_TRUE(progress.WantsAppend(LogIndex(9)));
  progress.OnSent(LogIndex(9), 0, LogIndex(0));
  EXPECT_FALSE(progress.WantsAppend(LogIndex(20)));
  EXPECT_EQ(progress.next_index(), LogIndex(10));
}

TEST(FollowerProgressTest, ReplicatesAfterAnAcceptedProbe) {
  FollowerProgress progress = Replicating();
  EXPECT_EQ(progress.match_index(), LogIndex(4));
  EXPECT_EQ(progress.next_index(), LogIndex(5));
  progress.OnSent(LogIndex(6), 80, LogIndex(5));
  EXPECT_EQ(progress.next_index(), LogIndex(7));
  EXPECT_EQ(progress.told_commit_index(), LogIndex(5));
  EXPECT_EQ(progress.append_bytes_max(), 70u);
  progress.OnSent(LogIndex(7), 10, LogIndex(9));
  EXPECT_EQ(progress.told_commit_index(), LogIndex(7)) << "no more than it will hold";
  EXPECT_FALSE(progress.WantsAppend(LogIndex(9))) << "the window is full";
  EXPECT_TRUE(progress.OnAccepted(LogIndex(6)));
  EXPECT_TRUE(progress.WantsAppend(LogIndex(9)));
  EXPECT_TRUE(progress.OnAccepted(LogIndex(7)));
  EXPECT_FALSE(progress.WantsAppend(LogIndex(7))) << "it has everything";
}

TEST(FollowerProgressTest, OldAcceptsNeverMoveMatchBack) {
  FollowerProgress progress = Replicating();
  progress.OnSent(LogIndex(6), 10, LogIndex(0));
  EXPECT_TRUE(progress.OnAccepted(LogIndex(6)));
  progress.OnSent(LogIndex(7), 10, LogIndex(0));
  for (uint64_t old : {0, 3, 4, 6}) {
    EXPECT_FALSE(progress.OnAccepted(LogIndex(old)));
    EXPECT_EQ(progress.match_index(), LogIndex(6));
    EXPECT_EQ(progress.next_index(), LogIndex(8));
    EXPECT_EQ(progress.window().size(), 1u);
  }
}

TEST(FollowerProgressTest, AnAcceptBeyondTheWindowMovesNext) {
  FollowerProgress progress = Replicating();
  EXPECT_TRUE(progress.OnAccepted(LogIndex(8)));
  EXPECT_EQ(progress.next_index(), LogIndex(9));
}

TEST(FollowerProgressTest, ARejectedProbeMovesBackAtLeastByOne) {
  FollowerProgress progress(LogIndex(10), TestConfig());
  progress.OnSent(LogIndex(9), 0, LogIndex(0));
  EXPECT_TRUE(progress.OnRejected(LogIndex(9), LogIndex(9)));
  EXPECT_EQ(progress.next_index(), LogIndex(9));
  progress.OnSent(LogIndex(8), 0, LogIndex(0));
  EXPECT_TRUE(progress.OnRejected(LogIndex(8), LogIndex(2)));
  EXPECT_EQ(progress.next_index(), LogIndex(3));
  EXPECT_TRUE(progress.WantsAppend(LogIndex(9)));
}

TEST(FollowerProgressTest, OldRejectionsChangeNothing) {
  FollowerProgress probing(LogIndex(10), TestConfig());
  probing.OnSent(LogIndex(9), 0, LogIndex(0));
  EXPECT_FALSE(probing.OnRejected(LogIndex(8), LogIndex(2)));
  EXPECT_FALSE(probing.OnRejected(LogIndex(10), LogIndex(2)));
  EXPECT_EQ(probing.next_index(), LogIndex(10));
  EXPECT_FALSE(probing.WantsAppend(LogIndex(9)));

  FollowerProgress replicating = Replicating();
  replicating.OnSent(LogIndex(6), 10, LogIndex(0));
  EXPECT_FALSE(replicating.OnRejected(LogIndex(4), LogIndex(1)));
  EXPECT_FALSE(replicating.OnRejected(LogIndex(9), LogIndex(1)));
  EXPECT_EQ(replicating.state(), State::kReplicate);
  EXPECT_EQ(replicating.window().size(), 1u);
}

TEST(FollowerProgressTest, ARejectionInReplicateProbesAgainButNotBelowMatch) {
  FollowerProgress progress = Replicating();
  progress.OnSent(LogIndex(6), 10, LogIndex(3));
  EXPECT_TRUE(progress.OnRejected(LogIndex(6), LogIndex(1)));
  EXPECT_EQ(progress.state(), State::kProbe);
  EXPECT_EQ(progress.match_index(), LogIndex(4));
  EXPECT_EQ(progress.next_index(), LogIndex(5));
  EXPECT_TRUE(progress.window().empty());
  EXPECT_EQ(progress.told_commit_index(), LogIndex(0)) << "what told it may be lost";
}

TEST(FollowerProgressTest, ALostStreamForgetsTheWindow) {
  FollowerProgress progress = Replicating();
  progress.OnSent(LogIndex(6), 10, LogIndex(0));
  progress.OnStreamLost(LogIndex(99));
  EXPECT_EQ(progress.state(), State::kProbe);
  EXPECT_EQ(progress.next_index(), LogIndex(5));
  EXPECT_TRUE(progress.window().empty());
  EXPECT_TRUE(progress.WantsAppend(LogIndex(9)));
}

TEST(FollowerProgressTest, AnUnansweredProbeIsSentAgainWhenTheFollowerIsThere) {
  FollowerProgress progress(LogIndex(10), TestConfig());
  progress.OnSent(LogIndex(9), 0, LogIndex(0));
  PassTicks(progress, 1);
  progress.OnHeartbeatReply(RoundId(1));
  EXPECT_FALSE(progress.WantsAppend(LogIndex(9))) << "it may still be under way";
  PassTicks(progress, 1);
  EXPECT_FALSE(progress.WantsAppend(LogIndex(9))) << "nobody is there to answer";
  progress.OnHeartbeatReply(RoundId(2));
  EXPECT_TRUE(progress.WantsAppend(LogIndex(9)));
}

TEST(FollowerProgressTest, AWindowThatDoesNotMoveIsGivenUp) {
  FollowerProgress progress = Replicating();
  PassTicks(progress, 100);
  progress.OnHeartbeatReply(RoundId(1));
  EXPECT_EQ(progress.state(), State::kReplicate) << "an empty window waits for nothing";
  progress.OnSent(LogIndex(6), 10, LogIndex(0));
  PassTicks(progress, 9);
  progress.OnSent(LogIndex(7), 10, LogIndex(0));
  progress.OnHeartbeatReply(RoundId(2));
  EXPECT_EQ(progress.state(), State::kReplicate);
  PassTicks(progress, 1);
  progress.OnHeartbeatReply(RoundId(3));
  EXPECT_EQ(progress.state(), State::kProbe);
  EXPECT_EQ(progress.next_index(), LogIndex(5));
}

TEST(FollowerProgressTest, WhatArrivesInPartsIsNotLost) {
  FollowerProgress progress = Replicating();
  progress.OnSent(LogIndex(6), 10, LogIndex(0));
  PassTicks(progress, 9);
  progress.OnPartTaken();
  PassTicks(progress, 9);
  EXPECT_TRUE(progress.is_heard());
  progress.OnHeartbeatReply(RoundId(1));
  EXPECT_EQ(progress.state(), State::kReplicate);
  PassTicks(progress, 1);
  progress.OnHeartbeatReply(RoundId(2));
  EXPECT_EQ(progress.state(), State::kProbe);

  progress.OnSent(LogIndex(4), 0, LogIndex(0));
  PassTicks(progress, 1);
  progress.OnPartTaken();
  PassTicks(progress, 1);
  progress.OnHeartbeatReply(RoundId(3));
  EXPECT_FALSE(progress.WantsAppend(LogIndex(6))) << "the probe may be behind the parts";
  PassTicks(progress, 1);
  progress.OnHeartbeatReply(RoundId(4));
  EXPECT_TRUE(progress.WantsAppend(LogIndex(6)));
}

TEST(FollowerProgressTest, IsHeardForAnElectionTimeout) {
  FollowerProgress progress(LogIndex(1), TestConfig());
  PassTicks(progress, 9);
  EXPECT_TRUE(progress.is_heard());
  PassTicks(progress, 1);
  EXPECT_FALSE(progress.is_heard());
  progress.OnContact();
  EXPECT_TRUE(progress.is_heard());
}

TEST(FollowerProgressTest, IsSilentAfterTwoElectionTimeouts) {
  FollowerProgress progress(LogIndex(1), TestConfig());
  PassTicks(progress, 19);
  EXPECT_FALSE(progress.is_silent());
  PassTicks(progress, 1);
  EXPECT_TRUE(progress.is_silent());
  progress.OnContact();
  EXPECT_FALSE(progress.is_silent());
}

TEST(FollowerProgressTest, IsLostAfterTenElectionTimeouts) {
  FollowerProgress progress(LogIndex(1), TestConfig());
  PassTicks(progress, 99);
  EXPECT_FALSE(progress.is_lost());
  PassTicks(progress, 1);
  EXPECT_TRUE(progress.is_lost());
  progress.OnContact();
  EXPECT_FALSE(progress.is_lost());
}

TEST(FollowerProgressTest, RoundsAndContact) {
  FollowerProgress progress(LogIndex(1), TestConfig());
  progress.OnHeartbeatReply(RoundId(7));
  progress.OnHeartbeatReply(RoundId(3));
  EXPECT_EQ(progress.answered_round(), RoundId(7));
  EXPECT_EQ(Replicating().SafeCommitIndex(LogIndex(9)), LogIndex(4));
  EXPECT_EQ(Replicating().SafeCommitIndex(LogIndex(3)), LogIndex(3));
}

TEST(FollowerProgressTest, WhatTheLogNoLongerHoldsIsNotAppended) {
  FollowerProgress progress = Replicating();
  progress.OnTrimmed();
  EXPECT_EQ(progress.state(), State::kSnapshot);
  EXPECT_FALSE(progress.WantsAppend(LogIndex(20)));
  EXPECT_FALSE(progress.OnAccepted(LogIndex(4))) << "it is no further than it was";
  EXPECT_FALSE(progress.OnRejected(LogIndex(4), LogIndex(2)));
  PassTicks(progress, 100);
  progress.OnHeartbeatReply(RoundId(1));
  EXPECT_EQ(progress.state(), State::kSnapshot);
  EXPECT_EQ(progress.answered_round(), RoundId(1)) << "it still confirms reads";
}

TEST(FollowerProgressTest, AFollowerThatWasBroughtFurtherIsAppendedTo) {
  FollowerProgress progress = Replicating();
  progress.OnTrimmed();
  EXPECT_TRUE(progress.OnAccepted(LogIndex(15)));
  EXPECT_EQ(progress.state(), State::kReplicate);
  EXPECT_EQ(progress.next_index(), LogIndex(16));
}

TEST(FollowerProgressTest, AfterALostStreamItIsAskedAgain) {
  FollowerProgress progress = Replicating();
  progress.OnTrimmed();
  progress.OnStreamLost(LogIndex(20));
  EXPECT_EQ(progress.state(), State::kProbe);
  EXPECT_TRUE(progress.WantsAppend(LogIndex(20)));
  EXPECT_EQ(progress.next_index(), LogIndex(21)) << "only it knows how far it is by now";
}

TEST(FollowerProgressTest, AProbeKeepsItsGuessWhenTheStreamIsLost) {
  FollowerProgress progress = Replicating();
  progress.OnTrimmed();
  progress.OnSnapshotEnded(LogIndex(20));
  progress.OnSent(LogIndex(20), 0, LogIndex(0));
  progress.OnStreamLost(LogIndex(25));
  EXPECT_EQ(progress.state(), State::kProbe);
  EXPECT_EQ(progress.next_index(), LogIndex(21)) << "what is behind it is trimmed";
  EXPECT_TRUE(progress.WantsAppend(LogIndex(25))) << "the question was lost with the stream";
  progress.OnSent(LogIndex(20), 0, LogIndex(0));
  EXPECT_TRUE(progress.OnRejected(LogIndex(20), LogIndex(15)));
  progress.OnStreamLost(LogIndex(25));
  EXPECT_EQ(progress.next_index(), LogIndex(16)) << "the answer counts";
}

// Its acknowledgement was lost: nothing but its answer to a probe can tell how far it is.
TEST(FollowerProgressTest, AfterASnapshotItIsAskedAtTheEndOfTheLog) {
  FollowerProgress progress = Replicating();
  progress.OnTrimmed();
  progress.OnSnapshotEnded(LogIndex(20));
  EXPECT_EQ(progress.state(), State::kProbe);
  EXPECT_EQ(progress.next_index(), LogIndex(21));
  EXPECT_TRUE(progress.WantsAppend(LogIndex(20)));
  progress.OnSent(LogIndex(20), 0, LogIndex(0));
  EXPECT_TRUE(progress.OnRejected(LogIndex(20), LogIndex(15)));
  EXPECT_EQ(progress.next_index(), LogIndex(16));
}

TEST(FollowerProgressTest, ASnapshotThatEndedLateChangesNothing) {
  FollowerProgress progress = Replicating();
  progress.OnSnapshotEnded(LogIndex(20));
  EXPECT_EQ(progress.state(), State::kReplicate);
  EXPECT_EQ(progress.next_index(), LogIndex(5));
  progress.OnTrimmed();
  EXPECT_TRUE(progress.OnAccepted(LogIndex(15)));
  progress.OnSnapshotEnded(LogIndex(20));
  EXPECT_EQ(progress.state(), State::kReplicate);
}

TEST(FollowerProgressTest, KeepsUpWhileItHasWhatTheLeaderHadAnElectionTimeoutBefore) {
  FollowerProgress progress = Replicating();
  KeepUp(progress, 5, 30);
  EXPECT_EQ(progress.kept_up_ticks(), 30u);
  // It answers, and lacks what the leader had ten ticks ago.
  for (int tick = 0; tick < 9; ++tick) {
    progress.OnContact();
    progress.Tick(LogIndex(40));
  }
  EXPECT_EQ(progress.kept_up_ticks(), 39u);
  for (int tick = 0; tick < 3; ++tick) {
    progress.OnContact();
    progress.Tick(LogIndex(40));
  }
  EXPECT_EQ(progress.kept_up_ticks(), 0u);
  progress.OnAccepted(LogIndex(40));
  PassTicks(progress, 3);
  EXPECT_EQ(progress.kept_up_ticks(), 3u);
}

TEST(FollowerProgressTest, WhoIsSilentOrBeginsAgainDoesNotKeepUp) {
  FollowerProgress silent = Replicating();
  KeepUp(silent, 5, 30);
  PassTicks(silent, 10);
  EXPECT_EQ(silent.kept_up_ticks(), 0u);
  FollowerProgress lost = Replicating();
  KeepUp(lost, 5, 30);
  lost.OnStreamLost(LogIndex(34));
  PassTicks(lost, 1);
  EXPECT_EQ(lost.kept_up_ticks(), 0u);
}

}  // namespace
}  // namespace raftkv::raft
