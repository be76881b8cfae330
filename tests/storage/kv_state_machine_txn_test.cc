// Transactions with two branches, what they read, and operations other than puts and deletes,
// applied by RocksDbKvStateMachine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::Guard;
using log::v1::Operation;
using log::v1::OperationOutcome;
using testing::ElementsAre;
using testing::IsEmpty;

class KvTxnTest : public OpenStoreTest {
 protected:
  static Command Branches(std::vector<Guard> guards, std::vector<Operation> then_ops,
                          std::vector<Operation> else_ops) {
    Command command = Txn(std::move(guards), std::move(then_ops));
    command.mutable_txn()->set_has_else(true);
    for (Operation& operation : else_ops) {
      *command.mutable_txn()->add_else_operations() = std::move(operation);
    }
    return command;
  }
  static Operation Within(const Command& command) {
    Operation operation;
    *operation.mutable_txn() = command.txn();
    return operation;
  }
  static Operation GetOp(const std::string& key) {
    Operation operation;
    operation.mutable_get()->set_key(key);
    return operation;
  }
  static Operation ListOp(const std::string& start, const std::string& end,
                          uint64_t keys_max = 100) {
    Operation operation;
    operation.mutable_list()->set_start_key(start);
    operation.mutable_list()->set_end_key(end);
    operation.mutable_list()->set_keys_max(keys_max);
    operation.mutable_list()->set_bytes_max(1 << 20);
    return operation;
  }
  static Operation TouchOp(const std::string& key, uint64_t ttl_ms) {
    Operation operation;
    operation.mutable_touch()->set_key(key);
    if (ttl_ms > 0) {
      operation.mutable_touch()->set_ttl_ms(ttl_ms);
    } else {
      operation.mutable_touch()->set_persist(true);
    }
    return operation;
  }
  static Operation IncrementOp(const std::string& key, int64_t delta, int64_t initial = 0) {
    Operation operation;
    operation.mutable_increment()->set_key(key);
    operation.mutable_increment()->set_delta(delta);
    operation.mutable_increment()->set_initial(initial);
    return operation;
  }
  // On one key, or on all from `key` to `end`.
  static Guard Compare(const std::string& key, log::v1::Comparison comparison,
                       const std::function<void(Guard*)>& set_target, const std::string& end = "") {
    Guard guard;
    guard.set_key(key);
    guard.set_comparison(comparison);
    if (!end.empty()) {
      guard.set_is_range(true);
      guard.set_end_key(end);
    }
    set_target(&guard);
    return guard;
  }
  bool Holds(const Guard& guard) {
    return Run(Branches({guard}, {GetOp("x")}, {GetOp("x")})).succeeded();
  }
  static std::vector<std::string> FoundKeys(const OperationOutcome& outcome) {
    std::vector<std::string> keys;
    for (const auto& row : outcome.found()) {
      keys.push_back(row.key());
    }
    return keys;
  }
};

TEST_F(KvTxnTest, AGuardChoosesTheBranchAndAllOfItHappensAtOneRevision) {
  CommandOutcome outcome =
      Run(Branches({Exists("a", false)}, {PutOp("a", "1"), PutOp("b", "2")}, {PutOp("c", "3")}));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_TRUE(outcome.succeeded());
  EXPECT_EQ(outcome.operations_size(), 2);
  EXPECT_EQ(outcome.revision(), 1);
  EXPECT_EQ(Record("a").mod_revision(), 1);
  EXPECT_EQ(Record("b").mod_revision(), 1);
  outcome = Run(Branches({Exists("a", false)}, {PutOp("a", "no")}, {PutOp("c", "3")}));
  EXPECT_FALSE(outcome.succeeded());
  EXPECT_EQ(outcome.revision(), 2);
  EXPECT_EQ(store_.Value("a"), "1");
  EXPECT_EQ(store_.Value("c"), "3");
  outcome = Run(Branches({Exists("a", false)}, {PutOp("a", "no")}, {}));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_FALSE(outcome.succeeded());
  EXPECT_EQ(outcome.revision(), 2) << "it changed nothing";
}

