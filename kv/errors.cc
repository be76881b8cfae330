#include "kv/errors.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kv/limits.h"

namespace raftkv::kv {
namespace {

constexpr char kDomain[] = "raftkv";
// As google.protobuf.Any writes it.
constexpr char kTypeUrlPrefix[] = "type.googleapis.com/";
// The pause that a client should make before it tries again.
constexpr int kRetryDelayMs = 250;
// The same where somebody must first make room on a disk.
constexpr int kFullDiskRetryDelayMs = 5'000;
constexpr char kUnread[] = "too many answers wait for clients that do not read them";

using Metadata = std::map<std::string, std::string>;

template <typename Detail>
void AddDetail(const Detail& detail, absl::Status* error) {
  error->SetPayload(absl::StrCat(kTypeUrlPrefix, Detail::descriptor()->full_name()),
                    absl::Cord(detail.SerializeAsString()));
}

template <typename Detail>
std::optional<Detail> FindDetail(const absl::Status& error) {
  const absl::optional<absl::Cord> bytes =
      error.GetPayload(absl::StrCat(kTypeUrlPrefix, Detail::descriptor()->full_name()));
  Detail detail;
  if (!bytes.has_value() || !detail.ParseFromString(std::string(*bytes))) {
    return std::nullopt;
  }
  return detail;
}

absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                       const Metadata& metadata = {}) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kDomain);
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[key] = value;
  }
  absl::Status error(code, message);
  AddDetail(info, &error);
  return error;
}

absl::Status InvalidArgument(absl::string_view reason, absl::string_view field,
                             absl::string_view message, Metadata metadata = {}) {
  metadata["field"] = std::string(field);
  return MakeError(absl::StatusCode::kInvalidArgument, reason, message, metadata);
}

// What is tried again later, after a pause, may succeed.
absl::Status Retryable(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                       const Metadata& metadata = {}, int delay_ms = kRetryDelayMs) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(delay_ms / 1'000);
  retry.mutable_retry_delay()->set_nanos(delay_ms % 1'000 * 1'000'000);
  absl::Status error = MakeError(code, reason, message, metadata);
  AddDetail(retry, &error);
  return error;
}

absl::Status Unavailable(absl::string_view reason, absl::string_view message) {
  return Retryable(absl::StatusCode::kUnavailable, reason, message);
}

absl::Status OverloadedBecause(absl::string_view message) {
  return Retryable(absl::StatusCode::kResourceExhausted, "OVERLOADED", message);
}

absl::Status OutcomeUnknownBecause(absl::string_view message) {
  return MakeError(absl::StatusCode::kUnknown, "OUTCOME_UNKNOWN", message);
}

// A key of a message, and where it stands.
std::string KeyAt(absl::string_view field, absl::string_view key) {
  return field.empty() ? EchoKey(key) : absl::StrCat(field, ": ", EchoKey(key));
}

}  // namespace

std::optional<google::rpc::ErrorInfo> FindErrorInfo(const absl::Status& error) {
  return FindDetail<google::rpc::ErrorInfo>(error);
}

std::optional<google::rpc::RetryInfo> FindRetryInfo(const absl::Status& error) {
  return FindDetail<google::rpc::RetryInfo>(error);
}

std::string EchoKey(absl::string_view key) {
  size_t size = std::min<size_t>(key.size(), kEchoedKeyBytesMax);
  // A UTF-8 continuation byte (10xxxxxx) just after the cut means that the cut is inside a
  // character.
  while (size > 0 && size < key.size() && (key[size] & 0xC0) == 0x80) {
    --size;
  }
  return absl::StrCat("\"", absl::Utf8SafeCEscape(key.substr(0, size)), "\"",
                      size < key.size() ? "..." : "");
}

absl::Status BadKeyError(absl::string_view field, absl::string_view key) {
  return InvalidArgument(
      "BAD_KEY", field,
      key.empty() ? absl::StrCat(field, ": is empty; a key has 1 to ", kKeyBytesMax, " bytes")
                  : absl::StrCat(field, ": ", EchoKey(key), " has ", key.size(),
                                 " bytes; a key has 1 to ", kKeyBytesMax),
      {{"size", absl::StrCat(key.size())}, {"limit", absl::StrCat(kKeyBytesMax)}});
}

