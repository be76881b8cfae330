// KvStateMachine is the applied key space: what committed commands made of it, with revisions and
// deadlines, wherever it is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kv/history_source.h"
#include "kv/lease.h"
#include "kv/recent_digests.h"
#include "kv/state_hash.h"
#include "raft/runtime/state_machine.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

struct ScanOptions {
  KeyInterval interval;
  uint64_t keys_max = 0;   // At least 1.
  uint64_t bytes_max = 0;  // Keys and values; at least one key is returned, however large.
  bool keys_only = false;  // Leave values out.
  bool descending = false;
  GivenUp given_up = nullptr;
};

struct ScanResult {
  std::vector<log::v1::StoredKeyValue> rows;  // With keys, in the order asked for.
  bool more = false;                          // Rows are left in the interval.
};

struct DueKeys {
  struct Due {
    raft::ClusterMillis deadline;
    std::string key;
  };
  std::vector<Due> keys;  // By deadline, then by key.
  // The first deadline after those; 0 when no row is left.
  raft::ClusterMillis next_deadline;
};

struct LeaseKeys {
  std::vector<std::string> keys;  // In byte order.
  bool more = false;              // There are others after these.
};

// The applied state as of one moment; it stays readable and unchanged while later entries are
// applied. Thread-safe; its calls may wait for the disk. DataLoss from any of them means that a
// file is corrupted.
class KvView {
 public:
  virtual ~KvView() = default;

  virtual int64_t revision() const = 0;
  virtual raft::LogIndex applied() const = 0;
  // Reads every row. FailedPrecondition when they are not those that commands have left, as their
  // hashes tell (kv/state_hash.h).
  virtual absl::Status Verify(const GivenUp& given_up) const = 0;
  // nullopt: no such key. `key` is set in the result.
  virtual absl::StatusOr<std::optional<log::v1::StoredKeyValue>> Get(
      absl::string_view key) const = 0;
  virtual absl::StatusOr<ScanResult> Scan(const ScanOptions& options) const = 0;
  virtual absl::StatusOr<int64_t> Count(const KeyInterval& interval,
                                        const GivenUp& given_up) const = 0;
  // Keys whose deadline is at or before `now`, at most `keys_max`.
  virtual absl::StatusOr<DueKeys> FindDueKeys(raft::ClusterMillis now, uint64_t keys_max) const = 0;
  // The keys after `after` that hang on a lease, of so many bytes in sum, but at least one. None
  // when there is no such lease.
  virtual absl::StatusOr<LeaseKeys> FindLeaseKeys(int64_t id, absl::string_view after,
                                                  uint64_t bytes_max,
                                                  const GivenUp& given_up) const = 0;
};

enum class CacheLookup { kFound, kAbsent, kNotCached };

// Confined to the loop's thread.
class KvStateMachine : public raft::StateMachine {
 public:
  std::optional<uint64_t> StateHash(raft::LogIndex index) const final {
    const std::optional<StateDigest> digest = digests().At(index);
    return digest.has_value() ? std::optional(digest->hash) : std::nullopt;
  }
  // Of the last kHashesKept entries, or as many as were applied since the member started or took a
  // snapshot.
  virtual const RecentDigests& digests() const = 0;

  // Reads one key from memory. kNotCached: only the disk knows; ask a view on another thread.
  virtual CacheLookup GetCached(absl::string_view key, log::v1::StoredKeyValue* record) const = 0;
  // The state as of now. Views hold back the deletion of files:
  // keep them for a request, not longer.
  virtual std::shared_ptr<const KvView> TakeView() = 0;

  // The number of keys in the interval as of now, if that is known without a walk.
  virtual std::optional<int64_t> KnownCount(const KeyInterval& interval) = 0;
  // A walk over the interval begins, in a view taken right after this. EndCount with its result
  // (nullopt: it came to none) makes the count known, so that the next one need not walk. Returns
  // the id for EndCount, which need not come.
  virtual uint64_t BeginCount(const KeyInterval& interval) = 0;
  virtual void EndCount(uint64_t id, std::optional<int64_t> count) = 0;

  virtual int64_t revision() const = 0;
  virtual int64_t key_count() const = 0;
  // Keys that expired here since the start; not those of a snapshot that was taken.
  virtual int64_t expired_keys() const = 0;
  virtual const LeaseTable& leases() const = 0;
  virtual const LeaseTotals& lease_totals() const = 0;
  // As expired_keys().
  virtual int64_t expired_leases() const = 0;
  // No key is due before this; 0 when no key has a deadline.
  virtual raft::ClusterMillis earliest_deadline() const = 0;
  // After FindDueKeys found nothing due before `next_deadline` (0: no row at all) in a view of the
  // state as of `applied`: raises earliest_deadline(), unless entries applied since brought an
  // earlier one.
  virtual void OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) = 0;
  // What members published about themselves, by member id.
  virtual const std::map<uint64_t, log::v1::MemberRecord>& member_records() const = 0;
  // Every member knows the commands of this version (kv/command_version.h).
  virtual uint32_t cluster_version() const = 0;
  // Which part of the history there is; empty before cluster version 2.
  virtual const HistoryState& history() const = 0;
  // To read it from. It holds on to the state: keep it for a request.
  virtual std::shared_ptr<const HistorySource> HistoryOnDisk() const = 0;
  // Whether to keep the events of what is applied for TakeEvents.
  virtual void KeepEvents(bool keep) = 0;
  struct NewEvents {
    std::vector<HistoryEvent> events;
    // Another state took the place of the one before, with events that are not among these.
    bool has_gap = false;
  };
  // Those of what was applied since the last call, or since KeepEvents(true), in their order.
  virtual NewEvents TakeEvents() = 0;
  // In words, what the next entry says that this version of raftkv does not know: nothing is
  // applied any more. Empty: nothing.
  virtual const std::string& too_new() const = 0;
};

}  // namespace raftkv::kv
