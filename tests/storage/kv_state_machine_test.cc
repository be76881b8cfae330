// What commands mean, applied by RocksDbKvStateMachine.
#include <algorithm>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kv/command_semantics.h"
#include "raft/runtime/command_batch.h"
#include "rocksdb/perf_context.h"
#include "storage/key_layout.h"
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

using TtlRows = std::vector<std::pair<uint64_t, std::string>>;

Operation WithPrevious(Operation operation) {
  if (operation.has_put()) {
    operation.mutable_put()->set_return_previous(true);
  } else {
    operation.mutable_delete_()->set_return_previous(true);
  }
  return operation;
}

Operation KeepTtlOp(const std::string& key, const std::string& value) {
  Operation operation = PutOp(key, value);
  operation.mutable_put()->set_keep_ttl(true);
  return operation;
}

Guard Exists(const std::string& key, bool exists) {
  Guard guard;
  guard.set_key(key);
  guard.set_exists(exists);
  return guard;
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

class KvStateMachineTest : public testing::Test {
 protected:
  KvStateMachineTest() : store_(dir_.File("data")) { store_.Open(); }

  CommandOutcome Run(const Command& command, uint64_t stamp = 1000) {
    return store_.Run({command}, stamp).at(0);
  }
  log::v1::StoredKeyValue Record(const std::string& key) { return store_.Records()[key]; }

  TempDir dir_;
  Store store_;
};

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

TEST_F(KvStateMachineTest, DeadlineCountsFromTheStampAndIsNeverEarly) {
  Run(PutTtl("a", "1", 500), /*stamp=*/10'000);
  EXPECT_EQ(Record("a").deadline_ms(), 10'501u);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(10'501u, "a")));
  EXPECT_EQ(store_.machine().earliest_deadline(), raft::ClusterMillis(10'501));
  Run(PutTtl("b", "1", std::numeric_limits<uint64_t>::max()), /*stamp=*/10'000);
  EXPECT_EQ(Record("b").deadline_ms(), std::numeric_limits<uint64_t>::max());
}

TEST_F(KvStateMachineTest, TtlRowsFollowTheDeadline) {
  Run(PutTtl("a", "1", 100), 1000);
  Run(PutTtl("a", "2", 500), 1000);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "a")));
  Run(Txn({}, {KeepTtlOp("a", "3")}), 1400);
  EXPECT_EQ(Record("a").deadline_ms(), 1501u);
  EXPECT_EQ(store_.Value("a"), "3");
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "a")));
  Run(Put("a", "4"), 1400);
  EXPECT_EQ(Record("a").deadline_ms(), 0u);
  EXPECT_THAT(store_.TtlRows(), IsEmpty());
  Run(Txn({}, {KeepTtlOp("new", "1")}), 1400);
  EXPECT_EQ(Record("new").deadline_ms(), 0u);
  Run(PutTtl("a", "5", 100), 2000);
  Run(Delete("a"), 2000);
  EXPECT_THAT(store_.TtlRows(), IsEmpty());
  // Several changes in one run leave one row.
  store_.Run({PutTtl("a", "1", 10), PutTtl("a", "2", 20), Delete("a"), PutTtl("a", "3", 30)}, 3000);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(3031u, "a")));
}

TEST_F(KvStateMachineTest, ExpireRemovesOnlyWhatIsDueByItsOwnStamp) {
  store_.Run({PutTtl("due", "1", 100), PutTtl("later", "1", 500), Put("never", "1")}, 1000);
  CommandOutcome outcome = Run(Expire(0, "", 10), 1100);
  EXPECT_EQ(outcome.revision(), 3) << "1101 is the deadline";
  EXPECT_EQ(store_.machine().key_count(), 3);
  outcome = Run(Expire(0, "", 10), 1101);
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(outcome.revision(), 4);
  EXPECT_EQ(store_.Value("due"), "(absent)");
  EXPECT_EQ(store_.Value("later"), "1");
  EXPECT_EQ(store_.machine().key_count(), 2);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "later")));
}

TEST_F(KvStateMachineTest, StaleExpireSparesARewrittenKey) {
  store_.Run({PutTtl("a", "1", 100), PutTtl("b", "1", 100)}, 1000);
  store_.Run({PutTtl("a", "2", 5000), Put("b", "2"), Expire(1101, "a", 10)}, 1200);
  EXPECT_EQ(store_.Value("a"), "2");
  EXPECT_EQ(store_.Value("b"), "2");
}

