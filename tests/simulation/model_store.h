// What commands mean, written a second time and as plainly as possible: what members make of them
// is held against it. It also remembers, so that a read can be held against the state that it was
// answered from.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/applied_state.h"
#include "kv/history.h"
#include "kv/kv_table.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// The committed entry that a command is in.
struct EntryFacts {
  raft::LogIndex index;
  raft::ClusterMillis stamp;
  SimTime proposed_at = 0;  // When its leader made it, in true time.
  raft::Term term = {};
};

// Confined to one thread.
class ModelStore {
 public:
  // A key that an Expire removed, or that it begins at and that was renewed.
  struct Expiry {
    std::string key;
    bool removed = false;
    // Of the write that gave the key its time to live.
    uint64_t ttl_ms = 0;
    SimTime proposed_at = 0;
  };

  // What an entry of a leader means whatever is in it: with a new one's first, all leases have
  // their time again.
  void OnEntry(const EntryFacts& entry);
  // Applies a command and returns what its proposer must be told.
  log::v1::CommandOutcome Apply(const log::v1::Command& command, const EntryFacts& entry);
  // What the Expires since the last call did.
  std::vector<Expiry> TakeExpiries() { return std::exchange(expiries_, {}); }

  // A lease that an ExpireLease was about.
  struct LeaseExpiry {
    int64_t id = 0;
    bool removed = false;
    uint64_t keys = 0;
    // Of its last renewal.
    uint64_t lasts_ms = 0;
    SimTime renewed_at = 0;
  };
  // What the ExpireLeases since the last call did.
  std::vector<LeaseExpiry> TakeLeaseExpiries() { return std::exchange(lease_expiries_, {}); }
  // Renewals, since the last call, of leases that lived only because a leader changed.
  uint64_t TakeOutlived() { return std::exchange(outlived_, 0); }

  // Request ids that were forgotten since the last call.
  uint64_t TakeForgotten() { return std::exchange(forgotten_, 0); }

  // An event, and the record that it replaced.
  struct ModelEvent {
    kv::HistoryEvent event;  // Without `previous`.
    std::optional<kv::KvRecord> before;
  };
  // Every one so far, by revision and key.
  const std::map<std::pair<int64_t, std::string>, ModelEvent>& events() const { return events_; }

  int64_t revision() const { return revision_; }
  int64_t key_count() const { return static_cast<int64_t>(rows_.size()); }
  // As SimTable counts it.
  uint64_t rows_hash() const { return rows_hash_; }
  // What production's hash of the rows must be.
  uint64_t product_rows_hash() const { return product_rows_hash_; }

  kv::RequestTotals requests() const;
  kv::LeaseTotals leases() const;

  // The state after the entry at `index`.
  std::optional<kv::KvRecord> Get(absl::string_view key, raft::LogIndex index) const;
  // The keys of [start, end), an empty end being open.
  std::vector<std::pair<std::string, kv::KvRecord>> List(absl::string_view start,
                                                         absl::string_view end,
                                                         raft::LogIndex index) const;

 private:
  struct Row {
    kv::KvRecord record;
    uint64_t ttl_ms = 0;
    SimTime ttl_from = 0;
  };
  using Rows = std::map<std::string, Row, std::less<>>;
  struct Version {
    raft::LogIndex index;
    std::optional<kv::KvRecord> record;
  };

  // A transaction on its way.
  struct Attempt {
    const EntryFacts& entry;
    Rows rows;
    bool changes = false;
    log::v1::CommandOutcome failure;  // Unless it succeeds.
  };
  struct ModelLease {
    kv::Lease lease;  // Whose keys are counted where they are asked for.
    SimTime renewed_at = 0;
  };
  struct Remembered {
    std::string id;
    kv::RememberedRequest request;
  };

  log::v1::CommandOutcome ApplyRequest(const log::v1::Command& command, const EntryFacts& entry);
  log::v1::CommandOutcome ApplyTxn(const log::v1::Txn& txn, const EntryFacts& entry);
  void ApplyExpire(const log::v1::Expire& expire, const EntryFacts& entry);
  log::v1::CommandOutcome ApplyGrant(const log::v1::GrantLease& grant, const EntryFacts& entry);
  log::v1::CommandOutcome ApplyRenewal(const log::v1::RenewLease& renewal, const EntryFacts& entry);
  log::v1::CommandOutcome ApplyRevocation(int64_t id, const EntryFacts& entry);
  void ApplyLeaseExpiry(int64_t id, const EntryFacts& entry);
  // Removes a lease and its keys; returns how many there were.
  uint64_t EndLease(int64_t id, const EntryFacts& entry, kv::HistoryEventType removal);
  log::v1::CommandOutcome LeaseOutcome(log::v1::CommandOutcome::Verdict verdict, int64_t id) const;
  // False, and the failure is set, when the key of `rows` cannot hang on the lease.
  bool Hang(const std::string& key, int64_t id, Attempt* attempt) const;
  bool GuardHolds(const log::v1::Guard& guard) const;
  bool GuardsHold(const log::v1::Txn& txn) const;
  // Each does a part of a transaction and says what it came to; false when that fails the whole.
  using Outcomes = google::protobuf::RepeatedPtrField<log::v1::OperationOutcome>;
  bool RunBranch(const log::v1::Txn& txn, bool holds, Attempt* attempt, Outcomes* outcomes) const;
  bool Run(const log::v1::Operation& operation, Attempt* attempt,
           log::v1::OperationOutcome* result) const;
  bool RunPut(const log::v1::PutOperation& put, Attempt* attempt,
              log::v1::OperationOutcome* result) const;
  bool RunDelete(const log::v1::DeleteOperation& deletion, Attempt* attempt,
                 log::v1::OperationOutcome* result) const;
  static void RunList(const log::v1::ListOperation& list, const Attempt& attempt,
                      log::v1::OperationOutcome* result);
  bool RunTouch(const log::v1::TouchOperation& touch, Attempt* attempt,
                log::v1::OperationOutcome* result) const;
  bool RunIncrement(const log::v1::IncrementOperation& increment, Attempt* attempt,
                    log::v1::OperationOutcome* result) const;
  // Makes the rows those of `rows`, where they differ, at a revision.
  void Become(Rows rows, raft::LogIndex index, int64_t revision, kv::HistoryEventType removal);
  void NoteEvent(const std::string& key, const kv::KvRecord* before, const kv::KvRecord* after,
                 int64_t revision, kv::HistoryEventType removal);

  Rows rows_;
  int64_t revision_ = 0;
  uint64_t rows_hash_ = 0;
  uint64_t product_rows_hash_ = 0;
  std::map<std::string, std::vector<Version>, std::less<>> history_;
  std::map<std::pair<int64_t, std::string>, ModelEvent> events_;
  std::vector<Expiry> expiries_;
  std::map<int64_t, ModelLease> leases_;
  raft::Term term_;
  raft::ClusterMillis term_began_;
  std::vector<LeaseExpiry> lease_expiries_;
  uint64_t outlived_ = 0;
  std::deque<Remembered> remembered_;
  uint64_t next_request_ = 0;
  uint64_t forgotten_ = 0;
};

}  // namespace raftkv::simulation
