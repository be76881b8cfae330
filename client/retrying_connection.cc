#include "client/retrying_connection.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/backup_pieces.h"
#include "client/convert.h"
#include "client/endpoint.h"
#include "client/error_payload.h"
#include "client/errors.h"
#include "client/rpc.h"
#include "client/stream_writer.h"

namespace raftkv::client {
namespace {

// Far above any sensible timeout, and small enough that deadlines in nanoseconds cannot overflow.
constexpr absl::Duration kTimeoutMax = absl::Hours(24);

// Members that know no request ids are asked again after so long whether they do by then.
constexpr int64_t kWithoutIdsFor = kNanosPerSecond;

class MachineClock final : public SleepingClock {
 public:
  MonotonicNanos Now() const override { return clock_.Now(); }
  void SleepFor(absl::Duration duration) override {
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(duration));
  }

 private:
  SystemMonotonicClock clock_;
};

bool IsCannotConnect(const absl::Status& status) {
  return ErrorReason(status) == kReasonCannotConnect;
}

// What a call ends with whose tries before the last may have done the write.
absl::Status AfterTries(bool may_be_done, absl::Status status) {
  return may_be_done && !IsAnswerToWrite(status) && !IsOutcomeUnknown(status)
             ? MarkOutcomeUnknown(std::move(status))
             : status;
}

// So many bits that no two clients have the same.
std::string RandomPrefix() {
  std::random_device device;
  return absl::StrCat(absl::Hex(device(), absl::kZeroPad8), absl::Hex(device(), absl::kZeroPad8),
                      absl::Hex(device(), absl::kZeroPad8), "-");
}

// Whether CheckCluster said so, of a read or of a write.
bool IsOfAnotherCluster(const absl::Status& status) {
  const std::optional<ErrorDetails> details = GetErrorDetails(status);
  return absl::IsFailedPrecondition(status) && details.has_value() &&
         details->domain == kClientErrorDomain;
}

template <typename Request>
void SetTarget(const MemberTarget& target, Request* request) {
  if (target.id != 0) {
    request->set_id(target.id);
  } else {
    request->set_name(target.name);
  }
}

// What the tries of one call came to.
class Failures {
 public:
  void Add(const std::string& address, absl::Status status) {
    if (IsCannotConnect(status)) {
      unreachable_[address] = std::string(status.message());
    } else {
      last_answer_ = std::move(status);
      answered_by_ = address;
    }
  }

  // The last answer of a server, which says more than a refused connection; without one, who could
  // not be reached.
  absl::Status Summary() const {
    if (!last_answer_.ok()) {
      return last_answer_;
    }
    return WithReason(absl::UnavailableError(CannotConnect()), kReasonCannotConnect,
                      kClientErrorDomain);
  }

  // `status`, with which the last try ended at `address`; when it only says that the time was up,
  // with what the tries before it came to, which is why there was no time left.
  absl::Status Explain(const std::string& address, const absl::Status& status) const {
    if (!absl::IsDeadlineExceeded(status) || (last_answer_.ok() && unreachable_.empty())) {
      return status;
    }
    const std::string before =
        last_answer_.ok() ? CannotConnect()
                          : absl::StrCat(answered_by_, " answered ",
                                         absl::StatusCodeToString(last_answer_.code()), " ",
                                         ErrorReason(last_answer_), ": ", last_answer_.message());
    absl::Status explained(status.code(), absl::StrCat(status.message(), " (asked ", address,
                                                       " last; before it, ", before, ")"));
    status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
      explained.SetPayload(url, payload);
    });
    return explained;
  }

 private:
  std::string CannotConnect() const {
    if (unreachable_.empty()) {
      return "there was no time to connect to any endpoint";
    }
    const std::string list =
        absl::StrJoin(unreachable_, ", ",
                      [](std::string* out, const std::pair<const std::string, std::string>& entry) {
                        absl::StrAppend(out, entry.first, " (", entry.second, ")");
                      });
    return absl::StrCat("cannot connect to ", list);
  }

  std::map<std::string, std::string> unreachable_;
  absl::Status last_answer_;
  std::string answered_by_;
};

}  // namespace

