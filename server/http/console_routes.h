// The console: pages for people, compiled in (server/console), which use the client API as any
// other page of this origin could. See docs/adr/0028-the-console-is-a-client-of-its-own-member.md.
#pragma once

#include <string>
#include <vector>

#include "server/http/route_table.h"

namespace raftkv::server {

// "/" and what its page needs below "/console/"; nothing when `mode`, which is --console, is "off".
// The page is told the mode.
std::vector<Route> ConsoleRoutes(const std::string& mode);

}  // namespace raftkv::server
