// Sends a server's outgoing connections elsewhere: preloaded (LD_PRELOAD), every connect to a port
// of 127.0.0.1 that REDIRECT_CONNECT lists ("<port>:<other>,<port>:<other>") goes to the other
// port. So each member can reach each other one through a relay of its own, though all are told the
// same addresses.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// The port that stands in for `port`, or `port` itself.
static unsigned Redirected(unsigned port) {
  const char* rest = getenv("REDIRECT_CONNECT");
  while (rest != NULL && *rest != '\0') {
    unsigned from = 0;
    unsigned to = 0;
    if (sscanf(rest, "%u:%u", &from, &to) == 2 && from == port) {
      return to;
    }
    rest = strchr(rest, ',');
    rest = rest == NULL ? NULL : rest + 1;
  }
  return port;
}

// Where the port of a loopback address is; NULL of any other address.
static in_port_t* PortOfLoopback(struct sockaddr_storage* address) {
  struct sockaddr_in* v4 = (struct sockaddr_in*)address;
  struct sockaddr_in6* v6 = (struct sockaddr_in6*)address;
  if (address->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
    return &v4->sin_port;
  }
  if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    return &v6->sin6_port;
  }
  return NULL;
}

int connect(int fd, const struct sockaddr* address, socklen_t length) {
  int (*real)(int, const struct sockaddr*, socklen_t) =
      (int (*)(int, const struct sockaddr*, socklen_t))dlsym(RTLD_NEXT, "connect");
  struct sockaddr_storage copy;
  if (length > sizeof(copy)) {
    return real(fd, address, length);
  }
  memset(&copy, 0, sizeof(copy));
  memcpy(&copy, address, length);
  in_port_t* port = PortOfLoopback(&copy);
  if (port != NULL) {
    *port = htons((uint16_t)Redirected(ntohs(*port)));
  }
  return real(fd, (const struct sockaddr*)&copy, length);
}