TEST_F(KvTxnTest, ReadsWithinSeeWhatCameBefore) {
  Run(Put("a", "1"));
  const CommandOutcome outcome =
      Run(Branches({},
                   {GetOp("a"), PutOp("a", "2"), GetOp("a"), PutOp("b", "3"), ListOp("a", "z"),
                    DeleteOp("a"), GetOp("a")},
                   {}));
  ASSERT_EQ(outcome.operations_size(), 7);
  EXPECT_EQ(outcome.operations(0).found(0).value(), "1");
  EXPECT_EQ(outcome.operations(2).found(0).value(), "2");
  EXPECT_EQ(outcome.operations(2).found(0).mod_revision(), 2);
  EXPECT_THAT(FoundKeys(outcome.operations(4)), ElementsAre("a", "b"));
  EXPECT_THAT(outcome.operations(6).found(), IsEmpty());
}

TEST_F(KvTxnTest, WhatOnlyReadsChangesNothing) {
  Run(Put("a", "1"));
  EXPECT_EQ(Run(Branches({}, {GetOp("a"), ListOp("", "")}, {})).revision(), 1);
  EXPECT_EQ(store_.machine().revision(), 1);
}

TEST_F(KvTxnTest, AListEndsAtItsBoundsInEitherDirection) {
  for (const std::string key : {"a", "b", "c", "d"}) {
    Run(Put(key, key));
  }
  const auto listed = [this](const std::function<void(log::v1::ListOperation*)>& change) {
    Operation list = ListOp("a", "d");
    change(list.mutable_list());
    return Run(Branches({}, {list}, {})).operations(0);
  };
  OperationOutcome outcome = listed([](auto* list) { list->set_keys_max(2); });
  EXPECT_THAT(FoundKeys(outcome), ElementsAre("a", "b"));
  EXPECT_TRUE(outcome.more());
  EXPECT_EQ(outcome.count(), 2u);
  outcome = listed([](auto* list) {
    list->set_keys_max(2);
    list->set_descending(true);
  });
  EXPECT_THAT(FoundKeys(outcome), ElementsAre("c", "b"));
  EXPECT_TRUE(outcome.more());
  outcome = listed([](auto* list) { list->set_bytes_max(1); });
  EXPECT_THAT(FoundKeys(outcome), ElementsAre("a")) << "one at least";
  outcome = listed([](auto* list) {
    list->set_bytes_max(5);
    list->set_descending(true);
  });
  EXPECT_THAT(FoundKeys(outcome), ElementsAre("c", "b"));
  outcome = listed([](auto* list) { list->set_count_only(true); });
  EXPECT_THAT(outcome.found(), IsEmpty());
  EXPECT_EQ(outcome.count(), 3u);
  outcome = listed([](auto* list) { list->set_keys_only(true); });
  EXPECT_THAT(FoundKeys(outcome), ElementsAre("a", "b", "c"));
  EXPECT_FALSE(outcome.more());
  EXPECT_EQ(outcome.found(0).value(), "");
}

TEST_F(KvTxnTest, GuardsCompare) {
  Run(Put("a", "5"));
  Run(Put("a", "6"));
  using log::v1::COMPARISON_EQUAL;
  using log::v1::COMPARISON_GREATER;
  using log::v1::COMPARISON_LESS;
  using log::v1::COMPARISON_NOT_EQUAL;
  const auto version = [](int64_t wanted) { return [=](Guard* g) { g->set_version(wanted); }; };
  EXPECT_TRUE(Holds(Compare("a", COMPARISON_EQUAL, version(2))));
  EXPECT_FALSE(Holds(Compare("a", COMPARISON_NOT_EQUAL, version(2))));
  EXPECT_TRUE(Holds(Compare("a", COMPARISON_GREATER, version(1))));
  EXPECT_FALSE(Holds(Compare("a", COMPARISON_GREATER, version(2))));
  EXPECT_TRUE(Holds(Compare("a", COMPARISON_LESS, version(3))));
  EXPECT_FALSE(Holds(Compare("a", COMPARISON_LESS, version(2))));
  EXPECT_TRUE(Holds(Compare("none", COMPARISON_LESS, version(1)))) << "an absent key's is 0";
  const auto created = [](Guard* g) { g->set_create_revision(1); };
  EXPECT_TRUE(Holds(Compare("a", COMPARISON_EQUAL, created)));
  EXPECT_FALSE(Holds(Compare("none", COMPARISON_EQUAL, created)));
  const auto value = [](const std::string& v) { return [=](Guard* g) { g->set_value(v); }; };
  EXPECT_TRUE(Holds(Compare("a", COMPARISON_GREATER, value("5"))));
  EXPECT_FALSE(Holds(Compare("a", COMPARISON_LESS, value("5"))));
  EXPECT_FALSE(Holds(Compare("none", COMPARISON_NOT_EQUAL, value("5")))) << "no value compares";
  EXPECT_TRUE(Holds(Compare("a", COMPARISON_NOT_EQUAL, [](Guard* g) { g->set_exists(false); })));
}

