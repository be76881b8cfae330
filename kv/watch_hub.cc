#include "kv/watch_hub.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"
#include "kv/command_version.h"
#include "kv/errors.h"

namespace raftkv::kv {
namespace {

bool IsSingleKey(const KeyInterval& interval) {
  return interval.end.size() == interval.start.size() + 1 && interval.end.back() == '\0' &&
         interval.end.compare(0, interval.start.size(), interval.start) == 0;
}

bool OnlyKeys(const WatchOptions& options) {
  return std::all_of(options.intervals.begin(), options.intervals.end(), IsSingleKey);
}

HistoryPlace PlaceOf(const HistoryEvent& event) {
  return {.revision = event.revision, .key = event.key};
}

// The last revision before the place.
int64_t WholeBefore(const HistoryPlace& place) { return place.revision - 1; }

}  // namespace

Watch::~Watch() {
  if (hub_ != nullptr) {
    hub_->Remove(this);
  }
}

bool Watch::Wants(const HistoryEvent& event) const {
  return (options_.types.empty() || options_.types.contains(event.type)) &&
         std::any_of(options_.intervals.begin(), options_.intervals.end(),
                     [&](const KeyInterval& interval) { return interval.Holds(event.key); });
}

void Watch::Next(Done done) {
  CHECK(done_ == nullptr) << "one batch at a time";
  CHECK(state_ == State::kIdle);
  done_ = std::move(done);
  hub_->MakeReady(this);
}

int64_t Watch::progress() const {
  return WholeBefore(state_ == State::kParked ? std::max(place_, hub_->dispatched_) : place_);
}

WatchHub::WatchHub(const Limits& limits, KvStateMachine* state_machine, DiskPool* pool,
                   std::function<void(const std::string& problem)> on_damaged)
    : limits_(limits),
      state_machine_(*state_machine),
      pool_(*pool),
      on_damaged_(std::move(on_damaged)) {}

WatchHub::~WatchHub() {
  for (const auto& [id, watch] : watches_) {
    watch->hub_ = nullptr;
  }
  *alive_ = false;
}

absl::StatusOr<std::unique_ptr<Watch>> WatchHub::Begin(WatchOptions options) {
  if (ended_) {
    return ShuttingDownError();
  }
  if (state_machine_.cluster_version() < kHistoryCommandVersion) {
    return ClusterTooOldError(kHistoryCommandVersion, state_machine_.cluster_version());
  }
  if (options.from <= state_machine_.history().compacted) {
    return RevisionCompactedError(options.from, state_machine_.history().compacted);
  }
  if (watches_.size() >= kWatchesMax) {
    return TooManyWatchesError(kWatchesMax);
  }
  if (watches_.empty()) {
    state_machine_.KeepEvents(true);
    applied_ = state_machine_.revision();
    recent_from_ = Beyond();
    dispatched_ = Beyond();
  }
  const uint64_t id = next_id_++;
  auto watch = std::unique_ptr<Watch>(new Watch(this, id, std::move(options)));
  watches_.emplace(id, watch.get());
  return watch;
}

void WatchHub::Remove(Watch* watch) {
  if (watch->state_ == Watch::State::kParked) {
    Unpark(watch);
  }
  watches_.erase(watch->id_);
  if (watches_.empty()) {
    state_machine_.KeepEvents(false);
    recent_.clear();
    recent_bytes_ = 0;
    compared_ = 0;
    keys_compared_ = false;
  }
}

void WatchHub::End() {
  ended_ = true;
  WakeAll(dispatched_);
}

int64_t WatchHub::slowest_lag() const {
  int64_t lag = 0;
  for (const auto& [id, watch] : watches_) {
    lag = std::max(lag, state_machine_.revision() - watch->progress());
  }
  return lag;
}

bool WatchHub::OnTurn() {
  if (watches_.empty()) {
    return false;
  }
  Take();
  const bool all_dispatched = Dispatch(limits_.compared_per_turn_max);
  // Those that become ready meanwhile come in the next turn.
  const size_t due = std::min<size_t>(ready_.size(), limits_.served_per_turn_max);
  for (size_t i = 0; i < due && !ready_.empty(); ++i) {
    const uint64_t id = ready_.front();
    ready_.pop_front();
    if (const auto found = watches_.find(id); found != watches_.end()) {
      found->second->state_ = Watch::State::kIdle;
      Serve(found->second);
    }
  }
  ReadMore();
  return !all_dispatched || !ready_.empty();
}

void WatchHub::Take() {
  KvStateMachine::NewEvents taken = state_machine_.TakeEvents();
  applied_ = state_machine_.revision();
  if (taken.has_gap) {
    // What came with a snapshot is on the disk only.
    WakeAll(dispatched_);
    recent_.clear();
    recent_bytes_ = 0;
    recent_from_ = taken.events.empty()
                       ? Beyond()
                       : HistoryPlace{.revision = taken.events.front().revision, .key = ""};
    dispatched_ = recent_from_;
    compared_ = 0;
    keys_compared_ = false;
  }
  for (HistoryEvent& event : taken.events) {
    recent_bytes_ += BytesOf(event);
    recent_.push_back(std::make_shared<const HistoryEvent>(std::move(event)));
  }
  Trim();
}

void WatchHub::Trim() {
  while (recent_bytes_ > limits_.recent_bytes_max) {
    const HistoryEvent& oldest = *recent_.front();
    if (!(PlaceOf(oldest) < dispatched_)) {
      // It was not compared with anybody: they look for themselves.
      WakeAll(dispatched_);
      dispatched_ = Beyond();
      compared_ = 0;
      keys_compared_ = false;
    }
    recent_bytes_ -= BytesOf(oldest);
    recent_from_ = After(oldest);
    recent_.pop_front();
  }
}

bool WatchHub::Dispatch(uint64_t left) {
  auto next = std::lower_bound(
      recent_.begin(), recent_.end(), dispatched_,
      [](const auto& event, const HistoryPlace& place) { return PlaceOf(*event) < place; });
  for (; next != recent_.end(); ++next) {
    const HistoryEvent& event = **next;
    const HistoryPlace place = PlaceOf(event);
    if (dispatched_ < place) {
      dispatched_ = place;
      compared_ = 0;
      keys_compared_ = false;
    }
    while (Watch* const watch = NextToCompare(event.key)) {
      if (left == 0) {
        return false;
      }
      --left;
      compared_ = watch->id_;
      if (watch->Wants(event) && !(place < watch->place_)) {
        Wake(watch, place);
      }
    }
    dispatched_ = After(event);
    compared_ = 0;
    keys_compared_ = false;
  }
  dispatched_ = Beyond();
  return true;
}

Watch* WatchHub::NextToCompare(const std::string& key) {
  if (!keys_compared_) {
    if (const auto by_key = parked_keys_.find(key); by_key != parked_keys_.end()) {
      const auto next = by_key->second.upper_bound(compared_);
      if (next != by_key->second.end()) {
        return next->second;
      }
    }
    keys_compared_ = true;
    compared_ = 0;
  }
  const auto next = parked_ranges_.upper_bound(compared_);
  return next == parked_ranges_.end() ? nullptr : next->second;
}

void WatchHub::Park(Watch* watch) {
  watch->state_ = Watch::State::kParked;
  if (!OnlyKeys(watch->options_)) {
    parked_ranges_.emplace(watch->id_, watch);
    return;
  }
  for (const KeyInterval& interval : watch->options_.intervals) {
    parked_keys_[interval.start].emplace(watch->id_, watch);
  }
}

void WatchHub::Unpark(Watch* watch) {
  watch->state_ = Watch::State::kIdle;
  if (!OnlyKeys(watch->options_)) {
    parked_ranges_.erase(watch->id_);
    return;
  }
  for (const KeyInterval& interval : watch->options_.intervals) {
    const auto by_key = parked_keys_.find(interval.start);
    if (by_key == parked_keys_.end()) {
      continue;  // It is named twice.
    }
    by_key->second.erase(watch->id_);
    if (by_key->second.empty()) {
      parked_keys_.erase(by_key);
    }
  }
}

void WatchHub::Wake(Watch* watch, const HistoryPlace& place) {
  Unpark(watch);
  watch->place_ = std::max(watch->place_, place);
  MakeReady(watch);
}

void WatchHub::WakeAll(const HistoryPlace& place) {
  for (const auto& [id, watch] : watches_) {
    if (watch->state_ == Watch::State::kParked) {
      Wake(watch, place);
    }
  }
}

void WatchHub::MakeReady(Watch* watch) {
  watch->state_ = Watch::State::kReady;
  ready_.push_back(watch->id_);
}

void WatchHub::Serve(Watch* watch) {
  const int64_t compacted = state_machine_.history().compacted;
  if (ended_) {
    Fail(watch, ShuttingDownError());
  } else if (watch->place_.revision <= compacted) {
    Fail(watch, RevisionCompactedError(watch->place_.revision, compacted));
  } else if (watch->place_.revision > applied_) {
    ServeRecent(watch);
  } else if (IsRecent(watch->place_) && !watch->options_.with_previous) {
    ServeRecent(watch);
  } else {
    watch->state_ = Watch::State::kWaitsForDisk;
    wait_for_disk_.push_back(watch->id_);
  }
}

void WatchHub::ServeRecent(Watch* watch) {
  auto next = std::lower_bound(
      recent_.begin(), recent_.end(), watch->place_,
      [](const auto& event, const HistoryPlace& place) { return PlaceOf(*event) < place; });
  WatchBatch batch;
  uint64_t bytes = 0;
  uint64_t visited = 0;
  for (; next != recent_.end(); ++next) {
    const bool is_wanted = watch->Wants(**next);
    bytes += is_wanted ? BytesOf(**next) : 0;
    if (visited++ == limits_.visited_max || batch.events.size() == limits_.batch_events_max ||
        (bytes > limits_.batch_bytes_max && !batch.events.empty())) {
      Answer(watch, std::move(batch), PlaceOf(**next));
      return;
    }
    if (is_wanted) {
      batch.events.push_back(*next);
    }
  }
  Answer(watch, std::move(batch), std::max(watch->place_, Beyond()));
}

void WatchHub::ReadMore() {
  while (reads_ < limits_.reads_max && !wait_for_disk_.empty()) {
    const uint64_t id = wait_for_disk_.front();
    wait_for_disk_.pop_front();
    const auto found = watches_.find(id);
    if (found == watches_.end()) {
      continue;
    }
    StartRead(found->second);
    if (found->second->state_ == Watch::State::kWaitsForDisk) {
      // The pool is full of others' reads; a later turn finds room.
      wait_for_disk_.push_front(id);
      return;
    }
  }
}

void WatchHub::StartRead(Watch* watch) {
  const HistoryQuery query{.from = watch->place_,
                           .through = applied_,
                           .intervals = watch->options_.intervals,
                           .events_max = limits_.batch_events_max,
                           .visited_max = limits_.visited_max,
                           .bytes_max = limits_.batch_bytes_max,
                           .with_previous = watch->options_.with_previous};
  auto work = [this, alive = alive_, id = watch->id_, query,
               history = state_machine_.HistoryOnDisk()]() mutable {
    auto page = history->Read(query);
    history.reset();
    return [this, alive, id, page = std::move(page)]() mutable {
      if (*alive) {
        OnRead(id, std::move(page));
      }
    };
  };
  if (pool_.Submit(DiskPool::Length::kLong, std::move(work))) {
    watch->state_ = Watch::State::kReading;
    ++reads_;
  }
}

void WatchHub::OnRead(uint64_t id, absl::StatusOr<HistoryPage> page) {
  --reads_;
  if (absl::IsDataLoss(page.status())) {
    on_damaged_(std::string(page.status().message()));
  }
  const auto found = watches_.find(id);
  if (found == watches_.end()) {
    return;
  }
  Watch* const watch = found->second;
  watch->state_ = Watch::State::kIdle;
  if (absl::IsOutOfRange(page.status())) {
    Fail(watch, RevisionCompactedError(watch->place_.revision, state_machine_.history().compacted));
  } else if (!page.ok()) {
    Fail(watch, CorruptedError(page.status().message()));
  } else {
    WatchBatch batch;
    for (HistoryEvent& event : page->events) {
      if (watch->Wants(event)) {
        batch.events.push_back(std::make_shared<const HistoryEvent>(std::move(event)));
      }
    }
    Answer(watch, std::move(batch), std::move(page->next));
  }
}

void WatchHub::Answer(Watch* watch, WatchBatch batch, HistoryPlace next) {
  watch->place_ = std::move(next);
  const int64_t through = WholeBefore(watch->place_);
  const bool ends_partial = watch->unended_ > 0 && through >= watch->unended_;
  if (batch.events.empty() && !ends_partial) {
    if (watch->place_.revision > applied_ && !(watch->place_ < dispatched_)) {
      Park(watch);
    } else {
      MakeReady(watch);
    }
    return;
  }
  batch.through = through;
  if (ends_partial) {
    watch->unended_ = 0;
  }
  if (!batch.events.empty() && batch.events.back()->revision > through) {
    batch.partial = true;
    watch->unended_ = batch.events.back()->revision;
  }
  std::exchange(watch->done_, nullptr)(std::move(batch));
}

void WatchHub::Fail(Watch* watch, const absl::Status& why) {
  std::exchange(watch->done_, nullptr)(why);
}

}  // namespace raftkv::kv
