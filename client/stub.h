// One RPC to one member, without retries.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "raftkv/v1/cluster.pb.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::client {

// Each call blocks for at most `timeout` and returns the server's code, message and details
// (client/error_payload.h); DEADLINE_EXCEEDED when the time is up, UNAVAILABLE without details when
// the connection fails. Thread-safe.
class Stub {
 public:
  virtual ~Stub() = default;

  // Returns OK at once when connected, otherwise when a connection stands. UNAVAILABLE /
  // CANNOT_CONNECT, with the cause alone as its message, when there is none within `timeout`. So a
  // call that was not made because of this error has certainly reached nobody.
  virtual absl::Status Connect(absl::Duration timeout) = 0;

  virtual absl::StatusOr<v1::GetResponse> Get(absl::Duration timeout,
                                              const v1::GetRequest& request) = 0;
  virtual absl::StatusOr<v1::PutResponse> Put(absl::Duration timeout,
                                              const v1::PutRequest& request) = 0;
  virtual absl::StatusOr<v1::DeleteResponse> Delete(absl::Duration timeout,
                                                    const v1::DeleteRequest& request) = 0;
  virtual absl::StatusOr<v1::DeleteRangeResponse> DeleteRange(
      absl::Duration timeout, const v1::DeleteRangeRequest& request) = 0;
  virtual absl::StatusOr<v1::ListResponse> List(absl::Duration timeout,
                                                const v1::ListRequest& request) = 0;
  virtual absl::StatusOr<v1::ListMembersResponse> ListMembers(
      absl::Duration timeout, const v1::ListMembersRequest& request) = 0;
  virtual absl::StatusOr<v1::GetStatusResponse> GetStatus(absl::Duration timeout,
                                                          const v1::GetStatusRequest& request) = 0;
};

// Makes the stub for an endpoint, host:port. Never fails: a bad address shows in Connect.
using StubFactory = std::function<std::unique_ptr<Stub>(const std::string& endpoint)>;

}  // namespace raftkv::client
