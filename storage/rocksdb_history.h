// The history of a generation, read from its rows.
#pragma once

#include <memory>
#include <optional>

#include "kv/history_source.h"
#include "storage/generation.h"

namespace raftkv::storage {

// REQUIRES: the database outlives it. Thread-safe.
class RocksDbHistory final : public kv::HistorySource {
 public:
  explicit RocksDbHistory(std::shared_ptr<const Generation> generation)
      : generation_(std::move(generation)) {}

  absl::StatusOr<kv::HistoryPage> Read(const kv::HistoryQuery& query) const override;
  absl::StatusOr<std::optional<kv::HistoryEvent>> Find(int64_t revision,
                                                       absl::string_view key) const override;

 private:
  // Nothing from `revision` on is removed. Asked once there is an iterator, or a row was missing.
  absl::Status CheckThere(int64_t revision) const;
  // Sets the record that the event replaced, from the event that made it.
  absl::Status AddPrevious(kv::HistoryEvent* event) const;

  const std::shared_ptr<const Generation> generation_;
};

}  // namespace raftkv::storage
