// The payload of an entry of kind kCommands. On disk and on the wire: frozen.
//
//   payload  := proposal*
//   proposal := origin:fixed64 sequence:varint size:varint command[size] checksum:fixed32
//
// base/coding.h has the numbers. The checksum is the low half of the XXH3 of the proposal's bytes
// before it. The leader makes it once it has checked the command; it stays with the bytes on every
// network, disk and memory that they go through, so that whoever finds it right need not check the
// command again.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// Appends one proposal to a payload.
void AppendProposal(uint64_t origin, uint64_t sequence, absl::string_view command,
                    std::string* payload);

// The payload of an entry of commands; empty for other kinds. The entry must outlive it.
absl::string_view CommandsOf(const Entry& entry);

// Reads the proposals of a payload in order. The payload must outlive the reader.
class CommandBatchReader {
 public:
  explicit CommandBatchReader(absl::string_view payload) : reader_(payload) {}

  // Moves to the next proposal; false at the end or at the first that is broken.
  bool Next();
  // Whether the payload ended where a proposal ends; meaningful once Next returned false.
  bool ok() const { return reader_.ok(); }

  uint64_t origin() const { return origin_; }
  uint64_t sequence() const { return sequence_; }
  absl::string_view command() const { return command_; }

 private:
  ByteReader reader_;
  uint64_t origin_ = 0;
  uint64_t sequence_ = 0;
  absl::string_view command_;
};

}  // namespace raftkv::raft
