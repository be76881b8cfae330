// Runs every transcript of tests/raft/testdata and compares what the cluster does with what the
// file says.
//
// After a deliberate change of behaviour: raft_transcript_test --rewrite, and review the diff.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raft_script.h"

namespace raftkv::raft {

// Set by main below.
bool rewrite_transcripts = false;

namespace {

std::vector<std::string> TranscriptNames() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(RAFTKV_TRANSCRIPT_DIR)) {
    if (file.path().extension() == ".txt") {
      names.push_back(file.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string PathOf(const std::string& name) {
  return std::string(RAFTKV_TRANSCRIPT_DIR) + "/" + name + ".txt";
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class TranscriptTest : public testing::TestWithParam<std::string> {};

TEST_P(TranscriptTest, DoesWhatItSays) {
  const std::string path = PathOf(GetParam());
  const std::string expected = ReadFile(path);
  ASSERT_FALSE(expected.empty());
  const std::string actual = RunTranscript(expected);
  if (rewrite_transcripts) {
    std::ofstream(path) << actual;
  } else {
    EXPECT_EQ(actual, expected);
  }
  EXPECT_FALSE(absl::StrContains(actual, "ERROR")) << actual;
}

INSTANTIATE_TEST_SUITE_P(All, TranscriptTest, testing::ValuesIn(TranscriptNames()),
                         [](const auto& suite) { return suite.param; });

TEST(TranscriptEngineTest, ReplacesAnExpectationThatDoesNotHold) {
  const std::string text = RunTranscript("cluster 1\ntick 1 1\nstatus\n----\nnonsense\n");
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("nonsense")));
  EXPECT_THAT(text, testing::HasSubstr("1 leader term=1"));
}

TEST(TranscriptEngineTest, ReportsACommandThatMakesNoSense) {
  EXPECT_THAT(RunTranscript("tick 1 1\n----\n"), testing::HasSubstr("ERROR"));
  EXPECT_THAT(RunTranscript("cluster 1\nfly 1\n----\n"), testing::HasSubstr("ERROR"));
  EXPECT_THAT(RunTranscript("cluster 1\ntick 7 1\n----\n"), testing::HasSubstr("ERROR"));
}

TEST(SafetyOracleTest, FindsEveryBrokenPromise) {
  const Entry a{.id = {.term = Term(1), .index = LogIndex(1)},
                .kind = EntryKind::kNoOp,
                .stamp = ClusterMillis(0),
                .payload = nullptr};
  Entry b = a;
  b.id.term = Term(2);

  SafetyOracle leaders;
  leaders.OnLeader(NodeId(1), Term(3));
  leaders.OnLeader(NodeId(1), Term(3));
  EXPECT_TRUE(leaders.findings().empty());
  leaders.OnLeader(NodeId(2), Term(3));
  EXPECT_EQ(leaders.findings().size(), 1u);

  SafetyOracle votes;
  votes.OnVote(NodeId(1), Term(3), NodeId(2));
  votes.OnVote(NodeId(1), Term(3), NodeId(2));
  votes.OnVote(NodeId(1), Term(4), NodeId(3));
  EXPECT_TRUE(votes.findings().empty());
  votes.OnVote(NodeId(1), Term(3), NodeId(3));
  EXPECT_EQ(votes.findings().size(), 1u);

  SafetyOracle applied;
  applied.OnApplied(NodeId(1), a);
  applied.OnApplied(NodeId(2), b);
  EXPECT_EQ(applied.findings().size(), 1u);
  applied.OnApplied(NodeId(1), a);
  EXPECT_EQ(applied.findings().size(), 2u);

  SafetyOracle reads;
  reads.OnCommitIndex(LogIndex(5));
  reads.OnReadAsked(ReadId(1));
  reads.OnReadAnswered({.id = ReadId(1), .aborted = false, .read_index = LogIndex(4)});
  EXPECT_EQ(reads.findings().size(), 1u);
  reads.OnReadAnswered({.id = ReadId(1), .aborted = true, .read_index = LogIndex(0)});
  EXPECT_EQ(reads.findings().size(), 2u);
}

}  // namespace
}  // namespace raftkv::raft

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  for (int place = 1; place < argc; ++place) {
    if (absl::string_view(argv[place]) != "--rewrite") {
      std::cerr << "raft_transcript_test: unknown argument " << argv[place]
                << "; allowed: --rewrite, which makes what happens now the expectation\n";
      return 2;
    }
    raftkv::raft::rewrite_transcripts = true;
  }
  return RUN_ALL_TESTS();
}
