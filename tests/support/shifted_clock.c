// A wall clock that can be set: preloaded into a server (LD_PRELOAD), whatever reads or waits by
// CLOCK_REALTIME follows the shift in the file that SHIFTED_CLOCK names (shifted_clock_page.h),
// while the machine's clock and CLOCK_MONOTONIC stay as they are.
//
// A wait until a moment of the wall clock is waited in slices, so that a step that comes meanwhile
// counts, as it does in the kernel. Waits on condition variables wake spuriously after each slice.
#define _GNU_SOURCE
#include "tests/support/shifted_clock_page.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NANOS_PER_SECOND INT64_C(1000000000)
#define SLICE_NANOS INT64_C(10000000)
// No machine has been up for so long, so a later moment is one of the wall clock.
#define UPTIME_SECONDS_MAX INT64_C(1000000000)

typedef int (*ClockGettime)(clockid_t, struct timespec*);
typedef long (*Syscall)(long, ...);
typedef int (*CondTimedwait)(pthread_cond_t*, pthread_mutex_t*, const struct timespec*);
typedef int (*CondClockwait)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const struct timespec*);
typedef int (*SemTimedwait)(sem_t*, const struct timespec*);

static struct ShiftedClockPage* page;

// Libraries that start earlier read clocks as well, so nothing here waits for this.
__attribute__((constructor)) static void MapPage(void) {
  const char* path = getenv("SHIFTED_CLOCK");
  const int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(*page)) != 0) {
    return;
  }
  void* mapped = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  page = mapped == MAP_FAILED ? NULL : mapped;
}

static int64_t Nanos(const struct timespec* time) {
  return time->tv_sec * NANOS_PER_SECOND + time->tv_nsec;
}

static struct timespec Timespec(int64_t nanos) {
  struct timespec time = {nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND};
  return time;
}

static int RealClockGettime(clockid_t clock, struct timespec* time) {
  static ClockGettime real;
  if (real == NULL) {
    real = (ClockGettime)dlsym(RTLD_NEXT, "clock_gettime");
  }
  return real(clock, time);
}

static int64_t TrueNanos(clockid_t clock) {
  struct timespec now;
  RealClockGettime(clock, &now);
  return Nanos(&now);
}

static int64_t ShiftNanos(void) {
  if (page == NULL) {
    return 0;
  }
  for (;;) {
    const uint64_t before = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
    const int64_t offset = __atomic_load_n(&page->offset_nanos, __ATOMIC_ACQUIRE);
    const int64_t ppm = __atomic_load_n(&page->slew_ppm, __ATOMIC_ACQUIRE);
    const int64_t since = __atomic_load_n(&page->slewed_since_nanos, __ATOMIC_ACQUIRE);
    if (before % 2 == 0 && before == __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE)) {
      const int64_t elapsed = ppm == 0 ? 0 : TrueNanos(CLOCK_MONOTONIC) - since;
      const int64_t shift = offset + elapsed / 1000000 * ppm;
      __atomic_fetch_add(&page->readings, 1, __ATOMIC_RELAXED);
      return shift;
    }
  }
}

// How long it is until a moment of the shifted clock, and at most one slice; 0 when it has come.
static int64_t NextSlice(const struct timespec* until) {
  const int64_t now = TrueNanos(CLOCK_REALTIME) + ShiftNanos();
  if (until->tv_sec > now / NANOS_PER_SECOND + 1) {
    return SLICE_NANOS;
  }
  const int64_t left = Nanos(until) - now;
  return left <= 0 ? 0 : left < SLICE_NANOS ? left : SLICE_NANOS;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = RealClockGettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    *time = Timespec(Nanos(time) + ShiftNanos());
  }
  return result;
}

int gettimeofday(struct timeval* time, void* zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) {
    *out = now.tv_sec;
  }
  return now.tv_sec;
}

// The kernel looks at the futex anew for every slice, so no wake-up is lost between two.
static long WaitForFutex(Syscall real, const long* arguments) {
  const struct timespec* until = (const struct timespec*)arguments[3];
  const long operation = FUTEX_WAIT_BITSET | (arguments[1] & FUTEX_PRIVATE_FLAG);
  for (;;) {
    const int64_t slice = NextSlice(until);
    if (slice == 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    const struct timespec end = Timespec(TrueNanos(CLOCK_MONOTONIC) + slice);
    const long result =
        real(SYS_futex, arguments[0], operation, arguments[2], &end, NULL, arguments[5]);
    if (result == 0 || errno != ETIMEDOUT) {
      return result;
    }
  }
}

long syscall(long number, ...) {
  static Syscall real;
  if (real == NULL) {
    real = (Syscall)dlsym(RTLD_NEXT, "syscall");
  }
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; ++i) {
    arguments[i] = va_arg(list, long);
  }
  va_end(list);
  if (number == SYS_futex && (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 &&
      (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && arguments[3] != 0) {
    return WaitForFutex(real, arguments);
  }
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}

// The version by which glibc tells this one from LinuxThreads' function of the same name.
static void* FindCond(const char* name) {
  void* found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
  return found != NULL ? found : dlsym(RTLD_NEXT, name);
}

int pthread_cond_clockwait(pthread_cond_t* cond, pthread_mutex_t* mutex, clockid_t clock,
                           const struct timespec* until) {
  static CondClockwait real;
  if (real == NULL) {
    real = (CondClockwait)dlsym(RTLD_NEXT, "pthread_cond_clockwait");
  }
  if (clock != CLOCK_REALTIME) {
    return real(cond, mutex, clock, until);
  }
  const int64_t slice = NextSlice(until);
  if (slice == 0) {
    return ETIMEDOUT;
  }
  const struct timespec end = Timespec(TrueNanos(CLOCK_MONOTONIC) + slice);
  const int result = real(cond, mutex, CLOCK_MONOTONIC, &end);
  return result == ETIMEDOUT ? 0 : result;
}

int pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex,
                           const struct timespec* until) {
  static CondTimedwait real;
  if (real == NULL) {
    real = (CondTimedwait)FindCond("pthread_cond_timedwait");
  }
  // Which clock the condition has, its attributes alone know.
  return until->tv_sec < UPTIME_SECONDS_MAX
             ? real(cond, mutex, until)
             : pthread_cond_clockwait(cond, mutex, CLOCK_REALTIME, until);
}

int sem_timedwait(sem_t* semaphore, const struct timespec* until) {
  static SemTimedwait real;
  if (real == NULL) {
    real = (SemTimedwait)dlsym(RTLD_NEXT, "sem_timedwait");
  }
  for (;;) {
    const int64_t slice = NextSlice(until);
    const struct timespec end = Timespec(TrueNanos(CLOCK_REALTIME) + slice);
    const int result = real(semaphore, &end);
    if (result == 0 || errno != ETIMEDOUT || slice == 0) {
      return result;
    }
  }
}
