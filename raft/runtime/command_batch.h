// The payload of an entry of kind kCommands. On disk and on the wire: frozen.
//
//   payload  := proposal*
//   proposal := origin:fixed64-le sequence:varint size:varint command[size]
//   varint   := base-128, least significant group first, at most 10 bytes
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace raftkv::raft {

// Appends one proposal to a payload.
void AppendProposal(uint64_t origin, uint64_t sequence, absl::string_view command,
                    std::string* payload);

// Reads the proposals of a payload in order. The payload must outlive the reader.
class CommandBatchReader {
 public:
  explicit CommandBatchReader(absl::string_view payload) : rest_(payload) {}

  // Moves to the next proposal; false at the end or at the first broken byte.
  bool Next();
  // Whether the payload ended where a proposal ends; meaningful once Next returned false.
  bool ok() const { return ok_; }

  uint64_t origin() const { return origin_; }
  uint64_t sequence() const { return sequence_; }
  absl::string_view command() const { return command_; }

 private:
  absl::string_view rest_;
  bool ok_ = true;
  uint64_t origin_ = 0;
  uint64_t sequence_ = 0;
  absl::string_view command_;
};

}  // namespace raftkv::raft
