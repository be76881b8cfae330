// The library's plain structs <-> the messages of raftkv.v1.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/lease_types.h"
#include "client/txn.h"
#include "client/types.h"
#include "google/protobuf/duration.pb.h"
#include "raftkv/v1/cluster.pb.h"
#include "raftkv/v1/kv.pb.h"
#include "raftkv/v1/lease.pb.h"
#include "raftkv/v1/maintenance.pb.h"
#include "raftkv/v1/watch.pb.h"

namespace raftkv::client {

absl::Duration DurationFromProto(const google::protobuf::Duration& duration);
google::protobuf::Duration DurationToProto(absl::Duration duration);

// Requests. They refuse, with the server's own code and reason, what could not travel: a key or
// bound that is not UTF-8 (MALFORMED), a value above any server's limit (VALUE_TOO_LARGE), a ttl
// besides keep_ttl (BAD_TTL). All else is left to the server.
absl::StatusOr<v1::GetRequest> MakeGetRequest(absl::string_view key, const GetOptions& options);
absl::StatusOr<v1::PutRequest> MakePutRequest(absl::string_view key, absl::string_view value,
                                              const PutOptions& options);
absl::StatusOr<v1::DeleteRequest> MakeDeleteRequest(absl::string_view key,
                                                    const DeleteOptions& options);
absl::StatusOr<v1::DeleteRangeRequest> MakeDeleteRangeRequest(const KeyRange& range,
                                                              const DeleteRangeOptions& options);
absl::StatusOr<v1::TouchRequest> MakeTouchRequest(absl::string_view key,
                                                  const TouchOptions& options);
absl::StatusOr<v1::IncrementRequest> MakeIncrementRequest(absl::string_view key,
                                                          const IncrementOptions& options);
absl::StatusOr<v1::TxnRequest> MakeTxnRequest(const Txn& txn, const TxnOptions& options);
absl::StatusOr<v1::ListRequest> MakeListRequest(const KeyRange& range, const ListOptions& options);
absl::StatusOr<v1::ScanRequest> MakeScanRequest(const KeyRange& range, const ScanOptions& options);
v1::ListMembersRequest MakeListMembersRequest(const MemberOptions& options);
v1::TransferLeadershipRequest MakeTransferLeadershipRequest(absl::string_view target);
absl::StatusOr<v1::WatchRequest> MakeWatchRequest(const std::vector<KeyRange>& ranges,
                                                  const WatchOptions& options);
v1::CompactRequest MakeCompactRequest(int64_t revision);
v1::GrantLeaseRequest MakeGrantLeaseRequest(absl::Duration ttl, const GrantLeaseOptions& options);
v1::RenewLeaseRequest MakeRenewLeaseRequest(int64_t id, const RenewLeaseOptions& options);
absl::StatusOr<v1::GetLeaseRequest> MakeGetLeaseRequest(int64_t id, const GetLeaseOptions& options);
v1::ListLeasesRequest MakeListLeasesRequest(const ListLeasesOptions& options);
v1::VerifyHashRequest MakeVerifyHashRequest(const VerifyHashOptions& options);
v1::BackupRequest MakeBackupRequest(const BackupOptions& options);

// Answers. An enum value that this version does not know becomes kUnspecified.
ResponseHeader FromProto(const v1::ResponseHeader& header);
MemberRole FromProto(v1::MemberRole role);
GetResult ToResult(const v1::GetResponse& response);
PutResult ToResult(const v1::PutResponse& response);
DeleteResult ToResult(const v1::DeleteResponse& response);
DeleteRangeResult ToResult(const v1::DeleteRangeResponse& response);
TouchResult ToResult(const v1::TouchResponse& response);
IncrementResult ToResult(const v1::IncrementResponse& response);
TxnResult ToResult(const v1::TxnResponse& response);
ListResult ToResult(const v1::ListResponse& response);
ListMembersResult ToResult(const v1::ListMembersResponse& response);
MemberStatus ToResult(const v1::GetStatusResponse& response);
ChangeMemberResult ToResult(const v1::AddMemberResponse& response);
RemoveMemberResult ToResult(const v1::RemoveMemberResponse& response);
ChangeMemberResult ToResult(const v1::PromoteMemberResponse& response);
ChangeMemberResult ToResult(const v1::UpdateMemberResponse& response);
TransferLeadershipResult ToResult(const v1::TransferLeadershipResponse& response);
VerifyHashResult ToResult(const v1::VerifyHashResponse& response);
ScanChunk ToResult(const v1::ScanResponse& response);
// Of the first message of a backup.
BackupResult ToResult(const v1::BackupResponse& response);
CompactResult ToResult(const v1::CompactResponse& response);
GrantLeaseResult ToResult(const v1::GrantLeaseResponse& response);
RenewLeaseResult ToResult(const v1::RenewLeaseResponse& response);
RevokeLeaseResult ToResult(const v1::RevokeLeaseResponse& response);
GetLeaseResult ToResult(const v1::GetLeaseResponse& response);
ListLeasesResult ToResult(const v1::ListLeasesResponse& response);
// Without `begins`, which the response does not say.
WatchUpdate ToResult(const v1::WatchResponse& response);

}  // namespace raftkv::client
