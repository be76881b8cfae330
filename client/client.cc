#include "client/client.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/status_macros.h"
#include "client/connection.h"
#include "client/credentials.h"
#include "client/endpoint.h"
#include "client/grpc_stub.h"
#include "client/retrying_connection.h"

namespace raftkv {
namespace {

constexpr absl::Duration kTimeoutMax = absl::Hours(24);

absl::Status Validate(const ClientOptions& options) {
  if (options.endpoints.empty()) {
    return absl::InvalidArgumentError("endpoints is empty: name at least one host:port");
  }
  if (options.request_timeout <= absl::ZeroDuration() || options.request_timeout > kTimeoutMax) {
    return absl::InvalidArgumentError("request_timeout must be more than 0 and at most 24 h");
  }
  if (options.connect_timeout <= absl::ZeroDuration() || options.connect_timeout > kTimeoutMax) {
    return absl::InvalidArgumentError("connect_timeout must be more than 0 and at most 24 h");
  }
  if (options.tries_per_endpoint_max < 1) {
    return absl::InvalidArgumentError("tries_per_endpoint_max must be at least 1");
  }
  if (options.backoff_initial <= absl::ZeroDuration() ||
      options.backoff_max < options.backoff_initial || options.backoff_max > kTimeoutMax) {
    return absl::InvalidArgumentError(
        "backoff_initial must be more than 0 and at most backoff_max, which is at most 24 h");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Client> Client::Create(ClientOptions options) {
  RAFTKV_RETURN_IF_ERROR(Validate(options));
  if (!options.tls.has_value() &&
      std::any_of(options.endpoints.begin(), options.endpoints.end(), client::BeginsWithHttps)) {
    options.tls.emplace();
  }
  const auto scheme = options.tls.has_value() ? client::Scheme::kHttps : client::Scheme::kHttp;
  for (std::string& endpoint : options.endpoints) {
    RAFTKV_ASSIGN_OR_RETURN(endpoint, client::ParseEndpoint(endpoint, scheme));
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                          client::MakeCredentials(options.tls));
  return Client(std::make_shared<client::RetryingConnection>(
      std::move(options),
      [credentials](const std::string& endpoint) {
        return client::MakeGrpcStub(endpoint, credentials);
      },
      client::SystemSleepingClock(), std::random_device()()));
}

Client::Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

absl::StatusOr<GetResult> Client::Get(absl::string_view key, const GetOptions& options) {
  return connection_->Get(key, options);
}

absl::StatusOr<PutResult> Client::Put(absl::string_view key, absl::string_view value,
                                      const PutOptions& options) {
  return connection_->Put(key, value, options);
}

absl::StatusOr<DeleteResult> Client::Delete(absl::string_view key, const DeleteOptions& options) {
  return connection_->Delete(key, options);
}

absl::StatusOr<DeleteRangeResult> Client::DeleteRange(const KeyRange& range,
                                                      const DeleteRangeOptions& options) {
  return connection_->DeleteRange(range, options);
}

absl::StatusOr<TouchResult> Client::Touch(absl::string_view key, const TouchOptions& options) {
  return connection_->Touch(key, options);
}

absl::StatusOr<IncrementResult> Client::Increment(absl::string_view key,
                                                  const IncrementOptions& options) {
  return connection_->Increment(key, options);
}

absl::StatusOr<TxnResult> Client::Run(const Txn& txn, const TxnOptions& options) {
  return connection_->Run(txn, options);
}

absl::StatusOr<ListResult> Client::List(const KeyRange& range, const ListOptions& options) {
  return connection_->List(range, options);
}

absl::Status Client::ListAll(const KeyRange& range, ListOptions options,
                             const std::function<bool(const ListResult& page)>& visit) {
  while (true) {
    RAFTKV_ASSIGN_OR_RETURN(const ListResult page, connection_->List(range, options));
    if (!visit(page) || page.next_page_token.empty()) {
      return absl::OkStatus();
    }
    options.page_token = page.next_page_token;
  }
}

absl::Status Client::Scan(const KeyRange& range, const ScanOptions& options,
                          const std::function<bool(const ScanChunk& chunk)>& visit) {
  return connection_->Scan(range, options, visit);
}

absl::Status Client::Watch(const std::vector<KeyRange>& ranges, const WatchOptions& options,
                           const std::function<bool(const WatchUpdate& update)>& visit) {
  return connection_->Watch(ranges, options, visit);
}

absl::StatusOr<std::unique_ptr<BulkWriter>> Client::NewBulkWriter(
    const BulkWriterOptions& options) {
  return connection_->NewBulkWriter(options);
}

absl::StatusOr<CompactResult> Client::Compact(int64_t revision, const CompactOptions& options) {
  return connection_->Compact(revision, options);
}

absl::StatusOr<GrantLeaseResult> Client::GrantLease(absl::Duration ttl,
                                                    const GrantLeaseOptions& options) {
  return connection_->GrantLease(ttl, options);
}

absl::StatusOr<RenewLeaseResult> Client::RenewLease(int64_t id, const RenewLeaseOptions& options) {
  return connection_->RenewLease(id, options);
}

absl::StatusOr<RevokeLeaseResult> Client::RevokeLease(int64_t id,
                                                      const RevokeLeaseOptions& options) {
  return connection_->RevokeLease(id, options);
}

absl::StatusOr<GetLeaseResult> Client::GetLease(int64_t id, const GetLeaseOptions& options) {
  return connection_->GetLease(id, options);
}

absl::StatusOr<ListLeasesResult> Client::ListLeases(const ListLeasesOptions& options) {
  return connection_->ListLeases(options);
}

absl::StatusOr<ListMembersResult> Client::ListMembers(const MemberOptions& options) {
  return connection_->ListMembers(options);
}

absl::StatusOr<TransferLeadershipResult> Client::TransferLeadership(
    absl::string_view target, const TransferLeadershipOptions& options) {
  return connection_->TransferLeadership(target, options);
}

absl::StatusOr<ChangeMemberResult> Client::AddMember(absl::string_view name,
                                                     absl::string_view peer_address,
                                                     const AddMemberOptions& options) {
  return connection_->AddMember(name, peer_address, options);
}

absl::StatusOr<RemoveMemberResult> Client::RemoveMember(const MemberTarget& target,
                                                        const ChangeMemberOptions& options) {
  return connection_->RemoveMember(target, options);
}

absl::StatusOr<ChangeMemberResult> Client::PromoteMember(const MemberTarget& target,
                                                         const ChangeMemberOptions& options) {
  return connection_->PromoteMember(target, options);
}

absl::StatusOr<ChangeMemberResult> Client::UpdateMember(const MemberTarget& target,
                                                        absl::string_view peer_address,
                                                        const ChangeMemberOptions& options) {
  return connection_->UpdateMember(target, peer_address, options);
}

absl::StatusOr<MemberStatus> Client::GetStatus(absl::string_view endpoint,
                                               const MemberOptions& options) {
  return connection_->GetStatus(endpoint, options);
}

absl::StatusOr<VerifyHashResult> Client::VerifyHash(absl::string_view endpoint,
                                                    const VerifyHashOptions& options) {
  return connection_->VerifyHash(endpoint, options);
}

absl::StatusOr<BackupResult> Client::Backup(absl::string_view endpoint, const BackupSink& sink,
                                            const BackupOptions& options) {
  return connection_->Backup(endpoint, options, sink);
}

absl::StatusOr<HealthResult> Client::CheckHealth(absl::string_view endpoint,
                                                 const MemberOptions& options) {
  return connection_->CheckHealth(endpoint, options);
}

}  // namespace raftkv
