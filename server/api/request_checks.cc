#include "server/api/request_checks.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "kv/limits.h"
#include "kv/state_hash.h"
#include "server/api/page_token.h"

namespace raftkv::server {
namespace {

constexpr int32_t kNanosMax = 999'999'999;

// Whether it is well-formed, more than 0 and at most so many seconds.
bool IsPositiveUpTo(const google::protobuf::Duration& duration, int64_t seconds_max) {
  const int64_t seconds = duration.seconds();
  const int32_t nanos = duration.nanos();
  const bool well_formed = nanos >= -kNanosMax && nanos <= kNanosMax &&
                           (seconds == 0 || nanos == 0 || (seconds > 0) == (nanos > 0));
  const bool positive = seconds > 0 || (seconds == 0 && nanos > 0);
  const bool bounded = seconds < seconds_max || (seconds == seconds_max && nanos == 0);
  return well_formed && positive && bounded;
}

absl::StatusOr<MonotonicNanos> StalenessNanos(const google::protobuf::Duration& staleness) {
  if (!IsPositiveUpTo(staleness, kv::kStalenessSecondsMax)) {
    return kv::BadStalenessError(absl::StrCat("is ", DurationText(staleness),
                                              "; must be more than 0 and at most ",
                                              kv::kStalenessSecondsMax, "s (a day)"));
  }
  return staleness.seconds() * kNanosPerSecond + staleness.nanos();
}

// The first key after every key that starts with `prefix`; empty when there is none.
std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) {
    prefix.pop_back();
  }
  if (!prefix.empty()) {
    prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  }
  return prefix;
}

// Exactly one key.
std::string KeyEnd(absl::string_view key) { return absl::StrCat(key, absl::string_view("\0", 1)); }

absl::Status CheckBoundKey(absl::string_view field, absl::string_view key) {
  if (key.size() <= kv::kKeyBytesMax) {
    return absl::OkStatus();
  }
  return kv::BadBoundError(field, key);
}

absl::Status AddGuard(const std::string& key, uint64_t value_bytes_max,
                      v1::Precondition* precondition, log::v1::Txn* txn) {
  log::v1::Guard* guard = txn->add_guards();
  guard->set_key(key);
  switch (precondition->condition_case()) {
    case v1::Precondition::kExists:
      guard->set_exists(precondition->exists());
      return absl::OkStatus();
    case v1::Precondition::kModRevision:
      if (precondition->mod_revision() < 0) {
        return kv::BadPreconditionError(absl::StrCat("mod_revision is ",
                                                     precondition->mod_revision(),
                                                     "; must be 0 (an absent key's) or more"));
      }
      guard->set_mod_revision(precondition->mod_revision());
      return absl::OkStatus();
    case v1::Precondition::kVersion:
      if (precondition->version() < 0) {
        return kv::BadPreconditionError(absl::StrCat("version is ", precondition->version(),
                                                     "; must be 0 (an absent key's) or more"));
      }
      guard->set_version(precondition->version());
      return absl::OkStatus();
    case v1::Precondition::kData:
      guard->set_value(std::move(*precondition->mutable_data()));
      return CheckValue("precondition.data", guard->value().size(), value_bytes_max);
    case v1::Precondition::kText:
      guard->set_value(std::move(*precondition->mutable_text()));
      return CheckValue("precondition.text", guard->value().size(), value_bytes_max);
    case v1::Precondition::CONDITION_NOT_SET:
      break;
  }
  return kv::BadPreconditionError(
      "is empty; set one of exists, mod_revision, version, data and text, or leave it out");
}

