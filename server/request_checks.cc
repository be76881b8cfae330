#include "server/request_checks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/limits.h"
#include "server/page_token.h"

namespace raftkv::server {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int32_t kNanosMax = 999'999'999;

std::string DurationText(const google::protobuf::Duration& duration) {
  if (duration.nanos() == 0) {
    return absl::StrCat(duration.seconds(), "s");
  }
  return absl::StrCat(duration.seconds(), "s and ", duration.nanos(), "ns");
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

std::optional<ApiError> CheckBoundKey(absl::string_view field, absl::string_view key) {
  if (key.size() <= kKeyBytesMax) {
    return std::nullopt;
  }
  ApiError error = BadRange(field, absl::StrCat(EchoKey(key), " has ", key.size(),
                                                " bytes; a key has at most ", kKeyBytesMax));
  error.metadata["size"] = absl::StrCat(key.size());
  error.metadata["limit"] = absl::StrCat(kKeyBytesMax);
  return error;
}

std::optional<ApiError> CheckValue(absl::string_view field, uint64_t size, uint64_t limit) {
  if (size > limit) {
    return ValueTooLarge(field, size, limit);
  }
  return std::nullopt;
}

std::optional<ApiError> AddGuard(const std::string& key, uint64_t value_bytes_max,
                                 v1::Precondition* precondition, log::v1::Txn* txn) {
  log::v1::Guard* guard = txn->add_guards();
  guard->set_key(key);
  switch (precondition->condition_case()) {
    case v1::Precondition::kExists:
      guard->set_exists(precondition->exists());
      return std::nullopt;
    case v1::Precondition::kModRevision:
      if (precondition->mod_revision() < 0) {
        return BadPrecondition(absl::StrCat("mod_revision is ", precondition->mod_revision(),
                                            "; must be 0 (an absent key's) or more"));
      }
      guard->set_mod_revision(precondition->mod_revision());
      return std::nullopt;
    case v1::Precondition::kVersion:
      if (precondition->version() < 0) {
        return BadPrecondition(absl::StrCat("version is ", precondition->version(),
                                            "; must be 0 (an absent key's) or more"));
      }
      guard->set_version(precondition->version());
      return std::nullopt;
    case v1::Precondition::kData:
      guard->set_value(std::move(*precondition->mutable_data()));
      return CheckValue("precondition.data", guard->value().size(), value_bytes_max);
    case v1::Precondition::kText:
      guard->set_value(std::move(*precondition->mutable_text()));
      return CheckValue("precondition.text", guard->value().size(), value_bytes_max);
    case v1::Precondition::CONDITION_NOT_SET:
      break;
  }
  return BadPrecondition(
      "is empty; set one of exists, mod_revision, version, data and text, or leave it out");
}

std::optional<ApiError> SetExpiry(const v1::PutRequest& request, log::v1::PutOperation* put) {
  switch (request.expiry_case()) {
    case v1::PutRequest::kTtl: {
      uint64_t ttl_ms = 0;
      if (auto error = CheckTtl(request.ttl(), &ttl_ms); error.has_value()) {
        return error;
      }
      put->set_ttl_ms(ttl_ms);
      return std::nullopt;
    }
    case v1::PutRequest::kKeepTtl:
      if (!request.keep_ttl()) {
        return BadTtl("keep_ttl", "is set to false",
                      "set it to true to keep the expiry, or leave it out");
      }
      put->set_keep_ttl(true);
      return std::nullopt;
    case v1::PutRequest::EXPIRY_NOT_SET:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> CheckKey(absl::string_view field, absl::string_view key) {
  if (key.empty() || key.size() > kKeyBytesMax) {
    return BadKey(field, key);
  }
  return std::nullopt;
}

std::optional<ApiError> CheckMinRevision(int64_t min_revision) {
  if (min_revision < 0) {
    return BadRevision("min_revision", min_revision);
  }
  return std::nullopt;
}

std::optional<ApiError> CheckTtl(const google::protobuf::Duration& ttl, uint64_t* ttl_ms) {
  const bool well_formed =
      ttl.nanos() >= -kNanosMax && ttl.nanos() <= kNanosMax &&
      (ttl.seconds() == 0 || ttl.nanos() == 0 || (ttl.seconds() > 0) == (ttl.nanos() > 0));
  const bool positive = ttl.seconds() > 0 || (ttl.seconds() == 0 && ttl.nanos() > 0);
  const bool bounded =
      ttl.seconds() < kTtlSecondsMax || (ttl.seconds() == kTtlSecondsMax && ttl.nanos() == 0);
  if (!well_formed || !positive || !bounded) {
    return BadTtl("ttl", absl::StrCat("is ", DurationText(ttl)),
                  absl::StrCat("must be more than 0 and at most ", kTtlSecondsMax, "s (10 years)"));
  }
  *ttl_ms = static_cast<uint64_t>(ttl.seconds()) * 1000 +
            static_cast<uint64_t>((ttl.nanos() + kNanosPerMilli - 1) / kNanosPerMilli);
  return std::nullopt;
}

std::optional<ApiError> CheckRange(bool has_range, const v1::KeyRange& range,
                                   storage::KeyInterval* interval) {
  if (!has_range) {
    return BadRange("range", "is not set; set key, prefix (\"\" is every key) or span");
  }
  switch (range.selector_case()) {
    case v1::KeyRange::kKey:
      *interval = {.start = range.key(), .end = KeyEnd(range.key())};
      return CheckKey("range.key", range.key());
    case v1::KeyRange::kPrefix:
      *interval = {.start = range.prefix(), .end = PrefixEnd(range.prefix())};
      return CheckBoundKey("range.prefix", range.prefix());
    case v1::KeyRange::kSpan: {
      const v1::Span& span = range.span();
      *interval = {.start = span.start_key(), .end = span.end_key()};
      if (auto error = CheckBoundKey("range.span.start_key", span.start_key()); error.has_value()) {
        return error;
      }
      if (auto error = CheckBoundKey("range.span.end_key", span.end_key()); error.has_value()) {
        return error;
      }
      if (!span.end_key().empty() && span.start_key() >= span.end_key()) {
        return BadRange(
            "range.span",
            absl::StrCat("end_key ", EchoKey(span.end_key()), " is not after start_key ",
                         EchoKey(span.start_key()), "; an empty end_key is open"));
      }
      return std::nullopt;
    }
    case v1::KeyRange::SELECTOR_NOT_SET:
      break;
  }
  return BadRange("range", "selects nothing; set key, prefix (\"\" is every key) or span");
}

std::optional<ApiError> CheckList(const v1::ListRequest& request, storage::ScanOptions* scan) {
  if (auto error = CheckRange(request.has_range(), request.range(), &scan->interval);
      error.has_value()) {
    return error;
  }
  if (auto error = CheckMinRevision(request.min_revision()); error.has_value()) {
    return error;
  }
  if (request.page_size() < 0) {
    return BadPageSize(request.page_size());
  }
  scan->keys_max = static_cast<uint64_t>(
      request.page_size() == 0 ? kPageSizeDefault : std::min(request.page_size(), kPageSizeMax));
  scan->bytes_max = kPageBytesMax;
  scan->keys_only = request.keys_only();
  scan->descending = request.descending();
  if (request.page_token().empty()) {
    return std::nullopt;
  }
  if (request.count_only()) {
    return BadPageToken("count_only counts the whole range; leave the token out");
  }
  const std::optional<std::string> last_key = ReadPageToken(request);
  if (!last_key.has_value()) {
    return BadPageToken(
        "is not one of this list; repeat the request that it came from, changing only page_size");
  }
  if (request.descending()) {
    scan->interval.end = *last_key;
  } else {
    scan->interval.start = KeyEnd(*last_key);
  }
  return std::nullopt;
}

std::optional<ApiError> MakeCommand(v1::PutRequest* request, uint64_t value_bytes_max,
                                    log::v1::Command* command) {
  if (auto error = CheckKey("key", request->key()); error.has_value()) {
    return error;
  }
  log::v1::Txn* txn = command->mutable_txn();
  log::v1::PutOperation* put = txn->add_operations()->mutable_put();
  switch (request->value_case()) {
    case v1::PutRequest::kData:
      put->set_value(std::move(*request->mutable_data()));
      break;
    case v1::PutRequest::kText:
      put->set_value(std::move(*request->mutable_text()));
      break;
    case v1::PutRequest::VALUE_NOT_SET:
      return NoValue();
  }
  const absl::string_view field = request->value_case() == v1::PutRequest::kData ? "data" : "text";
  if (auto error = CheckValue(field, put->value().size(), value_bytes_max); error.has_value()) {
    return error;
  }
  if (auto error = SetExpiry(*request, put); error.has_value()) {
    return error;
  }
  if (request->has_precondition()) {
    if (auto error =
            AddGuard(request->key(), value_bytes_max, request->mutable_precondition(), txn);
        error.has_value()) {
      return error;
    }
  }
  put->set_return_previous(request->return_previous());
  put->set_key(request->key());
  return std::nullopt;
}

std::optional<ApiError> MakeCommand(v1::DeleteRequest* request, uint64_t value_bytes_max,
                                    log::v1::Command* command) {
  if (auto error = CheckKey("key", request->key()); error.has_value()) {
    return error;
  }
  log::v1::Txn* txn = command->mutable_txn();
  if (request->has_precondition()) {
    if (auto error =
            AddGuard(request->key(), value_bytes_max, request->mutable_precondition(), txn);
        error.has_value()) {
      return error;
    }
  }
  log::v1::DeleteOperation* deletion = txn->add_operations()->mutable_delete_();
  deletion->set_start_key(request->key());
  deletion->set_end_key(KeyEnd(request->key()));
  deletion->set_return_previous(request->return_previous());
  return std::nullopt;
}

std::optional<ApiError> MakeCommand(const v1::DeleteRangeRequest& request, uint64_t keys_max,
                                    log::v1::Command* command) {
  storage::KeyInterval interval;
  if (auto error = CheckRange(request.has_range(), request.range(), &interval); error.has_value()) {
    return error;
  }
  if (request.limit() < 0) {
    return BadLimit(request.limit());
  }
  log::v1::DeleteOperation* deletion = command->mutable_txn()->add_operations()->mutable_delete_();
  deletion->set_start_key(std::move(interval.start));
  deletion->set_end_key(std::move(interval.end));
  deletion->set_limit(static_cast<uint64_t>(request.limit()));
  deletion->set_keys_max(keys_max);
  deletion->set_return_previous(request.return_previous());
  deletion->set_previous_bytes_max(request.return_previous() ? kPreviousBytesMax : 0);
  return std::nullopt;
}

}  // namespace raftkv::server
