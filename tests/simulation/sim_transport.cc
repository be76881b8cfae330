#include "tests/simulation/sim_transport.h"

#include <utility>

#include "raft/wire/convert.h"

namespace raftkv::simulation {

void SimTransport::Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) {
  on_send_(envelope);
  if (std::holds_alternative<raft::VoteRequest>(envelope.message)) {
    network_.SendVoteRequest(std::move(envelope));
  } else if (std::holds_alternative<raft::VoteReply>(envelope.message)) {
    network_.SendVoteReply(std::move(envelope));
  } else if (std::holds_alternative<raft::TimeoutNow>(envelope.message)) {
    network_.SendTimeoutNow(std::move(envelope));
  } else if (wire::IsLeaderMessage(envelope.message)) {
    std::vector<LeaderFrame>& frames = to_followers_[envelope.to];
    if (frames.empty() || frames.back().term != envelope.term) {
      frames.push_back({.term = envelope.term, .cluster_time = cluster_time, .messages = {}});
    }
    frames.back().cluster_time = cluster_time;
    frames.back().messages.push_back(std::move(envelope));
  } else {
    std::vector<FollowerFrame>& frames = to_leaders_[envelope.to];
    if (frames.empty() || frames.back().messages.back().term != envelope.term) {
      frames.emplace_back();
    }
    frames.back().messages.push_back(std::move(envelope));
  }
}

void SimTransport::Flush() {
  for (auto& [to, frames] : std::exchange(to_followers_, {})) {
    for (LeaderFrame& frame : frames) {
      network_.SendToFollower(self_, to, std::move(frame));
    }
  }
  for (auto& [to, frames] : std::exchange(to_leaders_, {})) {
    for (FollowerFrame& frame : frames) {
      network_.SendToLeader(self_, to, std::move(frame));
    }
  }
}

}  // namespace raftkv::simulation
