// Leaders: thesis §3.5 (replication), §3.6.2 (commitment), §10.2.1 and §10.2.2 (pipelining, writing
// in parallel).
#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "raft/core/quorum.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {

void RaftCore::BecomeLeader(EventCause cause) {
  CHECK(role() == RaftRole::kCandidate);
  Leader leader;
  leader.term_start = log_.last().index.Next();
  leader.uncommitted_bytes = log_.BytesAfter(log_.commit_index());
  UpdateFollowers(leader);
  role_ = std::move(leader);
  CHECK_EQ(leader_of_term_, kNobody);
  leader_of_term_ = self_;
  // Thesis §6.4: committing an entry of its own term tells the leader what is committed.
  AppendOwnEntry(EntryKind::kNoOp, "", cluster_time_);
  EmitEvent(Event::Kind::kRoleChanged, std::move(cause));
}

void RaftCore::TickLeader(Leader& leader) {
  for (auto& [peer, progress] : leader.followers) {
    progress.Tick(log_.last().index);
  }
  // Thesis §4.2.2. It led until its removal was committed, and to the next tick, so that the others
  // hear of that.
  if (!configuration().IsVoter(self_) &&
      log_.configurations().active_index() <= log_.commit_index()) {
    return BecomeFollower(term(), kNobody, {.reason = EventCause::Reason::kRemoved});
  }
  // A leader that cannot write would hold the cluster up for as long as its heartbeats go out.
  if (DiskIsStalled()) {
    return BecomeFollower(
        term(), kNobody,
        {.reason = EventCause::Reason::kDiskStalled, .ticks = config_.election_timeout_ticks});
  }
  if (!HasQuorumContact()) {
    return BecomeFollower(term(), kNobody, {.reason = EventCause::Reason::kQuorumLost});
  }
  TickHandover(leader);
  MaybeHandOverByPriority(leader);
  if (++leader.ticks_since_heartbeat >= config_.heartbeat_ticks) {
    leader.ticks_since_heartbeat = 0;
    if (leader.handover.has_value()) {
      leader.handover->asked = false;  // It may have been lost.
    }
    BeginRound(leader, /*with_learners=*/true);
  }
}

bool RaftCore::HasContact(NodeId peer) const {
  const FollowerProgress* const follower = progress(peer);
  return follower != nullptr && follower->is_heard();
}

bool RaftCore::HasQuorumContact() const {
  return IsQuorum(configuration(),
                  [this](NodeId voter) { return voter == self_ || HasContact(voter); });
}

absl::StatusOr<EntryId> RaftCore::Propose(std::string payload, ClusterMillis stamp) {
  const InvariantScope scope(this);
  RAFTKV_RETURN_IF_ERROR(CheckRoom(payload.size()));
  return AppendOwnEntry(EntryKind::kCommands, std::move(payload), stamp);
}

absl::Status RaftCore::CheckRoom(uint64_t payload_bytes) const {
  const Leader* leader = leader_role();
  if (leader == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("node ", self_.value(), " does not lead term ", term().value()));
  }
  if (leader->handover.has_value()) {
    return absl::UnavailableError(
        absl::StrCat("node ", self_.value(), " hands over to ", leader->handover->target.value()));
  }
  const uint64_t bytes = leader->uncommitted_bytes + payload_bytes + Entry::kOverheadBytes;
  // One entry is always possible, however large, or it never would be.
  if (bytes > config_.uncommitted_bytes_max && leader->uncommitted_bytes > 0) {
    return absl::ResourceExhaustedError(absl::StrCat("entries not yet committed would take ", bytes,
                                                     " bytes, the limit is ",
                                                     config_.uncommitted_bytes_max));
  }
  return absl::OkStatus();
}

EntryId RaftCore::AppendOwnEntry(EntryKind kind, std::string payload, ClusterMillis stamp,
                                 std::shared_ptr<const Configuration> configuration) {
  Entry entry{.id = {.term = term(), .index = log_.last().index.Next()},
              .kind = kind,
              .stamp = std::max(stamp, log_.last_stamp()),
              .payload = nullptr,
              .configuration = std::move(configuration)};
  if (!payload.empty()) {
    entry.payload = std::make_shared<const std::string>(std::move(payload));
  }
  const EntryId id = entry.id;
  std::get<Leader>(role_).uncommitted_bytes += entry.size_bytes();
  log_.Append(std::move(entry));
  return id;
}

