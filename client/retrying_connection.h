// The Connection that Client::Create makes: several endpoints, deadlines, retries.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "client/connection.h"
#include "client/convert.h"
#include "client/known_members.h"
#include "client/retry_policy.h"
#include "client/scan_place.h"
#include "client/stub.h"

namespace raftkv::client {

// A clock that one can also wait by. Thread-safe.
class SleepingClock : public MonotonicClock {
 public:
  virtual void SleepFor(absl::Duration duration) = 0;
};

// The machine's.
std::shared_ptr<SleepingClock> SystemSleepingClock();

// Turns one call into as many RPCs as are safe. A call starts at the endpoint that worked last and
// goes round the known members: at once to the next endpoint, with a pause (Backoff, or longer when
// the server asks for it) after each full round. Connecting and calling are apart, so that an
// endpoint that is down costs a write nothing: it is only sent on a connection that stands. A pause
// that would not end before the deadline is not begun: the call fails with the last answer. When
// the time runs out in the middle of a try, the error also tells what the tries before it came to.
//
// A write's error that leaves its outcome open is marked OUTCOME_UNKNOWN, whoever reported it; that
// of a write with an id is told when no further try has settled it.
//
// Thread-safe; calls do not wait for each other.
class RetryingConnection final : public Connection {
 public:
  // REQUIRES: options are valid (Client::Create checks them).
  RetryingConnection(ClientOptions options, StubFactory make_stub,
                     std::shared_ptr<SleepingClock> clock, uint64_t jitter_seed);

  absl::StatusOr<GetResult> Get(absl::string_view key, const GetOptions& options) override;
  absl::StatusOr<PutResult> Put(absl::string_view key, absl::string_view value,
                                const PutOptions& options) override;
  absl::StatusOr<DeleteResult> Delete(absl::string_view key, const DeleteOptions& options) override;
  absl::StatusOr<DeleteRangeResult> DeleteRange(const KeyRange& range,
                                                const DeleteRangeOptions& options) override;
  absl::StatusOr<TouchResult> Touch(absl::string_view key, const TouchOptions& options) override;
  absl::StatusOr<IncrementResult> Increment(absl::string_view key,
                                            const IncrementOptions& options) override;
  absl::StatusOr<TxnResult> Run(const Txn& txn, const TxnOptions& options) override;
  absl::StatusOr<ListResult> List(const KeyRange& range, const ListOptions& options) override;
  absl::StatusOr<ListMembersResult> ListMembers(const MemberOptions& options) override;
  absl::StatusOr<TransferLeadershipResult> TransferLeadership(
      absl::string_view target, const TransferLeadershipOptions& options) override;
  absl::StatusOr<ChangeMemberResult> AddMember(absl::string_view name,
                                               absl::string_view peer_address,
                                               const AddMemberOptions& options) override;
  absl::StatusOr<RemoveMemberResult> RemoveMember(const MemberTarget& target,
                                                  const ChangeMemberOptions& options) override;
  absl::StatusOr<ChangeMemberResult> PromoteMember(const MemberTarget& target,
                                                   const ChangeMemberOptions& options) override;
  absl::StatusOr<ChangeMemberResult> UpdateMember(const MemberTarget& target,
                                                  absl::string_view peer_address,
                                                  const ChangeMemberOptions& options) override;
  absl::StatusOr<MemberStatus> GetStatus(absl::string_view endpoint,
                                         const MemberOptions& options) override;
  absl::StatusOr<VerifyHashResult> VerifyHash(absl::string_view endpoint,
                                              const VerifyHashOptions& options) override;
  absl::StatusOr<BackupResult> Backup(absl::string_view endpoint, const BackupOptions& options,
                                      const BackupSink& sink) override;
  absl::Status Scan(const KeyRange& range, const ScanOptions& options,
                    const std::function<bool(const ScanChunk& chunk)>& visit) override;
  absl::Status Watch(const std::vector<KeyRange>& ranges, const WatchOptions& options,
                     const std::function<bool(const WatchUpdate& update)>& visit) override;
  absl::StatusOr<CompactResult> Compact(int64_t revision, const CompactOptions& options) override;
  absl::StatusOr<std::unique_ptr<BulkWriter>> NewBulkWriter(
      const BulkWriterOptions& options) override;
  absl::StatusOr<GrantLeaseResult> GrantLease(absl::Duration ttl,
                                              const GrantLeaseOptions& options) override;
  absl::StatusOr<RenewLeaseResult> RenewLease(int64_t id,
                                              const RenewLeaseOptions& options) override;
  absl::StatusOr<RevokeLeaseResult> RevokeLease(int64_t id,
                                                const RevokeLeaseOptions& options) override;
  absl::StatusOr<GetLeaseResult> GetLease(int64_t id, const GetLeaseOptions& options) override;
  absl::StatusOr<ListLeasesResult> ListLeases(const ListLeasesOptions& options) override;
  absl::StatusOr<HealthResult> CheckHealth(absl::string_view endpoint,
                                           const MemberOptions& options) override;

