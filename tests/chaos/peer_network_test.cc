// That the faults of the network do what they are named for: without this, a partition that cuts
// nothing would only make every chaos run pass.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/chaos/network_faults.h"
#include "tests/chaos/peer_network.h"
#include "tests/support/wait.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;

constexpr Millis kSoon(5000);
// What does not come within this is held back.
constexpr Millis kNotNow(300);

sockaddr_in Address(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A socket, closed at destruction.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) { EXPECT_GE(fd, 0); }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  void Send(const std::string& bytes) const {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  bool Readable(Millis timeout) const {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    return poll(&readable, 1, static_cast<int>(timeout.count())) == 1;
  }
  // What came; "" when the connection has ended, "-" when nothing comes.
  std::string Receive(Millis timeout = kSoon) const {
    char bytes[256];
    if (!Readable(timeout)) {
      return "-";
    }
    const ssize_t length = recv(fd_, bytes, sizeof(bytes), 0);
    return std::string(bytes, static_cast<size_t>(std::max(length, ssize_t{0})));
  }

 private:
  const int fd_;
};

// Members 0 and 1, of which 1 listens and 0 has dialled it.
class PeerNetworkTest : public testing::Test {
 protected:
  static int Listen(int* port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = Address(0);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(fd, 1), 0);
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
  }

  int Dial() const {
    int peer_port = 0;
    int relay_port = 0;
    EXPECT_EQ(
        std::sscanf(network_.RedirectsOf(0).c_str(), "127.0.0.1:%d %d", &peer_port, &relay_port),
        2);
    EXPECT_EQ(peer_port, port_);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Address(relay_port);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }

  int port_ = 0;
  const Socket listener_{Listen(&port_)};
  PeerNetwork network_{{"127.0.0.1:1", absl::StrCat("127.0.0.1:", port_)}};
  const Socket dialer_{Dial()};
  const Socket target_{accept(listener_.fd(), nullptr, nullptr)};
};

TEST_F(PeerNetworkTest, BytesPassBothWaysAndAnEndPassesToo) {
  dialer_.Send("ask");
  EXPECT_EQ(target_.Receive(), "ask");
  target_.Send("answer");
  EXPECT_EQ(dialer_.Receive(), "answer");
  shutdown(target_.fd(), SHUT_RDWR);
  EXPECT_EQ(dialer_.Receive(), "");
}

TEST_F(PeerNetworkTest, OneDirectionIsHeldAndComesLate) {
  network_.SetRule(0, 1, {.bytes = LinkRule::Bytes::kHold});
  dialer_.Send("late");
  EXPECT_EQ(target_.Receive(kNotNow), "-");
  target_.Send("other way");
  EXPECT_EQ(dialer_.Receive(), "other way");
  network_.Heal();
  EXPECT_EQ(target_.Receive(), "late");
  EXPECT_GT(network_.counts().withheld_chunks, 0U);
}

TEST_F(PeerNetworkTest, WhatIsDroppedNeverComesAndNothingFollowsIt) {
  network_.SetRule(0, 1, {.bytes = LinkRule::Bytes::kDrop});
  dialer_.Send("lost");
  EXPECT_EQ(target_.Receive(kNotNow), "-");
  network_.Heal();
  EXPECT_EQ(target_.Receive(), "");
  EXPECT_EQ(dialer_.Receive(), "");
}

TEST_F(PeerNetworkTest, DelayedBytesStayInOrder) {
  constexpr Millis kDelay(200);
  network_.SetRule(0, 1, {.delay_min = kDelay, .delay_max = 2 * kDelay});
  const Clock::time_point start = Clock::now();
  std::string sent;
  for (const char letter : std::string("abcdefgh")) {
    dialer_.Send(std::string(1, letter));
    sent.push_back(letter);
  }
  std::string received;
  while (received.size() < sent.size()) {
    const std::string more = target_.Receive();
    ASSERT_NE(more, "-");
    received += more;
  }
  EXPECT_EQ(received, sent);
  EXPECT_GE(integration::Since(start), kDelay);
  EXPECT_GT(network_.counts().delayed_chunks, 0U);
}

