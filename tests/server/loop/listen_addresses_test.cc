#include "server/loop/listen_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace raftkv::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

auto Take(const std::string& address) { return ListenAddresses::Take(*HostPort::Parse(address)); }

std::string Why(const std::string& address) {
  const auto taken = Take(address);
  return std::string(taken.status().message());
}

// A socket that somebody else listens on, at ::1 or an IPv4 address.
class Listener {
 public:
  explicit Listener(int family, in_addr_t ipv4 = INADDR_LOOPBACK)
      : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 bound = {};
    socklen_t size = sizeof(bound);
    if (family == AF_INET6) {
      bound.sin6_addr = in6addr_loopback;
    } else {
      reinterpret_cast<sockaddr_in*>(&bound)->sin_addr.s_addr = htonl(ipv4);
    }
    bound.sin6_family = static_cast<sa_family_t>(family);
    ok_ = bind(fd_, reinterpret_cast<sockaddr*>(&bound),
               family == AF_INET6 ? size : sizeof(sockaddr_in)) == 0 &&
          listen(fd_, 1) == 0 && getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) == 0;
    port_ = std::to_string(ntohs(bound.sin6_port));
  }
  ~Listener() { close(fd_); }

  bool ok() const { return ok_; }
  const std::string& port() const { return port_; }

 private:
  const int fd_;
  bool ok_ = false;
  std::string port_;
};

TEST(ListenAddressesTest, WhatIsInUseIsNamedInTheSystemsWords) {
  std::string port;
  {
    const Listener other(AF_INET);
    ASSERT_TRUE(other.ok());
    port = other.port();
    EXPECT_EQ(Why("127.0.0.1:" + port),
              "cannot listen on 127.0.0.1:" + port + ": Address already in use");
    EXPECT_THAT(Why(":" + port), HasSubstr("Address already in use"));
    EXPECT_THAT(Why("0.0.0.0:" + port), HasSubstr("Address already in use"));
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Why("127.0.0.1:" + port), "") << "nothing is left behind";
  }
  EXPECT_EQ(Why("192.0.2.1:1"), "cannot listen on 192.0.2.1:1: Cannot assign requested address");
  EXPECT_THAT(Why("no-such-host.invalid:1"), HasSubstr("no-such-host.invalid"));
}

TEST(ListenAddressesTest, EveryAddressOfANameIsTakenOrNone) {
  const auto all = Take("localhost:0");
  ASSERT_TRUE(all.ok()) << all.status();
  const std::vector<std::string>& addresses = (*all)->addresses();
  const std::string port = std::to_string((*all)->port());
  EXPECT_NE(port, "0");
  for (const std::string& address : addresses) {
    EXPECT_TRUE(absl::EndsWith(address, ":" + port)) << address << " has another port";
  }
  const auto has = [&](const std::string& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  };
  if (!has("127.0.0.1:" + port) || !has("[::1]:" + port)) {
    GTEST_SKIP() << "localhost does not mean both 127.0.0.1 and ::1 here";
  }
  for (const int family : {AF_INET, AF_INET6}) {
    const Listener other(family);
    ASSERT_TRUE(other.ok());
    EXPECT_THAT(Why("localhost:" + other.port()), HasSubstr("Address already in use"));
    EXPECT_THAT(Why(":" + other.port()), HasSubstr("Address already in use"));
  }
}

// The first address gets a port that may be in use at the second: tests/support/two_addresses.c
// gives the name 127.0.0.1 and 127.0.0.2.
TEST(ListenAddressesTest, AnyPortIsOneThatIsFreeAtEveryAddress) {
  std::deque<Listener> others;
  for (int i = 0; i < 800; ++i) {
    ASSERT_TRUE(others.emplace_back(AF_INET, INADDR_LOOPBACK + 1).ok());
  }
  for (int i = 0; i < 400; ++i) {
    ASSERT_EQ(Why("two-addresses.test:0"), "");
  }
  EXPECT_THAT(Why("two-addresses.test:" + others.front().port()),
              HasSubstr("Address already in use"));
}

TEST(ListenAddressesTest, SomebodyElseCanListenWhereItHolds) {
  const auto held = Take("127.0.0.1:0");
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_THAT((*held)->addresses(), ElementsAre(absl::StrCat("127.0.0.1:", (*held)->port())));
  EXPECT_THAT((*held)->left_out(), IsEmpty());
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<in_port_t>((*held)->port()));
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd, 1), 0);
  close(fd);
}

TEST(ListenAddressesTest, SocketsThatAreHandedOverListenAndDoNotBlock) {
  std::vector<int> sockets;
  std::string port;
  {
    auto taken = *Take("127.0.0.1:0");
    port = std::to_string(taken->port());
    EXPECT_EQ(Why("127.0.0.1:" + port), "") << "it is only held as yet";
    sockets = *taken->Listen(/*backlog=*/1);
  }
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_THAT(Why("127.0.0.1:" + port), HasSubstr("Address already in use"));
  EXPECT_EQ(accept(sockets[0], nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
  close(sockets[0]);
}

}  // namespace
}  // namespace raftkv::server
