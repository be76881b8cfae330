// ApiCaller is how routes reach the client API: by a method's name, and waiting for its answer.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace raftkv::server {

// Thread-safe.
class ApiCaller {
 public:
  struct Answer {
    std::unique_ptr<google::protobuf::Message> message;
    // Counts the answer among those that wait for their clients; drop it when it is sent.
    std::shared_ptr<void> room;
  };

  virtual ~ApiCaller() = default;

  // Waits for the answer, about `timeout` at most. `path` is "/package.Service/Method".
  // REQUIRES: there is such a method, `request` is of its type, and has no field that this version
  // does not know.
  virtual absl::StatusOr<Answer> Call(const std::string& path,
                                      std::unique_ptr<google::protobuf::Message> request,
                                      MonotonicNanos timeout) = 0;
};

}  // namespace raftkv::server
