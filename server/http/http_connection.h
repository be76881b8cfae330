// One connection of an HTTP client: its bytes, and how long each step of it may take. A thread is
// with it from its first request to its last, so what is slow has to give way once others wait for
// a thread.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "server/tls/tls_identity.h"

namespace raftkv::server {

// A kept connection without a request is closed after the first; when others wait for a thread, at
// most half a second after the second.
inline constexpr MonotonicNanos kHttpIdleMax = 60 * kNanosPerSecond;
inline constexpr MonotonicNanos kHttpIdleWhenBusyMax = 100 * kNanosPerMilli;
// For a request to come, from its first byte, and for its answer to go; without a byte; and when
// others wait for a thread.
inline constexpr MonotonicNanos kHttpTransferMax = 20 * kNanosPerSecond;
inline constexpr MonotonicNanos kHttpSilenceMax = 5 * kNanosPerSecond;
inline constexpr MonotonicNanos kHttpTransferWhenBusyMax = 2 * kNanosPerSecond;
// The request line and the headers.
inline constexpr uint64_t kHttpHeadBytesMax = 32 << 10;
// What a client still sends of a request that was refused is read for so long and so much, so that
// it reads the refusal before it hears that the connection is gone.
inline constexpr MonotonicNanos kHttpLingerMax = 1 * kNanosPerSecond;
inline constexpr uint64_t kHttpLingerBytesMax = 8 << 20;

// Confined to one thread, but for what `busy` and `stopped` look at.
class HttpConnection final {
 public:
  // Takes the socket, which does not block, but leaves closing it to its caller. `tls` null: plain
  // text. `busy` says whether others wait for a thread, `stopped` whether the server ends.
  HttpConnection(int socket, std::shared_ptr<const TlsIdentity> tls, const MonotonicClock* clock,
                 std::function<bool()> busy, std::function<bool()> stopped);
  // Says goodbye where TLS has a word for it.
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Waits for the first byte of the next request, the first time after the handshake of TLS, which
  // is logged when it fails. False when the connection should be closed instead.
  bool AwaitRequest();
  // At the end of the head: this much more may be read for the body, however it is framed.
  void AllowBody(uint64_t bytes) { readable_ = bytes; }

  // The next bytes, at least one: how many, 0 at the end, -1 when it failed or took too long. Sends
  // what was written before it waits.
  ssize_t Read(char* bytes, size_t size);
  // Keeps them for Flush, or sends some of them. False when that failed.
  bool Write(const char* bytes, size_t size);
  bool Flush();
  // A read or a write took too long.
  bool timed_out() const { return timed_out_; }
  // Ends the sending side and reads on for a moment.
  void Linger();

 private:
  // As long as a kept connection may be idle.
  bool AwaitFirstByte();
  bool Handshake();
  std::string HandshakeProblem() const;
  // Waits until the socket is ready for poll's `events`. False when it took too long, or is over.
  bool Await(short events);
  // As recv and send do. Where they fail, wants_ are poll's events to wait for before the next try,
  // or 0.
  ssize_t TryReceive(char* bytes, size_t size);
  ssize_t TrySend(const char* bytes, size_t size);
  ssize_t OfTls(int result);
  void SayGoodbye();
  // Receives into the empty buffer: as Read.
  ssize_t Receive();

  const int socket_;
  const std::shared_ptr<const TlsIdentity> identity_;
  // Null: plain text.
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls_;
  const MonotonicClock& clock_;
  const std::function<bool()> busy_;
  const std::function<bool()> stopped_;
  // When the request, or the answer, that is under way began.
  MonotonicNanos began_ = 0;
  bool sending_ = false;
  short wants_ = 0;
  // TLS has failed, so nothing more may be said in it; in OpenSSL's words.
  std::string tls_problem_;
  bool timed_out_ = false;
  uint64_t readable_ = 0;
  // Received and not read yet, from received_at_ on.
  std::string received_;
  size_t received_at_ = 0;
  // Written and not sent yet.
  std::string unsent_;
};

}  // namespace raftkv::server
