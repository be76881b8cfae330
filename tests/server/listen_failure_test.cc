#include "server/listen_failure.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace raftkv::server {
namespace {

std::string Why(const std::string& address) { return WhyCannotListen(*HostPort::Parse(address)); }

TEST(WhyCannotListenTest, SaysItInTheSystemsWords) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  sockaddr_in bound = {};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(bound);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&bound), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  const std::string port = std::to_string(ntohs(bound.sin_port));
  EXPECT_EQ(Why("127.0.0.1:" + port), "Address already in use");
  EXPECT_EQ(Why(":" + port), "Address already in use");
  close(fd);
  EXPECT_EQ(Why("127.0.0.1:" + port), "gRPC does not say why") << "nothing is left behind";
  EXPECT_EQ(Why("192.0.2.1:" + port), "Cannot assign requested address");
  EXPECT_NE(Why("no-such-host.invalid:1"), "");
}

}  // namespace
}  // namespace raftkv::server
