#include "storage/later_families.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/command_version.h"
#include "storage/database_opening.h"
#include "storage/disk_failure.h"
#include "storage/generation.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

// They came together.
static_assert(kv::kTxnCommandVersion == kv::kHistoryCommandVersion &&
              kv::kTxnCommandVersion == kv::kLeaseCommandVersion);

absl::Status AddFamily(rocksdb::DB* db, const std::string& name, const StorageOptions& options,
                       const DatabaseMemory& memory, FamilyHandles* open) {
  const std::vector<rocksdb::ColumnFamilyDescriptor> family =
      MakeColumnFamilies(options, memory, {name});
  // A new family names the write-ahead log of now, and so vouches for the older ones (ADR 15).
  rocksdb::Status made = db->SyncWAL();
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  if (made.ok()) {
    made = db->CreateColumnFamily(family[0].options, name, &handle);
  }
  if (!made.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot add the column family `", name, "`: ", made.ToString()));
  }
  open->push_back(handle);
  return absl::OkStatus();
}

}  // namespace

absl::Status AddLaterFamilies(rocksdb::DB* db, uint64_t generation, const StorageOptions& options,
                              const DatabaseMemory& memory, FamilyHandles* open) {
  rocksdb::ColumnFamilyHandle* const state =
      FindFamily(*open, absl::StrCat(kStateFamilyPrefix, generation));
  if (state == nullptr) {
    return absl::OkStatus();
  }
  std::string bytes;
  const rocksdb::Status read = db->Get(rocksdb::ReadOptions(), state, kAppliedKey, &bytes);
  if (!read.ok() && !read.IsNotFound()) {
    return ReadFailure(NameOf(state), read);
  }
  const std::optional<kv::AppliedState> applied = DecodeAppliedState(bytes);
  if (read.ok() && (!applied.has_value() || applied->cluster_version >= kv::kTxnCommandVersion)) {
    return absl::OkStatus();
  }
  for (const char* prefix : {kRequestsFamilyPrefix, kHistoryFamilyPrefix, kLeasesFamilyPrefix}) {
    const std::string name = absl::StrCat(prefix, generation);
    if (FindFamily(*open, name) == nullptr) {
      RAFTKV_RETURN_IF_ERROR(AddFamily(db, name, options, memory, open));
    }
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
