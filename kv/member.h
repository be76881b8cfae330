// Member is one replica at work: its driver, and on top of it the store, what expires keys and what
// publishes the member. The edges (disk, network, clock, threads) are its owner's: a server's are
// real, a simulator's are not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/disk_pool.h"
#include "kv/expirer.h"
#include "kv/kv_state_machine.h"
#include "kv/lease_expirer.h"
#include "kv/member_directory.h"
#include "kv/membership.h"
#include "kv/standing_proposal.h"
#include "kv/store.h"
#include "kv/watch_hub.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::kv {

struct MemberOptions {
  raft::RaftConfig raft;
  raft::DriverOptions driver;
  // Random, unique to this process.
  uint64_t origin = 1;
  // Of the core's timeouts.
  uint64_t seed = 1;
  // How often Tick is called.
  MonotonicNanos tick = 10 * kNanosPerMilli;
  // Whether it publishes its addresses and version, which takes a directory.
  bool publishes = true;
  // Of what this member publishes.
  MonotonicNanos publish_timeout = 10 * kNanosPerSecond;
  // Between two savings of the cluster clock.
  MonotonicNanos clock_save_interval = kNanosPerSecond;
  // Keys that one scan for due ones finds.
  uint64_t due_keys_max = Expirer::kKeysMax;
  WatchHub::Limits watches;
};

// Confined to the loop.
class Member {
 public:
  // Borrowed; they outlive the member, and call nothing of it after its end.
  struct Edges {
    raft::Transport* transport = nullptr;
    raft::LogStore* log_store = nullptr;
    KvStateMachine* state_machine = nullptr;
    const MonotonicClock* clock = nullptr;
    raft::DriverObserver* observer = nullptr;
    // What to publish, and members' names; null: nothing.
    MemberDirectory* directory = nullptr;
    // Of reads, and of scans for due keys, which long reads must not hold up.
    DiskPool* reads = nullptr;
    DiskPool* scans = nullptr;
    // Of what may take minutes.
    DiskPool* upkeep = nullptr;
    std::function<void(const raft::ClusterReading& reading)> save_clock;
    // A file is corrupted, or the log is newer than this version of raftkv: the member must neither
    // lead nor answer any more.
    std::function<void(const std::string& problem)> on_unusable;
    // The state is not what commands made of it.
    std::function<void(const std::string& what)> on_wrong_state;
  };

  Member(const MemberOptions& options, Edges edges, raft::RestoredState restored,
         const raft::ClusterReading& restored_clock);

  raft::RaftDriver& driver() { return driver_; }
  const raft::RaftDriver& driver() const { return driver_; }
  Store& store() { return store_; }
  WatchHub& watches() { return watches_; }
  const WatchHub& watches() const { return watches_; }
  // Null without a directory.
  Membership* membership() { return membership_.get(); }

  // This member, which was dormant and none yet, is the one with `id`, and counts as
  // `configuration` says. REQUIRES: as RaftDriver::Join.
  void Join(raft::NodeId id, raft::Configuration configuration);

  // Every tick (10 ms). A member that drains neither expires nor publishes.
  void Tick();
  // A turn of the driver, and what waited for it. Returns whether another would have work at once.
  bool RunTurn();

 private:
  void WatchVersion();
  void FollowPriorities();
  void SaveClock();
  void ScanForDueKeys(std::shared_ptr<const KvView> view, raft::ClusterMillis now,
                      std::function<void(absl::StatusOr<DueKeys>)> done);

  MemberOptions options_;  // Constant but for the id.
  const Edges edges_;
  raft::RaftDriver driver_;
  Store store_;
  WatchHub watches_;
  Expirer expirer_;
  LeaseExpirer lease_expirer_;
  std::unique_ptr<Membership> membership_;
  // None without a directory.
  std::vector<std::unique_ptr<StandingProposal>> standing_proposals_;
  uint32_t told_cluster_version_ = 0;
  MonotonicNanos next_clock_save_ = 0;
};

}  // namespace raftkv::kv
