#include "server/tls/tls_identity.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace raftkv::server {
namespace {

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Certificates = std::vector<Certificate>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

absl::Status FileRefusal(const TlsFiles::File& file, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file.ToString(), ": ", what));
}

std::string DateOf(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

absl::StatusOr<std::string> ReadFile(const TlsFiles::File& file) {
  const auto failure = [&file](int error) {
    return FileRefusal(file,
                       absl::StrCat("cannot be read: ", std::generic_category().message(error)));
  };
  // A pipe must not make this wait for somebody to write to it.
  const int fd = open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return failure(errno);
  }
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return failure(errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return FileRefusal(file, "is no file");
  }
  std::string bytes(kTlsFileBytesMax + 1, '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = read(fd, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno != EINTR) {
      return failure(errno);
    }
    if (count == 0) {
      break;
    }
    size += count > 0 ? static_cast<size_t>(count) : 0;
  }
  if (size > kTlsFileBytesMax) {
    return FileRefusal(file, absl::StrCat("has more than ", kTlsFileBytesMax, " bytes"));
  }
  bytes.resize(size);
  return bytes;
}

Memory Reader(const std::string& bytes) {
  return Memory(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())), BIO_free_all);
}

std::string TakeText(const Memory& memory) {
  char* text = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(memory.get(), &text));
  return std::string(text, size);
}

// OpenSSL would ask for one at the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writes*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::StatusOr<Certificates> ParseCertificates(const TlsFiles::File& file,
                                               const std::string& bytes) {
  const Memory reader = Reader(bytes);
  Certificates certificates;
  ERR_clear_error();
  while (X509* one = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(one, X509_free);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string error = TakeOpenSslError();
  if (!at_end) {
    return FileRefusal(
        file, absl::StrCat("certificate ", certificates.size() + 1, " cannot be read: ", error));
  }
  if (certificates.empty()) {
    return FileRefusal(file, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
  }
  return certificates;
}

absl::StatusOr<Key> ParseKey(const TlsFiles::File& file, const std::string& bytes) {
  const Memory reader = Reader(bytes);
  bool encrypted = false;
  ERR_clear_error();
  Key key(PEM_read_bio_PrivateKey(reader.get(), nullptr, NoPassword, &encrypted), EVP_PKEY_free);
  // OpenSSL 3 calls an empty file "unsupported".
  const bool none = !absl::StrContains(bytes, "PRIVATE KEY-----");
  const std::string error = TakeOpenSslError();
  if (key != nullptr) {
    return key;
  }
  if (encrypted) {
    return FileRefusal(file, "is encrypted; give a key without a password");
  }
  return FileRefusal(file, none ? "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"
                                : absl::StrCat("cannot be read: ", error));
}

absl::Time TimeOf(const ASN1_TIME* time) {
  tm fields = {};
  return ASN1_TIME_to_tm(time, &fields) == 1 ? absl::FromTimeT(timegm(&fields))
                                             : absl::InfinitePast();
}

std::string IpText(const ASN1_OCTET_STRING* address) {
  char text[INET6_ADDRSTRLEN] = {};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(address) != 16) {
    return "";
  }
  return inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text)) == nullptr ? ""
                                                                                          : text;
}

// DNS names and addresses.
std::vector<std::string> AlternativeNames(X509* certificate) {
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; all != nullptr && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS) {
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      names.push_back(IpText(name->d.iPAddress));
    }
  }
  return names;
}

