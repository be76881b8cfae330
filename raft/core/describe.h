// One line of text per type, the same in logs and in transcripts. An entry's id reads
// term/index: 3/17.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "raft/core/configuration.h"
#include "raft/core/message.h"
#include "raft/core/output.h"
#include "raft/core/snapshot.h"
#include "raft/core/types.h"

namespace raftkv::raft {

std::string Describe(RaftRole role);
std::string Describe(EntryId id);
std::string Describe(const Entry& entry);
std::string Describe(const HardState& hard_state);
std::string Describe(const Configuration& configuration);
std::string Describe(const Message& message);
std::string Describe(const Envelope& envelope);
std::string Describe(const LogWrite& write);
std::string Describe(const LoadEntries& load);
std::string Describe(const SnapshotPoint& point);
std::string Describe(const ReadOutcome& read);
std::string Describe(const Event& event);
// The same with times as `describe_ticks` tells them.
using DescribeTicks = absl::FunctionRef<std::string(uint64_t ticks)>;
std::string Describe(const Event& event, DescribeTicks describe_ticks);

}  // namespace raftkv::raft
