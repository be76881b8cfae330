#include "server/service_manager.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace raftkv::server {
namespace {

absl::Status Failure(const std::string& address) {
  return absl::UnavailableError(
      absl::StrCat("NOTIFY_SOCKET=", address, ": ", std::generic_category().message(errno)));
}

}  // namespace

absl::Status NotifyServiceManager(const std::string& address, const std::string& state) {
  sockaddr_un socket_address = {};
  if (address.size() < 2 || address.size() >= sizeof(socket_address.sun_path) ||
      (address[0] != '/' && address[0] != '@')) {
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET=", address, ": is no address"));
  }
  socket_address.sun_family = AF_UNIX;
  memcpy(socket_address.sun_path, address.data(), address.size());
  if (address[0] == '@') {
    socket_address.sun_path[0] = '\0';
  }
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return Failure(address);
  }
  const absl::Cleanup close_socket = [fd] { close(fd); };
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  if (sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&socket_address), size) < 0) {
    return Failure(address);
  }
  return absl::OkStatus();
}

}  // namespace raftkv::server
