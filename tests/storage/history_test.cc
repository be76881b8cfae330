// The history as commands write it to the real store, and as it is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/command_version.h"
#include "kv/history_source.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using kv::HistoryEvent;
using kv::HistoryEventType;
using kv::HistoryPage;
using kv::HistoryQuery;
using log::v1::Command;
using log::v1::CommandOutcome;
using testing::ElementsAre;
using testing::IsEmpty;

Command Raise() {
  Command command;
  command.mutable_raise_cluster_version()->set_version(kv::kHistoryCommandVersion);
  return command;
}

Command Compact(int64_t revision) {
  Command command;
  command.mutable_compact_history()->set_revision(revision);
  return command;
}

std::string Describe(const HistoryEvent& event) {
  static const char* const kTypes[] = {"?", "put", "delete", "expire"};
  std::string text =
      absl::StrCat(event.revision, " ", kTypes[static_cast<int>(event.type)], " ", event.key);
  if (event.type == HistoryEventType::kPut) {
    absl::StrAppend(&text, "=", event.record.value);
  }
  if (event.previous_mod_revision != 0) {
    absl::StrAppend(&text, " was@", event.previous_mod_revision);
  }
  if (event.previous.has_value()) {
    absl::StrAppend(&text, "=", event.previous->value);
  }
  return text;
}

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() : store_(dir_.File("data")) {
    store_.options().history_limits = {
        .age_ms = 8000, .bytes = 80'000, .events = 1000, .previous_bytes = 100, .segments = 8};
    store_.Open();
  }

  void Begin() { store_.Run({Raise()}); }
  CommandOutcome Run(const Command& command, uint64_t stamp = 1000) {
    return store_.Run({command}, stamp).at(0);
  }
  HistoryQuery Query(int64_t from = 1) {
    return {.from = {.revision = from, .key = ""},
            .through = store_.machine().revision(),
            .intervals = {{.start = "", .end = ""}},
            .events_max = 1000,
            .visited_max = 1000,
            .bytes_max = 1 << 20};
  }
  absl::StatusOr<HistoryPage> Read(const HistoryQuery& query) {
    return store_.machine().HistoryOnDisk()->Read(query);
  }
  std::vector<std::string> Events(const HistoryQuery& query) {
    const absl::StatusOr<HistoryPage> page = Read(query);
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<std::string> events;
    for (const HistoryEvent& event : page.ok() ? page->events : std::vector<HistoryEvent>()) {
      events.push_back(Describe(event));
    }
    return events;
  }
  std::vector<std::string> Events(int64_t from = 1) { return Events(Query(from)); }

  TempDir dir_;
  Store store_;
};

TEST_F(HistoryTest, BeginsWithTheClusterVersion) {
  Run(Put("a", "1"));
  EXPECT_EQ(store_.machine().history(), kv::HistoryState());
  Begin();
  EXPECT_EQ(store_.machine().history().compacted, 1);
  Run(Put("b", "2"));
  EXPECT_THAT(Events(2), ElementsAre("2 put b=2"));
  EXPECT_TRUE(absl::IsOutOfRange(Read(Query(1)).status()));
  store_.Reopen();
  EXPECT_EQ(store_.machine().history().compacted, 1);
  EXPECT_THAT(Events(2), ElementsAre("2 put b=2"));
}

TEST_F(HistoryTest, TellsPutsDeletesAndExpiriesApart) {
  Begin();
  Run(Put("a", "1"));
  Run(PutTtl("t", "x", 10), 1000);
  Run(Txn({}, {PutOp("a", "2"), PutOp("b", "3")}));
  Run(Delete("a"));
  Run(Expire(0, "", 10), 2000);
  Run(Delete("absent"));
  EXPECT_THAT(Events(), ElementsAre("1 put a=1", "2 put t=x", "3 put a=2 was@1", "3 put b=3",
                                    "4 delete a was@3", "5 expire t was@2"));
}

TEST_F(HistoryTest, AKeyHasOneEventAtARevision) {
  Begin();
  Run(Put("a", "1"));
  Run(Txn({}, {PutOp("a", "2"), PutOp("a", "3"), PutOp("new", "4"), DeleteOp("new")}));
  Run(Txn({}, {DeleteOp("a"), PutOp("a", "5")}));
  Run(Txn({}, {PutOp("a", "6"), DeleteOp("a")}));
  EXPECT_THAT(Events(),
              ElementsAre("1 put a=1", "2 put a=3 was@1", "3 put a=5 was@2", "4 delete a was@3"));
}