// A message of a follower in this term. Null, and nothing to do, when this node does not lead it
// (any more), or nothing is sent to the peer (any more).
FollowerProgress* RaftCore::NoteContact(NodeId peer) {
  Leader* leader = leader_role();
  if (leader == nullptr) {
    return nullptr;
  }
  FollowerProgress* const progress = leader->Find(peer);
  if (progress != nullptr) {
    progress->OnContact();
  }
  return progress;
}

void RaftCore::HandleAppendAccepted(const Envelope& envelope, const AppendAccepted& reply) {
  FollowerProgress* progress = NoteContact(envelope.from);
  if (progress != nullptr && progress->OnAccepted(reply.match_index)) {
    MaybeCommit(std::get<Leader>(role_));
  }
}

void RaftCore::HandleAppendRejected(const Envelope& envelope, const AppendRejected& reply) {
  FollowerProgress* progress = NoteContact(envelope.from);
  if (progress == nullptr) {
    return;
  }
  // The follower's log up to the hint has at most the hint's term, so this leader's entries of
  // higher terms cannot agree with it.
  const LogIndex agree = log_.LastIndexWithTermAtMost(reply.hint.index, reply.hint.term);
  progress->OnRejected(reply.rejected_index, agree);
}

LogIndex RaftCore::QuorumIndex(const Leader& leader) const {
  return CommittedIndex(configuration(), [&](NodeId voter) {
    if (voter == self_) {
      return log_.durable_index();
    }
    const FollowerProgress* progress = leader.Find(voter);
    return progress == nullptr ? LogIndex(0) : progress->match_index();
  });
}

void RaftCore::MaybeCommit(Leader& leader) {
  const LogIndex reached = QuorumIndex(leader);
  // Thesis §3.6.2, figure 3.7: a majority that holds an entry of an earlier term does not keep it
  // from being overwritten; it is committed by what follows it.
  if (reached < leader.term_start) {
    return;
  }
  const LogIndex before = log_.commit_index();
  if (!log_.CommitTo(reached)) {
    return;
  }
  for (LogIndex index = before.Next(); index <= reached; index = index.Next()) {
    const uint64_t bytes = log_.At(index).size_bytes();
    CHECK_GE(leader.uncommitted_bytes, bytes);
    leader.uncommitted_bytes -= bytes;
  }
}

void RaftCore::SendCommitIndex() {
  const InvariantScope scope(this);
  Leader* leader = leader_role();
  if (leader == nullptr) {
    return;
  }
  leader->commit_index_wanted |=
      std::any_of(leader->followers.begin(), leader->followers.end(), [this](const auto& item) {
        return item.second.SafeCommitIndex(log_.commit_index()) > item.second.told_commit_index();
      });
}

void RaftCore::OnPartTaken(NodeId peer) {
  const InvariantScope scope(this);
  Leader* leader = leader_role();
  if (leader == nullptr) {
    return;
  }
  if (FollowerProgress* progress = leader->Find(peer)) {
    progress->OnPartTaken();
  }
}

void RaftCore::OnStreamLost(NodeId peer) {
  const InvariantScope scope(this);
  Leader* leader = leader_role();
  if (leader == nullptr) {
    return;
  }
  if (FollowerProgress* progress = leader->Find(peer)) {
    progress->OnStreamLost(log_.last().index);
  }
}

FollowerProgress* RaftCore::CloseLoad(NodeId peer) {
  const auto load = open_loads_.find(peer);
  CHECK(load != open_loads_.end()) << "no load for " << peer << " is open";
  const OpenLoad asked = load->second;
  open_loads_.erase(load);
  Leader* leader = leader_role();
  FollowerProgress* const progress =
      leader == nullptr || asked.asked_in != term() ? nullptr : leader->Find(peer);
  const bool wanted = progress != nullptr && asked.first == progress->next_index() &&
                      progress->WantsAppend(log_.last().index);
  return wanted ? progress : nullptr;
}

