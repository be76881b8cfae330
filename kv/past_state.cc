#include "kv/past_state.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/limits.h"
#include "kv/stored_record.h"

namespace raftkv::kv {

using log::v1::StoredKeyValue;

namespace {

// What a change takes besides its key, roughly.
constexpr uint64_t kChangeOverheadBytes = 64;
// Steps back from one event on a key to the one before, before the history is read forwards.
constexpr int kStepsBackMax = 32;
// Events that one read of the history looks at, and finds, and their bytes.
constexpr uint64_t kEventsVisitedMax = 100'000;
constexpr uint64_t kEventsMax = 4096;
constexpr uint64_t kEventsBytesMax = 1 * kMiB;
// Keys between two looks at whether the read was given up.
constexpr uint64_t kStepsPerLook = 64;
// Keys of a page of a count.
constexpr uint64_t kCountedAtOnce = 10'000;

absl::Status MissingEvent(int64_t revision) {
  return absl::DataLossError(
      absl::StrCat("the history lacks what revision ", revision, " did to a key"));
}

// The first key after `key`.
std::string Following(absl::string_view key) {
  return absl::StrCat(key, absl::string_view("\0", 1));
}

bool EndsBefore(const std::string& end, const std::string& other_end) {
  return !end.empty() && (other_end.empty() || end < other_end);
}

}  // namespace

// A page on its way.
class PastPage {
 public:
  explicit PastPage(const ScanOptions& options) : options_(options) {}

  // False: there is no room for it, and the page ends before it.
  bool Add(StoredKeyValue row) {
    if (options_.keys_only) {
      row.clear_value();
    }
    bytes_ += row.key().size() + row.value().size();
    if (result_.rows.size() == options_.keys_max ||
        (bytes_ > options_.bytes_max && !result_.rows.empty())) {
      result_.more = true;
      return false;
    }
    result_.rows.push_back(std::move(row));
    return true;
  }
  uint64_t room() const { return options_.keys_max - result_.rows.size(); }
  ScanResult Take() { return std::move(result_); }

 private:
  const ScanOptions& options_;
  ScanResult result_;
  uint64_t bytes_ = 0;
};

absl::StatusOr<PastState::Record> PastState::Before(int64_t revision, absl::string_view key) const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<HistoryEvent> event, history_.Find(revision, key));
  if (!event.has_value()) {
    return MissingEvent(revision);
  }
  if (event->previous_mod_revision == 0) {
    return Record();
  }
  if (event->previous.has_value()) {
    return Record(Stored(key, *event->previous));
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<HistoryEvent> made,
                          history_.Find(event->previous_mod_revision, key));
  if (!made.has_value() || made->type != HistoryEventType::kPut) {
    return MissingEvent(event->previous_mod_revision);
  }
  return Record(Stored(key, made->record));
}

absl::StatusOr<std::optional<int64_t>> PastState::FirstChange(absl::string_view key,
                                                              int64_t through,
                                                              const GivenUp& given_up) const {
  HistoryQuery query{.from = {.revision = revision_ + 1},
                     .through = through,
                     .intervals = {{.start = std::string(key), .end = Following(key)}},
                     .events_max = 1,
                     .visited_max = kEventsVisitedMax,
                     .bytes_max = kEventsBytesMax,
                     .given_up = given_up};
  while (query.from.revision <= through) {
    RAFTKV_ASSIGN_OR_RETURN(HistoryPage page, history_.Read(query));
    if (!page.events.empty()) {
      return std::optional<int64_t>(page.events.front().revision);
    }
    query.from = std::move(page.next);
  }
  return std::optional<int64_t>();
}

absl::StatusOr<PastState::Record> PastState::Get(absl::string_view key,
                                                 const GivenUp& given_up) const {
  RAFTKV_ASSIGN_OR_RETURN(Record record, now_.Get(key));
  int64_t through = now_.revision();
  if (record.has_value()) {
    if (record->mod_revision() <= revision_) {
      return record;
    }
    // Each event names the one before, as long as the key was there.
    int64_t changed = record->mod_revision();
    for (int steps = 0; steps < kStepsBackMax; ++steps) {
      RAFTKV_ASSIGN_OR_RETURN(const std::optional<HistoryEvent> event, history_.Find(changed, key));
      if (!event.has_value()) {
        return MissingEvent(changed);
      }
      if (event->previous_mod_revision == 0) {
        through = changed - 1;
        break;
      }
      if (event->previous_mod_revision <= revision_) {
        return Before(changed, key);
      }
      changed = event->previous_mod_revision;
      through = changed;
    }
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<int64_t> change, FirstChange(key, through, given_up));
  return change.has_value() ? Before(*change, key) : Record();
}

bool PastState::IsCovered(const KeyInterval& interval, bool descending) const {
  if (!covered_.has_value()) {
    return false;
  }
  return descending ? !EndsBefore(covered_->end, interval.end) &&
                          (interval.end.empty() || covered_->start < interval.end)
                    : covered_->Holds(interval.start);
}

