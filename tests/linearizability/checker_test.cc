// Histories that somebody would have to explain, and some that only look like it.
#include "tests/linearizability/checker.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace raftkv::linearizability {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

CheckReport Check(absl::string_view text, const CheckLimits& limits = {}) {
  const absl::StatusOr<History> history = ParseHistory(text);
  EXPECT_TRUE(history.ok()) << history.status();
  return history.ok() ? CheckLinearizability(*history, limits) : CheckReport();
}

void ExpectOk(absl::string_view text) {
  const CheckReport report = Check(text);
  EXPECT_EQ(report.verdict, Verdict::kOk) << report.explanation;
}

// The last operation of `text` is what cannot be explained; without it, all is well.
void ExpectViolationByTheLast(absl::string_view text) {
  EXPECT_EQ(Check(text).verdict, Verdict::kViolation);
  const absl::string_view before = text.substr(0, text.find_last_of('\n', text.size() - 2) + 1);
  ExpectOk(before);
}

TEST(CheckerTest, NothingIsLinearizable) { ExpectOk(""); }

TEST(CheckerTest, OneAfterTheOther) {
  ExpectOk(R"(1 2 c1 get "k" -> absent store=0
3 4 c1 put "k" "a" -> ok @1 store=1
5 6 c2 get "k" -> "a" @1 store=1
7 8 c1 delete "k" -> ok @2 store=2
9 10 c2 get "k" -> absent store=2
11 12 c2 delete "k" -> absent store=2
)");
}

TEST(CheckerTest, AStaleReadIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 4 c1 put "k" "b" -> ok
5 6 c2 get "k" -> "a"
)");
}

TEST(CheckerTest, AReadMayNotGoBackBehindAnotherRead) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 20 c1 put "k" "b" -> ok
5 6 c2 get "k" -> "b"
7 8 c3 get "k" -> "a"
)");
}

TEST(CheckerTest, AReadOfAbsenceAfterAWriteIsStale) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 4 c2 get "k" -> absent
)");
}

TEST(CheckerTest, ALostUpdateIsAViolation) {
  // Both wrote on the strength of revision 1.
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 8 c1 put "k" "b" if=1 -> ok @2
4 9 c2 put "k" "c" if=1 -> ok @3
)");
}

TEST(CheckerTest, TwoCannotBothCreateAKey) {
  ExpectViolationByTheLast(R"(1 9 c1 put "k" "a" if=0 -> ok
2 8 c2 put "k" "b" if=0 -> ok
)");
}

TEST(CheckerTest, AResurrectedValueIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 delete "k" -> ok @2
5 6 c2 get "k" -> "a" @1
)");
}

TEST(CheckerTest, APhantomValueIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 4 c2 get "k" -> "b"
)");
}

TEST(CheckerTest, AValueThatIsWrittenLaterIsAPhantom) {
  EXPECT_EQ(Check(R"(1 2 c1 get "k" -> "a"
3 4 c2 put "k" "a" -> ok
)")
                .verdict,
            Verdict::kViolation);
}

TEST(CheckerTest, AReadOfAFailedWriteIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 4 c1 put "k" "b" -> failed
5 6 c2 get "k" -> "b"
)");
}

TEST(CheckerTest, AReadOfAWriteWhosePreconditionFailedIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 put "k" "b" if=7 -> precondition_failed @1
5 6 c2 get "k" -> "b"
)");
}

TEST(CheckerTest, AnUnknownWriteHappensOnlyOnce) {
  ExpectViolationByTheLast(R"(1 - c1 put "k" "a" -> unknown
3 4 c2 get "k" -> "a"
5 6 c2 put "k" "b" -> ok
7 8 c2 get "k" -> "a"
)");
}

TEST(CheckerTest, AnUnknownDeleteHappensOnlyOnce) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 - c2 delete "k" -> unknown
5 6 c1 get "k" -> absent
7 8 c1 put "k" "b" -> ok
9 10 c1 get "k" -> absent
)");
}

TEST(CheckerTest, AnUnknownWriteDoesNotHappenBeforeItsInvocation) {
  EXPECT_EQ(Check(R"(1 2 c2 get "k" -> "a"
3 - c1 put "k" "a" -> unknown
)")
                .verdict,
            Verdict::kViolation);
}

TEST(CheckerTest, AnUnknownWriteMayHappenMuchLater) {
  ExpectOk(R"(1 - c1 put "k" "late" -> unknown
3 4 c2 put "k" "a" -> ok @1
5 6 c2 get "k" -> "a" @1
7 8 c2 put "k" "b" -> ok @2
9 10 c2 get "k" -> "b" @2
11 12 c2 get "k" -> "late" @3
)");
}

TEST(CheckerTest, AnUnknownWriteMayNeverHappen) {
  ExpectOk(R"(1 2 c1 put "k" "a" -> ok
3 - c1 put "k" "b" -> unknown
4 - c1 delete "k" -> unknown
5 6 c2 get "k" -> "a"
)");
}

