// Sends a server's outgoing connections elsewhere: preloaded (LD_PRELOAD), every connect to a
// loopback address that the file named by REDIRECT_CONNECT lists goes to another port of 127.0.0.1.
// A line is "127.0.0.1:<port> <other port>". So each member can reach each other one through a relay
// of its own, though all are told the same addresses. The file is read at each connect; rename a
// complete one into place.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// The port that stands in for an address, both in the host's byte order; 0 when none does.
static unsigned Substitute(in_addr_t address, unsigned port) {
  const char* path = getenv("REDIRECT_CONNECT");
  FILE* file = path == NULL ? NULL : fopen(path, "re");
  unsigned found = 0;
  unsigned bytes[4];
  unsigned from;
  unsigned to;
  while (file != NULL && found == 0 &&
         fscanf(file, "%u.%u.%u.%u:%u %u", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &from,
                &to) == 6) {
    const in_addr_t listed = bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
    found = listed == address && from == port ? to : 0;
  }
  if (file != NULL) {
    fclose(file);
  }
  return found;
}

// Writes the substitute, if there is one, in place of an IPv4 address in the network's byte order.
static void Redirect(in_addr_t* address, in_port_t* port) {
  const in_addr_t host = ntohl(*address);
  if (host >> 24 == IN_LOOPBACKNET) {
    const unsigned other = Substitute(host, ntohs(*port));
    if (other != 0) {
      *address = htonl(INADDR_LOOPBACK);
      *port = htons((in_port_t)other);
    }
  }
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
  struct sockaddr_in* v4 = (struct sockaddr_in*)&copy;
  struct sockaddr_in6* v6 = (struct sockaddr_in6*)&copy;
  if (copy.ss_family == AF_INET) {
    Redirect(&v4->sin_addr.s_addr, &v4->sin_port);
  } else if (copy.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    Redirect(&v6->sin6_addr.s6_addr32[3], &v6->sin6_port);
  }
  return real(fd, (const struct sockaddr*)&copy, length);
}
