// What a Client stands on, and the place where a test puts a double.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/bulk_writer.h"
#include "client/lease_types.h"
#include "client/txn.h"
#include "client/types.h"

namespace raftkv {

// One method per call of Client, with the same meaning; retries and endpoints are the
// implementation's. Thread-safe.
class Connection {
 public:
  virtual ~Connection() = default;

  virtual absl::StatusOr<GetResult> Get(absl::string_view key, const GetOptions& options) = 0;
  virtual absl::StatusOr<PutResult> Put(absl::string_view key, absl::string_view value,
                                        const PutOptions& options) = 0;
  virtual absl::StatusOr<DeleteResult> Delete(absl::string_view key,
                                              const DeleteOptions& options) = 0;
  virtual absl::StatusOr<DeleteRangeResult> DeleteRange(const KeyRange& range,
                                                        const DeleteRangeOptions& options) = 0;
  virtual absl::StatusOr<TouchResult> Touch(absl::string_view key, const TouchOptions& options) = 0;
  virtual absl::StatusOr<IncrementResult> Increment(absl::string_view key,
                                                    const IncrementOptions& options) = 0;
  virtual absl::StatusOr<TxnResult> Run(const Txn& txn, const TxnOptions& options) = 0;
  virtual absl::StatusOr<ListResult> List(const KeyRange& range, const ListOptions& options) = 0;
  virtual absl::StatusOr<ListMembersResult> ListMembers(const MemberOptions& options) = 0;
  virtual absl::StatusOr<TransferLeadershipResult> TransferLeadership(
      absl::string_view target, const TransferLeadershipOptions& options) = 0;
  virtual absl::StatusOr<ChangeMemberResult> AddMember(absl::string_view name,
                                                       absl::string_view peer_address,
                                                       const AddMemberOptions& options) = 0;
  virtual absl::StatusOr<RemoveMemberResult> RemoveMember(const MemberTarget& target,
                                                          const ChangeMemberOptions& options) = 0;
  virtual absl::StatusOr<ChangeMemberResult> PromoteMember(const MemberTarget& target,
                                                           const ChangeMemberOptions& options) = 0;
  virtual absl::StatusOr<ChangeMemberResult> UpdateMember(const MemberTarget& target,
                                                          absl::string_view peer_address,
                                                          const ChangeMemberOptions& options) = 0;
  virtual absl::StatusOr<MemberStatus> GetStatus(absl::string_view endpoint,
                                                 const MemberOptions& options) = 0;
  virtual absl::StatusOr<VerifyHashResult> VerifyHash(absl::string_view endpoint,
                                                      const VerifyHashOptions& options) = 0;
  virtual absl::StatusOr<BackupResult> Backup(absl::string_view endpoint,
                                              const BackupOptions& options,
                                              const BackupSink& sink) = 0;
  virtual absl::Status Scan(const KeyRange& range, const ScanOptions& options,
                            const std::function<bool(const ScanChunk& chunk)>& visit) = 0;
  virtual absl::Status Watch(const std::vector<KeyRange>& ranges, const WatchOptions& options,
                             const std::function<bool(const WatchUpdate& update)>& visit) = 0;
  virtual absl::StatusOr<CompactResult> Compact(int64_t revision,
                                                const CompactOptions& options) = 0;
  virtual absl::StatusOr<std::unique_ptr<BulkWriter>> NewBulkWriter(
      const BulkWriterOptions& options) = 0;
  virtual absl::StatusOr<GrantLeaseResult> GrantLease(absl::Duration ttl,
                                                      const GrantLeaseOptions& options) = 0;
  virtual absl::StatusOr<RenewLeaseResult> RenewLease(int64_t id,
                                                      const RenewLeaseOptions& options) = 0;
  virtual absl::StatusOr<RevokeLeaseResult> RevokeLease(int64_t id,
                                                        const RevokeLeaseOptions& options) = 0;
  virtual absl::StatusOr<GetLeaseResult> GetLease(int64_t id, const GetLeaseOptions& options) = 0;
  virtual absl::StatusOr<ListLeasesResult> ListLeases(const ListLeasesOptions& options) = 0;
  virtual absl::StatusOr<HealthResult> CheckHealth(absl::string_view endpoint,
                                                   const MemberOptions& options) = 0;
};

}  // namespace raftkv