absl::Status ValueTooLargeError(absl::string_view field, uint64_t size, uint64_t limit) {
  return InvalidArgument("VALUE_TOO_LARGE", field,
                         absl::StrCat(field, ": has ", size, " bytes; a value has at most ", limit,
                                      " (--value_bytes_max)"),
                         {{"size", absl::StrCat(size)}, {"limit", absl::StrCat(limit)}});
}

absl::Status NoValueError() {
  return InvalidArgument(
      "NO_VALUE", "value",
      "value: neither data nor text is set; to write an empty value, set one of them to empty");
}

absl::Status BadTtlError(absl::string_view field, absl::string_view value, absl::string_view rule) {
  return InvalidArgument("BAD_TTL", field, absl::StrCat(field, ": ", value, "; ", rule),
                         {{"limit", absl::StrCat(kTtlSecondsMax, "s")}});
}

absl::Status BadRangeError(absl::string_view field, absl::string_view problem) {
  return InvalidArgument("BAD_RANGE", field, absl::StrCat(field, ": ", problem));
}

absl::Status BadBoundError(absl::string_view field, absl::string_view key) {
  return InvalidArgument(
      "BAD_RANGE", field,
      absl::StrCat(field, ": ", EchoKey(key), " has ", key.size(), " bytes; a key has at most ",
                   kKeyBytesMax),
      {{"size", absl::StrCat(key.size())}, {"limit", absl::StrCat(kKeyBytesMax)}});
}

absl::Status RangeTooLargeError(const log::v1::CommandOutcome& outcome, uint64_t keys_max) {
  const bool bytes = outcome.exceeding_bytes();
  const uint64_t limit =
      outcome.limit() > 0 ? outcome.limit() : (bytes ? kPreviousBytesMax : keys_max);
  const std::map<std::string, std::string> metadata = {{"size", absl::StrCat(outcome.exceeding())},
                                                       {"limit", absl::StrCat(limit)}};
  if (!outcome.failed_at().empty()) {
    return InvalidArgument(
        "RANGE_TOO_LARGE", outcome.failed_at(),
        absl::StrCat(
            outcome.failed_at(),
            bytes ? ": with it, the answer has more than " : ": with it, ranges hold more than ",
            limit, bytes ? " bytes" : " keys", "; nothing of the transaction happened"),
        metadata);
  }
  return InvalidArgument(
      "RANGE_TOO_LARGE", "range",
      bytes ? absl::StrCat("range: the previous values are more than ", limit,
                           " bytes; nothing was deleted. Set limit to fewer keys and repeat while "
                           "the answer says more, or leave return_previous out")
            : absl::StrCat("range: holds more than ", limit,
                           " keys (--delete_range_keys_max); nothing was deleted. Set limit to "
                           "that or less, and repeat while the answer says more"),
      metadata);
}

absl::Status WithinField(absl::string_view path, const absl::Status& error) {
  absl::Status within(error.code(), absl::StrCat(path, ".", error.message()));
  if (std::optional<google::rpc::ErrorInfo> info = FindErrorInfo(error); info.has_value()) {
    std::string& field = (*info->mutable_metadata())["field"];
    field = absl::StrCat(path, ".", field);
    AddDetail(*info, &within);
  }
  return within;
}

absl::Status BadTxnError(absl::string_view field, absl::string_view problem) {
  return InvalidArgument("BAD_TXN", field, absl::StrCat(field, ": ", problem));
}

absl::Status BadGuardError(absl::string_view field, absl::string_view problem) {
  return InvalidArgument("BAD_GUARD", field, absl::StrCat(field, ": ", problem));
}

absl::Status TxnTooLargeError(absl::string_view of_what, uint64_t size, uint64_t limit) {
  return InvalidArgument("TXN_TOO_LARGE", of_what,
                         absl::StrCat(of_what, ": are ", size, "; a transaction has at most ",
                                      limit, ", those of transactions within it included"),
                         {{"size", absl::StrCat(size)}, {"limit", absl::StrCat(limit)}});
}

