// Keys by curl: the styles of address and body that people already use, as requests of KvService.
#pragma once

#include <vector>

#include "server/http/api_caller.h"
#include "server/http/route_table.h"

namespace raftkv::server {

// Borrows `api`.
std::vector<Route> KvRoutes(ApiCaller* api);

}  // namespace raftkv::server
