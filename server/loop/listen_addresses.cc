#include "server/loop/listen_addresses.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace raftkv::server {

struct SocketAddress {
  sockaddr_storage bytes = {};
  socklen_t size = 0;

  int family() const { return bytes.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  // sin_port and sin6_port lie at the same place.
  in_port_t& port() { return reinterpret_cast<sockaddr_in*>(&bytes)->sin_port; }
};

namespace {

// How many ports are tried where any will do.
constexpr int kPortTriesMax = 10;

SocketAddress Copy(const sockaddr* address, socklen_t size) {
  SocketAddress copy;
  memcpy(&copy.bytes, address, size);
  copy.size = size;
  return copy;
}

SocketAddress Wildcard(int family) {
  SocketAddress address;
  address.bytes.ss_family = static_cast<sa_family_t>(family);
  address.size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  return address;
}

std::string ToText(SocketAddress address) {
  char host[NI_MAXHOST] = {};
  getnameinfo(address.get(), address.size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  return HostPort{.host = host, .port = ntohs(address.port())}.ToString();
}

absl::StatusOr<std::vector<SocketAddress>> Resolve(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot find ", host, ": ", gai_strerror(error)));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const SocketAddress address = Copy(one->ai_addr, one->ai_addrlen);
    const bool known =
        std::any_of(addresses.begin(), addresses.end(),
                    [&](const SocketAddress& other) { return ToText(other) == ToText(address); });
    if (!known) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

bool MachineHas(int family) {
  ifaddrs* interfaces = nullptr;
  if (getifaddrs(&interfaces) != 0) {
    return true;
  }
  const absl::Cleanup free_interfaces = [interfaces] { freeifaddrs(interfaces); };
  for (const ifaddrs* one = interfaces; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr != nullptr && one->ifa_addr->sa_family == family) {
      return true;
    }
  }
  return false;
}

// A socket that holds the address, or -1 with errno set. Fills a port of 0.
int HoldOne(SocketAddress* address) {
  const int fd = socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -1;
  }
  // As gRPC does, which can then listen there although this socket is there, too. Only connections
  // of an earlier process that linger do not count: whoever listens is in the way.
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address->family() == AF_INET6) {
    const int off = 0;
    const bool wildcard =
        IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<sockaddr_in6*>(&address->bytes)->sin6_addr);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, wildcard ? &off : &on, sizeof(on));
  }
  if (bind(fd, address->get(), address->size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address->bytes), &address->size) != 0) {
    const int reason = errno;
    close(fd);
    errno = reason;
    return -1;
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ListenAddresses>> ListenAddresses::Take(const HostPort& address) {
  std::vector<SocketAddress> wanted;
  if (address.IsWildcard()) {
    // gRPC takes a wildcard of either family for both, where there are both.
    wanted = {Wildcard(MachineHas(AF_INET6) ? AF_INET6 : AF_INET)};
  } else {
    absl::StatusOr<std::vector<SocketAddress>> resolved = Resolve(address.host);
    if (!resolved.ok()) {
      return resolved.status();
    }
    wanted = *std::move(resolved);
  }
  for (int tries_left = kPortTriesMax - 1;; --tries_left) {
    auto taken = std::unique_ptr<ListenAddresses>(new ListenAddresses);
    taken->port_ = address.port;
    const absl::Status status = taken->Hold(wanted);
    if (status.ok()) {
      return taken;
    }
    // A port that is free at one address may be in use at the next.
    if (address.port != 0 || taken->fds_.empty() || tries_left == 0) {
      return status;
    }
  }
}

absl::Status ListenAddresses::Hold(const std::vector<SocketAddress>& wanted) {
  std::string failure;
  for (SocketAddress one : wanted) {
    one.port() = htons(static_cast<in_port_t>(port_));
    const int fd = HoldOne(&one);
    if (fd < 0) {
      const int reason = errno;
      const bool foreign = reason == EADDRNOTAVAIL || reason == EAFNOSUPPORT;
      failure = absl::StrCat("cannot listen on ", ToText(one), ": ",
                             std::generic_category().message(reason));
      if (!foreign || MachineHas(one.family())) {
        return absl::UnavailableError(failure);
      }
      left_out_.push_back(ToText(one));
      continue;
    }
    fds_.push_back(fd);
    port_ = ntohs(one.port());
    addresses_.push_back(ToText(one));
  }
  return addresses_.empty() ? absl::UnavailableError(failure) : absl::OkStatus();
}

absl::StatusOr<std::vector<int>> ListenAddresses::Listen(int backlog) {
  for (size_t i = 0; i < fds_.size(); ++i) {
    if (listen(fds_[i], backlog) != 0 || fcntl(fds_[i], F_SETFL, O_NONBLOCK) != 0) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", addresses_[i], ": ",
                                                 std::generic_category().message(errno)));
    }
  }
  return std::exchange(fds_, {});
}

ListenAddresses::~ListenAddresses() {
  for (const int fd : fds_) {
    close(fd);
  }
}

}  // namespace raftkv::server
