// TLS on all ports, with real processes: who is refused and how they hear of it, and that files can
// be replaced while the cluster works.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/security/auth_context.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "raftkv/peer/v1/forward.grpc.pb.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "tests/support/cluster_tls.h"
#include "tests/support/test_cluster.h"
#include "tests/support/wait.h"

namespace raftkv::integration {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

constexpr Millis kPatience(10000);

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) << address;
  return port;
}

// All that a port of this machine says to these bytes, until it closes or is silent for a while.
std::string AnswerTo(const std::string& bytes, const std::string& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(PortOf(address)));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  const timeval patience = {.tv_sec = 2, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  std::string answer;
  char part[4096];
  for (ssize_t count = 0; (count = recv(fd, part, sizeof(part), 0)) > 0;) {
    answer.append(part, static_cast<size_t>(count));
  }
  close(fd);
  return answer;
}

// A call on a connection of its own.
CallError CallOnce(const std::string& address,
                   const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  return NodeClient(address, credentials).GetText("key", Millis(5000));
}

// The certificate that a new connection is shown, in PEM.
std::string CertificateOf(const std::string& address, const ClusterTls& tls) {
  const auto stub = v1::ClusterService::NewStub(MakeChannel(address, tls.Credentials()));
  grpc::ClientContext context;
  SetTimeout(&context, Millis(5000));
  v1::GetStatusResponse response;
  const grpc::Status status = stub->GetStatus(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  const auto pem = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return pem.empty() ? "" : std::string(pem[0].data(), pem[0].size());
}

std::vector<std::string> CurlArguments(const ClusterTls& tls, const std::string& url) {
  return {"curl",
          "-s",
          "-S",
          "-m",
          "20",
          "--cacert",
          tls.File("ca.pem"),
          "--cert",
          tls.File("client.pem"),
          "--key",
          tls.File("client.key"),
          url};
}

CommandResult Ctl(const std::string& endpoint, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& env = {}) {
  std::vector<std::string> argv = {RaftkvctlPath(), "--endpoints", endpoint};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunCommand(argv, "", env);
}

// One member with TLS on all three ports.
class TlsNodeTest : public testing::Test {
 protected:
  bool Start(const std::vector<std::string>& more_flags = {}) {
    std::vector<std::string> flags = tls_.FlagsOf("default");
    flags.insert(flags.end(), more_flags.begin(), more_flags.end());
    server_ = std::make_unique<ServerProcess>(ServerOptions{.name = "",
                                                            .data_dir = dir_.File("data"),
                                                            .listen_http = "127.0.0.1:0",
                                                            .initial_cluster = "",
                                                            .flags = flags,
                                                            .env = {}});
    server_->Start();
    if (!server_->WaitReady()) {
      ADD_FAILURE() << server_->LogTail();
      return false;
    }
    client_ = std::make_unique<NodeClient>(server_->client_address(), tls_.Credentials());
    return WaitUntil(kPatience, [&] { return client_->PutText("key", "value").ok(); });
  }
  ~TlsNodeTest() override {
    if (HasFailure() && server_ != nullptr) {
      std::cerr << server_->LogTail();
    }
  }
  std::string https() const { return absl::StrCat("https://", server_->http_address()); }
  bool AwaitLog(const std::string& text) {
    return WaitUntil(kPatience, [&] { return absl::StrContains(server_->Log(), text); });
  }
  std::vector<std::string> Warnings() {
    const auto status = client_->GetStatus();
    EXPECT_TRUE(status.ok()) << status;
    return {status->warnings().begin(), status->warnings().end()};
  }
  bool AwaitWarning(const std::string& text) {
    return WaitUntil(kPatience,
                     [&] { return absl::StrContains(absl::StrJoin(Warnings(), "\n"), text); });
  }
  bool AwaitNoWarning() {
    return WaitUntil(kPatience, [&] { return Warnings().empty(); });
  }
  // By gRPC and by HTTP.
  bool AwaitCertificate(const KeyPair& pair) {
    return WaitUntil(kPatience, [&] {
      return CertificateOf(server_->client_address(), tls_) == pair.certificate;
    });
  }

  TempDir dir_;
  ClusterTls tls_{{"default"}};
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<NodeClient> client_;
};

TEST_F(TlsNodeTest, NoPortAnswersPlainText) {
  ASSERT_TRUE(Start());
  const std::string kHttp1 = "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  // The preface of HTTP/2 and an empty SETTINGS frame; a server's answer begins with its own.
  const std::string kHttp2("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  for (const std::string& address :
       {server_->client_address(), server_->peer_address(), server_->http_address()}) {
    for (const std::string& words : {kHttp1, kHttp2, std::string("\n\n\n\n\n\n\n\n\n\n\n\n")}) {
      const std::string answer = AnswerTo(words, address);
      // Nothing, or an alert of TLS: content type 21, version 3.x, two bytes.
      const bool alert = answer.size() == 7 && answer[0] == 21 && answer[1] == 3;
      EXPECT_TRUE(answer.empty() || alert) << address << " says " << testing::PrintToString(answer);
    }
    EXPECT_EQ(CallOnce(address, grpc::InsecureChannelCredentials()).status.error_code(),
              StatusCode::UNAVAILABLE);
  }
  EXPECT_NE(RunCommand({"curl", "-s", "-m", "20",
                        absl::StrCat("http://", server_->http_address(), "/status")})
                .exit.code,
            0);
  EXPECT_TRUE(AwaitLog("it speaks")) << "the log says that a client spoke no TLS";
  EXPECT_TRUE(client_->GetText("key").ok());
}

TEST_F(TlsNodeTest, ClientsWithoutAGoodCertificateAreRefused) {
  ASSERT_TRUE(Start());
  CertificateAuthority stranger("another CA");
  const std::pair<const char*, KeyPair> bad[] = {
      {"none", {}},
      {"of another CA", stranger.Issue({.names = {"client"}})},
      {"expired", tls_.ca().Issue({.names = {"client"}, .ends = -absl::Hours(1)})},
      {"not yet valid", tls_.ca().Issue({.names = {"client"}, .begins = absl::Hours(1)})},
      {"for servers alone", tls_.ca().Issue({.names = {"client"}, .usage = "serverAuth"})}};
  for (const auto& [what, pair] : bad) {
    for (const std::string& address : {server_->client_address(), server_->peer_address()}) {
      EXPECT_EQ(CallOnce(address, tls_.CredentialsOf(pair)).status.error_code(),
                StatusCode::UNAVAILABLE)
          << what;
    }
    std::vector<std::string> curl = {"curl", "-s", "-m", "20", "--cacert", tls_.File("ca.pem")};
    if (!pair.key.empty()) {
      tls_.Write("bad", pair);
      curl.insert(curl.end(), {"--cert", tls_.File("bad.pem"), "--key", tls_.File("bad.key")});
    }
    curl.push_back(absl::StrCat(https(), "/v1/kv/key"));
    const CommandResult result = RunCommand(curl);
    EXPECT_NE(result.exit.code, 0) << what;
    EXPECT_EQ(result.out, "") << what;
  }
  EXPECT_TRUE(AwaitLog("peer did not return a certificate"));
  EXPECT_TRUE(AwaitLog("certificate verify failed (its certificate is of a CA that is not"));
  EXPECT_TRUE(AwaitLog("TLS: refused 127.0.0.1:"));
  EXPECT_TRUE(AwaitLog("on the HTTP port: "));
  EXPECT_TRUE(client_->GetText("key").ok());
}

// The reason in words, by HTTP with the address of the client.
TEST_F(TlsNodeTest, TheLogSaysWhomItRefusedAndWhy) {
  ASSERT_TRUE(Start());
  tls_.Write("bad", tls_.ca().Issue({.names = {"client"}, .ends = -absl::Hours(1)}));
  EXPECT_NE(RunCommand({"curl", "-s", "-m", "20", "--cacert", tls_.File("ca.pem"), "--cert",
                        tls_.File("bad.pem"), "--key", tls_.File("bad.key"), https()})
                .exit.code,
            0);
  EXPECT_TRUE(AwaitLog("on the HTTP port: its certificate: certificate has expired"));
}

TEST_F(TlsNodeTest, CtlSpeaksTls) {
  ASSERT_TRUE(Start());
  const std::string& endpoint = server_->client_address();
  const std::vector<std::string> tls = {"--cacert", tls_.File("ca.pem"),
                                        "--cert",   tls_.File("client.pem"),
                                        "--key",    tls_.File("client.key")};
  std::vector<std::string> get = tls;
  get.insert(get.end(), {"get", "key", "--print-value-only"});
  EXPECT_EQ(Ctl(endpoint, get).out, "value\n");
  EXPECT_EQ(Ctl(absl::StrCat("https://", endpoint), get).out, "value\n");
  // A member's own idea of where it is goes by TLS as well.
  std::vector<std::string> status = tls;
  status.insert(status.end(), {"endpoint", "health", "--cluster"});
  EXPECT_TRUE(WaitUntil(Millis(15'000), [&] { return Ctl(endpoint, status).exit.code == 0; }))
      << "or it has not published where it is yet";
  const std::vector<std::string> env = {absl::StrCat("RAFTKVCTL_CACERT=", tls_.File("ca.pem")),
                                        absl::StrCat("RAFTKVCTL_CERT=", tls_.File("client.pem")),
                                        absl::StrCat("RAFTKVCTL_KEY=", tls_.File("client.key"))};
  EXPECT_EQ(Ctl(endpoint, {"get", "key", "--print-value-only"}, env).out, "value\n");
}

TEST_F(TlsNodeTest, CtlSaysWhyItCannotConnect) {
  ASSERT_TRUE(Start());
  const std::string& endpoint = server_->client_address();
  const CertificateAuthority stranger("another CA");
  WriteFile(tls_.File("stranger.pem"), stranger.certificate());
  CommandResult result = Ctl(endpoint, {"--cacert", tls_.File("stranger.pem"), "get", "key"});
  EXPECT_EQ(result.exit.code, 2);
  EXPECT_THAT(result.err, HasSubstr("certificate verify failed (the server's certificate"));
  result = Ctl(endpoint, {"--cacert", tls_.File("ca.pem"), "get", "key"});
  EXPECT_EQ(result.exit.code, 2);
  EXPECT_THAT(result.err, HasSubstr("client certificate"));
  result = Ctl(endpoint, {"get", "key"});
  EXPECT_EQ(result.exit.code, 2);
  EXPECT_THAT(result.err, HasSubstr("may want TLS"));
  result = Ctl(absl::StrCat("http://", endpoint), {"--cacert", tls_.File("ca.pem"), "get", "key"});
  EXPECT_EQ(result.exit.code, 128);
  EXPECT_THAT(result.err, HasSubstr("the client speaks TLS"));
  result = Ctl(endpoint, {"--cacert", tls_.File("no.pem"), "get", "key"});
  EXPECT_EQ(result.exit.code, 128);
  EXPECT_THAT(result.err, AllOf(HasSubstr("no.pem"), HasSubstr("No such file")));
  result = Ctl(endpoint, {"--cert", tls_.File("client.pem"), "get", "key"});
  EXPECT_EQ(result.exit.code, 128);
}

// The certificate must be for the host that the client dials.
TEST_F(TlsNodeTest, AServerOfAnotherNameIsNotSpokenTo) {
  tls_.Write("default", tls_.ca().Issue({.names = {"default", "elsewhere.example"}}));
  server_ = std::make_unique<ServerProcess>(ServerOptions{.name = "",
                                                          .data_dir = dir_.File("data"),
                                                          .listen_http = "127.0.0.1:0",
                                                          .initial_cluster = "",
                                                          .flags = tls_.FlagsOf("default"),
                                                          .env = {}});
  server_->Start();
  ASSERT_TRUE(server_->WaitReady());
  EXPECT_EQ(CallOnce(server_->client_address(), tls_.Credentials()).status.error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_NE(RunCommand(CurlArguments(tls_, https())).exit.code, 0);
}

TEST_F(TlsNodeTest, HttpSpeaksTls) {
  ASSERT_TRUE(Start());
  const CommandResult read = RunCommand(CurlArguments(tls_, absl::StrCat(https(), "/kv/key")));
  EXPECT_EQ(read.out, "{\"key\":\"key\",\"value\":\"value\"}") << read;
  // More than a record of TLS, and than a socket's buffer, each way.
  const std::string large(1 << 20, 'x');
  WriteFile(dir_.File("large"), large);
  std::vector<std::string> write = CurlArguments(tls_, absl::StrCat(https(), "/v1/kv/large?raw"));
  write.insert(write.begin() + 1, {"-T", dir_.File("large")});
  EXPECT_EQ(RunCommand(write).exit.code, 0);
  EXPECT_EQ(RunCommand(CurlArguments(tls_, absl::StrCat(https(), "/v1/kv/large?raw"))).out, large);
  // Several requests on one connection.
  std::vector<std::string> twice = CurlArguments(tls_, absl::StrCat(https(), "/kv/key"));
  twice.push_back(absl::StrCat(https(), "/kv/key"));
  EXPECT_EQ(RunCommand(twice).out,
            "{\"key\":\"key\",\"value\":\"value\"}{\"key\":\"key\",\"value\":\"value\"}");
  std::vector<std::string> old = CurlArguments(tls_, https());
  old.insert(old.begin() + 1, {"--tls-max", "1.1"});
  EXPECT_NE(RunCommand(old).exit.code, 0);
}

TEST_F(TlsNodeTest, APortMayAskForNoCertificate) {
  ASSERT_TRUE(Start({"--http_client_cert_auth=false"}));
  EXPECT_EQ(RunCommand({"curl", "-s", "-m", "20", "--cacert", tls_.File("ca.pem"),
                        absl::StrCat(https(), "/kv/key")})
                .out,
            "{\"key\":\"key\",\"value\":\"value\"}");
  EXPECT_EQ(CallOnce(server_->client_address(), tls_.CredentialsOf({})).status.error_code(),
            StatusCode::UNAVAILABLE);
}

TEST_F(TlsNodeTest, NewFilesAreUsedAndHalfReplacedOnesAreNot) {
  ASSERT_TRUE(Start());
  EXPECT_TRUE(Warnings().empty());
  const KeyPair old = {.certificate = ReadFile(tls_.File("default.pem")),
                       .key = ReadFile(tls_.File("default.key"))};
  const KeyPair next = tls_.IssueMember("default");
  ReplaceFile(tls_.File("default.pem"), next.certificate);
  ASSERT_TRUE(AwaitWarning("is not the key of the certificate"));
  EXPECT_EQ(CertificateOf(server_->client_address(), tls_), old.certificate);
  EXPECT_EQ(RunCommand(CurlArguments(tls_, absl::StrCat(https(), "/kv/key"))).exit.code, 0);
  ReplaceFile(tls_.File("default.key"), next.key);
  ASSERT_TRUE(AwaitCertificate(next));
  EXPECT_TRUE(AwaitNoWarning());
  const CommandResult shown =
      RunCommand({"/bin/sh", "-c",
                  absl::StrCat("openssl s_client -connect ", server_->http_address(), " -CAfile ",
                               tls_.File("ca.pem"), " -cert ", tls_.File("client.pem"), " -key ",
                               tls_.File("client.key"), " </dev/null 2>/dev/null | openssl x509")});
  EXPECT_EQ(shown.out, next.certificate) << "the HTTP port has the new one, too";
  // The connection of before goes on.
  EXPECT_TRUE(client_->GetText("key").ok());

  std::filesystem::remove(tls_.File("default.pem"));
  ASSERT_TRUE(AwaitWarning("cannot be read"));
  EXPECT_EQ(CertificateOf(server_->client_address(), tls_), next.certificate);
  const std::string log = server_->Log();
  ReplaceFile(tls_.File("default.pem"), next.certificate);
  EXPECT_TRUE(AwaitNoWarning());
  EXPECT_EQ(absl::StrContains(server_->Log().substr(log.size()), "again those that are used"),
            true);

  tls_.Write("default",
             tls_.ca().Issue({.names = {"default", "127.0.0.1"}, .ends = -absl::Hours(1)}));
  ASSERT_TRUE(AwaitWarning("has expired on"));
  EXPECT_EQ(CertificateOf(server_->client_address(), tls_), next.certificate);
  const std::string status = RunCommand(CurlArguments(tls_, absl::StrCat(https(), "/status"))).out;
  EXPECT_THAT(status, HasSubstr("has expired on"));
}

// A CA that is trusted no more: its clients are refused from then on.
TEST_F(TlsNodeTest, CasAreReplacedAsWell) {
  ASSERT_TRUE(Start());
  CertificateAuthority stranger("another CA");
  const KeyPair pair = stranger.Issue({.names = {"client"}});
  EXPECT_FALSE(CallOnce(server_->client_address(), tls_.CredentialsOf(pair)).ok());
  ReplaceFile(tls_.File("ca.pem"), stranger.certificate());
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    return CallOnce(server_->client_address(), tls_.CredentialsOf(pair)).ok();
  }));
  EXPECT_FALSE(CallOnce(server_->client_address(), tls_.Credentials()).ok());
}

TEST_F(TlsNodeTest, WarnsOfACertificateThatEndsSoon) {
  tls_.Write("default",
             tls_.ca().Issue({.names = {"default", "127.0.0.1"}, .ends = absl::Hours(60)}));
  ASSERT_TRUE(Start());
  EXPECT_TRUE(AwaitWarning("in 2 days"));
  EXPECT_THAT(server_->Log(), HasSubstr("the certificate in use expires on"));
}

TEST_F(TlsNodeTest, WhatCannotBeUsedEndsTheStart) {
  struct Case {
    KeyPair pair;
    std::string says;
  };
  const KeyPair good = tls_.IssueMember("default");
  const Case cases[] = {
      {{.certificate = good.certificate, .key = tls_.IssueMember("default").key},
       "--key_file=.*: is not the key"},
      {{.certificate = "x", .key = good.key}, "--cert_file=.*: holds no certificate"},
      {tls_.ca().Issue({.names = {"default"}, .ends = -absl::Hours(1)}),
       "--cert_file=.*: has expired"},
      {tls_.ca().Issue({.names = {"n2"}}), "--cert_file=.*: is for n2, .*DNS:default"}};
  for (const Case& each : cases) {
    tls_.Write("default", each.pair);
    std::vector<std::string> flags = tls_.FlagsOf("default");
    flags.insert(flags.end(), {"--data_dir", dir_.File("none"), "--listen_client=127.0.0.1:0",
                               "--listen_peer=127.0.0.1:0", "--listen_http="});
    const CommandResult result = RunRaftkvd(flags);
    EXPECT_EQ(result.exit, (ExitStatus{.code = 1})) << result;
    EXPECT_THAT(result.err, testing::ContainsRegex(each.says));
    EXPECT_FALSE(std::filesystem::exists(dir_.File("none")));
  }
  std::filesystem::remove(tls_.File("ca.pem"));
  const CommandResult result = RunRaftkvd(tls_.FlagsOf("default"));
  EXPECT_EQ(result.exit, (ExitStatus{.code = 1})) << result;
  EXPECT_THAT(result.err, HasSubstr("cannot be read: No such file"));
}

TEST(PlainTextTest, IsWarnedOfWhereOthersReachIt) {
  const TempDir dir;
  for (const bool everywhere : {true, false}) {
    const std::string host = everywhere ? "0.0.0.0:0" : "127.0.0.1:0";
    ServerProcess server({.name = "",
                          .data_dir = dir.File(host),
                          .listen_client = host,
                          .listen_peer = host,
                          .listen_http = host,
                          .initial_cluster = "",
                          .flags = {"--advertise_peer=127.0.0.1:1"},
                          .env = {}});
    server.Start();
    ASSERT_TRUE(server.WaitReady()) << server.LogTail();
    for (const char* flag : {"listen_client", "listen_peer", "listen_http"}) {
      const std::string warning = absl::StrCat(
          "--", flag, "=", host, ": other machines reach this port, and it has no TLS");
      EXPECT_EQ(absl::StrContains(server.Log(), warning), everywhere) << flag;
    }
  }
}

// The script that README names, with the programs as README starts them.
TEST(MakeCertsTest, MakesWhatAClusterNeeds) {
  const TempDir dir;
  const std::string script = SOURCE_DIR "/scripts/make_certs.sh";
  ASSERT_EQ(RunCommand({script, dir.File("certs"), "n1,127.0.0.1"}).exit.code, 0);
  const std::string ca = ReadFile(dir.File("certs/ca.pem"));
  // A second run adds a member.
  const CommandResult again = RunCommand({script, dir.File("certs"), "n2,n2.example.com"});
  ASSERT_EQ(again.exit.code, 0) << again;
  EXPECT_EQ(ReadFile(dir.File("certs/ca.pem")), ca);
  const std::string certs = dir.File("certs/");
  ServerProcess server(
      {.name = "n1",
       .data_dir = dir.File("data"),
       .initial_cluster = "",
       .flags = {absl::StrCat("--cert_file=", certs, "n1.pem"),
                 absl::StrCat("--key_file=", certs, "n1.key"),
                 absl::StrCat("--trusted_ca_file=", certs, "ca.pem"), "--client_cert_auth=true"},
       .env = {}});
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  const CommandResult put =
      Ctl(server.client_address(), {"--cacert", certs + "ca.pem", "--cert", certs + "client.pem",
                                    "--key", certs + "client.key", "put", "a", "1"});
  EXPECT_EQ(put.exit.code, 0) << put;
  for (const char* bad : {"n/1", "ca", ""}) {
    EXPECT_EQ(RunCommand({script, dir.File("certs"), bad}).exit.code, 1) << bad;
  }
}

class TlsClusterTest : public testing::Test {
 protected:
  // What a member of this certificate would call the peer port of n1 by.
  std::shared_ptr<grpc::Channel> PeerChannelOf(const KeyPair& pair) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(cluster_.peer_address(0), tls_.CredentialsOf(pair), arguments);
  }
  // What a stream of each kind ends with that was opened so.
  static grpc::Status Append(peer::v1::RaftService::Stub* raft,
                             const peer::v1::PeerIdentity& identity) {
    peer::v1::AppendEntriesRequest frame;
    *frame.mutable_opening() = identity;
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    const auto stream = raft->AppendEntries(&context);
    stream->Write(frame);
    return stream->Finish();
  }
  static grpc::Status Forward(const std::shared_ptr<grpc::Channel>& channel,
                              const peer::v1::PeerIdentity& identity) {
    peer::v1::ForwardRequest frame;
    *frame.mutable_opening() = identity;
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    const auto stream = peer::v1::ForwardService::NewStub(channel)->Forward(&context);
    stream->Write(frame);
    return stream->Finish();
  }
  static grpc::Status Install(peer::v1::RaftService::Stub* raft,
                              const peer::v1::PeerIdentity& identity) {
    peer::v1::InstallSnapshotRequest frame;
    *frame.mutable_opening()->mutable_identity() = identity;
    frame.mutable_opening()->set_term(1);
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    peer::v1::InstallSnapshotResponse response;
    const auto writer = raft->InstallSnapshot(&context, &response);
    writer->Write(frame);
    return writer->Finish();
  }
  KeyPair PairOf(const std::string& name) {
    return {.certificate = ReadFile(tls_.File(absl::StrCat(name, ".pem"))),
            .key = ReadFile(tls_.File(absl::StrCat(name, ".key")))};
  }

  ClusterTls tls_{{"n1", "n2", "n3"}};
  TestCluster cluster_{{.size = 3, .http = true, .flags = {}, .tls = &tls_}};
};

TEST_F(TlsClusterTest, WorksThroughAFailoverAndASwapOfAllFilesWithoutAFailedCall) {
  ASSERT_TRUE(cluster_.StartAll());
  std::atomic<bool> over = false;
  std::atomic<int> calls = 0;
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  const auto check = [&](const CallError& reply, const char* what) {
    ++calls;
    if (!reply.ok()) {
      ++failures;
      ADD_FAILURE() << what << ": " << reply;
    }
  };
  for (size_t node = 0; node < cluster_.size(); ++node) {
    threads.emplace_back([&, node] {  // On the connection of before the swaps.
      for (int i = 0; !over; ++i) {
        check(cluster_.client(node).PutText(absl::StrCat("k", node), absl::StrCat(i)), "old");
      }
    });
    threads.emplace_back([&, node] {  // On a new one each time.
      const auto credentials = tls_.Credentials();
      while (!over) {
        check(CallOnce(cluster_.client_address(node), credentials), "new");
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t node = 0; node < cluster_.size(); ++node) {
      const KeyPair pair = tls_.IssueMember(TestCluster::Name(node));
      tls_.Write(TestCluster::Name(node), pair);
      EXPECT_TRUE(WaitUntil(kPatience, [&] {
        return CertificateOf(cluster_.client_address(node), tls_) == pair.certificate;
      })) << TestCluster::Name(node);
    }
  }
  over = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
  EXPECT_GT(calls, 100);
  // Members dial each other with the new certificates.
  const auto leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  cluster_.server(*leader).Kill9();
  const auto next = cluster_.WaitForLeader();
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE(cluster_.client(*next).PutText("after", "1").ok());
  ASSERT_TRUE(cluster_.Start(*leader));
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(TlsClusterTest, WhoHasAnothersCertificateCannotSpeakForAMember) {
  ASSERT_TRUE(cluster_.StartAll());
  const auto channel = PeerChannelOf(PairOf("n2"));
  const auto raft = peer::v1::RaftService::NewStub(channel);
  const auto hello = [&](const std::string& name, peer::v1::HelloResponse* response) {
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    peer::v1::HelloRequest request;
    request.set_name(name);
    request.set_protocol_version(3);
    return raft->Hello(&context, request, response);
  };
  peer::v1::HelloResponse response;
  ASSERT_TRUE(hello("n2", &response).ok());
  ASSERT_EQ(response.configuration().members_size(), 3);
  const auto identity_of = [&](int member) {
    peer::v1::PeerIdentity identity;
    identity.set_cluster_id(response.configuration().cluster_id());
    identity.set_sender_id(response.configuration().members(member).id());
    identity.set_sender_data_id(response.configuration().members(member).data_id());
    identity.set_addressee_id(1);
    identity.set_protocol_version(3);
    return identity;
  };
  const auto says =
      AllOf(HasSubstr("calls as member \"n3\""), HasSubstr("is for n2"), HasSubstr("127.0.0.1:"));
  peer::v1::HelloResponse none;
  const grpc::Status as_n3 = hello("n3", &none);
  EXPECT_EQ(as_n3.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(as_n3.error_message(), says);

  peer::v1::RequestVoteRequest vote;
  *vote.mutable_identity() = identity_of(2);
  vote.set_term(1);
  vote.set_pre_vote(true);
  peer::v1::RequestVoteResponse voted;
  grpc::ClientContext vote_context;
  SetTimeout(&vote_context, Millis(5000));
  const grpc::Status refused = raft->RequestVote(&vote_context, vote, &voted);
  EXPECT_EQ(refused.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(refused.error_message(), says);

  for (const grpc::Status& ended :
       {Append(raft.get(), identity_of(2)), Forward(channel, identity_of(2)),
        Install(raft.get(), identity_of(2))}) {
    EXPECT_EQ(ended.error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(ended.error_message(), says);
  }

  EXPECT_THAT(cluster_.server(0).Log(), HasSubstr("calls as member \"n3\""));
  EXPECT_THAT(absl::StrJoin(cluster_.client(0).GetStatus()->warnings(), "\n"),
              HasSubstr("calls as member \"n3\", but its certificate is for n2"));
}

// Members of one list that do not trust each other's CA, or answer where another is looked for.
TEST_F(TlsClusterTest, MembersSayWhyTheyDoNotSpeakWithEachOther) {
  CertificateAuthority stranger("another CA");
  tls_.Write("n3", stranger.Issue({.names = {"n3", "127.0.0.1"}}));
  for (size_t node = 0; node < cluster_.size(); ++node) {
    cluster_.server(node).Start();
  }
  const auto log_has = [&](size_t node, const std::string& text) {
    return WaitUntil(kPatience,
                     [&] { return absl::StrContains(cluster_.server(node).Log(), text); });
  };
  EXPECT_TRUE(log_has(0, "waiting for n3 at"));
  EXPECT_TRUE(log_has(0, "certificate verify failed")) << cluster_.server(0).LogTail();
  // With its own CA it founds the cluster.
  tls_.Write("n3", tls_.IssueMember("n3"));
  EXPECT_TRUE(cluster_.server(2).WaitReady());
  EXPECT_TRUE(cluster_.WaitForLeader(Millis(20000)).has_value());

  // n3 is told that n2 is where n1 is.
  cluster_.KillAll();
  cluster_.server(2).options().initial_cluster =
      absl::StrCat("n1=", Loopback(PickFreePort()), ",n2=", cluster_.peer_address(0),
                   ",n3=", cluster_.peer_address(2));
  cluster_.server(0).Start();
  cluster_.server(2).Start();
  const std::string refusal = absl::StrCat(
      "cannot connect to member 2 \"n2\" at ", cluster_.peer_address(0),
      ": the certificate is for n1, localhost, 127.0.0.1, and not for the member that is looked "
      "for, \"n2\"");
  EXPECT_TRUE(log_has(2, refusal)) << cluster_.server(2).LogTail();
}

}  // namespace
}  // namespace raftkv::integration
