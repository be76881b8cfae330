// WatchHub tells many what happens to keys, from what this member has applied. A watch is a place
// in the history and nothing else: whoever is slow goes on where it was, from memory or from the
// disk, until the history no longer reaches back to there.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kv/disk_pool.h"
#include "kv/history_source.h"
#include "kv/kv_state_machine.h"
#include "kv/limits.h"

namespace raftkv::kv {

struct WatchOptions {
  std::vector<KeyInterval> intervals = {};  // One at least.
  // The first revision that is told.
  int64_t from = 1;
  // Which events are wanted; all when none is named.
  std::set<HistoryEventType> types = {};
  bool with_previous = false;
};

struct WatchBatch {
  std::vector<std::shared_ptr<const HistoryEvent>> events = {};
  // Nothing up to this revision follows.
  int64_t through = 0;
  // More of the last event's revision may follow; a batch whose `through` is at least that ends it.
  bool partial = false;
};

class WatchHub;

// One watch. Ends when it is destroyed: what it waits for does not come then. Confined to the loop.
class Watch final {
 public:
  using Done = std::function<void(absl::StatusOr<WatchBatch> batch)>;

  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Hears the next events once there are some, in their order and none twice; on the loop, never
  // before this returns. REVISION_COMPACTED when the history does not reach back to there,
  // SHUTTING_DOWN, CORRUPTED: the watch is over. REQUIRES: the last call was answered.
  void Next(Done done);
  // Nothing up to this revision follows, but for what Next was answered with.
  int64_t progress() const;

 private:
  friend class WatchHub;
  enum class State { kIdle, kReady, kParked, kWaitsForDisk, kReading };

  Watch(WatchHub* hub, uint64_t id, WatchOptions options)
      : hub_(hub), id_(id), options_(std::move(options)), place_({.revision = options_.from}) {}
  bool Wants(const HistoryEvent& event) const;

  WatchHub* hub_;  // Null once it is gone.
  const uint64_t id_;
  const WatchOptions options_;
  HistoryPlace place_;  // Of the first event that was not looked at.
  // A batch was partial, of this revision, and nothing has ended it yet; 0: none.
  int64_t unended_ = 0;
  State state_ = State::kIdle;
  Done done_;
};

// Confined to the loop.
class WatchHub final {
 public:
  struct Limits {
    // Events that are kept in memory while somebody watches.
    uint64_t recent_bytes_max = 8 * kMiB;
    // Of one batch, unless its first event has more; and events that are looked at for one.
    uint64_t batch_events_max = 1000;
    uint64_t batch_bytes_max = 256 << 10;
    uint64_t visited_max = 4096;
    // Reads from the disk that are under way, or whose results are.
    uint64_t reads_max = 8;
    // In one turn of the loop: watches that are served, and comparisons of an event with a watch.
    uint64_t served_per_turn_max = 256;
    uint64_t compared_per_turn_max = 8192;
  };

  // Borrows the state machine and the pool. `on_damaged` hears of corrupted files.
  WatchHub(const Limits& limits, KvStateMachine* state_machine, DiskPool* pool,
           std::function<void(const std::string& problem)> on_damaged);
  // Watches that are left hear nothing any more, and must not be asked.
  ~WatchHub();

  // REVISION_COMPACTED when the history does not reach back to `from`; MEMBER_TOO_OLD before there
  // is one; OVERLOADED beyond kWatchesMax; SHUTTING_DOWN.
  absl::StatusOr<std::unique_ptr<Watch>> Begin(WatchOptions options);
  // What was applied since is told to some of those that wait for it; called every turn, after the
  // driver's. Returns whether there is more to do.
  bool OnTurn();
  // All watches end, with SHUTTING_DOWN, within the next turns.
  void End();

  size_t watches() const { return watches_.size(); }
  // Revisions between what is applied and what the slowest has been told. Looks at each.
  int64_t slowest_lag() const;

 private:
  friend class Watch;

  void Take();
  void Trim();
  // Looks who waits for events, within `left` comparisons; false when it is not done.
  bool Dispatch(uint64_t left);
  // Null when the event with this key was compared with all.
  Watch* NextToCompare(const std::string& key);
  void Park(Watch* watch);
  void Unpark(Watch* watch);
  // A parked one has something to look at from `place` on.
  void Wake(Watch* watch, const HistoryPlace& place);
  void WakeAll(const HistoryPlace& place);
  void MakeReady(Watch* watch);
  void Serve(Watch* watch);
  // From memory. REQUIRES: the place is there.
  void ServeRecent(Watch* watch);
  void ReadMore();
  void StartRead(Watch* watch);
  void OnRead(uint64_t id, absl::StatusOr<HistoryPage> page);
  void Answer(Watch* watch, WatchBatch batch, HistoryPlace next);
  void Fail(Watch* watch, const absl::Status& why);
  bool IsRecent(const HistoryPlace& place) const { return !(place < recent_from_); }
  HistoryPlace Beyond() const { return {.revision = applied_ + 1, .key = ""}; }
  void Remove(Watch* watch);

  const Limits limits_;
  KvStateMachine& state_machine_;
  DiskPool& pool_;
  const std::function<void(const std::string& problem)> on_damaged_;

  uint64_t next_id_ = 1;
  std::map<uint64_t, Watch*> watches_;
  bool ended_ = false;

  // The newest events, all from recent_from_ on; nothing while nobody watches.
  std::deque<std::shared_ptr<const HistoryEvent>> recent_;
  HistoryPlace recent_from_;
  uint64_t recent_bytes_ = 0;
  int64_t applied_ = 0;
  // All events before it were compared with the parked ones, none of which wants any of them. The
  // one there was compared with those of its key, then with those of ranges, up to this id.
  HistoryPlace dispatched_;
  bool keys_compared_ = false;
  uint64_t compared_ = 0;

  // Those that wait for events, by id: by each key that they want, or else among those to ask.
  absl::flat_hash_map<std::string, std::map<uint64_t, Watch*>> parked_keys_;
  std::map<uint64_t, Watch*> parked_ranges_;
  // In the order in which they are served; by id, since they may be gone.
  std::deque<uint64_t> ready_;
  std::deque<uint64_t> wait_for_disk_;
  uint64_t reads_ = 0;
  // Outlives this in reads that are under way.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace raftkv::kv