TEST_F(HistoryTest, WhatIsRolledBackLeavesNothing) {
  Begin();
  store_.Run({Put("a", "1"), Put("b", "1")});
  log::v1::Operation range = DeleteRangeOp("a", "z");
  range.mutable_delete_()->set_keys_max(1);
  EXPECT_EQ(Run(Txn({}, {PutOp("c", "1"), range})).verdict(),
            CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  Run(Txn({Exists("a", false)}, {PutOp("a", "2")}));
  EXPECT_THAT(Events(), ElementsAre("1 put a=1", "2 put b=1"));
  Run(Txn({}, {DeleteRangeOp("a", "z")}));
  EXPECT_THAT(Events(3), ElementsAre("3 delete a was@1", "3 delete b was@2"));
}

TEST_F(HistoryTest, TellsWhatEveryOperationAndBranchDoes) {
  Begin();
  Run(Put("n", "1"));
  Command branches = Txn({Exists("n", false)}, {PutOp("n", "no")});
  branches.mutable_txn()->set_has_else(true);
  log::v1::IncrementOperation* increment =
      branches.mutable_txn()->add_else_operations()->mutable_increment();
  increment->set_key("n");
  increment->set_delta(2);
  *branches.mutable_txn()->add_else_operations()->mutable_txn() =
      Txn({}, {PutOp("within", "w")}).txn();
  Run(branches);
  EXPECT_THAT(Events(), ElementsAre("1 put n=1", "2 put n=3 was@1", "2 put within=w"));
  // The put before it is undone with it.
  Command failing = Txn({}, {PutOp("n", "none")});
  *failing.mutable_txn()->add_operations() = branches.txn().else_operations(0);
  EXPECT_EQ(Run(failing).verdict(), CommandOutcome::VERDICT_NOT_AN_INTEGER);
  EXPECT_THAT(Events(3), IsEmpty());
}

TEST_F(HistoryTest, ATouchIsNoEvent) {
  Begin();
  Run(Put("a", "1"));
  Command touch;
  touch.mutable_txn()->add_operations()->mutable_touch()->set_key("a");
  touch.mutable_txn()->mutable_operations(0)->mutable_touch()->set_ttl_ms(10);
  EXPECT_EQ(Run(touch).revision(), 1);
  EXPECT_THAT(Events(), ElementsAre("1 put a=1"));
  Run(Expire(0, "", 10), 2000);
  EXPECT_THAT(Events(2), ElementsAre("2 expire a was@1"));
}

TEST_F(HistoryTest, ARequestThatComesAgainIsToldOnce) {
  Begin();
  Command command = Put("a", "1");
  command.mutable_request()->set_id("id");
  command.mutable_request()->set_keep_ms(1000);
  command.mutable_request()->set_ids_max(10);
  command.mutable_request()->set_bytes_max(10'000);
  Run(command);
  EXPECT_TRUE(Run(command).replayed());
  EXPECT_THAT(Events(), ElementsAre("1 put a=1"));
}

TEST_F(HistoryTest, ARecordOfAnOlderSegmentIsKeptWithTheEventThatReplacesIt) {
  Run(Put("old", "0"));
  Run(PutTtl("due", "0", 10), 1000);
  Run(Put("range", "0"));
  Begin();
  Run(Put("old", "1"));
  Run(Put("old", "2"));
  Run(Expire(0, "", 10), 2000);
  Run(Txn({}, {DeleteRangeOp("range", "rangf")}));
  EXPECT_THAT(Events(4), ElementsAre("4 put old=1 was@1=0", "5 put old=2 was@4",
                                     "6 expire due was@2=0", "7 delete range was@3=0"));
  HistoryQuery query = Query(4);
  query.with_previous = true;
  EXPECT_THAT(Events(query), ElementsAre("4 put old=1 was@1=0", "5 put old=2 was@4=1",
                                         "6 expire due was@2=0", "7 delete range was@3=0"));
}

TEST_F(HistoryTest, TooMuchOfAnOlderSegmentIsNotKept) {
  store_.Run({Put("a", std::string(60, 'a')), Put("b", std::string(60, 'b'))});
  Begin();
  Run(Txn({}, {DeleteRangeOp("a", "z")}));
  EXPECT_THAT(Events(3), ElementsAre("3 delete a was@1", "3 delete b was@2"));
  EXPECT_EQ(store_.machine().history().readable, 3) << "earlier states cannot be told any more";
  EXPECT_EQ(store_.machine().history().compacted, 2) << "events can";
}

TEST_F(HistoryTest, OldSegmentsGoFromTheDisk) {
  Begin();
  for (int i = 0; i < 20; ++i) {
    Run(Put("k", absl::StrCat(i)), 1000 + 1000 * i);
  }
  const kv::HistoryState history = store_.machine().history();
  EXPECT_GT(history.compacted, 8);
  EXPECT_LT(history.compacted, 15);
  EXPECT_TRUE(absl::IsOutOfRange(Read(Query(history.compacted)).status()));
  EXPECT_EQ(Events(history.compacted + 1).size(), 20u - history.compacted);
  store_.Close();
  EXPECT_EQ(DumpFamily(store_.database_path(), "history.1").size(), 20u - history.compacted);
  store_.Open();
  EXPECT_EQ(store_.machine().history(), history);
  EXPECT_TRUE(absl::IsOutOfRange(Read(Query(history.compacted)).status()));
  EXPECT_EQ(Events(history.compacted + 1).size(), 20u - history.compacted);
}

TEST_F(HistoryTest, CompactionSaysWhatItCannotDo) {
  Begin();
  Run(Put("a", "1"));
  Run(Put("a", "2"));
  CommandOutcome outcome = Run(Compact(3));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_REVISION_FUTURE);
  EXPECT_EQ(outcome.revision(), 2);
  EXPECT_EQ(Run(Compact(1)).verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(store_.machine().history().compacted, 1);
  outcome = Run(Compact(1));
  EXPECT_EQ(outcome.verdict(), CommandOutcome::VERDICT_REVISION_COMPACTED);
  EXPECT_EQ(outcome.compacted_revision(), 1);
  EXPECT_THAT(Events(2), ElementsAre("2 put a=2 was@1"));
  Run(Compact(2));
  EXPECT_EQ(store_.machine().history().events(), 0u);
  store_.Close();
  EXPECT_THAT(DumpFamily(store_.database_path(), "history.1"), IsEmpty());
}

TEST_F(HistoryTest, PagesGoOnWhereTheyEnded) {
  Begin();
  store_.Run({Put("a", "1"), Txn({}, {PutOp("a", "2"), PutOp("b", "2"), PutOp("c", "2")})});
  for (const bool by_visits : {false, true}) {
    HistoryQuery query = Query();
    (by_visits ? query.visited_max : query.events_max) = 2;
    absl::StatusOr<HistoryPage> page = Read(query);
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(page->events.size(), 2u);
    EXPECT_EQ(page->next, (kv::HistoryPlace{.revision = 2, .key = "b"}));
    query.from = page->next;
    EXPECT_THAT(Events(query), ElementsAre("2 put b=2", "2 put c=2")) << by_visits;
  }
}

TEST_F(HistoryTest, OnlyWantedIntervalsAreTold) {
  Begin();
  store_.Run({Put("a", "1"), Put("b", "2"), Put("c", "3")});
  HistoryQuery query = Query();
  query.intervals = {{.start = "b", .end = std::string("b\0", 2)}};
  EXPECT_THAT(Events(query), ElementsAre("2 put b=2"));
  query.through = 1;
  EXPECT_THAT(Events(query), IsEmpty());
}

TEST_F(HistoryTest, EventsAreHandedOverOnceAndOnlyWhileTheyAreWanted) {
  Begin();
  Run(Put("a", "1"));
  EXPECT_THAT(store_.machine().TakeEvents().events, IsEmpty());
  store_.machine().KeepEvents(true);
  Run(Put("b", "2"));
  const auto taken = store_.machine().TakeEvents();
  ASSERT_EQ(taken.events.size(), 1u);
  EXPECT_EQ(Describe(taken.events[0]), "2 put b=2");
  EXPECT_FALSE(taken.has_gap);
  EXPECT_THAT(store_.machine().TakeEvents().events, IsEmpty());
}

}  // namespace
}  // namespace raftkv::storage
