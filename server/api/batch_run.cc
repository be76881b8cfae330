#include "server/api/batch_run.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "kv/errors.h"
#include "server/limits.h"
#include "server/loop/grpc_error.h"

namespace raftkv::server {
namespace {

// What an operation is about: keys, or anything.
struct Touched {
  std::vector<std::string> keys;
  bool anything = false;
};

void AddTouched(const v1::TxnRequest& txn, Touched* touched);

void AddTouched(const v1::TxnOp& op, Touched* touched) {
  switch (op.op_case()) {
    case v1::TxnOp::kGet:
      touched->keys.push_back(op.get().key());
      break;
    case v1::TxnOp::kPut:
      touched->keys.push_back(op.put().key());
      break;
    case v1::TxnOp::kDeleteKey:
      touched->keys.push_back(op.delete_key().key());
      break;
    case v1::TxnOp::kTouch:
      touched->keys.push_back(op.touch().key());
      break;
    case v1::TxnOp::kIncrement:
      touched->keys.push_back(op.increment().key());
      break;
    case v1::TxnOp::kTxn:
      AddTouched(op.txn(), touched);
      break;
    case v1::TxnOp::kDeleteRange:
    case v1::TxnOp::kList:
    case v1::TxnOp::OP_NOT_SET:
      touched->anything = true;
      break;
  }
}

void AddTouched(const v1::TxnRequest& txn, Touched* touched) {
  for (const v1::Guard& guard : txn.guards()) {
    if (guard.range().has_key()) {
      touched->keys.push_back(guard.range().key());
    } else {
      touched->anything = true;
    }
  }
  for (const auto* branch : {&txn.then_ops(), &txn.else_ops()}) {
    for (const v1::TxnOp& op : *branch) {
      AddTouched(op, touched);
    }
  }
}

Touched TouchedBy(const v1::BatchOp& op) {
  Touched touched;
  switch (op.op_case()) {
    case v1::BatchOp::kGet:
      touched.keys.push_back(op.get().key());
      break;
    case v1::BatchOp::kPut:
      touched.keys.push_back(op.put().key());
      break;
    case v1::BatchOp::kDeleteKey:
      touched.keys.push_back(op.delete_key().key());
      break;
    case v1::BatchOp::kTouch:
      touched.keys.push_back(op.touch().key());
      break;
    case v1::BatchOp::kIncrement:
      touched.keys.push_back(op.increment().key());
      break;
    case v1::BatchOp::kTxn:
      AddTouched(op.txn(), &touched);
      break;
    case v1::BatchOp::OP_NOT_SET:
      break;
  }
  return touched;
}

// Kept alive by what is under way.
class BatchRun final : public std::enable_shared_from_this<BatchRun> {
 public:
  BatchRun(KvOperations* operations, v1::BatchRequest request, MonotonicNanos answer_by,
           KvOperations::Done<v1::BatchResponse> done)
      : operations_(*operations),
        request_(std::move(request)),
        answer_by_(answer_by),
        done_(std::move(done)),
        waits_for_(request_.ops_size(), 0),
        followers_(request_.ops_size()) {
    for (int i = 0; i < request_.ops_size(); ++i) {
      response_.add_results();
    }
  }

  void Start() {
    FindOrder();
    for (int place = 0; place < request_.ops_size(); ++place) {
      if (waits_for_[place] == 0) {
        ready_.push_back(place);
      }
    }
    Go();
  }

 private:
  // Which operations each one waits for: the last before it on each of its keys, or, where one of
  // them may be about anything, all before it.
  void FindOrder() {
    absl::flat_hash_map<std::string, int> last_of_key;
    std::vector<int> since_barrier;
    int barrier = -1;
    for (int place = 0; place < request_.ops_size(); ++place) {
      Touched touched = TouchedBy(request_.ops(place));
      std::vector<int> before;
      if (touched.anything) {
        before = std::move(since_barrier);
        since_barrier.clear();
        last_of_key.clear();
      }
      for (const std::string& key : touched.anything ? std::vector<std::string>() : touched.keys) {
        const auto [row, is_first] = last_of_key.try_emplace(key, place);
        if (!is_first) {
          before.push_back(std::exchange(row->second, place));
        }
      }
      if (barrier >= 0) {
        before.push_back(barrier);
      }
      if (touched.anything) {
        barrier = place;
      } else {
        since_barrier.push_back(place);
      }
      std::sort(before.begin(), before.end());
      before.erase(std::unique(before.begin(), before.end()), before.end());
      for (const int other : before) {
        if (other != place) {
          followers_[other].push_back(place);
          ++waits_for_[place];
        }
      }
    }
  }

