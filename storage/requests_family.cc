#include "storage/requests_family.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "kv/command_version.h"
#include "storage/disk_failure.h"
#include "storage/generation.h"
#include "storage/key_layout.h"

namespace raftkv::storage {

absl::Status AddRequestsFamily(rocksdb::DB* db, uint64_t generation, const StorageOptions& options,
                               const DatabaseMemory& memory,
                               std::vector<rocksdb::ColumnFamilyHandle*>* open) {
  const auto find = [open](const std::string& name) {
    const auto found = std::find_if(
        open->begin(), open->end(),
        [&name](const rocksdb::ColumnFamilyHandle* handle) { return handle->GetName() == name; });
    return found == open->end() ? nullptr : *found;
  };
  const std::string name = absl::StrCat(kRequestsFamilyPrefix, generation);
  rocksdb::ColumnFamilyHandle* const state = find(absl::StrCat(kStateFamilyPrefix, generation));
  if (state == nullptr || find(name) != nullptr) {
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
  const std::vector<rocksdb::ColumnFamilyDescriptor> family =
      MakeColumnFamilies(options, memory, {name});
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const rocksdb::Status made = db->CreateColumnFamily(family[0].options, name, &handle);
  if (!made.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot add the column family `", name, "`: ", made.ToString()));
  }
  open->push_back(handle);
  return absl::OkStatus();
}

}  // namespace raftkv::storage
