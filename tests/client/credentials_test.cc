#include "client/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/client.h"
#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"

namespace raftkv::client {
namespace {

using integration::CertificateAuthority;
using integration::KeyPair;
using integration::TempDir;
using integration::WriteFile;
using testing::AllOf;
using testing::HasSubstr;

std::string ErrorOf(const TlsOptions& tls) {
  const auto made = MakeCredentials(tls);
  EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << made.status();
  return std::string(made.status().message());
}

TEST(MakeCredentialsTest, ReadsTheFilesAndNamesWhatIsWrongWithThem) {
  const TempDir dir;
  CertificateAuthority ca;
  const KeyPair pair = ca.Issue({.names = {"client"}});
  WriteFile(dir.File("ca"), ca.certificate());
  WriteFile(dir.File("cert"), pair.certificate);
  WriteFile(dir.File("key"), pair.key);
  EXPECT_TRUE(MakeCredentials(std::nullopt).ok());
  EXPECT_TRUE(MakeCredentials(TlsOptions{}).ok()) << "the machine's CAs";
  EXPECT_TRUE(MakeCredentials(TlsOptions{.ca_file = dir.File("ca"),
                                         .cert_file = dir.File("cert"),
                                         .key_file = dir.File("key")})
                  .ok());
  EXPECT_THAT(ErrorOf({.ca_file = dir.File("none")}),
              AllOf(HasSubstr(dir.File("none")), HasSubstr("No such file")));
  EXPECT_THAT(ErrorOf({.ca_file = dir.File("key")}),
              AllOf(HasSubstr("ca_file"), HasSubstr("CERTIFICATE")));
  EXPECT_THAT(ErrorOf({.cert_file = dir.File("cert"), .key_file = dir.File("cert")}),
              AllOf(HasSubstr("key_file"), HasSubstr("PRIVATE KEY")));
  EXPECT_THAT(ErrorOf({.cert_file = dir.File("cert")}), HasSubstr("key_file is empty"));
  EXPECT_THAT(ErrorOf({.key_file = dir.File("key")}), HasSubstr("cert_file is empty"));
}

TEST(MakeCredentialsTest, AClientSpeaksTlsWithAllItsEndpointsOrWithNone) {
  EXPECT_TRUE(Client::Create({.endpoints = {"https://a:1", "b:2"}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      Client::Create({.endpoints = {"https://a:1", "http://b:2"}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Client::Create({.endpoints = {"a:1"}, .tls = TlsOptions{.ca_file = "/none"}}).status()));
}

}  // namespace
}  // namespace raftkv::client
