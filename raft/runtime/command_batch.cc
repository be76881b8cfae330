#include "raft/runtime/command_batch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/coding.h"

namespace raftkv::raft {
namespace {

uint32_t Checksum(absl::string_view bytes) {
  return static_cast<uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace

void AppendProposal(uint64_t origin, uint64_t sequence, absl::string_view command,
                    std::string* payload) {
  const size_t start = payload->size();
  AppendFixed64(origin, payload);
  AppendVarint(sequence, payload);
  AppendVarint(uint64_t{command.size()}, payload);
  payload->append(command.data(), command.size());
  AppendFixed32(Checksum(absl::string_view(*payload).substr(start)), payload);
}

absl::string_view CommandsOf(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::kCommands:
      return entry.payload == nullptr ? absl::string_view() : *entry.payload;
    case EntryKind::kNoOp:
    case EntryKind::kConfiguration:
      break;
  }
  return absl::string_view();
}

bool CommandBatchReader::Next() {
  if (reader_.empty() || !reader_.ok()) {
    return false;
  }
  const absl::string_view proposal = reader_.rest();
  origin_ = reader_.Fixed64();
  sequence_ = reader_.Varint();
  command_ = reader_.Bytes(reader_.Varint());
  const uint32_t expected = Checksum(proposal.substr(0, proposal.size() - reader_.rest().size()));
  if (reader_.Fixed32() != expected) {
    reader_.Fail();
  }
  return reader_.ok();
}

}  // namespace raftkv::raft