TEST_F(KvTxnTest, EveryKeyOfAGuardsRangeMustPass) {
  Run(Put("a", "1"));
  Run(Put("b", "2"));
  const auto newer_than = [](int64_t revision) {
    return [=](Guard* g) { g->set_mod_revision(revision); };
  };
  EXPECT_TRUE(Holds(Compare("a", log::v1::COMPARISON_GREATER, newer_than(0), "c")));
  EXPECT_FALSE(Holds(Compare("a", log::v1::COMPARISON_GREATER, newer_than(1), "c")));
  EXPECT_TRUE(Holds(Compare("b", log::v1::COMPARISON_GREATER, newer_than(1), "c")));
  const auto exists = [](bool wanted) { return [=](Guard* g) { g->set_exists(wanted); }; };
  EXPECT_TRUE(Holds(Compare("x", log::v1::COMPARISON_EQUAL, exists(false), "z")));
  EXPECT_FALSE(Holds(Compare("x", log::v1::COMPARISON_EQUAL, exists(true), "z")));
  EXPECT_FALSE(Holds(Compare("a", log::v1::COMPARISON_EQUAL, exists(false), "z")));
  EXPECT_FALSE(Holds(Compare(
      "x", log::v1::COMPARISON_NOT_EQUAL, [](Guard* g) { g->set_value("v"); }, "z")));
}

TEST_F(KvTxnTest, GuardsWithinAreAboutTheStateBeforeAnyOperation) {
  const CommandOutcome outcome = Run(Branches(
      {},
      {PutOp("a", "1"),
       Within(Branches({Exists("a", true)}, {PutOp("b", "no")}, {PutOp("c", "yes"), GetOp("a")}))},
      {}));
  ASSERT_EQ(outcome.operations_size(), 2);
  const OperationOutcome& within = outcome.operations(1);
  EXPECT_FALSE(within.succeeded());
  ASSERT_EQ(within.operations_size(), 2);
  EXPECT_EQ(within.operations(1).found(0).value(), "1") << "what it reads is of now";
  EXPECT_EQ(store_.Value("b"), "(absent)");
  EXPECT_EQ(store_.Value("c"), "yes");
  EXPECT_EQ(store_.machine().revision(), 1);
}

TEST_F(KvTxnTest, AnOperationThatFailsInTheMiddleUndoesTheRest) {
  Run(Put("text", "seven"));
  Run(PutTtl("lent", "1", 5000));
  const CommandOutcome outcome =
      Run(Branches({},
                   {PutOp("a", "1"), DeleteOp("lent"),
                    Within(Branches({}, {TouchOp("lent", 0), IncrementOp("text", 1)}, {}))},
                   {}));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_NOT_AN_INTEGER);
  EXPECT_EQ(outcome.failed_at(), "then_ops[2].txn.then_ops[1]");
  EXPECT_EQ(outcome.failed_key(), "text");
  EXPECT_THAT(outcome.operations(), IsEmpty());
  EXPECT_EQ(outcome.revision(), 2);
  EXPECT_EQ(store_.Value("a"), "(absent)");
  EXPECT_EQ(store_.Value("lent"), "1");
  EXPECT_EQ(store_.machine().key_count(), 2);
  EXPECT_EQ(store_.TtlRows().size(), 1u);
  EXPECT_EQ(store_.machine().TakeView()->Verify(nullptr), absl::OkStatus());
}

TEST_F(KvTxnTest, ATouchChangesTheDeadlineAndNoRevision) {
  Run(Put("a", "1"));
  CommandOutcome outcome = Run(Txn({}, {TouchOp("a", 5000)}), /*stamp=*/2000);
  EXPECT_TRUE(outcome.operations(0).touched());
  EXPECT_EQ(outcome.revision(), 1);
  EXPECT_EQ(Record("a").deadline_ms(), 7001u);
  EXPECT_EQ(Record("a").mod_revision(), 1);
  EXPECT_EQ(Record("a").version(), 1);
  EXPECT_EQ(store_.Value("a"), "1");
  EXPECT_THAT(store_.TtlRows(), ElementsAre(std::pair(uint64_t{7001}, std::string("a"))));
  Run(Txn({}, {TouchOp("a", 0)}));
  EXPECT_EQ(Record("a").deadline_ms(), 0u);
  EXPECT_THAT(store_.TtlRows(), IsEmpty());
  outcome = Run(Txn({}, {TouchOp("none", 5000)}));
  EXPECT_FALSE(outcome.operations(0).touched());
  EXPECT_EQ(store_.Value("none"), "(absent)");
  EXPECT_EQ(store_.machine().TakeView()->Verify(nullptr), absl::OkStatus());
}

