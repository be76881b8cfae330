// The wall clock of members jumps while links between them are cut: once the links are back, so are
// the members, as if it had not.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/chaos/peer_network.h"
#include "tests/support/shifted_clock.h"
#include "tests/support/test_cluster.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;
using integration::Since;
using integration::TestCluster;

// Longer than gRPC's first timers after the step.
constexpr Millis kCut(8000);
constexpr Millis kBackWithin(3000);

std::vector<std::string> PeerAddresses(const TestCluster& cluster) {
  std::vector<std::string> addresses;
  for (size_t node = 0; node < cluster.size(); ++node) {
    addresses.push_back(cluster.peer_address(node));
  }
  return addresses;
}

struct Case {
  int step_seconds;
  bool of_all;  // Else only of the member that is cut off.
  LinkRule::Bytes bytes;
};

class ClockStepTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    for (size_t node = 0; node < cluster_.size(); ++node) {
      clocks_.push_back(std::make_unique<integration::ShiftedClock>(File("clock", node)));
      integration::WriteFile(File("redirects", node), network_.RedirectsOf(node));
      cluster_.server(node).options().env = {
          absl::StrCat("LD_PRELOAD=", SHIFTED_CLOCK_PATH, ":", REDIRECT_CONNECT_PATH),
          clocks_[node]->environment(), absl::StrCat("REDIRECT_CONNECT=", File("redirects", node))};
    }
    ASSERT_TRUE(cluster_.StartAll());
    leader_ = cluster_.WaitForLeader();
    ASSERT_TRUE(leader_.has_value());
    ASSERT_TRUE(cluster_.client(0).PutText("k", "before").ok());
  }

  std::string File(const std::string& name, size_t node) const {
    return cluster_.dir().File(absl::StrCat(name, node));
  }
  void Cut(size_t node, LinkRule::Bytes bytes) {
    for (size_t other = 0; other < cluster_.size(); ++other) {
      if (other != node) {
        network_.SetRule(node, other, {.bytes = bytes});
        network_.SetRule(other, node, {.bytes = bytes});
      }
    }
  }

  TestCluster cluster_;
  PeerNetwork network_{PeerAddresses(cluster_)};
  std::vector<std::unique_ptr<integration::ShiftedClock>> clocks_;
  std::optional<size_t> leader_;
};

TEST_P(ClockStepTest, AMemberThatWasCutOffIsBackAtOnce) {
  const size_t cut_off = cluster_.Other(*leader_);
  for (size_t node = 0; node < cluster_.size(); ++node) {
    if (GetParam().of_all || node == cut_off) {
      clocks_[node]->Step(GetParam().step_seconds);
    }
  }
  Cut(cut_off, GetParam().bytes);
  const Clock::time_point cut = Clock::now();
  ASSERT_TRUE(cluster_.client(*leader_).PutText("k", "meanwhile").ok());
  while (Since(cut) < kCut) {
    EXPECT_FALSE(cluster_.client(cut_off).GetText("k", Millis(500)).ok());
  }
  network_.Heal();
  const Clock::time_point healed = Clock::now();
  ASSERT_TRUE(integration::WaitUntil(
      Millis(20000), [&] { return cluster_.client(cut_off).GetText("k", Millis(1000)).ok(); }));
  EXPECT_LE(Since(healed), kBackWithin);
  EXPECT_TRUE(cluster_.client(cut_off).PutText("k", "after").ok());
}

INSTANTIATE_TEST_SUITE_P(Steps, ClockStepTest,
                         testing::Values(Case{-3600, true, LinkRule::Bytes::kDrop},
                                         Case{-3600, false, LinkRule::Bytes::kHold},
                                         Case{3600, true, LinkRule::Bytes::kDrop}),
                         [](const testing::TestParamInfo<Case>& tested) {
                           return absl::StrCat(
                               tested.param.step_seconds < 0 ? "Back" : "Forward",
                               tested.param.of_all ? "OfAll" : "OfOne",
                               tested.param.bytes == LinkRule::Bytes::kDrop ? "Dropped" : "Held");
                         });

}  // namespace
}  // namespace raftkv::chaos
