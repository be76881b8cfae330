// What a database holds, read and checked for sense: DatabaseReader reads what is the member's own,
// GenerationReader a replicated state. Every method fails with DataLoss, saying what is corrupted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "raft/core/raft_core.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "storage/generation.h"
#include "storage/key_layout.h"
#include "storage/own_families.h"
#include "storage/restore_record.h"

namespace raftkv::storage {

// Who a member is. Name, member and cluster are empty before founding.
struct MemberIdentity {
  uint64_t data_id = 0;
  std::string name;
  uint64_t member_id = 0;
  uint64_t cluster_id = 0;
  // Which state is the member's.
  uint64_t generation = 0;
};

// Borrows everything. Thread-safe; touches the disk.
class DatabaseReader {
 public:
  // Rows in `unreplayed`, if it is given, stand for those of `meta` in the database: they are in
  // its write-ahead log and were not let in.
  explicit DatabaseReader(const OwnFamilies& families,
                          const std::map<std::string, std::string>* unreplayed = nullptr)
      : families_(families), unreplayed_(unreplayed) {}

  // FailedPrecondition when the format version is not ours.
  absl::StatusOr<MemberIdentity> ReadIdentity() const;
  // Which state is the member's; 0 when no row says so.
  absl::StatusOr<uint64_t> ReadGeneration() const;
  absl::StatusOr<raft::HardState> ReadHardState() const;
  // As saved; of term 0 when it never was.
  absl::StatusOr<raft::ClusterReading> ReadSavedClusterClock() const;
  // nullopt: the directory was not made from a backup.
  absl::StatusOr<std::optional<RestoreRecord>> ReadRestoreRecord() const;

  // What the first entry of the log follows; zero when that is the first of all.
  absl::StatusOr<LogEdge> ReadLogStart() const;
  // The last entry of the log; that before the first when it is empty.
  absl::StatusOr<LogEdge> ReadLogEnd() const;
  // The term of the entry at `index`, also of the one before the first; nothing when there is no
  // such entry.
  absl::StatusOr<std::optional<raft::Term>> ReadTerm(raft::LogIndex index) const;
  // Fills `previous` and `tail`, going back from the end of the log: all that is not applied, and
  // what else fits into `bytes_max`. REQUIRES: restored->applied is set.
  absl::Status ReadTail(uint64_t bytes_max, raft::RestoredState* restored) const;

 private:
  absl::StatusOr<std::optional<std::string>> ReadMeta(absl::string_view key) const;

  const OwnFamilies families_;
  const std::map<std::string, std::string>* const unreplayed_;
};

// What a replicated state holds besides its keys.
struct GenerationContent {
  kv::AppliedState applied;
  // As of the applied index; nullopt before the founding.
  std::optional<log::v1::ClusterConfiguration> configuration;
  std::map<uint64_t, log::v1::MemberRecord> member_records;
  raft::ClusterMillis earliest_deadline;  // 0 when no key has a deadline.
  kv::LeaseTable leases;
};

// Borrows the generation. Thread-safe; touches the disk.
class GenerationReader {
 public:
  explicit GenerationReader(const Generation& generation) : generation_(generation) {}

  absl::StatusOr<GenerationContent> Read() const;

 private:
  absl::StatusOr<kv::AppliedState> ReadAppliedState() const;
  absl::StatusOr<std::optional<log::v1::ClusterConfiguration>> ReadConfiguration() const;
  absl::StatusOr<std::map<uint64_t, log::v1::MemberRecord>> ReadMemberRecords() const;
  absl::StatusOr<raft::ClusterMillis> ReadEarliestDeadline() const;
  absl::StatusOr<kv::LeaseTable> ReadLeases() const;

  const Generation& generation_;
};

}  // namespace raftkv::storage
