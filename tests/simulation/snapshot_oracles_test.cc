// What the oracles know of trims and snapshots: each rule is broken once by hand, and found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/ledger.h"
#include "tests/simulation/log_oracle.h"
#include "tests/simulation/sim_disk.h"
#include "tests/support/lone_core.h"

namespace raftkv::simulation {
namespace {

using raft::EntryId;
using raft::Id;
using raft::LogIndex;
using raft::NodeId;
using raft::Term;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr NodeId kNode(1);
constexpr uint64_t kRecordsMax = 1000;  // Of a WAL file.

raft::Entry At(uint64_t term, uint64_t index) {
  return {.id = Id(term, index), .kind = raft::EntryKind::kNoOp, .stamp = {}, .payload = nullptr};
}

kv::AppliedState Applied(EntryId id) {
  kv::AppliedState applied;
  applied.id = id;
  return applied;
}

// A node whose first entries are of term 1, durable.
class SnapshotOraclesTest : public testing::Test {
 protected:
  SnapshotOraclesTest() : disk_(kRecordsMax, Dice(1, "disk"), &counters_) {
    logs_.OnStarted(kNode);
  }

  void Store(SimDisk::Record record) { disk_.OnSynced(disk_.Write(std::move(record))); }
  void Append(std::vector<raft::Entry> entries) {
    const raft::LogWrite write{.id = {}, .hard_state = {}, .entries = std::move(entries)};
    logs_.OnWrite(kNode, write);
    Store(std::vector<raft::LogWrite>{write});
  }
  void Commit(EntryId id) { logs_.OnCommit(kNode, id, /*quorums=*/{}); }
  // The disk holds this state as well.
  void Apply(EntryId id) { Store(TableChanges{.rows = {}, .applied = Applied(id)}); }
  void Install(std::vector<EntryId> history, bool keeps_log) {
    SnapshotContent content;
    content.table.applied = Applied(history.back());
    content.history = std::move(history);
    Store(SimDisk::Install{.content = std::make_shared<const SnapshotContent>(std::move(content)),
                           .keeps_log = keeps_log});
    logs_.OnSnapshotAdopted(kNode);
  }
  // A step of the entry that follows what was applied anywhere, as the model has it.
  AppliedStep Step(EntryId id) const {
    const kv::AppliedState applied = Applied(id);
    return {.entry = At(id.term.value(), id.index.value()),
            .applied = applied,
            .state_hash = AppliedHash(applied)};
  }

  void ExpectNothingFound() { EXPECT_THAT(findings_.findings(), IsEmpty()); }
  void ExpectFound(const std::string& what) {
    EXPECT_THAT(findings_.findings(), Contains(HasSubstr(what)));
  }