  // Begins what is ready. An answer may come at once, and must not make this a recursion.
  void Go() {
    if (going_) {
      return;
    }
    going_ = true;
    while (!ready_.empty() && under_way_ < kBatchOperationsAtOnce) {
      const int place = ready_.front();
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
    switch (op.op_case()) {
      case v1::BatchOp::kGet:
        return operations_.Get(
            std::move(*op.mutable_get()), answer_by_,
            OnDone<v1::GetResponse>(place, &v1::BatchResult::mutable_get, kv::UnreadError));
      case v1::BatchOp::kPut:
        return operations_.Put(
            std::move(*op.mutable_put()), answer_by_,
            OnDone<v1::PutResponse>(place, &v1::BatchResult::mutable_put, kv::UnreadOutcomeError));
      case v1::BatchOp::kDeleteKey:
        return operations_.Delete(
            std::move(*op.mutable_delete_key()), answer_by_,
            OnDone<v1::DeleteResponse>(place, &v1::BatchResult::mutable_delete_key,
                                       kv::UnreadOutcomeError));
      case v1::BatchOp::kTouch:
        return operations_.Touch(std::move(*op.mutable_touch()), answer_by_,
                                 OnDone<v1::TouchResponse>(place, &v1::BatchResult::mutable_touch,
                                                           kv::UnreadOutcomeError));
      case v1::BatchOp::kIncrement:
        return operations_.Increment(
            std::move(*op.mutable_increment()), answer_by_,
            OnDone<v1::IncrementResponse>(place, &v1::BatchResult::mutable_increment,
                                          kv::UnreadOutcomeError));
      case v1::BatchOp::kTxn:
        return operations_.Txn(
            std::move(*op.mutable_txn()), answer_by_,
            OnDone<v1::TxnResponse>(place, &v1::BatchResult::mutable_txn, kv::UnreadOutcomeError));
      case v1::BatchOp::OP_NOT_SET:
        break;
    }
    LOG(FATAL) << "an operation without a kind passed RunBatch";
  }

  template <typename Response>
  KvOperations::Done<Response> OnDone(int place, Response* (v1::BatchResult::*field)(),
                                      absl::Status (*no_room)()) {
    return [self = shared_from_this(), place, field, no_room](absl::StatusOr<Response> response) {
      self->Take(place, field, no_room, std::move(response));
    };
  }

  template <typename Response>
  void Take(int place, Response* (v1::BatchResult::*field)(), absl::Status (*no_room)(),
            absl::StatusOr<Response> response) {
    v1::BatchResult& result = *response_.mutable_results(place);
    if (response.ok()) {
      revision_ = std::max(revision_, response->header().revision());
      const uint64_t bytes = response->ByteSizeLong();
      if (bytes > kSmallBatchResultBytes && answer_bytes_ + bytes > kBatchAnswerBytesMax) {
        response = no_room();
      } else {
        answer_bytes_ += bytes;
        *(result.*field)() = *std::move(response);
      }
    }
    if (!response.ok()) {
      *result.mutable_error() = ToRpcStatus(response.status());
      answer_bytes_ += result.error().ByteSizeLong();
      if (answer_bytes_ > kBatchAnswerBytesMax) {
        // What matters most of many errors.
        result.mutable_error()->clear_message();
        result.mutable_error()->clear_details();
      }
    }
    --under_way_;
    ++answered_;
    for (const int follower : followers_[place]) {
      if (--waits_for_[follower] == 0) {
        ready_.push_back(follower);
      }
    }
    Go();
  }

  KvOperations& operations_;
  v1::BatchRequest request_;
  const MonotonicNanos answer_by_;
  KvOperations::Done<v1::BatchResponse> done_;  // Null once it was called.

  // By place: how many must be answered first, and who waits for it.
  std::vector<int> waits_for_;
  std::vector<std::vector<int>> followers_;
  std::deque<int> ready_;
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
