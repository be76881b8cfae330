#include "storage/revision_jump.h"

#include "glog/logging.h"
#include "kv/command_version.h"
#include "storage/key_layout.h"
#include "storage/restore_record.h"

namespace raftkv::storage {

void JumpRevisions(const Generation& generation, kv::AppliedState applied,
                   rocksdb::WriteBatch* batch) {
  const auto check = [](const rocksdb::Status& built) { CHECK(built.ok()) << built.ToString(); };
  const kv::HistoryState old = applied.history;
  applied.revision += kRevisionJump;
  check(batch->Put(generation.state, kAppliedKey, EncodeAppliedState(applied)));
  if (applied.cluster_version < kv::kHistoryCommandVersion) {
    return;
  }
  check(batch->Put(generation.state, kHistoryKey,
                   EncodeHistoryState(kv::BeginHistory(applied.revision))));
  if (old.events() > 0) {
    check(batch->DeleteRange(generation.history, EncodeHistoryKey(old.removed + 1, ""),
                             EncodeHistoryKey(old.last() + 1, "")));
  }
}

}  // namespace raftkv::storage
