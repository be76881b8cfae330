#include "server/http/http_server.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/http/answers.h"
#include "server/http/http_connection.h"

namespace raftkv::server {
namespace {

// How often the thread that accepts looks whether it still has to; also its pause when there are no
// more file descriptors.
constexpr int kAcceptLookMs = 100;
// Chunks of a body may be so much larger than what is in them.
constexpr uint64_t kChunkOverheadFactor = 4;
constexpr uint64_t kChunkOverheadBytes = 64 << 10;
// What httplib gets to see of every path: its own routing goes by regular expressions, and a key may
// be anything.
constexpr char kAnyPath[] = "/";

// For whom no thread is likely to be free soon.
const std::string& BusyAnswer() {
  static const auto* text = new std::string([] {
    const HttpAnswer answer = RefusalAnswer(503, absl::StatusCode::kResourceExhausted, "OVERLOADED",
                                            "too many connections wait for their turn");
    return absl::StrCat("HTTP/1.1 503 Service Unavailable\r\nContent-Type: ", answer.content_type,
                        "\r\nContent-Length: ", answer.body.size(),
                        "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n", answer.body);
  }());
  return *text;
}

HttpAnswer BadRequest(absl::string_view message) {
  return RefusalAnswer(400, absl::StatusCode::kInvalidArgument, "MALFORMED", message);
}

HttpAnswer TooLarge(uint64_t limit) {
  return RefusalAnswer(413, absl::StatusCode::kInvalidArgument, "BODY_TOO_LARGE",
                       absl::StrCat("body: has more than ", limit, " bytes"));
}

HttpAnswer NoRoom() {
  HttpAnswer answer =
      RefusalAnswer(503, absl::StatusCode::kResourceExhausted, "OVERLOADED",
                    "the bodies of other requests take all the memory that there is for them");
  answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

// What httplib refuses by itself.
HttpAnswer OfHttplib(int status, bool timed_out) {
  if (timed_out) {
    return RefusalAnswer(408, absl::StatusCode::kDeadlineExceeded, "TOO_SLOW",
                         "the request did not come whole in time");
  }
  switch (status) {
    case 414:
      return RefusalAnswer(414, absl::StatusCode::kInvalidArgument, "MALFORMED",
                           "the address is too long");
    case 416:
      return RefusalAnswer(416, absl::StatusCode::kInvalidArgument, "MALFORMED",
                           "header Range: is no range of bytes");
    case 400:
      return BadRequest("this is not a request of HTTP/1.1, or its head is too long");
    default:
      return RefusalAnswer(status, absl::StatusCode::kInternal, "", "the request failed");
  }
}

// How httplib sees a connection.
class Stream final : public httplib::Stream {
 public:
  explicit Stream(HttpConnection* connection) : connection_(*connection) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* bytes, size_t size) override { return connection_.Read(bytes, size); }
  ssize_t write(const char* bytes, size_t size) override {
    return connection_.Write(bytes, size) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  // It only looks whether select() could take the number; nothing here selects.
  socket_t socket() const override { return 0; }

 private:
  HttpConnection& connection_;
};

}  // namespace

// What one thread works with: a parser, and the request that it is at. Confined to that thread.
class HttpServer::Worker final : private httplib::Server {
 public:
  explicit Worker(HttpServer* server);

  // Serves a connection until it is over.
  void Serve(int socket);

 private:
  // Looks at the head, decides whether to refuse it, and takes out of it what httplib would act on
  // by itself.
  void OnHead(httplib::Request* request);
  std::optional<HttpAnswer> CheckFraming(const httplib::Request& request);
  void OnBody(httplib::Response* response, const httplib::ContentReader* read);
  bool TakeBody(const char* bytes, size_t size);
  void Fill(HttpAnswer answer, httplib::Response* response);
  void OnAnswer(httplib::Response* response) const;

  HttpServer& server_;
  HttpConnection* connection_ = nullptr;
  // Of the request that is under way.
  HttpRequest request_;
  std::optional<HttpAnswer> refusal_;
  std::shared_ptr<void> room_;
  bool head_came_ = false;
  // It is not known where the next request would begin, or others want the thread.
  bool close_ = false;
  // The client may still be sending.
  bool unread_ = false;
};

HttpServer::Worker::Worker(HttpServer* server) : server_(*server) {
  set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
    if (!refusal_.has_value()) {
      return HandlerResponse::Unhandled;
    }
    Fill(*std::exchange(refusal_, std::nullopt), &response);
    return HandlerResponse::Handled;
  });
  // Before the client is told to send its body.
  set_expect_100_continue_handler([this](const httplib::Request&, httplib::Response& response) {
    if (refusal_.has_value()) {
      Fill(*std::exchange(refusal_, std::nullopt), &response);
      return response.status;
    }
    return 100;
  });
  // For every status from 400 on, also those of our own answers.
  set_error_handler(
      HandlerWithResponse([this](const httplib::Request&, httplib::Response& response) {
        if (response.body.empty()) {
          close_ = true;
          Fill(OfHttplib(response.status, connection_->timed_out()), &response);
        }
        return HandlerResponse::Handled;
      }));
  // Nothing here throws but for want of memory.
  set_exception_handler(
      [this](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
        close_ = true;
        Fill(OfHttplib(500, false), &response);
      });
  set_post_routing_handler(
      [this](const httplib::Request&, httplib::Response& response) { OnAnswer(&response); });
  const HandlerWithContentReader with_body =
      [this](const httplib::Request&, httplib::Response& response,
             const httplib::ContentReader& read) { OnBody(&response, &read); };
  const Handler without_body = [this](const httplib::Request&, httplib::Response& response) {
    OnBody(&response, nullptr);
  };
  Get(kAnyPath, without_body);
  Options(kAnyPath, without_body);
  Post(kAnyPath, with_body);
  Put(kAnyPath, with_body);
  Patch(kAnyPath, with_body);
  Delete(kAnyPath, with_body);
}

