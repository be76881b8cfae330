// The HTTP port as people use it: with curl, against every node of a cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/support/http2_client.h"
#include "tests/support/test_cluster.h"
#include "tests/support/workload.h"

namespace raftkv::integration {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct HttpReply {
  int status = 0;
  std::string body;
  std::string head;

  Json json() const { return Json::parse(body, nullptr, /*allow_exceptions=*/false); }
};

// Runs a line as somebody typed it, but for the port.
HttpReply Curl(const std::string& address, const std::string& line) {
  const std::string port = address.substr(address.rfind(':'));
  const std::string command =
      absl::StrReplaceAll(line, {{"curl ", "curl -s -S -i --max-time 30 "}, {":8080", port}});
  const CommandResult result = RunCommand({"/bin/sh", "-c", command}, "", {}, Millis(40000));
  EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << line << "\n" << result;
  HttpReply reply;
  std::string rest = result.out;
  // Also what comes before the answer, as 100 Continue.
  while (absl::StartsWith(rest, "HTTP/1.1 ")) {
    const size_t end = rest.find("\r\n\r\n");
    reply.head = rest.substr(0, end);
    reply.status = std::stoi(reply.head.substr(9, 3));
    rest = end == std::string::npos ? "" : rest.substr(end + 4);
  }
  reply.body = rest;
  return reply;
}

std::ostream& operator<<(std::ostream& out, const HttpReply& reply) {
  return out << reply.head << "\n\n" << reply.body;
}

class HttpTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new TestCluster({.size = 3, .http = true, .flags = {"--value_bytes_max=100000"}});
    ASSERT_TRUE(cluster_->StartAll());
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  static std::string Address(size_t node) { return cluster_->server(node).http_address(); }
  static HttpReply CurlAt(size_t node, const std::string& line) {
    return Curl(Address(node), line);
  }

  static TestCluster* cluster_;
};

TestCluster* HttpTest::cluster_ = nullptr;

constexpr char kStored[] =
    R"({"key":"mykey","value":"myvalue","message":"Key-value pair stored successfully"})";
constexpr char kFound[] = R"({"key":"mykey","value":"myvalue"})";
constexpr char kDeleted[] =
    R"({"key":"mykey","deleted":true,"message":"Key deleted successfully"})";

