#include "server/api/batch_run.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/errors.h"
#include "server/api/batch_operation.h"
#include "server/api/operation_order.h"
#include "server/limits.h"
#include "server/loop/grpc_error.h"

namespace raftkv::server {
namespace {

// Kept alive by what is under way.
class BatchRun final : public std::enable_shared_from_this<BatchRun> {
 public:
  BatchRun(KvOperations* operations, v1::BatchRequest request, MonotonicNanos answer_by,
           KvOperations::Done<v1::BatchResponse> done)
      : operations_(*operations),
        request_(std::move(request)),
        answer_by_(answer_by),
        done_(std::move(done)) {
    for (int i = 0; i < request_.ops_size(); ++i) {
      response_.add_results();
    }
  }

  void Start() {
    for (int place = 0; place < request_.ops_size(); ++place) {
      if (order_.Add(place, request_.ops(place))) {
        ready_.push_back(place);
      }
    }
    Go();
  }

 private:
  // Begins what is ready. An answer may come at once, and must not make this a recursion.
  void Go() {
    if (going_) {
      return;
    }
    going_ = true;
    while (!ready_.empty() && under_way_ < kBatchOperationsAtOnce) {
      const auto place = static_cast<int>(ready_.front());
      ready_.pop_front();
      ++under_way_;
      Begin(place);
    }
    going_ = false;
    if (answered_ == request_.ops_size() && done_ != nullptr) {
      *response_.mutable_header() = operations_.HeaderAt(revision_);
      std::exchange(done_, nullptr)(std::move(response_));
    }
  }

  void Begin(int place) {
    v1::BatchOp& op = *request_.mutable_ops(place);
    const OperationTraits traits = TraitsOf(op);
    RunOperation(&operations_, std::move(op), answer_by_,
                 [self = shared_from_this(), place, traits](auto result) {
                   self->Take(place, traits, std::move(result));
                 });
  }

  void Take(int place, const OperationTraits& traits, absl::StatusOr<v1::BatchResult> done) {
    v1::BatchResult& result = *response_.mutable_results(place);
    if (done.ok()) {
      revision_ = std::max(revision_, RevisionOf(*done));
      const uint64_t bytes = done->ByteSizeLong();
      if (bytes > kSmallBatchResultBytes && answer_bytes_ + bytes > kBatchAnswerBytesMax) {
        done = UnsendableError(traits);
      } else {
        answer_bytes_ += bytes;
        result = *std::move(done);
      }
    }
    if (!done.ok()) {
      *result.mutable_error() = ToRpcStatus(done.status());
      answer_bytes_ += result.error().ByteSizeLong();
      if (answer_bytes_ > kBatchAnswerBytesMax) {
        // What matters most of many errors.
        result.mutable_error()->clear_message();
        result.mutable_error()->clear_details();
      }
    }
    --under_way_;
    ++answered_;
    std::vector<uint64_t> ready;
    order_.Remove(place, &ready);
    ready_.insert(ready_.end(), ready.begin(), ready.end());
    Go();
  }

  KvOperations& operations_;
  v1::BatchRequest request_;
  const MonotonicNanos answer_by_;
  KvOperations::Done<v1::BatchResponse> done_;  // Null once it was called.

  OperationOrder order_;
  // Places of those that may begin.
  std::deque<uint64_t> ready_;
  uint64_t under_way_ = 0;
  int answered_ = 0;
  bool going_ = false;

  v1::BatchResponse response_;
  uint64_t answer_bytes_ = 0;
  int64_t revision_ = 0;
};

absl::Status CheckBatch(const v1::BatchRequest& request) {
  if (request.ops_size() == 0 || static_cast<uint64_t>(request.ops_size()) > kBatchOperationsMax) {
    return kv::BadBatchError(
        "ops", absl::StrCat("has ", request.ops_size(), " operations; a batch has 1 to ",
                            kBatchOperationsMax));
  }
  for (int i = 0; i < request.ops_size(); ++i) {
    if (request.ops(i).op_case() == v1::BatchOp::OP_NOT_SET) {
      return kv::BadBatchError(absl::StrCat("ops[", i, "]"),
                               "is not set; set one of get, put, delete_key, touch, increment and "
                               "txn");
    }
  }
  return absl::OkStatus();
}

}  // namespace

void RunBatch(KvOperations* operations, v1::BatchRequest request, MonotonicNanos answer_by,
              KvOperations::Done<v1::BatchResponse> done) {
  if (const absl::Status status = CheckBatch(request); !status.ok()) {
    done(status);
    return;
  }
  std::make_shared<BatchRun>(operations, std::move(request), answer_by, std::move(done))->Start();
}

}  // namespace raftkv::server
