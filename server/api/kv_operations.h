// Every operation on keys, from a client's request to its response: checked, done by the store, put
// into the answer's words. Who asks, and how the answer goes back, is its caller's.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/store.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/response_header.h"
#include "server/api/txn_command.h"

namespace raftkv::server {

// Each `done` is called exactly once, maybe before the call returns, with errors of kv/errors.h.
// `answer_by` is when whoever waits must be answered. Confined to the loop.
class KvOperations final {
 public:
  template <typename Response>
  using Done = std::function<void(absl::StatusOr<Response> response)>;

  // Borrows the store and what `header` needs.
  KvOperations(const CommandLimits& limits, kv::Store* store, ResponseHeaderFiller header);

  void Get(v1::GetRequest request, MonotonicNanos answer_by, Done<v1::GetResponse> done);
  void Put(v1::PutRequest request, MonotonicNanos answer_by, Done<v1::PutResponse> done);
  void Delete(v1::DeleteRequest request, MonotonicNanos answer_by, Done<v1::DeleteResponse> done);
  void List(v1::ListRequest request, MonotonicNanos answer_by, Done<v1::ListResponse> done);
  void DeleteRange(v1::DeleteRangeRequest request, MonotonicNanos answer_by,
                   Done<v1::DeleteRangeResponse> done);
  void Touch(v1::TouchRequest request, MonotonicNanos answer_by, Done<v1::TouchResponse> done);
  void Increment(v1::IncrementRequest request, MonotonicNanos answer_by,
                 Done<v1::IncrementResponse> done);
  void Txn(v1::TxnRequest request, MonotonicNanos answer_by, Done<v1::TxnResponse> done);

  // Of a state at `revision`.
  v1::ResponseHeader HeaderAt(int64_t revision) const;

 private:
  using Mark = absl::StatusOr<std::optional<log::v1::RequestMark>>;

  // Has the store do the command, under the request's mark, and answers with what `fill` makes of
  // the outcome.
  template <typename Response>
  void Write(absl::StatusOr<log::v1::Command> command, Mark mark, MonotonicNanos answer_by,
             Done<Response> done,
             std::function<void(log::v1::CommandOutcome* outcome, Response* response)> fill);
  void FillPage(const v1::ListRequest& request, kv::Store::Page page,
                v1::ListResponse* response) const;

  const CommandLimits limits_;
  kv::Store& store_;
  const ResponseHeaderFiller header_;
};

}  // namespace raftkv::server
