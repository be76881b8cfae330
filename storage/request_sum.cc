#include "storage/request_sum.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/state_hash.h"
#include "storage/key_layout.h"

namespace raftkv::storage {

bool RequestSum::Add(absl::string_view key, absl::string_view value) {
  if (const std::optional<uint64_t> number = DecodeRequestPlaceKey(key); number.has_value()) {
    const std::optional<kv::RequestPlace> place = DecodeRequestPlace(value);
    if (!place.has_value()) {
      return false;
    }
    ++places_.count;
    places_.numbers += *number;
    places_.keep_until += place->keep_until.value();
    places_.bytes += place->bytes;
    places_.rows_hash += place->row_hash;
    return true;
  }
  const std::optional<absl::string_view> id = DecodeRequestKey(key);
  const std::optional<kv::RememberedRequest> request = DecodeRequest(value);
  if (!id.has_value() || !request.has_value()) {
    return false;
  }
  ++requests_.count;
  requests_.numbers += request->number;
  requests_.keep_until += request->keep_until.value();
  requests_.bytes += id->size() + request->outcome.size();
  requests_.rows_hash += kv::RequestHash(*id, *request);
  return true;
}

absl::Status RequestSum::Check(const kv::AppliedState& applied) const {
  RAFTKV_RETURN_IF_ERROR(kv::CheckRequests(applied, requests_.count, requests_.rows_hash));
  if (places_ != requests_ || places_.bytes != applied.requests.bytes) {
    return absl::FailedPreconditionError(absl::StrCat("`requests` has ", places_.count,
                                                      " places, which are not those of its ",
                                                      requests_.count, " request ids"));
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
