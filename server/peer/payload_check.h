// What a leader's entries hold, as far as a member can tell before it takes them.
#pragma once

#include "absl/status/status.h"
#include "raft/core/message.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// InvalidArgument with what is wrong with an entry of the message: applied, it would end this
// member at its every start. OK of messages without entries.
absl::Status CheckPayloads(const PeerContext& context, const raft::Message& message);

}  // namespace raftkv::server
