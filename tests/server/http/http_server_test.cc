// The port itself: what comes in what pieces, what is refused, and who has to give way.
#include "server/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/http/answers.h"
#include "server/http/http_connection.h"

namespace raftkv::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr uint64_t kBodyMax = 1000;

// Answers with what it got, refuses what stands below /refused.
class Echo final : public HttpHandler {
 public:
  std::optional<HttpAnswer> Refuse(const HttpRequest& head) override {
    return head.path == "/refused" ? std::optional<HttpAnswer>(RefusalAnswer(
                                         403, absl::StatusCode::kPermissionDenied, "NO", "no"))
                                   : std::nullopt;
  }
  HttpAnswer Handle(const HttpRequest& request) override {
    HttpAnswer answer;
    if (request.path == "/kept") {
      answer.status = request.if_none_match == "\"1\"" ? 304 : 200;
      answer.body = answer.status == 304 ? "" : "kept";
      answer.headers = {{"ETag", "\"1\""}, {"Cache-Control", "no-cache"}};
      return answer;
    }
    answer.content_type = "text/plain";
    answer.body = absl::StrCat(request.method, " ", request.path, " ", request.query, " [",
                               request.body, "] ", request.content_type);
    return answer;
  }
};

// A connection to a port of this machine.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const timeval patience = {.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Without a failure when the other end is gone.
  bool TrySend(const std::string& bytes) {
    return send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // The next answer, head and body; what there is of it when the connection ends.
  std::string ReadAnswer() {
    size_t size = WholeAnswer();
    while (size == std::string::npos && Receive()) {
      size = WholeAnswer();
    }
    const std::string answer = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
  }
  // Whether the server closes, with nothing more to say.
  bool AwaitEnd() {
    while (Receive()) {
    }
    return received_.empty();
  }

 private:
  // The size of the first answer that was received; npos when it is not whole yet.
  size_t WholeAnswer() const {
    const std::string kLength = "Content-Length: ";
    const size_t head = received_.find("\r\n\r\n");
    const size_t field = received_.find(kLength);
    size_t length = 0;
    if (field < head) {
      const size_t begin = field + kLength.size();
      EXPECT_TRUE(absl::SimpleAtoi(received_.substr(begin, received_.find("\r\n", begin) - begin),
                                   &length));
    }
    return head == std::string::npos || received_.size() < head + 4 + length ? std::string::npos
                                                                             : head + 4 + length;
  }
  bool Receive() {
    char bytes[4096];
    const ssize_t count = recv(socket_, bytes, sizeof(bytes), 0);
    if (count > 0) {
      received_.append(bytes, static_cast<size_t>(count));
    }
    return count > 0;
  }

  const int socket_;
  std::string received_;
};

class HttpServerTest : public testing::Test {
 protected:
  void Start(int threads = 4, size_t waiting_max = 8, uint64_t bodies_max = 1 << 20) {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(listening, 64), 0);
    socklen_t size = sizeof(address);
    ASSERT_EQ(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    server_ = std::make_unique<HttpServer>(HttpServer::Limits{.threads = threads,
                                                              .waiting_max = waiting_max,
                                                              .body_bytes_max = kBodyMax,
                                                              .bodies_bytes_max = bodies_max},
                                           &echo_);
    server_->Start({listening});
  }
  MonotonicNanos Since(MonotonicNanos start) const { return clock_.Now() - start; }

  Echo echo_;
  const SystemMonotonicClock clock_;
  std::unique_ptr<HttpServer> server_;
  int port_ = 0;
};

TEST_F(HttpServerTest, WhatMayBeKeptIsAskedAbout) {
  Start();
  Client client(port_);
  client.Send("GET /kept HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), AllOf(HasSubstr("Cache-Control: no-cache\r\n"),
                                         Not(HasSubstr("no-store")), HasSubstr("kept")));
  client.Send("GET /kept HTTP/1.1\r\nIf-None-Match: \"1\"\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 304 Not Modified\r\n"),
                                         Not(HasSubstr("Content-Length")), HasSubstr("ETag")));
  // And the next answer is where it belongs.
  client.Send("HEAD /kept HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 4\r\n")));
}

TEST_F(HttpServerTest, AnswersAreNotKeptUnlessTheySaySo) {
  Start();
  Client client(port_);
  client.Send("GET /a HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("Cache-Control: no-store\r\n"));
}

TEST_F(HttpServerTest, ServesOneRequestAfterTheOther) {
  Start();
  Client client(port_);
  for (int i = 0; i < 20; ++i) {
    client.Send(
        absl::StrCat("PUT /a%2Fb?x=", i, " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"));
    EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                           HasSubstr(absl::StrCat("PUT /a%2Fb x=", i, " [abc]")),
                                           Not(HasSubstr("Connection: close"))));
  }
}