TEST_F(KvStateMachineTest, ExpireBeginsAtItsPlaceAndEndsAtItsBound) {
  store_.Run({PutTtl("c", "1", 100), PutTtl("a", "1", 200), PutTtl("b", "1", 200),
              PutTtl("d", "1", 200), PutTtl("e", "1", 300)},
             1000);
  CommandOutcome outcome = Run(Expire(1201, "b", 2), 5000);
  EXPECT_EQ(outcome.revision(), 6) << "one command, one revision";
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1101u, "c"), Pair(1201u, "a"), Pair(1301u, "e")));
  EXPECT_EQ(Run(Expire(1302, "", 10), 5000).revision(), 6) << "nothing there";
  Run(Expire(0, "", 10), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(store_.machine().key_count(), 0);
}

// Rows of one run are not in the database yet, and rows there may be dead already.
TEST_F(KvStateMachineTest, ExpireSeesWhatItsRunWrote) {
  store_.Run({PutTtl("a", "1", 100), PutTtl("b", "1", 100), PutTtl("c", "1", 100)}, 1000);
  const std::vector<raft::Entry> run = {
      CommandEntry(2, {PutTtl("a", "2", 400), Delete("b"), PutTtl("new", "1", 50)}, 1100),
      CommandEntry(3, {Put("seen", "1"), Expire(0, "", 2), PutTtl("c", "2", 10)}, 1200),
      CommandEntry(4, {Expire(0, "", 10)}, 1300)};
  RecordingObserver observer;
  ASSERT_EQ(store_.machine().Apply(run, &observer), 3u);
  EXPECT_EQ(store_.Value("a"), "2") << "renewed";
  EXPECT_EQ(store_.Value("new"), "(absent)");
  EXPECT_EQ(store_.Value("c"), "(absent)");
  EXPECT_EQ(observer.outcomes[5].revision(), 9);
  EXPECT_EQ(observer.outcomes[6].revision(), 10) << "c was created again";
  EXPECT_EQ(store_.machine().key_count(), 2);
  EXPECT_THAT(store_.TtlRows(), ElementsAre(Pair(1501u, "a")));
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
}

TEST_F(KvStateMachineTest, SkippedEntriesAreABrokenInvariant) {
  EXPECT_DEATH(store_.Apply({NoOpEntry(2)}), "skipped");
}

// Entries with every kind of command, over few keys so that they meet.
std::vector<raft::Entry> RandomEntries(uint64_t seed, uint64_t count) {
  Rng rng(seed);
  const auto key = [&rng] { return "k" + std::to_string(rng.Below(30)); };
  std::vector<raft::Entry> entries;
  for (uint64_t index = 1; index <= count; ++index) {
    std::vector<Command> commands;
    for (uint64_t i = 0; i < 1 + rng.Below(5); ++i) {
      switch (rng.Below(7)) {
        case 0:
          commands.push_back(Delete(key()));
          break;
        case 1:
          commands.push_back(PutTtl(key(), "ttl", 1 + rng.Below(40)));
          break;
        case 2:
          commands.push_back(
              Txn({Exists(key(), rng.Below(2) == 0)}, {KeepTtlOp(key(), "kept"), DeleteOp(key())}));
          break;
        case 3:
          commands.push_back(Expire(rng.Below(2) * (1000 + 10 * index), key(), 1 + rng.Below(4)));
          break;
        case 4: {
          Operation range = DeleteRangeOp(key(), key());
          range.mutable_delete_()->set_limit(rng.Below(3));
          range.mutable_delete_()->set_keys_max(4);
          commands.push_back(Txn({}, {PutOp(key(), "before"), range}));
          break;
        }
        default:
          commands.push_back(Put(key(), std::string(rng.Below(2000), 'x')));
      }
    }
    entries.push_back(CommandEntry(index, commands, /*stamp=*/1000 + 10 * index));
  }
  return entries;
}

struct Bytes {
  FamilyRows latest;
  FamilyRows ttl;
  std::string applied;
  std::vector<std::string> outcomes;

  friend bool operator==(const Bytes&, const Bytes&) = default;
};

