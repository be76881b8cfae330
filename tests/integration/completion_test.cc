// `raftkvctl completion`: what real shells make of its scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/support/server_process.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

using Words = std::vector<std::string>;

class CompletionTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (FindProgram(GetParam()).empty()) {
      GTEST_SKIP() << "no " << GetParam() << " here: scripts/install_deps.sh --tests installs it";
    }
  }

  // What the shell offers for the last of these words, which begins the one that is completed.
  static Words Offered(const Words& words) {
    const std::string script = absl::StrCat(RaftkvctlPath(), " completion ", GetParam());
    const std::string quoted = absl::StrCat("'", absl::StrJoin(words, "' '"), "'");
    std::string command;
    Words shell = {GetParam(), "-c"};
    if (GetParam() == "bash") {
      command = absl::StrCat("set -u; source <(", script, ") && complete -p raftkvctl >&2 && ",
                             "COMP_WORDS=(", quoted, ") && COMP_CWORD=", words.size() - 1,
                             " && _raftkvctl; printf '%s\\n' \"${COMPREPLY[@]}\"");
    } else if (GetParam() == "zsh") {
      shell = {"zsh", "-f", "-c"};
      // Outside of a line that is edited, so what would show the words prints them.
      command =
          absl::StrCat("autoload -U compinit && compinit -D && source <(", script, ") && ",
                       "print -r -- $_comps[raftkvctl] >&2; _describe() { print -rl -- ${(P)2} }; ",
                       "compadd() { print -rl -- ${@:2} }; compset() { return 0 }; ", "words=(",
                       quoted, ") CURRENT=", words.size(), "; _raftkvctl");
    } else {
      command = absl::StrCat(script, " | source; complete -C \"", absl::StrJoin(words, " "), "\"");
    }
    shell.push_back(command);
    const CommandResult result = RunCommand(shell);
    EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << result;
    EXPECT_THAT(result.err, AllOf(Not(HasSubstr("rror")), Not(HasSubstr("unbound")))) << result;
    if (GetParam() != "fish") {
      EXPECT_THAT(result.err, HasSubstr("_raftkvctl")) << "the shell knows whom to ask";
    }
    Words offered;
    for (absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
      // zsh and fish show descriptions. zsh filters by itself what begins otherwise.
      const std::string word(line.substr(0, line.find_first_of("\t:")));
      if (GetParam() != "zsh" || absl::StartsWith(word, words.back()) ||
          absl::StrContains(words.back(), '=')) {
        offered.push_back(word);
      }
    }
    return offered;
  }
};

TEST_P(CompletionTest, CommandsAndTheirCommands) {
  EXPECT_THAT(Offered({"raftkvctl", ""}),
              IsSupersetOf({"put", "get", "del", "member", "endpoint", "version", "completion"}));
  EXPECT_THAT(Offered({"raftkvctl", "end"}), ElementsAre("endpoint"));
  EXPECT_THAT(Offered({"raftkvctl", "endpoint", ""}),
              UnorderedElementsAre("status", "health", "hashkv"));
  EXPECT_THAT(Offered({"raftkvctl", "member", "l"}), ElementsAre("list"));
  EXPECT_THAT(Offered({"raftkvctl", "completion", "f"}), ElementsAre("fish"));
  EXPECT_THAT(Offered({"raftkvctl", "-w", "json", "--endpoints", "get", "member", "l"}),
              ElementsAre("list"))
      << "values of options are no commands";
}

TEST_P(CompletionTest, OptionsOfTheCommandAndOfAll) {
  EXPECT_THAT(Offered({"raftkvctl", "put", "a", "1", "--"}),
              AllOf(IsSupersetOf({"--ttl", "--keep-ttl", "--endpoints", "--write-out"}),
                    Not(Contains("--prefix"))));
  EXPECT_THAT(Offered({"raftkvctl", "get", "--fail"}), ElementsAre("--fail-missing"));
  EXPECT_THAT(Offered({"raftkvctl", "endpoint", "hashkv", "--s"}), ElementsAre("--scan"));
  EXPECT_THAT(Offered({"raftkvctl", "--command"}), ElementsAre("--command-timeout"));
  EXPECT_THAT(Offered({"raftkvctl", "put", "end"}), IsEmpty()) << "nobody is asked for keys";
}

TEST_P(CompletionTest, ValuesThatAreKnown) {
  EXPECT_THAT(Offered({"raftkvctl", "-w", ""}), UnorderedElementsAre("simple", "json", "table"));
  EXPECT_THAT(Offered({"raftkvctl", "get", "--write-out", "j"}), ElementsAre("json"));
  EXPECT_THAT(Offered({"raftkvctl", "get", "k", "--consistency", "st"}), ElementsAre("stale"));
  EXPECT_THAT(Offered({"raftkvctl", "put", "--ttl", ""}), IsEmpty());
}

// Where the shell itself does not take the word apart.
TEST_P(CompletionTest, ValuesBehindAnEqualsSign) {
  if (GetParam() == "bash") {
    EXPECT_THAT(Offered({"raftkvctl", "get", "--write-out", "=", "ta"}), ElementsAre("table"));
    EXPECT_THAT(Offered({"raftkvctl", "get", "--write-out", "="}),
                UnorderedElementsAre("simple", "json", "table"));
    EXPECT_THAT(Offered({"raftkvctl", "--write-out", "=", "json", "member", "l"}),
                ElementsAre("list"));
  } else {
    EXPECT_THAT(Offered({"raftkvctl", "get", "--write-out=t"}), Contains(HasSubstr("table")));
    EXPECT_THAT(Offered({"raftkvctl", "--write-out=json", "member", "l"}), ElementsAre("list"));
  }
}

INSTANTIATE_TEST_SUITE_P(Shells, CompletionTest, testing::Values("bash", "zsh", "fish"),
                         [](const testing::TestParamInfo<std::string>& shell) {
                           return shell.param;
                         });

TEST(CompletionScriptTest, OtherShellsAreRefused) {
  const CommandResult result = RunCommand({RaftkvctlPath(), "completion", "tcsh"});
  EXPECT_EQ(result.exit, (ExitStatus{.code = 128})) << result;
  EXPECT_THAT(result.err, HasSubstr("tcsh"));
}

}  // namespace
}  // namespace raftkv::integration
