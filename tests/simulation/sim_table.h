// The applied keys of one node, on a map instead of RocksDB.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/history.h"
#include "kv/kv_table.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "storage/key_layout.h"

namespace raftkv::simulation {

// Simulated members publish nothing about themselves: they know all commands from the start.
inline kv::AppliedState FirstState() {
  kv::AppliedState state;
  state.cluster_version = kv::kNewestCommandVersion;
  return state;
}

// What a database holds of the applied state.
struct TableContent {
  std::map<std::string, kv::KvRecord, std::less<>> latest;
  std::set<std::pair<raft::ClusterMillis, std::string>> ttl;
  // Request ids that are remembered, by number, and their numbers.
  struct Request {
    std::string id;
    kv::RememberedRequest request;
  };
  std::map<uint64_t, Request> requests;
  std::map<std::string, uint64_t, std::less<>> request_numbers;
  // The history, by revision and key.
  std::map<std::pair<int64_t, std::string>, kv::HistoryEvent> events;
  kv::LeaseTable leases;
  kv::AppliedState applied = FirstState();
  // As of `applied`. Nobody before the founding, which comes before all else.
  std::optional<log::v1::ClusterConfiguration> configuration;
};

// What one applied run wrote: each key's record as the run left it, nothing where it is gone.
struct TableChanges {
  std::vector<std::pair<std::string, std::optional<kv::KvRecord>>> rows;
  // Those that are new; all before the first number of the applied state go.
  std::vector<TableContent::Request> requests = {};
  kv::AppliedState applied;
  std::vector<kv::HistoryEvent> events = {};
  std::optional<log::v1::ClusterConfiguration> configuration = {};        // Where it changed.
  std::vector<std::pair<int64_t, std::optional<kv::Lease>>> leases = {};  // nullopt: it is gone.
};

// Adds a request, or takes one away.
void SetRequest(uint64_t number, std::optional<TableContent::Request> request,
                TableContent* content);

// Puts changes into content. A row of `ttl` is there exactly while a record has its deadline.
void ApplyChanges(const TableChanges& changes, TableContent* content);

// A hash of everything that members must agree on, made without production's. RowHash is one row's
// share: the hash of a table is that of its applied state exclusive-ored with those of its rows.
uint64_t RowHash(absl::string_view key, const kv::KvRecord& record);
uint64_t AppliedHash(const kv::AppliedState& applied);
// Counted anew from every row of both kinds.
uint64_t ContentHash(const TableContent& content);
// What the applied state must have as the hash of its rows: production's (kv/state_hash.h), counted
// anew from every row.
uint64_t ProductRowsHash(const TableContent& content);
// The same of its request ids, and of its leases, whose keys are counted anew, too.
uint64_t ProductRequestsHash(const TableContent& content);
uint64_t ProductLeasesHash(const TableContent& content);
// Whether the applied state says what its rows do not come to.
inline bool IsBent(const TableContent& content) {
  return content.applied.rows_hash != ProductRowsHash(content);
}

// Changes go to the content at once and can be taken back until Commit. Confined to one thread.
class SimTable final : public kv::KvTable {
 public:
  explicit SimTable(TableContent content);

  // From now on, the read after `reads` further ones stalls; nullopt: none does.
  void StallAfter(std::optional<uint64_t> reads) { reads_left_ = reads; }

  std::optional<const kv::KvRecord*> Find(absl::string_view key, bool with_value) override;
  bool Scan(absl::string_view start, absl::string_view end, bool with_values,
            Visitor visit) override;
  void Put(absl::string_view key, kv::KvRecord record) override;
  void Delete(absl::string_view key) override;
  std::optional<Deleted> DeleteDue(const kv::TtlRow& start, raft::ClusterMillis until,
                                   uint64_t keys_max, const DueReader* due) override;
  // Simulated members publish nothing about themselves.
  void PutMemberRecord(const log::v1::MemberRecord& record) override;
  std::optional<const kv::RememberedRequest*> FindRequest(absl::string_view id) override;
  std::optional<const kv::RequestPlace*> FindRequestPlace(uint64_t number) override;
  void PutRequest(kv::RequestPlace place, kv::RememberedRequest request) override;
  void DropRequest(uint64_t number, const kv::RequestPlace& place) override;
  const kv::Lease* FindLease(int64_t id) override { return content_.leases.Find(id); }
  bool ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) override;
  void PutLease(const kv::Lease& lease) override { SetLease(lease.id, lease); }
  void DropLease(int64_t id) override { SetLease(id, std::nullopt); }
  void AddEvent(kv::HistoryEvent event) override { events_.push_back(std::move(event)); }
  Mark SetMark() const override;
  void RollBack(const Mark& mark) override;

  // Ends the run: what it changed can no longer be taken back.
  TableChanges Commit(const kv::AppliedState& applied,
                      std::optional<log::v1::ClusterConfiguration> configuration = {});

  const TableContent& content() const { return content_; }
  // Of the rows, without the applied state.
  uint64_t rows_hash() const { return rows_hash_; }

 private:
  struct Undo {
    std::string key;
    std::optional<kv::KvRecord> before;
  };

  // Whether a read has to stall.
  bool MustStall();
  void Set(const std::string& key, std::optional<kv::KvRecord> record);
  void SetLease(int64_t id, std::optional<kv::Lease> lease);

  TableContent content_;
  uint64_t rows_hash_ = 0;
  std::vector<Undo> undo_;
  // Requests that were put (nothing before) or dropped.
  struct RequestUndo {
    uint64_t number;
    std::optional<TableContent::Request> before;
  };
  std::vector<RequestUndo> request_undo_;
  kv::RequestPlace found_place_;  // That FindRequestPlace returned last.
  struct LeaseUndo {
    int64_t id;
    std::optional<kv::Lease> before;
  };
  std::vector<LeaseUndo> lease_undo_;
  std::vector<kv::HistoryEvent> events_;  // Of the run.
  std::optional<uint64_t> reads_left_;
  // What Find returns to who did not ask for the value: it must not be used.
  kv::KvRecord without_value_{.header = {}, .value = "(not asked for)"};
};

}  // namespace raftkv::simulation