// Applies the entries in runs of at most `run_max`, reopening `reopens` times on the way.
Bytes ApplyInRuns(const std::vector<raft::Entry>& entries, size_t run_max, size_t reopens) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  store.Append(entries);
  RecordingObserver observer;
  size_t reopened = 0;
  for (size_t done = 0; done < entries.size();) {
    const absl::Span<const raft::Entry> rest = absl::MakeConstSpan(entries).subspan(done);
    done += store.machine().Apply(rest.subspan(0, std::min(run_max, rest.size())), &observer);
    // Only after progress: a store that is opened again and again is cold for ever.
    if (reopened < reopens && done > reopened * entries.size() / reopens) {
      ++reopened;
      store.Reopen();
      EXPECT_EQ(store.machine().applied().index, raft::LogIndex(done));
    }
  }
  // The figures agree with the rows.
  const auto records = store.Records();
  EXPECT_EQ(store.machine().key_count(), static_cast<int64_t>(records.size()));
  TtlRows expected_rows;
  for (const auto& [key, record] : records) {
    if (record.deadline_ms() != 0) {
      expected_rows.emplace_back(record.deadline_ms(), key);
    }
  }
  std::sort(expected_rows.begin(), expected_rows.end());
  EXPECT_EQ(store.TtlRows(), expected_rows);
  store.Close();
  Bytes bytes{.latest = DumpFamily(store.database_path(), "latest.1"),
              .ttl = DumpFamily(store.database_path(), "ttl.1"),
              .applied = DumpFamily(store.database_path(), "state.1")[kAppliedKey],
              .outcomes = {}};
  for (const CommandOutcome& outcome : observer.outcomes) {
    bytes.outcomes.push_back(outcome.SerializeAsString());
  }
  return bytes;
}

TEST(KvStateMachineDeterminismTest, RunsAndRestartsDoNotShowInTheBytes) {
  for (const uint64_t seed : {1, 2, 3}) {
    const std::vector<raft::Entry> entries = RandomEntries(seed, 200);
    const Bytes whole = ApplyInRuns(entries, entries.size(), 0);
    EXPECT_FALSE(whole.latest.empty());
    EXPECT_EQ(ApplyInRuns(entries, 1, 0), whole) << "seed " << seed;
    EXPECT_EQ(ApplyInRuns(entries, 7, 3), whole) << "seed " << seed;
  }
}

// A block cache that holds nothing, and keys that are in table files only: every read stalls at
// first.
TEST(KvStateMachineColdTest, StallsWithoutEffectAndGoesOnWhenWarm) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  for (int i = 0; i < 20; ++i) {
    store.Run({Put("key" + std::to_string(i), std::string(1000, 'v'))});
  }
  store.Close();
  FlushAll(store.database_path());
  store.Open();
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store.machine().GetCached("key3", &record), kv::CacheLookup::kNotCached);

  const std::vector<raft::Entry> run = {
      CommandEntry(21, {Put("fresh", "1"), Put("key3", "2")}),
      CommandEntry(22, {Txn({}, {DeleteRangeOp("key5", "key7")})})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "half an entry was applied, or it waited";
  EXPECT_TRUE(observer.outcomes.empty());
  EXPECT_EQ(store.machine().applied().index, raft::LogIndex(20));
  EXPECT_EQ(store.Value("fresh"), "(absent)");
  store.waker().AwaitMoreThan(woken);

  store.Apply(run);
  EXPECT_EQ(store.Value("key3"), "2");
  EXPECT_EQ(store.Value("key5"), "(absent)");
  EXPECT_EQ(store.machine().applied().index, raft::LogIndex(22));
  EXPECT_EQ(store.machine().GetCached("key3", &record), kv::CacheLookup::kFound);
  EXPECT_EQ(record.version(), 2);
  EXPECT_EQ(store.machine().GetCached("key5", &record), kv::CacheLookup::kAbsent);
}

// Keys 100, 101, ... of 1000 bytes each, in table files only. Returns the index of the last entry.
uint64_t WriteColdKeys(Store* store, int count) {
  store->Open();
  for (int i = 0; i < count; ++i) {
    store->Run({Put(std::to_string(100 + i), std::string(1000, 'v'))});
  }
  const uint64_t last = store->machine().applied().index.value();
  store->Close();
  FlushAll(store->database_path());
  store->Open();
  return last;
}

