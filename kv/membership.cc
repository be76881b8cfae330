#include "kv/membership.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "kv/errors.h"
#include "kv/limits.h"
#include "kv/member_list.h"
#include "raft/core/describe.h"
#include "raft/core/quorum.h"

namespace raftkv::kv {
namespace {

using log::v1::ClusterConfiguration;
using log::v1::ConfiguredMember;

}  // namespace

absl::Status CheckAddressFree(const ClusterConfiguration& record, absl::string_view peer_address,
                              uint64_t id) {
  for (const ConfiguredMember& other : record.members()) {
    if (other.id() != id && other.peer_address() == peer_address) {
      return MemberExistsError("peer_address", peer_address, other.id(), other.peer_address());
    }
  }
  return absl::OkStatus();
}

void Membership::Request(Change change, MonotonicNanos deadline, Done done) {
  if (waiting_.size() >= kMembershipChangesMax) {
    done(OverloadedError());
    return;
  }
  waiting_.push_back({.change = std::move(change),
                      .deadline = deadline,
                      .patience = clock_.Now() + times_.wait,
                      .done = std::move(done)});
  Advance();
}

void Membership::Shutdown() { Refuse(ShuttingDownError(), ChangeUnknownError()); }

void Membership::Refuse(const absl::Status& unproposed, const absl::Status& proposed) {
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    waiting.done(waiting.proposed ? proposed : unproposed);
  }
}

bool Membership::is_pending() const {
  return !driver_.core().is_configuration_committed() || driver_.core().configuration().IsJoint();
}

bool Membership::IsVoter(uint64_t id) const {
  return driver_.core().configuration().voters.contains(raft::NodeId(id));
}

void Membership::Advance() {
  // A callback may ask for the next change.
  if (advancing_) {
    return;
  }
  advancing_ = true;
  directory_.FollowLog(driver_.core().configuration_payload());
  if (driver_.core().role() != raft::RaftRole::kLeader) {
    // Each turn comes here, and hardly any has somebody to tell.
    if (!waiting_.empty()) {
      Refuse(NoLeaderError(), ChangeUnknownError());
    }
    learners_.clear();
  } else if (driver_.core().has_committed_in_term() && directory_.founded()) {
    FollowLearners();
    LeaveJoint();
    while (AdvanceFront()) {
    }
    PromoteCaughtUp();
  }
  GiveUpLate();
  advancing_ = false;
}

void Membership::GiveUpLate() {
  const MonotonicNanos now = clock_.Now();
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    const bool is_blocked = !waiting->proposed && now >= waiting->patience && is_pending();
    if (now < waiting->deadline && !is_blocked) {
      ++waiting;
      continue;
    }
    const Waiting late = std::move(*waiting);
    waiting = waiting_.erase(waiting);
    if (is_blocked) {
      late.done(MembershipChangePendingError(raft::Describe(driver_.core().configuration())));
    } else {
      late.done(late.proposed ? ChangeUnknownError() : NoLeaderError());
    }
  }
}

// Thesis §4.2.1: rounds, each of what came meanwhile, until one takes no longer than an election
// would be waited for.
void Membership::FollowLearners() {
  const raft::RaftCore& core = driver_.core();
  if (term_ != core.term()) {
    term_ = core.term();
    learners_.clear();
  }
  const std::set<raft::NodeId>& learners = core.configuration().learners;
  std::erase_if(learners_,
                [&](const auto& item) { return !learners.contains(raft::NodeId(item.first)); });
  const MonotonicNanos now = clock_.Now();
  for (const raft::NodeId id : learners) {
    const raft::FollowerProgress* const progress = core.progress(id);
    CatchUp& round = learners_[id.value()];
    if (progress == nullptr || !progress->is_heard()) {
      round = CatchUp();
      continue;
    }
    if (round.began != 0 && progress->match_index() >= round.target) {
      round.caught_up = now - round.began <= times_.election_timeout;
      round.began = 0;
    } else if (round.began != 0 && now - round.began > times_.election_timeout) {
      round.caught_up = false;
    }
    // Nothing is known of a follower that has acknowledged nothing.
    if (round.began == 0 && progress->match_index() > raft::LogIndex(0)) {
      round.target = core.last_entry().index;
      round.began = now;
    }
  }
}

