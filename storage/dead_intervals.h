// Where many keys of `latest` died and none lives, so that a scan can step over them. RocksDB walks
// over every one until a compaction has removed it, which makes the head of a queue dearer with
// each key that was taken from it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "raft/core/types.h"

namespace raftkv::storage {

// [start, end); the end is not empty.
struct DeadInterval {
  std::string start;
  std::string end;
};

// Disjoint intervals by start, and none touches the next.
using DeadIntervalMap = std::map<std::string, std::string, std::less<>>;

// What is known of the state as of now. It is only a help: whatever it forgets is found again.
// Confined to the loop's thread.
class DeadIntervals {
 public:
  DeadIntervals() : proven_(std::make_shared<DeadIntervalMap>()) {}

  // As of now; never changed afterwards.
  std::shared_ptr<const DeadIntervalMap> proven() {
    handed_out_ = true;
    return proven_;
  }

  // No key lives in `interval` as of now.
  void Add(const DeadInterval& interval);
  // A view of the state as of `viewed` found `interval` dead. By now keys may live there; what a
  // second view, taken after this call, finds dead as well, and saw no key created since, is dead.
  void OnViewed(const DeadInterval& interval, raft::LogIndex viewed, raft::LogIndex now);
  // A key was created.
  void OnCreated(absl::string_view key);

 private:
  struct Suspect {
    DeadInterval interval;
    raft::LogIndex since;  // No key was created in it after this.
  };

  // For a change: whoever got proven() keeps it as it was.
  DeadIntervalMap* Mutable();

  // At most kIntervalsMax.
  std::shared_ptr<DeadIntervalMap> proven_;
  bool handed_out_ = false;  // Since proven_ was made.
  // The oldest first, at most kSuspectsMax.
  std::vector<Suspect> suspects_;
};

// From views, which are on other threads, to the loop. Thread-safe.
class DeadIntervalFindings {
 public:
  struct Finding {
    DeadInterval interval;
    raft::LogIndex viewed;
  };

  // Drops what is too much.
  void Add(std::vector<DeadInterval> intervals, raft::LogIndex viewed);
  std::vector<Finding> TakeAll();

 private:
  Mutex mutex_;
  std::vector<Finding> findings_ ABSL_GUARDED_BY(mutex_);
  // So that looking costs nothing while there is nothing.
  std::atomic<bool> any_{false};
};

}  // namespace raftkv::storage
