#include "storage/disk_failure.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/stderr_pump.h"
#include "glog/logging.h"

namespace raftkv::storage {
namespace {

// Not LOG(FATAL): its stack trace would bury the one line that an operator needs.
void LogLast(absl::string_view message) {
  LOG(ERROR) << message;
  google::FlushLogFiles(google::GLOG_INFO);
}

}  // namespace

void AbortOnWriteFailure(absl::string_view what, const rocksdb::Status& status) {
  LogLast(absl::StrCat("stopping: could not ", what, ": ", status.ToString(),
                       ". Nothing acknowledged is lost; restart once the cause is gone."));
  std::abort();
}

void ExitOnCorruption(absl::string_view what, absl::string_view detail) {
  LogLast(absl::StrCat("stopping: ", what, " is corrupted: ", detail, ". ", kRemedy));
  // Without destructors: other threads are at work.
  ExitAtOnce(kExitDamaged);
}

absl::Status ReadFailure(absl::string_view what, const rocksdb::Status& status) {
  return absl::DataLossError(
      absl::StrCat(what, " cannot be read: ", status.ToString(), ". ", kRemedy));
}

absl::Status BadBytes(absl::string_view what, absl::string_view detail) {
  return absl::DataLossError(absl::StrCat(what, " is corrupted: ", detail, ". ", kRemedy));
}

}  // namespace raftkv::storage
