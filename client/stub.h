// One RPC to one member, without retries.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

namespace raftkv::client {

// One call whose messages go both ways. Confined to one thread but for Wake, which is thread-safe.
class BidiCall {
 public:
  enum class Event {
    kMessage,   // a message of the server's is in `response`, until the next Await
    kWritable,  // a message may be written; comes once after the beginning and after each Write
    kWoken,     // somebody called Wake since the last such event
    kTimeUp,    // nothing of these
    kEnded,     // there will be no further event
  };

  // Ends the call, if it has not ended.
  virtual ~BidiCall() = default;

  // Waits until something happens.
  virtual Event Await(absl::Duration timeout) = 0;
  // `more_follows` says that the next Write comes at once, and takes this one along.
  // REQUIRES: the call is writable, and has not ended.
  virtual void Write(const google::protobuf::Message& message, bool more_follows) = 0;
  virtual void Wake() = 0;
  // Cancels what has not ended, and returns with what the call ended.
  virtual absl::Status Finish() = 0;
};

// A call blocks for at most `timeout` and returns the server's code, message and details
// (client/error_payload.h); DEADLINE_EXCEEDED when the time is up, UNAVAILABLE without details when
// the connection fails. Thread-safe.
class Stub {
 public:
  virtual ~Stub() = default;

  // Returns OK at once when connected, otherwise when a connection stands. UNAVAILABLE /
  // CANNOT_CONNECT, with the cause alone as its message, when there is none within `timeout`. So a
  // call that was not made because of this error has certainly reached nobody.
  virtual absl::Status Connect(absl::Duration timeout) = 0;

  // Makes the unary RPC of this full name (rpc.h). `response` is unspecified when it fails.
  virtual absl::Status Call(const char* path, absl::Duration timeout,
                            const google::protobuf::Message& request,
                            google::protobuf::Message* response) = 0;

  // Makes the RPC of this full name, whose answer is a stream: calls `on_message` whenever the next
  // message is in `response`, and returns once the stream has ended. When that fails the call ends,
  // and its failure is returned. There is no time limit; a server that gives no sign of life ends
  // the connection.
  virtual absl::Status ReadStream(const char* path, const google::protobuf::Message& request,
                                  google::protobuf::Message* response,
                                  absl::FunctionRef<absl::Status()> on_message) = 0;

  // Makes an RPC that answers with a stream, and calls `on_response` with each answer in `response`
  // until it returns false, which ends the call with OK, or the server ends it. UNAVAILABLE when
  // nothing comes for `silence_max`.
  virtual absl::Status Stream(const char* path, absl::Duration silence_max,
                              const google::protobuf::Message& request,
                              google::protobuf::Message* response,
                              absl::FunctionRef<bool()> on_response) = 0;

  // Begins an RPC whose messages go both ways; each of the server's comes in `response`, which
  // outlives the call. Must not outlive the stub.
  virtual std::unique_ptr<BidiCall> OpenBidi(const char* path,
                                             google::protobuf::Message* response) = 0;
};

// Makes the stub for an endpoint, host:port. Never fails: a bad address shows in Connect.
using StubFactory = std::function<std::unique_ptr<Stub>(const std::string& endpoint)>;

}  // namespace raftkv::client
