// raftkv_linearizability FILE: checks a history that was kept as text (see history.h) and says what
// is wrong with it. Exit 0: linearizable. 1: not. 2: no verdict: not decided, or no such history.
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/linearizability/checker.h"
#include "tests/linearizability/revision_rules.h"

namespace {

using raftkv::linearizability::Verdict;

constexpr int kLinearizable = 0;
constexpr int kNotLinearizable = 1;
constexpr int kNoVerdict = 2;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: raftkv_linearizability FILE\n";
    return kNoVerdict;
  }
  std::ifstream file(argv[1]);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    std::cerr << argv[1] << ": cannot be read, or is empty\n";
    return kNoVerdict;
  }
  const auto history = raftkv::linearizability::ParseHistory(text.str());
  if (!history.ok()) {
    std::cerr << argv[1] << ": " << history.status().message() << "\n";
    return kNoVerdict;
  }

  const auto revisions = raftkv::linearizability::CheckRevisions(*history);
  for (const std::string& violation : revisions) {
    std::cout << violation << "\n";
  }
  const auto report = raftkv::linearizability::CheckLinearizability(*history);
  std::cout << report.explanation;
  if (report.verdict == Verdict::kViolation || !revisions.empty()) {
    std::cout << "VIOLATION\n";
    return kNotLinearizable;
  }
  const bool decided = report.verdict == Verdict::kOk;
  std::cout << (decided ? "OK: " : "TIMEOUT: ") << history->size() << " operations, "
            << report.steps << " steps\n";
  return decided ? kLinearizable : kNoVerdict;
}