std::shared_ptr<SleepingClock> SystemSleepingClock() { return std::make_shared<MachineClock>(); }

RetryingConnection::RetryingConnection(ClientOptions options, StubFactory make_stub,
                                       std::shared_ptr<SleepingClock> clock, uint64_t jitter_seed)
    : options_(std::move(options)),
      make_stub_(std::move(make_stub)),
      clock_(std::move(clock)),
      members_(options_.endpoints, options_.learns_members, make_stub_),
      rng_(jitter_seed),
      request_id_prefix_(RandomPrefix()) {}

absl::StatusOr<GetResult> RetryingConnection::Get(absl::string_view key,
                                                  const GetOptions& options) {
  return Call(kGet, options.timeout, MakeGetRequest(key, options));
}

absl::StatusOr<PutResult> RetryingConnection::Put(absl::string_view key, absl::string_view value,
                                                  const PutOptions& options) {
  return Write(kPut, options.timeout, options.request_id, MakePutRequest(key, value, options));
}

absl::StatusOr<DeleteResult> RetryingConnection::Delete(absl::string_view key,
                                                        const DeleteOptions& options) {
  return Write(kDelete, options.timeout, options.request_id, MakeDeleteRequest(key, options));
}

absl::StatusOr<DeleteRangeResult> RetryingConnection::DeleteRange(
    const KeyRange& range, const DeleteRangeOptions& options) {
  return Write(kDeleteRange, options.timeout, options.request_id,
               MakeDeleteRangeRequest(range, options));
}

absl::StatusOr<TouchResult> RetryingConnection::Touch(absl::string_view key,
                                                      const TouchOptions& options) {
  return Write(kTouch, options.timeout, options.request_id, MakeTouchRequest(key, options));
}

absl::StatusOr<IncrementResult> RetryingConnection::Increment(absl::string_view key,
                                                              const IncrementOptions& options) {
  return Write(kIncrement, options.timeout, options.request_id, MakeIncrementRequest(key, options));
}

absl::StatusOr<TxnResult> RetryingConnection::Run(const Txn& txn, const TxnOptions& options) {
  return Write(kTxn, options.timeout, options.request_id, MakeTxnRequest(txn, options));
}

absl::StatusOr<ListResult> RetryingConnection::List(const KeyRange& range,
                                                    const ListOptions& options) {
  return Call(kList, options.timeout, MakeListRequest(range, options));
}

absl::StatusOr<ListMembersResult> RetryingConnection::ListMembers(const MemberOptions& options) {
  return Call(kListMembers, options.timeout, MakeListMembersRequest(options));
}

absl::StatusOr<TransferLeadershipResult> RetryingConnection::TransferLeadership(
    absl::string_view target, const TransferLeadershipOptions& options) {
  return Call(kTransferLeadership, options.timeout, MakeTransferLeadershipRequest(target));
}

absl::StatusOr<ChangeMemberResult> RetryingConnection::AddMember(absl::string_view name,
                                                                 absl::string_view peer_address,
                                                                 const AddMemberOptions& options) {
  v1::AddMemberRequest request;
  request.set_name(std::string(name));
  request.set_peer_address(std::string(peer_address));
  request.set_stay_learner(options.stay_learner);
  return Call(kAddMember, options.timeout, request);
}

absl::StatusOr<RemoveMemberResult> RetryingConnection::RemoveMember(
    const MemberTarget& target, const ChangeMemberOptions& options) {
  v1::RemoveMemberRequest request;
  SetTarget(target, &request);
  return Call(kRemoveMember, options.timeout, request);
}

absl::StatusOr<ChangeMemberResult> RetryingConnection::PromoteMember(
    const MemberTarget& target, const ChangeMemberOptions& options) {
  v1::PromoteMemberRequest request;
  SetTarget(target, &request);
  return Call(kPromoteMember, options.timeout, request);
}

absl::StatusOr<ChangeMemberResult> RetryingConnection::UpdateMember(
    const MemberTarget& target, absl::string_view peer_address,
    const ChangeMemberOptions& options) {
  v1::UpdateMemberRequest request;
  SetTarget(target, &request);
  request.set_peer_address(std::string(peer_address));
  return Call(kUpdateMember, options.timeout, request);
}

