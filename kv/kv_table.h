// KvTable is what the meaning of commands is written against: the keys as the commands so far have
// left them. RocksDB is behind it in a server; a simulator puts a map there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "kv/lease.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// What a key carries besides its value.
struct RecordHeader {
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  raft::ClusterMillis deadline;  // 0: never expires by itself.
  int64_t lease_id = 0;  // The lease that it hangs on, and then it has no deadline; 0: none.
  // RowHash (kv/state_hash.h) of the key with all that it holds; not stored with it. Set in what a
  // table is given, and in what it has.
  uint64_t row_hash = 0;

  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

struct KvRecord {
  RecordHeader header;
  std::string value;

  friend bool operator==(const KvRecord&, const KvRecord&) = default;
};

// What a request id is remembered with (kv/remembered_requests.h).
struct RememberedRequest {
  // In the order in which they came; no number comes twice.
  uint64_t number = 0;
  raft::ClusterMillis keep_until;
  uint64_t content_hash = 0;
  std::string outcome = {};  // A log::v1::CommandOutcome.

  friend bool operator==(const RememberedRequest&, const RememberedRequest&) = default;
};

// What can be told of a request without what it came to: enough to forget it.
struct RequestPlace {
  raft::ClusterMillis keep_until;
  uint64_t bytes = 0;     // Of id and outcome.
  uint64_t row_hash = 0;  // RequestHash (kv/state_hash.h).
  std::string id = {};

  friend bool operator==(const RequestPlace&, const RequestPlace&) = default;
};

// The place of a key among those with a deadline: by deadline, then by key.
struct TtlRow {
  raft::ClusterMillis deadline;
  absl::string_view key;

  friend bool operator<(const TtlRow& a, const TtlRow& b) {
    return a.deadline != b.deadline ? a.deadline < b.deadline : a.key < b.key;
  }
};

struct HistoryEvent;

// A table may stall: only the disk knows, and the caller must not wait for it.
// Nothing is lost then: the caller rolls back to where the entry began and comes again later.
// Confined to one thread.
class KvTable {
 public:
  // Returns false to end a Scan.
  using Visitor = absl::FunctionRef<bool(absl::string_view key, const RecordHeader& header,
                                         absl::string_view value)>;

  virtual ~KvTable() = default;

  // The key's record, nullptr when it is absent, valid until the next call; nullopt when the table
  // stalled. The record's value may be missing unless `with_value`.
  virtual std::optional<const KvRecord*> Find(absl::string_view key, bool with_value) = 0;
  // Visits the keys of [start, end) in byte order, an empty end being open. Returns false when the
  // table stalled. Values may be missing unless `with_values`. The visitor must not call the table.
  virtual bool Scan(absl::string_view start, absl::string_view end, bool with_values,
                    Visitor visit) = 0;

  // REQUIRES: Find or Scan has met the key since the table was made.
  virtual void Put(absl::string_view key, KvRecord record) = 0;
  // REQUIRES: Find or Scan has found the key, and it is still there.
  virtual void Delete(absl::string_view key) = 0;
  // The same of a key whose time is over.
  virtual void Expire(absl::string_view key) { Delete(key); }
  // What DeleteDue has deleted.
  struct Deleted {
    uint64_t keys = 0;
    uint64_t rows_hash = 0;  // The sum of their hashes.
  };
  // Who wants to see the records that DeleteDue deletes. Of those with a mod_revision above
  // `values_up_to` the value may be missing.
  struct DueReader {
    int64_t values_up_to = 0;
    absl::FunctionRef<void(absl::string_view key, const KvRecord& record)> visit;
  };
  // Deletes the first `keys_max` keys from `start` on whose deadline is at or before `until`, read
  // or not; nullopt when the table stalled. Without `due`, which may be null, no record is looked
  // for. The visitor must not call the table.
  virtual std::optional<Deleted> DeleteDue(const TtlRow& start, raft::ClusterMillis until,
                                           uint64_t keys_max, const DueReader* due) = 0;

  virtual void PutMemberRecord(const log::v1::MemberRecord& record) = 0;
  // Adds to the history. REQUIRES: events come by revision, and those of a revision by key.
  virtual void AddEvent(HistoryEvent event) = 0;

  // Under a request id, nullptr when it is not remembered, valid until the next call; nullopt when
  // the table stalled.
  virtual std::optional<const RememberedRequest*> FindRequest(absl::string_view id) = 0;
  // The same by number, never nullptr. REQUIRES: it is remembered.
  virtual std::optional<const RequestPlace*> FindRequestPlace(uint64_t number) = 0;
  // REQUIRES: the id is not remembered, and the number follows the newest one's.
  virtual void PutRequest(RequestPlace place, RememberedRequest request) = 0;
  // REQUIRES: it is the oldest one, with what FindRequestPlace said of it.
  virtual void DropRequest(uint64_t number, const RequestPlace& place) = 0;

  // Null when there is none, valid until the next call.
  virtual const Lease* FindLease(int64_t id) = 0;
  // Visits the keys whose records have the lease, in byte order; false when the table stalled. The
  // visitor must not call the table.
  virtual bool ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) = 0;
  // Adds a lease, or changes one.
  virtual void PutLease(const Lease& lease) = 0;
  // REQUIRES: it is there, and no record has it.
  virtual void DropLease(int64_t id) = 0;

  // A point to which RollBack returns, undoing every change since. Points before it stay valid.
  struct Mark {
    size_t changes = 0;
    size_t member_records = 0;
    size_t requests = 0;
    size_t events = 0;
    size_t leases = 0;
    size_t noted = 0;  // HistoryRecorder's.
  };
  virtual Mark SetMark() const = 0;
  virtual void RollBack(const Mark& mark) = 0;
};

}  // namespace raftkv::kv
