// HttpServer takes the connections of one port and gives each request to its handler. It is
// cpp-httplib's parser on our own connections: its own loop gives a thread away to whoever is
// silent, answers a request that says nothing of its body seconds late, and reads heads without a
// bound.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/http/http_message.h"
#include "server/tls/port_tls.h"

namespace raftkv::server {

// Called on many threads at once.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Looks at a request before its body has come; an answer refuses it.
  virtual std::optional<HttpAnswer> Refuse(const HttpRequest& head) = 0;
  // REQUIRES: Refuse has not refused it.
  virtual HttpAnswer Handle(const HttpRequest& request) = 0;
};

// Start and Stop are for one thread.
class HttpServer final {
 public:
  struct Limits {
    int threads = 0;
    // Connections that wait for a thread; one more is answered 503 and closed.
    size_t waiting_max = 0;
    // Of one request's body: 413 beyond it.
    uint64_t body_bytes_max = 0;
    // Of the bodies of all requests that are under way: 503 beyond it.
    uint64_t bodies_bytes_max = 0;
  };

  // Borrows the handler. `tls` null: plain text.
  HttpServer(const Limits& limits, HttpHandler* handler, std::shared_ptr<PortTls> tls = nullptr);
  // Stops.
  ~HttpServer();

  // Takes connections of these sockets, which listen and do not block, and closes them at the end.
  void Start(std::vector<int> listening);
  // Takes no more, ends those that are there, whatever they do, and waits for the threads: as long
  // as a handler takes. Idempotent.
  void Stop();

 private:
  class Worker;

  void Accept();
  // Takes one connection.
  void AcceptFrom(int listening);
  // The next connection; -1 when the server stops.
  int Take();
  void Close(int socket);
  // Looks anew whether more connections wait than there are threads that are about to take one.
  void UpdateBusy() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    busy_ = waiting_.size() + served_.size() > static_cast<size_t>(limits_.threads);
  }

  const Limits limits_;
  HttpHandler& handler_;
  const std::shared_ptr<PortTls> tls_;
  const SystemMonotonicClock clock_;
  std::vector<int> listening_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> busy_{false};
  std::atomic<uint64_t> bodies_bytes_{0};

  Mutex mutex_;
  CondVar changed_;
  std::deque<int> waiting_ ABSL_GUARDED_BY(mutex_);
  // Those that a thread is with. A socket is closed under the lock, so that its number is not
  // another's when Stop looks.
  std::set<int> served_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::server
