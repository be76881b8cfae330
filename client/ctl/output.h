// What raftkvctl prints to stdout, as text in the format asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/ctl/command_line.h"
#include "client/lease_types.h"
#include "client/txn.h"
#include "client/types.h"

namespace raftkv::ctl {

// What to show of keys.
struct KeyView {
  bool keys_only = false;
  bool print_value_only = false;
  bool for_terminal = false;  // escape what a terminal would obey; otherwise bytes stay as they are
};

struct EndpointStatus {
  std::string endpoint;
  absl::StatusOr<MemberStatus> status;
};

struct EndpointHealth {
  std::string endpoint;
  absl::StatusOr<absl::Duration> took;
  uint64_t cluster_id = 0;  // 0: not known
};

struct EndpointHash {
  std::string endpoint;
  absl::StatusOr<VerifyHashResult> hash;
};

// "20 kB".
std::string FormatBytes(int64_t bytes);
// What a member is doing, in a word.
absl::string_view StateName(const MemberStatus& status);

// Every text ends with a newline, or is empty. JSON is one line; text in it that is not UTF-8 comes
// as "key_base64" or "value_base64".
std::string FormatPut(OutputFormat format, const PutResult& result);
std::string FormatDeleted(OutputFormat format, const ResponseHeader& header, int64_t deleted);
// How many keys were touched, 0 or 1.
std::string FormatTouched(OutputFormat format, const TouchResult& result);
std::string FormatSum(OutputFormat format, const IncrementResult& result);
// As etcdctl: whether the guards held, and after an empty line each what the operations came to.
std::string FormatTxn(OutputFormat format, const TxnResult& result, const KeyView& view);
// One key as FormatKeys shows it in the simple format: a key line, a value line, or one of them.
std::string FormatKeySimple(const KeyValue& kv, const KeyView& view);
std::string FormatKeys(OutputFormat format, const ResponseHeader& header,
                       const std::vector<KeyValue>& kvs, const KeyView& view);
// "PUT", "DELETE" or "EXPIRE".
absl::string_view EventTypeName(EventType type);
// The type on a line of its own, and the key as FormatKeySimple shows it; the key alone of a
// removal. JSON, and the table too, is one line for each.
std::string FormatEvent(OutputFormat format, const Event& event, const KeyView& view);
std::string FormatCompacted(OutputFormat format, const CompactResult& result);
std::string FormatMembers(OutputFormat format, const ListMembersResult& result);
// A member that was added or changed, as FormatMembers shows one.
std::string FormatMember(OutputFormat format, const ChangeMemberResult& result);
std::string FormatRemoved(OutputFormat format, const ResponseHeader& header,
                          absl::string_view target);
// Who leads.
std::string FormatLeader(OutputFormat format, const ResponseHeader& header);
// In the simple format endpoints that failed are left out: their errors belong to stderr.
std::string FormatStatuses(OutputFormat format, const std::vector<EndpointStatus>& statuses);
std::string FormatHealth(OutputFormat format, const std::vector<EndpointHealth>& endpoints);
// As FormatStatuses.
std::string FormatHashes(OutputFormat format, const std::vector<EndpointHash>& hashes);
// A backup that is in `file`, and how many keys were imported.
std::string FormatSaved(OutputFormat format, const std::string& file, const BackupResult& result);
std::string FormatImported(OutputFormat format, int64_t written);
// A lease that was "granted" or "renewed".
std::string FormatLease(OutputFormat format, const ResponseHeader& header, const Lease& lease,
                        absl::string_view what);
std::string FormatRevoked(OutputFormat format, int64_t id, const RevokeLeaseResult& result);
// The keys, each on a line, behind the lease.
std::string FormatLeaseWithKeys(OutputFormat format, const GetLeaseResult& result, bool with_keys,
                                const KeyView& view);
std::string FormatLeases(OutputFormat format, const ListLeasesResult& result);
// The key of who holds a lock.
std::string FormatHeld(OutputFormat format, const std::string& key, int64_t fencing_token);
std::string FormatVersion(OutputFormat format);

// The failure of a command as JSON, for stderr.
std::string FormatErrorJson(const absl::Status& status);

}  // namespace raftkv::ctl
