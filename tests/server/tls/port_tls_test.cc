#include "server/tls/port_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"

namespace raftkv::server {
namespace {

using integration::CertificateAuthority;
using integration::KeyPair;
using integration::WriteFile;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PortTlsTest : public testing::Test {
 protected:
  PortTlsTest() {
    files_.cert = {"cert_file", dir_.File("cert")};
    files_.key = {"key_file", dir_.File("key")};
    files_.trusted_ca = {"trusted_ca_file", dir_.File("ca")};
    WriteFile(files_.trusted_ca.path, ca_.certificate());
    Write(first_);
    auto loaded = PortTls::Load(files_, absl::Now());
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    tls_ = *std::move(loaded);
  }
  void Write(const KeyPair& pair) {
    WriteFile(files_.cert.path, pair.certificate);
    WriteFile(files_.key.path, pair.key);
  }
  // Looks at the files. Whether this pair is in use then.
  bool Uses(const KeyPair& pair) {
    tls_->Look(absl::Now());
    const auto identity = tls_->identity();
    return identity->cert_chain == pair.certificate && identity->private_key == pair.key;
  }
  std::vector<std::string> Warnings() { return tls_->Warnings(absl::Now()); }

  const integration::TempDir dir_;
  CertificateAuthority ca_;
  const KeyPair first_ = ca_.Issue({.names = {"n1"}});
  const KeyPair second_ = ca_.Issue({.names = {"n1"}});
  TlsFiles files_;
  std::shared_ptr<PortTls> tls_;
};

TEST_F(PortTlsTest, GoesOverToAWholePair) {
  const auto before = tls_->identity();
  EXPECT_TRUE(Uses(first_));
  EXPECT_EQ(tls_->identity(), before) << "nothing has changed";
  Write(second_);
  EXPECT_TRUE(Uses(second_));
  EXPECT_THAT(Warnings(), IsEmpty());
}

TEST_F(PortTlsTest, AHalfReplacedPairLeavesTheOldOne) {
  for (const bool certificate_first : {true, false}) {
    Write(first_);
    ASSERT_TRUE(Uses(first_));
    if (certificate_first) {
      WriteFile(files_.cert.path, second_.certificate);
    } else {
      WriteFile(files_.key.path, second_.key);
    }
    EXPECT_TRUE(Uses(first_));
    EXPECT_THAT(Warnings(), ElementsAre(AllOf(HasSubstr("is not the key of the certificate"),
                                              HasSubstr("read before is used, valid until"))));
    Write(second_);
    EXPECT_TRUE(Uses(second_));
    EXPECT_THAT(Warnings(), IsEmpty());
  }
}

TEST_F(PortTlsTest, FilesThatAreGoneLeaveTheOldPairUntilTheyAreBack) {
  std::filesystem::remove(files_.cert.path);
  EXPECT_TRUE(Uses(first_));
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr("cannot be read: No such file")));
  Write(first_);
  EXPECT_TRUE(Uses(first_));
  EXPECT_THAT(Warnings(), IsEmpty());
}

TEST_F(PortTlsTest, WhatHasExpiredIsNotGoneOverTo) {
  const KeyPair expired = ca_.Issue({.names = {"n1"}, .ends = -absl::Hours(1)});
  Write(expired);
  EXPECT_TRUE(Uses(first_));
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr("has expired on")));
}

TEST_F(PortTlsTest, NewCasAreUsedAsWell) {
  const CertificateAuthority other("another CA");
  WriteFile(files_.trusted_ca.path, other.certificate());
  EXPECT_TRUE(Uses(first_));
  EXPECT_EQ(tls_->identity()->trusted_ca, other.certificate());
  WriteFile(files_.trusted_ca.path, "");
  EXPECT_TRUE(Uses(first_));
  EXPECT_EQ(tls_->identity()->trusted_ca, other.certificate());
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr("--trusted_ca_file=")));
}

TEST_F(PortTlsTest, WarnsOfTheEndOfTheCertificateInUse) {
  const absl::Time end = tls_->identity()->not_after;
  EXPECT_THAT(tls_->Warnings(end - kTlsExpiryWarning - absl::Hours(1)), IsEmpty());
  EXPECT_THAT(tls_->Warnings(end - absl::Hours(60)),
              ElementsAre(AllOf(HasSubstr("expires on"), HasSubstr("in 2 days"))));
  EXPECT_THAT(tls_->Warnings(end + absl::Hours(1)), ElementsAre(HasSubstr("has expired on")));
}

TEST_F(PortTlsTest, DoesNotBeginWithWhatCannotBeUsed) {
  WriteFile(files_.key.path, second_.key);
  const auto loaded = PortTls::Load(files_, absl::Now());
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace raftkv::server
