// One transaction while it runs.
#pragma once

#include <cstdint>
#include <string>

#include "kv/command_semantics.h"
#include "kv/kv_table.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// What became of a part of a transaction. Unless it is done, nothing of the whole remains: the
// caller rolls back.
enum class Step { kDone, kStalled, kFailed };

// Why a transaction failed, in the words of log::v1::CommandOutcome.
struct TxnFailure {
  log::v1::CommandOutcome::Verdict verdict = log::v1::CommandOutcome::VERDICT_UNSPECIFIED;
  uint64_t exceeding = 0;
  bool exceeding_bytes = false;
  uint64_t limit = 0;
  std::string at = {};
  std::string key = {};
  int64_t lease_id = 0;
};

struct TxnContext {
  raft::ClusterMillis stamp;
  KvTable* table;
  StoreTotals totals;  // As the transaction leaves them, but for the revision.
  int64_t revision;    // At which its writes happen.
  // Bounds of the whole; 0: none.
  uint64_t answer_bytes_max = 0;
  uint64_t scanned_keys_max = 0;

  bool changed = false;  // The store's revision grows.
  uint64_t answer_bytes = 0;
  uint64_t scanned_keys = 0;
  TxnFailure failure = {};

  Step Fail(log::v1::CommandOutcome::Verdict verdict, absl::string_view key = {}) {
    failure.verdict = verdict;
    failure.key = std::string(key);
    return Step::kFailed;
  }
  Step FailTooLarge(uint64_t exceeding, bool is_bytes, uint64_t limit) {
    failure.exceeding = exceeding;
    failure.exceeding_bytes = is_bytes;
    failure.limit = limit;
    return Fail(log::v1::CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  }
  // Counts a key that a range met; false when that is one too many, which `failure` says then.
  bool CountScanned() {
    if (++scanned_keys <= scanned_keys_max || scanned_keys_max == 0) {
      return true;
    }
    FailTooLarge(scanned_keys, /*is_bytes=*/false, scanned_keys_max);
    return false;
  }
  // The same for a key and a value of the answer.
  bool CountAnswer(absl::string_view key, absl::string_view value) {
    answer_bytes += key.size() + value.size() + kPreviousOverheadBytes;
    if (answer_bytes <= answer_bytes_max || answer_bytes_max == 0) {
      return true;
    }
    FailTooLarge(answer_bytes, /*is_bytes=*/true, answer_bytes_max);
    return false;
  }
};

}  // namespace raftkv::kv
