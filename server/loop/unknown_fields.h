// Finds what a newer client says and this version would silently drop.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace raftkv::server {

// The path of the first field, or enum value, at any depth, that `message`'s type does not know,
// such as "precondition.field 9" or "consistency = 7"; nullopt when there is none.
std::optional<std::string> FindUnknownField(const google::protobuf::Message& message);

// The same as the error to answer with.
absl::Status CheckFieldsAreKnown(const google::protobuf::Message& message);

}  // namespace raftkv::server
