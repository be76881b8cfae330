// The text from which `raftkvctl txn` makes a transaction, as etcdctl's has it:
//
//   mod("key1") > "0"              guards, one a line: value, mod, create or version of a key,
//   exists("key2") = "false"       compared by =, !=, > or <; or whether it exists
//
//   put key1 "new value" --ttl 5s  what to do when all of them hold; all words may be quoted
//   get key2 --prefix
//
//   del key2                       what to do otherwise
//   incr key3 5
//   touch key1 10s
//
// An empty line ends each of the three parts; later ones may be missing.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/txn.h"
#include "client/types.h"

namespace raftkv::ctl {

// INVALID_ARGUMENT, with the number of the line, for what is none.
absl::StatusOr<Txn> ParseTxnScript(absl::string_view text);

}  // namespace raftkv::ctl
