// Members behind links that carry little: a value that takes seconds holds up neither the leader's
// signs of life nor reads.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/chaos/peer_network.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

struct SlowLink {
  uint64_t value_bytes;
  uint64_t bytes_per_second;
  Millis delay;
};

// The put goes through a follower, so the value crosses a link to the leader, and then one to each
// follower.
void ExpectLifeGoesOn(const SlowLink& link) {
  TestCluster cluster({.size = 3, .flags = {"--value_bytes_max=3145728"}});
  std::vector<std::string> peer_addresses;
  for (size_t node = 0; node < cluster.size(); ++node) {
    peer_addresses.push_back(cluster.peer_address(node));
  }
  chaos::PeerNetwork network(peer_addresses);
  for (size_t node = 0; node < cluster.size(); ++node) {
    const std::string redirects = cluster.dir().File(absl::StrCat("redirects", node));
    WriteFile(redirects, network.RedirectsOf(node));
    cluster.server(node).options().env = {absl::StrCat("LD_PRELOAD=", REDIRECT_CONNECT_PATH),
                                          absl::StrCat("REDIRECT_CONNECT=", redirects)};
  }
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  NodeClient& follower = cluster.client(cluster.Other(*leader));
  NodeClient& third = cluster.client(cluster.Other(cluster.Other(*leader)));
  ASSERT_TRUE(follower.PutText("small", "0").ok());
  const uint64_t term = follower.GetStatus()->header().raft_term();
  for (size_t from = 0; from < cluster.size(); ++from) {
    for (size_t to = 0; to < cluster.size(); ++to) {
      network.SetRule(from, to,
                      {.delay_min = link.delay,
                       .delay_max = link.delay,
                       .bytes_per_second = link.bytes_per_second});
    }
  }

  const Clock::time_point start = Clock::now();
  auto big = std::async(std::launch::async, [&] {
    return follower.PutText("big", std::string(link.value_bytes, 'v'), Millis(60000));
  });
  Millis longest_read(0);
  int writes = 0;
  while (big.wait_for(Millis(0)) != std::future_status::ready) {
    // Behind the value in the log, a write has to wait for it; a read has not.
    for (NodeClient* client : {&follower, &third}) {
      const Clock::time_point asked = Clock::now();
      const auto read = client->GetText("small");
      EXPECT_TRUE(read.ok()) << read;
      longest_read = std::max(longest_read, Since(asked));
    }
    const auto write = third.PutText("small", absl::StrCat(++writes), Millis(60000));
    EXPECT_TRUE(write.ok()) << write;
  }
  std::cout << "the value took " << Since(start).count() << " ms; meanwhile " << writes
            << " other writes, the longest read " << longest_read.count() << " ms\n";
  const auto put = big.get();
  EXPECT_TRUE(put.ok()) << put;
  EXPECT_GE(Since(start), Millis(1000 * link.value_bytes / link.bytes_per_second)) << "slow enough";
  EXPECT_GE(writes, 2);
  EXPECT_LE(longest_read, Millis(1500));
  EXPECT_EQ(follower.GetStatus()->header().raft_term(), term) << "no election";
}

TEST(SlowLinkTest, AMebibyteAtFourHundredKilobytes) {
  ExpectLifeGoesOn({.value_bytes = 1 << 20, .bytes_per_second = 400'000, .delay = Millis(0)});
}

TEST(SlowLinkTest, TheLargestValueAcrossALongLink) {
  ExpectLifeGoesOn({.value_bytes = 3 << 20, .bytes_per_second = 500'000, .delay = Millis(100)});
}

TEST(SlowLinkTest, ASmallerValueAtAHundredKilobytes) {
  ExpectLifeGoesOn({.value_bytes = 400'000, .bytes_per_second = 100'000, .delay = Millis(0)});
}

}  // namespace
}  // namespace raftkv::integration
