// What `raftkvctl lease` does.
#pragma once

#include "absl/status/status.h"
#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Each prints what it came to.
absl::Status RunLease(const LeaseGrantCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);
absl::Status RunLease(const LeaseRenewCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);
absl::Status RunLease(const LeaseRevokeCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);
absl::Status RunLease(const LeaseGetCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);
absl::Status RunLease(const LeaseListCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);
// Renews it each time a third of its ttl has passed, until it has ended, which is an error.
absl::Status RunLease(const LeaseKeepAliveCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);

template <typename Command>
concept IsLeaseCommand = requires(const Command& command, Client& client,
                                  const Terminal& terminal) {
  RunLease(command, OutputFormat::kSimple, client, terminal);
};

}  // namespace raftkv::ctl