absl::StatusOr<MemberStatus> RetryingConnection::GetStatus(absl::string_view endpoint,
                                                           const MemberOptions& options) {
  RAFTKV_ASSIGN_OR_RETURN(const Direct direct, ConnectTo(endpoint, options.timeout));
  v1::GetStatusResponse response;
  RAFTKV_RETURN_IF_ERROR(
      direct.stub->Call(kGetStatus.path, direct.timeout, v1::GetStatusRequest(), &response));
  return ToResult(response);
}

absl::StatusOr<VerifyHashResult> RetryingConnection::VerifyHash(absl::string_view endpoint,
                                                                const VerifyHashOptions& options) {
  RAFTKV_ASSIGN_OR_RETURN(const Direct direct, ConnectTo(endpoint, options.timeout));
  v1::VerifyHashResponse response;
  RAFTKV_RETURN_IF_ERROR(direct.stub->Call(kVerifyHash.path, direct.timeout,
                                           MakeVerifyHashRequest(options), &response));
  return ToResult(response);
}

absl::StatusOr<BackupResult> RetryingConnection::Backup(absl::string_view endpoint,
                                                        const BackupOptions& options,
                                                        const BackupSink& sink) {
  RAFTKV_ASSIGN_OR_RETURN(const Direct direct, ConnectTo(endpoint, std::nullopt));
  BackupPieces pieces(endpoint);
  v1::BackupResponse response;
  const auto take = [&]() -> absl::Status {
    RAFTKV_RETURN_IF_ERROR(pieces.Add(response));
    return sink(response.data(), pieces.result());
  };
  RAFTKV_RETURN_IF_ERROR(
      direct.stub->ReadStream(kBackup.path, MakeBackupRequest(options), &response, take));
  RAFTKV_RETURN_IF_ERROR(pieces.CheckWhole());
  return pieces.result();
}

absl::StatusOr<CompactResult> RetryingConnection::Compact(int64_t revision,
                                                          const CompactOptions& options) {
  return Call(kCompact, options.timeout, MakeCompactRequest(revision));
}

absl::StatusOr<GrantLeaseResult> RetryingConnection::GrantLease(absl::Duration ttl,
                                                                const GrantLeaseOptions& options) {
  return Write(kGrantLease, options.timeout, options.request_id,
               absl::StatusOr<v1::GrantLeaseRequest>(MakeGrantLeaseRequest(ttl, options)));
}

absl::StatusOr<RenewLeaseResult> RetryingConnection::RenewLease(int64_t id,
                                                                const RenewLeaseOptions& options) {
  return Call(kRenewLease, options.timeout, MakeRenewLeaseRequest(id, options));
}

absl::StatusOr<RevokeLeaseResult> RetryingConnection::RevokeLease(
    int64_t id, const RevokeLeaseOptions& options) {
  v1::RevokeLeaseRequest request;
  request.set_id(id);
  return Call(kRevokeLease, options.timeout, request);
}

absl::StatusOr<GetLeaseResult> RetryingConnection::GetLease(int64_t id,
                                                            const GetLeaseOptions& options) {
  return Call(kGetLease, options.timeout, MakeGetLeaseRequest(id, options));
}

absl::StatusOr<ListLeasesResult> RetryingConnection::ListLeases(const ListLeasesOptions& options) {
  return Call(kListLeases, options.timeout, MakeListLeasesRequest(options));
}