absl::Status BadBatchError(absl::string_view field, absl::string_view problem) {
  return InvalidArgument("BAD_BATCH", field, absl::StrCat(field, ": ", problem));
}

absl::Status BadStreamError(absl::string_view problem) {
  return InvalidArgument("BAD_STREAM", "id", absl::StrCat("id: ", problem));
}

absl::Status BadRequestIdError(uint64_t size) {
  return InvalidArgument(
      "BAD_REQUEST_ID", "request_id",
      absl::StrCat("request_id: has ", size, " bytes; an id has 1 to ", kRequestIdBytesMax),
      {{"size", absl::StrCat(size)}, {"limit", absl::StrCat(kRequestIdBytesMax)}});
}

absl::Status RequestIdReusedError() {
  return InvalidArgument("REQUEST_ID_REUSED", "request_id",
                         "request_id: is that of another write, which is remembered; nothing was "
                         "done. Each write needs an id of its own");
}

absl::Status BadPageSizeError(int64_t page_size) {
  return InvalidArgument(
      "BAD_PAGE_SIZE", "page_size",
      absl::StrCat("page_size: is ", page_size, "; must be 0 (meaning ", kPageSizeDefault, ") to ",
                   kPageSizeMax),
      {{"size", absl::StrCat(page_size)}, {"limit", absl::StrCat(kPageSizeMax)}});
}

absl::Status BadLimitError(int64_t limit) {
  return InvalidArgument("BAD_LIMIT", "limit",
                         absl::StrCat("limit: is ", limit, "; must be 0 (all keys) or more"),
                         {{"size", absl::StrCat(limit)}, {"limit", "0"}});
}

absl::Status BadRevisionError(absl::string_view field, int64_t revision) {
  return InvalidArgument("BAD_REVISION", field,
                         absl::StrCat(field, ": is ", revision, "; must be 0 or more"));
}

absl::Status TwoStartsError(int64_t start_revision) {
  return InvalidArgument("BAD_REVISION", "start_revision",
                         absl::StrCat("start_revision: is ", start_revision,
                                      ", but with initial_state the member chooses it"));
}

absl::Status TwoRevisionsError(absl::string_view besides) {
  return InvalidArgument("BAD_REVISION", "at_revision",
                         absl::StrCat("at_revision: is set besides ", besides,
                                      "; a state in the past is as old as it is, set one of them"));
}

absl::Status BadStalenessError(absl::string_view problem) {
  return InvalidArgument("BAD_STALENESS", "max_staleness", absl::StrCat("max_staleness: ", problem),
                         {{"limit", absl::StrCat(kStalenessSecondsMax, "s")}});
}

absl::Status BadEventTypeError() {
  return InvalidArgument("BAD_EVENT_TYPE", "event_types",
                         "event_types: EVENT_TYPE_UNSPECIFIED is no type; name none for all");
}

absl::Status BadHeartbeatError(absl::string_view interval) {
  return InvalidArgument(
      "BAD_HEARTBEAT", "heartbeat_interval",
      absl::StrCat("heartbeat_interval: is ", interval, "; must be 100ms to 3600s, or unset"));
}

absl::Status BadIndexError(uint64_t index) {
  return InvalidArgument("BAD_INDEX", "index",
                         absl::StrCat("index: is ", index, "; must be 0 (the newest) to ",
                                      std::numeric_limits<int64_t>::max()));
}

absl::Status BadPageTokenError(absl::string_view problem) {
  return InvalidArgument("BAD_PAGE_TOKEN", "page_token", absl::StrCat("page_token: ", problem));
}

absl::Status BadPreconditionError(absl::string_view problem) {
  return InvalidArgument("BAD_PRECONDITION", "precondition",
                         absl::StrCat("precondition: ", problem));
}

absl::Status MalformedError(absl::string_view message_type) {
  return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED",
                   absl::StrCat("the request is not a ", message_type,
                                "; are all of its strings (keys, text) UTF-8?"));
}

absl::Status MalformedTextError(absl::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED", problem);
}

absl::Status UnknownFieldError(absl::string_view field) {
  return MakeError(absl::StatusCode::kUnimplemented, "UNKNOWN_FIELD",
                   absl::StrCat(field, ": this server's version does not know it"),
                   {{"field", std::string(field)}});
}