TEST_F(PeerNetworkTest, ASlowLinkCarriesWhatItCanInItsDirectionAlone) {
  constexpr size_t kBytes = 200'000;
  network_.SetRule(0, 1, {.bytes_per_second = 400'000});
  const Clock::time_point start = Clock::now();
  std::thread sender([&] { dialer_.Send(std::string(kBytes, 's')); });
  target_.Send("other way");
  EXPECT_EQ(dialer_.Receive(), "other way");
  EXPECT_LT(integration::Since(start), Millis(400));
  size_t received = 0;
  while (received < kBytes) {
    const std::string more = target_.Receive();
    ASSERT_GT(more.size(), 1U);
    received += more.size();
  }
  sender.join();
  EXPECT_GE(integration::Since(start), Millis(450));
  EXPECT_LE(integration::Since(start), Millis(2000));
  EXPECT_GT(network_.counts().slow_waits, 0U);
}

TEST_F(PeerNetworkTest, ConnectionsShareASlowLink) {
  constexpr size_t kBytes = 400'000;
  network_.SetRule(0, 1, {.bytes_per_second = 200'000});
  const Socket other_dialer(Dial());
  const Socket other_target(accept(listener_.fd(), nullptr, nullptr));
  std::thread sender([&] { dialer_.Send(std::string(kBytes, 's')); });
  const Clock::time_point start = Clock::now();
  EXPECT_TRUE(target_.Readable(kSoon));
  other_dialer.Send("urgent");
  EXPECT_EQ(other_target.Receive(), "urgent");
  EXPECT_LT(integration::Since(start), Millis(1000));
  network_.Heal();
  for (size_t received = 0; received < kBytes; received += target_.Receive().size()) {
  }
  sender.join();
}

TEST_F(PeerNetworkTest, AMemberThatMovedIsReachedAtItsNewAddressAlone) {
  int new_port = 0;
  const Socket new_listener(Listen(&new_port));
  network_.Move(1, absl::StrCat("127.0.0.1:", new_port));
  EXPECT_EQ(network_.RedirectsOf(0).find(absl::StrCat("127.0.0.1:", port_, " ")),
            std::string::npos);
  port_ = new_port;
  const Socket dialer(Dial());
  const Socket target(accept(new_listener.fd(), nullptr, nullptr));
  dialer.Send("here");
  EXPECT_EQ(target.Receive(), "here");
}

TEST_F(PeerNetworkTest, ResetsEndConnections) {
  network_.SetResets(1000);
  EXPECT_EQ(dialer_.Receive(), "");
  EXPECT_EQ(target_.Receive(), "");
  // Counts come out at the end of the relays' turn, the ends of connections in the middle.
  EXPECT_TRUE(integration::WaitUntil(Millis(5000), [&] { return network_.counts().resets > 0; }));
}

TEST_F(PeerNetworkTest, EveryPartitionOfTwoCutsThem) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    simulation::Dice dice(seed, "partition");
    PeerNetwork network({"127.0.0.1:1", "127.0.0.1:2"});
    BeginNetworkFault(FaultKind::kPartition, std::nullopt, &network, &dice);
    EXPECT_NE(network.rule(0, 1).bytes, LinkRule::Bytes::kPass) << seed;
    EXPECT_NE(network.rule(1, 0).bytes, LinkRule::Bytes::kPass) << seed;
  }
}

TEST_F(PeerNetworkTest, ABridgeHearsAllAndTheOthersAreInTwoGroups) {
  for (const size_t size : {3U, 5U}) {
    simulation::Dice dice(size, "bridge");
    PeerNetwork network(std::vector<std::string>(size, "127.0.0.1:1"));
    BeginNetworkFault(FaultKind::kBridge, /*leader=*/0, &network, &dice);
    size_t cut = 0;
    size_t bridges = 0;
    for (size_t from = 0; from < size; ++from) {
      size_t cut_from = 0;
      for (size_t to = 0; to < size; ++to) {
        cut_from += network.rule(from, to).bytes != LinkRule::Bytes::kPass ? 1 : 0;
      }
      cut += cut_from;
      bridges += cut_from == 0 ? 1 : 0;
    }
    const size_t group = (size - 1) / 2;
    EXPECT_EQ(cut, 2 * group * group);
    EXPECT_EQ(bridges, 1U);
  }
}

}  // namespace
}  // namespace raftkv::chaos
