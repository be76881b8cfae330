// What commands mean, applied by RocksDbKvStateMachine. What deadlines do, what is cold or dead,
// and that members come to the same bytes have files of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kv/command_semantics.h"
#include "raft/runtime/command_batch.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::Guard;
using log::v1::Operation;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using KvStateMachineTest = OpenStoreTest;

Operation WithPrevious(Operation operation) {
  if (operation.has_put()) {
    operation.mutable_put()->set_return_previous(true);
  } else {
    operation.mutable_delete_()->set_return_previous(true);
  }
  return operation;
}

Guard ModRevision(const std::string& key, int64_t revision) {
  Guard guard;
  guard.set_key(key);
  guard.set_mod_revision(revision);
  return guard;
}

Guard Version(const std::string& key, int64_t version) {
  Guard guard;
  guard.set_key(key);
  guard.set_version(version);
  return guard;
}

Guard HasValue(const std::string& key, const std::string& value) {
  Guard guard;
  guard.set_key(key);
  guard.set_value(value);
  return guard;
}

TEST_F(KvStateMachineTest, PutCreatesAndCounts) {
  const CommandOutcome outcome = Run(Put("a", "1"));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(outcome.revision(), 1);
  Run(Put("b", "2"));
  Run(Put("a", "3"));
  const log::v1::StoredKeyValue a = Record("a");
  EXPECT_EQ(a.value(), "3");
  EXPECT_EQ(a.create_revision(), 1);
  EXPECT_EQ(a.mod_revision(), 3);
  EXPECT_EQ(a.version(), 2);
  EXPECT_EQ(a.deadline_ms(), 0u);
  EXPECT_EQ(store_.machine().revision(), 3);
  EXPECT_EQ(store_.machine().key_count(), 2);
  EXPECT_EQ(store_.machine().applied(), (raft::EntryId{raft::Term(1), raft::LogIndex(3)}));
}

TEST_F(KvStateMachineTest, DeleteStartsAKeyAnew) {
  Run(Put("a", "1"));
  CommandOutcome outcome = Run(Delete("a"));
  EXPECT_EQ(outcome.operations(0).deleted(), 1u);
  EXPECT_EQ(outcome.revision(), 2);
  outcome = Run(Delete("a"));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(outcome.operations(0).deleted(), 0u);
  EXPECT_EQ(outcome.revision(), 2) << "nothing changed";
  Run(Put("a", "2"));
  EXPECT_EQ(Record("a").create_revision(), 3);
  EXPECT_EQ(Record("a").version(), 1);
  EXPECT_EQ(store_.machine().key_count(), 1);
}

TEST_F(KvStateMachineTest, PreviousIsReturnedWhenAskedFor) {
  EXPECT_EQ(Run(Txn({}, {WithPrevious(PutOp("a", "1"))})).operations(0).previous_size(), 0);
  CommandOutcome outcome = Run(Txn({}, {WithPrevious(PutOp("a", "2"))}));
  ASSERT_EQ(outcome.operations(0).previous_size(), 1);
  EXPECT_EQ(outcome.operations(0).previous(0).key(), "a");
  EXPECT_EQ(outcome.operations(0).previous(0).value(), "1");
  EXPECT_EQ(outcome.operations(0).previous(0).mod_revision(), 1);
  EXPECT_EQ(Run(Put("a", "3")).operations(0).previous_size(), 0);
  outcome = Run(Txn({}, {WithPrevious(DeleteOp("a"))}));
  ASSERT_EQ(outcome.operations(0).previous_size(), 1);
  EXPECT_EQ(outcome.operations(0).previous(0).value(), "3");
  EXPECT_EQ(outcome.operations(0).previous(0).version(), 3);
}

