#include "raft/core/config.h"

#include "absl/strings/str_cat.h"

namespace raftkv::raft {
namespace {

absl::Status TooSmall(absl::string_view field, uint64_t value, uint64_t bound) {
  return absl::InvalidArgumentError(
      absl::StrCat("RaftConfig.", field, " is ", value, ", must be at least ", bound));
}

// An election timeout below this many heartbeats would make a few late ones an election.
constexpr uint64_t kHeartbeatsPerElectionTimeout = 5;

}  // namespace

absl::Status RaftConfig::Validate() const {
  if (self == kNobody) {
    return TooSmall("self", self.value(), 1);
  }
  if (heartbeat_ticks < 1) {
    return TooSmall("heartbeat_ticks", heartbeat_ticks, 1);
  }
  if (election_timeout_ticks / kHeartbeatsPerElectionTimeout < heartbeat_ticks) {
    return TooSmall("election_timeout_ticks", election_timeout_ticks,
                    kHeartbeatsPerElectionTimeout * heartbeat_ticks);
  }
  if (priority > kPriorityMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("RaftConfig.priority is ", priority, ", must be at most ", kPriorityMax));
  }
  if (append_bytes_max < 1) {
    return TooSmall("append_bytes_max", append_bytes_max, 1);
  }
  if (inflight_appends_max < 1) {
    return TooSmall("inflight_appends_max", inflight_appends_max, 1);
  }
  if (inflight_bytes_max < append_bytes_max) {
    return TooSmall("inflight_bytes_max", inflight_bytes_max, append_bytes_max);
  }
  if (log_memory_bytes_max < append_bytes_max) {
    return TooSmall("log_memory_bytes_max", log_memory_bytes_max, append_bytes_max);
  }
  if (uncommitted_bytes_max < append_bytes_max) {
    return TooSmall("uncommitted_bytes_max", uncommitted_bytes_max, append_bytes_max);
  }
  return absl::OkStatus();
}

}  // namespace raftkv::raft
