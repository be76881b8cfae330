// Which commands a build of raftkv knows, so that members of different versions make one cluster.
//
// Every kind of command and every field of one has a command version. Members publish the newest
// that they know; the least of these is the cluster version, which the leader raises through the
// log. It never falls: a member that knows less is refused from then on. Until it is raised nobody
// proposes a command that needs more, so a rolling upgrade can be taken back.
#pragma once

#include <cstdint>

#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Of what the first release knows, and of a cluster that was just founded.
inline constexpr uint32_t kFirstCommandVersion = 1;
// From here on members come and go, by entries that hold a configuration.
inline constexpr uint32_t kMembershipVersion = 2;
// Knows else branches, operations other than put and delete, and request ids.
inline constexpr uint32_t kTxnCommandVersion = 2;
// From here on there is a history (kv/history.h), and it can be compacted.
inline constexpr uint32_t kHistoryCommandVersion = 2;
// Knows what priority a member has to lead (kv/member_directory.h).
inline constexpr uint32_t kPriorityCommandVersion = 2;
// Knows leases (kv/lease.h).
inline constexpr uint32_t kLeaseCommandVersion = 2;

inline constexpr uint32_t kNewestCommandVersion = 2;

// The newest that this build knows. Goes up by one with a release that adds to command.proto.
uint32_t OwnCommandVersion();

// The least version that knows everything that the command says.
// REQUIRES: CheckCommand (kv/command_semantics.h) accepted it.
uint32_t CommandVersionOf(const log::v1::Command& command);

}  // namespace raftkv::kv
