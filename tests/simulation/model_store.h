// What commands mean, written a second time and as plainly as possible: what members make of them
// is held against it. It also remembers, so that a read can be held against the state that it was
// answered from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

  // Applies a command and returns what its proposer must be told.
  log::v1::CommandOutcome Apply(const log::v1::Command& command, const EntryFacts& entry);
  // What the Expires since the last call did.
  std::vector<Expiry> TakeExpiries() { return std::exchange(expiries_, {}); }

  int64_t revision() const { return revision_; }
  int64_t key_count() const { return static_cast<int64_t>(rows_.size()); }
  // As SimTable counts it.
  uint64_t rows_hash() const { return rows_hash_; }
  // What production's hash of the rows must be.
  uint64_t product_rows_hash() const { return product_rows_hash_; }

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

  log::v1::CommandOutcome ApplyTxn(const log::v1::Txn& txn, const EntryFacts& entry);
  void ApplyExpire(const log::v1::Expire& expire, const EntryFacts& entry);
  // What the rows will be; the outcome is complete but for the revision. Nullopt: too large a
  // range.
  std::optional<Rows> RunOperations(const log::v1::Txn& txn, const EntryFacts& entry,
                                    log::v1::CommandOutcome* outcome) const;
  // Makes the rows those of `rows`, where they differ.
  void Become(Rows rows, raft::LogIndex index);

  Rows rows_;
  int64_t revision_ = 0;
  uint64_t rows_hash_ = 0;
  uint64_t product_rows_hash_ = 0;
  std::map<std::string, std::vector<Version>, std::less<>> history_;
  std::vector<Expiry> expiries_;
};

}  // namespace raftkv::simulation
