// What clients ask nodes, and what nodes answer.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/kv_state_machine.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"
#include "tests/simulation/command_tag.h"

namespace raftkv::simulation {

enum class RequestKind { kWrite, kGet, kList };

struct Request {
  OperationNumber number = 0;
  RequestKind kind = RequestKind::kGet;
  log::v1::Command command = {};  // kWrite: one transaction.
  std::string key = {};           // kGet.
  kv::ScanOptions scan = {};      // kList.
  bool linearizable = true;       // Reads; else from whatever state the node has.
  MonotonicNanos timeout = 0;     // Of the node's clock, from the request's arrival.
};

struct Reply {
  enum class Status {
    kOk,
    // Certainly no effect, now or later.
    kNoLeader,
    kOverloaded,
    kDiskFull,
    kShuttingDown,
    kOutcomeUnknown,
  };

  Status status = Status::kOk;
  log::v1::CommandOutcome outcome = {};  // kWrite.
  // kGet, kList: the rows, and which state they are from.
  std::vector<log::v1::StoredKeyValue> rows = {};
  bool more = false;
  int64_t revision = 0;
  raft::LogIndex applied = {};
};

using ReplyCallback = std::function<void(Reply)>;

}  // namespace raftkv::simulation
