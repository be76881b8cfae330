// Members behind links that carry little: a value that takes seconds holds up neither the leader's
// signs of life nor reads.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/chaos/peer_network.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

class SlowLinkTest : public testing::Test {
 protected:
  struct SlowLink {
    uint64_t value_bytes;
    uint64_t bytes_per_second;
    Millis delay;
  };

  // Every member reaches every other one through the relay.
  void SetUp() override {
    std::vector<std::string> peer_addresses;
    for (size_t node = 0; node < cluster_.size(); ++node) {
      peer_addresses.push_back(cluster_.peer_address(node));
    }
    network_ = std::make_unique<chaos::PeerNetwork>(peer_addresses);
    for (size_t node = 0; node < cluster_.size(); ++node) {
      const std::string redirects = cluster_.dir().File(absl::StrCat("redirects", node));
      WriteFile(redirects, network_->RedirectsOf(node));
      cluster_.server(node).options().env = {absl::StrCat("LD_PRELOAD=", REDIRECT_CONNECT_PATH),
                                             absl::StrCat("REDIRECT_CONNECT=", redirects)};
    }
    ASSERT_TRUE(cluster_.StartAll());
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    leader_ = *leader;
  }

  NodeClient& leader() { return cluster_.client(leader_); }
  NodeClient& follower() { return cluster_.client(cluster_.Other(leader_)); }
  NodeClient& third() { return cluster_.client(cluster_.Other(cluster_.Other(leader_))); }
  uint64_t Term() { return follower().GetStatus()->header().raft_term(); }

  // `delay` is of each way; 0 bytes per second: as many as there are.
  void SlowDown(uint64_t bytes_per_second, Millis delay) {
    for (size_t from = 0; from < cluster_.size(); ++from) {
      for (size_t to = 0; to < cluster_.size(); ++to) {
        network_->SetRule(
            from, to,
            {.delay_min = delay, .delay_max = delay, .bytes_per_second = bytes_per_second});
      }
    }
  }

  void ExpectLifeGoesOn(const SlowLink& link);
  void ExpectAMebibyteWithin(Millis allowed, NodeClient* client);

  TestCluster cluster_{{.size = 3, .flags = {"--value_bytes_max=3145728"}}};
  std::unique_ptr<chaos::PeerNetwork> network_;
  size_t leader_ = 0;
};

// The put goes through a follower, so the value crosses a link to the leader, and then one to each
// follower.
void SlowLinkTest::ExpectLifeGoesOn(const SlowLink& link) {
  ASSERT_TRUE(follower().PutText("small", "0").ok());
  const uint64_t term = Term();
  SlowDown(link.bytes_per_second, link.delay);

  const Clock::time_point start = Clock::now();
  auto big = std::async(std::launch::async, [&] {
    return follower().PutText("big", std::string(link.value_bytes, 'v'), Millis(60000));
  });
  Millis longest_read(0);
  int writes = 0;
  while (big.wait_for(Millis(0)) != std::future_status::ready) {
    // Behind the value in the log, a write has to wait for it; a read has not.
    for (NodeClient* client : {&follower(), &third()}) {
      const Clock::time_point asked = Clock::now();
      const auto read = client->GetText("small");
      EXPECT_TRUE(read.ok()) << read;
      longest_read = std::max(longest_read, Since(asked));
    }
    const auto write = third().PutText("small", absl::StrCat(++writes), Millis(60000));
    EXPECT_TRUE(write.ok()) << write;
  }
  std::cout << "the value took " << Since(start).count() << " ms; meanwhile " << writes
            << " other writes, the longest read " << longest_read.count() << " ms\n";
  const auto put = big.get();
  EXPECT_TRUE(put.ok()) << put;
  EXPECT_GE(Since(start), Millis(1000 * link.value_bytes / link.bytes_per_second)) << "slow enough";
  EXPECT_GE(writes, 2);
  EXPECT_LE(longest_read, Millis(1500));
  EXPECT_EQ(Term(), term) << "no election";
}

TEST_F(SlowLinkTest, AMebibyteAtFourHundredKilobytes) {
  ExpectLifeGoesOn({.value_bytes = 1 << 20, .bytes_per_second = 400'000, .delay = Millis(0)});
}

TEST_F(SlowLinkTest, TheLargestValueAcrossALongLink) {
  ExpectLifeGoesOn({.value_bytes = 3 << 20, .bytes_per_second = 500'000, .delay = Millis(100)});
}

TEST_F(SlowLinkTest, ASmallerValueAtAHundredKilobytes) {
  ExpectLifeGoesOn({.value_bytes = 400'000, .bytes_per_second = 100'000, .delay = Millis(0)});
}

void SlowLinkTest::ExpectAMebibyteWithin(Millis allowed, NodeClient* client) {
  const Clock::time_point start = Clock::now();
  const auto put = client->PutText("big", std::string(1 << 20, 'v'), Millis(60000));
  std::cout << "a mebibyte through " << (client == &leader() ? "the leader" : "a follower")
            << " took " << Since(start).count() << " ms\n";
  EXPECT_TRUE(put.ok()) << put;
  EXPECT_LE(Since(start), allowed);
}

// A link that carries much, and far: what is sent must wait neither for an answer every few bytes
// nor for a queue that is none.
TEST_F(SlowLinkTest, AFarLinkIsFilled) {
  struct FarLink {
    Millis round_trip;
    Millis through_leader;
    Millis through_follower;
  };
  for (NodeClient* client : {&leader(), &follower()}) {
    for (int i = 0; i < 3; ++i) {
      ExpectAMebibyteWithin(Millis(5000), client);
    }
  }
  const uint64_t term = Term();
  // The windows grow by each round trip.
  for (const FarLink& link : {FarLink{Millis(100), Millis(1000), Millis(2000)},
                              FarLink{Millis(300), Millis(3000), Millis(7000)}}) {
    std::cout << "round trip " << link.round_trip.count() << " ms\n";
    SlowDown(0, link.round_trip / 2);
    for (NodeClient* client : {&leader(), &follower()}) {
      for (int i = 0; i < 2; ++i) {
        ExpectAMebibyteWithin(Millis(15000), client);  // It learns.
      }
      for (int i = 0; i < 2; ++i) {
        ExpectAMebibyteWithin(client == &leader() ? link.through_leader : link.through_follower,
                              client);
      }
    }
  }
  EXPECT_EQ(Term(), term) << "no election";
}

}  // namespace
}  // namespace raftkv::integration
