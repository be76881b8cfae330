#include "server/peer/peer_context.h"

#include "absl/strings/str_cat.h"

namespace raftkv::server {

grpc::Status PeerContext::RefuseContent(raft::NodeId from, const absl::Status& status) {
  return refusals.RefuseContent(from, absl::StrCat("member ", self().id, " \"", self().name, "\""),
                                status);
}

}  // namespace raftkv::server
