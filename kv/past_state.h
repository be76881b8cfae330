// PastState is the keys as they were at a revision: what they are now, less what the history says
// was done to them since (ADR 39).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kv/history_source.h"
#include "kv/kv_state_machine.h"

namespace raftkv::kv {

class PastPage;

// Answers as a KvView of that revision would, but for deadlines: what a Touch changed has no
// revision, and shows or not. Reads may be long, as much was done since; each polls `given_up`.
// Cancelled, DataLoss as a KvView's; OutOfRange when the history no longer reaches back, after
// which nothing more can be read. Used by one thread at a time; its calls may wait for the disk.
class PastState {
 public:
  // Borrows both. REQUIRES: `revision` is at most that of `now`, whose history was readable from
  // there on when it was taken.
  PastState(const KvView* now, const HistorySource* history, int64_t revision)
      : now_(*now), history_(*history), revision_(revision) {}

  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> Get(absl::string_view key,
                                                             const GivenUp& given_up) const;
  // Remembers what it learns of the interval for scans that go on from there. Takes
  // kPastChangesBytesMax for it, and reads the history again for each stretch of keys that has
  // more.
  absl::StatusOr<ScanResult> Scan(const ScanOptions& options);
  absl::StatusOr<int64_t> Count(const KeyInterval& interval, const GivenUp& given_up);

 private:
  using Record = std::optional<log::v1::StoredKeyValue>;

  // What the event at `revision`, the first one on the key after this state, found there.
  absl::StatusOr<Record> Before(int64_t revision, absl::string_view key) const;
  // The revision of the first event on a key after this state, up to `through`; nullopt: none.
  absl::StatusOr<std::optional<int64_t>> FirstChange(absl::string_view key, int64_t through,
                                                     const GivenUp& given_up) const;
  // Has covered_ begin where the interval does, in the direction of the scan.
  absl::Status Cover(const KeyInterval& interval, bool descending, const GivenUp& given_up);
  void NoteChange(const HistoryEvent& event, bool descending);
  // Adds the keys of a stretch, `now` being those that are there now; false once there is no room.
  absl::StatusOr<bool> AddStretch(const KeyInterval& stretch, const ScanOptions& options,
                                  std::vector<log::v1::StoredKeyValue> now, PastPage* page) const;
  bool IsCovered(const KeyInterval& interval, bool descending) const;

  const KvView& now_;
  const HistorySource& history_;
  const int64_t revision_;
  // By key, the revision of the first event after this state: all those of covered_.
  std::map<std::string, int64_t, std::less<>> changes_;
  uint64_t changes_bytes_ = 0;
  std::optional<KeyInterval> covered_;
};

}  // namespace raftkv::kv
