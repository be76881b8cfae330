#include "server/http/http_connection.h"

#include <glog/logging.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

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

// Whether a socket's call failed for now alone.
bool IsPassing(int error) { return error == EINTR || error == EAGAIN || error == EWOULDBLOCK; }

// "ip:port".
std::string OtherEnd(int socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST] = {};
  char port[NI_MAXSERV] = {};
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(socket, generic, &size) != 0 ||
      getnameinfo(generic, size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "somebody";
  }
  return address.ss_family == AF_INET6 ? absl::StrCat("[", host, "]:", port)
                                       : absl::StrCat(host, ":", port);
}

}  // namespace

HttpConnection::HttpConnection(int socket, std::shared_ptr<const TlsIdentity> tls,
                               const MonotonicClock* clock, std::function<bool()> busy,
                               std::function<bool()> stopped)
    : socket_(socket),
      identity_(std::move(tls)),
      tls_(identity_ == nullptr ? nullptr : SSL_new(identity_->server_context.get()), SSL_free),
      clock_(*clock),
      busy_(std::move(busy)),
      stopped_(std::move(stopped)) {
  if (tls_ != nullptr) {
    SSL_set_fd(tls_.get(), socket);
    SSL_set_accept_state(tls_.get());
  }
}

HttpConnection::~HttpConnection() { SayGoodbye(); }

void HttpConnection::SayGoodbye() {
  if (tls_ != nullptr && SSL_is_init_finished(tls_.get()) && tls_problem_.empty() &&
      (SSL_get_shutdown(tls_.get()) & SSL_SENT_SHUTDOWN) == 0) {
    SSL_shutdown(tls_.get());
    ERR_clear_error();
  }
}

bool HttpConnection::AwaitRequest() {
  if (!AwaitFirstByte()) {
    return false;
  }
  if (tls_ != nullptr && !SSL_is_init_finished(tls_.get()) && !(Handshake() && AwaitFirstByte())) {
    return false;
  }
  began_ = clock_.Now();
  sending_ = false;
  timed_out_ = false;
  readable_ = kHttpHeadBytesMax;
  return true;
}

bool HttpConnection::Handshake() {
  began_ = clock_.Now();
  do {
    ERR_clear_error();
    if (const int result = SSL_do_handshake(tls_.get()); OfTls(result) > 0) {
      return true;
    }
  } while (wants_ != 0 && Await(wants_));
  LOG_EVERY_T(WARNING, 1) << "TLS: refused " << OtherEnd(socket_)
                          << " on the HTTP port: " << HandshakeProblem();
  return false;
}

std::string HttpConnection::HandshakeProblem() const {
  if (timed_out_) {
    return "the handshake took too long";
  }
  const int64_t verdict = SSL_get_verify_result(tls_.get());
  return verdict == X509_V_OK
             ? tls_problem_
             : absl::StrCat("its certificate: ", X509_verify_cert_error_string(verdict));
}

bool HttpConnection::AwaitFirstByte() {
  const MonotonicNanos idle_since = clock_.Now();
  const bool there =
      received_at_ < received_.size() || (tls_ != nullptr && SSL_pending(tls_.get()) > 0);
  Ready ready = there ? Ready::kYes : Ready::kNotYet;
  MonotonicNanos look = kHttpIdleWhenBusyMax;
  while (ready == Ready::kNotYet) {
    ready = Poll(socket_, POLLIN, std::exchange(look, kIdleLookNanos));
    const MonotonicNanos idle = clock_.Now() - idle_since;
    if (ready == Ready::kNotYet &&
        (stopped_() || idle >= kHttpIdleMax || (busy_() && idle >= kHttpIdleWhenBusyMax))) {
      return false;
    }
  }
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

ssize_t HttpConnection::OfTls(int result) {
  wants_ = 0;
  if (result > 0) {
    return result;
  }
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wants_ = POLLIN;
      return -1;
    case SSL_ERROR_WANT_WRITE:
      wants_ = POLLOUT;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SYSCALL:
      tls_problem_ = "the connection broke";
      return -1;
    default:
      tls_problem_ = TakeOpenSslError();
      return -1;
  }
}

ssize_t HttpConnection::TryReceive(char* bytes, size_t size) {
  if (tls_ != nullptr) {
    ERR_clear_error();
    return OfTls(SSL_read(tls_.get(), bytes, static_cast<int>(size)));
  }
  const ssize_t count = recv(socket_, bytes, size, 0);
  wants_ = count < 0 && IsPassing(errno) ? POLLIN : 0;
  return count;
}

ssize_t HttpConnection::TrySend(const char* bytes, size_t size) {
  if (tls_ != nullptr) {
    ERR_clear_error();
    return OfTls(SSL_write(tls_.get(), bytes, static_cast<int>(size)));
  }
  const ssize_t count = send(socket_, bytes, size, MSG_NOSIGNAL);
  wants_ = count < 0 && IsPassing(errno) ? POLLOUT : 0;
  return count;
}

ssize_t HttpConnection::Receive() {
  received_.resize(kReceiveBytes);
  received_at_ = 0;
  ssize_t count = -1;
  do {
    count = TryReceive(received_.data(), received_.size());
  } while (count < 0 && wants_ != 0 && Await(wants_));
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
    const ssize_t count = TrySend(unsent_.data() + sent, unsent_.size() - sent);
    if (count > 0) {
      sent += static_cast<size_t>(count);
    } else if (wants_ == 0 || !Await(wants_)) {
      break;
    }
  }
  const bool whole = sent == unsent_.size();
  unsent_.clear();
  return whole;
}

void HttpConnection::Linger() {
  SayGoodbye();
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
