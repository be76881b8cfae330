// A disk that fails on demand: preloaded into a server (LD_PRELOAD), every fsync and fdatasync
// answers EIO while the file named by FAIL_SYNC_WHILE exists. What was written before stays
// written, as with a real disk that lost a page.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int Fails(void) {
  const char* marker = getenv("FAIL_SYNC_WHILE");
  return marker != NULL && access(marker, F_OK) == 0;
}

static int SyncOrFail(const char* real_name, int fd) {
  if (Fails()) {
    errno = EIO;
    return -1;
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, real_name);
  return real(fd);
}

int fsync(int fd) { return SyncOrFail("fsync", fd); }

int fdatasync(int fd) { return SyncOrFail("fdatasync", fd); }
