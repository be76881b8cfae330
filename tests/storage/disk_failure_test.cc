// A disk that takes no more bytes: the process ends, and nothing that was acknowledged is lost.
#include <signal.h>
#include <sys/resource.h>

#include <string>

#include "glog/logging.h"
#include "gtest/gtest.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

// Writes beyond this size of a file fail with EFBIG from now on, in this process.
void LimitFileSize(rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

constexpr rlim_t kFileBytesMax = 50'000;
constexpr int kMany = 1000;

class DiskFailureDeathTest : public testing::Test {
 protected:
  // RocksDB's threads do not survive a mere fork.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(DiskFailureDeathTest, FailedLogWriteAborts) {
  TempDir dir;
  EXPECT_EXIT(
      {
        Store store(dir.File("data"));
        store.Open();
        LimitFileSize(kFileBytesMax);
        for (uint64_t i = 1; i <= kMany; ++i) {
          store.Append({CommandEntry(i, {Put("k", std::string(1000, 'v'))})});
        }
      },
      testing::KilledBySignal(SIGABRT),
      "stopping: could not write .*Nothing acknowledged is lost; restart once");
}

TEST_F(DiskFailureDeathTest, FailedApplyAborts) {
  TempDir dir;
  EXPECT_EXIT(
      {
        Store store(dir.File("data"));
        store.Open();
        LimitFileSize(kFileBytesMax);
        for (uint64_t i = 1; i <= kMany; ++i) {
          store.Apply({CommandEntry(i, {Put("k", std::string(1000, 'v'))})});
        }
      },
      testing::KilledBySignal(SIGABRT), "stopping: could not .*[.]log: File too large");
}

}  // namespace
}  // namespace raftkv::storage