  Scheduler scheduler_;
  Counters counters_;
  raft::SafetyOracle findings_;
  SimDisk disk_;
  const std::map<NodeId, const SimDisk*> disks_ = {{kNode, &disk_}};
  LogOracle logs_{&scheduler_, &disks_, &findings_, &counters_};
  const SimOptions options_;
  Ledger ledger_{&options_, &scheduler_, &logs_, &findings_, &counters_};
};

TEST_F(SnapshotOraclesTest, ASnapshotThatReplacesTheLogIsFine) {
  Append({At(1, 1), At(1, 2), At(1, 3)});
  Commit(Id(1, 1));
  Install({Id(1, 1), Id(2, 2), Id(2, 3), Id(2, 4)}, /*keeps_log=*/false);
  ExpectNothingFound();
  EXPECT_EQ(counters_.count(Situation::kConflictingLogReplaced), 1u);
  Append({At(2, 5)});
  ExpectNothingFound();
}

TEST_F(SnapshotOraclesTest, ASnapshotThatTheLogHoldsIsFine) {
  Append({At(1, 1), At(1, 2), At(1, 3)});
  Commit(Id(1, 1));
  Install({Id(1, 1), Id(1, 2)}, /*keeps_log=*/true);
  Append({At(1, 4)});
  ExpectNothingFound();
  EXPECT_EQ(counters_.count(Situation::kConflictingLogReplaced), 0u);
}

TEST_F(SnapshotOraclesTest, ASnapshotTakesNoCommittedEntryBack) {
  Append({At(1, 1), At(1, 2), At(1, 3)});
  Commit(Id(1, 3));
  Install({Id(1, 1), Id(1, 2)}, /*keeps_log=*/false);
  ExpectFound("a snapshot takes node 1 back to 2");
}

TEST_F(SnapshotOraclesTest, ASnapshotPutsNothingInTheCommittedEntriesPlace) {
  Append({At(1, 1), At(1, 2)});
  Commit(Id(1, 2));
  Install({Id(1, 1), Id(2, 2), Id(2, 3)}, /*keeps_log=*/false);
  ExpectFound("where node 1 has committed another");
}

TEST_F(SnapshotOraclesTest, TheEntriesAfterASnapshotFollowIt) {
  Append({At(1, 1)});
  Install({Id(1, 1), Id(1, 2), Id(1, 3)}, /*keeps_log=*/false);
  logs_.OnWrite(kNode, {.id = {}, .hard_state = {}, .entries = {At(1, 5)}});
  ExpectFound("after a gap");
}

TEST_F(SnapshotOraclesTest, ATrimOfWhatIsAppliedIsFine) {
  Append({At(1, 1), At(1, 2), At(1, 3)});
  Apply(Id(1, 2));
  logs_.OnTrim(kNode, LogIndex(2), /*applied=*/LogIndex(2));
  Store(SimDisk::Trim{LogIndex(2)});
  logs_.OnStarted(kNode);
  ExpectNothingFound();
}

TEST_F(SnapshotOraclesTest, WhatIsNotAppliedIsNotTrimmed) {
  Append({At(1, 1), At(1, 2), At(1, 3)});
  Apply(Id(1, 2));
  logs_.OnTrim(kNode, LogIndex(3), /*applied=*/LogIndex(2));
  ExpectFound("trims its log up to 3, but has applied up to 2");
}

// Such as one whose applied entries were not durable when the trim was.
TEST_F(SnapshotOraclesTest, AStartFindsAStateForWhatTheLogForgot) {
  Append({At(1, 1), At(1, 2), At(1, 3)});
  Apply(Id(1, 1));
  Store(SimDisk::Trim{LogIndex(2)});
  logs_.OnStarted(kNode);
  ExpectFound("holds no entries up to 2 and the state as of 1");
}

TEST_F(SnapshotOraclesTest, AnAdoptedStateIsWhatTheEntriesMade) {
  Append({At(1, 1), At(1, 2)});
  ledger_.OnApplied(kNode, {Step(Id(1, 1)), Step(Id(1, 2))});
  TableContent content;
  content.applied = Applied(Id(1, 2));
  ledger_.OnSnapshotAdopted(NodeId(2), content);
  ledger_.OnStarted(NodeId(2), content);
  ExpectNothingFound();
}

TEST_F(SnapshotOraclesTest, AnAdoptedStateWithAnotherKeyIsFound) {
  Append({At(1, 1), At(1, 2)});
  ledger_.OnApplied(kNode, {Step(Id(1, 1)), Step(Id(1, 2))});
  TableContent content;
  ApplyChanges({.rows = {{"key", kv::KvRecord{.header = {}, .value = "value"}}},
                .applied = Applied(Id(1, 2))},
               &content);
  ledger_.OnSnapshotAdopted(NodeId(2), content);
  ExpectFound("node 2 adopts a snapshot of another state at index 2");
}

TEST_F(SnapshotOraclesTest, AnAdoptedStateThatStandsElsewhereIsFound) {
  Append({At(1, 1), At(1, 2)});
  ledger_.OnApplied(kNode, {Step(Id(1, 1)), Step(Id(1, 2))});
  TableContent content;
  content.applied = Applied(Id(2, 2));
  ledger_.OnSnapshotAdopted(NodeId(2), content);
  ExpectFound("node 2 adopts a snapshot of another state at index 2");
}

TEST_F(SnapshotOraclesTest, AnAdoptedStateOfWhatNobodyAppliedIsFound) {
  Append({At(1, 1)});
  ledger_.OnApplied(kNode, {Step(Id(1, 1))});
  TableContent content;
  content.applied = Applied(Id(1, 2));
  ledger_.OnSnapshotAdopted(NodeId(2), content);
  ExpectFound("node 2 adopts a snapshot of another state at index 2");
}

}  // namespace
}  // namespace raftkv::simulation