absl::Status RetryingConnection::RunStreams(absl::Duration patience, StreamOnce once) {
  std::optional<Backoff> backoff(NewBackoff());
  Failures failures;
  MonotonicNanos patient_until = DeadlineAfter(patience);
  KnownMembers::List list = members_.list();
  size_t place = members_.Preferred(list);
  for (size_t tries = 1;; ++tries) {
    bool came = false;
    const Endpoint& endpoint = (*list)[place];
    absl::Status status = GetReady(endpoint, options_.connect_timeout, /*may_ask=*/true);
    if (status.ok()) {
      status = once(endpoint, &came);
    }
    if (status.ok() || !absl::IsUnavailable(status)) {
      return status;
    }
    if (came) {
      tries = 1;
      backoff.emplace(NewBackoff());
      failures = Failures();
      patient_until = DeadlineAfter(patience);
    }
    members_.TurnAwayFrom(list, place);
    failures.Add(endpoint.address, std::move(status));
    list = members_.list();
    place = (place + 1) % list->size();
    const bool is_late =
        tries >= list->size() && UntilDeadline(patient_until) == absl::ZeroDuration();
    if (tries >= list->size() * options_.tries_per_endpoint_max || is_late) {
      return failures.Summary();
    }
    if (tries % list->size() == 0) {
      clock_->SleepFor(backoff->Next());
    }
  }
}

absl::StatusOr<std::unique_ptr<BulkWriter>> RetryingConnection::NewBulkWriter(
    const BulkWriterOptions& options) {
  RAFTKV_RETURN_IF_ERROR(StreamWriter::CheckOptions(options));
  const KnownMembers::List& list = members_.given();
  StreamEndpoints parts{
      .endpoints = {},
      .connect_timeout = options_.connect_timeout,
      .clock = clock_,
      .new_backoff = [this] { return NewBackoff(); },
      .preferred = [this, list] { return members_.Preferred(list); },
      .turn_away_from = [this, list](size_t place) { members_.TurnAwayFrom(list, place); },
      .prefer = [this, list](size_t place) { members_.Prefer(list, place); },
      .check_cluster =
          [this, list](size_t place, const v1::ResponseHeader& header) {
            return CheckCluster(CallKind::kRead, (*list)[place], header);
          },
      .request_id_prefix = RandomPrefix()};
  for (const Endpoint& endpoint : *list) {
    parts.endpoints.push_back({.address = endpoint.address, .stub = endpoint.stub});
  }
  return std::make_unique<StreamWriter>(options, std::move(parts));
}

absl::StatusOr<HealthResult> RetryingConnection::CheckHealth(absl::string_view endpoint,
                                                             const MemberOptions& options) {
  RAFTKV_ASSIGN_OR_RETURN(const Direct direct, ConnectTo(endpoint, options.timeout));
  MemberOptions linearizable = options;
  linearizable.consistency = Consistency::kLinearizable;
  const MonotonicNanos begin = clock_->Now();
  v1::ListMembersResponse response;
  RAFTKV_RETURN_IF_ERROR(direct.stub->Call(kListMembers.path, direct.timeout,
                                           MakeListMembersRequest(linearizable), &response));
  return HealthResult{.header = ToResult(response).header,
                      .took = absl::Nanoseconds(clock_->Now() - begin)};
}

template <typename Method>
auto RetryingConnection::Call(const Method& method, std::optional<absl::Duration> timeout,
                              const absl::StatusOr<typename Method::Request>& request)
    -> absl::StatusOr<decltype(ToResult(typename Method::Response()))> {
  RAFTKV_RETURN_IF_ERROR(request.status());
  typename Method::Response response;
  RAFTKV_RETURN_IF_ERROR(RunAttempts(
      method.kind, timeout.value_or(options_.request_timeout),
      [&](const Endpoint& endpoint, absl::Duration remaining) {
        const absl::Status called =
            endpoint.stub->Call(method.path, remaining, *request, &response);
        return called.ok() ? CheckCluster(method.kind, endpoint, response.header()) : called;
      }));
  return ToResult(response);
}

template <typename Method>
auto RetryingConnection::Write(Method method, std::optional<absl::Duration> timeout,
                               const std::string& request_id,
                               absl::StatusOr<typename Method::Request> request)
    -> absl::StatusOr<decltype(ToResult(typename Method::Response()))> {
  RAFTKV_RETURN_IF_ERROR(request.status());
  const std::string id = request_id.empty() ? NewRequestId() : request_id;
  if (id.empty()) {
    return Call(method, timeout, request);
  }
  const MonotonicNanos begin = clock_->Now();
  request->set_request_id(id);
  method.kind = CallKind::kMarkedWrite;
  auto result = Call(method, timeout, request);
  const std::string reason = ErrorReason(result.status());
  if (!request_id.empty() || (reason != "MEMBER_TOO_OLD" && reason != "UNKNOWN_FIELD")) {
    return result;
  }
  {
    MutexLock lock(&mutex_);
    no_ids_until_ = clock_->Now() + kWithoutIdsFor;
  }
  request->clear_request_id();
  method.kind = CallKind::kWrite;
  const absl::Duration left =
      timeout.value_or(options_.request_timeout) - absl::Nanoseconds(clock_->Now() - begin);
  return Call(method, std::max(left, absl::Nanoseconds(1)), request);
}

