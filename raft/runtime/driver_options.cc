#include "raft/runtime/driver_options.h"

#include "absl/strings/str_cat.h"

namespace raftkv::raft {
namespace {

absl::Status AtLeastOne(const char* field, int64_t value) {
  if (value >= 1) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, ", must be at least 1"));
}

}  // namespace

absl::Status DriverOptions::Validate() const {
  absl::Status status;
  status.Update(
      AtLeastOne("uncommitted_entries_max", static_cast<int64_t>(uncommitted_entries_max)));
  status.Update(AtLeastOne("uncommitted_large_entries_max",
                           static_cast<int64_t>(uncommitted_large_entries_max)));
  status.Update(AtLeastOne("entry_commands_max", static_cast<int64_t>(entry_commands_max)));
  status.Update(AtLeastOne("entry_bytes_max", static_cast<int64_t>(entry_bytes_max)));
  status.Update(AtLeastOne("apply_bytes_max", static_cast<int64_t>(apply_bytes_max)));
  status.Update(AtLeastOne("proposals_max", static_cast<int64_t>(proposals_max)));
  status.Update(AtLeastOne("proposal_bytes_max", static_cast<int64_t>(proposal_bytes_max)));
  status.Update(AtLeastOne("forwarded_max", static_cast<int64_t>(forwarded_max)));
  status.Update(AtLeastOne("forwarded_bytes_max", static_cast<int64_t>(forwarded_bytes_max)));
  status.Update(AtLeastOne("reads_max", static_cast<int64_t>(reads_max)));
  status.Update(AtLeastOne("log_bytes_max", static_cast<int64_t>(log_bytes_max)));
  status.Update(AtLeastOne("log_entries_kept", static_cast<int64_t>(log_entries_kept)));
  status.Update(AtLeastOne("snapshots_max", static_cast<int64_t>(snapshots_max)));
  status.Update(AtLeastOne("snapshot_retry_after", snapshot_retry_after));
  status.Update(AtLeastOne("leader_wait", leader_wait));
  status.Update(AtLeastOne("read_retry_after", read_retry_after));
  return status;
}

}  // namespace raftkv::raft
