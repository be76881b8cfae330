// The text form keeps everything, and refuses what it would not understand.
#include "tests/linearizability/history.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/linearizability/random_history.h"

namespace raftkv::linearizability {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

TEST(HistoryTest, EveryKindOfLineIsReadAsItWasWritten) {
  constexpr absl::string_view kText = R"(1 2 c3 put "k" "v" -> ok
-5 2 c-3 put "k" "" if=0 ttl=9 -> ok @4 store=4
1 2 c3 put "k" "v" if=7 -> precondition_failed @0
1 2 c3 put "k" "v" -> failed
1 - c3 put "k" "v" ttl=9 -> unknown
1 2 c3 delete "k" if=4 -> ok @4 store=5
1 2 c3 delete "k" -> absent store=5
1 - c3 delete "k" -> unknown
1 2 c3 get "k" -> "v" @4 store=5
1 2 c3 get "k" -> absent store=5
1 - c3 get "k" -> unknown
)";
  const absl::StatusOr<History> history = ParseHistory(kText);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_THAT(*history, SizeIs(11));
  EXPECT_EQ(FormatHistory(*history), kText);
  const Operation& put = (*history)[1];
  EXPECT_EQ(put.invoked, -5);
  EXPECT_EQ(put.client, -3);
  EXPECT_EQ(put.expected_revision, 0);
  EXPECT_EQ(put.ttl, 9);
  EXPECT_EQ(put.answer.mod_revision, 4);
  EXPECT_EQ(put.answer.store_revision, 4);
  EXPECT_FALSE((*history)[6].answer.found);
  EXPECT_EQ((*history)[8].answer.value, "v");
}

TEST(HistoryTest, CommentsAndEmptyLinesAreSkipped) {
  const absl::StatusOr<History> history =
      ParseHistory("# seed 7\n\n1 2 c3 get \"k\" -> absent\n\n#1\n");
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_THAT(*history, SizeIs(1));
}

TEST(HistoryTest, KeysAndValuesAreBytes) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    bytes.push_back(static_cast<char>(byte));
  }
  Operation put = {.kind = Kind::kPut, .key = bytes, .value = bytes + bytes};
  Operation get = {.kind = Kind::kGet, .key = bytes};
  get.answer = {.outcome = Outcome::kOk, .found = true, .value = bytes};
  const absl::StatusOr<History> history = ParseHistory(FormatHistory({put, get}));
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ((*history)[0].key, put.key);
  EXPECT_EQ((*history)[0].value, put.value);
  EXPECT_EQ((*history)[1].answer.value, bytes);
}

TEST(HistoryTest, RandomHistoriesAreReadAsTheyWereWritten) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    History history = RandomHistory({.operations = 20, .keys = 3}, &rng);
    Spoil(&history, &rng);
    const std::string text = FormatHistory(history);
    const absl::StatusOr<History> again = ParseHistory(text);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(FormatHistory(*again), text);
  }
}

TEST(HistoryTest, WhatIsNotAnOperationIsRefusedWithItsLine) {
  for (const absl::string_view line : {
           "x",
           "1 2 c3",
           "1 2 c3 get",
           "1 2 3 get \"k\" -> absent",
           "1 c3 get \"k\" -> absent",
           "1 2 c3 list \"k\" -> absent",
           "1 2 c3 get k -> absent",
           "1 2 c3 get \"k -> absent",
           "1 2 c3 get \"k\\x\" -> absent",
           "1 2 c3 get \" -> absent",
           "1 2 c3 get \"k\" absent",
           "1 2 c3 get \"k\" ->",
           "1 2 c3 get \"k\" -> ok",
           "1 2 c3 get \"k\" -> absent now",
           "1 2 c3 get \"k\" -> \"v\" @x",
           "1 2 c3 put \"k\" -> ok",
           "1 2 c3 put \"k\" \"v\" -> absent",
           "1 2 c3 put \"k\" \"v\" -> \"v\"",
           "1 2 c3 put \"k\" \"v\" if= -> ok",
           "1 2 c3 delete \"k\" \"v\" -> ok",
           "1 - c3 get \"k\" -> absent",
           "1 2 c3 get \"k\" -> unknown",
           "1 2 c3 get \"k\" -> failed @1",
           // Understood, but no sense in it.
           "2 1 c3 get \"k\" -> absent",
           "1 2 c3 get \"k\" if=1 -> absent",
           "1 2 c3 get \"k\" ttl=1 -> absent",
           "1 2 c3 get \"k\" -> absent @1",
           "1 2 c3 put \"k\" \"v\" ttl=0 -> ok",
           "1 2 c3 put \"k\" \"v\" if=-1 -> ok",
           "1 2 c3 put \"k\" \"v\" -> ok @0",
           "1 2 c3 put \"k\" \"v\" -> precondition_failed @1",
           "1 2 c3 put \"k\" \"v\" if=1 -> precondition_failed",
           "1 2 c3 delete \"k\" -> absent @1",
       }) {
    const absl::Status status = ParseHistory(absl::StrCat("# first\n", line, "\n")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2: ")) << line;
  }
}

TEST(HistoryRecorderTest, EveryEventHasATimeOfItsOwn) {
  HistoryRecorder recorder;
  const size_t first = recorder.Begin({.client = 1, .key = "a"}, 100);
  const size_t second = recorder.Begin({.client = 2, .key = "b"}, 100);
  recorder.End(second, {.outcome = Outcome::kOk}, 100);
  recorder.End(first, {.outcome = Outcome::kFailed}, 50);
  recorder.Begin({.client = 1, .key = "c"}, 1'000);
  const History history = recorder.history();
  EXPECT_EQ(FormatHistory(history), R"(100 103 c1 get "a" -> failed
101 102 c2 get "b" -> absent
1000 - c1 get "c" -> unknown
)");
}

TEST(HistoryRecorderTest, ThreadsShareIt) {
  HistoryRecorder recorder;
  std::vector<std::thread> threads;
  for (int client = 0; client < 4; ++client) {
    threads.emplace_back([&recorder, client] {
      for (int i = 0; i < 500; ++i) {
        const size_t number = recorder.Begin({.client = client, .key = "k"}, i);
        recorder.End(number, {.outcome = Outcome::kOk}, i);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::vector<int64_t> times;
  for (const Operation& operation : recorder.history()) {
    EXPECT_LT(operation.invoked, operation.completed);
    times.push_back(operation.invoked);
    times.push_back(operation.completed);
  }
  std::sort(times.begin(), times.end());
  EXPECT_EQ(std::unique(times.begin(), times.end()) - times.begin(), 4'000);
}

}  // namespace
}  // namespace raftkv::linearizability
