#include "tests/linearizability/checker.h"

#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/linearizability/key_search.h"

namespace raftkv::linearizability {
namespace {

CheckReport CheckKey(const std::string& key, const std::vector<Operation>& operations,
                     const CheckLimits& limits) {
  KeySearch search(operations);
  const KeySearch::Result result = search.Run(limits.steps_max);
  CheckReport report;
  report.steps = search.steps();
  if (result == KeySearch::Result::kFound) {
    return report;
  }
  report.verdict =
      result == KeySearch::Result::kImpossible ? Verdict::kViolation : Verdict::kTimeout;
  // Searches are deterministic, so a second one comes to the same place, and the first need not
  // keep what it may have to explain.
  KeySearch again(operations);
  again.Run(limits.steps_max, search.depth_reached());
  report.explanation = absl::StrCat(
      "key \"", absl::CEscape(key),
      "\": ", report.verdict == Verdict::kViolation ? "not linearizable" : "not decided", " after ",
      report.steps, " steps. The longest order has ", search.depth_reached(), " of ",
      search.required_count(), " operations that happened; its end:\n", again.DescribePosition());
  return report;
}

}  // namespace

CheckReport CheckLinearizability(const History& history, const CheckLimits& limits) {
  std::map<std::string, std::vector<Operation>> operations_by_key;
  for (const Operation& operation : history) {
    if (const absl::Status valid = Validate(operation); !valid.ok()) {
      return {.verdict = Verdict::kViolation, .explanation = std::string(valid.message())};
    }
    operations_by_key[operation.key].push_back(operation);
  }
  CheckReport report;
  for (const auto& [key, operations] : operations_by_key) {
    CheckReport of_key = CheckKey(key, operations, limits);
    report.steps += of_key.steps;
    const bool worse = of_key.verdict == Verdict::kViolation
                           ? report.verdict != Verdict::kViolation
                           : of_key.verdict == Verdict::kTimeout && report.verdict == Verdict::kOk;
    if (worse) {
      report.verdict = of_key.verdict;
      report.explanation = std::move(of_key.explanation);
    }
  }
  return report;
}

}  // namespace raftkv::linearizability