void HttpServer::Worker::Serve(int socket) {
  HttpConnection connection(
      socket, server_.tls_ == nullptr ? nullptr : server_.tls_->identity(), &server_.clock_,
      [this] { return server_.busy_.load(); }, [this] { return server_.stopped_.load(); });
  connection_ = &connection;
  Stream stream(&connection);
  unread_ = false;
  for (bool more = true; more && connection.AwaitRequest();) {
    request_ = HttpRequest();
    refusal_.reset();
    head_came_ = false;
    close_ = server_.busy_;
    bool client_closes = false;
    const bool whole = process_request(stream, close_, client_closes,
                                       [this](httplib::Request& request) { OnHead(&request); });
    server_.bodies_bytes_ -= request_.body.size();
    more = connection.Flush() && whole && !close_ && !client_closes && head_came_;
    room_.reset();
  }
  if (unread_) {
    connection.Linger();
  }
  request_ = HttpRequest();
  connection_ = nullptr;
}

std::optional<HttpAnswer> HttpServer::Worker::CheckFraming(const httplib::Request& request) {
  const size_t lengths = request.get_header_value_count("Content-Length");
  const size_t codings = request.get_header_value_count("Transfer-Encoding");
  const std::string coding = request.get_header_value("Transfer-Encoding");
  if (lengths + codings > 1 || (codings == 1 && !absl::EqualsIgnoreCase(coding, "chunked"))) {
    return BadRequest(
        "the length of the body must be said once, by Content-Length or by "
        "Transfer-Encoding: chunked");
  }
  if (!request.get_header_value("Content-Encoding").empty()) {
    return RefusalAnswer(415, absl::StatusCode::kInvalidArgument, "MALFORMED",
                         "header Content-Encoding: compressed requests are not taken");
  }
  const std::string text = request.get_header_value("Content-Length");
  uint64_t length = 0;
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  if (lengths == 1 && (!digits || !absl::SimpleAtoi(text, &length))) {
    return BadRequest("header Content-Length: is not a number of bytes");
  }
  if (length > server_.limits_.body_bytes_max) {
    return TooLarge(server_.limits_.body_bytes_max);
  }
  return std::nullopt;
}

void HttpServer::Worker::OnHead(httplib::Request* request) {
  head_came_ = true;
  const size_t question = request->target.find('?');
  request_.method = request->method;
  request_.path = request->target.substr(0, question);
  request_.query = question == std::string::npos ? "" : request->target.substr(question + 1);
  request_.host = request->get_header_value("Host");
  request_.origin = request->get_header_value("Origin");
  request_.content_type = request->get_header_value("Content-Type");
  request_.connect_timeout_ms = request->get_header_value("Connect-Timeout-Ms");
  request_.if_none_match = request->get_header_value("If-None-Match");
  refusal_ = CheckFraming(*request);
  if (!refusal_.has_value()) {
    refusal_ = server_.handler_.Refuse(request_);
  }
  const bool says_body =
      request->has_header("Transfer-Encoding") ||
      (request->has_header("Content-Length") && request->get_header_value("Content-Length") != "0");
  const bool takes_body =
      request_.method != "GET" && request_.method != "HEAD" && request_.method != "OPTIONS";
  // Where it is not read, the next request would begin in the middle of it.
  if (says_body && (refusal_.has_value() || !takes_body)) {
    close_ = true;
    unread_ = true;
  }
  if (!request->has_header("Transfer-Encoding") && !request->has_header("Content-Length")) {
    // Else httplib waits for one (findings/httplib_waits_for_a_body_that_nobody_announced.sh).
    request->set_header("Content-Length", "0");
  }
  // Forms, compression and ranges are httplib's; the path is ours.
  for (const char* header : {"Content-Type", "Content-Encoding", "Accept-Encoding"}) {
    request->headers.erase(header);
  }
  request->ranges.clear();
  request->path = kAnyPath;
  connection_->AllowBody(kChunkOverheadFactor * server_.limits_.body_bytes_max +
                         kChunkOverheadBytes);
}