TEST_F(HttpTest, TheLinesThatPeopleTypeWorkOnEveryNode) {
  for (size_t node = 0; node < 3; ++node) {
    SCOPED_TRACE(node);
    const auto expect = [&](const std::string& line, const std::string& body) {
      const HttpReply reply = CurlAt(node, line);
      EXPECT_EQ(reply.status, 200) << line << "\n" << reply;
      EXPECT_EQ(reply.body, body) << line;
    };
    HttpReply put = CurlAt(
        node,
        R"(curl -X PUT http://localhost:8080/v1/kv/mykey -H "Content-Type: application/json" -d '{"value": "myvalue", "ttl": "5s"}')");
    EXPECT_EQ(put.status, 200) << put;
    EXPECT_EQ(put.json()["value"], "myvalue");
    EXPECT_GT(put.json()["revision"], 0);
    const HttpReply got = CurlAt(node, "curl http://localhost:8080/v1/kv/mykey");
    EXPECT_EQ(got.json()["value"], "myvalue") << got;
    EXPECT_EQ(got.json()["mod_revision"], put.json()["revision"]);
    EXPECT_THAT(got.json()["ttl"].get<std::string>(), testing::MatchesRegex("[45].*s")) << got;
    expect("curl -X DELETE http://localhost:8080/v1/kv/mykey", kDeleted);
    EXPECT_EQ(CurlAt(node, "curl http://localhost:8080/v1/kv/mykey").status, 404);
    expect(
        R"(curl -X PUT http://localhost:8080/kv/mykey -H "Content-Type: application/json" -d '{"value": "myvalue"}')",
        kStored);
    expect("curl http://localhost:8080/kv/mykey", kFound);
    expect("curl -X DELETE http://localhost:8080/kv/mykey", kDeleted);
    expect("curl -X DELETE http://localhost:8080/kv/mykey",
           R"({"key":"mykey","deleted":false,"message":"Key not found"})");
    expect(
        R"(curl -X POST http://localhost:8080/set -H "Content-Type: application/json" -d '{"key": "mykey", "value": "myvalue"}')",
        kStored);
    expect(R"(curl "http://localhost:8080/get?key=mykey")", kFound);
    expect(R"(curl -X DELETE "http://localhost:8080/delete?key=mykey")", kDeleted);
    expect(
        R"(curl -X PUT http://localhost:8080/key/mykey -H "Content-Type: application/json" -d '{"value": "myvalue"}')",
        kStored);
    expect("curl http://localhost:8080/key/mykey", kFound);
    expect("curl http://localhost:8080/health", R"({"healthy":true})");
    const HttpReply join = CurlAt(
        node,
        R"(curl -X POST http://localhost:8080/join -H "Content-Type: application/json" -d '{"node_id": "node2", "raft_address": "localhost:8001"}')");
    EXPECT_EQ(join.status, 400);
    EXPECT_EQ(join.json()["error"]["reason"], "MEMBER_UNREACHABLE") << join;
  }
}

TEST_F(HttpTest, StatusTellsOfMemberAndCluster) {
  const std::optional<size_t> leader = cluster_->WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  for (size_t node = 0; node < 3; ++node) {
    const Json status = CurlAt(node, "curl http://localhost:8080/status").json();
    EXPECT_EQ(status["name"], TestCluster::Name(node)) << status;
    EXPECT_EQ(status["id"], TestCluster::Id(node));
    EXPECT_EQ(status["state"], node == *leader ? "leader" : "follower");
    EXPECT_EQ(status["role"], "voter");
    EXPECT_EQ(status["leader"]["name"], TestCluster::Name(*leader)) << status;
    EXPECT_GT(status["term"], 0);
    EXPECT_GE(status["commit_index"], status["applied_index"]);
    EXPECT_GT(status["memory_bytes"], 1 << 20);
    EXPECT_EQ(status["memory"]["planned_bytes"], 256 << 20);
    EXPECT_EQ(status["memory"]["resident_bytes"], status["memory_bytes"]);
    EXPECT_GT(status["memory"]["write_buffer_bytes"], 0);
    EXPECT_GT(status["memory"]["log_bytes"], 0);
    EXPECT_GE(status["uptime_seconds"], 0);
    EXPECT_TRUE(status["warnings"].empty()) << status;
    ASSERT_EQ(status["members"].size(), 3U) << status;
    EXPECT_EQ(status["members"][*leader]["is_leader"], true);
    EXPECT_EQ(status["members"][node]["peer_address"], cluster_->peer_address(node));
    EXPECT_EQ(CurlAt(node, "curl http://localhost:8080/members").json()["members"],
              status["members"]);
    EXPECT_EQ(CurlAt(node, "curl http://localhost:8080/version").json()["version"],
              status["version"]);
    EXPECT_EQ(CurlAt(node, "curl http://localhost:8080/livez").body, "ok\n");
    EXPECT_EQ(CurlAt(node, "curl http://localhost:8080/readyz").body, "ok\n");
    EXPECT_EQ(CurlAt(node, "curl http://localhost:8080/readyz?verbose").body,
              "[+]serving ok\n[+]caught_up ok\n[+]linearizable_read ok\n");
  }
}

TEST_F(HttpTest, TheConsoleIsServedByEveryNode) {
  for (size_t node = 0; node < 3; ++node) {
    const HttpReply page = CurlAt(node, "curl http://localhost:8080/");
    EXPECT_EQ(page.status, 200) << page;
    EXPECT_THAT(
        page.head,
        AllOf(HasSubstr("Content-Type: text/html; charset=utf-8"),
              HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'"),
              HasSubstr("frame-ancestors 'none'"), HasSubstr("Referrer-Policy: no-referrer"),
              HasSubstr("X-Content-Type-Options: nosniff"), HasSubstr("Cache-Control: no-cache"),
              HasSubstr("ETag: \"")));
    EXPECT_THAT(page.body, HasSubstr("/console/main.js"));
  }
  const HttpReply script = CurlAt(0, "curl http://localhost:8080/console/main.js");
  EXPECT_THAT(script.head, AllOf(HasSubstr("Content-Type: text/javascript; charset=utf-8"),
                                 HasSubstr("X-Content-Type-Options: nosniff")));
  const size_t tag = script.head.find("ETag: ") + 6;
  const HttpReply kept =
      CurlAt(0, absl::StrCat("curl http://localhost:8080/console/main.js -H 'If-None-Match: ",
                             script.head.substr(tag, script.head.find("\r\n", tag) - tag), "'"));
  EXPECT_EQ(kept.status, 304) << kept;
  EXPECT_EQ(kept.body, "");
  const HttpReply head = CurlAt(0, "curl -I http://localhost:8080/console/main.js");
  EXPECT_EQ(head.status, 200) << head;
  EXPECT_THAT(head.head, HasSubstr(absl::StrCat("Content-Length: ", script.body.size())));
  EXPECT_EQ(head.body, "");
  const HttpReply post = CurlAt(0, "curl -X POST http://localhost:8080/");
  EXPECT_EQ(post.status, 405) << post;
  EXPECT_THAT(post.head, HasSubstr("Allow: GET, HEAD"));
  EXPECT_EQ(CurlAt(0, "curl http://localhost:8080/console/").status, 404);
  EXPECT_EQ(CurlAt(0, "curl http://localhost:8080/console/index.html").status, 404);
}

TEST_F(HttpTest, AConsoleMayBeReadOnlyOrOff) {
  const std::string put =
      "curl http://localhost:8080/raftkv.v1.KvService/Put -H 'Content-Type: application/json' "
      R"(-d '{"key":"a","text":"1"}')";
  const auto of_own_page = [](const std::string& line, const std::string& address) {
    return absl::StrCat(line, " -H 'Origin: http://localhost", address.substr(address.rfind(':')),
                        "'");
  };
  TestCluster readonly({.size = 1, .http = true, .flags = {"--console=readonly"}});
  ASSERT_TRUE(readonly.StartAll());
  std::string address = readonly.server(0).http_address();
  EXPECT_THAT(Curl(address, "curl http://localhost:8080/").body,
              HasSubstr(R"(content="readonly")"));
  const HttpReply refused = Curl(address, of_own_page(put, address));
  EXPECT_EQ(refused.status, 403) << refused;
  EXPECT_EQ(refused.json()["error"]["reason"], "CONSOLE_READONLY");
  EXPECT_FALSE(readonly.client(0).GetText("a")->has_kv());
  EXPECT_EQ(Curl(address, put).status, 200) << "the API itself stays";
  const std::string get =
      "curl http://localhost:8080/raftkv.v1.KvService/Get -H 'Content-Type: application/json' "
      R"(-d '{"key":"a"}')";
  EXPECT_EQ(Curl(address, of_own_page(get, address)).status, 200);

  TestCluster off({.size = 1, .http = true, .flags = {"--console=off"}});
  ASSERT_TRUE(off.StartAll());
  address = off.server(0).http_address();
  EXPECT_EQ(Curl(address, "curl http://localhost:8080/").status, 404);
  EXPECT_EQ(Curl(address, "curl http://localhost:8080/console/main.js").status, 404);
  EXPECT_EQ(Curl(address, of_own_page(put, address)).status, 200);
}

TEST_F(HttpTest, KeysMayBeAnything) {
  for (const auto& [path, key] :
       std::vector<std::pair<std::string, std::string>>{{"a/b/c", "a/b/c"},
                                                        {"a%2Fb", "a/b"},
                                                        {"with%20space", "with space"},
                                                        {"50%25", "50%"},
                                                        {"caf%C3%A9", "café"},
                                                        {"line%0Abreak", "line\nbreak"},
                                                        {"q%3Fm%26", "q?m&"}}) {
    const HttpReply put = CurlAt(0, absl::StrCat("curl -X PUT http://localhost:8080/v1/kv/", path,
                                                 " -d '{\"value\":\"", path, "\"}'"));
    EXPECT_EQ(put.json()["key"], key) << put;
    EXPECT_EQ(cluster_->client(1).GetText(key)->kv().text(), path) << "what gRPC sees";
    EXPECT_EQ(CurlAt(2, absl::StrCat("curl http://localhost:8080/v1/kv/", path)).json()["value"],
              path);
  }
  EXPECT_EQ(
      CurlAt(0, "curl 'http://localhost:8080/v1/kv?prefix=a/b&keys_only'").json()["kvs"].size(),
      2U);
}

TEST_F(HttpTest, BytesGoRawAndComeBack) {
  EXPECT_EQ(
      CurlAt(0, R"(printf '\000\377{' | curl -T - 'http://localhost:8080/v1/kv/bytes?raw&ttl=1m')")
          .status,
      200);
  EXPECT_EQ(CurlAt(1, "curl http://localhost:8080/v1/kv/bytes?raw").body,
            std::string("\0\xFF{", 3));
  EXPECT_EQ(CurlAt(2, "curl http://localhost:8080/v1/kv/bytes").json()["value_base64"], "AP97");
}

TEST_F(HttpTest, EveryMethodIsThereForConnect) {
  const std::string with_body = " -H 'Content-Type: application/json' -d '";
  const auto post = [&](const std::string& method, const std::string& body) {
    return CurlAt(0, absl::StrCat("curl http://localhost:8080/", method, with_body, body, "'"));
  };
  EXPECT_EQ(post("raftkv.v1.KvService/Put", R"({"key":"rpc","text":"1"})").status, 200);
  const HttpReply got = post("raftkv.v1.KvService/Get", R"({"key":"rpc","as_text":true})");
  EXPECT_EQ(got.json()["kv"]["text"], "1") << got;
  EXPECT_NE(got.json()["header"]["cluster_id"], "0");
  EXPECT_EQ(post("raftkv.v1.KvService/List", R"({"range":{"key":"rpc"}})").json()["count"], "1");
  EXPECT_EQ(post("raftkv.v1.KvService/DeleteRange", R"({"range":{"key":"rpc"}})").json()["deleted"],
            "1");
  EXPECT_EQ(post("raftkv.v1.KvService/Delete", R"({"key":"rpc"})").json()["deleted"], false);
  EXPECT_EQ(post("raftkv.v1.ClusterService/ListMembers", "{}").json()["members"].size(), 3U);
  EXPECT_EQ(post("raftkv.v1.ClusterService/GetStatus", "{}").json()["name"], "n1");
  EXPECT_EQ(post("grpc.health.v1.Health/Check", "{}").json()["status"], "SERVING");
  const HttpReply refused = post("raftkv.v1.KvService/Put",
                                 R"({"key":"rpc","text":"1","precondition":{"mod_revision":"7"}})");
  EXPECT_EQ(refused.status, 409) << refused;
  EXPECT_EQ(refused.json()["code"], "aborted");
}

TEST_F(HttpTest, BadInputIsNamed) {
  const std::string put = "curl -X PUT http://localhost:8080/v1/kv/k -d ";
  struct Case {
    std::string line;
    int status;
    std::string words;
  };
  for (const Case& bad : std::vector<Case>{
           {put + R"('{"value": nope}')", 400, "byte 12"},
           {put + R"('{"value": 5}')", 400, "value: must be a text"},
           {put + R"('{"value": "a", "value": "b"}')", 400, "given twice"},
           {put + R"('{"value": "a", "tll": "5s"}')", 501, "UNKNOWN_FIELD"},
           {put + R"('{}')", 400, "NO_VALUE"},
           {put + R"('{"value": "a", "ttl": "soon"}')", 400, "BAD_TTL"},
           {put + R"('{"value": "a", "ttl": "-5s"}')", 400, "BAD_TTL"},
           {put + R"('{"value": "a", "ttl": "100000h"}')", 400, "BAD_TTL"},
           {"curl -X PUT http://localhost:8080/v1/kv/ -d '{\"value\":\"\"}'", 400, "BAD_KEY"},
           {"curl http://localhost:8080/v1/kv/%zz", 400, "MALFORMED"},
           {"curl http://localhost:8080/v1/kv/%FF", 400, "UTF-8"},
           {"curl 'http://localhost:8080/v1/kv?page_token=x'", 400, "BAD_PAGE_TOKEN"},
           {"curl 'http://localhost:8080/v1/kv?page_size=-1'", 400, "BAD_PAGE_SIZE"},
           {"curl 'http://localhost:8080/get?kee=k'", 400, "\\\"kee\\\""},
           {"curl 'http://localhost:8080/get?key=k&timeout=soon'", 400, "timeout"},
           {"curl -X POST http://localhost:8080/kv/k", 405, "METHOD_NOT_ALLOWED"},
           {"curl http://localhost:8080/nothing", 404, "NO_SUCH_ROUTE"},
           {"curl http://localhost:8080/metrics/all", 404, "NO_SUCH_ROUTE"},
           {"curl -X POST http://localhost:8080/metrics", 405, "METHOD_NOT_ALLOWED"},
           {"curl -X PUT http://localhost:8080/kv/k -H 'Origin: http://evil.example' -d '{}'", 403,
            "FOREIGN_ORIGIN"},
           {"head -c 100001 /dev/zero | curl -T - 'http://localhost:8080/v1/kv/k?raw'", 400,
            "VALUE_TOO_LARGE"},
           {"head -c 5000000 /dev/zero | curl -T - 'http://localhost:8080/v1/kv/k?raw'", 413,
            "BODY_TOO_LARGE"}}) {
    const HttpReply reply = CurlAt(0, bad.line);
    EXPECT_EQ(reply.status, bad.status) << bad.line << "\n" << reply;
    EXPECT_THAT(reply.body, HasSubstr(bad.words)) << bad.line;
    EXPECT_FALSE(reply.json()["error"]["message"].empty()) << bad.line << reply;
  }
  EXPECT_THAT(CurlAt(0, "curl -X POST http://localhost:8080/kv/k").head,
              HasSubstr("Allow: PUT, GET, HEAD, DELETE"));
  EXPECT_EQ(cluster_->client(0).GetText("k")->has_kv(), false) << "nothing of it was done";
}

TEST_F(HttpTest, WithoutAQuorumItSaysSoAndStillShowsItself) {
  TestCluster cluster({.size = 3, .http = true, .flags = {}});
  ASSERT_TRUE(cluster.StartAll());
  cluster.server(1).Kill9();
  cluster.server(2).Kill9();
  const std::string address = cluster.server(0).http_address();
  ASSERT_TRUE(WaitUntil(Millis(15000), [&] {
    return Curl(address, "curl http://localhost:8080/health?timeout=1s").status == 503;
  }));
  const HttpReply health = Curl(address, "curl http://localhost:8080/health");
  EXPECT_EQ(health.json()["healthy"], false);
  EXPECT_FALSE(health.json()["reasons"].empty()) << health;
  const HttpReply put =
      Curl(address, R"(curl -X PUT http://localhost:8080/kv/a -d '{"value":"1"}')");
  EXPECT_EQ(put.status, 503) << put;
  EXPECT_EQ(put.json()["error"]["reason"], "NO_LEADER");
  EXPECT_THAT(put.head, HasSubstr("Retry-After: 1"));
  EXPECT_EQ(Curl(address, "curl http://localhost:8080/livez").status, 200);
  const HttpReply ready = Curl(address, "curl http://localhost:8080/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, AllOf(HasSubstr("[+]serving ok"), HasSubstr("[-]linearizable_read")));
  const Json status = Curl(address, "curl http://localhost:8080/status").json();
  EXPECT_EQ(status["leader"], nullptr) << status;
  EXPECT_EQ(status["members"].size(), 3U);
}

TEST_F(HttpTest, AStopEndsWhatIsThere) {
  TestCluster cluster({.size = 1, .http = true, .flags = {}});
  ASSERT_TRUE(cluster.StartAll());
  const int idle = ConnectTcp(cluster.server(0).http_address());
  const int half = ConnectTcp(cluster.server(0).http_address());
  ASSERT_EQ(send(half, "PUT /kv/a HTTP/1.1\r\nContent-Length: 5\r\n\r\na", 41, MSG_NOSIGNAL), 41);
  EXPECT_EQ(cluster.server(0).Stop(), (ExitStatus{.code = 0})) << cluster.server(0).LogTail();
  close(idle);
  close(half);
}

// Connections that do nothing, begin and do not go on, or ask and do not read.
TEST_F(HttpTest, WhatIsSlowThereDisturbsNoWrites) {
  const std::optional<size_t> leader = cluster_->WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const auto term = [&] { return cluster_->client(*leader).GetStatus()->header().raft_term(); };
  const uint64_t before = term();
  ASSERT_TRUE(cluster_->client(0).PutText("large", std::string(100'000, 'x')).ok());
  Workload workload(cluster_);
  workload.WaitForSuccesses(200);
  std::vector<int> sockets;
  for (int i = 0; i < 2000; ++i) {
    const int socket = ConnectTcp(Address(*leader));
    sockets.push_back(socket);
    if (i % 3 == 1) {
      send(socket, "PUT /kv/a HTTP/1.1\r\nContent-Le", 30, MSG_NOSIGNAL);
    } else if (i % 3 == 2) {
      std::string requests;
      for (int k = 0; k < 40; ++k) {
        requests += "GET /v1/kv/large HTTP/1.1\r\n\r\n";
      }
      send(socket, requests.data(), requests.size(), MSG_NOSIGNAL);
    }
  }
  workload.WaitForSuccesses(1000);
  // And whoever comes now is served, after a moment.
  EXPECT_TRUE(WaitUntil(Millis(20000), [&] {
    return CurlAt(*leader, "curl http://localhost:8080/health").status == 200;
  }));
  workload.Finish();
  workload.Verify();
  EXPECT_EQ(term(), before) << "nobody took the leader for dead";
  for (const int socket : sockets) {
    close(socket);
  }
}

}  // namespace
}  // namespace raftkv::integration