TEST_F(HttpServerTest, ServesRequestsThatComeTogetherOrInPieces) {
  Start();
  Client client(port_);
  client.Send("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP");
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("GET /1"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("POST /2  [x]"));
  client.Send("/1.1\r\n");
  client.Send("\r\n");
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("GET /3"));
}

// httplib itself would wait for the body for seconds.
TEST_F(HttpServerTest, ARequestWithoutABodyIsAnsweredAtOnce) {
  Start();
  Client client(port_);
  for (const std::string method : {"POST", "PUT", "DELETE", "PATCH"}) {
    const MonotonicNanos start = clock_.Now();
    client.Send(method + " / HTTP/1.1\r\n\r\n");
    EXPECT_THAT(client.ReadAnswer(), HasSubstr(method + " /  []"));
    EXPECT_LT(Since(start), 2 * kNanosPerSecond);
  }
}

TEST_F(HttpServerTest, TakesChunksAndForms) {
  Start();
  Client client(port_);
  client.Send(
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n "
      "world\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("[hello world]"));
  for (const std::string type :
       {"application/x-www-form-urlencoded", "multipart/form-data; boundary=b"}) {
    client.Send("POST / HTTP/1.1\r\nContent-Type: " + type + "\r\nContent-Length: 3\r\n\r\na=b");
    EXPECT_THAT(client.ReadAnswer(), HasSubstr("[a=b] " + type));
  }
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  Start();
  Client client(port_);
  client.Send("HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  std::string answer = client.ReadAnswer();
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200"), Not(HasSubstr("HEAD /x"))));
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(HttpServerTest, ALargeBodyIsRefusedHoweverItIsFramed) {
  Start();
  const std::string large(kBodyMax + 1, 'x');
  for (const std::string& request :
       {absl::StrCat("PUT / HTTP/1.1\r\nContent-Length: ", large.size(), "\r\n\r\n", large),
        absl::StrCat("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", large,
                     "\r\n0\r\n\r\n"),
        std::string("PUT / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n")}) {
    Client client(port_);
    client.Send(request);
    EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("BODY_TOO_LARGE"),
                                           HasSubstr("Connection: close"), HasSubstr("1000")));
    EXPECT_TRUE(client.AwaitEnd());
  }
  Client client(port_);
  client.Send(
      absl::StrCat("PUT / HTTP/1.1\r\nContent-Length: ", kBodyMax, "\r\n\r\n", large.substr(1)));
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, WhoAsksFirstIsToldBeforeTheBody) {
  Start();
  Client refused(port_);
  refused.Send("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(refused.ReadAnswer(), StartsWith("HTTP/1.1 413"));
  Client client(port_);
  client.Send("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 100"));
  client.Send("x");
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("[x]"));
}

TEST_F(HttpServerTest, BodiesOfAllRequestsHaveABound) {
  Start(4, 8, /*bodies_max=*/100);
  Client client(port_);
  client.Send(absl::StrCat("PUT / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", std::string(101, 'x')));
  EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1")));
  for (int i = 0; i < 3; ++i) {  // Each gives its room back.
    Client next(port_);
    next.Send(absl::StrCat("PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\n", std::string(100, 'x')));
    EXPECT_THAT(next.ReadAnswer(), StartsWith("HTTP/1.1 200"));
  }
}

// Whoever stands between client and server could see another request than we do.
TEST_F(HttpServerTest, RefusesWhatHasNoClearEnd) {
  Start();
  for (const std::string headers :
       {"Content-Length: abc\r\n", "Content-Length: -1\r\n", "Content-Length: +1\r\n",
        "Content-Length: 1, 1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n"}) {
    Client client(port_);
    client.Send("POST /a HTTP/1.1\r\n" + headers + "\r\nGET /smuggled HTTP/1.1\r\n\r\n");
    const std::string answer = client.ReadAnswer();
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("MALFORMED"))) << headers;
    EXPECT_TRUE(client.AwaitEnd()) << headers << answer;
  }
  // A body where none is read.
  Client client(port_);
  client.Send("GET /a HTTP/1.1\r\nContent-Length: 26\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("GET /a")));
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(HttpServerTest, RefusesCompressedBodies) {
  Start();
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 415"));
}

TEST_F(HttpServerTest, RefusesRangesThatAreNone) {
  Start();
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nRange: bytes=9-1\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(),
              AllOf(StartsWith("HTTP/1.1 416"), HasSubstr("\"INVALID_ARGUMENT\""),
                    HasSubstr("\"MALFORMED\""), HasSubstr("Range")));
}

