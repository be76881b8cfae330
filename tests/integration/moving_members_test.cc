// Members that come back at other addresses, several at once, and members behind names that mean
// something else from one moment to the next: whoever can be reached is found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mutex.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;
using testing::Not;

// With two of three reachable, after the last ready line: an election, and a second for what was
// being tried elsewhere.
constexpr Millis kWritableWithin(3000);

class MovingMembersTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.client(0).PutText("before", "1").ok());
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    for (size_t node = 0; node < cluster_.size(); ++node) {
      places_.push_back(cluster_.peer_address(node));
    }
  }

  std::string List() const {
    std::vector<std::string> entries;
    for (size_t node = 0; node < places_.size(); ++node) {
      entries.push_back(absl::StrCat(TestCluster::Name(node), "=", places_[node]));
    }
    return absl::StrJoin(entries, ",");
  }

  // Restarts these members at once at new places; `told` puts the new list on their command lines.
  void Move(const std::vector<size_t>& nodes, bool told) {
    for (const size_t node : nodes) {
      cluster_.server(node).Kill9();
      places_[node] = Loopback(PickFreePort());
    }
    for (const size_t node : nodes) {
      ServerOptions& options = cluster_.server(node).options();
      options.listen_peer = places_[node];
      if (told) {
        options.initial_cluster = List();
      } else {
        options.flags = {absl::StrCat("--advertise_peer=", places_[node])};
      }
      cluster_.server(node).Start();
    }
    for (const size_t node : nodes) {
      ASSERT_TRUE(cluster_.server(node).WaitReady()) << cluster_.server(node).LogTail();
    }
  }

  void ExpectWritable(size_t node) {
    EXPECT_TRUE(cluster_.client(node).PutText("after", "1", Millis(15000)).ok());
  }

  TestCluster cluster_;
  std::vector<std::string> places_;
};

TEST_F(MovingMembersTest, TwoAtOnceFindEachOther) {
  ASSERT_NO_FATAL_FAILURE(Move({1, 2}, /*told=*/true));
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  cluster_.server(0).Kill9();
  ExpectWritable(1);
}

TEST_F(MovingMembersTest, AllAtOnceFindEachOther) {
  ASSERT_NO_FATAL_FAILURE(Move({0, 1, 2}, /*told=*/true));
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  ExpectWritable(0);
}

// Each of the two knows only where the third one is, which sees both.
TEST_F(MovingMembersTest, MembersLearnFromAThirdWhereTheOthersAre) {
  ASSERT_NO_FATAL_FAILURE(Move({1, 2}, /*told=*/false));
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  cluster_.server(0).Kill9();
  ExpectWritable(2);
}

TEST_F(MovingMembersTest, ADifferentInitialClusterIsSaid) {
  cluster_.server(0).Kill9();
  ASSERT_TRUE(cluster_.Start(0));
  EXPECT_THAT(cluster_.server(0).Log(), Not(HasSubstr("differs from what")));
  const std::string old_place = places_[1];
  ASSERT_NO_FATAL_FAILURE(Move({1}, /*told=*/true));
  EXPECT_THAT(cluster_.server(1).Log(),
              AllOf(HasSubstr("--initial_cluster differs from what --data_dir="),
                    HasSubstr(absl::StrCat("n2=", places_[1], " instead of ", old_place))));
}

// Says that it is somebody else, and counts for whom.
class Stranger final : public peer::v1::RaftService::Service {
 public:
  explicit Stranger(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  bool listens() const { return server_ != nullptr; }
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }
  int HellosOf(const std::string& name) {
    MutexLock lock(&mutex_);
    return hellos_[name];
  }

 private:
  grpc::Status Hello(grpc::ServerContext*, const peer::v1::HelloRequest* request,
                     peer::v1::HelloResponse* response) override {
    MutexLock lock(&mutex_);
    ++hellos_[request->name()];
    response->set_name("somebody else");
    return grpc::Status::OK;
  }

  Mutex mutex_;
  std::map<std::string, int> hellos_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

// Each time that it answers, not a second later: the next address waits.
TEST_F(MovingMembersTest, SomebodyElseInAMembersPlaceIsFoundOutAtOnce) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  // A leader meets strangers by its streams, too.
  const size_t follower = cluster_.Other(*leader);
  const size_t gone = cluster_.Other(follower);
  cluster_.server(gone).Kill9();
  Stranger stranger(places_[gone]);
  ASSERT_TRUE(stranger.listens());
  const std::string name = TestCluster::Name(follower);
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] { return stranger.HellosOf(name) > 0; }));
  const int before = stranger.HellosOf(name);
  const Clock::time_point start = Clock::now();
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return stranger.HellosOf(name) >= before + 8; }));
  EXPECT_LE(Since(start), Millis(4000)) << "one round of tries is 250 ms";
  stranger.Stop();
}

