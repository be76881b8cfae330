#include "server/differing_state.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/stderr_pump.h"
#include "glog/logging.h"
#include "server/exit_code.h"
#include "storage/disk_failure.h"

namespace raftkv::server {

std::string Describe(const raft::StateDifference& difference) {
  const auto text = [](uint64_t hash) { return absl::StrCat(absl::Hex(hash, absl::kZeroPad16)); };
  return absl::StrCat("this member's state after entry ", difference.index.value(),
                      " has the hash ", text(difference.own_hash), ", but that of most voters has ",
                      text(difference.right_hash));
}

void EndDiffering(const std::string& what, storage::Storage* storage) {
  LOG(ERROR) << "stopping: " << what << ". " << storage::kDiffersRemedy;
  if (const absl::Status marked = storage->MarkDiffering(what); !marked.ok()) {
    LOG(ERROR) << "the data directory is not marked, and the next start will find out again: "
               << marked.message();
  }
  ExitAtOnce(kExitBadDirectory);
}

}  // namespace raftkv::server
