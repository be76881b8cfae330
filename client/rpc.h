// The unary RPCs of the client API, each a row: what a call of Client is made of.
#pragma once

#include "client/retry_policy.h"
#include "raftkv/v1/cluster.pb.h"
#include "raftkv/v1/kv.pb.h"
#include "raftkv/v1/lease.pb.h"
#include "raftkv/v1/maintenance.pb.h"

namespace raftkv::client {

// `path` is the full name of the method, "/package.Service/Method". Its kind says whether it may be
// made again when its outcome is not known.
template <typename RequestType, typename ResponseType>
struct Rpc {
  using Request = RequestType;
  using Response = ResponseType;

  const char* path;
  CallKind kind;
};

inline constexpr Rpc<v1::GetRequest, v1::GetResponse> kGet{"/raftkv.v1.KvService/Get",
                                                           CallKind::kRead};
inline constexpr Rpc<v1::PutRequest, v1::PutResponse> kPut{"/raftkv.v1.KvService/Put",
                                                           CallKind::kWrite};
inline constexpr Rpc<v1::DeleteRequest, v1::DeleteResponse> kDelete{"/raftkv.v1.KvService/Delete",
                                                                    CallKind::kWrite};
inline constexpr Rpc<v1::DeleteRangeRequest, v1::DeleteRangeResponse> kDeleteRange{
    "/raftkv.v1.KvService/DeleteRange", CallKind::kWrite};
inline constexpr Rpc<v1::TouchRequest, v1::TouchResponse> kTouch{"/raftkv.v1.KvService/Touch",
                                                                 CallKind::kWrite};
inline constexpr Rpc<v1::IncrementRequest, v1::IncrementResponse> kIncrement{
    "/raftkv.v1.KvService/Increment", CallKind::kWrite};
inline constexpr Rpc<v1::TxnRequest, v1::TxnResponse> kTxn{"/raftkv.v1.KvService/Txn",
                                                           CallKind::kWrite};
inline constexpr Rpc<v1::ListRequest, v1::ListResponse> kList{"/raftkv.v1.KvService/List",
                                                              CallKind::kRead};
inline constexpr Rpc<v1::GrantLeaseRequest, v1::GrantLeaseResponse> kGrantLease{
    "/raftkv.v1.LeaseService/GrantLease", CallKind::kWrite};
// Made again, they find what they wanted, or want it once more.
inline constexpr Rpc<v1::RenewLeaseRequest, v1::RenewLeaseResponse> kRenewLease{
    "/raftkv.v1.LeaseService/RenewLease", CallKind::kRead};
inline constexpr Rpc<v1::RevokeLeaseRequest, v1::RevokeLeaseResponse> kRevokeLease{
    "/raftkv.v1.LeaseService/RevokeLease", CallKind::kRead};
inline constexpr Rpc<v1::GetLeaseRequest, v1::GetLeaseResponse> kGetLease{
    "/raftkv.v1.LeaseService/GetLease", CallKind::kRead};
inline constexpr Rpc<v1::ListLeasesRequest, v1::ListLeasesResponse> kListLeases{
    "/raftkv.v1.LeaseService/ListLeases", CallKind::kRead};
inline constexpr Rpc<v1::ListMembersRequest, v1::ListMembersResponse> kListMembers{
    "/raftkv.v1.ClusterService/ListMembers", CallKind::kRead};
// Made again, it finds what it wanted, or begins once more.
inline constexpr Rpc<v1::TransferLeadershipRequest, v1::TransferLeadershipResponse>
    kTransferLeadership{"/raftkv.v1.ClusterService/TransferLeadership", CallKind::kRead};
// The same of changes of members: each is a wish for how things are to be.
inline constexpr Rpc<v1::AddMemberRequest, v1::AddMemberResponse> kAddMember{
    "/raftkv.v1.ClusterService/AddMember", CallKind::kRead};
inline constexpr Rpc<v1::RemoveMemberRequest, v1::RemoveMemberResponse> kRemoveMember{
    "/raftkv.v1.ClusterService/RemoveMember", CallKind::kRead};
inline constexpr Rpc<v1::PromoteMemberRequest, v1::PromoteMemberResponse> kPromoteMember{
    "/raftkv.v1.ClusterService/PromoteMember", CallKind::kRead};
inline constexpr Rpc<v1::UpdateMemberRequest, v1::UpdateMemberResponse> kUpdateMember{
    "/raftkv.v1.ClusterService/UpdateMember", CallKind::kRead};
inline constexpr Rpc<v1::GetStatusRequest, v1::GetStatusResponse> kGetStatus{
    "/raftkv.v1.ClusterService/GetStatus", CallKind::kRead};
inline constexpr Rpc<v1::VerifyHashRequest, v1::VerifyHashResponse> kVerifyHash{
    "/raftkv.v1.MaintenanceService/VerifyHash", CallKind::kRead};

// As Rpc, for a method that answers one request with a stream of messages.
template <typename RequestType, typename ResponseType>
struct StreamRpc {
  using Request = RequestType;
  using Response = ResponseType;

  const char* path;
};

inline constexpr StreamRpc<v1::BackupRequest, v1::BackupResponse> kBackup{
    "/raftkv.v1.MaintenanceService/Backup"};
inline constexpr Rpc<v1::CompactRequest, v1::CompactResponse> kCompact{
    "/raftkv.v1.MaintenanceService/Compact", CallKind::kWrite};
// Streams of responses.
inline constexpr char kScanPath[] = "/raftkv.v1.KvService/Scan";
inline constexpr char kWatchPath[] = "/raftkv.v1.WatchService/Watch";

// Streams both ways.
inline constexpr char kStreamPath[] = "/raftkv.v1.KvService/Stream";

}  // namespace raftkv::client
