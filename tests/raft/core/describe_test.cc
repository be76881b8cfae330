// The texts of logs, events and transcripts, where no transcript shows them.
#include "raft/core/describe.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

TEST(DescribeTest, ConfigurationsNameEveryGroupThatIsThere) {
  Configuration configuration;
  configuration.voters = {NodeId(2), NodeId(1)};
  EXPECT_EQ(Describe(configuration), "voters=(1 2)");
  configuration.outgoing_voters = {NodeId(1), NodeId(3)};
  configuration.learners = {NodeId(4)};
  EXPECT_EQ(Describe(configuration), "voters=(1 2) outgoing=(1 3) learners=(4)");
}

TEST(DescribeTest, EntriesShowShortPayloadsAsText) {
  Entry entry{.id = {.term = Term(2), .index = LogIndex(7)},
              .kind = EntryKind::kCommands,
              .stamp = ClusterMillis(0),
              .payload = nullptr};
  EXPECT_EQ(Describe(entry), "2/7 \"\"");
  entry.payload = std::make_shared<const std::string>("a\n\"");
  EXPECT_EQ(Describe(entry), R"(2/7 "a\n\"")");
  entry.payload = std::make_shared<const std::string>(16, 'x');
  EXPECT_EQ(Describe(entry), "2/7 \"xxxxxxxxxxxxxxxx\"");
  entry.payload = std::make_shared<const std::string>(17, 'x');
  EXPECT_EQ(Describe(entry), "2/7 17 bytes");
  entry.kind = EntryKind::kNoOp;
  EXPECT_EQ(Describe(entry), "2/7 no-op");
  entry.kind = EntryKind::kConfiguration;
  entry.configuration = std::make_shared<const Configuration>(
      Configuration{.voters = {NodeId(5)}, .outgoing_voters = {}, .learners = {}});
  EXPECT_EQ(Describe(entry), "2/7 voters=(5)");
}

TEST(DescribeTest, HeartbeatsSayWhatAllHoldWhenThatIsKnown) {
  Heartbeat heartbeat{.commit_index = LogIndex(3), .round = RoundId(2)};
  EXPECT_EQ(Describe(Message(heartbeat)), "Heartbeat commit=3 round=2");
  heartbeat.held_by_all = LogIndex(1);
  EXPECT_EQ(Describe(Message(heartbeat)), "Heartbeat commit=3 round=2 held=1");
  EXPECT_EQ(Describe(SnapshotPoint{.last = {.term = Term(2), .index = LogIndex(7)}, .stamp = {}}),
            "snapshot of 2/7");
}

// Numbers that a newer version may know must not end an older one that only prints them.
TEST(DescribeTest, UnknownValuesHaveATextToo) {
  EXPECT_EQ(Describe(static_cast<RaftRole>(9)), "unknown role");
  EXPECT_EQ(
      Describe(Entry{.id = {}, .kind = static_cast<EntryKind>(9), .stamp = {}, .payload = {}}),
      "0/0 unknown kind");
  Event event;
  event.kind = static_cast<Event::Kind>(9);
  EXPECT_EQ(Describe(event), "unknown event");
}

}  // namespace
}  // namespace raftkv::raft
