#include "server/peer/peer_refusals.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"

namespace raftkv::server {

grpc::Status PeerRefusals::Refuse(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return status;
  }
  ++count_;
  last_ = status.error_message();
  LOG_EVERY_T(WARNING, 1) << "refused a peer (" << count_ << " times so far): " << last_;
  return status;
}

grpc::Status PeerRefusals::RefuseContent(raft::NodeId from, const std::string& self,
                                         const absl::Status& status) {
  return Refuse(grpc::Status(
      grpc::StatusCode::INVALID_ARGUMENT,
      absl::StrCat("from member ", from.value(), " to ", self, ": ", status.message())));
}

}  // namespace raftkv::server
