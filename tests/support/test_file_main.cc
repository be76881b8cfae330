// The main of a test binary made of many files, of which `--file=<name>` runs one, as far as
// --gtest_filter lets it. Compiling and linking many files at once is far cheaper than one by one,
// but to ctest each is a test.
#include <fnmatch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace raftkv {
namespace {

// Restricts the filter to tests of `file`. Returns whether it has any.
bool SelectFile(absl::string_view file) {
  const std::vector<std::string> filter =
      absl::StrSplit(GTEST_FLAG_GET(filter), absl::MaxSplits('-', 1));
  const std::vector<std::string> wanted = absl::StrSplit(filter[0].empty() ? "*" : filter[0], ':');
  std::vector<std::string> selected;
  bool is_known = false;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    std::vector<std::string> names;
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const testing::TestInfo& test = *suite.GetTestInfo(j);
      if (!absl::EndsWith(test.file(), absl::StrCat("/", file))) {
        continue;
      }
      is_known = true;
      const std::string name = absl::StrCat(suite.name(), ".", test.name());
      if (std::any_of(wanted.begin(), wanted.end(), [&](const std::string& pattern) {
            return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
          })) {
        names.push_back(name);
      }
    }
    if (static_cast<int>(names.size()) == suite.total_test_count()) {
      names = {absl::StrCat(suite.name(), ".*")};  // For who reads the filter in the output.
    }
    selected.insert(selected.end(), names.begin(), names.end());
  }
  std::string restricted = selected.empty() ? "-*" : absl::StrJoin(selected, ":");
  if (!selected.empty() && filter.size() > 1) {
    absl::StrAppend(&restricted, "-", filter[1]);
  }
  GTEST_FLAG_SET(filter, restricted);
  return is_known;
}

}  // namespace
}  // namespace raftkv

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  for (int place = 1; place < argc; ++place) {
    absl::string_view file(argv[place]);
    if (!absl::ConsumePrefix(&file, "--file=") || !raftkv::SelectFile(file)) {
      std::cerr << "unknown argument " << argv[place]
                << "; allowed: --file=<name>, of a file that has tests here\n";
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
