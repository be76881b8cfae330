#include "tests/chaos/relay_connection.h"

#include <glog/logging.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;

// More than that is left in the sockets, and so holds up the sender as a real link would.
constexpr size_t kWaitingBytesMax = 8 << 20;
constexpr size_t kReadBytes = 64 << 10;
// A slow link's queue, as routers have it.
constexpr size_t kSlowWaitingBytesMax = 128 << 10;
// What a slow link carries at once.
constexpr uint64_t kSlicesPerSecond = 100;

}  // namespace

RelayConnection::RelayConnection(int dialer_fd, int target_fd, size_t dialer, size_t target)
    : fds_{dialer_fd, target_fd}, members_{dialer, target} {}

RelayConnection::~RelayConnection() {
  for (const int fd : fds_) {
    close(fd);
  }
}

short RelayConnection::WantedEvents(size_t side, const LinkRule& rule) const {
  const Direction& out = directions_[side];
  const size_t waiting_max = rule.bytes_per_second == 0 ? kWaitingBytesMax : kSlowWaitingBytesMax;
  const bool reads = !out.ended && out.waiting_bytes < waiting_max;
  const bool writes = directions_[1 - side].blocked;
  return static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
}

std::optional<Clock::time_point> RelayConnection::NextDue(size_t side) const {
  const Direction& direction = directions_[side];
  if (direction.chunks.empty() || direction.blocked) {
    return std::nullopt;
  }
  return direction.chunks.front().due;
}

void RelayConnection::Receive(size_t side, const LinkRule& rule, simulation::Dice* dice,
                              RelayCounts* counts) {
  Direction& direction = directions_[side];
  std::string bytes(kReadBytes, '\0');
  const ssize_t length = recv(fds_[side], bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (length <= 0) {
    direction.ended = true;
    return;
  }
  counts->withheld_chunks += rule.bytes != LinkRule::Bytes::kPass ? 1 : 0;
  if (rule.bytes == LinkRule::Bytes::kDrop) {
    direction.lost = true;
    return;
  }
  const Millis delay(dice->Between(rule.delay_min.count(), rule.delay_max.count()));
  counts->delayed_chunks += delay > Millis(0) ? 1 : 0;
  // A stream stays in order.
  const Clock::time_point last =
      direction.chunks.empty() ? Clock::time_point() : direction.chunks.back().due;
  bytes.resize(static_cast<size_t>(length));
  direction.waiting_bytes += bytes.size();
  direction.chunks.push_back({.due = std::max(last, Clock::now() + delay), .bytes = bytes});
}

size_t RelayConnection::Share(size_t length, const LinkRule& rule, Clock::time_point* free_at) {
  const size_t share = std::min<size_t>(length, rule.bytes_per_second / kSlicesPerSecond);
  const std::chrono::nanoseconds lasts(share * std::nano::den / rule.bytes_per_second);
  *free_at = std::max(*free_at, Clock::now()) + lasts;
  return share;
}

void RelayConnection::Forward(size_t side, const LinkRule& rule, Clock::time_point* free_at,
                              RelayCounts* counts) {
  Direction& direction = directions_[side];
  direction.blocked = false;
  if (rule.bytes != LinkRule::Bytes::kPass) {
    return;
  }
  if (direction.lost) {
    Reset();
    return;
  }
  while (!direction.chunks.empty() && direction.chunks.front().due <= Clock::now()) {
    std::string& bytes = direction.chunks.front().bytes;
    size_t length = bytes.size();
    if (rule.bytes_per_second != 0) {
      if (*free_at > Clock::now()) {
        ++counts->slow_waits;
        return;
      }
      length = Share(length, rule, free_at);
    }
    const ssize_t sent = send(fds_[1 - side], bytes.data(), length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      direction.blocked = errno == EAGAIN || errno == EINTR;
      if (!direction.blocked) {
        finished_ = true;
      }
      return;
    }
    direction.waiting_bytes -= static_cast<size_t>(sent);
    bytes.erase(0, static_cast<size_t>(sent));
    if (bytes.empty()) {
      direction.chunks.pop_front();
    }
  }
  // gRPC never closes one direction alone.
  finished_ = finished_ || (direction.ended && direction.chunks.empty());
}

void RelayConnection::Reset() {
  for (const int fd : fds_) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    PCHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
  }
  finished_ = true;
}

}  // namespace raftkv::chaos
