#include <cstddef>
#include <cstdint>
#include <string>

#include "raft/core/output.h"
#include "raft/runtime/requests.h"
#include "server/metrics/families.h"

namespace raftkv::server {
namespace {

FamilyList::Labels PeerLabel(const std::string& name) { return {{"peer", name}}; }

void AddState(const LoopFigures& figures, FamilyList* list) {
  const raft::RaftStatus& raft = figures.raft;
  const auto is = [&raft](raft::RaftRole role) { return raft.role == role ? 1.0 : 0.0; };
  list->Gauge("raftkv_server_has_leader", "1 while this member knows who leads.",
              raft.leader == raft::kNobody ? 0 : 1);
  list->Gauge("raftkv_server_is_leader", "1 while this member leads.", raft.leads() ? 1 : 0);
  list->Gauge("raftkv_raft_state", "1 for what this member is doing in its term, 0 for the rest.",
              {{{{"state", "follower"}}, is(raft::RaftRole::kFollower)},
               {{{"state", "pre_candidate"}}, is(raft::RaftRole::kPreCandidate)},
               {{{"state", "candidate"}}, is(raft::RaftRole::kCandidate)},
               {{{"state", "leader"}}, is(raft::RaftRole::kLeader)}});
  list->Gauge("raftkv_raft_term", "The term.", raft.term.value());
  const auto index = [list](const char* name, const char* help, raft::LogIndex value) {
    list->Gauge(name, help, value.value());
  };
  index("raftkv_raft_first_index", "First entry of the log that is not trimmed.",
        figures.first_index);
  index("raftkv_raft_last_index", "Last entry of the log.", raft.last_entry.index);
  index("raftkv_raft_commit_index", "Last entry that is known to be committed.", raft.commit_index);
  index("raftkv_raft_applied_index", "Last entry that is applied.", raft.applied.index);
  index("raftkv_raft_disagreement_index",
        "Entry after which the members' states differ and no majority has the same, as this leader "
        "found; 0: none.",
        raft.disagreement);
  list->Gauge("raftkv_raft_low_disk_members",
              "Voters whose disks are nearly full, as far as this member knows.",
              raft.low_on_disk.size());
}

void AddElections(const RaftCounts::Counts& counts, FamilyList* list) {
  list->Counter("raftkv_server_leader_changes_seen_total",
                "Leaders of new terms that became known here, this member among them.",
                counts.leaders_seen);
  list->Counter("raftkv_raft_elections_total",
                "How often this member asked for pre-votes, for votes, and won.",
                {{{{"step", "pre_vote"}}, counts.pre_votes},
                 {{{"step", "vote"}}, counts.votes},
                 {{{"step", "won"}}, counts.elections_won}});
  const auto ended = [&counts](RaftCounts::End end) {
    return counts.leaderships_ended[static_cast<size_t>(end)];
  };
  list->Counter("raftkv_raft_leaderships_ended_total", "Why this member stopped leading.",
                {{{{"reason", "higher_term"}}, ended(RaftCounts::End::kHigherTerm)},
                 {{{"reason", "quorum_lost"}}, ended(RaftCounts::End::kQuorumLost)},
                 {{{"reason", "disk_stalled"}}, ended(RaftCounts::End::kDiskStalled)},
                 {{{"reason", "removed"}}, ended(RaftCounts::End::kRemoved)},
                 {{{"reason", "retired"}}, ended(RaftCounts::End::kRetired)},
                 {{{"reason", "other"}}, ended(RaftCounts::End::kOther)}});
}

void AddRequests(const LoopFigures& figures, FamilyList* list) {
  const RaftCounts::Counts& counts = figures.raft_counts;
  const auto proposals = [&counts](raft::ProposalResult result) {
    return counts.proposals[static_cast<size_t>(result)];
  };
  const auto reads = [&counts](raft::ReadResult result) {
    return counts.reads[static_cast<size_t>(result)];
  };
  list->Gauge("raftkv_server_proposals_pending",
              "Commands of this member's clients, and its own, that wait to be applied.",
              figures.raft.pending_proposals);
  list->Counter("raftkv_server_proposals_applied_total",
                "Commands of this member's clients, and its own, that were applied.",
                proposals(raft::ProposalResult::kApplied));
  list->Counter(
      "raftkv_server_proposals_failed_total", "Those that were not, or of which that is not known.",
      {{{{"reason", "no_leader"}}, proposals(raft::ProposalResult::kNoLeader)},
       {{{"reason", "overloaded"}}, proposals(raft::ProposalResult::kOverloaded)},
       {{{"reason", "shutting_down"}}, proposals(raft::ProposalResult::kShuttingDown)},
       {{{"reason", "outcome_unknown"}}, proposals(raft::ProposalResult::kOutcomeUnknown)}});
  list->Gauge("raftkv_server_reads_pending", "Linearizable reads that wait to be confirmed.",
              figures.raft.pending_reads);
  list->Counter("raftkv_server_reads_confirmed_total", "Linearizable reads that were confirmed.",
                reads(raft::ReadResult::kReady));
  list->Counter("raftkv_server_reads_failed_total", "Linearizable reads that were not.",
                {{{{"reason", "no_leader"}}, reads(raft::ReadResult::kNoLeader)},
                 {{{"reason", "behind"}}, reads(raft::ReadResult::kBehind)},
                 {{{"reason", "overloaded"}}, reads(raft::ReadResult::kOverloaded)},
                 {{{"reason", "shutting_down"}}, reads(raft::ReadResult::kShuttingDown)}});
  list->Distribution("raftkv_raft_entry_commands", "Commands in an entry that this leader made.", 1,
                     {{{}, counts.entry_commands}});
  list->Counter("raftkv_raft_proposed_bytes_total", "Commands in entries that this leader made.",
                counts.proposed_bytes);
  list->Durations("raftkv_raft_apply_duration_seconds",
                  "How long applying took the event loop, for a run of entries each.",
                  counts.apply_nanos);
}

void AddSnapshots(const LoopFigures& figures, FamilyList* list) {
  const RaftCounts::Counts& counts = figures.raft_counts;
  uint64_t under_way = 0;
  FamilyList::Samples bytes;
  for (const PeerFigures& peer : figures.peers.peers) {
    under_way += peer.snapshot_under_way ? 1 : 0;
    bytes.emplace_back(PeerLabel(peer.name), peer.snapshot_sent_bytes);
  }
  list->Gauge("raftkv_snapshot_sends_in_progress", "Snapshots that this leader is bringing.",
              under_way);
  list->Counter("raftkv_snapshot_sends_total",
                "Snapshots that this leader brought, or failed to bring.",
                {{{{"result", "success"}}, counts.snapshots_sent},
                 {{{"result", "failure"}}, counts.snapshots_not_sent}});
  list->Counter("raftkv_snapshot_sent_bytes_total", "Of snapshots, sent to each member.", bytes);
  list->Counter("raftkv_snapshot_installs_total",
                "Snapshots that took the place of this member's state.",
                counts.snapshots_installed);
  list->Counter("raftkv_snapshots_outrun_total",
                "Snapshots given up because the log grew too large meanwhile.",
                counts.snapshots_outrun);
  list->Counter("raftkv_raft_log_trims_total", "How often old entries were forgotten.",
                counts.log_trims);
  list->Counter("raftkv_raft_log_truncations_total",
                "How often entries that were not committed gave way to the leader's.",
                counts.log_truncations);
  list->Counter("raftkv_raft_members_found_differing_total",
                "How often this leader found the state of a member to be wrong.",
                counts.members_found_differing);
}

void AddPeers(const LoopFigures& figures, FamilyList* list) {
  FamilyList::Samples lag;
  FamilyList::Samples match;
  FamilyList::Samples heard;
  for (const FollowerFigures& follower : figures.followers) {
    const uint64_t last = figures.raft.last_entry.index.value();
    lag.emplace_back(PeerLabel(follower.name), last - follower.match_index.value());
    match.emplace_back(PeerLabel(follower.name), follower.match_index.value());
    heard.emplace_back(PeerLabel(follower.name), follower.is_heard ? 1 : 0);
  }
  list->Gauge("raftkv_raft_follower_lag_entries",
              "Entries that a member is not known to hold; only the leader has it.", lag);
  list->Gauge("raftkv_raft_follower_match_index",
              "Last entry that a member is known to hold; only the leader has it.", match);
  list->Gauge("raftkv_raft_follower_is_heard",
              "1 while a member was heard within an election timeout; only the leader has it.",
              heard);
  FamilyList::Samples connected;
  FamilyList::Samples sent;
  FamilyList::Samples received;
  FamilyList::Histograms round_trips;
  for (const PeerFigures& peer : figures.peers.peers) {
    const FamilyList::Labels label = PeerLabel(peer.name);
    connected.emplace_back(label, peer.is_connected ? 1 : 0);
    sent.emplace_back(label, peer.traffic.sent_bytes);
    received.emplace_back(label, peer.traffic.received_bytes);
    round_trips.emplace_back(label, peer.round_trip_nanos);
  }
  list->Gauge("raftkv_network_peer_is_connected", "1 while the connection to a member stands.",
              connected);
  list->Counter("raftkv_network_peer_sent_bytes_total",
                "Frames sent on the streams with a member, without snapshots.", sent);
  list->Counter("raftkv_network_peer_received_bytes_total",
                "Frames received on the streams with a member, without snapshots.", received);
  list->Distribution("raftkv_network_peer_round_trip_time_seconds",
                     "From a question to a member to its answer, once a second.", kNanosPerSecond,
                     round_trips);
  list->Counter("raftkv_network_peer_refused_calls_total",
                "Calls at the peer port that were refused.", figures.peers.refused_calls);
}

}  // namespace

void AddRaft(const LoopFigures& figures, FamilyList* list) {
  AddState(figures, list);
  AddElections(figures.raft_counts, list);
  AddRequests(figures, list);
  AddSnapshots(figures, list);
  AddPeers(figures, list);
}

}  // namespace raftkv::server