TEST_F(KvStateMachineTest, GuardsOfEveryKind) {
  Run(Put("a", "1"));
  Run(Put("a", "2"));
  const auto holds = [this](const Guard& guard) {
    const CommandOutcome outcome = Run(Txn({guard}, {PutOp("hit", "x")}));
    return outcome.verdict() == CommandOutcome::VERDICT_APPLIED;
  };
  EXPECT_TRUE(holds(Exists("a", true)));
  EXPECT_FALSE(holds(Exists("a", false)));
  EXPECT_TRUE(holds(Exists("no", false)));
  EXPECT_FALSE(holds(Exists("no", true)));
  EXPECT_TRUE(holds(ModRevision("a", 2)));
  EXPECT_FALSE(holds(ModRevision("a", 1)));
  EXPECT_TRUE(holds(ModRevision("no", 0)));
  EXPECT_TRUE(holds(Version("a", 2)));
  EXPECT_FALSE(holds(Version("a", 1)));
  EXPECT_TRUE(holds(Version("no", 0)));
  EXPECT_TRUE(holds(HasValue("a", "2")));
  EXPECT_FALSE(holds(HasValue("a", "1")));
  EXPECT_FALSE(holds(HasValue("no", ""))) << "an absent key equals no value";
}

TEST_F(KvStateMachineTest, FailedGuardChangesNothingAndTellsTheRevision) {
  Run(Put("a", "1"));
  const CommandOutcome outcome =
      Run(Txn({Exists("a", true), ModRevision("a", 9)}, {PutOp("a", "2"), PutOp("b", "2")}));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_GUARD_FAILED);
  EXPECT_EQ(outcome.current_mod_revision(), 1);
  EXPECT_EQ(outcome.revision(), 1);
  EXPECT_EQ(outcome.operations_size(), 0);
  EXPECT_EQ(store_.Value("a"), "1");
  EXPECT_EQ(store_.machine().revision(), 1);
  EXPECT_EQ(store_.machine().key_count(), 1);
  EXPECT_EQ(Run(Txn({Exists("no", true)}, {})).current_mod_revision(), 0);
}

TEST_F(KvStateMachineTest, GuardsSeeTheStateBeforeTheOperationsAndOperationsSeeEachOther) {
  const CommandOutcome outcome = Run(
      Txn({Exists("a", false)}, {PutOp("a", "1"), WithPrevious(PutOp("a", "2")), PutOp("ab", "3"),
                                 WithPrevious(DeleteRangeOp("a", "b")), PutOp("a", "4")}));
  ASSERT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(outcome.operations(1).previous(0).value(), "1");
  ASSERT_EQ(outcome.operations(3).deleted(), 2u);
  EXPECT_EQ(outcome.operations(3).previous(0).value(), "2");
  EXPECT_EQ(outcome.operations(3).previous(1).key(), "ab");
  EXPECT_EQ(Record("a").value(), "4");
  EXPECT_EQ(Record("a").version(), 1);
  EXPECT_EQ(store_.machine().revision(), 1) << "one command, one revision";
  EXPECT_EQ(store_.machine().key_count(), 1);
}

TEST_F(KvStateMachineTest, CommandsOfOneEntrySeeEachOther) {
  const std::vector<CommandOutcome> outcomes =
      store_.Run({Put("a", "1"), Txn({HasValue("a", "1")}, {PutOp("a", "2")}), Delete("a"),
                  Txn({Exists("a", false)}, {PutOp("b", "3")})});
  for (const CommandOutcome& outcome : outcomes) {
    EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  }
  EXPECT_EQ(outcomes[3].revision(), 4);
  EXPECT_EQ(store_.Value("a"), "(absent)");
  EXPECT_EQ(store_.Value("b"), "3");
  EXPECT_EQ(store_.machine().key_count(), 1);
}

