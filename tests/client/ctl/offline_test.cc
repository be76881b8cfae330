#include "client/ctl/offline.h"

#include <gtest/gtest.h>

#include <sstream>

namespace raftkv::ctl {
namespace {

TEST(FormatOfflineTest, LinesUpWhatRaftkvdSays) {
  EXPECT_EQ(FormatOffline(OutputFormat::kSimple, "n\tkeys\t5\ns\tmember\tn1\ns\tused_by\t\n"),
            "keys:    5\nmember:  n1\nused_by: \n");
}

TEST(FormatOfflineTest, NumbersAndTextsDifferInJson) {
  EXPECT_EQ(FormatOffline(OutputFormat::kJson,
                          "n\tkeys\t18446744073709551615\ns\tmember\t12\ns\tpath\ta\tb\n"),
            "{\"keys\":18446744073709551615,\"member\":\"12\",\"path\":\"a\\tb\"}\n");
}

TEST(FormatOfflineTest, OtherLinesAreLeftOut) {
  EXPECT_EQ(FormatOffline(OutputFormat::kSimple, "something\nx\ty\tz\nn\tkeys\t5"), "keys: 5\n");
  EXPECT_EQ(FormatOffline(OutputFormat::kJson, ""), "{}\n");
}

class RunOfflineTest : public testing::Test {
 protected:
  // Runs a program in the place of raftkvd.
  ExitCode Run(const std::string& program, const std::vector<std::string>& arguments) {
    return RunOffline(program, arguments, OutputFormat::kSimple,
                      Terminal{.in = in_, .out = out_, .err = err_});
  }

  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(RunOfflineTest, ItsExitCodeIsKept) {
  EXPECT_EQ(Run("/bin/true", {}), ExitCode::kOk);
  EXPECT_EQ(Run("/bin/false", {}), ExitCode::kError);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(RunOfflineTest, AProgramThatIsNotThereIsNamed) {
  EXPECT_EQ(Run("/no/such/raftkvd", {"status", "file"}), ExitCode::kError);
  EXPECT_NE(err_.str().find("cannot start /no/such/raftkvd"), std::string::npos) << err_.str();
  EXPECT_NE(err_.str().find("--raftkvd"), std::string::npos);
}

}  // namespace
}  // namespace raftkv::ctl