void PastState::NoteChange(const HistoryEvent& event, bool descending) {
  if (!covered_->Holds(event.key) || !changes_.emplace(event.key, event.revision).second) {
    return;
  }
  changes_bytes_ += event.key.size() + kChangeOverheadBytes;
  while (changes_bytes_ > kPastChangesBytesMax) {
    const auto last = descending ? changes_.begin() : std::prev(changes_.end());
    changes_bytes_ -= last->first.size() + kChangeOverheadBytes;
    if (descending) {
      covered_->start = Following(last->first);
    } else {
      covered_->end = last->first;
    }
    changes_.erase(last);
  }
}

absl::Status PastState::Cover(const KeyInterval& interval, bool descending,
                              const GivenUp& given_up) {
  if (IsCovered(interval, descending)) {
    return absl::OkStatus();
  }
  changes_.clear();
  changes_bytes_ = 0;
  covered_ = interval;
  HistoryQuery query{.from = {.revision = revision_ + 1},
                     .through = now_.revision(),
                     .intervals = {},
                     .events_max = kEventsMax,
                     .visited_max = kEventsVisitedMax,
                     .bytes_max = kEventsBytesMax,
                     .given_up = given_up};
  while (query.from.revision <= query.through) {
    query.intervals = {*covered_};
    absl::StatusOr<HistoryPage> page = history_.Read(query);
    if (!page.ok()) {
      covered_.reset();
      return page.status();
    }
    for (const HistoryEvent& event : page->events) {
      NoteChange(event, descending);
    }
    query.from = std::move(page->next);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> PastState::AddStretch(const KeyInterval& stretch, const ScanOptions& options,
                                           std::vector<StoredKeyValue> now, PastPage* page) const {
  std::vector<std::pair<absl::string_view, int64_t>> changed;
  const auto end = stretch.end.empty() ? changes_.end() : changes_.lower_bound(stretch.end);
  for (auto change = changes_.lower_bound(stretch.start); change != end; ++change) {
    changed.emplace_back(change->first, change->second);
  }
  if (options.descending) {
    std::reverse(changed.begin(), changed.end());
  }
  auto row = now.begin();
  auto change = changed.begin();
  for (uint64_t steps = 0; row != now.end() || change != changed.end(); ++steps) {
    if (options.given_up != nullptr && steps % kStepsPerLook == 0 && options.given_up()) {
      return absl::CancelledError("the read was given up");
    }
    const bool is_unchanged =
        change == changed.end() ||
        (row != now.end() &&
         (options.descending ? row->key() > change->first : row->key() < change->first));
    if (is_unchanged) {
      if (!page->Add(std::move(*row++))) {
        return false;
      }
      continue;
    }
    RAFTKV_ASSIGN_OR_RETURN(Record record, Before(change->second, change->first));
    if (row != now.end() && row->key() == change->first) {
      ++row;
    }
    ++change;
    if (record.has_value() && !page->Add(*std::move(record))) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<ScanResult> PastState::Scan(const ScanOptions& options) {
  PastPage page(options);
  KeyInterval left = options.interval;
  while (!left.IsEmpty()) {
    RAFTKV_RETURN_IF_ERROR(Cover(left, options.descending, options.given_up));
    // What is known of, and of that, what one page of the keys of now reaches to.
    KeyInterval stretch = left;
    if (options.descending) {
      stretch.start = std::max(left.start, covered_->start);
    } else if (EndsBefore(covered_->end, left.end)) {
      stretch.end = covered_->end;
    }
    ScanOptions stretch_options = options;
    stretch_options.interval = stretch;
    // One more, for it to be seen that there is more.
    stretch_options.keys_max = page.room() + 1;
    RAFTKV_ASSIGN_OR_RETURN(ScanResult now, now_.Scan(stretch_options));
    if (now.more && options.descending) {
      stretch.start = now.rows.back().key();
    } else if (now.more) {
      stretch.end = Following(now.rows.back().key());
    }
    RAFTKV_ASSIGN_OR_RETURN(const bool has_room,
                            AddStretch(stretch, options, std::move(now.rows), &page));
    // The first of all keys, and an open end, have nothing beyond them.
    std::string& edge = options.descending ? left.end : left.start;
    edge = options.descending ? stretch.start : stretch.end;
    if (!has_room || edge.empty()) {
      break;
    }
  }
  return page.Take();
}

absl::StatusOr<int64_t> PastState::Count(const KeyInterval& interval, const GivenUp& given_up) {
  ScanOptions scan{.interval = interval,
                   .keys_max = kCountedAtOnce,
                   .bytes_max = kPageBytesMax,
                   .keys_only = true,
                   .given_up = given_up};
  int64_t count = 0;
  while (true) {
    RAFTKV_ASSIGN_OR_RETURN(const ScanResult page, Scan(scan));
    count += static_cast<int64_t>(page.rows.size());
    if (!page.more) {
      return count;
    }
    scan.interval.start = Following(page.rows.back().key());
  }
}

}  // namespace raftkv::kv
