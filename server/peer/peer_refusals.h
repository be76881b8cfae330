// PeerRefusals counts and logs what other members are refused, so that one that is mistaken about
// itself, or faulty, is found without harm to anybody.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "raft/core/types.h"

namespace raftkv::server {

// Confined to the loop.
class PeerRefusals final {
 public:
  // Takes note of a refusal, and returns what to answer: the status itself. UNAVAILABLE is none:
  // the caller will be welcome later.
  grpc::Status Refuse(const grpc::Status& status);
  // The same for words of `from` to `self` that make no sense, naming both sides.
  grpc::Status RefuseContent(raft::NodeId from, const std::string& self,
                             const absl::Status& status);

  // Since the start, and why the last one was.
  uint64_t count() const { return count_; }
  const std::string& last() const { return last_; }

 private:
  uint64_t count_ = 0;
  std::string last_;
};

}  // namespace raftkv::server
