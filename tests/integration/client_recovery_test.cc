// raftkv::Client against real servers that die and come back.
#include <gtest/gtest.h>

#include "client/client.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

// First, and without a NodeClient: the poller of MakeChannel would move this client's connections,
// too, for as long as the process lives.
TEST(ClientRecoveryTest, AClientThatLostEveryServerFindsThemSoonAfterTheyAreBack) {
  TempDir dir;
  ServerProcess server({.name = "",
                        .data_dir = dir.File("data"),
                        .listen_client = Loopback(PickFreePort()),
                        .listen_peer = Loopback(PickFreePort()),
                        .initial_cluster = "",
                        .flags = {},
                        .env = {}});
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  absl::StatusOr<Client> client =
      Client::Create({.endpoints = {server.client_address()}, .request_timeout = absl::Seconds(1)});
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] { return client->Put("a", "1").ok(); }));
  for (int restarts = 0; restarts < 2; ++restarts) {
    server.Kill9();
    for (int calls = 0; calls < 5; ++calls) {
      EXPECT_FALSE(client->Put("a", "2").ok());
    }
    server.Start();
    ASSERT_TRUE(server.WaitReady()) << server.LogTail();
    const Clock::time_point start = Clock::now();
    EXPECT_TRUE(WaitUntil(Millis(15000), [&] { return client->Put("a", "3").ok(); }));
    EXPECT_LE(Since(start), Millis(3500)) << "an election and one reconnection";
  }
}

TEST(ClientRecoveryTest, AFailoverIsOneSlowCall) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  absl::StatusOr<Client> client =
      Client::Create({.endpoints = {cluster.client_address(0), cluster.client_address(1),
                                    cluster.client_address(2)}});
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(client->Put("a", "1").ok());
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  cluster.server(*leader).Kill9();
  const Clock::time_point start = Clock::now();
  const absl::StatusOr<GetResult> get = client->Get("a");
  ASSERT_TRUE(get.ok()) << get.status();
  EXPECT_EQ(get->kv->value, "1");
  EXPECT_LE(Since(start), Millis(4000));
  EXPECT_TRUE(client->Put("a", "2").ok());
}

TEST(ClientRecoveryTest, AClientOfOneMemberTurnsToTheOthers) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.WaitUntilPublished());
  absl::StatusOr<Client> client = Client::Create({.endpoints = {cluster.client_address(0)}});
  ASSERT_TRUE(client.ok()) << client.status();
  for (int calls = 0; calls < 2; ++calls) {
    ASSERT_TRUE(client->Put("a", "1").ok());
  }
  cluster.server(0).Kill9();
  const absl::StatusOr<PutResult> put = client->Put("a", "2");
  EXPECT_TRUE(put.ok()) << put.status();
}

}  // namespace
}  // namespace raftkv::integration
