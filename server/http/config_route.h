// The page with the options in force.
#pragma once

#include "server/http/route_table.h"
#include "server/options.h"

namespace raftkv::server {

// GET /config: {"<flag>": {"value", "source"}}, sizes in bytes. No option's value is a secret: one
// that ever is must name a file that holds it. `options` outlives the route and stays as it is.
Route ConfigRoute(const ServerOptions& options);

}  // namespace raftkv::server
