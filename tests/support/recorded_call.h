// One call to a member, in the words of the linearizability checker; and what that checker says.
#pragma once

#include <cstdint>
#include <string>

#include "tests/linearizability/history.h"
#include "tests/support/rpc.h"

namespace raftkv::integration {

// The time of a history's events, in nanoseconds.
int64_t HistoryNow();

// Sends the operation's request and returns what was answered. A ttl is in nanoseconds.
linearizability::Answer Call(const linearizability::Operation& operation, NodeClient* node,
                             Millis timeout);

struct HistoryVerdict {
  size_t operations = 0;
  uint64_t steps = 0;
  Millis duration = Millis(0);
};

// Linearizability of each key and the rules of revisions. A gtest failure, also when the checker
// gives up; then the history is kept in `history_path`.
HistoryVerdict CheckHistory(const linearizability::History& history,
                            const std::string& history_path);

}  // namespace raftkv::integration