void RaftCore::OnEntriesLoaded(NodeId peer, EntryId previous, std::vector<Entry> entries) {
  const InvariantScope scope(this);
  CHECK(!entries.empty()) << "a load for " << peer << " found nothing";
  FollowerProgress* const progress = CloseLoad(peer);
  if (progress == nullptr) {
    return;
  }
  CHECK_EQ(previous.index.Next(), progress->next_index()) << "a load from another place";
  EntryId before = previous;
  for (const Entry& entry : entries) {
    CHECK_EQ(entry.id.index, before.index.Next());
    CHECK_GE(entry.id.term, before.term);
    before = entry.id;
  }
  CHECK_LE(before.index, log_.last().index);
  SendAppend(peer, *progress, previous, std::move(entries));
}

RaftCore::ReplicationStep RaftCore::NextStep(NodeId peer, const FollowerProgress& progress) const {
  if (!progress.WantsAppend(log_.last().index)) {
    return ReplicationStep::kNothing;
  }
  const LogIndex next = progress.next_index();
  const bool probing = progress.state() == FollowerProgress::State::kProbe;
  if (log_.TermAt(next.Previous()).has_value() && (probing || next >= log_.first_index())) {
    return ReplicationStep::kSend;
  }
  return open_loads_.contains(peer) ? ReplicationStep::kNothing : ReplicationStep::kLoad;
}

bool RaftCore::LeaderHasOutput(const Leader& leader) const {
  if (leader.commit_index_wanted || MayBeginRound(leader) || MayAskToStand(leader)) {
    return true;
  }
  return std::any_of(leader.followers.begin(), leader.followers.end(), [this](const auto& item) {
    return NextStep(item.first, item.second) != ReplicationStep::kNothing;
  });
}

void RaftCore::SendLeaderOutput(Leader& leader) {
  if (MayBeginRound(leader)) {
    BeginRound(leader, /*with_learners=*/false);
  }
  for (auto& [peer, progress] : leader.followers) {
    Replicate(peer, progress);
  }
  if (MayAskToStand(leader)) {
    leader.handover->asked = true;
    Send(leader.handover->target, term(), TimeoutNow());
  }
  if (std::exchange(leader.commit_index_wanted, false)) {
    SendUntoldCommitIndex(leader);
  }
}

void RaftCore::Replicate(NodeId peer, FollowerProgress& progress) {
  while (true) {
    const ReplicationStep step = NextStep(peer, progress);
    if (step == ReplicationStep::kNothing) {
      return;
    }
    const LogIndex next = progress.next_index();
    if (step == ReplicationStep::kLoad) {
      open_loads_.emplace(peer, OpenLoad{.asked_in = term(), .first = next});
      output_.loads.push_back(
          {.peer = peer, .first = next, .bytes_max = progress.append_bytes_max()});
      return;
    }
    const EntryId previous{.term = *log_.TermAt(next.Previous()), .index = next.Previous()};
    std::vector<Entry> entries;
    if (progress.state() == FollowerProgress::State::kReplicate) {
      entries = log_.EntriesFrom(next, progress.append_bytes_max());
    }
    SendAppend(peer, progress, previous, std::move(entries));
  }
}

void RaftCore::SendAppend(NodeId peer, FollowerProgress& progress, EntryId previous,
                          std::vector<Entry> entries) {
  uint64_t bytes = 0;
  for (const Entry& entry : entries) {
    bytes += entry.size_bytes();
  }
  progress.OnSent(previous.index + entries.size(), bytes, log_.commit_index());
  Send(peer, term(),
       AppendRequest{.previous = previous,
                     .entries = std::move(entries),
                     .commit_index = log_.commit_index()});
}

void RaftCore::SendUntoldCommitIndex(Leader& leader) {
  for (auto& [peer, progress] : leader.followers) {
    const LogIndex safe = progress.SafeCommitIndex(log_.commit_index());
    if (safe > progress.told_commit_index()) {
      progress.OnCommitIndexSent(safe);
      Send(peer, term(),
           Heartbeat{.commit_index = safe, .round = RoundId(0), .held_by_all = held_by_all()});
    }
  }
}

}  // namespace raftkv::raft
