#include "server/log_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error_chain.h"
#include "raft/core/describe.h"
#include "server/loop/event_loop.h"

namespace raftkv::server {
namespace {

constexpr char kTicks[] = " ticks";

// "for 12 ticks" -> "for 120 ms".
std::string TicksInMillis(std::string text) {
  for (size_t at = text.find(kTicks); at != std::string::npos; at = text.find(kTicks, at + 1)) {
    size_t begin = at;
    while (begin > 0 && absl::ascii_isdigit(static_cast<unsigned char>(text[begin - 1]))) {
      --begin;
    }
    int64_t ticks = 0;
    if (absl::SimpleAtoi(text.substr(begin, at - begin), &ticks)) {
      const int64_t millis = ticks * EventLoop::kTick / kNanosPerMilli;
      text.replace(begin, at + sizeof(kTicks) - 1 - begin, absl::StrCat(millis, " ms"));
    }
  }
  return text;
}

}  // namespace

std::string EventText(const raft::Event& event) { return TicksInMillis(raft::Describe(event)); }

std::string PeerFailureText(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return std::string(InnermostCause(status.error_message()));
  }
  return status.error_message();
}

}  // namespace raftkv::server
