// Pages that tell people and supervisors how the member and its cluster are.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/http/api_caller.h"
#include "server/http/route_table.h"

namespace raftkv::server {

// Writes the page for Prometheus, on any thread, in about `timeout` at most.
using MetricsPage = std::function<absl::StatusOr<std::string>(MonotonicNanos timeout)>;

// Borrows `api`.
std::vector<Route> StatusRoutes(ApiCaller* api, MetricsPage metrics);

}  // namespace raftkv::server
