// Histories of the size that chaos tests produce. What counts is the number of steps, which says
// the same on every machine; a step takes well under a microsecond when optimised.

#include "base/rng.h"
#include "gtest/gtest.h"
#include "tests/linearizability/checker.h"
#include "tests/linearizability/random_history.h"
#include "tests/linearizability/revision_rules.h"

namespace raftkv::linearizability {
namespace {

constexpr uint64_t kOperations = 20'000;

RandomHistoryOptions ManyClients() {
  RandomHistoryOptions options;
  options.operations = kOperations;
  options.keys = 20;
  options.clients = 30;
  options.latency_max = 1'000;
  options.pause_max = 200;
  options.get_percent = 50;
  options.ttl_max = 3'000;
  options.unknown_percent = 5;
  return options;
}

bool Succeeded(const Operation& operation, Kind kind) {
  return operation.kind == kind && operation.answer.outcome == Outcome::kOk;
}

// The last put of the key to succeed that was over before `time`; null if there is none.
const Operation* LastPutBefore(const History& history, const std::string& key, int64_t time) {
  const Operation* last = nullptr;
  for (const Operation& operation : history) {
    if (operation.key == key && Succeeded(operation, Kind::kPut) && operation.completed < time &&
        (last == nullptr || operation.completed > last->completed)) {
      last = &operation;
    }
  }
  return last;
}

// Makes one read of the second half show a value that another had replaced before the read began.
// REQUIRES: every put has a value of its own.
void PlantStaleRead(History* history, Rng* rng) {
  for (;;) {
    const size_t half = history->size() / 2;
    Operation& read = (*history)[half + rng->Below(history->size() - half)];
    if (!Succeeded(read, Kind::kGet)) {
      continue;
    }
    const Operation* newer = LastPutBefore(*history, read.key, read.invoked);
    const Operation* older =
        newer == nullptr ? nullptr : LastPutBefore(*history, read.key, newer->invoked);
    if (older != nullptr) {
      read.answer.found = true;
      read.answer.value = older->value;
      read.answer.mod_revision = older->answer.mod_revision;
      return;
    }
  }
}

void ExpectOk(const RandomHistoryOptions& options, uint64_t steps_max) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Rng rng(seed);
    const History history = RandomHistory(options, &rng);
    ASSERT_EQ(history.size(), options.operations);
    const CheckReport report = CheckLinearizability(history);
    EXPECT_EQ(report.verdict, Verdict::kOk) << "seed " << seed << "\n" << report.explanation;
    EXPECT_LE(report.steps, steps_max) << "seed " << seed;
    EXPECT_TRUE(CheckRevisions(history).empty()) << CheckRevisions(history)[0];
  }
}

// No order at all explains such a history, and a search has to rule out all of them.
void ExpectStaleReadsFound(const RandomHistoryOptions& options, uint64_t steps_max) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Rng rng(seed);
    History history = RandomHistory(options, &rng);
    PlantStaleRead(&history, &rng);
    const CheckReport report = CheckLinearizability(history);
    EXPECT_EQ(report.verdict, Verdict::kViolation) << "seed " << seed << "\n" << report.explanation;
    EXPECT_LE(report.steps, steps_max) << "seed " << seed;
  }
}

TEST(LargeHistoryTest, TwentyKeysAndThirtyClients) {
  ExpectOk(ManyClients(), 3 * kOperations / 2);
  ExpectStaleReadsFound(ManyClients(), 5 * kOperations);
}

TEST(LargeHistoryTest, TwiceAsManyUnknownWrites) {
  RandomHistoryOptions options = ManyClients();
  options.unknown_percent = 10;
  ExpectOk(options, 3 * kOperations / 2);
  ExpectStaleReadsFound(options, 10 * kOperations);
}

TEST(LargeHistoryTest, WithoutRevisions) {
  RandomHistoryOptions options = ManyClients();
  options.revisions = false;
  ExpectOk(options, 2 * kOperations);
  ExpectStaleReadsFound(options, 10 * kOperations);
}

TEST(LargeHistoryTest, OneKeyForAll) {
  RandomHistoryOptions options = ManyClients();
  options.keys = 1;
  ExpectOk(options, 5 * kOperations);
}

TEST(LargeHistoryTest, ValuesThatComeAgain) {
  RandomHistoryOptions options = ManyClients();
  options.values = 50;
  ExpectOk(options, 2 * kOperations);
}

TEST(LargeHistoryTest, ManyUnknownDeletesAndShortLives) {
  RandomHistoryOptions options = ManyClients();
  options.unknown_percent = 20;
  options.delete_percent = 40;
  options.ttl_percent = 50;
  ExpectOk(options, 2 * kOperations);
  // What is wrong here takes too many orders to rule out, which is no success either.
  Rng rng(1);
  History history = RandomHistory(options, &rng);
  PlantStaleRead(&history, &rng);
  EXPECT_NE(CheckLinearizability(history).verdict, Verdict::kOk);
}

}  // namespace
}  // namespace raftkv::linearizability
