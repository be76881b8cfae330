#include <utility>
#include <vector>

#include "client/convert.h"

namespace raftkv::client {
namespace {

RaftState FromProto(v1::RaftState state) {
  switch (state) {
    case v1::RAFT_STATE_FOLLOWER:
      return RaftState::kFollower;
    case v1::RAFT_STATE_PRE_CANDIDATE:
      return RaftState::kPreCandidate;
    case v1::RAFT_STATE_CANDIDATE:
      return RaftState::kCandidate;
    case v1::RAFT_STATE_LEADER:
      return RaftState::kLeader;
    default:
      return RaftState::kUnspecified;
  }
}

Latency FromProto(const v1::Latency& latency) {
  return Latency{.count = latency.count(),
                 .p50 = DurationFromProto(latency.p50()),
                 .p99 = DurationFromProto(latency.p99())};
}

WatchStatus FromProto(const v1::WatchStatus& status) {
  WatchStatus result{.count = status.count(), .slowest = {}};
  for (const v1::WatcherStatus& watcher : status.slowest()) {
    const v1::KeyRange& range = watcher.range();
    result.slowest.push_back({.client = watcher.client(),
                              .first_key = range.has_key()      ? range.key()
                                           : range.has_prefix() ? range.prefix()
                                                                : range.span().start_key(),
                              .is_prefix = range.has_prefix(),
                              .ranges = watcher.range_count(),
                              .progress_revision = watcher.progress_revision(),
                              .behind = watcher.behind(),
                              .age = DurationFromProto(watcher.age())});
  }
  return result;
}

}  // namespace

ResponseHeader FromProto(const v1::ResponseHeader& header) {
  ResponseHeader result{
      .cluster_id = header.cluster_id(),
      .member_id = header.member_id(),
      .leader_id = header.leader_id(),
      .raft_term = header.raft_term(),
      .revision = header.revision(),
  };
  if (header.has_staleness()) {
    result.staleness = DurationFromProto(header.staleness());
  }
  return result;
}

MemberRole FromProto(v1::MemberRole role) {
  switch (role) {
    case v1::MEMBER_ROLE_VOTER:
      return MemberRole::kVoter;
    case v1::MEMBER_ROLE_LEARNER:
      return MemberRole::kLearner;
    default:
      return MemberRole::kUnspecified;
  }
}

MemberStatus ToResult(const v1::GetStatusResponse& response) {
  std::vector<PeerStatus> peers;
  for (const v1::PeerStatus& peer : response.peers()) {
    peers.push_back({.id = peer.id(),
                     .reachable = peer.reachable(),
                     .unreachable_for = DurationFromProto(peer.unreachable_for()),
                     .match_index = peer.match_index()});
  }
  const v1::RequestStats& requests = response.requests();
  return MemberStatus{
      .header = FromProto(response.header()),
      .version = response.version(),
      .name = response.name(),
      .raft_state = FromProto(response.raft_state()),
      .role = FromProto(response.role()),
      .last_index = response.last_index(),
      .commit_index = response.commit_index(),
      .applied_index = response.applied_index(),
      .key_count = response.key_count(),
      .disk_bytes = response.disk_bytes(),
      .memory = {.planned_bytes = response.memory().planned_bytes(),
                 .resident_bytes = response.memory().resident_bytes(),
                 .cached_block_bytes = response.memory().cached_block_bytes(),
                 .write_buffer_bytes = response.memory().write_buffer_bytes(),
                 .log_bytes = response.memory().log_bytes(),
                 .unsent_answer_bytes = response.memory().unsent_answer_bytes()},
      .uptime = DurationFromProto(response.uptime()),
      .warnings = {response.warnings().begin(), response.warnings().end()},
      .requests = {.window = DurationFromProto(requests.window()),
                   .reads = FromProto(requests.reads()),
                   .writes = FromProto(requests.writes()),
                   .failed = FromProto(requests.failed()),
                   .syncs = FromProto(requests.syncs())},
      .peers = std::move(peers),
      .watches = FromProto(response.watches()),
  };
}

}  // namespace raftkv::client
