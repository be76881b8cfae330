#include "storage/rocksdb_history.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

constexpr char kHistoryName[] = "`history`";
constexpr char kBadEvent[] = "an event makes no sense";
// Between two looks at whether a read was given up.
constexpr uint64_t kEventsPerLook = 64;

}  // namespace

absl::Status RocksDbHistory::CheckThere(int64_t revision) const {
  const int64_t removed = generation_->history_removed;
  return revision > removed
             ? absl::OkStatus()
             : absl::OutOfRangeError(absl::StrCat("events up to revision ", removed, " are gone"));
}

absl::StatusOr<std::optional<kv::HistoryEvent>> RocksDbHistory::Find(int64_t revision,
                                                                     absl::string_view key) const {
  const std::string row_key = EncodeHistoryKey(revision, key);
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      generation_->db->Get(rocksdb::ReadOptions(), generation_->history, row_key, &value);
  if (status.IsNotFound()) {
    RAFTKV_RETURN_IF_ERROR(CheckThere(revision));
    return std::optional<kv::HistoryEvent>();
  }
  if (!status.ok()) {
    return ReadFailure(kHistoryName, status);
  }
  std::optional<kv::HistoryEvent> event = DecodeEvent(row_key, ToView(value));
  if (!event.has_value()) {
    return BadBytes(kHistoryName, kBadEvent);
  }
  return event;
}

absl::Status RocksDbHistory::AddPrevious(kv::HistoryEvent* event) const {
  if (event->previous.has_value() || event->previous_mod_revision == 0) {
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<kv::HistoryEvent>> made =
      Find(event->previous_mod_revision, event->key);
  if (absl::IsOutOfRange(made.status())) {
    return absl::OkStatus();
  }
  RAFTKV_RETURN_IF_ERROR(made.status());
  // None: it was too large to be kept.
  if (made->has_value() && (**made).type == kv::HistoryEventType::kPut) {
    event->previous = std::move((**made).record);
  }
  return absl::OkStatus();
}

absl::StatusOr<kv::HistoryPage> RocksDbHistory::Read(const kv::HistoryQuery& query) const {
  kv::HistoryPage page;
  page.next = query.from;
  const std::string end = EncodeHistoryKey(query.through + 1, "");
  const rocksdb::Slice upper_bound = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_bound;
  options.fill_cache = false;  // What clients read stays; the newest events are in memory anyway.
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(options, generation_->history));
  RAFTKV_RETURN_IF_ERROR(CheckThere(query.from.revision));
  uint64_t visited = 0;
  uint64_t bytes = 0;
  for (iterator->Seek(EncodeHistoryKey(query.from.revision, query.from.key)); iterator->Valid();
       iterator->Next()) {
    if (query.given_up != nullptr && visited % kEventsPerLook == 0 && query.given_up()) {
      return absl::CancelledError("the read was given up");
    }
    std::optional<kv::HistoryEvent> event =
        DecodeEvent(ToView(iterator->key()), ToView(iterator->value()));
    if (!event.has_value()) {
      return BadBytes(kHistoryName, kBadEvent);
    }
    const bool is_wanted =
        std::any_of(query.intervals.begin(), query.intervals.end(),
                    [&](const kv::KeyInterval& interval) { return interval.Holds(event->key); });
    if (is_wanted && query.with_previous) {
      RAFTKV_RETURN_IF_ERROR(AddPrevious(&*event));
    }
    const uint64_t size = is_wanted ? kv::BytesOf(*event) : 0;
    if (visited >= query.visited_max || page.events.size() >= query.events_max ||
        (bytes + size > query.bytes_max && !page.events.empty())) {
      page.next = {.revision = event->revision, .key = event->key};
      return page;
    }
    ++visited;
    bytes += size;
    if (is_wanted) {
      page.events.push_back(*std::move(event));
    }
  }
  if (!iterator->status().ok()) {
    return ReadFailure(kHistoryName, iterator->status());
  }
  page.next = {.revision = std::max(query.through + 1, query.from.revision), .key = ""};
  return page;
}

}  // namespace raftkv::storage