absl::Status SetExpiry(const v1::PutRequest& request, log::v1::PutOperation* put) {
  switch (request.expiry_case()) {
    case v1::PutRequest::kTtl: {
      RAFTKV_ASSIGN_OR_RETURN(const uint64_t ttl_ms, TtlMillis(request.ttl()));
      put->set_ttl_ms(ttl_ms);
      return absl::OkStatus();
    }
    case v1::PutRequest::kKeepTtl:
      if (!request.keep_ttl()) {
        return kv::BadTtlError("keep_ttl", "is set to false",
                               "set it to true to keep the expiry, or leave it out");
      }
      put->set_keep_ttl(true);
      return absl::OkStatus();
    case v1::PutRequest::kLeaseId:
      put->set_lease_id(request.lease_id());
      return CheckLeaseId("lease_id", request.lease_id());
    case v1::PutRequest::EXPIRY_NOT_SET:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Of a Touch or an Increment.
template <typename Request, typename TimedOperation>
absl::Status SetNewExpiry(const Request& request, TimedOperation* operation) {
  if (request.has_ttl()) {
    RAFTKV_ASSIGN_OR_RETURN(const uint64_t ttl_ms, TtlMillis(request.ttl()));
    operation->set_ttl_ms(ttl_ms);
  } else if (request.has_persist()) {
    if (!request.persist()) {
      return kv::BadTtlError("persist", "is set to false",
                             "set it to true for a key that never expires, or leave it out");
    }
    operation->set_persist(true);
  } else if (request.has_lease_id()) {
    operation->set_lease_id(request.lease_id());
    return CheckLeaseId("lease_id", request.lease_id());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLeaseId(absl::string_view field, int64_t id) {
  return id > 0 ? absl::OkStatus() : kv::BadLeaseError(field, id, "must be 1 or more");
}

absl::StatusOr<uint64_t> LeaseTtlMillis(const google::protobuf::Duration& ttl) {
  RAFTKV_ASSIGN_OR_RETURN(const uint64_t ttl_ms, TtlMillis(ttl));
  if (ttl.seconds() < kv::kLeaseTtlSecondsMin) {
    return kv::BadTtlError(
        "ttl", absl::StrCat("is ", DurationText(ttl)),
        absl::StrCat("must be at least ", kv::kLeaseTtlSecondsMin, "s for a lease"));
  }
  return ttl_ms;
}

absl::Status CheckKey(absl::string_view field, absl::string_view key) {
  if (key.empty() || key.size() > kv::kKeyBytesMax) {
    return kv::BadKeyError(field, key);
  }
  return absl::OkStatus();
}

absl::Status CheckValue(absl::string_view field, uint64_t size, uint64_t limit) {
  if (size > limit) {
    return kv::ValueTooLargeError(field, size, limit);
  }
  return absl::OkStatus();
}

absl::Status CheckMinRevision(int64_t min_revision) {
  if (min_revision < 0) {
    return kv::BadRevisionError("min_revision", min_revision);
  }
  return absl::OkStatus();
}

template <typename Request>
absl::StatusOr<kv::ReadFreshness> ReadFreshnessOf(const Request& request,
                                                  MonotonicNanos answer_by) {
  kv::ReadFreshness freshness{.linearizable = request.consistency() != v1::CONSISTENCY_STALE,
                              .min_revision = request.min_revision(),
                              .at_revision = request.at_revision(),
                              .deadline = answer_by};
  RAFTKV_RETURN_IF_ERROR(CheckMinRevision(request.min_revision()));
  if (request.at_revision() < 0) {
    return kv::BadRevisionError("at_revision", request.at_revision());
  }
  if (request.at_revision() > 0 && request.min_revision() > 0) {
    return kv::TwoRevisionsError("min_revision");
  }
  if (!request.has_max_staleness()) {
    return freshness;
  }
  RAFTKV_ASSIGN_OR_RETURN(freshness.age_max, StalenessNanos(request.max_staleness()));
  if (request.at_revision() > 0) {
    return kv::BadStalenessError(
        "is set besides at_revision; a state in the past is as old as it "
        "is, set one of them");
  }
  if (request.consistency() == v1::CONSISTENCY_LINEARIZABLE) {
    return kv::BadStalenessError("is set besides CONSISTENCY_LINEARIZABLE; set one of them");
  }
  freshness.linearizable = false;
  return freshness;
}

template absl::StatusOr<kv::ReadFreshness> ReadFreshnessOf(const v1::GetRequest& request,
                                                           MonotonicNanos answer_by);
template absl::StatusOr<kv::ReadFreshness> ReadFreshnessOf(const v1::ListRequest& request,
                                                           MonotonicNanos answer_by);
template absl::StatusOr<kv::ReadFreshness> ReadFreshnessOf(const v1::ScanRequest& request,
                                                           MonotonicNanos answer_by);

absl::Status CheckIndex(uint64_t index) {
  // Beyond that no index can come, and the store counts them so.
  if (index > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return kv::BadIndexError(index);
  }
  return absl::OkStatus();
}

std::string DurationText(const google::protobuf::Duration& duration) {
  if (duration.nanos() == 0) {
    return absl::StrCat(duration.seconds(), "s");
  }
  return absl::StrCat(duration.seconds(), "s and ", duration.nanos(), "ns");
}

absl::StatusOr<uint64_t> TtlMillis(const google::protobuf::Duration& ttl) {
  if (!IsPositiveUpTo(ttl, kv::kTtlSecondsMax)) {
    return kv::BadTtlError(
        "ttl", absl::StrCat("is ", DurationText(ttl)),
        absl::StrCat("must be more than 0 and at most ", kv::kTtlSecondsMax, "s (10 years)"));
  }
  return static_cast<uint64_t>(ttl.seconds()) * 1000 +
         static_cast<uint64_t>((ttl.nanos() + kNanosPerMilli - 1) / kNanosPerMilli);
}

absl::StatusOr<kv::KeyInterval> SelectedInterval(bool has_range, const v1::KeyRange& range,
                                                 absl::string_view field) {
  if (!has_range) {
    return kv::BadRangeError(field, "is not set; set key, prefix (\"\" is every key) or span");
  }
  switch (range.selector_case()) {
    case v1::KeyRange::kKey:
      RAFTKV_RETURN_IF_ERROR(CheckKey(absl::StrCat(field, ".key"), range.key()));
      return kv::KeyInterval{.start = range.key(), .end = KeyEnd(range.key())};
    case v1::KeyRange::kPrefix:
      RAFTKV_RETURN_IF_ERROR(CheckBoundKey(absl::StrCat(field, ".prefix"), range.prefix()));
      return kv::KeyInterval{.start = range.prefix(), .end = PrefixEnd(range.prefix())};
    case v1::KeyRange::kSpan: {
      const v1::Span& span = range.span();
      RAFTKV_RETURN_IF_ERROR(
          CheckBoundKey(absl::StrCat(field, ".span.start_key"), span.start_key()));
      RAFTKV_RETURN_IF_ERROR(CheckBoundKey(absl::StrCat(field, ".span.end_key"), span.end_key()));
      if (!span.end_key().empty() && span.start_key() >= span.end_key()) {
        return kv::BadRangeError(
            absl::StrCat(field, ".span"),
            absl::StrCat("end_key ", kv::EchoKey(span.end_key()), " is not after start_key ",
                         kv::EchoKey(span.start_key()), "; an empty end_key is open"));
      }
      return kv::KeyInterval{.start = span.start_key(), .end = span.end_key()};
    }
    case v1::KeyRange::SELECTOR_NOT_SET:
      break;
  }
  return kv::BadRangeError(field, "selects nothing; set key, prefix (\"\" is every key) or span");
}

absl::StatusOr<kv::ScanOptions> ListedScan(const v1::ListRequest& request) {
  kv::ScanOptions scan;
  RAFTKV_ASSIGN_OR_RETURN(scan.interval, SelectedInterval(request.has_range(), request.range()));
  if (request.page_size() < 0) {
    return kv::BadPageSizeError(request.page_size());
  }
  scan.keys_max = static_cast<uint64_t>(request.page_size() == 0
                                            ? kv::kPageSizeDefault
                                            : std::min(request.page_size(), kv::kPageSizeMax));
  scan.bytes_max = kv::kPageBytesMax;
  scan.keys_only = request.keys_only();
  scan.descending = request.descending();
  if (request.page_token().empty()) {
    return scan;
  }
  if (request.count_only()) {
    return kv::BadPageTokenError("count_only counts the whole range; leave the token out");
  }
  const std::optional<std::string> last_key = ReadPageToken(request);
  if (!last_key.has_value()) {
    return kv::BadPageTokenError(
        "is not one of this list; repeat the request that it came from, changing only page_size");
  }
  if (request.descending()) {
    scan.interval.end = *last_key;
  } else {
    scan.interval.start = KeyEnd(*last_key);
  }
  return scan;
}

absl::StatusOr<log::v1::Command> MakeCommand(v1::PutRequest* request, uint64_t value_bytes_max) {
  log::v1::Command command;
  RAFTKV_RETURN_IF_ERROR(CheckKey("key", request->key()));
  log::v1::Txn* txn = command.mutable_txn();
  log::v1::PutOperation* put = txn->add_operations()->mutable_put();
  switch (request->value_case()) {
    case v1::PutRequest::kData:
      put->set_value(std::move(*request->mutable_data()));
      break;
    case v1::PutRequest::kText:
      put->set_value(std::move(*request->mutable_text()));
      break;
    case v1::PutRequest::VALUE_NOT_SET:
      return kv::NoValueError();
  }
  const absl::string_view field = request->value_case() == v1::PutRequest::kData ? "data" : "text";
  RAFTKV_RETURN_IF_ERROR(CheckValue(field, put->value().size(), value_bytes_max));
  RAFTKV_RETURN_IF_ERROR(SetExpiry(*request, put));
  if (request->has_precondition()) {
    RAFTKV_RETURN_IF_ERROR(
        AddGuard(request->key(), value_bytes_max, request->mutable_precondition(), txn));
  }
  put->set_return_previous(request->return_previous());
  put->set_key(request->key());
  return command;
}

absl::StatusOr<log::v1::Command> MakeCommand(v1::DeleteRequest* request, uint64_t value_bytes_max) {
  log::v1::Command command;
  RAFTKV_RETURN_IF_ERROR(CheckKey("key", request->key()));
  log::v1::Txn* txn = command.mutable_txn();
  if (request->has_precondition()) {
    RAFTKV_RETURN_IF_ERROR(
        AddGuard(request->key(), value_bytes_max, request->mutable_precondition(), txn));
  }
  log::v1::DeleteOperation* deletion = txn->add_operations()->mutable_delete_();
  deletion->set_start_key(request->key());
  deletion->set_end_key(KeyEnd(request->key()));
  deletion->set_return_previous(request->return_previous());
  return command;
}

absl::StatusOr<log::v1::Command> MakeCommand(const v1::DeleteRangeRequest& request,
                                             uint64_t keys_max) {
  log::v1::Command command;
  RAFTKV_ASSIGN_OR_RETURN(kv::KeyInterval interval,
                          SelectedInterval(request.has_range(), request.range()));
  if (request.limit() < 0) {
    return kv::BadLimitError(request.limit());
  }
  log::v1::DeleteOperation* deletion = command.mutable_txn()->add_operations()->mutable_delete_();
  deletion->set_start_key(std::move(interval.start));
  deletion->set_end_key(std::move(interval.end));
  deletion->set_limit(static_cast<uint64_t>(request.limit()));
  deletion->set_keys_max(keys_max);
  deletion->set_return_previous(request.return_previous());
  deletion->set_previous_bytes_max(request.return_previous() ? kv::kPreviousBytesMax : 0);
  return command;
}

absl::StatusOr<log::v1::Command> MakeCommand(v1::TouchRequest* request, uint64_t value_bytes_max) {
  log::v1::Command command;
  RAFTKV_RETURN_IF_ERROR(CheckKey("key", request->key()));
  if (request->expiry_case() == v1::TouchRequest::EXPIRY_NOT_SET) {
    return kv::BadTtlError("ttl", "is not set", "set ttl, persist or lease_id");
  }
  log::v1::Txn* txn = command.mutable_txn();
  if (request->has_precondition()) {
    RAFTKV_RETURN_IF_ERROR(
        AddGuard(request->key(), value_bytes_max, request->mutable_precondition(), txn));
  }
  log::v1::TouchOperation* touch = txn->add_operations()->mutable_touch();
  touch->set_key(request->key());
  RAFTKV_RETURN_IF_ERROR(SetNewExpiry(*request, touch));
  return command;
}

absl::StatusOr<log::v1::Command> MakeCommand(v1::IncrementRequest* request,
                                             uint64_t value_bytes_max) {
  log::v1::Command command;
  RAFTKV_RETURN_IF_ERROR(CheckKey("key", request->key()));
  log::v1::Txn* txn = command.mutable_txn();
  if (request->has_precondition()) {
    RAFTKV_RETURN_IF_ERROR(
        AddGuard(request->key(), value_bytes_max, request->mutable_precondition(), txn));
  }
  log::v1::IncrementOperation* increment = txn->add_operations()->mutable_increment();
  increment->set_key(request->key());
  increment->set_delta(request->has_delta() ? request->delta() : 1);
  increment->set_initial(request->initial());
  RAFTKV_RETURN_IF_ERROR(SetNewExpiry(*request, increment));
  return command;
}

absl::StatusOr<log::v1::RequestMark> MakeMark(const std::string& request_id,
                                              const google::protobuf::Message& request) {
  if (request_id.size() > kv::kRequestIdBytesMax) {
    return kv::BadRequestIdError(request_id.size());
  }
  log::v1::RequestMark mark;
  mark.set_id(request_id);
  std::string content = absl::StrCat(request.GetDescriptor()->full_name(), ":");
  request.AppendToString(&content);
  mark.set_content_hash(kv::ContentHash(content));
  mark.set_keep_ms(kv::kRequestKeepMs);
  mark.set_ids_max(kv::kRequestIdsMax);
  mark.set_bytes_max(kv::kRequestBytesMax);
  return mark;
}

}  // namespace raftkv::server
