#include "raft/core/progress.h"

#include <glog/logging.h>

#include <algorithm>

namespace raftkv::raft {

void InflightWindow::Add(LogIndex last, uint64_t bytes) {
  CHECK(!full());
  CHECK(appends_.empty() || appends_.back().last < last);
  appends_.push_back({.last = last, .bytes = bytes});
  bytes_ += bytes;
}

void InflightWindow::Acknowledge(LogIndex match_index) {
  while (!appends_.empty() && appends_.front().last <= match_index) {
    CHECK_GE(bytes_, appends_.front().bytes);
    bytes_ -= appends_.front().bytes;
    appends_.pop_front();
  }
}

void InflightWindow::Clear() {
  appends_.clear();
  bytes_ = 0;
}

FollowerProgress::FollowerProgress(LogIndex next_index, const RaftConfig& config)
    : append_bytes_max_(config.append_bytes_max),
      probe_lost_ticks_(config.heartbeat_ticks),
      election_timeout_ticks_(config.election_timeout_ticks),
      next_index_(next_index),
      window_(config.inflight_appends_max, config.inflight_bytes_max) {
  CHECK_GE(next_index, LogIndex(1));
}

bool FollowerProgress::WantsAppend(LogIndex last) const {
  switch (state_) {
    case State::kProbe:
      return !probe_outstanding_;
    case State::kReplicate:
      return next_index_ <= last && !window_.full();
    case State::kSnapshot:
      return false;
  }
  return false;
}

uint64_t FollowerProgress::append_bytes_max() const {
  return std::min(append_bytes_max_, window_.bytes_left());
}

void FollowerProgress::OnSent(LogIndex last, uint64_t bytes, LogIndex commit_index) {
  CHECK_GE(last.Next(), next_index_);
  if (state_ == State::kProbe) {
    CHECK(!probe_outstanding_);
    probe_outstanding_ = true;
    ticks_since_probe_ = 0;
    return;
  }
  CHECK_GE(last, next_index_) << "only a probe is empty";
  if (window_.empty()) {
    ticks_since_window_moved_ = 0;
  }
  window_.Add(last, bytes);
  next_index_ = last.Next();
  OnCommitIndexSent(std::min(commit_index, last));
}

bool FollowerProgress::OnAccepted(LogIndex match_index) {
  if (match_index < match_index_) {
    return false;
  }
  const bool rose = match_index > match_index_;
  match_index_ = match_index;
  if (state_ == State::kSnapshot && !rose) {
    return false;
  }
  if (state_ != State::kReplicate) {
    BecomeReplicate();
    return rose;
  }
  if (rose) {
    window_.Acknowledge(match_index);
    ticks_since_window_moved_ = 0;
    next_index_ = std::max(next_index_, match_index.Next());
  }
  return rose;
}

bool FollowerProgress::OnRejected(LogIndex rejected, LogIndex agree) {
  // What the follower once acknowledged in this term it holds for ever: a rejection of it, or of
  // anything but the outstanding probe, was overtaken by later news.
  if (rejected <= match_index_ || rejected >= next_index_ || state_ == State::kSnapshot) {
    return false;
  }
  if (state_ == State::kProbe && rejected != next_index_.Previous()) {
    return false;
  }
  // `rejected` itself is known not to agree, so probing always moves back.
  BecomeProbe(std::max(match_index_, std::min(agree, rejected.Previous())).Next());
  return true;
}

void FollowerProgress::OnStreamLost(LogIndex last) {
  switch (state_) {
    case State::kSnapshot:
      OnSnapshotEnded(last);
      return;
    case State::kProbe:
      // Only the answer was lost: to go back would ask for what a snapshot may have brought.
      BecomeProbe(next_index_);
      return;
    case State::kReplicate:
      BecomeProbe(match_index_.Next());
      return;
  }
}

void FollowerProgress::OnTrimmed() {
  state_ = State::kSnapshot;
  probe_outstanding_ = false;
  window_.Clear();
}

void FollowerProgress::OnSnapshotEnded(LogIndex last) {
  if (state_ == State::kSnapshot) {
    BecomeProbe(last.Next());
  }
}

void FollowerProgress::Tick(LogIndex last) {
  ++ticks_since_contact_;
  ++ticks_since_probe_;
  ++ticks_since_window_moved_;
  MeasureKeepingUp(last);
}

// Under load it never has all that the leader has, only what that had a moment before.
void FollowerProgress::MeasureKeepingUp(LogIndex last) {
  ++kept_up_ticks_;
  if (match_index_ >= keep_up_mark_) {
    keep_up_mark_ = last;
    ticks_since_mark_ = 0;
  } else {
    ++ticks_since_mark_;
  }
  if (state_ != State::kReplicate || !is_heard() || ticks_since_mark_ >= election_timeout_ticks_) {
    kept_up_ticks_ = 0;
  }
}

void FollowerProgress::OnPartTaken() {
  OnContact();
  ticks_since_probe_ = 0;
  ticks_since_window_moved_ = 0;
}

void FollowerProgress::OnHeartbeatReply(RoundId round) {
  answered_round_ = std::max(answered_round_, round);
  if (state_ == State::kProbe) {
    probe_outstanding_ = probe_outstanding_ && ticks_since_probe_ < probe_lost_ticks_;
    return;
  }
  if (!window_.empty() && ticks_since_window_moved_ >= election_timeout_ticks_) {
    BecomeProbe(match_index_.Next());
  }
}

LogIndex FollowerProgress::SafeCommitIndex(LogIndex commit_index) const {
  return std::min(commit_index, match_index_);
}

void FollowerProgress::OnCommitIndexSent(LogIndex commit_index) {
  told_commit_index_ = std::max(told_commit_index_, commit_index);
}

void FollowerProgress::BecomeProbe(LogIndex next_index) {
  CHECK_GT(next_index, match_index_);
  state_ = State::kProbe;
  next_index_ = next_index;
  probe_outstanding_ = false;
  window_.Clear();
  // Messages that told it may be lost.
  told_commit_index_ = LogIndex(0);
}

void FollowerProgress::BecomeReplicate() {
  CHECK(window_.empty());
  state_ = State::kReplicate;
  next_index_ = match_index_.Next();
  probe_outstanding_ = false;
  ticks_since_window_moved_ = 0;
}

}  // namespace raftkv::raft
