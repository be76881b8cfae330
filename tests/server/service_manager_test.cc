#include "server/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/temp_dir.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;

// The manager's end.
class Manager {
 public:
  explicit Manager(const std::string& address) : fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un bound = {};
    bound.sun_family = AF_UNIX;
    memcpy(bound.sun_path, address.data(), address.size());
    if (address[0] == '@') {
      bound.sun_path[0] = '\0';
    }
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&bound), size), 0);
  }
  ~Manager() { close(fd_); }

  // The datagram that has come.
  std::string Received() const {
    char buffer[256];
    const ssize_t size = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    return size < 0 ? "none" : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  const int fd_;
};

TEST(NotifyServiceManagerTest, SendsOneDatagram) {
  const integration::TempDir dir;
  for (const std::string& address : {dir.File("socket"), absl::StrCat("@raftkv-test-", getpid())}) {
    const Manager manager(address);
    EXPECT_TRUE(NotifyServiceManager(address, "READY=1").ok()) << address;
    EXPECT_EQ(manager.Received(), "READY=1");
    EXPECT_EQ(manager.Received(), "none");
  }
}

TEST(NotifyServiceManagerTest, SaysWhyItCannot) {
  const integration::TempDir dir;
  const std::string path = dir.File("nobody");
  EXPECT_EQ(NotifyServiceManager(path, "READY=1").message(),
            absl::StrCat("NOTIFY_SOCKET=", path, ": No such file or directory"));
  for (const std::string& address :
       {std::string(), std::string("/"), std::string("relative"), std::string(200, '/')}) {
    EXPECT_THAT(std::string(NotifyServiceManager(address, "READY=1").message()),
                HasSubstr("is no address"));
  }
}

}  // namespace
}  // namespace raftkv::server
