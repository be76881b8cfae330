#include "raft/core/read_rounds.h"

#include <glog/logging.h>

#include <utility>

namespace raftkv::raft {
namespace {

ReadOutcome AbortedRead(ReadId id) {
  return {.id = id, .aborted = true, .read_index = LogIndex(0)};
}

}  // namespace

RoundId ReadRounds::Begin(bool commit_known, LogIndex commit_index) {
  last_round_ = last_round_.Next();
  if (!waiting_.empty() && commit_known) {
    confirming_.push_back(
        {.round = last_round_, .read_index = commit_index, .reads = std::exchange(waiting_, {})});
  }
  return last_round_;
}

void ReadRounds::Confirm(RoundId round, std::vector<ReadOutcome>* out) {
  CHECK_LE(round, last_round_);
  while (!confirming_.empty() && confirming_.front().round <= round) {
    const Batch& batch = confirming_.front();
    for (ReadId id : batch.reads) {
      out->push_back({.id = id, .aborted = false, .read_index = batch.read_index});
    }
    confirming_.pop_front();
  }
}

void ReadRounds::Abort(std::vector<ReadOutcome>* out) {
  for (const Batch& batch : confirming_) {
    for (ReadId id : batch.reads) {
      out->push_back(AbortedRead(id));
    }
  }
  for (ReadId id : waiting_) {
    out->push_back(AbortedRead(id));
  }
  confirming_.clear();
  waiting_.clear();
}

}  // namespace raftkv::raft
