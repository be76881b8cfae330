#include "raft/runtime/command_batch.h"

#include "base/coding.h"

namespace raftkv::raft {
void AppendProposal(uint64_t origin, uint64_t sequence, absl::string_view command,
                    std::string* payload) {
  AppendFixed64(origin, payload);
  AppendVarint(sequence, payload);
  AppendVarint(uint64_t{command.size()}, payload);
  payload->append(command.data(), command.size());
}

bool CommandBatchReader::Next() {
  if (reader_.empty() || !reader_.ok()) {
    return false;
  }
  origin_ = reader_.Fixed64();
  sequence_ = reader_.Varint();
  command_ = reader_.Bytes(reader_.Varint());
  return reader_.ok();
}

}  // namespace raftkv::raft
