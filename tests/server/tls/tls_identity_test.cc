#include "server/tls/tls_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"

namespace raftkv::server {
namespace {

using integration::CertificateAuthority;
using integration::CertificateSpec;
using integration::KeyPair;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TlsIdentityTest : public testing::Test {
 protected:
  TlsIdentityTest() {
    files_.cert = {"cert_file", "cert.pem"};
    files_.key = {"key_file", "cert.key"};
    files_.trusted_ca = {"trusted_ca_file", "ca.pem"};
    files_.client_cert_auth = true;
  }
  absl::StatusOr<std::shared_ptr<const TlsIdentity>> Make(const KeyPair& pair) {
    return MakeTlsIdentity(
        files_, {.cert = pair.certificate, .key = pair.key, .trusted_ca = ca_.certificate()},
        absl::Now());
  }
  // The one line that it is refused with.
  std::string ErrorOf(const KeyPair& pair) {
    const auto made = Make(pair);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(made.status().message()), testing::Not(HasSubstr("\n")));
    return std::string(made.status().message());
  }

  CertificateAuthority ca_;
  TlsFiles files_;
};

TEST_F(TlsIdentityTest, WhatIsGoodIsTaken) {
  const KeyPair pair = ca_.Issue({.names = {"n1", "127.0.0.1", "::1"}, .ends = absl::Hours(240)});
  const auto made = Make(pair);
  ASSERT_TRUE(made.ok()) << made.status();
  const TlsIdentity& identity = **made;
  EXPECT_THAT(identity.names, ElementsAre("n1", "127.0.0.1", "::1"));
  EXPECT_GT(identity.not_after, absl::Now() + absl::Hours(239));
  EXPECT_LT(identity.not_after, absl::Now() + absl::Hours(241));
  EXPECT_EQ(identity.cert_chain, pair.certificate);
  EXPECT_EQ(identity.trusted_ca, ca_.certificate());
}

// Certificate and key may be in one file, with words between them.
TEST_F(TlsIdentityTest, OtherThingsInAFileAreLeftOut) {
  const KeyPair pair = ca_.Issue({.names = {"n1"}});
  const std::string both = absl::StrCat("of n1\n", pair.key, "and\n", pair.certificate);
  const auto made = Make({.certificate = both, .key = both});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ((*made)->cert_chain, pair.certificate);
  EXPECT_EQ((*made)->private_key, pair.key);
}

TEST_F(TlsIdentityTest, AChainEndsWithItsFirstCertificate) {
  const KeyPair own = ca_.Issue({.names = {"n1"}, .ends = absl::Hours(1000)});
  const KeyPair next = ca_.Issue({.names = {"intermediate"}, .ends = absl::Hours(10)});
  const auto made = Make({.certificate = own.certificate + next.certificate, .key = own.key});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_LT((*made)->not_after, absl::Now() + absl::Hours(11));
  EXPECT_THAT((*made)->names, ElementsAre("n1"));
}

TEST_F(TlsIdentityTest, WhatIsNotIsRefusedWithFlagFileAndReason) {
  const KeyPair good = ca_.Issue({.names = {"n1"}});
  const KeyPair other = ca_.Issue({.names = {"n1"}});
  EXPECT_THAT(
      ErrorOf({.certificate = good.certificate, .key = other.key}),
      AllOf(HasSubstr("--key_file=cert.key: is not the key"), HasSubstr("--cert_file=cert.pem")));
  EXPECT_THAT(ErrorOf({.certificate = "", .key = good.key}),
              HasSubstr("--cert_file=cert.pem: holds no certificate"));
  EXPECT_THAT(ErrorOf({.certificate = good.certificate, .key = ""}),
              HasSubstr("--key_file=cert.key: holds no private key"));
  EXPECT_THAT(ErrorOf({.certificate = good.certificate, .key = good.certificate}),
              HasSubstr("--key_file=cert.key: holds no private key"));
  std::string broken = good.certificate;
  broken.replace(100, 10, "!!!!!!!!!!");
  EXPECT_THAT(ErrorOf({.certificate = broken, .key = good.key}),
              HasSubstr("--cert_file=cert.pem: certificate 1 cannot be read"));
  EXPECT_THAT(ErrorOf({.certificate = good.certificate + broken, .key = good.key}),
              HasSubstr("--cert_file=cert.pem: certificate 2 cannot be read"));
  EXPECT_THAT(ErrorOf(ca_.Issue({.names = {"n1"}, .ends = -absl::Hours(1)})),
              HasSubstr("--cert_file=cert.pem: has expired on 2"));
  EXPECT_THAT(ErrorOf(ca_.Issue({.names = {"n1"}, .begins = absl::Hours(1)})),
              HasSubstr("--cert_file=cert.pem: is not valid before 2"));
  EXPECT_THAT(ErrorOf(ca_.Issue({.names = {}, .common_name = "n1"})),
              HasSubstr("has no subject alternative name"));
  EXPECT_THAT(ErrorOf(ca_.Issue({.names = {"n1"}, .usage = "clientAuth"})),
              HasSubstr("lacks serverAuth"));
}

TEST_F(TlsIdentityTest, CasMustBeSome) {
  const KeyPair pair = ca_.Issue({.names = {"n1"}});
  const auto made = MakeTlsIdentity(
      files_, {.cert = pair.certificate, .key = pair.key, .trusted_ca = "nothing"}, absl::Now());
  EXPECT_THAT(std::string(made.status().message()),
              HasSubstr("--trusted_ca_file=ca.pem: holds no certificate"));
  const auto expired = MakeTlsIdentity(
      files_, {.cert = pair.certificate, .key = pair.key, .trusted_ca = ca_.certificate()},
      absl::Now() + absl::Hours(24 * 3651));
  EXPECT_THAT(std::string(expired.status().message()),
              HasSubstr("--trusted_ca_file=ca.pem: holds no certificate that has not expired"));
}

// Nobody sits at the terminal to be asked for a password.
TEST_F(TlsIdentityTest, AKeyWithAPasswordIsRefused) {
  KeyPair pair = ca_.Issue({.names = {"n1"}});
  BIO* const reader = BIO_new_mem_buf(pair.key.data(), static_cast<int>(pair.key.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(reader, nullptr, nullptr, nullptr);
  BIO* const writer = BIO_new(BIO_s_mem());
  const unsigned char password[] = "secret";
  ASSERT_EQ(
      PEM_write_bio_PKCS8PrivateKey(writer, key, EVP_aes_128_cbc(),
                                    reinterpret_cast<const char*>(password), 6, nullptr, nullptr),
      1);
  char* text = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(writer, &text));
  pair.key.assign(text, size);
  BIO_free(reader);
  BIO_free(writer);
  EVP_PKEY_free(key);
  EXPECT_THAT(ErrorOf(pair), HasSubstr("--key_file=cert.key: is encrypted"));
}

TEST_F(TlsIdentityTest, APeersCertificateNamesItsMember) {
  files_.member_name = "n1";
  EXPECT_TRUE(Make(ca_.Issue({.names = {"host", "n1"}})).ok());
  EXPECT_THAT(ErrorOf(ca_.Issue({.names = {"n2", "localhost"}, .common_name = "n1"})),
              AllOf(HasSubstr("is for n2, localhost, but"), HasSubstr("DNS:n1")));
  EXPECT_THAT(ErrorOf(ca_.Issue({.names = {"n1"}, .usage = "serverAuth"})),
              HasSubstr("lacks clientAuth"));
  EXPECT_TRUE(Make(ca_.Issue({.names = {"n1"}, .usage = ""})).ok());
}

TEST(NamesMemberTest, NeedsTheVeryName) {
  EXPECT_TRUE(NamesMember({"a", "n1"}, "n1"));
  EXPECT_FALSE(NamesMember({"N1", "n11", "*", "n*", "n1.", ""}, "n1"));
  EXPECT_FALSE(NamesMember({"*.example"}, "n1.example"));
  EXPECT_FALSE(NamesMember({}, "n1"));
}

TEST(ReadTlsFilesTest, SaysWhichFileCannotBeRead) {
  const integration::TempDir dir;
  TlsFiles files;
  files.cert = {"peer_cert_file", dir.File("cert")};
  files.key = {"peer_key_file", dir.File("key")};
  integration::WriteFile(files.cert.path, "certificate");
  EXPECT_THAT(std::string(ReadTlsFiles(files).status().message()),
              AllOf(HasSubstr(absl::StrCat("--peer_key_file=", files.key.path, ": cannot be read")),
                    HasSubstr("No such file")));
  integration::WriteFile(files.key.path, "key");
  const auto contents = ReadTlsFiles(files);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(*contents, (TlsFileContents{.cert = "certificate", .key = "key", .trusted_ca = ""}));

  integration::WriteFile(files.key.path, std::string(kTlsFileBytesMax, 'x'));
  EXPECT_TRUE(ReadTlsFiles(files).ok());
  integration::WriteFile(files.key.path, std::string(kTlsFileBytesMax + 1, 'x'));
  EXPECT_THAT(std::string(ReadTlsFiles(files).status().message()),
              HasSubstr("has more than 1048576 bytes"));
  std::filesystem::remove(files.key.path);
  std::filesystem::create_directory(files.key.path);
  EXPECT_THAT(std::string(ReadTlsFiles(files).status().message()), HasSubstr("is no file"));
  std::filesystem::remove(files.key.path);
  ASSERT_EQ(mkfifo(files.key.path.c_str(), 0600), 0);
  EXPECT_THAT(std::string(ReadTlsFiles(files).status().message()), HasSubstr("is no file"));
}

}  // namespace
}  // namespace raftkv::server
