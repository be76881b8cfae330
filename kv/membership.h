// Membership changes who the members are (thesis chapter 4), on the leader: what is asked for
// becomes entries of configurations, one after the other, each once the one before is committed. By
// itself it leaves joint configurations, whoever began them, and makes learners vote that have
// caught up.
//
// It is no queue that survives: a request is a wish for how things are to be, so it can be repeated
// at any member when its outcome is not known.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "kv/member_directory.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::kv {

// MEMBER_EXISTS when a member other than `id` has this address.
absl::Status CheckAddressFree(const log::v1::ClusterConfiguration& record,
                              absl::string_view peer_address, uint64_t id);

// Confined to the loop.
class Membership {
 public:
  struct Adding {
    std::string name;
    std::string peer_address;
    uint64_t data_id = 0;
    bool stay_learner = false;
  };
  struct Removing {
    uint64_t id = 0;
  };
  struct Promoting {
    uint64_t id = 0;
  };
  struct Updating {
    uint64_t id = 0;
    std::string peer_address;
  };
  using Change = std::variant<Adding, Removing, Promoting, Updating>;
  // The member's id, once the change is committed and applied here; errors are those of
  // kv/errors.h.
  using Done = std::function<void(absl::StatusOr<uint64_t> id)>;

  struct Times {
    // A learner that takes no longer to get what the leader had when it asked has caught up.
    MonotonicNanos election_timeout = kNanosPerSecond;
    // For how long a request waits for a change that is under way.
    MonotonicNanos wait = 3 * kNanosPerSecond;
  };

  // Borrows all that is pointed to.
  Membership(raft::RaftDriver* driver, MemberDirectory* directory, const MonotonicClock* clock,
             Times times)
      : driver_(*driver), directory_(*directory), clock_(*clock), times_(times) {}

  // Refuses at once, or begins; `done` hears of it once, by `deadline` plus a tick. NO_LEADER:
  // certainly not proposed. OUTCOME_UNKNOWN: proposed, and not committed in time.
  //   Adding: a member with that data id is there already: nothing more is done. MEMBER_EXISTS when
  //   another one has the name or the address.
  //   Removing: who was removed before counts as removed. WOULD_LOSE_QUORUM when it is the last
  //   voter, or of those that would be left no majority is heard.
  //   Promoting: NOT_CAUGHT_UP.
  //   MEMBER_NOT_FOUND, MEMBERSHIP_CHANGE_PENDING, MEMBER_TOO_OLD, TOO_MANY_MEMBERS, OVERLOADED.
  void Request(Change change, MonotonicNanos deadline, Done done);

  // Goes on with what is under way; every tick, and after each turn.
  void Advance();
  // Refuses what waits: this member is stopping.
  void Shutdown();

 private:
  struct Waiting {
    Change change;
    MonotonicNanos deadline;
    MonotonicNanos patience;  // Until when another change may be under way.
    Done done;
    bool proposed = false;  // Some step of it is in the log.
    // The last round that each voter who is to be left had answered, when that was looked at first.
    std::map<raft::NodeId, raft::RoundId> answered = {};
  };
  // What a learner is measured by: it has all that the leader had at a moment, so long after.
  struct CatchUp {
    raft::LogIndex target;
    MonotonicNanos began = 0;
    bool caught_up = false;
  };
  // What is done next for a request: nothing while another step is under way, the end, or a step.
  struct Wait {};
  struct End {
    absl::StatusOr<uint64_t> result;
  };
  using Step = std::variant<Wait, End, log::v1::ClusterConfiguration>;

  bool is_pending() const;
  bool IsVoter(uint64_t id) const;
  // Whose time is over, or who has waited long enough for another change.
  void GiveUpLate();
  void FollowLearners();
  // Whether those whom a joint configuration leaves out know that it is committed, or are away.
  bool HaveLeaversHeard() const;
  void LeaveJoint();
  void PromoteCaughtUp();
  // Whether there is more to do at once.
  bool AdvanceFront();
  Step Next(Waiting* waiting);
  Step NextOf(Waiting* waiting, const Adding& adding);
  Step NextOf(Waiting* waiting, const Removing& removing);
  Step NextOf(Waiting* waiting, const Promoting& promoting);
  Step NextOf(Waiting* waiting, const Updating& updating);
  // Of the voters that `ids` has, a majority is heard.
  bool HasQuorum(const raft::Configuration& ids) const;
  // A majority has answered since this was asked first. Who was heard within an election timeout
  // may have died since, and a change that needs it would leave nobody who can lead.
  bool HasQuorumSince(const raft::Configuration& ids, Waiting* waiting) const;
  absl::Status Propose(const log::v1::ClusterConfiguration& record);
  void EndFront(absl::StatusOr<uint64_t> result);
  void Refuse(const absl::Status& unproposed, const absl::Status& proposed);

  raft::RaftDriver& driver_;
  MemberDirectory& directory_;
  const MonotonicClock& clock_;
  const Times times_;
  std::list<Waiting> waiting_;  // At most kMembershipChangesMax.
  std::map<uint64_t, CatchUp> learners_;
  raft::Term term_;                 // That learners_ is of.
  MonotonicNanos joint_since_ = 0;  // Since when a joint configuration is committed; 0: none is.
  bool advancing_ = false;
};

}  // namespace raftkv::kv
