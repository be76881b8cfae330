#include "server/tls/tls_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"

namespace raftkv::server {
namespace {

using integration::CertificateAuthority;
using integration::KeyPair;
using integration::TempDir;
using integration::WriteFile;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Keeps what it was given until it is told to do it.
class LazyPool final : public kv::DiskPool {
 public:
  bool Submit(Length /*length*/, Work work) override {
    EXPECT_EQ(work_, nullptr) << "one look at a time";
    work_ = std::move(work);
    return true;
  }
  // Whether there was something to do.
  bool Run() {
    const Work work = std::exchange(work_, nullptr);
    if (work != nullptr) {
      work()();
    }
    return work != nullptr;
  }

 private:
  Work work_;
};

class TlsPortsTest : public testing::Test {
 protected:
  TlsPortsTest() {
    options_.name = "n1";
    options_.cert_file = dir_.File("cert");
    options_.key_file = dir_.File("key");
    options_.trusted_ca_file = dir_.File("ca");
    WriteFile(options_.trusted_ca_file, ca_.certificate());
    Write(ca_.Issue({.names = {"n1"}, .ends = absl::Hours(1000)}));
  }
  void Write(const KeyPair& pair) {
    WriteFile(options_.cert_file, pair.certificate);
    WriteFile(options_.key_file, pair.key);
  }

  const TempDir dir_;
  CertificateAuthority ca_;
  ServerOptions options_;
  LazyPool pool_;
};

TEST_F(TlsPortsTest, WithoutTlsThereIsNothingToLookAt) {
  const auto ports = TlsPorts::Load(ServerOptions());
  ASSERT_TRUE(ports.ok()) << ports.status();
  EXPECT_EQ((*ports)->client(), nullptr);
  EXPECT_EQ((*ports)->peer(), nullptr);
  EXPECT_EQ((*ports)->http(), nullptr);
  EXPECT_EQ((*ports)->not_after(), absl::InfiniteFuture());
  (*ports)->Tick(&pool_, kNanosPerSecond);
  EXPECT_FALSE(pool_.Run());
}

TEST_F(TlsPortsTest, PortsWithTheSameFilesShareThem) {
  const auto ports = TlsPorts::Load(options_);
  ASSERT_TRUE(ports.ok()) << ports.status();
  EXPECT_EQ((*ports)->client(), (*ports)->http());
  EXPECT_NE((*ports)->client(), (*ports)->peer()) << "which must name the member";
  EXPECT_LT((*ports)->not_after(), absl::Now() + absl::Hours(1001));
  EXPECT_GT((*ports)->not_after(), absl::Now() + absl::Hours(999));
}

TEST_F(TlsPortsTest, LooksOnceAnInterval) {
  const auto ports = TlsPorts::Load(options_);
  ASSERT_TRUE(ports.ok()) << ports.status();
  MonotonicNanos now = 5 * kNanosPerSecond;
  (*ports)->Tick(&pool_, now);
  (*ports)->Tick(&pool_, now + 2 * kTlsLookInterval);
  EXPECT_TRUE(pool_.Run()) << "and no second look was asked for meanwhile";
  now += kTlsLookInterval - 1;
  (*ports)->Tick(&pool_, now);
  EXPECT_FALSE(pool_.Run());
  const KeyPair next = ca_.Issue({.names = {"n1"}});
  Write(next);
  (*ports)->Tick(&pool_, now + 1);
  EXPECT_TRUE(pool_.Run());
  EXPECT_EQ((*ports)->client()->identity()->cert_chain, next.certificate);
  EXPECT_EQ((*ports)->peer()->identity()->cert_chain, next.certificate);
}

// Two ports may have the same to complain of.
TEST_F(TlsPortsTest, WarnsOnceOfAFile) {
  const auto ports = TlsPorts::Load(options_);
  ASSERT_TRUE(ports.ok()) << ports.status();
  EXPECT_THAT((*ports)->Warnings(), IsEmpty());
  WriteFile(options_.key_file, "");
  (*ports)->Tick(&pool_, kNanosPerSecond);
  EXPECT_TRUE(pool_.Run());
  EXPECT_THAT((*ports)->Warnings(), ElementsAre(HasSubstr("holds no private key")));
}

TEST_F(TlsPortsTest, OneBadFileFailsTheStart) {
  Write(ca_.Issue({.names = {"n2"}}));
  EXPECT_THAT(std::string(TlsPorts::Load(options_).status().message()), HasSubstr("DNS:n1"));
}

}  // namespace
}  // namespace raftkv::server