TEST_F(KvTxnTest, AnIncrementCountsFromItsInitialValue) {
  CommandOutcome outcome = Run(Txn({}, {IncrementOp("n", 3, 10)}));
  EXPECT_EQ(outcome.operations(0).value(), 13);
  EXPECT_EQ(store_.Value("n"), "13");
  outcome = Run(Txn({}, {IncrementOp("n", -20, 100)}));
  EXPECT_EQ(outcome.operations(0).value(), -7);
  EXPECT_EQ(Record("n").version(), 2);
  EXPECT_EQ(Record("n").mod_revision(), 2);
  Operation timed = IncrementOp("n", 1);
  timed.mutable_increment()->set_ttl_ms(1000);
  Run(Txn({}, {timed}), /*stamp=*/2000);
  EXPECT_EQ(Record("n").deadline_ms(), 3001u);
  Run(Txn({}, {IncrementOp("n", 1)}), /*stamp=*/2000);
  EXPECT_EQ(Record("n").deadline_ms(), 3001u) << "none is said: it stays";
}

TEST_F(KvTxnTest, OnlyWhatAnIncrementWouldWriteIsANumber) {
  for (const std::string text : {"", " 1", "+1", "01", "-0", "1.0", "9223372036854775808", "0x1"}) {
    Run(Put("n", text));
    EXPECT_EQ(Run(Txn({}, {IncrementOp("n", 1)})).verdict(), CommandOutcome::VERDICT_NOT_AN_INTEGER)
        << text;
    EXPECT_EQ(store_.Value("n"), text);
  }
  const std::string most = absl::StrCat(std::numeric_limits<int64_t>::max());
  Run(Put("n", most));
  EXPECT_EQ(Run(Txn({}, {IncrementOp("n", 1)})).verdict(),
            CommandOutcome::VERDICT_INTEGER_OVERFLOW);
  EXPECT_EQ(store_.Value("n"), most);
  EXPECT_EQ(Run(Txn({}, {IncrementOp("n", 0)})).verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(Run(Txn({}, {IncrementOp("m", std::numeric_limits<int64_t>::min(), -1)})).verdict(),
            CommandOutcome::VERDICT_INTEGER_OVERFLOW);
}

TEST_F(KvTxnTest, BoundsOfTheWholeCountEveryPart) {
  Run(Put("a", std::string(100, 'v')));
  Run(Put("b", std::string(100, 'v')));
  Command command = Branches({}, {PutOp("c", "1"), GetOp("a"), GetOp("b")}, {});
  command.mutable_txn()->set_answer_bytes_max(2 * (1 + 100 + 64));
  EXPECT_EQ(Run(command).verdict(), CommandOutcome::VERDICT_APPLIED);
  command.mutable_txn()->set_answer_bytes_max(2 * (1 + 100 + 64) - 1);
  CommandOutcome outcome = Run(command);
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  EXPECT_TRUE(outcome.exceeding_bytes());
  EXPECT_EQ(outcome.failed_at(), "then_ops[2]");
  EXPECT_EQ(outcome.limit(), 2 * (1 + 100 + 64) - 1u);

  command = Branches(
      {Compare(
          "a", log::v1::COMPARISON_GREATER, [](Guard* g) { g->set_mod_revision(0); }, "c")},
      {ListOp("a", "c")}, {});
  command.mutable_txn()->set_scanned_keys_max(4);
  EXPECT_EQ(Run(command).verdict(), CommandOutcome::VERDICT_APPLIED);
  command.mutable_txn()->set_scanned_keys_max(3);
  outcome = Run(command);
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  EXPECT_FALSE(outcome.exceeding_bytes());
  EXPECT_EQ(outcome.exceeding(), 4u);
  EXPECT_EQ(outcome.failed_at(), "then_ops[0]");
  command.mutable_txn()->set_scanned_keys_max(1);
  EXPECT_EQ(Run(command).failed_at(), "guards[0]");
}

}  // namespace
}  // namespace raftkv::storage