TEST(CheckerTest, AnUnknownWriteThatNobodyReadMayBeWhatWasDeleted) {
  ExpectOk(R"(1 - c1 put "k" "a" -> unknown
3 4 c2 delete "k" -> ok @2
5 6 c2 get "k" -> absent
)");
  // But only once.
  ExpectViolationByTheLast(R"(1 - c1 put "k" "a" -> unknown
3 4 c2 delete "k" -> ok
5 6 c2 delete "k" -> ok
)");
}

TEST(CheckerTest, AnUnknownWriteMayBeWhatAPreconditionMet) {
  ExpectOk(R"(1 2 c1 put "k" "a" -> ok @1
3 - c1 put "k" "b" -> unknown
5 6 c2 put "k" "c" if=1 -> precondition_failed @2
7 8 c2 put "k" "c" if=2 -> ok @3
)");
  // It has one revision only.
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 - c1 put "k" "b" -> unknown
5 6 c2 put "k" "c" if=1 -> precondition_failed @2
7 8 c2 put "k" "c" if=1 -> precondition_failed @3
)");
}

TEST(CheckerTest, UnknownWritesMayBuildOnEachOther) {
  ExpectOk(R"(1 - c1 put "k" "a" if=0 -> unknown
2 - c2 put "k" "b" if=4 -> unknown
3 - c3 put "k" "c" if=5 -> unknown
5 6 c4 get "k" -> "c" @6
)");
}

TEST(CheckerTest, AnUnknownWriteKeepsToItsPrecondition) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 put "k" "b" -> ok @2
5 - c2 put "k" "c" if=1 -> unknown
7 8 c1 get "k" -> "c"
)");
}

TEST(CheckerTest, APreconditionThatSucceededAgainstAStaleRevisionIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 put "k" "b" -> ok @2
5 6 c2 put "k" "c" if=1 -> ok @3
)");
}

TEST(CheckerTest, APreconditionThatFailedAgainstTheCurrentRevisionIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
5 6 c2 put "k" "c" if=1 -> precondition_failed @1
)");
}

TEST(CheckerTest, AFailedPreconditionIsAReadOfTheRevision) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 put "k" "b" -> ok @2
5 6 c2 put "k" "c" if=3 -> precondition_failed @1
)");
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
5 6 c2 put "k" "c" if=3 -> precondition_failed @0
)");
}

TEST(CheckerTest, DeletesSayWhatTheyMet) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 4 c1 delete "k" -> absent
)");
  ExpectViolationByTheLast("1 2 c1 delete \"k\" -> ok\n");
}

TEST(CheckerTest, AValueThatIsReadAtAnotherRevisionIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 put "k" "a" -> ok @2
5 6 c1 get "k" -> "a" @1
)");
}

TEST(CheckerTest, WritesThatOverlapMayHappenInAnyOrder) {
  ExpectOk(R"(1 10 c1 put "k" "a" -> ok
2 9 c2 put "k" "b" -> ok
3 8 c3 put "k" "c" -> ok
4 5 c4 get "k" -> "b"
11 12 c4 get "k" -> "a"
)");
  ExpectOk(R"(1 10 c1 put "k" "a" -> ok @2
2 9 c2 put "k" "b" -> ok @3
3 8 c3 put "k" "c" -> ok @1
11 12 c4 get "k" -> "b" @3
)");
  // Whoever is seen first was first.
  ExpectViolationByTheLast(R"(1 10 c1 put "k" "a" -> ok
2 9 c2 put "k" "b" -> ok
3 4 c3 get "k" -> "b"
5 6 c3 get "k" -> "a"
11 12 c4 get "k" -> "b"
)");
}

TEST(CheckerTest, TheRevisionsOfAKeyOrderItsWrites) {
  ExpectViolationByTheLast(R"(1 10 c1 put "k" "a" -> ok @2
2 9 c2 put "k" "b" -> ok @3
11 12 c4 get "k" -> "a" @2
)");
}

TEST(CheckerTest, WhatOnlyTouchesIsConcurrent) {
  ExpectOk(R"(1 3 c1 put "k" "a" -> ok
3 4 c2 get "k" -> absent
)");
}

TEST(CheckerTest, AKeyMayExpire) {
  ExpectOk(R"(1 2 c1 put "k" "a" ttl=100 -> ok
99 101 c2 get "k" -> absent
)");
  ExpectOk(R"(1 2 c1 put "k" "a" ttl=100 -> ok
500 501 c2 get "k" -> "a"
502 503 c2 put "k" "b" if=0 -> ok
)");
}

TEST(CheckerTest, AKeyThatExpiredEarlyIsAViolation) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" ttl=100 -> ok
98 100 c2 get "k" -> absent
)");
}

TEST(CheckerTest, AKeyThatWasWrittenAgainKeepsTheNewDeadline) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" ttl=100 -> ok
50 51 c1 put "k" "b" ttl=100 -> ok
110 120 c2 get "k" -> absent
)");
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" ttl=100 -> ok
50 51 c1 put "k" "b" -> ok
110 1000 c2 get "k" -> absent
)");
}

TEST(CheckerTest, AnExpiredKeyStaysAbsent) {
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" ttl=100 -> ok
110 120 c2 get "k" -> absent
121 122 c2 get "k" -> "a"
)");
}

