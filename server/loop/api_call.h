// ApiCall is one call of a client API method, however it came here: what a service answers to.
#pragma once

#include <google/protobuf/message.h>

#include "absl/status/status.h"
#include "base/clock.h"

namespace raftkv::server {

// Owned by whoever took it in; gone once it is answered. Exactly one of Finish and Fail must be
// called. Confined to the loop.
class ApiCall {
 public:
  // When a call that still waits must be answered, so that the client hears what it waited for
  // instead of its own "deadline exceeded".
  virtual MonotonicNanos AnswerBy() const = 0;
  // What to fail with when there is no room for the answer, instead of what its method says.
  virtual void SetUnsendable(absl::Status (*unsendable)()) = 0;
  // Answers, or fails the call when there is no room for the answer.
  virtual void Finish(const google::protobuf::Message& response) = 0;
  // REQUIRES: !error.ok().
  virtual void Fail(const absl::Status& error) = 0;

 protected:
  ~ApiCall() = default;
};

}  // namespace raftkv::server
