// The rules for the fields of client requests, and what the checked fields become in the log.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "kv/kv_state_machine.h"
#include "kv/store.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::server {

// Each fails with the error to answer with (kv/errors.h).

absl::Status CheckKey(absl::string_view field, absl::string_view key);
absl::Status CheckValue(absl::string_view field, uint64_t size, uint64_t limit);
absl::Status CheckMinRevision(int64_t min_revision);
// Everything that a Get, List or Scan says of how fresh its answer is to be.
template <typename Request>
absl::StatusOr<kv::ReadFreshness> ReadFreshnessOf(const Request& request, MonotonicNanos answer_by);
// Of an entry of the log; 0 is the newest.
absl::Status CheckIndex(uint64_t index);
// More than 0, at most 10 years; rounded up to a millisecond.
absl::StatusOr<uint64_t> TtlMillis(const google::protobuf::Duration& ttl);
// As an error shows it, whether it is a duration that makes sense or not.
std::string DurationText(const google::protobuf::Duration& duration);
// As TtlMillis, of a lease: 1 s at least.
absl::StatusOr<uint64_t> LeaseTtlMillis(const google::protobuf::Duration& ttl);
// Of a lease that is to be there: 1 or more.
absl::Status CheckLeaseId(absl::string_view field, int64_t id);
// The selected keys as a half-open interval; an empty end is open. `field` is where the range
// stands in the request.
absl::StatusOr<kv::KeyInterval> SelectedInterval(bool has_range, const v1::KeyRange& range,
                                                 absl::string_view field = "range");

// Everything about a list but its freshness, its page token included.
absl::StatusOr<kv::ScanOptions> ListedScan(const v1::ListRequest& request);

// The command of a request. They may take values out of the request.
absl::StatusOr<log::v1::Command> MakeCommand(v1::PutRequest* request, uint64_t value_bytes_max);
absl::StatusOr<log::v1::Command> MakeCommand(v1::DeleteRequest* request, uint64_t value_bytes_max);
absl::StatusOr<log::v1::Command> MakeCommand(const v1::DeleteRangeRequest& request,
                                             uint64_t keys_max);
absl::StatusOr<log::v1::Command> MakeCommand(v1::TouchRequest* request, uint64_t value_bytes_max);
absl::StatusOr<log::v1::Command> MakeCommand(v1::IncrementRequest* request,
                                             uint64_t value_bytes_max);

// What makes the command of a request happen once: its id, which is not empty, and a hash of all
// that it says, the id included. REQUIRES: no value was taken out of the request.
absl::StatusOr<log::v1::RequestMark> MakeMark(const std::string& request_id,
                                              const google::protobuf::Message& request);

}  // namespace raftkv::server
