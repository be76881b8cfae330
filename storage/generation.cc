#include "storage/generation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

absl::StatusOr<rocksdb::ColumnFamilyHandle*> TakeFamily(
    const std::string& name, std::vector<rocksdb::ColumnFamilyHandle*>* open) {
  const auto found = std::find_if(
      open->begin(), open->end(),
      [&name](const rocksdb::ColumnFamilyHandle* handle) { return handle->GetName() == name; });
  if (found == open->end()) {
    return BadBytes(absl::StrCat("`", name, "`"), "the column family is missing");
  }
  rocksdb::ColumnFamilyHandle* const handle = *found;
  open->erase(found);
  return handle;
}

void Close(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* handle) {
  db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
}

}  // namespace

std::string NameOf(const rocksdb::ColumnFamilyHandle* family) {
  return absl::StrCat("`", family->GetName(), "`");
}

absl::StatusOr<std::shared_ptr<const Generation>> Generation::Take(
    rocksdb::DB* db, uint64_t number, std::vector<rocksdb::ColumnFamilyHandle*>* open) {
  std::vector<rocksdb::ColumnFamilyHandle*> taken;
  for (const std::string& name : GenerationFamilies(number)) {
    absl::StatusOr<rocksdb::ColumnFamilyHandle*> family = TakeFamily(name, open);
    if (!family.ok()) {
      open->insert(open->end(), taken.begin(), taken.end());
      return family.status();
    }
    taken.push_back(*family);
  }
  return std::shared_ptr<const Generation>(new Generation(db, number, taken));
}

Generation::~Generation() {
  for (rocksdb::ColumnFamilyHandle* handle : families()) {
    Close(db, handle);
  }
}

}  // namespace raftkv::storage
