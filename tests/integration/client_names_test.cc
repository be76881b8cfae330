// raftkv::Client and names: a member that comes back at another address of the same name.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

constexpr char kName[] = "kv.raftkv.test";

// /etc/hosts as this process and its children see it. Made before any thread, because threads that
// are there already go on seeing the old one.
class HostsFile {
 public:
  HostsFile() {
    WriteFile(path_, "127.0.0.1 localhost\n");
    usable_ = unshare(CLONE_NEWNS) == 0 &&
              mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              mount(path_.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
    error_ = errno;
  }

  bool usable() const { return usable_; }
  std::string error() const { return std::strerror(error_); }
  void PointTo(const std::string& address) {
    WriteFile(path_, absl::StrCat("127.0.0.1 localhost\n", address, " ", kName, "\n"));
  }

 private:
  TempDir dir_;
  const std::string path_ = dir_.File("hosts");
  bool usable_ = false;
  int error_ = 0;
};

TEST(ClientNamesTest, AMemberThatComesBackAtAnotherAddressIsFoundSoon) {
  HostsFile hosts;
  if (!hosts.usable()) {
    GTEST_SKIP() << "cannot mount a hosts file: " << hosts.error();
  }
  TempDir dir;
  const int port = PickFreePort();
  ServerProcess server({.name = "",
                        .data_dir = dir.File("data"),
                        .listen_client = absl::StrCat("127.0.1.1:", port),
                        .listen_peer = "127.0.0.1:0",
                        .initial_cluster = "",
                        .flags = {},
                        .env = {}});
  hosts.PointTo("127.0.1.1");
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  absl::StatusOr<Client> client = Client::Create(
      {.endpoints = {absl::StrCat(kName, ":", port)}, .request_timeout = absl::Seconds(1)});
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] { return client->Put("a", "1").ok(); }));
  for (const char* address : {"127.0.1.2", "127.0.1.3"}) {
    server.Kill9();
    // It looks for the member where it was.
    for (int calls = 0; calls < 5; ++calls) {
      EXPECT_FALSE(client->Put("a", "2").ok());
    }
    hosts.PointTo(address);
    server.options().listen_client = absl::StrCat(address, ":", port);
    server.Start();
    ASSERT_TRUE(server.WaitReady()) << server.LogTail();
    const Clock::time_point start = Clock::now();
    absl::Status put;
    EXPECT_TRUE(WaitUntil(Millis(40000), [&] {
      put = client->Put("a", "3").status();
      return put.ok();
    })) << put;
    EXPECT_LE(Since(start), Millis(3500)) << "an election, a look-up and one reconnection";
  }
}

}  // namespace
}  // namespace raftkv::integration
