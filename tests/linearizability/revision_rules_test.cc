// Each rule finds what breaks it. The histories are linearizable, so that nothing else could.
#include "tests/linearizability/revision_rules.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/linearizability/checker.h"

namespace raftkv::linearizability {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

std::vector<std::string> BrokenRules(absl::string_view text) {
  const absl::StatusOr<History> history = ParseHistory(text);
  EXPECT_TRUE(history.ok()) << history.status();
  if (!history.ok()) {
    return {};
  }
  EXPECT_EQ(CheckLinearizability(*history).verdict, Verdict::kOk);
  return CheckRevisions(*history);
}

TEST(RevisionRulesTest, AStoreThatCountsItsChangesKeepsThem) {
  EXPECT_THAT(BrokenRules(R"(1 2 c1 put "k" "a" -> ok @1 store=1
3 20 c2 put "k" "b" -> ok @3 store=3
4 19 c1 put "l" "c" -> ok @2 store=2
5 6 c3 get "k" -> "a" @1 store=2
7 30 c3 get "k" -> "b" @3 store=4
21 22 c1 put "k" "d" if=1 -> precondition_failed @3
23 24 c1 delete "k" -> ok @4 store=4
25 26 c1 delete "k" -> absent store=4
27 28 c1 get "k" -> absent store=4
)"),
              IsEmpty());
}

TEST(RevisionRulesTest, TwoWritesMayNotHaveOneRevision) {
  EXPECT_THAT(BrokenRules(R"(1 9 c1 put "k" "a" -> ok @1
2 8 c2 put "l" "a" -> ok @1
)"),
              ElementsAre(StartsWith("two writes have one revision: 1 9 c1 put"),
                          StartsWith("one revision means two things")));
  // Not even the same write twice, or a delete.
  EXPECT_THAT(BrokenRules(R"(1 9 c1 put "k" "a" -> ok @1
2 8 c2 put "l" "b" -> ok @2
10 19 c1 delete "k" -> ok @3
11 18 c2 delete "l" -> ok @3
)"),
              ElementsAre(StartsWith("two writes have one revision: 10 19 c1 delete"),
                          StartsWith("one revision means two things")));
}

TEST(RevisionRulesTest, RevisionsGrowWithRealTime) {
  EXPECT_THAT(BrokenRules(R"(1 2 c1 put "k" "a" -> ok @2
3 4 c2 put "l" "b" -> ok @1
)"),
              ElementsAre(StartsWith("a write is not above what was known before it: 1 2 c1")));
}

TEST(RevisionRulesTest, AWriteIsAboveWhatReadsHaveShown) {
  EXPECT_THAT(BrokenRules(R"(1 2 c1 get "k" -> absent store=5
3 4 c2 put "l" "b" -> ok @5
)"),
              SizeIs(1));
}

TEST(RevisionRulesTest, AWriteThatOverlapsMayHaveAnyRevision) {
  EXPECT_THAT(BrokenRules(R"(1 3 c1 put "k" "a" -> ok @2
3 4 c2 put "l" "b" -> ok @1
)"),
              IsEmpty());
}

TEST(RevisionRulesTest, AReadMayNotMissAWriteOfAnotherKey) {
  EXPECT_THAT(BrokenRules(R"(1 2 c1 put "k" "a" -> ok @7
3 4 c2 get "l" -> absent store=6
)"),
              ElementsAre(StartsWith("an answer misses what was known before it: 1 2 c1")));
}

TEST(RevisionRulesTest, AReadMayNotGoBackBehindAnotherRead) {
  EXPECT_THAT(BrokenRules(R"(1 2 c1 get "k" -> absent store=7
3 4 c2 delete "l" -> absent store=6
)"),
              ElementsAre(StartsWith("an answer misses what was known before it")));
}

TEST(RevisionRulesTest, AFailedPreconditionIsAnAnswerToo) {
  EXPECT_THAT(BrokenRules(R"(1 - c1 put "k" "a" -> unknown
3 4 c2 put "k" "b" if=0 -> precondition_failed @7
5 6 c2 get "l" -> absent store=6
)"),
              SizeIs(1));
}

TEST(RevisionRulesTest, AKeyIsNotNewerThanTheStore) {
  EXPECT_THAT(BrokenRules(R"(1 20 c1 put "k" "a" -> ok @7
2 3 c2 get "k" -> "a" @7 store=6
)"),
              ElementsAre(StartsWith("a key is newer than the store: 2 3 c2 get")));
}

TEST(RevisionRulesTest, OneRevisionHasOneKeyAndValue) {
  EXPECT_THAT(BrokenRules(R"(1 - c1 put "k" "a" -> unknown
2 - c1 put "l" "a" -> unknown
3 9 c2 get "k" -> "a" @7
4 9 c2 get "l" -> "a" @7
)"),
              ElementsAre(HasSubstr("one revision means two things")));
  const auto history = ParseHistory(R"(1 2 c1 put "k" "a" -> ok @1
3 4 c1 get "k" -> "b" @1
)");
  EXPECT_THAT(CheckRevisions(*history), ElementsAre(HasSubstr("one revision means two things")));
}

TEST(RevisionRulesTest, ARevisionThatDeletedHoldsNothing) {
  const auto history = ParseHistory(R"(1 2 c1 delete "k" -> ok @5
3 4 c1 get "k" -> "" @5
)");
  EXPECT_THAT(CheckRevisions(*history), ElementsAre(HasSubstr("one revision means two things")));
}

TEST(RevisionRulesTest, ThereIsAnEndOfComplaints) {
  History history;
  for (int i = 0; i < 100; ++i) {
    Operation put = {.kind = Kind::kPut, .key = "k", .invoked = 2 * i, .completed = 2 * i + 1};
    put.answer = {.outcome = Outcome::kOk, .mod_revision = 200 - i};
    history.push_back(put);
  }
  EXPECT_THAT(CheckRevisions(history), SizeIs(20));
}

}  // namespace
}  // namespace raftkv::linearizability
