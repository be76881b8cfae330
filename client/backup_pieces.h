// What a member sends of a backup, proved piece by piece.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/types.h"
#include "raftkv/v1/maintenance.pb.h"

namespace raftkv::client {

// Confined to one thread.
class BackupPieces {
 public:
  // `endpoint` is for messages.
  explicit BackupPieces(absl::string_view endpoint) : endpoint_(endpoint) {}

  // Takes the next message. DATA_LOSS when it is not what the member sent, or is out of place.
  absl::Status Add(const v1::BackupResponse& response);
  // No message follows. DATA_LOSS when one is missing.
  absl::Status CheckWhole() const;

  // Complete once the first message is there, but for `bytes`, which are those so far.
  const BackupResult& result() const { return result_; }

 private:
  absl::Status Damaged(absl::string_view what) const;

  const std::string endpoint_;
  BackupResult result_;
  bool is_first_ = true;
  bool is_whole_ = false;
};

}  // namespace raftkv::client
