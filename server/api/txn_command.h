// A client's transaction as the command that goes into the log.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::server {

// Of what commands may write and remove; from flags.
struct CommandLimits {
  uint64_t value_bytes_max = 0;
  uint64_t delete_range_keys_max = 0;
};

struct TxnCommand {
  log::v1::Command command;
  // It may be answered without the log.
  bool only_reads = true;
};

// Fails with the error to answer with (kv/errors.h), which names what is wrong by its path in the
// request. Takes values out of the request; what says how an answer looks stays in it.
absl::StatusOr<TxnCommand> MakeTxnCommand(v1::TxnRequest* request, const CommandLimits& limits);

}  // namespace raftkv::server
