#include "tests/linearizability/revision_rules.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace raftkv::linearizability {
namespace {

// Enough to understand what went wrong.
constexpr size_t kViolationsMax = 20;

class RevisionRules {
 public:
  explicit RevisionRules(const History& history) : history_(history) {}

  std::vector<std::string> Check() {
    for (const Operation& operation : history_) {
      if (operation.answer.outcome == Outcome::kOk) {
        CheckWhatIsAt(operation);
      }
    }
    CheckGrowth();
    return std::move(violations_);
  }

 private:
  // A revision and who was told it.
  struct Told {
    int64_t revision = 0;
    const Operation* by = nullptr;
  };

  static bool Changed(const Operation& operation) {
    return operation.answer.outcome == Outcome::kOk &&
           (operation.kind == Kind::kPut ||
            (operation.kind == Kind::kDelete && operation.answer.found));
  }

  static bool ShowsTheSame(const Operation& a, const Operation& b) {
    const auto content = [](const Operation& operation) {
      const std::string& value =
          operation.kind == Kind::kGet ? operation.answer.value : operation.value;
      return std::tie(operation.key, value);
    };
    const bool either_deletes = a.kind == Kind::kDelete || b.kind == Kind::kDelete;
    return !either_deletes && content(a) == content(b);
  }

  void CheckWhatIsAt(const Operation& operation) {
    if (!operation.answer.mod_revision.has_value()) {
      return;
    }
    const int64_t revision = *operation.answer.mod_revision;
    if (Changed(operation)) {
      const Operation& writer = *writers_.emplace(revision, &operation).first->second;
      if (&writer != &operation) {
        Add("two writes have one revision", writer, operation);
      }
    }
    const Operation& first = *shown_.emplace(revision, &operation).first->second;
    if (&first != &operation && !ShowsTheSame(first, operation)) {
      Add("one revision means two things", first, operation);
    }
  }

  void CheckGrowth() {
    // At equal times invocations come first: what only touches is concurrent.
    std::vector<std::tuple<int64_t, bool, size_t>> events;
    for (size_t i = 0; i < history_.size(); ++i) {
      const Outcome outcome = history_[i].answer.outcome;
      if (outcome == Outcome::kOk || outcome == Outcome::kPreconditionFailed) {
        events.emplace_back(history_[i].invoked, /*completes=*/false, i);
        events.emplace_back(history_[i].completed, /*completes=*/true, i);
      }
    }
    std::sort(events.begin(), events.end());
    Told newest;
    std::map<size_t, Told> newest_when_invoked;
    for (const auto& [time, completes, i] : events) {
      if (!completes) {
        newest_when_invoked[i] = newest;
        continue;
      }
      const Operation& operation = history_[i];
      CheckAgainst(newest_when_invoked[i], operation);
      newest_when_invoked.erase(i);
      const int64_t told = std::max(operation.answer.mod_revision.value_or(0),
                                    operation.answer.store_revision.value_or(0));
      if (told > newest.revision) {
        newest = {.revision = told, .by = &operation};
      }
    }
  }

  void CheckAgainst(const Told& before, const Operation& operation) {
    const auto& [outcome, found, value, mod_revision, store_revision] = operation.answer;
    if (Changed(operation) && mod_revision.has_value() && *mod_revision <= before.revision) {
      Add("a write is not above what was known before it", *before.by, operation);
    }
    if (store_revision.has_value() && *store_revision < before.revision) {
      Add("an answer misses what was known before it", *before.by, operation);
    }
    if (store_revision.has_value() && mod_revision.value_or(0) > *store_revision) {
      Add("a key is newer than the store", operation, operation);
    }
  }

  void Add(absl::string_view rule, const Operation& first, const Operation& second) {
    if (violations_.size() < kViolationsMax) {
      violations_.push_back(absl::StrCat(rule, ": ", Describe(first),
                                         &first == &second ? "" : " | " + Describe(second)));
    }
  }

  const History& history_;
  std::map<int64_t, const Operation*> writers_;  // By their revision.
  std::map<int64_t, const Operation*> shown_;    // The first that showed a revision.
  std::vector<std::string> violations_;
};

}  // namespace

std::vector<std::string> CheckRevisions(const History& history) {
  return RevisionRules(history).Check();
}

}  // namespace raftkv::linearizability
