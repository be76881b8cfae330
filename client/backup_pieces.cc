#include "client/backup_pieces.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "client/convert.h"

namespace raftkv::client {

absl::Status BackupPieces::Add(const v1::BackupResponse& response) {
  if (is_whole_) {
    return Damaged("something follows its end");
  }
  if (is_first_ != response.has_manifest()) {
    return Damaged("its head is not where it should be");
  }
  if (response.offset() != result_.bytes) {
    return Damaged(absl::StrCat("byte ", response.offset(), " follows byte ", result_.bytes));
  }
  if (XXH3_64bits(response.data().data(), response.data().size()) != response.checksum()) {
    return Damaged(absl::StrCat("a checksum does not fit after byte ", result_.bytes));
  }
  if (is_first_) {
    const int64_t bytes = result_.bytes;
    result_ = ToResult(response);
    result_.bytes = bytes;
    is_first_ = false;
  }
  result_.bytes += static_cast<int64_t>(response.data().size());
  is_whole_ = response.last();
  return absl::OkStatus();
}

absl::Status BackupPieces::CheckWhole() const {
  return is_whole_ ? absl::OkStatus()
                   : Damaged(absl::StrCat("it ends after byte ", result_.bytes, ", too early"));
}

absl::Status BackupPieces::Damaged(absl::string_view what) const {
  return absl::DataLossError(
      absl::StrCat("the backup from ", endpoint_, " arrived damaged: ", what));
}

}  // namespace raftkv::client