absl::Status ClusterTooOldError(uint32_t needed_version, uint32_t cluster_version) {
  return MakeError(absl::StatusCode::kUnimplemented, "MEMBER_TOO_OLD",
                   absl::StrCat("this needs every member to know the commands of version ",
                                needed_version, ", and the cluster is at version ", cluster_version,
                                " until the oldest member is upgraded; nothing was written"));
}

absl::Status MemberNotFoundError(absl::string_view field, absl::string_view wanted) {
  return MakeError(absl::StatusCode::kNotFound, "MEMBER_NOT_FOUND",
                   absl::StrCat("no member has ", field, " ", EchoKey(wanted)),
                   {{"field", std::string(field)}});
}

absl::Status NotCaughtUpError(absl::string_view problem) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_CAUGHT_UP", problem);
}

absl::Status MembershipChangePendingError(absl::string_view now) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "MEMBERSHIP_CHANGE_PENDING",
                   absl::StrCat("another change of members is not committed yet: ", now,
                                "; try again when it is"));
}

absl::Status WouldLoseQuorumError(absl::string_view problem) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "WOULD_LOSE_QUORUM", problem);
}

absl::Status MemberUnreachableError(absl::string_view peer_address, absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "MEMBER_UNREACHABLE",
      absl::StrCat("peer_address: nobody answers at ", EchoKey(peer_address), " (", problem,
                   "): start the new member with --wait_for_invite or --join first"),
      {{"field", "peer_address"}});
}

absl::Status UnfitMemberError(absl::string_view problem) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "MEMBER_UNFIT", problem);
}

absl::Status MemberExistsError(absl::string_view field, absl::string_view value, uint64_t id,
                               absl::string_view address, absl::string_view why) {
  return MakeError(absl::StatusCode::kAlreadyExists, "MEMBER_EXISTS",
                   absl::StrCat(field, ": ", EchoKey(value), " is that of member ", id, " at ",
                                address, ", which has other data", why.empty() ? "" : ", ", why),
                   {{"field", std::string(field)}});
}

absl::Status TooManyMembersError(uint64_t limit) {
  return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_MEMBERS",
                   absl::StrCat("the cluster has ", limit, " members, the limit: remove one first"),
                   {{"limit", absl::StrCat(limit)}});
}

absl::Status BadNameError(absl::string_view field, absl::string_view name) {
  return InvalidArgument(
      "BAD_NAME", field,
      absl::StrCat(field, ": is ", EchoKey(name), "; must be 1 to 64 of A-Z a-z 0-9 . _ -"));
}

absl::Status BadAddressError(absl::string_view field, absl::string_view address,
                             absl::string_view problem) {
  return InvalidArgument("BAD_ADDRESS", field,
                         absl::StrCat(field, ": is ", EchoKey(address), "; ", problem));
}

absl::Status ChangeUnknownError() {
  return Unavailable("OUTCOME_UNKNOWN",
                     "the change of members was proposed, and its outcome did not become known in "
                     "time: it may have happened, or may yet; it is safe to ask for it again");
}

absl::Status NoLeaderError() {
  return Unavailable("NO_LEADER",
                     "no leader: a majority of the members may be down or cut off; nothing was "
                     "proposed, try again");
}

absl::Status ShuttingDownError() {
  return Unavailable("SHUTTING_DOWN",
                     "this member is stopping; nothing was proposed, try another member");
}

absl::Status TooStaleError(int64_t min_revision, int64_t revision) {
  return Unavailable("TOO_STALE", absl::StrCat("this member has applied revision ", revision,
                                               ", not yet min_revision ", min_revision));
}

absl::Status BehindError() {
  return Unavailable(
      "TOO_STALE",
      "this member lags behind: it has not applied in time what was committed before "
      "the read; ask another member, or try again later");
}

absl::Status TooOldError(std::optional<MonotonicNanos> age, MonotonicNanos age_max) {
  return Unavailable(
      "TOO_STALE",
      absl::StrCat(age.has_value()
                       ? absl::StrCat("this member's state is ", *age / kNanosPerMilli, " ms old")
                       : "this member has not heard from a leader since it started",
                   ", max_staleness is ", age_max / kNanosPerMilli,
                   " ms, and there is no leader to ask"));
}

