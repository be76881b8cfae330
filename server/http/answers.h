// Answers of routes: a JSON value, an error (kv/errors.h), and what HTTP itself refuses.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/http/http_message.h"
#include "server/http/json.h"

namespace raftkv::server {

HttpAnswer JsonAnswer(const Json& json, std::shared_ptr<void> room = nullptr);

// The status of HTTP for a canonical code; the one table for both bodies below.
int HttpStatusOf(absl::StatusCode code);

// {"error": {"code", "reason", "message"}}. With Retry-After where waiting helps.
// REQUIRES: !error.ok().
HttpAnswer ErrorAnswer(const absl::Status& error);
// The answer, or ErrorAnswer.
HttpAnswer OrError(absl::StatusOr<HttpAnswer> result);
// The body that the Connect protocol has for it: {"code", "message", "details"}.
HttpAnswer ConnectErrorAnswer(const absl::Status& error);

// Refusals that are HTTP's own. `code` is the canonical one that comes nearest.
HttpAnswer RefusalAnswer(int status, absl::StatusCode code, absl::string_view reason,
                         absl::string_view message);

}  // namespace raftkv::server
