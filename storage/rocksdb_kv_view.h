// The applied keys as of one RocksDB snapshot.
#pragma once

#include <cstdint>
#include <optional>

#include "storage/column_families.h"
#include "storage/kv_state_machine.h"

namespace raftkv::storage {

// REQUIRES: the database outlives it. Thread-safe.
class RocksDbKvView final : public KvView {
 public:
  // No row of `ttl` lies before `earliest_deadline`.
  RocksDbKvView(const ColumnFamilies& families, int64_t revision,
                raft::ClusterMillis earliest_deadline);
  ~RocksDbKvView() override;
  RocksDbKvView(const RocksDbKvView&) = delete;
  RocksDbKvView& operator=(const RocksDbKvView&) = delete;

  int64_t revision() const override { return revision_; }
  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> Get(absl::string_view key) const override;
  absl::StatusOr<ScanResult> Scan(const ScanOptions& options) const override;
  absl::StatusOr<int64_t> Count(const KeyInterval& interval,
                                const GivenUp& given_up) const override;
  absl::StatusOr<DueKeys> FindDueKeys(raft::ClusterMillis now, uint64_t keys_max) const override;

 private:
  // Constant after construction.
  const ColumnFamilies families_;
  const int64_t revision_;
  const raft::ClusterMillis earliest_deadline_;
  const rocksdb::Snapshot* const snapshot_;
};

// Fills all fields from a record of `latest`; false when its bytes make none.
bool FillStoredKeyValue(absl::string_view key, absl::string_view record, bool with_value,
                        log::v1::StoredKeyValue* stored);

}  // namespace raftkv::storage
