#include "absl/status/status.h"
#include "base/utf8.h"
#include "client/convert.h"
#include "client/error_payload.h"
#include "client/errors.h"

namespace raftkv::client {
namespace {

Lease FromProto(const v1::Lease& lease) {
  return {.id = lease.id(),
          .ttl = DurationFromProto(lease.ttl()),
          .ttl_remaining = DurationFromProto(lease.ttl_remaining())};
}

}  // namespace

v1::GrantLeaseRequest MakeGrantLeaseRequest(absl::Duration ttl, const GrantLeaseOptions& options) {
  v1::GrantLeaseRequest request;
  request.set_id(options.id);
  *request.mutable_ttl() = DurationToProto(ttl);
  return request;
}

v1::RenewLeaseRequest MakeRenewLeaseRequest(int64_t id, const RenewLeaseOptions& options) {
  v1::RenewLeaseRequest request;
  request.set_id(id);
  if (options.ttl.has_value()) {
    *request.mutable_ttl() = DurationToProto(*options.ttl);
  }
  return request;
}

absl::StatusOr<v1::GetLeaseRequest> MakeGetLeaseRequest(int64_t id,
                                                        const GetLeaseOptions& options) {
  if (!IsUtf8(options.after_key)) {
    return WithReason(absl::InvalidArgumentError("after_key is not valid UTF-8"), "MALFORMED",
                      kClientErrorDomain);
  }
  v1::GetLeaseRequest request;
  request.set_id(id);
  request.set_keys(options.keys);
  request.set_after_key(options.after_key);
  return request;
}

v1::ListLeasesRequest MakeListLeasesRequest(const ListLeasesOptions& options) {
  v1::ListLeasesRequest request;
  request.set_page_size(options.page_size);
  request.set_after_id(options.after_id);
  return request;
}

GrantLeaseResult ToResult(const v1::GrantLeaseResponse& response) {
  return {.header = FromProto(response.header()),
          .lease = FromProto(response.lease()),
          .replayed = response.replayed()};
}

RenewLeaseResult ToResult(const v1::RenewLeaseResponse& response) {
  return {.header = FromProto(response.header()), .lease = FromProto(response.lease())};
}

RevokeLeaseResult ToResult(const v1::RevokeLeaseResponse& response) {
  return {.header = FromProto(response.header()), .deleted = response.deleted()};
}

GetLeaseResult ToResult(const v1::GetLeaseResponse& response) {
  return {.header = FromProto(response.header()),
          .lease = FromProto(response.lease()),
          .keys = {response.keys().begin(), response.keys().end()},
          .more_keys = response.more_keys()};
}

ListLeasesResult ToResult(const v1::ListLeasesResponse& response) {
  ListLeasesResult result{.header = FromProto(response.header()), .more = response.more()};
  for (const v1::Lease& lease : response.leases()) {
    result.leases.push_back(FromProto(lease));
  }
  return result;
}

}  // namespace raftkv::client
