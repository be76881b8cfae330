#include "kv/peer_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace raftkv::kv {
namespace {

using testing::ElementsAre;

TEST(PeerAddressesTest, TheLikeliestComesFirst) {
  PeerAddresses addresses;
  EXPECT_THAT(addresses.Candidates("n1", "published:1", "founded:1"),
              ElementsAre("published:1", "founded:1"));
  addresses.SetTold({{"n1", "told:1"}});
  addresses.OnHeard("n1", "heard:1");
  addresses.OnHeard("n1", "heard:2");
  addresses.OnSeen("n1", "seen:1");
  EXPECT_THAT(addresses.Candidates("n1", "published:1", "founded:1"),
              ElementsAre("seen:1", "published:1", "told:1", "heard:2", "heard:1", "founded:1"));
  EXPECT_THAT(addresses.Candidates("n2", "published:2", "founded:2"),
              ElementsAre("published:2", "founded:2"));
}

TEST(PeerAddressesTest, EachIsThereOnce) {
  PeerAddresses addresses;
  addresses.SetTold({{"n1", "a:1"}});
  addresses.OnHeard("n1", "b:1");
  addresses.OnSeen("n1", "a:1");
  EXPECT_THAT(addresses.Candidates("n1", "b:1", "a:1"), ElementsAre("a:1", "b:1"));
}

TEST(PeerAddressesTest, WhatNobodyCanDialIsNotTaken) {
  PeerAddresses addresses;
  for (const char* address : {"", "host", ":1", "0.0.0.0:1", "host:0", "a b:1", "host:65536"}) {
    addresses.OnSeen("n1", address);
    addresses.OnHeard("n1", address);
  }
  EXPECT_THAT(addresses.Candidates("n1", "also bad", "founded:1"), ElementsAre("founded:1"));
}

TEST(PeerAddressesTest, HearsayIsBounded) {
  PeerAddresses addresses;
  for (int port = 1; port <= 100; ++port) {
    addresses.OnHeard("n1", "host:" + std::to_string(port));
  }
  EXPECT_THAT(addresses.Candidates("n1", "", "founded:1"),
              ElementsAre("host:100", "host:99", "host:98", "host:97", "founded:1"));
}

}  // namespace
}  // namespace raftkv::kv
