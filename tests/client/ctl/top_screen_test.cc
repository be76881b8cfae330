#include "client/ctl/top_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/ctl/table.h"

namespace raftkv::ctl {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

TopMember MemberNamed(uint64_t id, RaftState state, uint64_t leader = 1) {
  MemberStatus status{.header = {.cluster_id = 7,
                                 .member_id = id,
                                 .leader_id = leader,
                                 .raft_term = 3,
                                 .revision = 40},
                      .version = "0.1.0",
                      .name = absl::StrCat("n", id),
                      .raft_state = state,
                      .role = MemberRole::kVoter,
                      .last_index = 100,
                      .commit_index = 100,
                      .applied_index = 100,
                      .key_count = 9,
                      .disk_bytes = 2'000'000,
                      .memory = {.resident_bytes = 30'000'000},
                      .uptime = absl::Seconds(61)};
  status.requests = {.window = absl::Seconds(5),
                     .reads = {.count = 5'000, .p99 = absl::Microseconds(300)},
                     .writes = {.count = 20, .p99 = absl::Milliseconds(12)},
                     .failed = {},
                     .syncs = {.count = 10, .p99 = absl::Milliseconds(2)}};
  return {.member = {.id = id, .name = absl::StrCat("n", id)}, .status = status};
}

TopSnapshot Healthy() {
  return {.members = {MemberNamed(1, RaftState::kLeader), MemberNamed(2, RaftState::kFollower),
                      MemberNamed(3, RaftState::kFollower)}};
}

std::string Text(const std::vector<ScreenLine>& lines) {
  return absl::StrJoin(lines, "\n",
                       [](std::string* out, const ScreenLine& line) { *out += line.text; });
}

TEST(DrawTopTest, ShowsEachMemberOnALine) {
  const std::vector<ScreenLine> lines = DrawTop(Healthy(), {});
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_THAT(lines[0].text, HasSubstr("  leader n1, term 3, 3 of 3 members answer, 3012 ops/s, "
                                       "revision 40, 9 keys"));
  EXPECT_EQ(lines[1].text,
            "MEMBER  STATE     LAG  WRITES/S  READS/S  FAILED/S  WRITE P99  READ P99  SYNC P99    "
            "DISK  MEMORY    UP  VERSION");
  EXPECT_EQ(lines[2].text,
            "n1      leader      0       4.0     1000         0      12 ms   0.30 ms   2.00 ms  "
            "2.0 MB   30 MB  1m1s  0.1.0");
  EXPECT_EQ(lines[1].style, LineStyle::kHeader);
  EXPECT_EQ(lines[2].style, LineStyle::kGood);
  EXPECT_EQ(lines[3].style, LineStyle::kPlain);
}

TEST(DrawTopTest, AMemberThatLagsAndOneThatIsDown) {
  TopSnapshot snapshot = Healthy();
  snapshot.members[1].status->applied_index = 58;
  snapshot.members[2].status = absl::UnavailableError("cannot connect\nto c:1");
  const std::vector<ScreenLine> lines = DrawTop(snapshot, {});
  EXPECT_THAT(lines[0].text, HasSubstr("2 of 3 members answer"));
  EXPECT_THAT(lines[3].text, StartsWith("n2      follower   42 "));
  EXPECT_THAT(lines[4].text, StartsWith("n3      down        - "));
  EXPECT_EQ(lines[4].style, LineStyle::kBad);
  EXPECT_EQ(lines[5].text, "n3: cannot connect\\nto c:1");
}

TEST(DrawTopTest, WhoLeadsIsWhatTheNewestTermKnows) {
  TopSnapshot snapshot = Healthy();
  // Cut off: it does not know yet.
  snapshot.members[0].status->header.raft_term = 2;
  snapshot.members[1].status->header.leader_id = 2;
  snapshot.members[2].status->header.leader_id = 2;
  EXPECT_THAT(DrawTop(snapshot, {})[0].text, HasSubstr("leader n2, term 3"));
  snapshot.members[1].status->header.leader_id = 0;
  snapshot.members[2].status->header.leader_id = 0;
  const ScreenLine title = DrawTop(snapshot, {})[0];
  EXPECT_THAT(title.text, HasSubstr("NO LEADER, term 3"));
  EXPECT_EQ(title.style, LineStyle::kBad);
}

TEST(DrawTopTest, NobodyAnswers) {
  TopSnapshot snapshot{.list_status = absl::UnavailableError("nobody is there")};
  EXPECT_THAT(Text(DrawTop(snapshot, {})),
              AllOf(HasSubstr("no member answers"), HasSubstr("members: nobody is there")));
  snapshot.members = Healthy().members;
  for (TopMember& member : snapshot.members) {
    member.status = absl::UnavailableError("gone");
  }
  EXPECT_THAT(Text(DrawTop(snapshot, {})),
              AllOf(HasSubstr("no member answers"), HasSubstr("n1      down"),
                    HasSubstr("n3: gone"), Not(HasSubstr("leader"))));
}

TEST(DrawTopTest, WarningsAreBelow) {
  TopSnapshot snapshot = Healthy();
  snapshot.members[0].status->warnings = {"the disk is full", "\x1b[31mred"};
  const std::vector<ScreenLine> lines = DrawTop(snapshot, {});
  ASSERT_THAT(lines, SizeIs(7));
  EXPECT_EQ(lines[5].text, "n1: the disk is full");
  EXPECT_EQ(lines[6].text, "n1: \\x1b[31mred") << "a terminal obeys nothing of it";
}

TEST(DrawTopTest, NothingWasDoneLately) {
  TopSnapshot snapshot = Healthy();
  snapshot.members[0].status->requests = {};
  EXPECT_THAT(DrawTop(snapshot, {})[2].text,
              StartsWith("n1      leader      0         0        0         0          -  "));
}

// What matters less goes first, and no line is longer than the screen, whatever it is.
TEST(DrawTopTest, FitsIntoEveryWidth) {
  TopSnapshot snapshot = Healthy();
  snapshot.members[0].status->warnings = {std::string(300, 'w') + "\xC3\xA4"};
  const auto header = [&](size_t columns) {
    return DrawTop(snapshot, {.columns = columns, .rows = 24})[1].text;
  };
  EXPECT_THAT(header(200), HasSubstr("VERSION"));
  EXPECT_THAT(header(95), AllOf(Not(HasSubstr("VERSION")), HasSubstr("DISK")));
  EXPECT_THAT(header(80), AllOf(HasSubstr("SYNC P99"), Not(HasSubstr("FAILED"))));
  EXPECT_EQ(header(30), "MEMBER  STATE     LAG");
  EXPECT_EQ(header(10), "MEMBER  ST");
  for (size_t columns = 1; columns < 200; ++columns) {
    for (const ScreenLine& line : DrawTop(snapshot, {.columns = columns, .rows = 24})) {
      EXPECT_LE(DisplayWidth(line.text), columns);
    }
  }
}

TEST(DrawTopTest, FitsIntoEveryHeight) {
  TopSnapshot snapshot = Healthy();
  snapshot.members[0].status->warnings = {"a", "b", "c"};
  for (size_t rows = 1; rows < 12; ++rows) {
    EXPECT_LE(DrawTop(snapshot, {.columns = 80, .rows = rows}).size(), rows);
  }
  const std::vector<ScreenLine> lines = DrawTop(snapshot, {.columns = 80, .rows = 4});
  ASSERT_THAT(lines, SizeIs(4));
  EXPECT_THAT(lines[2].text, StartsWith("n1 "));
  EXPECT_EQ(lines[3].text, "2 more members");
}

}  // namespace
}  // namespace raftkv::ctl
