// PortTls is the TLS of a port while the process runs: what its files said when they were good
// last, and what is wrong with them now.
//
// A key and its certificate are never taken apart: files that are half replaced, gone or unusable
// leave all as it was, and are said to be so.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/tls/tls_files.h"
#include "server/tls/tls_identity.h"

namespace raftkv::server {

// A certificate that ends within this is warned of.
inline constexpr absl::Duration kTlsExpiryWarning = absl::Hours(14 * 24);

// Thread-safe.
class PortTls final {
 public:
  // Fails as MakeTlsIdentity does. Reads the files. REQUIRES: files.on().
  static absl::StatusOr<std::shared_ptr<PortTls>> Load(const TlsFiles& files, absl::Time now);

  const TlsFiles& files() const { return files_; }
  // What new connections are to use.
  std::shared_ptr<const TlsIdentity> identity() const;

  // Reads the files, which may wait for the disk, and goes over to what they hold when that is good
  // and new. Logs each change for the better or the worse once.
  void Look(absl::Time now);
  // What people should know, a line each: files that cannot be used, a certificate that ends soon.
  std::vector<std::string> Warnings(absl::Time now) const;

 private:
  // How the end of the certificate is to be spoken of.
  enum class Age { kFresh, kEndsSoon, kExpired };

  PortTls(const TlsFiles& files, TlsFileContents contents,
          std::shared_ptr<const TlsIdentity> identity);
  static Age AgeOf(const TlsIdentity& identity, absl::Time now);
  std::string AgeText(const TlsIdentity& identity, absl::Time now) const;
  void OnProblem(std::string problem) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LogAge(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after construction.
  const TlsFiles files_;

  mutable Mutex mutex_;
  // What `identity_` was made from.
  TlsFileContents contents_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const TlsIdentity> identity_ ABSL_GUARDED_BY(mutex_);
  // Why the files are not what is used; empty: they are.
  std::string problem_ ABSL_GUARDED_BY(mutex_);
  Age logged_age_ ABSL_GUARDED_BY(mutex_) = Age::kFresh;
};

}  // namespace raftkv::server
