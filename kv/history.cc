#include "kv/history.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace raftkv::kv {
namespace {

// What an event takes besides key and values, roughly.
constexpr uint64_t kEventOverheadBytes = 48;

void RemoveOldest(HistoryState* state) {
  state->removed = state->closed.front().last_revision;
  state->compacted = std::max(state->compacted, state->removed);
  state->readable = std::max(state->readable, state->compacted);
  state->closed.erase(state->closed.begin());
}

void CloseOpen(HistoryState* state) {
  state->closed.push_back(std::exchange(state->open, HistorySegment()));
}

bool IsFull(const HistoryLimits& limits, raft::ClusterMillis stamp, const HistorySegment& segment) {
  return segment.events > 0 && (segment.bytes >= limits.bytes / limits.segments ||
                                segment.events >= limits.events / limits.segments ||
                                stamp >= segment.began + limits.age_ms / limits.segments);
}

}  // namespace

uint64_t BytesOf(const HistoryEvent& event) {
  return kEventOverheadBytes + event.key.size() + event.record.value.size() +
         (event.previous.has_value() ? event.previous->value.size() : 0);
}

uint64_t HistoryState::bytes() const {
  uint64_t sum = open.bytes;
  for (const HistorySegment& segment : closed) {
    sum += segment.bytes;
  }
  return sum;
}

uint64_t HistoryState::events() const {
  uint64_t sum = open.events;
  for (const HistorySegment& segment : closed) {
    sum += segment.events;
  }
  return sum;
}

HistoryState BeginHistory(int64_t revision) {
  HistoryState state;
  state.removed = revision;
  state.compacted = revision;
  state.readable = revision;
  return state;
}

void MoveHistory(const HistoryLimits& limits, raft::ClusterMillis stamp, HistoryState* state) {
  if (IsFull(limits, stamp, state->open)) {
    CloseOpen(state);
  }
  while (!state->closed.empty() &&
         (stamp >= state->closed.front().ended + limits.age_ms || state->bytes() > limits.bytes ||
          state->events() > limits.events)) {
    RemoveOldest(state);
  }
}

void CompactHistory(int64_t revision, HistoryState* state) {
  state->compacted = std::max(state->compacted, revision);
  state->readable = std::max(state->readable, state->compacted);
  if (state->open.events > 0 && state->open.last_revision <= state->compacted) {
    CloseOpen(state);
  }
  while (!state->closed.empty() && state->closed.front().last_revision <= state->compacted) {
    RemoveOldest(state);
  }
}

void HistoryRecorder::Begin(KvTable* table, const HistoryLimits& limits, int64_t revision,
                            const HistoryState& state) {
  table_ = table;
  limits_ = limits;
  revision_ = revision;
  mark_ = state.mark();
  met_.clear();
  undo_.clear();
  old_bytes_ = 0;
}

void HistoryRecorder::Finish(raft::ClusterMillis stamp, HistoryState* state) {
  HistorySegment& open = state->open;
  bool lacks_previous = false;
  for (auto& [key, met] : met_) {
    if (!met.fate.type.has_value() || (!met.existed && *met.fate.type != HistoryEventType::kPut)) {
      continue;
    }
    HistoryEvent event = EventOf(key, &met);
    lacks_previous =
        lacks_previous || (met.existed && IsOld(met.header) && !event.previous.has_value());
    if (open.events == 0) {
      open.began = stamp;
    }
    ++open.events;
    open.bytes += BytesOf(event);
    open.ended = stamp;
    open.last_revision = revision_;
    table_->AddEvent(std::move(event));
  }
  if (lacks_previous) {
    state->readable = revision_;
  }
}

HistoryEvent HistoryRecorder::EventOf(const std::string& key, Met* met) const {
  HistoryEvent event;
  event.type = *met->fate.type;
  event.revision = revision_;
  event.key = key;
  event.record = std::move(met->fate.record);
  event.record.header.row_hash = 0;
  if (met->existed) {
    event.previous_mod_revision = met->header.mod_revision;
    if (IsOld(met->header) && old_bytes_ <= limits_.previous_bytes) {
      event.previous.emplace(KvRecord{.header = met->header, .value = std::move(met->value)});
      event.previous->header.row_hash = 0;
    }
  }
  return event;
}

HistoryRecorder::Met* HistoryRecorder::Note(absl::string_view key, const RecordHeader* header,
                                            absl::string_view value) {
  const auto [place, is_new] = met_.try_emplace(std::string(key));
  Met* const met = &place->second;
  if (!is_new || header == nullptr) {
    return met;
  }
  met->existed = true;
  met->header = *header;
  if (IsOld(*header)) {
    old_bytes_ += key.size() + value.size();
    if (old_bytes_ <= limits_.previous_bytes) {
      met->value.assign(value.data(), value.size());
    }
  }
  return met;
}

