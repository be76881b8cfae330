// Pages that tell people and supervisors how the member and its cluster are.
#pragma once

#include <vector>

#include "server/http/api_caller.h"
#include "server/http/route_table.h"

namespace raftkv::server {

// Borrows `api`.
std::vector<Route> StatusRoutes(ApiCaller* api);

}  // namespace raftkv::server
