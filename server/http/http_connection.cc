#include "server/http/http_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace raftkv::server {
namespace {

constexpr size_t kReceiveBytes = 16 << 10;
constexpr size_t kUnsentBytesMax = 64 << 10;
// How often a wait looks whether it is still worth it.
constexpr MonotonicNanos kLookNanos = 50 * kNanosPerMilli;
// The same for connections that have been idle for a while: a hundred that look too often cost more
// than they are worth.
constexpr MonotonicNanos kIdleLookNanos = 500 * kNanosPerMilli;

enum class Ready { kYes, kNotYet, kBroken };

Ready Poll(int socket, short events, MonotonicNanos timeout) {
  pollfd entry = {.fd = socket, .events = events, .revents = 0};
  const int count = poll(&entry, 1, static_cast<int>(timeout / kNanosPerMilli));
  if (count < 0) {
    return errno == EINTR ? Ready::kNotYet : Ready::kBroken;
  }
  return count == 0 ? Ready::kNotYet : Ready::kYes;
}

}  // namespace

HttpConnection::HttpConnection(int socket, const MonotonicClock* clock, std::function<bool()> busy,
                               std::function<bool()> stopped)
    : socket_(socket), clock_(*clock), busy_(std::move(busy)), stopped_(std::move(stopped)) {}

bool HttpConnection::AwaitRequest() {
  const MonotonicNanos idle_since = clock_.Now();
  Ready ready = received_at_ < received_.size() ? Ready::kYes : Ready::kNotYet;
  MonotonicNanos look = kHttpIdleWhenBusyMax;
  while (ready == Ready::kNotYet) {
    ready = Poll(socket_, POLLIN, std::exchange(look, kIdleLookNanos));
    const MonotonicNanos idle = clock_.Now() - idle_since;
    if (ready == Ready::kNotYet &&
        (stopped_() || idle >= kHttpIdleMax || (busy_() && idle >= kHttpIdleWhenBusyMax))) {
      return false;
    }
  }
  began_ = clock_.Now();
  sending_ = false;
  timed_out_ = false;
  readable_ = kHttpHeadBytesMax;
  return ready == Ready::kYes && !stopped_();
}

bool HttpConnection::Await(short events) {
  const MonotonicNanos silent_since = clock_.Now();
  for (;;) {
    const Ready ready = Poll(socket_, events, kLookNanos);
    if (ready != Ready::kNotYet) {
      return ready == Ready::kYes;
    }
    const MonotonicNanos now = clock_.Now();
    const MonotonicNanos transfer_max = busy_() ? kHttpTransferWhenBusyMax : kHttpTransferMax;
    if (stopped_() || now - silent_since >= kHttpSilenceMax || now - began_ >= transfer_max) {
      timed_out_ = true;
      return false;
    }
  }
}

ssize_t HttpConnection::Receive() {
  received_.resize(kReceiveBytes);
  received_at_ = 0;
  ssize_t count = -1;
  do {
    count = recv(socket_, received_.data(), received_.size(), 0);
  } while (count < 0 &&
           (errno == EINTR || ((errno == EAGAIN || errno == EWOULDBLOCK) && Await(POLLIN))));
  received_.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return count;
}

ssize_t HttpConnection::Read(char* bytes, size_t size) {
  // A client that sends without a pause never makes Await look.
  if (clock_.Now() - began_ >= kHttpTransferMax) {
    timed_out_ = true;
    return -1;
  }
  if (readable_ == 0 || !Flush()) {
    return -1;
  }
  if (received_at_ == received_.size()) {
    if (const ssize_t count = Receive(); count <= 0) {
      return count;
    }
  }
  const size_t count =
      std::min({size, received_.size() - received_at_, static_cast<size_t>(readable_)});
  memcpy(bytes, received_.data() + received_at_, count);
  received_at_ += count;
  readable_ -= count;
  return static_cast<ssize_t>(count);
}

bool HttpConnection::Write(const char* bytes, size_t size) {
  if (!sending_) {
    sending_ = true;
    began_ = clock_.Now();
  }
  unsent_.append(bytes, size);
  return unsent_.size() < kUnsentBytesMax || Flush();
}

bool HttpConnection::Flush() {
  size_t sent = 0;
  while (sent < unsent_.size()) {
    const ssize_t count = send(socket_, unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno != EINTR && !((errno == EAGAIN || errno == EWOULDBLOCK) && Await(POLLOUT))) {
      break;
    }
  }
  const bool whole = sent == unsent_.size();
  unsent_.clear();
  return whole;
}

void HttpConnection::Linger() {
  shutdown(socket_, SHUT_WR);
  const MonotonicNanos since = clock_.Now();
  uint64_t dropped = 0;
  while (dropped < kHttpLingerBytesMax && clock_.Now() - since < kHttpLingerMax && !stopped_() &&
         !busy_()) {
    if (Poll(socket_, POLLIN, kLookNanos) == Ready::kNotYet) {
      continue;
    }
    received_.resize(kReceiveBytes);
    const ssize_t count = recv(socket_, received_.data(), received_.size(), 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      return;
    }
    dropped += count > 0 ? static_cast<uint64_t>(count) : 0;
  }
}

}  // namespace raftkv::server
