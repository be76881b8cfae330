// Request ids: what makes a write that comes twice happen once. What a command with a RequestMark
// came to is part of the replicated state, so each member answers a repetition alike, whichever
// leader took it, and a snapshot has it.
#pragma once

#include <cstdint>

#include "kv/applied_state.h"
#include "kv/kv_table.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Of ids whose time is over, those that one new id takes the place of: more than one, so that a
// store that was full has room again.
inline constexpr uint64_t kRequestsDroppedAtOnce = 4;

enum class RequestFate {
  kNew,       // It is to be done, and remembered.
  kAnswered,  // The outcome says what it came to before, or why nothing is done.
  kStalled,   // The table stalled.
};

// Looks the id up. One that is new drops ids, oldest first, whose time is over at `stamp`, and is
// refused when that leaves no room: none is dropped early. An answer of before comes with
// `replayed`.
[[nodiscard]] RequestFate BeginRequest(const log::v1::RequestMark& mark, raft::ClusterMillis stamp,
                                       KvTable* table, RequestTotals* totals,
                                       log::v1::CommandOutcome* outcome);

// Remembers what a new request came to, whether it was done or refused. REQUIRES: BeginRequest has
// said kNew.
void RememberRequest(const log::v1::RequestMark& mark, raft::ClusterMillis stamp,
                     const log::v1::CommandOutcome& outcome, KvTable* table, RequestTotals* totals);

}  // namespace raftkv::kv
