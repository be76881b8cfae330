#include "raft/runtime/command_batch.h"

#include <optional>

namespace raftkv::raft {
namespace {

constexpr size_t kOriginBytes = 8;

void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

// Removes the varint at the front of `rest`; nullopt when it is cut off or does not fit 64 bits.
std::optional<uint64_t> ConsumeVarint(absl::string_view* rest) {
  uint64_t value = 0;
  for (size_t i = 0; i < rest->size(); ++i) {
    const uint64_t group = static_cast<uint8_t>((*rest)[i]) & 0x7f;
    const unsigned shift = 7 * static_cast<unsigned>(i);
    if (shift > 63 || (shift == 63 && group > 1)) {
      return std::nullopt;
    }
    value |= group << shift;
    if (static_cast<uint8_t>((*rest)[i]) < 0x80) {
      rest->remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> ConsumeFixed64(absl::string_view* rest) {
  if (rest->size() < kOriginBytes) {
    return std::nullopt;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < kOriginBytes; ++i) {
    value |= uint64_t{static_cast<uint8_t>((*rest)[i])} << (8 * i);
  }
  rest->remove_prefix(kOriginBytes);
  return value;
}

}  // namespace

void AppendProposal(uint64_t origin, uint64_t sequence, absl::string_view command,
                    std::string* payload) {
  for (size_t i = 0; i < kOriginBytes; ++i) {
    payload->push_back(static_cast<char>(origin >> (8 * i)));
  }
  AppendVarint(sequence, payload);
  AppendVarint(command.size(), payload);
  payload->append(command.data(), command.size());
}

bool CommandBatchReader::Next() {
  if (rest_.empty() || !ok_) {
    return false;
  }
  ok_ = false;
  const std::optional<uint64_t> origin = ConsumeFixed64(&rest_);
  if (!origin.has_value()) {
    return false;
  }
  const std::optional<uint64_t> sequence = ConsumeVarint(&rest_);
  if (!sequence.has_value()) {
    return false;
  }
  const std::optional<uint64_t> size = ConsumeVarint(&rest_);
  if (!size.has_value() || *size > rest_.size()) {
    return false;
  }
  origin_ = *origin;
  sequence_ = *sequence;
  command_ = rest_.substr(0, *size);
  rest_.remove_prefix(*size);
  ok_ = true;
  return true;
}

}  // namespace raftkv::raft
