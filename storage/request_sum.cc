#include "storage/request_sum.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/state_hash.h"
#include "storage/key_layout.h"

namespace raftkv::storage {

bool RequestSum::AddPlaces(uint64_t first, absl::string_view value, uint64_t first_kept) {
  const std::optional<std::vector<kv::RequestPlace>> places = DecodeRequestPlaces(value);
  // A row goes with its last place.
  if (!places.has_value() || first + places->size() <= first_kept) {
    return false;
  }
  for (size_t i = first < first_kept ? first_kept - first : 0; i < places->size(); ++i) {
    const kv::RequestPlace& place = (*places)[i];
    ++places_.count;
    places_.numbers += first + i;
    places_.keep_until += place.keep_until.value();
    places_.bytes += place.bytes;
    places_.rows_hash += place.row_hash;
  }
  return true;
}

bool RequestSum::Add(absl::string_view key, absl::string_view value,
                     const kv::AppliedState& applied) {
  if (const std::optional<uint64_t> first = DecodeRequestPlaceKey(key); first.has_value()) {
    return AddPlaces(*first, value, applied.requests.first);
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
