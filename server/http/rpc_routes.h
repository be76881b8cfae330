// Every unary method of the client API as POST /package.Service/Method with JSON, by its
// descriptor: the unary half of the Connect protocol.
#pragma once

#include "server/http/api_caller.h"
#include "server/http/route_table.h"
#include "server/loop/client_service.h"

namespace raftkv::server {

// The route of one method. Borrows both.
Route RpcRoute(const ClientService::Method* method, ApiCaller* api);

}  // namespace raftkv::server
