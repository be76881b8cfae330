#include "tests/simulation/client_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/linearizability/checker.h"

namespace raftkv::simulation {
namespace {

using linearizability::CheckLinearizability;
using linearizability::Describe;
using linearizability::Verdict;
using log::v1::CommandOutcome;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kMillisecond = kNanosPerMilli;

// Operations of one client after the other, each a millisecond long.
class ClientHistoryTest : public testing::Test {
 protected:
  ClientOperation& Add(RequestKind kind) {
    ClientOperation& operation = operations_.emplace_back();
    operation.request.kind = kind;
    operation.client = 1;
    operation.invoked = static_cast<SimTime>(2 * operations_.size() - 1) * kMillisecond;
    operation.completed = operation.invoked + kMillisecond;
    operation.done = true;
    return operation;
  }

  log::v1::Operation* AddWrite(int64_t revision) {
    ClientOperation& operation = Add(RequestKind::kWrite);
    CommandOutcome& outcome = operation.reply.outcome;
    outcome.set_verdict(CommandOutcome::VERDICT_APPLIED);
    outcome.set_revision(revision);
    outcome.add_operations();
    return operation.request.command.mutable_txn()->add_operations();
  }
  log::v1::PutOperation* AddPut(const std::string& key, const std::string& value,
                                int64_t revision) {
    log::v1::PutOperation* const put = AddWrite(revision)->mutable_put();
    put->set_key(key);
    put->set_value(value);
    return put;
  }
  CommandOutcome* AddDelete(const std::string& start, const std::string& end, uint64_t deleted,
                            int64_t revision) {
    log::v1::DeleteOperation* const deletion = AddWrite(revision)->mutable_delete_();
    deletion->set_start_key(start);
    deletion->set_end_key(end);
    CommandOutcome& outcome = operations_.back().reply.outcome;
    outcome.mutable_operations(0)->set_deleted(deleted);
    return &outcome;
  }
  // `value` is empty where the key was not found.
  Reply& AddGet(const std::string& key, const std::string& value, int64_t mod_revision,
                int64_t revision) {
    ClientOperation& operation = Add(RequestKind::kGet);
    operation.request.key = key;
    operation.reply.revision = revision;
    if (!value.empty()) {
      AddRow(key, value, mod_revision);
    }
    return operation.reply;
  }
  void AddRow(const std::string& key, const std::string& value, int64_t mod_revision) {
    log::v1::StoredKeyValue& row = operations_.back().reply.rows.emplace_back();
    row.set_key(key);
    row.set_value(value);
    row.set_mod_revision(mod_revision);
  }
  log::v1::Guard* AddGuard(const std::string& key) {
    log::v1::Guard* const guard = operations_.back().request.command.mutable_txn()->add_guards();
    guard->set_key(key);
    return guard;
  }
  void BecomeUnknown() { operations_.back().unknown = true; }

  // Without times and clients.
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const auto& operation : History()) {
      const std::string line = Describe(operation);
      lines.push_back(line.substr(line.find(" c1 ") + 4));
    }
    return lines;
  }
  linearizability::History History() const {
    return ToHistory(operations_, {"a", "b", "c"}, drift_ppm_max_);
  }
  Verdict Check() const { return CheckLinearizability(History()).verdict; }

  std::vector<ClientOperation> operations_;
  int64_t drift_ppm_max_ = 0;
};

TEST_F(ClientHistoryTest, AStaleReadIsFound) {
  AddPut("a", "old", 1);
  AddPut("a", "new", 2);
  AddGet("a", "new", 2, 2);
  EXPECT_EQ(Check(), Verdict::kOk);
  AddGet("a", "old", 1, 2);
  EXPECT_EQ(Check(), Verdict::kViolation);
}

TEST_F(ClientHistoryTest, ReadsThatMayBeStaleAreLeftOut) {
  AddPut("a", "old", 1);
  AddPut("a", "new", 2);
  AddGet("a", "old", 1, 1);
  operations_.back().request.linearizable = false;
  EXPECT_EQ(Check(), Verdict::kOk);
}

TEST_F(ClientHistoryTest, ALostWriteIsFoundByAList) {
  AddPut("a", "x", 1);
  AddPut("b", "y", 2);
  Add(RequestKind::kList).reply.revision = 2;
  AddRow("a", "x", 1);
  EXPECT_EQ(Check(), Verdict::kViolation);
  AddRow("b", "y", 2);
  EXPECT_EQ(Check(), Verdict::kOk);
}

TEST_F(ClientHistoryTest, AFullPageSaysNothingOfWhatComesAfterIt) {
  Add(RequestKind::kList).reply.more = true;
  AddRow("b", "y", 2);
  EXPECT_THAT(Lines(), ElementsAre("get \"a\" -> absent store=0", "get \"b\" -> \"y\" @2 store=0"));
  operations_.back().request.scan.descending = true;
  EXPECT_THAT(Lines(), ElementsAre("get \"b\" -> \"y\" @2 store=0", "get \"c\" -> absent store=0"));
}

