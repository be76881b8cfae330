// A disk that misbehaves on demand: preloaded into a server (LD_PRELOAD), every fsync and fdatasync
// does what the file named by FAIL_SYNC_WHILE says, while it exists:
//   (nothing)    answers EIO. What was written before stays written, as with a real disk that lost
//                a page
//   delay <ms>   waits first
//   lie          answers that all is well, and syncs nothing
// Each such call makes the file <FAIL_SYNC_WHILE>.felt. Rename a complete file into place: one that
// is still empty is an error.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void NoteFelt(const char* marker) {
  char path[4096];
  snprintf(path, sizeof(path), "%s.felt", marker);
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) {
    close(fd);
  }
}

// What the marker says; false when there is none.
static int ReadMarker(char* text, size_t size) {
  const char* marker = getenv("FAIL_SYNC_WHILE");
  const int fd = marker == NULL ? -1 : open(marker, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  const ssize_t length = read(fd, text, size - 1);
  text[length < 0 ? 0 : length] = '\0';
  close(fd);
  NoteFelt(marker);
  return 1;
}

static int SyncOrNot(const char* real_name, int fd) {
  char text[64];
  if (ReadMarker(text, sizeof(text))) {
    unsigned delay_ms = 0;
    if (strcmp(text, "lie") == 0) {
      return 0;
    }
    if (sscanf(text, "delay %u", &delay_ms) != 1) {
      errno = EIO;
      return -1;
    }
    usleep(delay_ms * 1000);
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, real_name);
  return real(fd);
}

int fsync(int fd) { return SyncOrNot("fsync", fd); }

int fdatasync(int fd) { return SyncOrNot("fdatasync", fd); }