TEST_F(KvStateMachineTest, DeleteRangeIsHalfOpenAndOrdered) {
  store_.Run({Put("a", "1"), Put("b", "2"), Put("ba", "3"), Put("c", "4")});
  CommandOutcome outcome = Run(Txn({}, {WithPrevious(DeleteRangeOp("b", "c"))}));
  EXPECT_EQ(outcome.operations(0).deleted(), 2u);
  EXPECT_EQ(outcome.operations(0).previous(0).key(), "b");
  EXPECT_EQ(outcome.operations(0).previous(1).key(), "ba");
  EXPECT_EQ(outcome.revision(), 5);
  EXPECT_EQ(Run(Txn({}, {DeleteRangeOp("x", "b")})).operations(0).deleted(), 0u) << "reversed";
  outcome = Run(Txn({}, {DeleteRangeOp("", "")}));
  EXPECT_EQ(outcome.operations(0).deleted(), 2u) << "open end";
  EXPECT_EQ(store_.machine().key_count(), 0);
  EXPECT_THAT(store_.Records(), IsEmpty());
}

TEST_F(KvStateMachineTest, DeleteRangeStopsAtItsLimit) {
  store_.Run({Put("a", "1"), Put("b", "2"), Put("c", "3")});
  Operation two = DeleteRangeOp("a", "");
  two.mutable_delete_()->set_limit(2);
  two.mutable_delete_()->set_keys_max(2);
  CommandOutcome outcome = Run(Txn({}, {two}));
  EXPECT_EQ(outcome.operations(0).deleted(), 2u);
  EXPECT_TRUE(outcome.operations(0).more());
  outcome = Run(Txn({}, {two}));
  EXPECT_EQ(outcome.operations(0).deleted(), 1u);
  EXPECT_FALSE(outcome.operations(0).more());
}

TEST_F(KvStateMachineTest, RangeThatIsTooLargeUndoesTheWholeTxn) {
  store_.Run({Put("a", "1"), Put("b", "2"), Put("c", "3")});
  Operation range = DeleteRangeOp("a", "");
  range.mutable_delete_()->set_keys_max(2);
  CommandOutcome outcome = Run(
      Txn({}, {PutOp("a", "9"), PutTtlOp("d", "4", 50), DeleteOp("b"), PutOp("b", "5"), range}));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  EXPECT_EQ(outcome.exceeding(), 3u);
  EXPECT_FALSE(outcome.exceeding_bytes());
  EXPECT_EQ(outcome.operations_size(), 0);
  EXPECT_EQ(outcome.revision(), 3);
  EXPECT_EQ(store_.Value("a"), "1");
  EXPECT_EQ(Record("b").create_revision(), 2);
  EXPECT_EQ(store_.Value("d"), "(absent)");
  EXPECT_EQ(store_.machine().key_count(), 3);
  EXPECT_THAT(store_.TtlRows(), IsEmpty());

  Operation previous = WithPrevious(DeleteRangeOp("a", ""));
  previous.mutable_delete_()->set_previous_bytes_max(3 * (2 + kv::kPreviousOverheadBytes) - 1);
  outcome = Run(Txn({}, {previous}));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  EXPECT_TRUE(outcome.exceeding_bytes());
  EXPECT_EQ(outcome.exceeding(), 3 * (2 + kv::kPreviousOverheadBytes));
  previous.mutable_delete_()->set_previous_bytes_max(3 * (2 + kv::kPreviousOverheadBytes));
  EXPECT_EQ(Run(Txn({}, {previous})).operations(0).deleted(), 3u);
}

TEST_F(KvStateMachineTest, MemberRecordsAreKept) {
  Command command;
  command.mutable_member_record()->set_member_id(3);
  command.mutable_member_record()->set_client_address("h:1");
  EXPECT_EQ(Run(command).revision(), 0) << "no key changed";
  EXPECT_EQ(store_.machine().member_records().at(3).client_address(), "h:1");
  command.mutable_member_record()->set_client_address("h:2");
  Run(command);
  store_.Reopen();
  EXPECT_EQ(store_.machine().member_records().size(), 1u);
  EXPECT_EQ(store_.machine().member_records().at(3).client_address(), "h:2");
}

log::v1::ClusterConfiguration ConfigurationOf(const std::vector<uint64_t>& voters) {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(77);
  for (uint64_t id : voters) {
    configuration.add_members()->set_id(id);
    configuration.add_voters(id);
  }
  return configuration;
}

