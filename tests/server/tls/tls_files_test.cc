#include "server/tls/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace raftkv::server {
namespace {

using testing::HasSubstr;

ServerOptions WithPair() {
  ServerOptions options;
  options.cert_file = "cert";
  options.key_file = "key";
  options.trusted_ca_file = "ca";
  return options;
}

TEST(TlsFilesTest, WithoutFlagsThePortsSpeakPlainText) {
  const ServerOptions options;
  EXPECT_TRUE(CheckTlsFlags(options).ok());
  EXPECT_FALSE(ClientTlsFiles(options).on());
  EXPECT_FALSE(PeerTlsFiles(options).on());
  EXPECT_FALSE(HttpTlsFiles(options).on());
}

TEST(TlsFilesTest, PeersAndHttpAreAsClientsUnlessTheySayOtherwise) {
  ServerOptions options = WithPair();
  options.name = "n1";
  options.client_cert_auth = true;
  EXPECT_TRUE(CheckTlsFlags(options).ok());
  EXPECT_EQ(HttpTlsFiles(options), ClientTlsFiles(options));
  TlsFiles peer = PeerTlsFiles(options);
  EXPECT_EQ(peer.member_name, "n1");
  peer.member_name.clear();
  EXPECT_EQ(peer, ClientTlsFiles(options));

  options.peer_cert_file = "peer_cert";
  options.peer_key_file = "peer_key";
  options.http_trusted_ca_file = "http_ca";
  options.http_client_cert_auth = "false";
  EXPECT_TRUE(CheckTlsFlags(options).ok());
  peer = PeerTlsFiles(options);
  EXPECT_EQ(peer.cert.ToString(), "--peer_cert_file=peer_cert");
  EXPECT_EQ(peer.key.ToString(), "--peer_key_file=peer_key");
  EXPECT_EQ(peer.trusted_ca.ToString(), "--trusted_ca_file=ca");
  EXPECT_TRUE(peer.client_cert_auth);
  const TlsFiles http = HttpTlsFiles(options);
  EXPECT_EQ(http.cert.ToString(), "--cert_file=cert");
  EXPECT_EQ(http.trusted_ca.ToString(), "--http_trusted_ca_file=http_ca");
  EXPECT_FALSE(http.client_cert_auth);
}

TEST(TlsFilesTest, FlagsThatDoNotFitTogetherAreRefused) {
  struct Case {
    void (*change)(ServerOptions* options);
    std::string flag;
    std::string rule;
  };
  const Case cases[] = {
      {[](ServerOptions* o) { o->cert_file = "c"; }, "--cert_file=c", "needs --key_file"},
      {[](ServerOptions* o) { o->key_file = "k"; }, "--key_file=k", "needs --cert_file"},
      {[](ServerOptions* o) { o->trusted_ca_file = "ca"; }, "--trusted_ca_file=ca",
       "needs --cert_file"},
      {[](ServerOptions* o) { o->client_cert_auth = true; }, "--client_cert_auth=true",
       "needs --cert_file"},
      {[](ServerOptions* o) { o->peer_client_cert_auth = "true"; }, "--peer_client_cert_auth=true",
       "needs --peer_cert_file"},
      {[](ServerOptions* o) { o->http_client_cert_auth = "yes"; }, "--http_client_cert_auth=yes",
       "must be true or false"},
      {[](ServerOptions* o) { o->http_cert_file = "c"; }, "--http_cert_file=c",
       "needs --http_key_file"},
      {[](ServerOptions* o) { o->peer_key_file = "k"; }, "--peer_key_file=k",
       "needs --peer_cert_file"},
      {[](ServerOptions* o) { o->http_trusted_ca_file = "ca"; }, "--http_trusted_ca_file=ca",
       "needs --http_cert_file"},
      {[](ServerOptions* o) {
         *o = WithPair();
         o->trusted_ca_file.clear();
       },
       "--cert_file=cert", "--trusted_ca_file"},
      {[](ServerOptions* o) {
         o->http_cert_file = "c";
         o->http_key_file = "k";
         o->http_client_cert_auth = "true";
       },
       "--http_client_cert_auth=true", "needs --http_trusted_ca_file"}};
  for (const Case& each : cases) {
    ServerOptions options;
    each.change(&options);
    const absl::Status status = options.Complete();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << each.flag;
    EXPECT_THAT(std::string(status.message()),
                testing::AllOf(HasSubstr(each.flag + ": "), HasSubstr(each.rule)));
  }
}

// A console for people's browsers beside an API for programs.
TEST(TlsFilesTest, OnePortAloneMayHaveTls) {
  ServerOptions options;
  options.http_cert_file = "cert";
  options.http_key_file = "key";
  EXPECT_TRUE(options.Complete().ok());
  EXPECT_TRUE(HttpTlsFiles(options).on());
  EXPECT_FALSE(ClientTlsFiles(options).on());
  EXPECT_FALSE(PeerTlsFiles(options).on());
}

}  // namespace
}  // namespace raftkv::server
