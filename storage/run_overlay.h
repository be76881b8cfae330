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

#include "absl/container/btree_map.h"
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

// A row of `requests`: the places of ids whose numbers follow each other.
struct RequestPlaces {
  uint64_t first = 0;
  std::vector<kv::RequestPlace> places;  // Never empty.

  uint64_t last() const { return first + places.size() - 1; }
  bool Have(uint64_t number) const { return number >= first && number <= last(); }
};

// Confined to one thread at a time.
class RunOverlay final : public kv::KvTable {
 public:
  // kFromCache: stalls rather than wait for the disk or walk over many dead keys; only on the
  // thread that made it.
  enum class Reads { kFromCache, kFromDisk };

  // `dead`, `known`, `leases` and `places` are true of what RocksDB holds. `known` and `leases` are
  // borrowed; null, like `places`: nothing is known.
  RunOverlay(std::shared_ptr<const Generation> generation, Reads reads,
             std::shared_ptr<const DeadIntervalMap> dead, const RecordHeaderCache* known,
             const kv::LeaseTable* leases, std::shared_ptr<const RequestPlaces> places)
      : generation_(std::move(generation)),
        reads_(reads),
        dead_(std::move(dead)),
        known_(known),
        leases_(*leases),
        places_(std::move(places)) {}

  std::optional<const kv::KvRecord*> Find(absl::string_view key, bool with_value) override;
  bool Scan(absl::string_view start, absl::string_view end, bool with_values,
            Visitor visit) override;
  void Put(absl::string_view key, kv::KvRecord record) override;
  void Delete(absl::string_view key) override;
  std::optional<Deleted> DeleteDue(const kv::TtlRow& start, raft::ClusterMillis until,
                                   uint64_t keys_max, const DueReader* due) override;
  void PutMemberRecord(const log::v1::MemberRecord& record) override;
  std::optional<const kv::RememberedRequest*> FindRequest(absl::string_view id) override;
  std::optional<const kv::RequestPlace*> FindRequestPlace(uint64_t number) override;
  void PutRequest(kv::RequestPlace place, kv::RememberedRequest request) override;
  void DropRequest(uint64_t number, const kv::RequestPlace& place) override;
  const kv::Lease* FindLease(int64_t id) override;
  bool ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) override;
  void PutLease(const kv::Lease& lease) override;
  void DropLease(int64_t id) override;
  void AddEvent(kv::HistoryEvent event) override;
  Mark SetMark() const override;
  void RollBack(const Mark& mark) override;

  // What was changed since the last time is one entry, and stays.
  void EndEntry();

  // Keys that were found or looked for; never shrinks.
  uint64_t keys_met() const { return rows_.size(); }
  // Keys, values and rows that WriteTo would write, roughly; never shrinks.
  uint64_t staged_bytes() const { return staged_bytes_; }
  const std::vector<log::v1::MemberRecord>& member_records() const { return member_records_; }

  // The leases that the run changed, nullopt where one is gone.
  using ChangedLeases = absl::btree_map<int64_t, std::optional<kv::Lease>>;
  const ChangedLeases& changed_leases() const { return changed_leases_; }

  // The row of `requests` that was read last, or was known before; null: none.
  const std::shared_ptr<const RequestPlaces>& places() const { return places_; }

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

  // Adds the keys' records and TTL rows, leases, and the history. A key that was written several
  // times is written once, and a row of `ttl`, or of a key in `leases`, is there exactly while a
  // record in `latest` has its deadline, or its lease.
  struct Written {
    // The earliest deadline among the new rows, 0 if there is none.
    raft::ClusterMillis earliest_deadline;
    // It is much, and ascends by key in each family.
    bool ordered = false;
  };
  Written WriteTo(rocksdb::WriteBatch* batch) const;

 private:
  // What a change costs in a batch besides key and value.
  static constexpr uint64_t kChangeOverheadBytes = 64;

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
    int64_t disk_lease = 0;
    State state;
  };
  struct Undo {
    Row* row;
    State before;
  };

  struct AddedRequest {
    kv::RequestPlace place;
    kv::RememberedRequest request;
    bool ends_entry = false;
  };
  struct DroppedRequest {
    uint64_t number;
    std::string id;
    // The row of places that goes with it, which was the last one there.
    std::optional<uint64_t> row;
  };
  struct RequestUndo {
    bool added;
    absl::string_view id;
    std::optional<const AddedRequest*> before;  // In request_by_id_; nullopt: it was not there.
  };

  struct LeaseUndo {
    int64_t id;
    std::optional<std::optional<kv::Lease>> before;  // In changed_leases_.
  };

  // Notes what RocksDB has of a key.
  static void NoteOnDisk(const kv::RecordHeader& header, Row* row);
  void SetLease(int64_t id, std::optional<kv::Lease> lease);
  void WriteLeasesTo(rocksdb::WriteBatch* batch) const;
  // The row of `leases` of a key that changed.
  void WriteLeasedKeyTo(const Row& row, rocksdb::WriteBatch* batch) const;
  // Reads a row of `requests`; nullopt when the table stalled, empty when there is none.
  std::optional<absl::string_view> ReadRequestRow(const std::string& key);
  // Reads the row with the place of a number into places_; false when the table stalled.
  bool ReadPlaces(uint64_t number);
  void TakePlaces(uint64_t first, absl::string_view row);
  // `id` stays where it is.
  void SetRequest(absl::string_view id, const AddedRequest* added);
  void RollBackRequests(size_t mark);
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
  rocksdb::ReadOptions OwnReadOptions() const;
  // Whether a range of so many keys is not for a turn of the loop.
  bool AreTooMany(uint64_t keys) const;
  // Whether the run has walked over more dead keys than a turn of the loop has time for.
  bool WalkedTooFar() const;
  // The rows of an interval, by key.
  std::vector<Row*> RowsBetween(absl::string_view start, absl::string_view end) const;

  const std::shared_ptr<const Generation> generation_;
  const Reads reads_;
  const std::shared_ptr<const DeadIntervalMap> dead_;
  const RecordHeaderCache* const known_;
  const kv::LeaseTable& leases_;
  const uint64_t dead_keys_walked_before_ = DeadKeysWalked();
  // In the order in which keys were met, so that equal runs make equal batches. A deque: rows do
  // not move.
  std::deque<Row> rows_;
  absl::flat_hash_map<absl::string_view, Row*> by_key_;
  std::vector<Undo> undo_;
  std::vector<log::v1::MemberRecord> member_records_;
  std::shared_ptr<const RequestPlaces> places_;
  // By number. Deques: requests do not move.
  std::deque<AddedRequest> added_requests_;
  std::deque<DroppedRequest> dropped_requests_;
  // Of the ids that the run changed, what it made of them last; null: dropped. An id's bytes are
  // those of whoever changed it first.
  absl::flat_hash_map<absl::string_view, const AddedRequest*> request_by_id_;
  std::vector<RequestUndo> request_undo_;
  kv::RememberedRequest read_request_;  // That FindRequest returned last, if it is RocksDB's.
  ChangedLeases changed_leases_;
  std::vector<LeaseUndo> lease_undo_;
  std::vector<kv::HistoryEvent> events_;
  uint64_t staged_bytes_ = 0;
  std::vector<DeadInterval> found_dead_;
  rocksdb::PinnableSlice pinned_;
};

}  // namespace raftkv::storage
