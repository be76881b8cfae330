#include "storage/snapshot_check.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/command_semantics.h"
#include "kv/limits.h"
#include "raft/wire/convert.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

constexpr size_t kStateFamily = 0;
constexpr size_t kLatestFamily = 1;
constexpr size_t kRequestsFamily = 3;
constexpr size_t kHistoryFamily = 4;
constexpr size_t kLeasesFamily = 5;

absl::Status BadSnapshot(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the snapshot ", what));
}

}  // namespace

std::optional<kv::AppliedState> SnapshotCheck::applied() const {
  std::optional<kv::AppliedState> applied = applied_;
  if (applied.has_value() && history_.has_value()) {
    applied->history = *history_;
  }
  return applied;
}

absl::Status SnapshotCheck::AddRow(const SnapshotRow& row) {
  if (row.family == kStateFamily) {
    return AddStateRow(row);
  }
  if (row.family == kLatestFamily) {
    const std::optional<LatestRecord> record = DecodeAndHashRecord(row.key, row.value);
    if (!record.has_value() || row.key.empty() || row.key.size() > kv::kKeyBytesMax) {
      return BadSnapshot("has a key's record that makes no sense");
    }
    rows_hash_ += record->header.row_hash;
    wanted_.AddRecord(row.key, record->header);
    leases_.AddRecord(row.key, record->header);
    return absl::OkStatus();
  }
  if (row.family == kRequestsFamily) {
    return AddRequestRow(row);
  }
  if (row.family == kHistoryFamily) {
    return AddEvent(row);
  }
  if (row.family == kLeasesFamily) {
    return AddLeaseRow(row);
  }
  if (!DecodeTtlKey(row.key).has_value() || !DecodeRowHash(row.value).has_value()) {
    return BadSnapshot("has a row of a deadline that makes no sense");
  }
  found_.AddRow(row.key, row.value);
  return absl::OkStatus();
}

absl::Status SnapshotCheck::AddRequestRow(const SnapshotRow& row) {
  if (!applied_.has_value() || !requests_.Add(row.key, row.value, *applied_)) {
    return BadSnapshot("has a row of a request id that makes no sense");
  }
  return absl::OkStatus();
}

absl::Status SnapshotCheck::AddLeaseRow(const SnapshotRow& row) {
  if (!leases_.Add(row.key, row.value)) {
    return BadSnapshot("has a row of a lease that makes no sense");
  }
  return absl::OkStatus();
}

absl::Status SnapshotCheck::AddEvent(const SnapshotRow& row) {
  const std::optional<kv::HistoryEvent> event = DecodeEvent(row.key, row.value);
  if (!event.has_value() || event->key.size() > kv::kKeyBytesMax) {
    return BadSnapshot("has an event that makes no sense");
  }
  // They come by revision, so the first and the last tell.
  if (!history_.has_value() || event->revision <= history_->removed ||
      event->revision > history_->last()) {
    return BadSnapshot(absl::StrCat("has an event of revision ", event->revision,
                                    ", which its history does not reach to"));
  }
  return absl::OkStatus();
}

absl::Status SnapshotCheck::AddStateRow(const SnapshotRow& row) {
  if (row.key == kAppliedKey) {
    applied_ = DecodeAppliedState(row.value);
    if (!applied_.has_value()) {
      return BadSnapshot("has no sense in what it applied");
    }
    return kv::CheckClusterVersion(applied_->cluster_version);
  }
  if (row.key == kConfigurationKey) {
    log::v1::ClusterConfiguration configuration;
    if (!configuration.ParseFromArray(row.value.data(), static_cast<int>(row.value.size()))) {
      return BadSnapshot("has a configuration that makes no sense");
    }
    if (configuration.cluster_id() != cluster_id_) {
      return BadSnapshot(
          absl::StrCat("is of cluster ", configuration.cluster_id(), ", not of ", cluster_id_));
    }
    RAFTKV_ASSIGN_OR_RETURN(configuration_, wire::FromProto(configuration));
    return absl::OkStatus();
  }
  if (row.key == kHistoryKey) {
    history_ = DecodeHistoryState(row.value);
    return history_.has_value() ? absl::OkStatus() : BadSnapshot("has no sense in its history");
  }
  log::v1::MemberRecord record;
  if (!absl::StartsWith(row.key, kMemberRecordPrefix) ||
      !record.ParseFromArray(row.value.data(), static_cast<int>(row.value.size())) ||
      row.key != EncodeMemberRecordKey(record.member_id())) {
    return BadSnapshot("has a row of `state` that makes no sense");
  }
  return absl::OkStatus();
}

absl::Status SnapshotCheck::CheckWhole(const SnapshotChunkReader& chunks) const {
  if (!chunks.at_end()) {
    return BadSnapshot("is cut off");
  }
  if (!applied_.has_value() || applied_->id != point_.last || applied_->stamp != point_.stamp) {
    return BadSnapshot(absl::StrCat(
        "stands at entry ", applied_.value_or(kv::AppliedState()).id.index.value(), " of term ",
        applied_.value_or(kv::AppliedState()).id.term.value(), ", and was said to stand at entry ",
        point_.last.index.value(), " of term ", point_.last.term.value()));
  }
  if (!configuration_.has_value()) {
    return BadSnapshot("has no configuration");
  }
  if (applied_->key_count != static_cast<int64_t>(chunks.totals().rows[kLatestFamily])) {
    return BadSnapshot(absl::StrCat("has ", chunks.totals().rows[kLatestFamily],
                                    " keys, and says that it has ", applied_->key_count));
  }
  if (applied_->rows_hash != rows_hash_) {
    return BadSnapshot(
        absl::StrCat("has keys that are not those of its state: their hashes come to ", rows_hash_,
                     ", and it says that they come to ", applied_->rows_hash));
  }
  if (wanted_ != found_) {
    return BadSnapshot(absl::StrCat("has ", found_.count, " rows of deadlines that are not those ",
                                    "of its ", wanted_.count, " keys with one"));
  }
  RAFTKV_RETURN_IF_ERROR(CheckHistory(chunks));
  RAFTKV_RETURN_IF_ERROR(leases_.Check(*applied_));
  return requests_.Check(*applied_);
}

absl::Status SnapshotCheck::CheckHistory(const SnapshotChunkReader& chunks) const {
  if (history_.has_value() != (applied_->cluster_version >= kv::kHistoryCommandVersion)) {
    return BadSnapshot(absl::StrCat("is of cluster version ", applied_->cluster_version,
                                    history_.has_value() ? ", and has" : ", and lacks",
                                    " a history"));
  }
  const uint64_t events = history_.value_or(kv::HistoryState()).events();
  if (chunks.totals().rows[kHistoryFamily] != events) {
    return BadSnapshot(absl::StrCat("has ", chunks.totals().rows[kHistoryFamily],
                                    " events, and says that it has ", events));
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