// From the joint step on the leader takes nothing from who goes; so with that it has heard what
// became of all that it has asked for.
bool Membership::HaveLeaversHeard() const {
  const raft::RaftCore& core = driver_.core();
  const raft::Configuration& joint = core.configuration();
  return std::all_of(
      joint.outgoing_voters.begin(), joint.outgoing_voters.end(), [&](raft::NodeId voter) {
        const raft::FollowerProgress* const progress = core.progress(voter);
        return joint.voters.contains(voter) || progress == nullptr || !progress->is_heard() ||
               progress->told_commit_index() >= core.configuration_index();
      });
}

void Membership::LeaveJoint() {
  const raft::RaftCore& core = driver_.core();
  if (!core.configuration().IsJoint() || !core.is_configuration_committed()) {
    joint_since_ = 0;
    return;
  }
  const MonotonicNanos now = clock_.Now();
  joint_since_ = joint_since_ == 0 ? now : joint_since_;
  if (HaveLeaversHeard() || now - joint_since_ >= times_.election_timeout) {
    if (const absl::Status left = Propose(Left(directory_.newest())); !left.ok()) {
      VLOG(1) << "the joint configuration is not left yet: " << left;
    }
  }
}

void Membership::PromoteCaughtUp() {
  if (!waiting_.empty() || is_pending()) {
    return;
  }
  for (const auto& [id, round] : learners_) {
    const ConfiguredMember* const member = FindMember(directory_.newest(), id);
    if (round.caught_up && member != nullptr && !member->stay_learner()) {
      const absl::Status proposed = Propose(kv::Promoting(directory_.newest(), id));
      if (proposed.ok()) {
        LOG(INFO) << "member " << id << " \"" << FindMember(directory_.newest(), id)->name()
                  << "\" has caught up: it is to vote";
      }
      return;
    }
  }
}

bool Membership::AdvanceFront() {
  if (waiting_.empty()) {
    return false;
  }
  Waiting& front = waiting_.front();
  Step step = Next(&front);
  if (auto* end = std::get_if<End>(&step); end != nullptr) {
    EndFront(std::move(end->result));
    return true;
  }
  if (const auto* record = std::get_if<ClusterConfiguration>(&step); record != nullptr) {
    const absl::Status proposed = Propose(*record);
    if (proposed.ok()) {
      front.proposed = true;
    } else if (!absl::IsFailedPrecondition(proposed) && !absl::IsResourceExhausted(proposed) &&
               !absl::IsUnavailable(proposed)) {
      EndFront(proposed);
      return true;
    }
  }
  return false;
}

void Membership::EndFront(absl::StatusOr<uint64_t> result) {
  const Waiting front = std::move(waiting_.front());
  waiting_.pop_front();
  front.done(std::move(result));
}

Membership::Step Membership::Next(Waiting* waiting) {
  if (directory_.cluster_version() < kMembershipVersion) {
    if (directory_.MayComeTo(kMembershipVersion) && clock_.Now() < waiting->patience) {
      return Wait{};
    }
    return End{ClusterTooOldError(kMembershipVersion, directory_.cluster_version())};
  }
  Step step =
      std::visit([&](const auto& change) { return NextOf(waiting, change); }, waiting->change);
  // What is refused is refused whatever is under way; all else comes after it.
  return is_pending() && !std::holds_alternative<End>(step) ? Step(Wait{}) : step;
}

Membership::Step Membership::NextOf(Waiting* /*waiting*/, const Adding& adding) {
  const ClusterConfiguration& record = directory_.newest();
  for (const ConfiguredMember& member : record.members()) {
    if (member.data_id() == adding.data_id && member.name() == adding.name) {
      // As long as it is only in the log it may be cut off again.
      const bool applied = FindMember(*directory_.configuration(), member.id()) != nullptr;
      return applied ? Step(End{member.id()}) : Step(Wait{});
    }
    if (member.name() == adding.name) {
      return End{MemberExistsError("name", adding.name, member.id(), member.peer_address())};
    }
    if (member.peer_address() == adding.peer_address) {
      return End{MemberExistsError("peer_address", adding.peer_address, member.id(),
                                   member.peer_address())};
    }
  }
  if (static_cast<uint64_t>(record.members_size()) >= kMembersMax) {
    return End{TooManyMembersError(kMembersMax)};
  }
  ConfiguredMember member;
  member.set_name(adding.name);
  member.set_peer_address(adding.peer_address);
  member.set_data_id(adding.data_id);
  member.set_stay_learner(adding.stay_learner);
  return WithLearner(record, std::move(member));
}

