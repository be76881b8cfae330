// Quorum arithmetic: pure functions of a configuration and of what each member said. A joint
// configuration needs a majority of both its halves (thesis §4.3).
#pragma once

#include <map>

#include "absl/functional/function_ref.h"
#include "raft/core/configuration.h"
#include "raft/core/types.h"

namespace raftkv::raft {

enum class VoteTally {
  kPending,  // Neither is decided by the votes so far.
  kWon,
  kLost,  // No votes that are still missing could win it.
};

// What the votes of `votes` (true: granted) decide. Votes of members that do not count are ignored.
// REQUIRES: the configuration has a voter.
VoteTally TallyVotes(const Configuration& configuration, const std::map<NodeId, bool>& votes);

// The largest index that a quorum has reached, when `match_index` tells for each voter how far it
// is. REQUIRES: the configuration has a voter.
LogIndex CommittedIndex(const Configuration& configuration,
                        absl::FunctionRef<LogIndex(NodeId)> match_index);

// The newest round that a quorum has answered, when `answered` tells each voter's newest.
// REQUIRES: the configuration has a voter.
RoundId ConfirmedRound(const Configuration& configuration,
                       absl::FunctionRef<RoundId(NodeId)> answered);

// Whether the voters for which `counts` holds are a quorum.
// REQUIRES: the configuration has a voter.
bool IsQuorum(const Configuration& configuration, absl::FunctionRef<bool(NodeId)> counts);

}  // namespace raftkv::raft