TEST_F(HttpServerTest, ARefusalNeedsNoBody) {
  Start();
  Client client(port_);
  client.Send("PUT /refused HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("\"NO\"")));
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefusedAndCut) {
  Start();
  for (const std::string& bytes :
       {std::string("BREW / HTTP/1.1\r\n\r\n"), std::string("GET /a b HTTP/1.1\r\n\r\n"),
        std::string("\x16\x03\x01 hello\r\n\r\n"), std::string("GET / HTTP/2.0\r\n\r\n"),
        absl::StrCat("GET / HTTP/1.1\r\nRange: bytes=", std::string(4000, '1'), "-\r\n\r\n"),
        absl::StrCat("GET /", std::string(9000, 'a'), " HTTP/1.1\r\n\r\n")}) {
    Client client(port_);
    client.Send(bytes);
    EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 4"), HasSubstr("{\"error\":")))
        << bytes.substr(0, 30);
    EXPECT_TRUE(client.AwaitEnd()) << bytes.substr(0, 30);
  }
}

// httplib itself reads them for as long as they come.
TEST_F(HttpServerTest, HeadsHaveABound) {
  Start();
  std::string many = "GET / HTTP/1.1\r\n";
  while (many.size() < 2 * kHttpHeadBytesMax) {
    many += "X: " + std::string(100, 'x') + "\r\n";
  }
  for (const std::string& bytes : {std::string(2 * kHttpHeadBytesMax, 'x'), many}) {
    Client client(port_);
    client.TrySend(bytes);
    EXPECT_THAT(client.ReadAnswer(), Not(HasSubstr("200")));
    client.AwaitEnd();
  }
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, SilentConnectionsGiveWay) {
  Start(/*threads=*/2);
  Client silent(port_);
  Client half(port_);
  half.Send("PUT / HTTP/1.1\r\nContent-Le");
  Client kept(port_);
  const MonotonicNanos start = clock_.Now();
  kept.Send("GET /here HTTP/1.1\r\n\r\n");
  EXPECT_THAT(kept.ReadAnswer(), HasSubstr("GET /here"));
  EXPECT_LT(Since(start), kHttpSilenceMax);
  EXPECT_TRUE(silent.AwaitEnd()) << "its thread was wanted";
}

// Connections that wait only until a thread has woken up take nobody's.
TEST_F(HttpServerTest, ABurstOfConnectionsIsKept) {
  constexpr int kThreads = 8;
  Start(kThreads);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < kThreads; ++i) {
      clients.push_back(std::make_unique<Client>(port_));
      clients.back()->Send("GET / HTTP/1.1\r\n\r\n");
    }
    for (const std::unique_ptr<Client>& client : clients) {
      EXPECT_THAT(client->ReadAnswer(), Not(HasSubstr("Connection: close"))) << round;
      client->Send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
      client->ReadAnswer();
      EXPECT_TRUE(client->AwaitEnd());
    }
  }
}

TEST_F(HttpServerTest, AClientThatDoesNotGoOnIsToldSo) {
  Start(/*threads=*/1);
  Client half(port_);
  half.Send("PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
  Client next(port_);
  next.Send("GET /here HTTP/1.1\r\n\r\n");
  EXPECT_THAT(half.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 408"), HasSubstr("TOO_SLOW")));
  EXPECT_THAT(next.ReadAnswer(), HasSubstr("GET /here"));
}

TEST_F(HttpServerTest, WhoeverFindsTheQueueFullHearsThat) {
  Start(/*threads=*/1, /*waiting_max=*/0);
  Client client(port_);
  EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("OVERLOADED"),
                                         HasSubstr("Retry-After: 1")));
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(HttpServerTest, AStopWaitsForNobody) {
  Start(/*threads=*/2);
  Client idle(port_);
  idle.Send("GET / HTTP/1.1\r\n\r\n");
  idle.ReadAnswer();
  Client half(port_);
  half.Send("PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
  Client waiting(port_);
  const MonotonicNanos start = clock_.Now();
  server_->Stop();
  EXPECT_LT(Since(start), 2 * kNanosPerSecond);
  EXPECT_TRUE(idle.AwaitEnd());
  server_->Stop();
}

}  // namespace
}  // namespace raftkv::server
