// One call to a member, in the words of the linearizability checker.
#pragma once

#include "tests/linearizability/history.h"
#include "tests/support/rpc.h"

namespace raftkv::chaos {

// Sends the operation's request and returns what was answered. A ttl is in nanoseconds.
linearizability::Answer Call(const linearizability::Operation& operation,
                             integration::NodeClient* node, integration::Millis timeout);

}  // namespace raftkv::chaos
