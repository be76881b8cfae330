// Snapshots: what Raft does is accepted, and one illegal step for each rule is not.
#include "tests/spec/spec_fixture.h"

namespace raftkv::raft {
namespace {

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

}  // namespace
}  // namespace raftkv::raft
