// Gives a name two addresses, as `localhost` has where it means 127.0.0.1 and ::1: preloaded
// (LD_PRELOAD), getaddrinfo finds 127.0.0.1 and 127.0.0.2 for "two-addresses.test".
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

typedef int (*GetAddrInfo)(const char*, const char*, const struct addrinfo*, struct addrinfo**);

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints,
                struct addrinfo** found) {
  const GetAddrInfo real = (GetAddrInfo)dlsym(RTLD_NEXT, "getaddrinfo");
  if (node == NULL || strcmp(node, "two-addresses.test") != 0) {
    return real(node, service, hints, found);
  }
  int error = real("127.0.0.1", service, hints, found);
  if (error != 0) {
    return error;
  }
  struct addrinfo** end = found;
  while (*end != NULL) {
    end = &(*end)->ai_next;
  }
  error = real("127.0.0.2", service, hints, end);
  if (error != 0) {
    freeaddrinfo(*found);
  }
  return error;
}
