#include "server/tls/port_tls.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace raftkv::server {
namespace {

std::string MinuteOf(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<std::shared_ptr<PortTls>> PortTls::Load(const TlsFiles& files, absl::Time now) {
  RAFTKV_ASSIGN_OR_RETURN(TlsFileContents contents, ReadTlsFiles(files));
  RAFTKV_ASSIGN_OR_RETURN(std::shared_ptr<const TlsIdentity> identity,
                          MakeTlsIdentity(files, contents, now));
  std::shared_ptr<PortTls> tls(new PortTls(files, std::move(contents), std::move(identity)));
  MutexLock lock(&tls->mutex_);
  tls->LogAge(now);
  return tls;
}

PortTls::PortTls(const TlsFiles& files, TlsFileContents contents,
                 std::shared_ptr<const TlsIdentity> identity)
    : files_(files), contents_(std::move(contents)), identity_(std::move(identity)) {}

std::shared_ptr<const TlsIdentity> PortTls::identity() const {
  MutexLock lock(&mutex_);
  return identity_;
}

void PortTls::Look(absl::Time now) {
  absl::StatusOr<TlsFileContents> contents = ReadTlsFiles(files_);
  {
    MutexLock lock(&mutex_);
    if (contents.ok() && *contents == contents_) {
      OnProblem("");
      LogAge(now);
      return;
    }
  }
  absl::StatusOr<std::shared_ptr<const TlsIdentity>> identity =
      contents.ok() ? MakeTlsIdentity(files_, *contents, now) : contents.status();
  MutexLock lock(&mutex_);
  if (!identity.ok()) {
    OnProblem(std::string(identity.status().message()));
  } else {
    problem_.clear();
    contents_ = *std::move(contents);
    identity_ = *std::move(identity);
    logged_age_ = Age::kFresh;
    LOG(INFO) << files_.cert.ToString() << ": new connections use the new certificate, valid until "
              << MinuteOf(identity_->not_after);
  }
  LogAge(now);
}

void PortTls::OnProblem(std::string problem) {
  if (problem == problem_) {
    return;
  }
  problem_ = std::move(problem);
  if (problem_.empty()) {
    LOG(INFO) << files_.cert.ToString() << ": the files of TLS are again those that are used";
  } else {
    LOG(WARNING) << "the new files of TLS cannot be used, so the certificate that was read before "
                    "stays: "
                 << problem_;
  }
}

PortTls::Age PortTls::AgeOf(const TlsIdentity& identity, absl::Time now) {
  if (now > identity.not_after) {
    return Age::kExpired;
  }
  return identity.not_after - now <= kTlsExpiryWarning ? Age::kEndsSoon : Age::kFresh;
}

std::string PortTls::AgeText(const TlsIdentity& identity, absl::Time now) const {
  const std::string end = MinuteOf(identity.not_after);
  return AgeOf(identity, now) == Age::kExpired
             ? absl::StrCat(files_.cert.ToString(), ": the certificate in use has expired on ", end)
             : absl::StrCat(files_.cert.ToString(), ": the certificate in use expires on ", end,
                            ", in ", absl::ToInt64Hours(identity.not_after - now) / 24, " days");
}

void PortTls::LogAge(absl::Time now) {
  const Age age = AgeOf(*identity_, now);
  if (age != logged_age_ && age != Age::kFresh) {
    LOG(WARNING) << AgeText(*identity_, now);
  }
  logged_age_ = age;
}

std::vector<std::string> PortTls::Warnings(absl::Time now) const {
  MutexLock lock(&mutex_);
  std::vector<std::string> warnings;
  if (!problem_.empty()) {
    warnings.push_back(absl::StrCat(problem_,
                                    "; the certificate that was read before is used, valid "
                                    "until ",
                                    MinuteOf(identity_->not_after)));
  }
  if (AgeOf(*identity_, now) != Age::kFresh) {
    warnings.push_back(AgeText(*identity_, now));
  }
  return warnings;
}

}  // namespace raftkv::server