std::string RetryingConnection::NewRequestId() {
  if (!options_.exactly_once) {
    return "";
  }
  MutexLock lock(&mutex_);
  return clock_->Now() < no_ids_until_
             ? ""
             : absl::StrCat(request_id_prefix_, absl::Hex(++request_ids_));
}

absl::Status RetryingConnection::RunAttempts(CallKind kind, absl::Duration timeout,
                                             Attempt attempt) {
  if (timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("the timeout must be more than 0");
  }
  const MonotonicNanos deadline = DeadlineAfter(timeout);
  // Of one round.
  KnownMembers::List list = members_.list();
  size_t place = members_.Preferred(list);
  size_t left = list->size();
  int rounds = 1;
  Backoff backoff = NewBackoff();
  Failures failures;
  bool may_be_done = false;  // By a try before this one.
  absl::Duration asked_pause;
  while (UntilDeadline(deadline) > absl::ZeroDuration()) {
    const Endpoint& endpoint = (*list)[place];
    absl::Status status = TryOnce(kind, endpoint, list->size(), deadline, attempt);
    if (status.ok()) {
      members_.Prefer(list, place);
      return status;
    }
    // A member that let the time run out may be frozen: this call is over, but the next should not
    // meet it again.
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
        IsOfAnotherCluster(status)) {
      members_.TurnAwayFrom(list, place);
    }
    if (!IsSafeToRetry(kind, status)) {
      return AfterTries(may_be_done, failures.Explain(endpoint.address, status));
    }
    may_be_done = may_be_done || IsOutcomeUnknown(status);
    asked_pause = std::max(asked_pause, RetryDelay(status).value_or(absl::ZeroDuration()));
    failures.Add(endpoint.address, std::move(status));
    place = (place + 1) % list->size();
    if (--left > 0) {
      continue;
    }
    const absl::Duration pause = std::max(backoff.Next(), asked_pause);
    asked_pause = absl::ZeroDuration();
    if (rounds == options_.tries_per_endpoint_max || pause >= UntilDeadline(deadline)) {
      return AfterTries(may_be_done, failures.Summary());
    }
    clock_->SleepFor(pause);
    ++rounds;
    list = members_.list();
    place = members_.Preferred(list);
    left = list->size();
  }
  return AfterTries(may_be_done, failures.Summary());
}

absl::Status RetryingConnection::GetReady(const Endpoint& endpoint, absl::Duration timeout,
                                          bool may_ask) {
  const absl::Status connected = endpoint.stub->Connect(timeout);
  if (!connected.ok()) {
    members_.Forget(endpoint);
    return connected;
  }
  const bool has_to_show = !members_.IsTrusted(endpoint);
  const MonotonicNanos now = clock_->Now();
  if (!has_to_show && !(may_ask && members_.TakeAsking(now))) {
    return absl::OkStatus();
  }
  // Its own list will do: one that is out of date is asked for again.
  v1::ListMembersResponse response;
  const absl::Status asked =
      endpoint.stub->Call(kListMembers.path, std::min(timeout, KnownMembers::kAskTimeout),
                          MakeListMembersRequest({.consistency = Consistency::kStale}), &response);
  // One whose cluster is not founded yet answers for none.
  if (asked.ok() && response.header().cluster_id() != 0 &&
      CheckCluster(CallKind::kRead, endpoint, response.header()).ok()) {
    members_.Learn(endpoint, response, now);
    return absl::OkStatus();
  }
  if (!has_to_show) {
    return absl::OkStatus();
  }
  members_.Forget(endpoint);
  return WithReason(
      absl::UnavailableError("a member named it, but it does not answer for the cluster"),
      kReasonCannotConnect, kClientErrorDomain);
}