std::optional<const KvRecord*> HistoryRecorder::Find(absl::string_view key, bool with_value) {
  std::optional<const KvRecord*> found = table_->Find(key, with_value);
  if (!found.has_value() || met_.find(key) != met_.end()) {
    return found;
  }
  if (*found != nullptr && !with_value && IsOld((*found)->header)) {
    found = table_->Find(key, /*with_value=*/true);
    if (!found.has_value()) {
      return found;
    }
  }
  const KvRecord* record = *found;
  Note(key, record == nullptr ? nullptr : &record->header,
       record == nullptr ? absl::string_view() : absl::string_view(record->value));
  return found;
}

bool HistoryRecorder::Scan(absl::string_view start, absl::string_view end, bool with_values,
                           Visitor visit) {
  // A scan comes by the values anyway.
  return table_->Scan(
      start, end, /*with_values=*/true,
      [&](absl::string_view key, const RecordHeader& header, absl::string_view value) {
        Note(key, &header, value);
        return visit(key, header, with_values ? value : absl::string_view());
      });
}

void HistoryRecorder::Change(Met* met, Fate fate) {
  undo_.push_back({met, std::exchange(met->fate, std::move(fate))});
}

void HistoryRecorder::Put(absl::string_view key, KvRecord record) {
  const auto met = met_.find(key);
  CHECK(met != met_.end()) << "a key was written unread";
  // What leaves the revision as it was is no event.
  if (record.header.mod_revision == revision_) {
    Change(&met->second, {.type = HistoryEventType::kPut, .record = record});
  }
  table_->Put(key, std::move(record));
}

void HistoryRecorder::NoteRemoval(absl::string_view key, HistoryEventType type) {
  const auto met = met_.find(key);
  CHECK(met != met_.end()) << "a key was deleted unread";
  Change(&met->second, {.type = type, .record = {}});
}

void HistoryRecorder::Delete(absl::string_view key) {
  NoteRemoval(key, HistoryEventType::kDelete);
  table_->Delete(key);
}

void HistoryRecorder::Expire(absl::string_view key) {
  NoteRemoval(key, HistoryEventType::kExpire);
  table_->Expire(key);
}

std::optional<KvTable::Deleted> HistoryRecorder::DeleteDue(const TtlRow& start,
                                                           raft::ClusterMillis until,
                                                           uint64_t keys_max,
                                                           const DueReader* due) {
  CHECK(due == nullptr);
  const auto note = [this](absl::string_view key, const KvRecord& record) {
    Change(Note(key, &record.header, record.value),
           {.type = HistoryEventType::kExpire, .record = {}});
  };
  const DueReader reader{.values_up_to = mark_, .visit = note};
  return table_->DeleteDue(start, until, keys_max, &reader);
}

void HistoryRecorder::PutMemberRecord(const log::v1::MemberRecord& record) {
  table_->PutMemberRecord(record);
}

void HistoryRecorder::AddEvent(HistoryEvent /*event*/) {
  LOG(FATAL) << "commands write no history by themselves";
}

// Request ids are no part of the history.
std::optional<const RememberedRequest*> HistoryRecorder::FindRequest(absl::string_view id) {
  return table_->FindRequest(id);
}

std::optional<const RequestPlace*> HistoryRecorder::FindRequestPlace(uint64_t number) {
  return table_->FindRequestPlace(number);
}

void HistoryRecorder::PutRequest(RequestPlace place, RememberedRequest request) {
  table_->PutRequest(std::move(place), std::move(request));
}

void HistoryRecorder::DropRequest(uint64_t number, const RequestPlace& place) {
  table_->DropRequest(number, place);
}

// Nor are leases; the keys on them are.
const Lease* HistoryRecorder::FindLease(int64_t id) { return table_->FindLease(id); }

bool HistoryRecorder::ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) {
  return table_->ScanLease(id, visit);
}

void HistoryRecorder::PutLease(const Lease& lease) { table_->PutLease(lease); }

void HistoryRecorder::DropLease(int64_t id) { table_->DropLease(id); }

KvTable::Mark HistoryRecorder::SetMark() const {
  Mark mark = table_->SetMark();
  mark.noted = undo_.size();
  return mark;
}

void HistoryRecorder::RollBack(const Mark& mark) {
  CHECK_LE(mark.noted, undo_.size());
  table_->RollBack(mark);
  while (undo_.size() > mark.noted) {
    undo_.back().met->fate = std::move(undo_.back().before);
    undo_.pop_back();
  }
}

}  // namespace raftkv::kv