absl::Status CheckValid(const TlsFiles::File& file, const Certificates& chain, absl::Time now) {
  for (size_t i = 0; i < chain.size(); ++i) {
    const std::string which = i == 0 ? "" : absl::StrCat("its certificate ", i + 1, " ");
    const absl::Time not_before = TimeOf(X509_get0_notBefore(chain[i].get()));
    const absl::Time not_after = TimeOf(X509_get0_notAfter(chain[i].get()));
    if (now > not_after) {
      return FileRefusal(file, absl::StrCat(which, "has expired on ", DateOf(not_after)));
    }
    if (now < not_before) {
      return FileRefusal(file, absl::StrCat(which, "is not valid before ", DateOf(not_before),
                                            "; by this machine's clock it is ", DateOf(now)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOwn(const TlsFiles& files, X509* own, const std::vector<std::string>& names) {
  if (names.empty()) {
    return FileRefusal(files.cert, "has no subject alternative name, so clients refuse it");
  }
  if (X509_check_purpose(own, X509_PURPOSE_SSL_SERVER, 0) != 1) {
    return FileRefusal(files.cert, "is not for servers: its extended key usage lacks serverAuth");
  }
  if (files.member_name.empty()) {
    return absl::OkStatus();
  }
  if (!NamesMember(names, files.member_name)) {
    return FileRefusal(files.cert,
                       absl::StrCat("is for ", absl::StrJoin(names, ", "),
                                    ", but on the peer port it must be for this member, "
                                    "too: a subject alternative name DNS:",
                                    files.member_name));
  }
  if (X509_check_purpose(own, X509_PURPOSE_SSL_CLIENT, 0) != 1) {
    return FileRefusal(
        files.cert,
        "is not for clients: its extended key usage lacks clientAuth, and members are "
        "each other's clients");
  }
  return absl::OkStatus();
}

std::string ToPem(const Certificates& certificates) {
  const Memory memory(BIO_new(BIO_s_mem()), BIO_free_all);
  for (const Certificate& certificate : certificates) {
    PEM_write_bio_X509(memory.get(), certificate.get());
  }
  return TakeText(memory);
}

std::string ToPem(const Key& key) {
  const Memory memory(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return TakeText(memory);
}

int ChooseHttp1(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_size,
                const unsigned char* offered, unsigned int offered_size, void* /*unused*/) {
  static constexpr unsigned char kHttp1[] = "\x08http/1.1";
  unsigned char* selected = nullptr;
  const int found = SSL_select_next_proto(&selected, chosen_size, kHttp1, sizeof(kHttp1) - 1,
                                          offered, offered_size);
  *chosen = selected;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// Also the proof that OpenSSL takes all of it, as gRPC will ask it to.
absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeServerContext(const TlsFiles& files,
                                                           const Certificates& chain,
                                                           const Key& key,
                                                           const Certificates& trusted) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Each connection shows its certificate anew, also after the CAs have changed.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseHttp1, nullptr);
  ERR_clear_error();
  if (SSL_CTX_use_certificate(context.get(), chain.front().get()) != 1) {
    return FileRefusal(files.cert, absl::StrCat("cannot be used: ", TakeOpenSslError()));
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1) {
      return FileRefusal(files.cert, absl::StrCat("cannot be used: ", TakeOpenSslError()));
    }
  }
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    TakeOpenSslError();
    return FileRefusal(
        files.key, absl::StrCat("is not the key of the certificate of ", files.cert.ToString()));
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return FileRefusal(files.key, absl::StrCat("cannot be used: ", TakeOpenSslError()));
  }
  for (const Certificate& one : trusted) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), one.get()) != 1 ||
        SSL_CTX_add_client_CA(context.get(), one.get()) != 1) {
      return FileRefusal(files.trusted_ca, absl::StrCat("cannot be used: ", TakeOpenSslError()));
    }
  }
  if (files.client_cert_auth) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

absl::StatusOr<Certificates> ParseTrusted(const TlsFiles::File& file, const std::string& bytes,
                                          absl::Time now) {
  if (file.path.empty()) {
    return Certificates();
  }
  RAFTKV_ASSIGN_OR_RETURN(Certificates trusted, ParseCertificates(file, bytes));
  const bool all_expired =
      std::all_of(trusted.begin(), trusted.end(), [now](const Certificate& certificate) {
        return now > TimeOf(X509_get0_notAfter(certificate.get()));
      });
  if (all_expired) {
    return FileRefusal(file, "holds no certificate that has not expired");
  }
  return trusted;
}

}  // namespace

absl::StatusOr<TlsFileContents> ReadTlsFiles(const TlsFiles& files) {
  TlsFileContents contents;
  RAFTKV_ASSIGN_OR_RETURN(contents.cert, ReadFile(files.cert));
  RAFTKV_ASSIGN_OR_RETURN(contents.key, ReadFile(files.key));
  if (!files.trusted_ca.path.empty()) {
    RAFTKV_ASSIGN_OR_RETURN(contents.trusted_ca, ReadFile(files.trusted_ca));
  }
  return contents;
}

absl::StatusOr<std::shared_ptr<const TlsIdentity>> MakeTlsIdentity(const TlsFiles& files,
                                                                   const TlsFileContents& contents,
                                                                   absl::Time now) {
  RAFTKV_ASSIGN_OR_RETURN(const Certificates chain, ParseCertificates(files.cert, contents.cert));
  RAFTKV_ASSIGN_OR_RETURN(const Key key, ParseKey(files.key, contents.key));
  RAFTKV_ASSIGN_OR_RETURN(const Certificates trusted,
                          ParseTrusted(files.trusted_ca, contents.trusted_ca, now));
  auto identity = std::make_shared<TlsIdentity>();
  RAFTKV_ASSIGN_OR_RETURN(identity->server_context, MakeServerContext(files, chain, key, trusted));
  RAFTKV_RETURN_IF_ERROR(CheckValid(files.cert, chain, now));
  identity->names = AlternativeNames(chain.front().get());
  RAFTKV_RETURN_IF_ERROR(CheckOwn(files, chain.front().get(), identity->names));
  identity->not_after = absl::InfiniteFuture();
  for (const Certificate& certificate : chain) {
    identity->not_after =
        std::min(identity->not_after, TimeOf(X509_get0_notAfter(certificate.get())));
  }
  identity->cert_chain = ToPem(chain);
  identity->private_key = ToPem(key);
  identity->trusted_ca = trusted.empty() ? "" : ToPem(trusted);
  return identity;
}

bool NamesMember(const std::vector<std::string>& names, absl::string_view member) {
  return std::find(names.begin(), names.end(), member) != names.end();
}

std::string TakeOpenSslError() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "OpenSSL does not say why" : reason;
}

}  // namespace raftkv::server
