// The applied keys as of one RocksDB snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "kv/kv_state_machine.h"
#include "storage/dead_intervals.h"
#include "storage/deadline_sum.h"
#include "storage/generation.h"
#include "storage/key_layout.h"
#include "storage/lease_sum.h"

namespace raftkv::storage {

// REQUIRES: the database outlives it. Thread-safe.
class RocksDbKvView final : public kv::KvView {
 public:
  // No row of `ttl` lies before `earliest_deadline`. `dead` is true as of now; what scans find dead
  // goes to `findings`.
  RocksDbKvView(std::shared_ptr<const Generation> generation, const kv::AppliedState& applied,
                raft::ClusterMillis earliest_deadline, std::shared_ptr<const DeadIntervalMap> dead,
                std::shared_ptr<DeadIntervalFindings> findings);
  ~RocksDbKvView() override;
  RocksDbKvView(const RocksDbKvView&) = delete;
  RocksDbKvView& operator=(const RocksDbKvView&) = delete;

  int64_t revision() const override { return applied_.revision; }
  raft::LogIndex applied() const override { return applied_.id.index; }
  absl::Status Verify(const kv::GivenUp& given_up) const override;
  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> Get(absl::string_view key) const override;
  absl::StatusOr<kv::ScanResult> Scan(const kv::ScanOptions& options) const override;
  absl::StatusOr<int64_t> Count(const kv::KeyInterval& interval,
                                const kv::GivenUp& given_up) const override;
  absl::StatusOr<kv::DueKeys> FindDueKeys(raft::ClusterMillis now,
                                          uint64_t keys_max) const override;
  absl::StatusOr<kv::LeaseKeys> FindLeaseKeys(int64_t id, absl::string_view after,
                                              uint64_t bytes_max,
                                              const kv::GivenUp& given_up) const override;

 private:
  rocksdb::ReadOptions ReadSnapshot() const;
  // The rows of `latest` are those of the state, and `due` is set to what `ttl` must have; their
  // leases go to `leases`.
  absl::Status VerifyLatest(const kv::GivenUp& given_up, DeadlineSum* due, LeaseSum* leases) const;
  absl::Status VerifyTtl(const kv::GivenUp& given_up, const DeadlineSum& due) const;
  absl::Status VerifyRequests(const kv::GivenUp& given_up) const;
  absl::Status VerifyLeases(const kv::GivenUp& given_up, LeaseSum* leases) const;

  // Constant after construction.
  const std::shared_ptr<const Generation> generation_;
  const kv::AppliedState applied_;
  const raft::ClusterMillis earliest_deadline_;
  const std::shared_ptr<const DeadIntervalMap> dead_;
  const std::shared_ptr<DeadIntervalFindings> findings_;
  const rocksdb::Snapshot* const snapshot_;
};

// Fills all fields from a record of `latest`; false when its bytes make none.
bool FillStoredKeyValue(absl::string_view key, absl::string_view record, bool with_value,
                        log::v1::StoredKeyValue* stored);

}  // namespace raftkv::storage
