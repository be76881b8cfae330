// A cluster that nobody uses costs next to nothing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

// User and system time that a process has taken so far.
Millis CpuTime(pid_t pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  // After the program's name, which is in parentheses: state is field 3, utime 14 and stime 15.
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(stat.rfind(')') + 2), ' ');
  int64_t user = 0;
  int64_t system = 0;
  EXPECT_TRUE(absl::SimpleAtoi(fields[11], &user) && absl::SimpleAtoi(fields[12], &system));
  return Millis((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

void ExpectQuietFor(Millis duration) {
  constexpr double kCoreShareMax = 0.03;
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.client(0).PutText("a", "1").ok());
  ASSERT_TRUE(cluster.WaitUntilPublished());
  ASSERT_TRUE(cluster.WaitUntilEqual());
  std::vector<Millis> cpu_before;
  std::vector<v1::GetStatusResponse> before;
  for (size_t node = 0; node < cluster.size(); ++node) {
    before.push_back(cluster.client(node).GetStatus().response);
    cpu_before.push_back(CpuTime(cluster.server(node).pid()));
  }
  const Clock::time_point start = Clock::now();
  ASSERT_TRUE(WaitUntil(
      2 * duration, [&] { return Since(start) >= duration; }, Millis(500)));
  for (size_t node = 0; node < cluster.size(); ++node) {
    const Millis used = CpuTime(cluster.server(node).pid()) - cpu_before[node];
    const double share =
        static_cast<double>(used.count()) / static_cast<double>(Since(start).count());
    std::cout << TestCluster::Name(node) << " took " << share * 100 << " % of a core\n";
    EXPECT_LT(share, kCoreShareMax);
    const auto after = cluster.client(node).GetStatus();
    ASSERT_TRUE(after.ok()) << after;
    EXPECT_EQ(after->last_index(), before[node].last_index()) << "the log grows";
    EXPECT_EQ(after->header().raft_term(), before[node].header().raft_term());
    EXPECT_EQ(after->header().leader_id(), before[node].header().leader_id());
    EXPECT_LE(after->disk_bytes(), before[node].disk_bytes() + (64 << 10));
  }
}

TEST(IdleTest, TenSeconds) { ExpectQuietFor(Millis(10'000)); }
TEST(LongIdleTest, TenMinutes) { ExpectQuietFor(Millis(600'000)); }

}  // namespace
}  // namespace raftkv::integration
