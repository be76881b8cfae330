// RaftCounts counts what the driver tells of, and tells it on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/histogram.h"
#include "raft/runtime/driver_observer.h"

namespace raftkv::server {

// Confined to the loop.
class RaftCounts final : public raft::DriverObserver {
 public:
  // Why a leader stopped leading. kOther: it was not meant to.
  enum class End { kHigherTerm, kQuorumLost, kDiskStalled, kRemoved, kRetired, kOther };
  static constexpr size_t kEnds = 6;
  static constexpr size_t kProposalResults = 5;
  static constexpr size_t kReadResults = 5;

  // Since the start.
  struct Counts {
    // A leader of a term became known here, this member or another.
    uint64_t leaders_seen = 0;
    // This member asked for pre-votes, for votes, and won.
    uint64_t pre_votes = 0;
    uint64_t votes = 0;
    uint64_t elections_won = 0;
    std::array<uint64_t, kEnds> leaderships_ended = {};
    // Of this member's clients, by how they were answered.
    std::array<uint64_t, kProposalResults> proposals = {};
    std::array<uint64_t, kReadResults> reads = {};
    // Of entries that this member proposed.
    Histogram entry_commands = Histogram(1, 11);
    uint64_t proposed_bytes = 0;
    Histogram apply_nanos = Histogram::OfDurations();
    uint64_t log_trims = 0;
    uint64_t log_truncations = 0;
    uint64_t snapshots_sent = 0;
    uint64_t snapshots_not_sent = 0;
    uint64_t snapshots_outrun = 0;
    uint64_t snapshots_installed = 0;
    // As a leader, of others.
    uint64_t members_found_differing = 0;
  };

  // Borrows who hears of everything next.
  explicit RaftCounts(raft::DriverObserver* next) : next_(*next) {}

  const Counts& counts() const { return counts_; }

  void OnEvent(const raft::Event& event) override;
  void OnEntryProposed(uint64_t commands, uint64_t bytes) override;
  void OnApplied(uint64_t entries, MonotonicNanos took) override;
  void OnProposalAnswered(raft::ProposalResult result) override;
  void OnReadAnswered(raft::ReadResult result) override;
  void OnSnapshotSent(raft::NodeId peer, const absl::Status& status) override;
  void OnReadAsked(raft::ReadId id, raft::NodeId asker) override;
  void OnReadOutcome(const raft::ReadOutcome& outcome) override;
  void OnLogTrimmed(raft::LogIndex through, raft::LogIndex held_by_all) override;
  void OnSnapshotOutrun(raft::NodeId peer, raft::LogIndex through) override;
  void OnLowOnDisk(const std::vector<raft::NodeId>& members) override;
  void OnStateDiffers(const raft::StateDifference& difference) override;
  void OnMemberDiffers(raft::NodeId member, const raft::StateDifference& difference) override;
  void OnStatesDisagree(raft::LogIndex index) override;

 private:
  void OnRole(const raft::Event& event);
  void OnLeader(raft::NodeId leader, raft::Term term);

  raft::DriverObserver& next_;
  Counts counts_;
  raft::RaftRole role_ = raft::RaftRole::kFollower;
  // Of whom leaders_seen has counted.
  raft::Term led_term_;
};

}  // namespace raftkv::server
