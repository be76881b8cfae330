#include "raft/runtime/snapshot_transfers.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "base/deadline.h"

namespace raftkv::raft {

void SnapshotTransfers::Want(NodeId peer) {
  const bool waits = std::find(waiting_.begin(), waiting_.end(), peer) != waiting_.end();
  if (!waits && !under_way_.contains(peer)) {
    waiting_.push_back(peer);
  }
}

std::deque<NodeId>::iterator SnapshotTransfers::FindNext(MonotonicNanos now,
                                                         absl::FunctionRef<bool(NodeId)> is_heard) {
  return std::find_if(waiting_.begin(), waiting_.end(), [&](NodeId peer) {
    const auto not_before = not_before_.find(peer);
    return (not_before == not_before_.end() || not_before->second <= now) && is_heard(peer);
  });
}

std::optional<NodeId> SnapshotTransfers::TakeNext(MonotonicNanos now,
                                                  absl::FunctionRef<bool(NodeId)> is_heard) {
  if (under_way_.size() >= at_once_max_) {
    return std::nullopt;
  }
  const auto next = FindNext(now, is_heard);
  if (next == waiting_.end()) {
    return std::nullopt;
  }
  const NodeId peer = *next;
  waiting_.erase(next);
  return peer;
}

std::optional<NodeId> SnapshotTransfers::MakeRoom(MonotonicNanos now,
                                                  absl::FunctionRef<bool(NodeId)> is_heard,
                                                  absl::FunctionRef<bool(NodeId)> is_lost) {
  if (under_way_.size() < at_once_max_ || FindNext(now, is_heard) == waiting_.end()) {
    return std::nullopt;
  }
  const auto lost = std::find_if(under_way_.begin(), under_way_.end(),
                                 [&](const auto& item) { return is_lost(item.first); });
  if (lost == under_way_.end()) {
    return std::nullopt;
  }
  const NodeId peer = lost->first;
  under_way_.erase(lost);
  return peer;
}

void SnapshotTransfers::OnBegun(NodeId peer, LogIndex point) {
  CHECK_LT(under_way_.size(), at_once_max_);
  CHECK(under_way_.emplace(peer, point).second) << "a second one to " << peer;
  catching_up_.erase(peer);
  not_before_.erase(peer);
}

bool SnapshotTransfers::OnEnded(NodeId peer, bool taken, LogIndex log_end, MonotonicNanos now) {
  const auto ended = under_way_.find(peer);
  if (ended == under_way_.end()) {
    return false;
  }
  if (taken) {
    catching_up_[peer] = {.reached = ended->second, .log_end = log_end};
  } else {
    not_before_[peer] = DeadlineAfter(now, retry_after_);
  }
  under_way_.erase(ended);
  return true;
}

std::vector<NodeId> SnapshotTransfers::OnTrimmed(LogIndex through) {
  std::vector<NodeId> outrun;
  for (const auto& [peer, point] : under_way_) {
    if (point < through) {
      outrun.push_back(peer);
    }
  }
  for (const NodeId peer : outrun) {
    under_way_.erase(peer);
  }
  std::erase_if(catching_up_, [&](const auto& item) { return item.second.reached < through; });
  return outrun;
}

std::vector<NodeId> SnapshotTransfers::KeepOnly(absl::FunctionRef<bool(NodeId)> is_follower,
                                                absl::FunctionRef<bool(NodeId)> needs_one) {
  std::vector<NodeId> ended;
  for (const auto& [peer, point] : under_way_) {
    if (!is_follower(peer)) {
      ended.push_back(peer);
    }
  }
  const auto has_left = [&](const auto& item) { return !is_follower(item.first); };
  std::erase_if(under_way_, has_left);
  std::erase_if(catching_up_, has_left);
  std::erase_if(not_before_, has_left);
  std::erase_if(waiting_, [&](NodeId peer) { return !is_follower(peer) || !needs_one(peer); });
  return ended;
}

std::vector<NodeId> SnapshotTransfers::Clear() {
  std::vector<NodeId> under_way = UnderWay();
  waiting_.clear();
  under_way_.clear();
  catching_up_.clear();
  not_before_.clear();
  return under_way;
}

std::vector<NodeId> SnapshotTransfers::UnderWay() const {
  std::vector<NodeId> peers;
  for (const auto& [peer, point] : under_way_) {
    peers.push_back(peer);
  }
  return peers;
}

std::vector<LogIndex> SnapshotTransfers::NeededAfter(
    absl::FunctionRef<LogIndex(NodeId)> match_index) {
  std::vector<LogIndex> needed_after;
  for (const auto& [peer, point] : under_way_) {
    needed_after.push_back(point);
  }
  std::erase_if(catching_up_,
                [&](const auto& item) { return match_index(item.first) >= item.second.log_end; });
  for (auto& [peer, catch_up] : catching_up_) {
    catch_up.reached = std::max(catch_up.reached, match_index(peer));
    needed_after.push_back(catch_up.reached);
  }
  return needed_after;
}

}  // namespace raftkv::raft
