// In the place of kv/command_version.cc: a raftkv that pretends to be the next version. Of what it
// can say, a put of a key that begins with "next/" stands for something new.
#include "kv/command_version.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace raftkv::kv {

uint32_t OwnCommandVersion() { return kNewestCommandVersion + 1; }

uint32_t CommandVersionOf(const log::v1::Command& command) {
  const auto& operations = command.txn().operations();
  const bool is_new = std::any_of(operations.begin(), operations.end(), [](const auto& operation) {
    return absl::StartsWith(operation.put().key(), "next/");
  });
  if (is_new) {
    return OwnCommandVersion();
  }
  return command.has_compact_history() ? kHistoryCommandVersion : kFirstCommandVersion;
}

}  // namespace raftkv::kv