bool HttpServer::Worker::TakeBody(const char* bytes, size_t size) {
  if (request_.body.size() + size > server_.limits_.body_bytes_max) {
    refusal_ = TooLarge(server_.limits_.body_bytes_max);
    return false;
  }
  if (server_.bodies_bytes_ + size > server_.limits_.bodies_bytes_max) {
    refusal_ = NoRoom();
    return false;
  }
  server_.bodies_bytes_ += size;
  request_.body.append(bytes, size);
  return true;
}

void HttpServer::Worker::OnBody(httplib::Response* response, const httplib::ContentReader* read) {
  const bool whole = read == nullptr || (*read)([this](const char* bytes, size_t size) {
                       return TakeBody(bytes, size);
                     });
  if (!whole) {
    close_ = true;
    unread_ = true;
    Fill(refusal_.has_value() ? *std::exchange(refusal_, std::nullopt)
                              : OfHttplib(400, connection_->timed_out()),
         response);
    return;
  }
  Fill(server_.handler_.Handle(request_), response);
}

void HttpServer::Worker::Fill(HttpAnswer answer, httplib::Response* response) {
  response->status = answer.status;
  response->set_content(answer.body, answer.content_type);
  for (const auto& [name, value] : answer.headers) {
    response->set_header(name, value);
  }
  room_ = std::move(answer.room);
}

void HttpServer::Worker::OnAnswer(httplib::Response* response) const {
  response->headers.erase("Keep-Alive");
  response->headers.erase("Accept-Ranges");
  if (!response->has_header("Cache-Control")) {
    response->set_header("Cache-Control", "no-store");
  }
  if (response->status == 304) {
    // It would be the length of what the client has.
    response->headers.erase("Content-Length");
  }
  response->set_header("X-Content-Type-Options", "nosniff");
  if ((close_ || !head_came_) && !response->has_header("Connection")) {
    response->set_header("Connection", "close");
  }
}

HttpServer::HttpServer(const Limits& limits, HttpHandler* handler, std::shared_ptr<PortTls> tls)
    : limits_(limits), handler_(*handler), tls_(std::move(tls)) {}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Start(std::vector<int> listening) {
  listening_ = std::move(listening);
  threads_.emplace_back([this] { Accept(); });
  for (int i = 0; i < limits_.threads; ++i) {
    threads_.emplace_back([this] {
      Worker worker(this);
      for (int socket = Take(); socket >= 0; socket = Take()) {
        worker.Serve(socket);
        Close(socket);
      }
    });
  }
}

void HttpServer::Stop() {
  stopped_ = true;
  {
    MutexLock lock(&mutex_);
    for (const int socket : served_) {
      shutdown(socket, SHUT_RDWR);
    }
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  for (const int socket : std::exchange(listening_, {})) {
    close(socket);
  }
  MutexLock lock(&mutex_);
  for (const int socket : std::exchange(waiting_, {})) {
    close(socket);
  }
}

void HttpServer::Accept() {
  std::vector<pollfd> entries;
  for (const int socket : listening_) {
    entries.push_back({.fd = socket, .events = POLLIN, .revents = 0});
  }
  while (!stopped_) {
    poll(entries.data(), entries.size(), kAcceptLookMs);
    for (const pollfd& entry : entries) {
      if (entry.revents != 0) {
        AcceptFrom(entry.fd);
      }
    }
  }
}

void HttpServer::AcceptFrom(int listening) {
  const int socket = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) {
    if (errno == EMFILE || errno == ENFILE) {
      LOG_EVERY_N(WARNING, 100) << "cannot take a connection of HTTP: too many open files";
      std::this_thread::sleep_for(std::chrono::milliseconds(kAcceptLookMs));
    }
    return;
  }
  // An answer's second half would wait for the acknowledgement of its first.
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  {
    MutexLock lock(&mutex_);
    if (waiting_.size() < limits_.waiting_max) {
      waiting_.push_back(socket);
      UpdateBusy();
      changed_.NotifyOne();
      return;
    }
  }
  // Into the socket's empty buffer; whoever does not get it sees a closed connection, as all do
  // where a handshake would have to come first.
  if (tls_ == nullptr) {
    send(socket, BusyAnswer().data(), BusyAnswer().size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  close(socket);
}

int HttpServer::Take() {
  MutexLock lock(&mutex_);
  while (!stopped_ && waiting_.empty()) {
    changed_.Wait(&mutex_);
  }
  if (stopped_) {
    return -1;
  }
  const int socket = waiting_.front();
  waiting_.pop_front();
  served_.insert(socket);
  UpdateBusy();
  return socket;
}

void HttpServer::Close(int socket) {
  MutexLock lock(&mutex_);
  served_.erase(socket);
  UpdateBusy();
  close(socket);
}

}  // namespace raftkv::server
