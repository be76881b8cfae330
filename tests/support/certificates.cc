#include "tests/support/certificates.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

Key NewKey() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  CHECK(key != nullptr);
  return key;
}

void AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  CHECK(extension != nullptr) << value;
  CHECK_EQ(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

// Without its extensions, and not signed.
Certificate NewCertificate(const Key& key, const std::string& common_name, int64_t serial,
                           absl::Duration begins, absl::Duration ends) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate.get()), serial);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(absl::Now() + begins));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(absl::Now() + ends));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  CHECK_EQ(X509_set_pubkey(certificate.get(), key.get()), 1);
  return certificate;
}

std::string TakeText(BIO* memory) {
  char* text = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(memory, &text));
  std::string taken(text, size);
  BIO_free(memory);
  return taken;
}

std::string ToPem(X509* certificate) {
  BIO* const memory = BIO_new(BIO_s_mem());
  CHECK_EQ(PEM_write_bio_X509(memory, certificate), 1);
  return TakeText(memory);
}

std::string ToPem(EVP_PKEY* key) {
  BIO* const memory = BIO_new(BIO_s_mem());
  CHECK_EQ(PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr), 1);
  return TakeText(memory);
}

std::string NameEntry(const std::string& name) {
  in6_addr unused;
  const bool address = inet_pton(AF_INET, name.c_str(), &unused) == 1 ||
                       inet_pton(AF_INET6, name.c_str(), &unused) == 1;
  return absl::StrCat(address ? "IP:" : "DNS:", name);
}

}  // namespace

CertificateAuthority::CertificateAuthority(const std::string& name)
    : key_(NewKey()),
      own_(NewCertificate(key_, name, 1, -absl::Hours(24 * 3650), absl::Hours(24 * 3650))) {
  CHECK_EQ(X509_set_issuer_name(own_.get(), X509_get_subject_name(own_.get())), 1);
  AddExtension(own_.get(), own_.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(own_.get(), own_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  CHECK_GT(X509_sign(own_.get(), key_.get(), EVP_sha256()), 0);
  certificate_ = ToPem(own_.get());
}

KeyPair CertificateAuthority::Issue(const CertificateSpec& spec) {
  const Key key = NewKey();
  const Certificate certificate =
      NewCertificate(key, spec.common_name, next_serial_++, spec.begins, spec.ends);
  CHECK_EQ(X509_set_issuer_name(certificate.get(), X509_get_subject_name(own_.get())), 1);
  AddExtension(certificate.get(), own_.get(), NID_basic_constraints, "critical,CA:FALSE");
  if (!spec.usage.empty()) {
    AddExtension(certificate.get(), own_.get(), NID_ext_key_usage, spec.usage);
  }
  if (!spec.names.empty()) {
    const std::string names = absl::StrJoin(
        spec.names, ",",
        [](std::string* out, const std::string& name) { absl::StrAppend(out, NameEntry(name)); });
    AddExtension(certificate.get(), own_.get(), NID_subject_alt_name, names);
  }
  CHECK_GT(X509_sign(certificate.get(), key_.get(), EVP_sha256()), 0);
  return {.certificate = ToPem(certificate.get()), .key = ToPem(key.get())};
}

void ReplaceFile(const std::string& path, const std::string& content) {
  WriteFile(absl::StrCat(path, ".new"), content);
  std::filesystem::rename(absl::StrCat(path, ".new"), path);
}

}  // namespace raftkv::integration