 private:
  using Endpoint = KnownMembers::Endpoint;
  using Attempt = absl::FunctionRef<absl::Status(const Endpoint& endpoint, absl::Duration timeout)>;

  // Has `once` make a stream, at one endpoint after the other, until it ends with something else
  // than UNAVAILABLE, or all have failed for several rounds; from the second round on, also when
  // nothing has come for `patience`. It sets `came` once something came.
  using StreamOnce = absl::FunctionRef<absl::Status(const Endpoint& endpoint, bool* came)>;
  absl::Status RunStreams(absl::Duration patience, StreamOnce once);
  // One stream of a scan. OK: it is complete, or `visit` wants no more.
  absl::Status ScanOnce(const Endpoint& endpoint, absl::Duration silence_max, ScanPlace* place,
                        bool* came, const std::function<bool(const ScanChunk& chunk)>& visit);

  // Where a watch is.
  struct WatchPlace {
    v1::WatchRequest request;      // What to ask for next.
    int64_t initial_revision = 0;  // Of the initial state that is being told.
    // Of the last event that was told.
    int64_t told_revision = 0;
    std::string told_key;
  };
  // One stream of a watch. OK: `visit` wants no more.
  absl::Status WatchOnce(const Endpoint& endpoint, const WatchOptions& options, WatchPlace* place,
                         bool* came, const std::function<bool(const WatchUpdate& update)>& visit);
  // Takes out of an update what was told before, and notes where the watch is then.
  static void NoteTold(WatchPlace* place, WatchUpdate* update);

  // Makes the RPC `method` (rpc.h) until it succeeds, must not be repeated, or the tries or the
  // time are used up. A request that could not be made fails the call.
  template <typename Method>
  auto Call(const Method& method, std::optional<absl::Duration> timeout,
            const absl::StatusOr<typename Method::Request>& request)
      -> absl::StatusOr<decltype(ToResult(typename Method::Response()))>;
  // The same for a write: under `request_id`, or, empty, under one of its own, unless there are to
  // be none. Where members know none, the write is made without the client's own.
  template <typename Method>
  auto Write(Method method, std::optional<absl::Duration> timeout, const std::string& request_id,
             absl::StatusOr<typename Method::Request> request)
      -> absl::StatusOr<decltype(ToResult(typename Method::Response()))>;
  std::string NewRequestId();
  absl::Status RunAttempts(CallKind kind, absl::Duration timeout, Attempt attempt);
  // One of `endpoints`, which share the time that is left.
  absl::Status TryOnce(CallKind kind, const Endpoint& endpoint, size_t endpoints,
                       MonotonicNanos deadline, Attempt attempt);
  // Connects within `timeout`. Then asks for the members, for at most as long again: if it is time
  // and `may_ask`, or if `endpoint` was learned and is not trusted yet. UNAVAILABLE /
  // CANNOT_CONNECT when it cannot be used.
  absl::Status GetReady(const Endpoint& endpoint, absl::Duration timeout, bool may_ask);
  // Whether an answer comes from the cluster that answered first.
  absl::Status CheckCluster(CallKind kind, const Endpoint& endpoint,
                            const v1::ResponseHeader& header);
  // The stub of an endpoint that a caller names, connected, and what is left of the timeout.
  struct Direct {
    std::shared_ptr<Stub> stub;
    absl::Duration timeout;
  };
  absl::StatusOr<Direct> ConnectTo(absl::string_view endpoint,
                                   std::optional<absl::Duration> timeout);

  MonotonicNanos DeadlineAfter(absl::Duration timeout) const;
  absl::Duration UntilDeadline(MonotonicNanos deadline) const;
  Backoff NewBackoff();

  // Constant after construction.
  const ClientOptions options_;
  const StubFactory make_stub_;
  const std::shared_ptr<SleepingClock> clock_;

  KnownMembers members_;
  Mutex mutex_;
  Rng rng_ ABSL_GUARDED_BY(mutex_);
  // The cluster of the first answer, and who gave it; 0 before.
  uint64_t cluster_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string cluster_endpoint_ ABSL_GUARDED_BY(mutex_);
  // Constant; the ids are it and a number.
  const std::string request_id_prefix_;
  uint64_t request_ids_ ABSL_GUARDED_BY(mutex_) = 0;
  // Members knew no ids lately: none are sent before this.
  MonotonicNanos no_ids_until_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace raftkv::client