TEST(KvStateMachineColdTest, RangeWithALimitReadsNoMoreThanItDeletes) {
  TempDir dir;
  Store store(dir.File("data"));
  const uint64_t last = WriteColdKeys(&store, 200);
  Operation range = DeleteRangeOp("100", "999");
  range.mutable_delete_()->set_limit(3);
  const std::vector<CommandOutcome> outcomes =
      store.Apply({CommandEntry(last + 1, {Txn({}, {range})})});
  EXPECT_EQ(outcomes.at(0).operations(0).deleted(), 3u);
  EXPECT_TRUE(outcomes.at(0).operations(0).more());
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store.machine().GetCached("299", &record), kv::CacheLookup::kNotCached)
      << "the whole range was read";
}

// The cache keeps nothing, so whatever is read twice is read from the disk twice.
TEST(KvStateMachineColdTest, RangeLargerThanTheCacheStallsOnce) {
  TempDir dir;
  Store store(dir.File("data"));
  store.options().block_cache_bytes = 1;
  const uint64_t last = WriteColdKeys(&store, 100);
  const std::vector<raft::Entry> run = {
      CommandEntry(last + 1, {Txn({}, {DeleteRangeOp("100", "999")})}),
      CommandEntry(last + 2, {Put("100", "again")})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "it waited for the disk";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 2u) << "it was read in vain";
  ASSERT_EQ(observer.outcomes.size(), 2u);
  EXPECT_EQ(observer.outcomes[0].operations(0).deleted(), 100u);
  EXPECT_EQ(store.machine().key_count(), 1);
  EXPECT_EQ(store.Value("100"), "again");
}

// Many keys that are due at once must not bring their records into memory.
TEST(KvStateMachineColdTest, ExpireReadsNoRecords) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  for (int i = 100; i < 200; ++i) {
    store.Run({PutTtl(std::to_string(i), std::string(1000, 'v'), 50)});
  }
  const uint64_t last = store.machine().applied().index.value();
  store.Close();
  FlushAll(store.database_path());
  store.Open();
  ASSERT_EQ(store.TtlRows().size(), 100u) << "and now these rows are cached";
  const std::vector<raft::Entry> run = {CommandEntry(last + 1, {Expire(0, "", 60)}, 2000)};
  RecordingObserver observer;
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u) << "it waited for records";
  EXPECT_EQ(store.machine().key_count(), 40);
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store.machine().GetCached("199", &record), kv::CacheLookup::kNotCached);
}

// What a member's loop walks over is bounded, whatever died there.
TEST(KvStateMachineColdTest, DeadRowsAreWalkedOffTheLoop) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  std::vector<Command> puts;
  std::vector<Command> deletions;
  for (int i = 1000; i < 6000; ++i) {
    puts.push_back(PutTtl(std::to_string(i), "v", 50));
    deletions.push_back(Delete(std::to_string(i)));
  }
  store.Run(puts);
  store.Run(deletions);
  store.Run({PutTtl("last", "v", 60)});
  const std::vector<raft::Entry> run = {CommandEntry(4, {Expire(0, "", 10)}, 2000)};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "5000 dead rows were walked over";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_EQ(store.Value("last"), "(absent)");
}

std::string NumberedKey(int number) { return std::to_string(1'000'000 + number); }

// Writes key 999 of so many thousands, with a deadline, each behind 500 that died.
void WriteLivingAmongDead(Store* store, int living) {
  store->options().write_buffer_bytes = 64 << 20;  // No compaction removes what died.
  store->options().wal_bytes_max = 256 << 20;
  store->Open();
  std::vector<Command> puts;
  std::vector<Command> deletions;
  for (int i = 0; i < living; ++i) {
    for (int j = 0; j < 500; ++j) {
      puts.push_back(PutTtl(NumberedKey(i * 1000 + j), "v", 50));
      deletions.push_back(Delete(NumberedKey(i * 1000 + j)));
    }
    puts.push_back(PutTtl(NumberedKey(i * 1000 + 999), "v", 50));
  }
  store->Run(puts);
  store->Run(deletions);
}

// Each step is short, the walk is not.
TEST(KvStateMachineColdTest, DeadRowsBetweenLivingOnesAddUp) {
  TempDir dir;
  Store store(dir.File("data"));
  WriteLivingAmongDead(&store, 20);
  const std::vector<raft::Entry> run = {CommandEntry(3, {Expire(0, "", 400)}, 2000)};
  RecordingObserver observer;
  const int woken = store.waker().count();
  ASSERT_EQ(store.machine().Apply(run, &observer), 0u) << "10,000 dead rows were walked over";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_EQ(store.machine().key_count(), 0);
}