Membership::Step Membership::NextOf(Waiting* waiting, const Removing& removing) {
  const ClusterConfiguration& record = directory_.newest();
  if (FindMember(record, removing.id) == nullptr) {
    if (!WasRemoved(record, removing.id)) {
      return End{MemberNotFoundError("id", absl::StrCat(removing.id))};
    }
    return directory_.IsRemoved(removing.id) ? Step(End{removing.id}) : Step(Wait{});
  }
  if (record.outgoing_voters_size() > 0) {
    return Wait{};
  }
  if (IsVoter(removing.id)) {
    if (record.voters_size() == 1) {
      return End{WouldLoseQuorumError(
          absl::StrCat("member ", removing.id, " is the last one that votes"))};
    }
    ClusterConfiguration without = kv::Removing(record, removing.id);
    const raft::Configuration left = IdsOf(Left(without));
    const bool is_heard = HasQuorum(left);
    if (is_heard && HasQuorumSince(left, waiting)) {
      return without;
    }
    if (!is_heard || clock_.Now() >= waiting->patience) {
      return End{WouldLoseQuorumError(
          absl::StrCat("without member ", removing.id,
                       " no majority of the voters that are left is heard: start "
                       "or remove those first that are down"))};
    }
    return Wait{};
  }
  return kv::Removing(record, removing.id);
}

Membership::Step Membership::NextOf(Waiting* waiting, const Promoting& promoting) {
  const ClusterConfiguration& record = directory_.newest();
  if (FindMember(record, promoting.id) == nullptr) {
    return End{MemberNotFoundError("id", absl::StrCat(promoting.id))};
  }
  if (IsVoter(promoting.id)) {
    return is_pending() ? Step(Wait{}) : Step(End{promoting.id});
  }
  const auto found = learners_.find(promoting.id);
  if (found == learners_.end() || !found->second.caught_up) {
    // A round takes a moment, also of one that has all.
    if (clock_.Now() < waiting->patience && found != learners_.end() && found->second.began != 0) {
      return Wait{};
    }
    return End{NotCaughtUpError(absl::StrCat(
        "member ", promoting.id, " does not have yet what the leader has, or does not answer"))};
  }
  if (record.outgoing_voters_size() > 0) {
    return Wait{};
  }
  return kv::Promoting(record, promoting.id);
}

Membership::Step Membership::NextOf(Waiting* /*waiting*/, const Updating& updating) {
  const ClusterConfiguration& record = directory_.newest();
  const ConfiguredMember* const member = FindMember(record, updating.id);
  if (member == nullptr) {
    return End{MemberNotFoundError("id", absl::StrCat(updating.id))};
  }
  if (const absl::Status is_free = CheckAddressFree(record, updating.peer_address, updating.id);
      !is_free.ok()) {
    return End{is_free};
  }
  if (member->peer_address() == updating.peer_address) {
    return is_pending() ? Step(Wait{}) : Step(End{updating.id});
  }
  return WithPeerAddress(record, updating.id, updating.peer_address);
}

bool Membership::HasQuorum(const raft::Configuration& ids) const {
  const raft::RaftCore& core = driver_.core();
  return raft::IsQuorum(
      ids, [&core](raft::NodeId voter) { return voter == core.self() || core.HasContact(voter); });
}

bool Membership::HasQuorumSince(const raft::Configuration& ids, Waiting* waiting) const {
  const raft::RaftCore& core = driver_.core();
  return raft::IsQuorum(ids, [&core, waiting](raft::NodeId voter) {
    const raft::FollowerProgress* progress = core.progress(voter);
    if (progress == nullptr) {
      return voter == core.self();
    }
    const auto [asked, is_new] = waiting->answered.emplace(voter, progress->answered_round());
    return !is_new && progress->answered_round() > asked->second;
  });
}

absl::Status Membership::Propose(const ClusterConfiguration& record) {
  RAFTKV_RETURN_IF_ERROR(
      driver_.ProposeConfiguration(IdsOf(record), record.SerializeAsString()).status());
  directory_.FollowLog(driver_.core().configuration_payload());
  return absl::OkStatus();
}

}  // namespace raftkv::kv