absl::Status OutcomeUnknownError(bool with_request_id) {
  constexpr absl::string_view kProposed =
      "the write was proposed and its outcome did not become known in time: it may "
      "have happened, or may yet; ";
  return with_request_id
             ? Unavailable("OUTCOME_UNKNOWN",
                           absl::StrCat(kProposed, "try again with the same request_id"))
             : OutcomeUnknownBecause(absl::StrCat(kProposed, "read before writing again"));
}

absl::Status UnreadOutcomeError() {
  return OutcomeUnknownBecause(
      absl::StrCat("the write was done, but its answer was dropped: ", kUnread));
}

absl::Status UnreadMarkedOutcomeError() {
  return Unavailable("OUTCOME_UNKNOWN",
                     absl::StrCat("the write was done, but its answer was dropped: ", kUnread,
                                  "; try again with the same request_id"));
}

absl::Status OverloadedError() {
  return OverloadedBecause("too many requests are waiting; nothing was proposed, try again later");
}

absl::Status RequestsFullError(uint64_t ids) {
  return OverloadedBecause(
      absl::StrCat("the ids of ", ids,
                   " writes are remembered, and none of them is old enough to "
                   "be forgotten; nothing was done, try again later, or without a request_id"));
}

absl::Status DiskFullError(const std::vector<std::string>& members,
                           const std::vector<std::string>& names) {
  const bool one = members.size() == 1;
  return Retryable(
      absl::StatusCode::kResourceExhausted, "DISK_FULL",
      absl::StrCat(
          one ? "the disk of member " : "the disks of members ", absl::StrJoin(members, ", "),
          one ? " is" : " are",
          " nearly full (--disk_reserve_bytes), so nothing was proposed: deletes, reads and "
          "expiry go on; free space there, or delete keys"),
      {{"member", absl::StrJoin(names, ",")}}, kFullDiskRetryDelayMs);
}

absl::Status UnfinishedError() {
  return OverloadedBecause(
      "the request did not arrive as a whole in the time that there was for it; nothing was "
      "proposed, try again later");
}

absl::Status BusyWithBackupsError(size_t backups_max) {
  return OverloadedBecause(absl::StrCat("this member sends ", backups_max,
                                        " backups already, which is the limit; ask another "
                                        "member, or try again later"));
}

absl::Status UnreadError() {
  return OverloadedBecause(absl::StrCat("the answer was dropped: ", kUnread, "; try again later"));
}

absl::Status TooSlowError() {
  return absl::DeadlineExceededError(
      "reading took longer than the call's deadline, or --request_timeout_ms without one");
}

absl::Status NotAppliedError(uint64_t index, uint64_t applied) {
  return absl::DeadlineExceededError(
      absl::StrCat("this member has applied up to index ", applied, ", not yet index ", index));
}

absl::Status IndexTooOldError(uint64_t index, uint64_t oldest) {
  return MakeError(absl::StatusCode::kOutOfRange, "INDEX_TOO_OLD",
                   absl::StrCat("this member does not know any more what its state was at index ",
                                index, ", only from index ", oldest, " on"),
                   {{"oldest", absl::StrCat(oldest)}});
}

absl::Status NotAnIntegerError(absl::string_view field, absl::string_view key) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_AN_INTEGER",
                   absl::StrCat(KeyAt(field, key), " holds no number in decimal text from ",
                                std::numeric_limits<int64_t>::min(), " to ",
                                std::numeric_limits<int64_t>::max(), "; nothing was done"),
                   {{"field", field.empty() ? "key" : std::string(field)}});
}

absl::Status IntegerOverflowError(absl::string_view field, absl::string_view key) {
  return MakeError(absl::StatusCode::kOutOfRange, "INTEGER_OVERFLOW",
                   absl::StrCat("the sum for ", KeyAt(field, key), " is not from ",
                                std::numeric_limits<int64_t>::min(), " to ",
                                std::numeric_limits<int64_t>::max(), "; nothing was done"),
                   {{"field", field.empty() ? "key" : std::string(field)}});
}

