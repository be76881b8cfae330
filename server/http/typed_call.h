// Calls of ApiCaller with the types of one method.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/http/api_caller.h"

namespace raftkv::server {

template <typename Response>
struct TypedAnswer {
  Response message;
  std::shared_ptr<void> room;
};

// REQUIRES: the method at `path` takes a Request and answers with a Response.
template <typename Response, typename Request>
absl::StatusOr<TypedAnswer<Response>> CallTyped(ApiCaller* api, const std::string& path,
                                                Request request, MonotonicNanos timeout) {
  auto answer = api->Call(path, std::make_unique<Request>(std::move(request)), timeout);
  if (!answer.ok()) {
    return answer.status();
  }
  return TypedAnswer<Response>{.message = std::move(static_cast<Response&>(*answer->message)),
                               .room = std::move(answer->room)};
}

}  // namespace raftkv::server
