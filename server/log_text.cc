#include "server/log_text.h"

#include "absl/strings/str_cat.h"
#include "base/error_chain.h"
#include "raft/core/describe.h"
#include "server/loop/event_loop.h"

namespace raftkv::server {
std::string EventText(const raft::Event& event) {
  return raft::Describe(event, [](uint64_t ticks) {
    return absl::StrCat(static_cast<int64_t>(ticks) * EventLoop::kTick / kNanosPerMilli, " ms");
  });
}

std::string PeerFailureText(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return std::string(InnermostCause(status.error_message()));
  }
  return status.error_message();
}

}  // namespace raftkv::server