TEST(KvStateMachineColdTest, DeadKeysOfTheEntriesOfARunAddUp) {
  TempDir dir;
  Store store(dir.File("data"));
  WriteLivingAmongDead(&store, 20);
  std::vector<raft::Entry> run;
  for (int i = 0; i < 20; ++i) {
    run.push_back(CommandEntry(
        3 + static_cast<uint64_t>(i),
        {Txn({}, {DeleteRangeOp(NumberedKey(i * 1000), NumberedKey(i * 1000 + 1000))})}));
  }
  RecordingObserver observer;
  const int woken = store.waker().count();
  const size_t on_loop = store.machine().Apply(run, &observer);
  EXPECT_GE(on_loop, 1u);
  ASSERT_LE(on_loop, 5u) << "of 500 dead keys each";
  store.waker().AwaitMoreThan(woken);
  run.erase(run.begin(), run.begin() + static_cast<ptrdiff_t>(on_loop));
  EXPECT_EQ(store.machine().Apply(run, &observer), run.size());
  EXPECT_EQ(store.machine().key_count(), 0);
}

// A queue: what was taken from its head does not make taking dearer, nor does it run on the loop.
TEST(KvStateMachineColdTest, TakingFromTheHeadCostsTheSameWhateverDiedThere) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  std::vector<Command> puts;
  for (int i = 10'000; i < 16'000; ++i) {
    puts.push_back(Put("q/" + std::to_string(i), "v"));
  }
  store.Run(puts);
  const auto take = [](uint64_t limit) {
    Operation operation = DeleteRangeOp("q/", "q0");
    operation.mutable_delete_()->set_limit(limit);
    return Txn({}, {operation});
  };
  store.Run({take(5000)});
  // The first has to find it out, elsewhere.
  RecordingObserver observer;
  const std::vector<raft::Entry> first = {CommandEntry(3, {take(1)})};
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(first, &observer), 0u) << "5000 dead keys were walked over";
  store.waker().AwaitMoreThan(woken);
  ASSERT_EQ(store.machine().Apply(first, &observer), 1u);
  for (uint64_t i = 1; i <= 900; ++i) {
    const uint64_t before = rocksdb::get_perf_context()->internal_delete_skipped_count;
    const std::vector<raft::Entry> next = {CommandEntry(3 + i, {take(1)})};
    while (store.machine().Apply(next, &observer) == 0) {
      std::this_thread::yield();
    }
    ASSERT_LT(rocksdb::get_perf_context()->internal_delete_skipped_count - before, 600u);
    ASSERT_EQ(observer.outcomes.back().operations(0).deleted(), 1u);
  }
  EXPECT_EQ(store.machine().key_count(), 6000 - 5000 - 901);
}

TEST(KvStateMachineColdTest, LargeRangesAreReadOffTheLoop) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  std::vector<Command> puts;
  for (int i = 1000; i < 6000; ++i) {
    puts.push_back(Put(std::to_string(i), "v"));
  }
  store.Run(puts);
  const std::vector<raft::Entry> run = {CommandEntry(2, {Txn({}, {DeleteRangeOp("1", "6")})})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "5000 keys were read on the loop";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_EQ(store.machine().key_count(), 0);
}

TEST(KvStateMachineColdTest, WhatWarmEntriesLeftIsThereForAColdOne) {
  TempDir dir;
  Store store(dir.File("data"));
  const uint64_t last = WriteColdKeys(&store, 100);
  const std::vector<raft::Entry> run = {
      CommandEntry(last + 1, {Put("new", "1")}),  // Beyond all files: nothing to read.
      CommandEntry(last + 2, {Txn({Exists("new", true)}, {PutOp("150", "2")})})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u) << "only the second is cold";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(absl::MakeConstSpan(run).subspan(1), &observer), 1u);
  EXPECT_EQ(store.Value("150"), "2");
  EXPECT_EQ(observer.ids, (std::vector<std::pair<uint64_t, uint64_t>>{{7, 1}, {7, 1}}));
}

TEST(KvStateMachineColdTest, OnlyWantedOutcomesOfAColdEntryAreTold) {
  TempDir dir;
  Store store(dir.File("data"));
  const uint64_t last = WriteColdKeys(&store, 100);
  const std::vector<raft::Entry> run = {CommandEntry(last + 1, {Put("150", "2")})};
  RecordingObserver observer;
  observer.unwanted_origin = 7;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u);
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_TRUE(observer.outcomes.empty());
}

}  // namespace
}  // namespace raftkv::storage
