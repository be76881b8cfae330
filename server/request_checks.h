// The rules for the fields of client requests, and what the checked fields become in the log.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api_error.h"
#include "storage/kv_state_machine.h"

namespace raftkv::server {

// Each returns nullopt when all is well, and otherwise the error to answer with; an output is then
// unspecified.

std::optional<ApiError> CheckKey(absl::string_view field, absl::string_view key);
std::optional<ApiError> CheckMinRevision(int64_t min_revision);
// More than 0, at most 10 years; rounded up to a millisecond.
std::optional<ApiError> CheckTtl(const google::protobuf::Duration& ttl, uint64_t* ttl_ms);
// The selected keys as a half-open interval; an empty end is open.
std::optional<ApiError> CheckRange(bool has_range, const v1::KeyRange& range,
                                   storage::KeyInterval* interval);

// Everything about a list, its page token included.
std::optional<ApiError> CheckList(const v1::ListRequest& request, storage::ScanOptions* scan);

// The command of a checked request. They may take values out of the request.
std::optional<ApiError> MakeCommand(v1::PutRequest* request, uint64_t value_bytes_max,
                                    log::v1::Command* command);
std::optional<ApiError> MakeCommand(v1::DeleteRequest* request, uint64_t value_bytes_max,
                                    log::v1::Command* command);
std::optional<ApiError> MakeCommand(const v1::DeleteRangeRequest& request, uint64_t keys_max,
                                    log::v1::Command* command);

}  // namespace raftkv::server
