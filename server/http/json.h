// JSON (RFC 8259) as strictly as it is written: what protobuf's own reader would bend in silence is
// refused. That reader takes single quotes, trailing commas and unknown escapes, lets the last of
// two equal members win, and reads a 64-bit number through a double.
#pragma once

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv::server {

using Json = nlohmann::ordered_json;

// Objects and arrays within each other, and members of one object: each new one is compared with
// those before it.
inline constexpr size_t kJsonDepthMax = 32;
inline constexpr size_t kJsonMembersMax = 256;

// INVALID_ARGUMENT / MALFORMED, with the position, when it is not JSON, when a member is given
// twice, or beyond these bounds.
absl::StatusOr<Json> ParseJson(absl::string_view text);

// On one line. What is not UTF-8 is replaced.
std::string WriteJson(const Json& json);

// Whether `json` is a message of this type, as far as protobuf's reader would not say so itself:
// UNIMPLEMENTED / UNKNOWN_FIELD for a member that the type does not have, INVALID_ARGUMENT /
// MALFORMED for a field given twice under its two names, and for a whole number that is written
// with a fraction or an exponent, or is too large.
absl::Status CheckIsMessage(const Json& json, const google::protobuf::Descriptor& type);

}  // namespace raftkv::server
