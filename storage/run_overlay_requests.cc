// The request ids of a RunOverlay.
#include <memory>
#include <optional>
#include <utility>

#include "glog/logging.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/run_overlay.h"

namespace raftkv::storage {
namespace {

constexpr char kRequestsName[] = "a row of `requests`";
// Of an entry with more new ids the places take several rows, so that none is long to read.
constexpr uint64_t kPlacesOfRowMax = 256;

}  // namespace

std::optional<absl::string_view> RunOverlay::ReadRequestRow(const std::string& key) {
  pinned_.Reset();
  const rocksdb::Status status =
      generation_->db->Get(OwnReadOptions(), generation_->requests, key, &pinned_);
  if (status.IsIncomplete()) {
    return std::nullopt;
  }
  if (!status.ok() && !status.IsNotFound()) {
    ExitOnCorruption(kRequestsName, status.ToString());
  }
  return status.ok() ? ToView(pinned_) : absl::string_view();
}

std::optional<const kv::RememberedRequest*> RunOverlay::FindRequest(absl::string_view id) {
  if (const auto changed = request_by_id_.find(id); changed != request_by_id_.end()) {
    return changed->second == nullptr ? nullptr : &changed->second->request;
  }
  const std::optional<absl::string_view> row = ReadRequestRow(EncodeRequestKey(id));
  if (!row.has_value()) {
    return std::nullopt;
  }
  if (row->empty()) {
    return nullptr;
  }
  std::optional<kv::RememberedRequest> request = DecodeRequest(*row);
  if (!request.has_value()) {
    ExitOnCorruption(kRequestsName, "its bytes make no sense");
  }
  read_request_ = *std::move(request);
  return &read_request_;
}

void RunOverlay::TakePlaces(uint64_t first, absl::string_view row) {
  std::optional<std::vector<kv::RequestPlace>> places = DecodeRequestPlaces(row);
  if (!places.has_value()) {
    ExitOnCorruption(kRequestsName, "its bytes make no sense");
  }
  places_ = std::make_shared<const RequestPlaces>(
      RequestPlaces{.first = first, .places = *std::move(places)});
}

bool RunOverlay::ReadPlaces(uint64_t number) {
  const std::string key = EncodeRequestPlaceKey(number);
  const std::optional<absl::string_view> row = ReadRequestRow(key);
  if (!row.has_value()) {
    return false;
  }
  if (!row->empty()) {
    TakePlaces(number, *row);
    return true;
  }
  // Some of its row were forgotten when this was not there to remember the row.
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(OwnReadOptions(), generation_->requests));
  iterator->SeekForPrev(key);
  if (iterator->Valid()) {
    if (const auto first = DecodeRequestPlaceKey(ToView(iterator->key())); first.has_value()) {
      TakePlaces(*first, ToView(iterator->value()));
      return true;
    }
  }
  if (iterator->status().IsIncomplete()) {
    return false;
  }
  ExitOnCorruption(kRequestsName,
                   iterator->status().ok() ? "it is missing" : iterator->status().ToString());
}

std::optional<const kv::RequestPlace*> RunOverlay::FindRequestPlace(uint64_t number) {
  if (!added_requests_.empty() && number >= added_requests_.front().request.number) {
    return &added_requests_[number - added_requests_.front().request.number].place;
  }
  if ((places_ == nullptr || !places_->Have(number)) && !ReadPlaces(number)) {
    return std::nullopt;
  }
  if (!places_->Have(number)) {
    ExitOnCorruption(kRequestsName, "it ends before the next one begins");
  }
  return &places_->places[number - places_->first];
}

void RunOverlay::SetRequest(absl::string_view id, const AddedRequest* added) {
  const auto [row, is_new] = request_by_id_.try_emplace(id, nullptr);
  request_undo_.push_back({.added = added != nullptr,
                           .id = id,
                           .before = is_new ? std::nullopt : std::optional(row->second)});
  row->second = added;
  staged_bytes_ += 2 * id.size() + kChangeOverheadBytes;
}

void RunOverlay::PutRequest(kv::RequestPlace place, kv::RememberedRequest request) {
  staged_bytes_ += request.outcome.size();
  AddedRequest& added = added_requests_.emplace_back(
      AddedRequest{.place = std::move(place), .request = std::move(request)});
  CHECK_EQ(added.request.number,
           added_requests_.front().request.number + added_requests_.size() - 1);
  SetRequest(added.place.id, &added);
}

void RunOverlay::DropRequest(uint64_t number, const kv::RequestPlace& place) {
  DroppedRequest& dropped = dropped_requests_.emplace_back(
      DroppedRequest{.number = number, .id = place.id, .row = std::nullopt});
  if (places_ != nullptr && number == places_->last()) {
    dropped.row = places_->first;
  }
  SetRequest(dropped.id, nullptr);
}

void RunOverlay::EndEntry() {
  if (!added_requests_.empty()) {
    added_requests_.back().ends_entry = true;
  }
}

void RunOverlay::RollBackRequests(size_t mark) {
  for (; request_undo_.size() > mark; request_undo_.pop_back()) {
    const RequestUndo& undo = request_undo_.back();
    // Whoever was first to change an id holds its bytes, and is the last to be undone.
    if (undo.before.has_value()) {
      request_by_id_[undo.id] = *undo.before;
    } else {
      request_by_id_.erase(undo.id);
    }
    undo.added ? added_requests_.pop_back() : dropped_requests_.pop_back();
  }
}

void RunOverlay::WriteRequestsTo(rocksdb::WriteBatch* batch) const {
  const auto check = [](const rocksdb::Status& status) {
    CHECK(status.ok()) << "cannot build a write batch: " << status.ToString();
  };
  for (const DroppedRequest& dropped : dropped_requests_) {
    if (dropped.row.has_value()) {
      check(batch->Delete(generation_->requests, EncodeRequestPlaceKey(*dropped.row)));
    }
    check(batch->Delete(generation_->requests, EncodeRequestKey(dropped.id)));
  }
  // An id may have been dropped, and come again, within the run.
  const uint64_t kept_from = dropped_requests_.empty() ? 0 : dropped_requests_.back().number + 1;
  uint64_t first = 0;
  uint64_t next = 0;
  std::string places;
  for (const AddedRequest& added : added_requests_) {
    if (places.empty()) {
      first = added.request.number;
    }
    next = added.request.number + 1;
    AppendRequestPlace(added.place, &places);
    if (added.ends_entry || next - first == kPlacesOfRowMax) {
      if (next > kept_from) {
        check(batch->Put(generation_->requests, EncodeRequestPlaceKey(first), places));
      }
      places.clear();
    }
    if (next > kept_from) {
      check(batch->Put(generation_->requests, EncodeRequestKey(added.place.id),
                       EncodeRequest(added.request)));
    }
  }
  CHECK(places.empty()) << "an entry did not end";
}

}  // namespace raftkv::storage