raft::Entry ConfigurationEntry(uint64_t index, const std::vector<uint64_t>& voters) {
  raft::Entry entry = NoOpEntry(index);
  entry.kind = raft::EntryKind::kConfiguration;
  entry.payload = std::make_shared<const std::string>(ConfigurationOf(voters).SerializeAsString());
  return entry;
}

TEST_F(KvStateMachineTest, TheConfigurationIsThatOfTheAppliedIndex) {
  Storage& storage = store_.storage();
  storage.Found("n1", 1, ConfigurationOf({1}));
  const std::optional<log::v1::ClusterConfiguration>* const place = &storage.configuration();
  const auto voters = [&] { return store_.storage().configuration()->voters(); };
  store_.Append({CommandEntry(1, {Put("a", "1")}), ConfigurationEntry(2, {1, 2}),
                 CommandEntry(3, {Put("b", "1")}), ConfigurationEntry(4, {1, 2, 3})});
  EXPECT_THAT(voters(), ElementsAre(1u)) << "an entry is not applied by being in the log";
  store_.Apply({CommandEntry(1, {Put("a", "1")}), ConfigurationEntry(2, {1, 2}),
                CommandEntry(3, {Put("b", "1")})});
  EXPECT_THAT(voters(), ElementsAre(1u, 2u));
  EXPECT_EQ(place, &storage.configuration()) << "who borrowed it sees the new one";
  EXPECT_EQ(store_.Value("b"), "1");
  store_.Reopen();
  EXPECT_EQ(store_.machine().applied().index, raft::LogIndex(3));
  EXPECT_THAT(voters(), ElementsAre(1u, 2u));
  const absl::StatusOr<raft::RestoredState> restored = store_.storage().Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->tail.back().configuration->voters.size(), 3u);
}

TEST_F(KvStateMachineTest, OutcomesComeInOrderAndOnlyWhenWanted) {
  std::string payload;
  raft::AppendProposal(1, 10, Put("a", "1").SerializeAsString(), &payload);
  raft::AppendProposal(2, 11, Put("b", "1").SerializeAsString(), &payload);
  raft::AppendProposal(1, 12, Put("c", "1").SerializeAsString(), &payload);
  raft::Entry entry = NoOpEntry(1);
  entry.kind = raft::EntryKind::kCommands;
  entry.payload = std::make_shared<const std::string>(payload);
  RecordingObserver observer;
  observer.unwanted_origin = 2;
  ASSERT_EQ(store_.machine().Apply({&entry, 1}, &observer), 1u);
  EXPECT_THAT(observer.ids, ElementsAre(Pair(1, 10), Pair(1, 12)));
  EXPECT_EQ(observer.outcomes[1].revision(), 3);
  EXPECT_EQ(store_.Value("b"), "1");
}

TEST_F(KvStateMachineTest, LargeRunsAreAppliedInParts) {
  std::vector<raft::Entry> run;
  for (uint64_t i = 1; i <= 20; ++i) {
    run.push_back(CommandEntry(i, {Put("key" + std::to_string(i), std::string(1 << 20, 'v'))}));
  }
  RecordingObserver observer;
  const size_t done = store_.machine().Apply(run, &observer);
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, run.size());
  EXPECT_EQ(observer.outcomes.size(), done);
  EXPECT_EQ(store_.machine().applied().index, raft::LogIndex(done));
}

TEST_F(KvStateMachineTest, ABrokenBatchIsABrokenInvariant) {
  raft::Entry garbage = NoOpEntry(1);
  garbage.kind = raft::EntryKind::kCommands;
  garbage.payload = std::make_shared<const std::string>("garbage");
  EXPECT_DEATH(store_.Apply({garbage}), "broken batch");
  garbage.kind = raft::EntryKind::kConfiguration;
  EXPECT_DEATH(store_.Apply({garbage}), "broken configuration");
}

TEST_F(KvStateMachineTest, SkippedEntriesAreABrokenInvariant) {
  EXPECT_DEATH(store_.Apply({NoOpEntry(2)}), "skipped");
}

}  // namespace
}  // namespace raftkv::storage
