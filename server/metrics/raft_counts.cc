#include "server/metrics/raft_counts.h"

namespace raftkv::server {
namespace {

using Reason = raft::EventCause::Reason;

RaftCounts::End EndOf(Reason reason) {
  switch (reason) {
    case Reason::kHigherTerm:
      return RaftCounts::End::kHigherTerm;
    case Reason::kQuorumLost:
      return RaftCounts::End::kQuorumLost;
    case Reason::kDiskStalled:
      return RaftCounts::End::kDiskStalled;
    case Reason::kRemoved:
      return RaftCounts::End::kRemoved;
    case Reason::kRetired:
      return RaftCounts::End::kRetired;
    default:
      return RaftCounts::End::kOther;
  }
}

}  // namespace

void RaftCounts::OnEvent(const raft::Event& event) {
  switch (event.kind) {
    case raft::Event::Kind::kRoleChanged:
      OnRole(event);
      break;
    case raft::Event::Kind::kLeaderChanged:
      OnLeader(event.leader, event.term);
      break;
    case raft::Event::Kind::kLogTruncated:
      ++counts_.log_truncations;
      break;
    case raft::Event::Kind::kSnapshotInstalled:
      ++counts_.snapshots_installed;
      break;
    case raft::Event::Kind::kConfigurationChanged:
    case raft::Event::Kind::kHandoverBegun:
    case raft::Event::Kind::kHandoverGivenUp:
      break;
  }
  next_.OnEvent(event);
}

void RaftCounts::OnRole(const raft::Event& event) {
  if (role_ == raft::RaftRole::kLeader) {
    ++counts_.leaderships_ended[static_cast<size_t>(EndOf(event.cause.reason))];
  }
  role_ = event.role;
  switch (event.role) {
    case raft::RaftRole::kPreCandidate:
      ++counts_.pre_votes;
      break;
    case raft::RaftRole::kCandidate:
      ++counts_.votes;
      break;
    case raft::RaftRole::kLeader:
      ++counts_.elections_won;
      break;
    case raft::RaftRole::kFollower:
      break;
  }
  OnLeader(event.leader, event.term);
}

// A term has one leader at most (thesis §3.2), so a term is counted once.
void RaftCounts::OnLeader(raft::NodeId leader, raft::Term term) {
  if (leader != raft::kNobody && term > led_term_) {
    led_term_ = term;
    ++counts_.leaders_seen;
  }
}

void RaftCounts::OnEntryProposed(uint64_t commands, uint64_t bytes) {
  counts_.entry_commands.Observe(static_cast<int64_t>(commands));
  counts_.proposed_bytes += bytes;
  next_.OnEntryProposed(commands, bytes);
}

void RaftCounts::OnApplied(uint64_t entries, MonotonicNanos took) {
  counts_.apply_nanos.Observe(took);
  next_.OnApplied(entries, took);
}

void RaftCounts::OnProposalAnswered(raft::ProposalResult result) {
  ++counts_.proposals[static_cast<size_t>(result)];
  next_.OnProposalAnswered(result);
}

void RaftCounts::OnReadAnswered(raft::ReadResult result) {
  ++counts_.reads[static_cast<size_t>(result)];
  next_.OnReadAnswered(result);
}

void RaftCounts::OnSnapshotSent(raft::NodeId peer, const absl::Status& status) {
  ++(status.ok() ? counts_.snapshots_sent : counts_.snapshots_not_sent);
  next_.OnSnapshotSent(peer, status);
}

void RaftCounts::OnReadAsked(raft::ReadId id, raft::NodeId asker) { next_.OnReadAsked(id, asker); }

void RaftCounts::OnReadOutcome(const raft::ReadOutcome& outcome) { next_.OnReadOutcome(outcome); }

void RaftCounts::OnLogTrimmed(raft::LogIndex through, raft::LogIndex held_by_all) {
  ++counts_.log_trims;
  next_.OnLogTrimmed(through, held_by_all);
}

void RaftCounts::OnSnapshotOutrun(raft::NodeId peer, raft::LogIndex through) {
  ++counts_.snapshots_outrun;
  next_.OnSnapshotOutrun(peer, through);
}

void RaftCounts::OnLowOnDisk(const std::vector<raft::NodeId>& members) {
  next_.OnLowOnDisk(members);
}

void RaftCounts::OnStateDiffers(const raft::StateDifference& difference) {
  next_.OnStateDiffers(difference);
}

void RaftCounts::OnMemberDiffers(raft::NodeId member, const raft::StateDifference& difference) {
  ++counts_.members_found_differing;
  next_.OnMemberDiffers(member, difference);
}

void RaftCounts::OnStatesDisagree(raft::LogIndex index) { next_.OnStatesDisagree(index); }

}  // namespace raftkv::server