absl::Status RevisionCompactedError(int64_t revision, int64_t compacted) {
  return MakeError(
      absl::StatusCode::kOutOfRange, "REVISION_COMPACTED",
      absl::StrCat("revision ", revision, " is asked for, and the history up to revision ",
                   compacted, " is compacted"),
      {{"compact_revision", absl::StrCat(compacted)}});
}

absl::Status RevisionFutureError(int64_t revision, int64_t current) {
  return MakeError(absl::StatusCode::kOutOfRange, "REVISION_FUTURE",
                   absl::StrCat("revision ", revision,
                                " is asked for, and the store has come to revision ", current),
                   {{"revision", absl::StrCat(current)}});
}

absl::Status StateCompactedError(int64_t revision, int64_t readable) {
  return MakeError(absl::StatusCode::kOutOfRange, "REVISION_COMPACTED",
                   absl::StrCat("revision ", revision, " is asked for, and states before revision ",
                                readable, " are compacted"),
                   {{"compact_revision", absl::StrCat(readable)}});
}

absl::Status TooManyScansError(uint64_t limit) {
  return OverloadedBecause(absl::StrCat("this member sends ", limit,
                                        " scans already, which is the limit; ask another member, "
                                        "or try again later"));
}

absl::Status LeaseNotFoundError(int64_t id, absl::string_view field) {
  return MakeError(absl::StatusCode::kNotFound, "LEASE_NOT_FOUND",
                   absl::StrCat(field, field.empty() ? "" : ": ", "there is no lease ", id,
                                ": it was never granted, it was revoked, or it has expired"),
                   {{"lease_id", absl::StrCat(id)}});
}

absl::Status LeaseExistsError(int64_t id) {
  return MakeError(
      absl::StatusCode::kAlreadyExists, "LEASE_EXISTS",
      absl::StrCat("lease ", id, " exists: leave the id out to have the store choose a free one"),
      {{"field", "id"}, {"lease_id", absl::StrCat(id)}});
}

absl::Status BadLeaseError(absl::string_view field, int64_t id, absl::string_view rule) {
  return InvalidArgument("BAD_LEASE", field, absl::StrCat(field, ": is ", id, "; ", rule));
}

absl::Status TooManyLeasesError(uint64_t limit) {
  return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_LEASES",
                   absl::StrCat("there are ", limit,
                                " leases, the limit: revoke some, or hang more keys on each"),
                   {{"limit", absl::StrCat(limit)}});
}

absl::Status LeaseFullError(int64_t id, uint64_t limit, absl::string_view field) {
  return MakeError(absl::StatusCode::kResourceExhausted, "LEASE_FULL",
                   absl::StrCat(field, field.empty() ? "" : ": ", "lease ", id, " has ", limit,
                                " keys, the limit, so that all can go at once: grant another"),
                   {{"lease_id", absl::StrCat(id)}, {"limit", absl::StrCat(limit)}});
}

absl::Status TooManyWatchesError(uint64_t limit) {
  return OverloadedBecause(
      absl::StrCat("this member has ", limit,
                   " watches already, and room for no more; ask another member, or try again "
                   "later"));
}

absl::Status TooManyStreamsError(uint64_t limit) {
  return OverloadedBecause(absl::StrCat(
      "this member has ", limit, " streams of operations already, which is the most it takes"));
}

absl::Status PreconditionFailedError(absl::string_view key, int64_t current_mod_revision) {
  return MakeError(absl::StatusCode::kAborted, "PRECONDITION_FAILED",
                   absl::StrCat("the precondition on ", EchoKey(key), " does not hold: ",
                                current_mod_revision == 0
                                    ? "the key does not exist"
                                    : absl::StrCat("its mod_revision is ", current_mod_revision)),
                   {{"mod_revision", absl::StrCat(current_mod_revision)}});
}

absl::Status CorruptedError(absl::string_view problem) {
  return MakeError(absl::StatusCode::kDataLoss, "CORRUPTED",
                   absl::StrCat("this member's data is damaged: ", problem));
}

}  // namespace raftkv::kv
