// RunOverlay is the table as a run of entries sees it while it is applied: what the run changed so
// far, over what RocksDB holds. Nothing reaches RocksDB before WriteTo, so a run can be given up at
// any point.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "kv/history.h"
#include "kv/kv_table.h"
#include "rocksdb/slice.h"
#include "rocksdb/write_batch.h"
#include "storage/dead_intervals.h"
#include "storage/generation.h"
#include "storage/live_iterator.h"
#include "storage/record_header_cache.h"

namespace raftkv::storage {

// Confined to one thread at a time.
class RunOverlay final : public kv::KvTable {
 public:
  // kFromCache: stalls rather than wait for the disk or walk over many dead keys; only on the
  // thread that made it.
  enum class Reads { kFromCache, kFromDisk };

  // `dead` and `known` are true of what RocksDB holds; `known` is borrowed, null: nothing is known.
  RunOverlay(std::shared_ptr<const Generation> generation, Reads reads,
             std::shared_ptr<const DeadIntervalMap> dead, const RecordHeaderCache* known)
      : generation_(std::move(generation)), reads_(reads), dead_(std::move(dead)), known_(known) {}

  std::optional<const kv::KvRecord*> Find(absl::string_view key, bool with_value) override;
  bool Scan(absl::string_view start, absl::string_view end, bool with_values,
            Visitor visit) override;
  void Put(absl::string_view key, kv::KvRecord record) override;
  void Delete(absl::string_view key) override;
  std::optional<Deleted> DeleteDue(const kv::TtlRow& start, raft::ClusterMillis until,
                                   uint64_t keys_max, const DueReader* due) override;
  void PutMemberRecord(const log::v1::MemberRecord& record) override;
  std::optional<const kv::RememberedRequest*> FindRequest(absl::string_view id) override;
  std::optional<kv::RequestPlace> FindRequestPlace(uint64_t number) override;
  void PutRequest(const kv::RequestPlace& place, kv::RememberedRequest request) override;
  void DropRequest(uint64_t number, const kv::RequestPlace& place) override;
  void AddEvent(kv::HistoryEvent event) override;
  Mark SetMark() const override;
  void RollBack(const Mark& mark) override;

  // Keys that were found or looked for; never shrinks.
  uint64_t keys_met() const { return rows_.size(); }
  // Keys, values and rows that WriteTo would write, roughly; never shrinks.
  uint64_t staged_bytes() const { return staged_bytes_; }
  const std::vector<log::v1::MemberRecord>& member_records() const { return member_records_; }

  // The run's part of the history; to be taken once it is written.
  std::vector<kv::HistoryEvent> TakeEvents() { return std::move(events_); }

  // What was found dead in RocksDB, before any change of the run.
  const std::vector<DeadInterval>& found_dead() const { return found_dead_; }
  // Visits the keys that the run changed; `header` is null when the key is gone.
  void VisitChanged(
      absl::FunctionRef<void(absl::string_view key, const kv::RecordHeader* header)> visit) const;
  // Visits the keys that the run created, and those that it removed.
  void VisitCreatedAndRemoved(
      absl::FunctionRef<void(absl::string_view key, bool created)> visit) const;

  // Adds the keys' records and TTL rows, and the history. A key that was written several times is
  // written once, and a row of `ttl` is there exactly while a record in `latest` has its deadline.
  struct Written {
    // The earliest deadline among the new rows, 0 if there is none.
    raft::ClusterMillis earliest_deadline;
    // It is much, and ascends by key in each family.
    bool ordered = false;
  };
  Written WriteTo(rocksdb::WriteBatch* batch) const;

 private:
  // What is known about a key. `record` is meaningful while `exists`: its value while `has_value`,
  // the rest of it while `has_header`, its deadline and its hash always.
  struct State {
    bool exists = false;
    bool has_value = false;
    bool has_header = true;
    bool changed = false;
    kv::KvRecord record;
  };
  struct Row {
    std::string key;
    bool on_disk = false;
    raft::ClusterMillis disk_deadline;
    State state;
  };
  struct Undo {
    Row* row;
    State before;
  };

  struct AddedRequest {
    kv::RequestPlace place;
    kv::RememberedRequest request;
  };
  struct DroppedRequest {
    uint64_t number;
    std::string id;
  };
  struct RequestUndo {
    bool added;
    std::string id;
    std::optional<const AddedRequest*> before;  // In request_by_id_; nullopt: it was not there.
  };

  // Reads a row of `requests`; nullopt when the table stalled, empty when there is none.
  std::optional<absl::string_view> ReadRequestRow(const std::string& key);
  void SetRequest(absl::string_view id, const AddedRequest* added);
  void WriteRequestsTo(rocksdb::WriteBatch* batch) const;
  // Null when the table stalled.
  Row* Load(absl::string_view key, bool with_value);
  Row* Insert(absl::string_view key);
  void Change(Row* row, State state);
  static kv::TtlRow PlaceOf(const Row& row);
  // Notes a key of which a row of `ttl` tells. REQUIRES: it is not known.
  Row* InsertDue(const kv::TtlRow& place, uint64_t row_hash);
  // Hands the record to `due`; false when the table stalled.
  bool Show(Row* row, const DueReader& due);
  void WriteHistory(rocksdb::WriteBatch* batch) const;
  // What this run wrote of the keys that are due, from `start` on, in their order.
  std::vector<Row*> WrittenAndDue(const kv::TtlRow& start, raft::ClusterMillis until);
  // Whether the run has walked over more dead keys than a turn of the loop has time for.
  bool WalkedTooFar() const;
  // The rows of an interval, by key.
  std::vector<Row*> RowsBetween(absl::string_view start, absl::string_view end) const;

  const std::shared_ptr<const Generation> generation_;
  const Reads reads_;
  const std::shared_ptr<const DeadIntervalMap> dead_;
  const RecordHeaderCache* const known_;
  const uint64_t dead_keys_walked_before_ = DeadKeysWalked();
  // In the order in which keys were met, so that equal runs make equal batches. A deque: rows do
  // not move.
  std::deque<Row> rows_;
  absl::flat_hash_map<absl::string_view, Row*> by_key_;
  std::vector<Undo> undo_;
  std::vector<log::v1::MemberRecord> member_records_;
  // By number. A deque: requests do not move.
  std::deque<AddedRequest> added_requests_;
  std::vector<DroppedRequest> dropped_requests_;
  // Of the ids that the run changed, what it made of them last; null: dropped.
  absl::flat_hash_map<std::string, const AddedRequest*> request_by_id_;
  std::vector<RequestUndo> request_undo_;
  kv::RememberedRequest read_request_;  // That FindRequest returned last, if it is RocksDB's.
  std::vector<kv::HistoryEvent> events_;
  uint64_t staged_bytes_ = 0;
  std::vector<DeadInterval> found_dead_;
  rocksdb::PinnableSlice pinned_;
};

}  // namespace raftkv::storage
