// The checker against the definition: every order of small histories, tried one by one. Shares
// nothing with the checker but the history: whole stores instead of single keys, guessed revisions
// instead of bounds, no memory and no short cuts.
#include <algorithm>
#include <iostream>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "gtest/gtest.h"
#include "tests/linearizability/checker.h"
#include "tests/linearizability/random_history.h"

namespace raftkv::linearizability {
namespace {

constexpr uint64_t kHistories = 60'000;
constexpr int kOfEachAtLeast = 10'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct Record {
  bool exists = false;
  std::string value;
  int64_t revision = 0;  // Of the last change.
  int64_t expires = kNever;
};
using Store = std::map<std::string, Record>;

class BruteForce {
 public:
  explicit BruteForce(const History& history) : history_(history), done_(history.size()) {
    for (const Operation& operation : history) {
      revision_max_ = std::max({revision_max_, operation.answer.mod_revision.value_or(0),
                                operation.expected_revision.value_or(0)});
    }
  }

  bool HasOrder() { return GoesOn({}); }

 private:
  static bool Answered(const Operation& operation) {
    return operation.answer.outcome == Outcome::kOk ||
           operation.answer.outcome == Outcome::kPreconditionFailed;
  }

  // Whether something that begins at `time` may come before everything that is not done.
  bool MayBeNext(int64_t time) const {
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!done_[i] && Answered(history_[i]) && history_[i].completed < time) {
        return false;
      }
    }
    return true;
  }

  bool GoesOn(const Store& store) {
    bool all_done = true;
    for (size_t i = 0; i < history_.size(); ++i) {
      all_done = all_done && (done_[i] || !Answered(history_[i]));
    }
    if (all_done) {
      return true;
    }
    for (size_t i = 0; i < history_.size(); ++i) {
      if (done_[i] || history_[i].answer.outcome == Outcome::kFailed ||
          !MayBeNext(history_[i].invoked)) {
        continue;
      }
      done_[i] = true;
      if (GoesOnWith(history_[i], store)) {
        return true;
      }
      done_[i] = false;
    }
    for (const auto& [key, record] : store) {
      if (record.exists && record.expires != kNever && MayBeNext(record.expires) &&
          GoesOnChanged(store, key, {}, std::nullopt)) {
        return true;
      }
    }
    return false;
  }

  bool GoesOnWith(const Operation& operation, const Store& store) {
    const auto found = store.find(operation.key);
    const Record record = found == store.end() ? Record() : found->second;
    const int64_t current = record.exists ? record.revision : 0;
    const Answer& answer = operation.answer;
    const bool holds = operation.expected_revision.value_or(current) == current;
    if (answer.outcome == Outcome::kPreconditionFailed) {
      return !holds && answer.mod_revision == current && GoesOn(store);
    }
    if (!holds) {
      return answer.outcome == Outcome::kUnknown && GoesOn(store);
    }
    if (operation.kind == Kind::kPut) {
      const int64_t expires =
          operation.ttl.has_value() ? operation.invoked + *operation.ttl : kNever;
      return GoesOnChanged(store, operation.key,
                           {.exists = true, .value = operation.value, .expires = expires},
                           answer.mod_revision);
    }
    if (answer.outcome == Outcome::kUnknown) {
      return operation.kind == Kind::kDelete && record.exists
                 ? GoesOnChanged(store, operation.key, {}, std::nullopt)
                 : GoesOn(store);
    }
    if (answer.found != record.exists) {
      return false;
    }
    if (operation.kind == Kind::kDelete) {
      return answer.found ? GoesOnChanged(store, operation.key, {}, answer.mod_revision)
                          : GoesOn(store);
    }
    return (!answer.found || answer.value == record.value) &&
           answer.mod_revision.value_or(current) == current && GoesOn(store);
  }

  // Tries every revision that the change may have had; those that nobody saw are all one.
  bool GoesOnChanged(const Store& store, const std::string& key, Record changed,
                     std::optional<int64_t> known_revision) {
    const auto found = store.find(key);
    const int64_t last = found == store.end() ? 0 : found->second.revision;
    for (int64_t revision = last + 1; revision <= std::max(revision_max_, last) + 1; ++revision) {
      if (known_revision.value_or(revision) != revision) {
        continue;
      }
      Store next = store;
      next[key] = changed;
      next[key].revision = revision;
      if (GoesOn(next)) {
        return true;
      }
    }
    return false;
  }

  const History& history_;
  std::vector<bool> done_;
  int64_t revision_max_ = 0;
};

RandomHistoryOptions SomeOptions(Rng* rng) {
  RandomHistoryOptions options;
  options.operations = 3 + rng->Below(6);
  options.keys = 1 + rng->Below(5) / 4;
  options.clients = 1 + rng->Below(4);
  options.latency_max = 1 + rng->Below(30);
  options.pause_max = rng->Below(10);
  options.get_percent = 25 + rng->Below(40);
  options.delete_percent = rng->Below(60);
  options.precondition_percent = rng->Below(2) * rng->Below(80);
  options.ttl_percent = rng->Below(2) * rng->Below(80);
  options.ttl_max = 1 + rng->Below(40);
  options.unknown_percent = rng->Below(2) * rng->Below(70);
  options.values = rng->Below(4);
  options.revisions = rng->Below(2) == 0;
  return options;
}

TEST(BruteForceTest, TheCheckerAgreesWithEveryOrderTriedOneByOne) {
  int linearizable = 0;
  int not_linearizable = 0;
  for (uint64_t seed = 0; seed < kHistories; ++seed) {
    Rng rng(seed);
    History history = RandomHistory(SomeOptions(&rng), &rng);
    for (uint64_t spoilt = rng.Below(6); spoilt > 0; --spoilt) {
      Spoil(&history, &rng);
    }
    const bool expected = BruteForce(history).HasOrder();
    const CheckReport report = CheckLinearizability(history);
    ASSERT_EQ(report.verdict, expected ? Verdict::kOk : Verdict::kViolation)
        << "seed " << seed << "\n"
        << FormatHistory(history) << report.explanation;
    ++(expected ? linearizable : not_linearizable);
  }
  EXPECT_GE(linearizable, kOfEachAtLeast);
  EXPECT_GE(not_linearizable, kOfEachAtLeast);
  std::cout << linearizable << " linearizable, " << not_linearizable << " not\n";
}

// The store behind the random histories, and the time model that it shares with the checker.
TEST(BruteForceTest, RandomHistoriesAreLinearizableUntilSpoilt) {
  for (uint64_t seed = 0; seed < 2'000; ++seed) {
    Rng rng(seed);
    const History history = RandomHistory(SomeOptions(&rng), &rng);
    ASSERT_TRUE(BruteForce(history).HasOrder()) << "seed " << seed << "\n"
                                                << FormatHistory(history);
  }
}

}  // namespace
}  // namespace raftkv::linearizability
