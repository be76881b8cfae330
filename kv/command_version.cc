#include "kv/command_version.h"

namespace raftkv::kv {

// A test puts another version of this file in its place: tests/support/next_command_version.cc.

uint32_t OwnCommandVersion() { return kNewestCommandVersion; }

uint32_t CommandVersionOf(const log::v1::Command& /*command*/) { return kFirstCommandVersion; }

}  // namespace raftkv::kv
