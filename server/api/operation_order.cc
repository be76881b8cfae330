#include "server/api/operation_order.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

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

}  // namespace

bool OperationOrder::Add(uint64_t place, const v1::BatchOp& op) {
  Touched touched = TouchedBy(op);
  std::vector<uint64_t> before;
  if (barrier_.has_value()) {
    before.push_back(*barrier_);
  }
  if (touched.anything) {
    // Those before the last such one are waited for by that one.
    const auto first = barrier_.has_value() ? nodes_.upper_bound(*barrier_) : nodes_.begin();
    for (auto node = first; node != nodes_.end(); ++node) {
      before.push_back(node->first);
    }
    barrier_ = place;
    last_of_key_.clear();
    touched.keys.clear();
  }
  for (const std::string& key : touched.keys) {
    const auto [row, is_first] = last_of_key_.try_emplace(key, place);
    if (!is_first && row->second != place) {
      before.push_back(std::exchange(row->second, place));
    }
  }
  std::sort(before.begin(), before.end());
  before.erase(std::unique(before.begin(), before.end()), before.end());
  for (const uint64_t other : before) {
    nodes_.at(other).followers.push_back(place);
  }
  const bool is_new = nodes_
                          .emplace(place, Node{.keys = std::move(touched.keys),
                                               .waits_for = before.size(),
                                               .followers = {}})
                          .second;
  CHECK(is_new) << "two operations at place " << place;
  return before.empty();
}

void OperationOrder::Remove(uint64_t place, std::vector<uint64_t>* ready) {
  const auto found = nodes_.find(place);
  CHECK(found != nodes_.end()) << "no operation at place " << place;
  const Node node = std::move(found->second);
  CHECK_EQ(node.waits_for, 0u) << "the operation at place " << place << " must not begin yet";
  nodes_.erase(found);
  if (barrier_ == place) {
    barrier_.reset();
  }
  for (const std::string& key : node.keys) {
    if (const auto last = last_of_key_.find(key);
        last != last_of_key_.end() && last->second == place) {
      last_of_key_.erase(last);
    }
  }
  for (const uint64_t follower : node.followers) {
    if (--nodes_.at(follower).waits_for == 0) {
      ready->push_back(follower);
    }
  }
}

}  // namespace raftkv::server