absl::Status RetryingConnection::TryOnce(CallKind kind, const Endpoint& endpoint, size_t endpoints,
                                         MonotonicNanos deadline, Attempt attempt) {
  // A share of the time only, so that one endpoint that swallows packets leaves some for the
  // others.
  const absl::Duration share = UntilDeadline(deadline) / static_cast<int64_t>(endpoints);
  // The first call of a client is not held up; who has made one may make more.
  RAFTKV_RETURN_IF_ERROR(GetReady(endpoint, std::min(options_.connect_timeout, share),
                                  /*may_ask=*/members_.has_answered()));
  absl::Status status = attempt(endpoint, UntilDeadline(deadline));
  if (!status.ok() && kind != CallKind::kRead && !IsCertainlyNotDone(status) &&
      !IsOutcomeUnknown(status)) {
    return MarkOutcomeUnknown(std::move(status));
  }
  return status;
}

absl::Status RetryingConnection::CheckCluster(CallKind kind, const Endpoint& endpoint,
                                              const v1::ResponseHeader& header) {
  const uint64_t cluster = header.cluster_id();
  MutexLock lock(&mutex_);
  // A member whose cluster is not founded yet answers for none.
  if (cluster == 0 || cluster == cluster_id_) {
    return absl::OkStatus();
  }
  if (cluster_id_ == 0) {
    cluster_id_ = cluster;
    cluster_endpoint_ = endpoint.address;
    return absl::OkStatus();
  }
  const absl::Status mismatch = absl::FailedPreconditionError(absl::StrCat(
      "endpoint ", endpoint.address, " is of cluster ", cluster, ", but endpoint ",
      cluster_endpoint_, " of cluster ", cluster_id_,
      ": name members of one cluster only; a member that was started with an empty directory may "
      "have founded a cluster of its own, stop that one"));
  if (kind != CallKind::kRead) {
    return WithReason(
        absl::Status(mismatch.code(),
                     absl::StrCat(mismatch.message(), "; the write was done in cluster ", cluster)),
        kReasonOutcomeUnknown, kClientErrorDomain);
  }
  return WithReason(mismatch, kReasonClusterMismatch, kClientErrorDomain);
}

absl::StatusOr<RetryingConnection::Direct> RetryingConnection::ConnectTo(
    absl::string_view endpoint, std::optional<absl::Duration> timeout) {
  const Scheme scheme = options_.tls.has_value() ? Scheme::kHttps : Scheme::kHttp;
  RAFTKV_ASSIGN_OR_RETURN(const std::string address, ParseEndpoint(endpoint, scheme));
  const KnownMembers::List list = members_.list();
  const auto known = std::find_if(list->begin(), list->end(),
                                  [&](const Endpoint& e) { return e.address == address; });
  std::shared_ptr<Stub> stub = known != list->end() ? known->stub : make_stub_(address);
  const MonotonicNanos deadline = DeadlineAfter(timeout.value_or(options_.request_timeout));
  // All of the time: there is no other endpoint to leave some for, but the name may have several
  // addresses to try.
  const absl::Status connected = stub->Connect(UntilDeadline(deadline));
  if (!connected.ok()) {
    Failures failures;
    failures.Add(address, connected);
    return failures.Summary();
  }
  return Direct{.stub = std::move(stub), .timeout = UntilDeadline(deadline)};
}

MonotonicNanos RetryingConnection::DeadlineAfter(absl::Duration timeout) const {
  return clock_->Now() + absl::ToInt64Nanoseconds(std::min(timeout, kTimeoutMax));
}

absl::Duration RetryingConnection::UntilDeadline(MonotonicNanos deadline) const {
  return std::max(absl::Nanoseconds(deadline - clock_->Now()), absl::ZeroDuration());
}

Backoff RetryingConnection::NewBackoff() {
  MutexLock lock(&mutex_);
  return Backoff(options_.backoff_initial, options_.backoff_max, Rng(rng_.Next()));
}

}  // namespace raftkv::client
