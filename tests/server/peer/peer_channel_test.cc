// Against real sockets, by a clock of the test's own.
#include "server/peer/peer_channel.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/wait.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;

// A gRPC server on a port of its own, which is kept for it.
class Peer {
 public:
  Peer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  const std::string& address() const { return address_; }
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }

 private:
  peer::v1::RaftService::Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// A port that answers nothing: its queue of connections is full, so the kernel drops more.
class BlackHole {
 public:
  BlackHole() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    fds_.push_back(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(bind(fds_[0], reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(fds_[0], 0), 0);
    EXPECT_EQ(getsockname(fds_[0], reinterpret_cast<sockaddr*>(&address), &length), 0);
    for (int i = 0; i < 4; ++i) {
      fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      static_cast<void>(connect(fds_.back(), reinterpret_cast<sockaddr*>(&address), length));
    }
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~BlackHole() {
    for (const int fd : fds_) {
      close(fd);
    }
  }
  const std::string& address() const { return address_; }

 private:
  std::vector<int> fds_;
  std::string address_;
};

class PeerChannelTest : public testing::Test {
 protected:
  ~PeerChannelTest() override {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Ticks, a tick's time each, until it holds. Where nobody answers anyway, a tick may be shorter
  // for the sockets than by the clock.
  template <typename Condition>
  bool TickUntil(Condition condition, integration::Millis tick = integration::Millis(10)) {
    return integration::WaitUntil(
        integration::Millis(20000),
        [&] {
          channel_.Tick();
          // Somebody must look at gRPC's sockets.
          void* tag = nullptr;
          bool ok = false;
          static_cast<void>(queue_.AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)));
          clock_.Advance(10 * kNanosPerMilli);
          return condition();
        },
        tick);
  }
  bool Connect() {
    return TickUntil([this] { return channel_.unreachable_since() == 0; });
  }

  static constexpr integration::Millis kShortTick{1};

  FakeClock clock_;
  std::vector<std::string> addresses_;
  int replaced_ = 0;
  grpc::CompletionQueue queue_;
  PeerChannel channel_{
      &clock_,
      {.addresses = [this] { return addresses_; }, .on_replaced = [this] { ++replaced_; }}};
};

TEST_F(PeerChannelTest, ConnectsAndStaysConnected) {
  const Peer peer;
  addresses_ = {peer.address()};
  const MonotonicNanos made_at = clock_.Now();
  EXPECT_EQ(channel_.channel(), nullptr);
  EXPECT_EQ(channel_.unreachable_since(), made_at);
  ASSERT_TRUE(Connect());
  EXPECT_EQ(channel_.address(), peer.address());
  EXPECT_EQ(channel_.problem(), "");
  const int replaced = replaced_;
  clock_.Advance(100 * kNanosPerSecond);
  channel_.Tick();
  EXPECT_EQ(replaced_, replaced);
}

TEST_F(PeerChannelTest, AnAddressThatDropsPacketsCostsHalfASecond) {
  const BlackHole dead;
  const Peer peer;
  addresses_ = {dead.address(), peer.address()};
  const MonotonicNanos start = clock_.Now();
  ASSERT_TRUE(TickUntil([&] { return channel_.address() == peer.address(); }));
  EXPECT_LE(clock_.Now() - start, 550 * kNanosPerMilli);
  ASSERT_TRUE(Connect());
}

// Dials again, and asks where the peer is, every second at least, however long it was away.
TEST_F(PeerChannelTest, AsksForAddressesAgainWithinASecond) {
  const BlackHole dead;
  addresses_ = {dead.address()};
  const MonotonicNanos start = clock_.Now();
  ASSERT_TRUE(TickUntil([&] { return clock_.Now() - start > 8 * kNanosPerSecond; }, kShortTick));
  EXPECT_GE(replaced_, 7);
  EXPECT_THAT(channel_.problem(), HasSubstr(dead.address()));
  const Peer peer;
  addresses_ = {peer.address()};
  const MonotonicNanos moved = clock_.Now();
  ASSERT_TRUE(TickUntil([&] { return channel_.address() == peer.address(); }));
  EXPECT_LE(clock_.Now() - moved, 1100 * kNanosPerMilli);
}

TEST_F(PeerChannelTest, ABrokenConnectionIsMadeAnewElsewhere) {
  Peer first;
  const Peer second;
  addresses_ = {first.address()};
  ASSERT_TRUE(Connect());
  addresses_ = {second.address()};
  first.Stop();
  ASSERT_TRUE(TickUntil([&] { return channel_.unreachable_since() != 0; }));
  const MonotonicNanos gone = channel_.unreachable_since();
  ASSERT_TRUE(TickUntil([&] { return channel_.address() == second.address(); }));
  EXPECT_LE(clock_.Now() - gone, 300 * kNanosPerMilli);
  ASSERT_TRUE(Connect());
}

// Refused connections are not waited for, and do not make it spin.
TEST_F(PeerChannelTest, RefusedConnectionsArePaced) {
  Peer peer;
  peer.Stop();
  addresses_ = {peer.address()};
  const MonotonicNanos start = clock_.Now();
  ASSERT_TRUE(TickUntil([&] { return clock_.Now() - start > 5 * kNanosPerSecond; }, kShortTick));
  EXPECT_GE(replaced_, 5);
  EXPECT_LE(replaced_, 21);
}

// As often as the wrong one answers, it counts as away since it was there last.
TEST_F(PeerChannelTest, SomebodyElseInThePeersPlaceIsLeft) {
  const Peer stranger;
  const Peer peer;
  addresses_ = {stranger.address(), peer.address()};
  const MonotonicNanos since = channel_.unreachable_since();
  ASSERT_TRUE(Connect());
  ASSERT_EQ(channel_.address(), stranger.address());
  channel_.GiveUp("it is a stranger");
  EXPECT_EQ(channel_.unreachable_since(), since);
  EXPECT_EQ(channel_.problem(), "it is a stranger");
  ASSERT_TRUE(Connect());
  EXPECT_EQ(channel_.address(), peer.address());
}

TEST_F(PeerChannelTest, WhereThePeerWasSeenIsTriedNext) {
  const BlackHole dead;
  const Peer peer;
  addresses_ = {dead.address()};
  ASSERT_TRUE(TickUntil([&] { return replaced_ == 1; }));
  channel_.OnSeenAt(peer.address());
  const MonotonicNanos seen = clock_.Now();
  ASSERT_TRUE(TickUntil([&] { return channel_.address() == peer.address(); }));
  EXPECT_LE(clock_.Now() - seen, 550 * kNanosPerMilli);
  ASSERT_TRUE(Connect());
}

}  // namespace
}  // namespace raftkv::server