TEST(CheckerTest, AnUnknownWriteMayExpire) {
  ExpectOk(R"(1 2 c1 put "k" "a" -> ok
3 - c1 put "k" "b" ttl=100 -> unknown
110 120 c2 get "k" -> absent
)");
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 - c1 put "k" "b" ttl=100 -> unknown
90 102 c2 get "k" -> absent
)");
}

TEST(CheckerTest, KeysAreIndependent) {
  ExpectOk(R"(1 2 c1 put "k" "a" -> ok @5
3 4 c1 put "l" "b" -> ok @4
5 6 c1 get "k" -> "a" @5
)");
  ExpectViolationByTheLast(R"(1 2 c1 put "k" "a" -> ok
3 4 c1 put "l" "b" -> ok
5 6 c1 get "k" -> "b"
)");
}

TEST(CheckerTest, ReadsWithoutAnAnswerSayNothing) {
  ExpectOk(R"(1 2 c1 put "k" "a" -> ok
3 - c1 get "k" -> unknown
5 6 c1 get "k" -> failed
)");
}

TEST(CheckerTest, AnOperationThatMakesNoSenseIsAViolation) {
  Operation operation = {.kind = Kind::kGet, .key = "k", .invoked = 5, .completed = 4};
  operation.answer.outcome = Outcome::kOk;
  const CheckReport report = CheckLinearizability({operation});
  EXPECT_EQ(report.verdict, Verdict::kViolation);
  EXPECT_THAT(report.explanation, HasSubstr("completed before it was invoked"));
}

TEST(CheckerTest, AViolationIsExplained) {
  const CheckReport report = Check(R"(1 2 c1 put "other" "x" -> ok
1 2 c1 put "k" "a" -> ok @1
3 4 c1 put "k" "b" -> ok @2
5 7 c2 get "k" -> "a" @1
6 8 c3 get "k" -> "b" @2
20 21 c3 get "k" -> "b" @2
)");
  EXPECT_EQ(
      report.explanation,
      "key \"k\": not linearizable after 2 steps. The longest order has 2 of 5 operations that "
      "happened; its end:\n"
      R"(    1 2 c1 put "k" "a" -> ok @1
    3 4 c1 put "k" "b" -> ok @2
  Then the key holds what c1 wrote at 3, revision 2. No order goes on with what is under way:
    5 7 c2 get "k" -> "a" @1
    6 8 c3 get "k" -> "b" @2
)");
}

TEST(CheckerTest, AnExplanationTellsWhatWasTakenToHaveHappened) {
  const CheckReport report = Check(R"(1 2 c1 put "k" "a" ttl=10 -> ok
3 - c2 delete "k" -> unknown
4 5 c1 get "k" -> absent
6 7 c1 put "k" "b" ttl=10 -> ok
20 21 c1 get "k" -> absent
22 23 c1 get "k" -> "x"
)");
  EXPECT_THAT(report.explanation,
              AllOf(HasSubstr("c2 delete \"k\" -> unknown, taken to have happened"),
                    HasSubstr("the value expires\n    20 21 c1"),
                    HasSubstr("Then the key does not exist")));
}

TEST(CheckerTest, OfALongOrderOnlyTheEndIsShown) {
  std::string text;
  for (int i = 1; i <= 100; ++i) {
    absl::StrAppend(&text, 2 * i, " ", 2 * i + 1, " c1 put \"k\" \"", i, "\" -> ok\n");
  }
  const CheckReport report = Check(text + "300 301 c1 get \"k\" -> \"7\"\n");
  EXPECT_EQ(report.verdict, Verdict::kViolation);
  EXPECT_THAT(report.explanation, AllOf(HasSubstr("... 88 before"), HasSubstr("\"100\" -> ok"),
                                        Not(HasSubstr("\"88\" -> ok"))));
}

TEST(CheckerTest, TheLimitIsATimeoutAndNotAVerdict) {
  const std::string text = R"(1 2 c1 put "k" "a" -> ok
3 4 c1 put "k" "b" -> ok
5 6 c1 put "k" "c" -> ok
)";
  const CheckReport report = Check(text, {.steps_max = 2});
  EXPECT_EQ(report.verdict, Verdict::kTimeout);
  EXPECT_THAT(report.explanation, AllOf(HasSubstr("not decided"), HasSubstr("has 2 of 3")));
}

TEST(CheckerTest, AViolationOutweighsATimeout) {
  const std::string slow = R"(1 2 c1 put "k" "a" -> ok
3 4 c1 put "k" "b" -> ok
5 6 c1 put "k" "c" -> ok
)";
  for (const std::string key : {"a", "z"}) {
    const CheckReport report =
        Check(absl::StrCat(slow, "1 2 c1 get \"", key, "\" -> \"phantom\"\n"), {.steps_max = 2});
    EXPECT_EQ(report.verdict, Verdict::kViolation);
    EXPECT_THAT(report.explanation, HasSubstr("phantom"));
  }
}

}  // namespace
}  // namespace raftkv::linearizability