// The names of members are in a hosts file of this process's own, which its children see.
class NamedMembersTest : public testing::Test {
 protected:
  static constexpr size_t kSize = 3;

  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "needs root for a hosts file of its own";
    }
    Publish();
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount(hosts_.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0) {
      GTEST_SKIP() << "cannot have a hosts file of its own";
    }
    mounted_ = true;
    std::vector<std::string> entries;
    for (size_t node = 0; node < kSize; ++node) {
      entries.push_back(absl::StrCat(TestCluster::Name(node), "=", HostOf(node), ":", port_));
    }
    for (size_t node = 0; node < kSize; ++node) {
      addresses_[HostOf(node)] = {Ip(1, node)};
      servers_.push_back(std::make_unique<ServerProcess>(
          ServerOptions{.name = TestCluster::Name(node),
                        .data_dir = dir_.File(TestCluster::Name(node)),
                        .listen_client = Loopback(PickFreePort()),
                        .listen_peer = Peer(Ip(1, node)),
                        .initial_cluster = absl::StrJoin(entries, ","),
                        .flags = {},
                        .env = {}}));
      clients_.push_back(std::make_unique<NodeClient>(servers_[node]->options().listen_client));
    }
    Publish();
    for (size_t node = 0; node < kSize; ++node) {
      Start(node);
    }
    ASSERT_TRUE(clients_[0]->PutText("before", "1").ok());
  }
  void TearDown() override {
    servers_.clear();
    if (mounted_) {
      EXPECT_EQ(umount("/etc/hosts"), 0);
    }
  }

  static std::string HostOf(size_t node) { return absl::StrCat(TestCluster::Name(node), ".test"); }
  static std::string Ip(int net, size_t node) { return absl::StrCat("127.0.", net, ".", node + 1); }
  std::string Peer(const std::string& ip) const { return absl::StrCat(ip, ":", port_); }
  // Writes the hosts file, in its place.
  void Publish() {
    std::ofstream file(hosts_);
    file << "127.0.0.1 localhost\n";
    for (const auto& [host, ips] : addresses_) {
      for (const std::string& ip : ips) {
        file << ip << " " << host << "\n";
      }
    }
  }
  void Start(size_t node) {
    servers_[node]->Start();
    ASSERT_TRUE(servers_[node]->WaitReady()) << servers_[node]->LogTail();
  }
  size_t Leader() {
    size_t leader = kSize;
    EXPECT_TRUE(WaitUntil(Millis(15000), [&] {
      for (size_t node = 0; node < kSize; ++node) {
        const auto status = clients_[node]->GetStatus(Millis(500));
        if (status.ok() && status->raft_state() == v1::RAFT_STATE_LEADER) {
          leader = node;
        }
      }
      return leader != kSize;
    }));
    return leader;
  }
  // How long until a write through a member succeeds.
  Millis UntilWritable(size_t node) {
    const Clock::time_point start = Clock::now();
    EXPECT_TRUE(WaitUntil(
        Millis(60000), [&] { return clients_[node]->PutText("after", "1", Millis(1000)).ok(); }));
    std::cout << "writable after " << Since(start).count() << " ms\n";
    return Since(start);
  }

  TempDir dir_;
  const std::string hosts_ = dir_.File("hosts");
  // The same for all, so that one member can be in the place of another.
  const int port_ = PickFreePort();
  bool mounted_ = false;
  std::map<std::string, std::vector<std::string>> addresses_;
  std::vector<std::unique_ptr<ServerProcess>> servers_;
  std::vector<std::unique_ptr<NodeClient>> clients_;
};

// Its name is unknown while it is away, as a container's; when it is back, the third one goes.
TEST_F(NamedMembersTest, AMemberThatComesBackElsewhereIsFound) {
  const size_t leader = Leader();
  const size_t moved = (leader + 1) % kSize;
  const size_t gone = (leader + 2) % kSize;
  addresses_.erase(HostOf(moved));
  Publish();
  servers_[moved]->Kill9();
  const Clock::time_point away = Clock::now();
  ASSERT_TRUE(WaitUntil(Millis(15000), [&] {
    return Since(away) > Millis(8000) && clients_[leader]->PutText("meanwhile", "1").ok();
  }));
  servers_[gone]->Kill9();
  addresses_[HostOf(moved)] = {Ip(2, moved)};
  Publish();
  servers_[moved]->options().listen_peer = Peer(Ip(2, moved));
  Start(moved);
  EXPECT_LE(UntilWritable(leader), kWritableWithin);
}

TEST_F(NamedMembersTest, MembersThatSwapAddressesAreFound) {
  const size_t leader = Leader();
  const size_t a = (leader + 1) % kSize;
  const size_t b = (leader + 2) % kSize;
  servers_[a]->Kill9();
  servers_[b]->Kill9();
  std::swap(addresses_[HostOf(a)], addresses_[HostOf(b)]);
  servers_[a]->options().listen_peer = Peer(Ip(1, b));
  servers_[b]->options().listen_peer = Peer(Ip(1, a));
  Start(a);
  Start(b);
  Publish();
  EXPECT_LE(UntilWritable(leader), kWritableWithin);
}

// A name with several addresses, most of them of nobody.
TEST_F(NamedMembersTest, EveryAddressOfANameIsTried) {
  for (size_t node = 0; node < kSize; ++node) {
    servers_[node]->Kill9();
    addresses_[HostOf(node)] = {Ip(7, node), Ip(8, node), Ip(1, node)};
  }
  Publish();
  for (size_t node = 0; node < kSize; ++node) {
    Start(node);
  }
  EXPECT_LE(UntilWritable(0), kWritableWithin);
}

}  // namespace
}  // namespace raftkv::integration
