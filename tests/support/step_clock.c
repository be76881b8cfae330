// Steps a process's wall clock: preloaded (LD_PRELOAD), CLOCK_REALTIME reads as many seconds later as
// the text in the file STEP_CLOCK says, from whenever it says so. What waits until a moment of the
// wall clock waits by the stepped one, as it would by the kernel's.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { kSliceNanos = 10 * 1000 * 1000 };

static int (*real_clock_gettime)(clockid_t, struct timespec*);
static long (*real_syscall)(long, ...);
static int step_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void Begin(void) {
  real_clock_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  const char* path = getenv("STEP_CLOCK");
  step_fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

static long StepSeconds(void) {
  char text[32] = "";
  const ssize_t length = step_fd < 0 ? 0 : pread(step_fd, text, sizeof(text) - 1, 0);
  return length <= 0 ? 0 : strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  pthread_once(&once, Begin);
  const int result = real_clock_gettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    time->tv_sec += StepSeconds();
  }
  return result;
}

int gettimeofday(struct timeval* time, void* zone) {
  (void)zone;
  struct timespec now;
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) {
    *out = now.tv_sec;
  }
  return now.tv_sec;
}

// Waits on a futex until a moment of the stepped clock, looking at that clock again and again.
static long WaitByStepClock(const long* arguments) {
  const struct timespec* until = (const struct timespec*)arguments[3];
  const long wait = FUTEX_WAIT | (arguments[1] & FUTEX_PRIVATE_FLAG);
  for (;;) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const long long left =
        (long long)(until->tv_sec - now.tv_sec) * 1000000000LL + (until->tv_nsec - now.tv_nsec);
    if (left <= 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    const struct timespec slice = {0, left < kSliceNanos ? (long)left : kSliceNanos};
    const long result = real_syscall(SYS_futex, arguments[0], wait, arguments[2], &slice, NULL, 0);
    if (result == 0 || errno != ETIMEDOUT) {
      return result;
    }
  }
}

long syscall(long number, ...) {
  pthread_once(&once, Begin);
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; ++i) {
    arguments[i] = va_arg(list, long);
  }
  va_end(list);
  if (number == SYS_futex && (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 &&
      (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && arguments[3] != 0) {
    return WaitByStepClock(arguments);
  }
  return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                      arguments[5]);
}
