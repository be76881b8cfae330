#include "client/ctl/lease.h"

#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "base/status_macros.h"
#include "client/ctl/output.h"

namespace raftkv::ctl {

absl::Status RunLease(const LeaseGrantCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  RAFTKV_ASSIGN_OR_RETURN(const GrantLeaseResult result,
                          client.GrantLease(command.ttl, {.id = command.id}));
  terminal.out << FormatLease(format, result.header, result.lease, "granted");
  return absl::OkStatus();
}

absl::Status RunLease(const LeaseRenewCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  RAFTKV_ASSIGN_OR_RETURN(const RenewLeaseResult result,
                          client.RenewLease(command.id, {.ttl = command.ttl}));
  terminal.out << FormatLease(format, result.header, result.lease, "renewed");
  return absl::OkStatus();
}

absl::Status RunLease(const LeaseRevokeCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  RAFTKV_ASSIGN_OR_RETURN(const RevokeLeaseResult result, client.RevokeLease(command.id));
  terminal.out << FormatRevoked(format, command.id, result);
  return absl::OkStatus();
}

absl::Status RunLease(const LeaseGetCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  GetLeaseOptions options{.keys = command.keys};
  RAFTKV_ASSIGN_OR_RETURN(GetLeaseResult result, client.GetLease(command.id, options));
  while (result.more_keys) {
    options.after_key = result.keys.back();
    RAFTKV_ASSIGN_OR_RETURN(const GetLeaseResult more, client.GetLease(command.id, options));
    result.keys.insert(result.keys.end(), more.keys.begin(), more.keys.end());
    result.more_keys = more.more_keys;
  }
  terminal.out << FormatLeaseWithKeys(format, result, command.keys,
                                      KeyView{.for_terminal = terminal.out_is_terminal});
  return absl::OkStatus();
}

absl::Status RunLease(const LeaseListCommand& /*command*/, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  ListLeasesOptions options;
  RAFTKV_ASSIGN_OR_RETURN(ListLeasesResult result, client.ListLeases(options));
  while (result.more) {
    options.after_id = result.leases.back().id;
    RAFTKV_ASSIGN_OR_RETURN(const ListLeasesResult more, client.ListLeases(options));
    result.leases.insert(result.leases.end(), more.leases.begin(), more.leases.end());
    result.more = more.more;
  }
  terminal.out << FormatLeases(format, result);
  return absl::OkStatus();
}

absl::Status RunLease(const LeaseKeepAliveCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  // Two renewals may fail before it is over.
  constexpr int kRenewalsPerTtl = 3;
  while (true) {
    RAFTKV_ASSIGN_OR_RETURN(const RenewLeaseResult result, client.RenewLease(command.id));
    terminal.out << FormatLease(format, result.header, result.lease, "renewed");
    terminal.out.flush();
    if (command.once || !terminal.out) {
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(result.lease.ttl / kRenewalsPerTtl));
  }
}

}  // namespace raftkv::ctl
