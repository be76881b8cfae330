#include "tests/support/shifted_clock.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace raftkv::integration {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kMillion = 1'000'000;

int64_t MonotonicNanos() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

ShiftedClock::ShiftedClock(std::string path) : path_(std::move(path)) {
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  PCHECK(fd >= 0 && ftruncate(fd, sizeof(*page_)) == 0) << path_;
  void* const mapped = mmap(nullptr, sizeof(*page_), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  PCHECK(mapped != MAP_FAILED) << path_;
  close(fd);
  page_ = static_cast<ShiftedClockPage*>(mapped);
}

ShiftedClock::~ShiftedClock() { munmap(page_, sizeof(*page_)); }

std::string ShiftedClock::environment() const { return absl::StrCat("SHIFTED_CLOCK=", path_); }

void ShiftedClock::Step(int64_t seconds) { Change(seconds * kNanosPerSecond, 0); }

void ShiftedClock::Slew(int64_t ppm) { Change(0, ppm); }

void ShiftedClock::Change(int64_t step_nanos, int64_t slew_ppm) {
  const int64_t now = MonotonicNanos();
  const int64_t slewed = (now - page_->slewed_since_nanos) / kMillion * page_->slew_ppm;
  __atomic_fetch_add(&page_->sequence, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&page_->offset_nanos, slewed + step_nanos, __ATOMIC_SEQ_CST);
  __atomic_store_n(&page_->slew_ppm, slew_ppm, __ATOMIC_SEQ_CST);
  __atomic_store_n(&page_->slewed_since_nanos, now, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&page_->sequence, 1, __ATOMIC_SEQ_CST);
}

uint64_t ShiftedClock::readings() const {
  return __atomic_load_n(&page_->readings, __ATOMIC_RELAXED);
}

}  // namespace raftkv::integration
