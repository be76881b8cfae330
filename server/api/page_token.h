// Where a List goes on: opaque to clients, understood by every member.
//
//   token   := web-safe base64 of content
//   content := 'P' request:fixed64-be last_key
//
// `request` is a hash of all that must stay the same between pages.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::server {

// A token to go on after `last_key` of the same list.
std::string MakePageToken(const v1::ListRequest& request, absl::string_view last_key);

// The last key of the page before; nullopt when the token is not one, or one of another list.
std::optional<std::string> ReadPageToken(const v1::ListRequest& request);

}  // namespace raftkv::server
