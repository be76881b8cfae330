#include "server/grpc_log.h"

#include <glog/logging.h>
#include <grpc/support/log.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/clock.h"

namespace raftkv::server {
namespace {

// gRPC's log function knows no object to tell.
std::atomic<bool> gave_up_port{false};

// How a failed handshake shows in OpenSSL's words, and what it mostly means.
constexpr std::pair<absl::string_view, absl::string_view> kHandshakeProblems[] = {
    {"peer did not return a certificate", "it has none, or none of a CA that is trusted here"},
    {"certificate verify failed",
     "its certificate is of a CA that is not trusted here, has expired, or is not for this use"},
    {"wrong version number", "it speaks no TLS"},
    {"http request", "it speaks plain HTTP"},
    {"packet length too long", "it speaks no TLS"},
    {"unsupported protocol", "it speaks only versions before TLS 1.2"},
    {"unknown ca", "it does not trust the CA of this member's certificate"},
    {"alert bad certificate", "it does not take this member's certificate"},
    {"alert certificate expired", "by its clock this member's certificate has expired"},
    {"", "not met often"}};
constexpr size_t kHandshakeProblemsCount = std::size(kHandshakeProblems);
// Each is logged so often at most: whoever connects decides how often it happens.
constexpr MonotonicNanos kHandshakeLogInterval = kNanosPerSecond;

// `line` ends like "... error:0A000086:SSL routines::certificate verify failed."
void LogHandshake(absl::string_view line) {
  static std::atomic<MonotonicNanos> next_log[kHandshakeProblemsCount];
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(line, absl::MaxSplits("routines::", 1));
  const absl::string_view words =
      absl::StripSuffix(parts.second.empty() ? line : parts.second, ".");
  const auto* const problem =
      std::find_if(std::begin(kHandshakeProblems), std::end(kHandshakeProblems),
                   [&words](const auto& each) { return absl::StrContains(words, each.first); });
  std::atomic<MonotonicNanos>& next = next_log[problem - std::begin(kHandshakeProblems)];
  const MonotonicNanos now = SystemMonotonicClock().Now();
  MonotonicNanos expected = next;
  if (now >= expected && next.compare_exchange_strong(expected, now + kHandshakeLogInterval)) {
    LOG(WARNING) << "TLS: the handshake with who connected, or was dialled, failed: " << words
                 << " (" << problem->second << ")";
  }
}

void OnLine(gpr_log_func_args* line) {
  if (absl::StartsWith(line->message, "Failed accept4")) {
    gave_up_port = true;
    LOG(ERROR) << "gRPC: " << line->message;
  } else if (absl::StartsWith(line->message, "Handshake failed")) {
    LogHandshake(line->message);
  } else if (absl::StartsWith(line->message, "assertion failed")) {
    LOG(ERROR) << "gRPC: " << line->message;
  }
}

}  // namespace

void TakeGrpcLog() {
  // Whatever GRPC_VERBOSITY says: a port that is given up must not go unnoticed.
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(OnLine);
}

bool GrpcGaveUpPort() { return gave_up_port; }

}  // namespace raftkv::server
