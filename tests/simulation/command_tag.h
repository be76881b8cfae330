// Every command of a client carries the number of its operation where that changes nothing, so that
// it is known again wherever it turns up.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::simulation {

// Numbers the operations of a run; 0 is none.
using OperationNumber = uint64_t;

// The value that operation `number` writes, filled up to `bytes` if it is shorter.
std::string TaggedValue(OperationNumber number, size_t bytes, char filler);

// Marks the command's first operation. REQUIRES: it is a delete, or a put of a tagged value.
void Tag(OperationNumber number, log::v1::Command* command);

// 0: the command is no client's.
OperationNumber TagOf(const log::v1::Command& command);

// Whether the store tells a repetition of it from another.
bool MayComeTwice(const log::v1::Command& command);

}  // namespace raftkv::simulation
