#!/usr/bin/env bash
# Abseil 20220623 (Debian 12: libabsl-dev 20220623.1-1+deb12u2): a wait of absl::CondVar with a relative timeout ends at
# a moment of the wall clock. When that clock is set back meanwhile, the wait takes longer by as much. gRPC 1.51's timer
# thread waits this way, so its reconnects, keepalives and deadlines are late by the step, although they are due by a
# monotonic clock.
#
# The program sets no clock: its own clock_gettime() shifts what Abseil is told, and its own syscall() ends a futex wait
# that has an absolute wall-clock deadline by that shifted clock, as the kernel would after a real step.
#
# Seen:     WaitWithTimeout(1 s), set back by 2 s after 0.2 s: futex waits until a wall-clock moment: yes; took 3.0 s
# Expected: 1.0 s, since it is given a duration.
# Needs apt-get and g++. Exit 0: behaves so; 1: it changed; 2: could not be tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
readonly VERSION=20220623.1-1+deb12u2
if ! apt-get download -q "libabsl-dev=$VERSION" "libabsl20220623=$VERSION" >/dev/null 2>&1; then
  echo "the packages are not to be had"
  exit 2
fi
for package in ./*.deb; do dpkg -x "$package" root; done
cat >wait.cc <<'CC'
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

static std::atomic<long> shift_seconds{0};
static std::atomic<bool> waits_for_wall_clock{false};

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static auto real = reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = real(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += shift_seconds;
  return result;
}

extern "C" long syscall(long number, ...) noexcept {
  static auto real = reinterpret_cast<long (*)(long, ...)>(dlsym(RTLD_NEXT, "syscall"));
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  const bool absolute = number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET &&
                        (a[1] & FUTEX_CLOCK_REALTIME) != 0 && a[3] != 0;
  if (!absolute) return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  waits_for_wall_clock = true;
  const auto* until = reinterpret_cast<const timespec*>(a[3]);
  while (true) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec)) {
      errno = ETIMEDOUT;
      return -1;
    }
    timespec slice{0, 10'000'000};
    const long result = real(SYS_futex, a[0], FUTEX_WAIT | (a[1] & FUTEX_PRIVATE_FLAG), a[2], &slice, 0L, 0L);
    if (result == 0 || errno != ETIMEDOUT) return result;
  }
}

int main() {
  absl::Mutex mutex;
  absl::CondVar changed;
  std::thread step([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    shift_seconds = -2;
  });
  const auto begin = std::chrono::steady_clock::now();
  {
    absl::MutexLock lock(&mutex);
    while (!changed.WaitWithTimeout(&mutex, absl::Seconds(1))) {
    }
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  step.join();
  std::printf("futex waits until a wall-clock moment: %s; WaitWithTimeout(1 s) took %.1f s\n",
              waits_for_wall_clock ? "yes" : "no", took);
  return waits_for_wall_clock && took > 2.5 && took < 4.0 ? 0 : 1;
}
CC
libraries=$(find root -name 'libabsl_*.a' | sort)
# shellcheck disable=SC2086
g++ -std=c++17 -O1 -I root/usr/include wait.cc -Wl,--start-group $libraries -Wl,--end-group -ldl -lpthread -rdynamic \
  -o wait || exit 2
./wait
