// How requests of this member's clients end.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace raftkv::raft {

// How a proposal ended.
enum class ProposalResult {
  kApplied,         // `outcome` says how it went.
  kNoLeader,        // No leader took it in time: it certainly had no effect and never will.
  kOverloaded,      // A queue was full: it certainly had no effect and never will.
  kShuttingDown,    // This node is stopping: it certainly had no effect and never will.
  kOutcomeUnknown,  // It may have happened, or may yet.
};
using ProposalCallback = std::function<void(ProposalResult result, std::string outcome)>;

enum class ReadResult {
  kReady,  // The applied state now reflects every write acknowledged before the read was asked for.
  kNoLeader,
  kBehind,      // This node has not applied the read index in time.
  kOverloaded,  // A queue was full.
  kShuttingDown,
};
using ReadCallback = std::function<void(ReadResult result)>;

// How a leader's handover ended: RaftDriver::TransferLeadership.
using TransferCallback = std::function<void(const absl::Status& status)>;

}  // namespace raftkv::raft