TEST_F(ClientHistoryTest, AListShowsItsRangeOnly) {
  Add(RequestKind::kList).request.scan.interval = {.start = "b", .end = "c"};
  EXPECT_THAT(Lines(), ElementsAre("get \"b\" -> absent store=0"));
}

TEST_F(ClientHistoryTest, WhatIsUnknownMayHaveHappenedOrNot) {
  AddPut("a", "x", 0);
  BecomeUnknown();
  EXPECT_THAT(Lines(), ElementsAre("put \"a\" \"x\" -> unknown"));
  AddGet("a", "", 0, 0);
  EXPECT_EQ(Check(), Verdict::kOk);
  AddGet("a", "x", 1, 1);
  EXPECT_EQ(Check(), Verdict::kOk);
  AddGet("a", "", 0, 1);
  EXPECT_EQ(Check(), Verdict::kViolation);
}

TEST_F(ClientHistoryTest, WhatWasRefusedNeverHappens) {
  AddPut("a", "x", 1);
  operations_.back().reply.status = Reply::Status::kNoLeader;
  EXPECT_THAT(Lines(), IsEmpty());
  AddGet("a", "x", 1, 1);
  EXPECT_EQ(Check(), Verdict::kViolation);
}

TEST_F(ClientHistoryTest, ConditionsOnRevisionsCount) {
  AddPut("a", "x", 1);
  AddGuard("a")->set_exists(false);
  AddPut("a", "y", 2);
  AddGuard("a")->set_mod_revision(1);
  EXPECT_EQ(Check(), Verdict::kOk);
  AddPut("a", "z", 3);
  AddGuard("a")->set_mod_revision(1);
  EXPECT_EQ(Check(), Verdict::kViolation);
}

TEST_F(ClientHistoryTest, AnyFailedConditionShowsTheRevision) {
  AddPut("a", "x", 1);
  AddPut("a", "y", 0);
  AddGuard("a")->set_value("other");
  CommandOutcome& outcome = operations_.back().reply.outcome;
  outcome.set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
  outcome.set_current_mod_revision(1);
  EXPECT_EQ(Check(), Verdict::kOk);
  outcome.set_current_mod_revision(0);
  EXPECT_EQ(Check(), Verdict::kViolation);
}

TEST_F(ClientHistoryTest, AKeyGoesWhenTheFastestClockSaysSo) {
  AddPut("a", "x", 1)->set_ttl_ms(3);  // Invoked at 1 ms; the get after it is over at 4 ms.
  AddGet("a", "", 0, 1);
  EXPECT_EQ(Check(), Verdict::kOk);
  operations_.front()
      .request.command.mutable_txn()
      ->mutable_operations(0)
      ->mutable_put()
      ->set_ttl_ms(4);
  EXPECT_EQ(Check(), Verdict::kViolation);
  drift_ppm_max_ = 400'000;
  EXPECT_EQ(Check(), Verdict::kOk);
}

TEST_F(ClientHistoryTest, ADeletionOfARangeSaysWhatItShows) {
  CommandOutcome* const outcome = AddDelete("a", "", 1, 7);
  EXPECT_THAT(Lines(), ElementsAre("delete \"a\" -> unknown", "delete \"b\" -> unknown",
                                   "delete \"c\" -> unknown"));
  outcome->mutable_operations(0)->add_previous()->set_key("b");
  EXPECT_THAT(Lines(),
              ElementsAre("delete \"a\" -> absent store=7", "delete \"b\" -> ok @7 store=7",
                          "delete \"c\" -> absent store=7"));
  outcome->mutable_operations(0)->set_more(true);
  EXPECT_THAT(Lines(),
              ElementsAre("delete \"a\" -> absent store=7", "delete \"b\" -> ok @7 store=7"));
}

TEST_F(ClientHistoryTest, ADeletionOfOneKeyIsKnown) {
  AddDelete("a", std::string("a\0", 2), 1, 7);
  AddDelete("a", std::string("a\0", 2), 0, 7);
  EXPECT_THAT(Lines(),
              ElementsAre("delete \"a\" -> ok @7 store=7", "delete \"a\" -> absent store=7"));
}

TEST_F(ClientHistoryTest, ATransactionBecomesItsOperations) {
  AddPut("a", "x", 5);
  log::v1::Txn* const txn = operations_.back().request.command.mutable_txn();
  log::v1::PutOperation* const second = txn->add_operations()->mutable_put();
  operations_.back().reply.outcome.add_operations();
  second->set_key("b");
  second->set_value("y");
  EXPECT_THAT(Lines(),
              ElementsAre("put \"a\" \"x\" -> ok @5 store=5", "put \"b\" \"y\" -> ok @5 store=5"));
  // Which of two values is left is not for a checker of single operations.
  second->set_key("a");
  EXPECT_THAT(Lines(), ElementsAre("put \"a\" \"x\" -> unknown", "put \"a\" \"y\" -> unknown"));
}

}  // namespace
}  // namespace raftkv::simulation
