// The history: what each revision did to keys, for as long as it is kept. The events are rows
// beside the keys; this is what they say, how long they are kept, and who writes them down.
//
// It is kept in segments. An event that replaces a record of an older segment has that record with
// it; one of its own segment is found in the event that made it. So segments go whole, the oldest
// first, by one range delete, and what is left still tells every state from the last of them on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "kv/kv_table.h"
#include "raft/core/types.h"

namespace raftkv::kv {

// On disk: frozen.
enum class HistoryEventType : uint8_t { kPut = 1, kDelete = 2, kExpire = 3 };

// What one revision did to one key; a key has one event at a revision, however often it is written
// there.
struct HistoryEvent {
  HistoryEventType type = HistoryEventType::kPut;
  int64_t revision = 0;
  std::string key;
  // Of a put: what the key holds from then on, without row_hash.
  KvRecord record;
  // Of the record that was there before, 0 when there was none.
  int64_t previous_mod_revision = 0;
  // That record, where its own event is not in the same segment; without row_hash.
  std::optional<KvRecord> previous;

  friend bool operator==(const HistoryEvent&, const HistoryEvent&) = default;
};

// What an event counts against the bounds of the history.
uint64_t BytesOf(const HistoryEvent& event);

// How much is kept: what is older, or more, goes. They are part of what commands mean, so that all
// members keep the same: others need another command version.
struct HistoryLimits {
  // In cluster time. An idle cluster keeps its last events for longer.
  uint64_t age_ms = 600'000;
  uint64_t bytes = uint64_t{1} << 30;
  uint64_t events = 10'000'000;
  // Previous records that one command writes down. Beyond it none of its own are, and states before
  // it cannot be read any more; events can.
  uint64_t previous_bytes = 4 << 20;
  // A segment ends when it has this part of one of the first three.
  uint64_t segments = 8;
};

struct HistorySegment {
  // Of its events. Both are 0 while it has none.
  raft::ClusterMillis began;
  raft::ClusterMillis ended;
  int64_t last_revision = 0;
  uint64_t events = 0;
  uint64_t bytes = 0;

  friend bool operator==(const HistorySegment&, const HistorySegment&) = default;
};

// Which part of the history there is. A part of the applied state.
// Invariant: removed <= compacted <= readable.
struct HistoryState {
  // Rows up to this revision are gone; the rows after it are those of the segments.
  int64_t removed = 0;
  // Events up to this revision must not be read any more.
  int64_t compacted = 0;
  // States before this revision cannot be read.
  int64_t readable = 0;
  // Oldest first. Each has a part of one limit, so there are never more than a few.
  absl::InlinedVector<HistorySegment, 4> closed;
  HistorySegment open;

  // A record of this revision or an older one is not of the open segment.
  int64_t mark() const { return closed.empty() ? removed : closed.back().last_revision; }
  // The revision of the last event, or where the history is empty, the one after which it begins.
  int64_t last() const { return open.events > 0 ? open.last_revision : mark(); }
  uint64_t bytes() const;
  uint64_t events() const;

  friend bool operator==(const HistoryState&, const HistoryState&) = default;
};

// The history begins after `revision`.
HistoryState BeginHistory(int64_t revision);
// Ends a segment that has enough, and lets go of what is too old or too much at cluster time
// `stamp`.
void MoveHistory(const HistoryLimits& limits, raft::ClusterMillis stamp, HistoryState* state);
// Forbids events up to `revision`, and removes the segments that have no others.
void CompactHistory(int64_t revision, HistoryState* state);

// The table as one command after the other sees it, which writes down what each does to it: every
// change of a key goes through here. Confined to one thread.
class HistoryRecorder final : public KvTable {
 public:
  // A command comes whose changes, if it has any, happen at `revision`; `state` is the history
  // before it.
  void Begin(KvTable* table, const HistoryLimits& limits, int64_t revision,
             const HistoryState& state);
  // The command is applied: its events go to the table, and into `state`.
  void Finish(raft::ClusterMillis stamp, HistoryState* state);

  std::optional<const KvRecord*> Find(absl::string_view key, bool with_value) override;
  bool Scan(absl::string_view start, absl::string_view end, bool with_values,
            Visitor visit) override;
  void Put(absl::string_view key, KvRecord record) override;
  void Delete(absl::string_view key) override;
  void Expire(absl::string_view key) override;
  // REQUIRES: `due` is null; it is the recorder's own.
  std::optional<Deleted> DeleteDue(const TtlRow& start, raft::ClusterMillis until,
                                   uint64_t keys_max, const DueReader* due) override;
  void PutMemberRecord(const log::v1::MemberRecord& record) override;
  void AddEvent(HistoryEvent event) override;
  std::optional<const RememberedRequest*> FindRequest(absl::string_view id) override;
  std::optional<const RequestPlace*> FindRequestPlace(uint64_t number) override;
  void PutRequest(RequestPlace place, RememberedRequest request) override;
  void DropRequest(uint64_t number, const RequestPlace& place) override;
  const Lease* FindLease(int64_t id) override;
  bool ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) override;
  void PutLease(const Lease& lease) override;
  void DropLease(int64_t id) override;
  Mark SetMark() const override;
  void RollBack(const Mark& mark) override;

 private:
  // What the command has done to a key so far.
  struct Fate {
    // Of a key that it met only, nothing.
    std::optional<HistoryEventType> type;
    KvRecord record;
  };
  // A key that the command met, and what it was before.
  struct Met {
    bool existed = false;
    RecordHeader header;
    std::string value;  // Where the record is of an older segment, unless there is too much.
    Fate fate;
  };
  using MetKeys = std::map<std::string, Met, std::less<>>;
  struct Undo {
    Met* met;
    Fate before;
  };

  // The record is needed whole.
  bool IsOld(const RecordHeader& header) const { return header.mod_revision <= mark_; }
  Met* Note(absl::string_view key, const RecordHeader* header, absl::string_view value);
  void Change(Met* met, Fate fate);
  void NoteRemoval(absl::string_view key, HistoryEventType type);
  HistoryEvent EventOf(const std::string& key, Met* met) const;

  KvTable* table_ = nullptr;
  HistoryLimits limits_;
  int64_t revision_ = 0;
  int64_t mark_ = 0;
  MetKeys met_;
  std::vector<Undo> undo_;
  uint64_t old_bytes_ = 0;  // Of old records that were met.
};

}  // namespace raftkv::kv
