#include "server/grpc_log.h"

#include <glog/logging.h>
#include <grpc/support/log.h>

#include <atomic>

#include "absl/strings/match.h"

namespace raftkv::server {
namespace {

// gRPC's log function knows no object to tell.
std::atomic<bool> gave_up_port{false};

void OnLine(gpr_log_func_args* line) {
  if (absl::StartsWith(line->message, "Failed accept4")) {
    gave_up_port = true;
    LOG(ERROR) << "gRPC: " << line->message;
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
