#include "raft/runtime/state_audit.h"

#include <algorithm>
#include <set>
#include <utility>

#include "raft/core/quorum.h"

namespace raftkv::raft {

void StateAudit::Tick(const Leadership& leadership,
                      absl::FunctionRef<std::optional<uint64_t>(LogIndex)> state_hash,
                      MonotonicNanos now) {
  if (term_ != leadership.term || configuration_ != leadership.configuration) {
    Stop();
    term_ = leadership.term;
    configuration_ = leadership.configuration;
  }
  if (under_way() && asked_at_.has_value() && now - *asked_at_ >= kAnswerTimeMax) {
    End();
  }
  if (under_way() || now < next_begin_ || leadership.applied == LogIndex(0)) {
    return;
  }
  const std::optional<uint64_t> own = state_hash(leadership.applied);
  if (!own.has_value()) {
    return;
  }
  audited_ = leadership.applied;
  next_begin_ = now + kInterval;
  asked_at_ = std::nullopt;
  answers_ = {{leadership.self, *own}};
  Judge();
}

LogIndex StateAudit::Ask(Term term, MonotonicNanos now) {
  if (term != term_ || !under_way()) {
    return LogIndex(0);
  }
  if (!asked_at_.has_value()) {
    asked_at_ = now;
  }
  return audited_;
}

void StateAudit::TakeAnswer(NodeId member, Term term, const MemberNews& news) {
  if (term != term_ || !under_way() || news.audited != audited_ ||
      !configuration_.IsMember(member)) {
    return;
  }
  // Most answers repeat one: every heartbeat asks.
  const auto [answer, is_new] = answers_.try_emplace(member, news.state_hash);
  if (!is_new && answer->second == news.state_hash) {
    return;
  }
  answer->second = news.state_hash;
  Judge();
}

StateDifference StateAudit::DifferenceOf(NodeId member, Term term) const {
  const auto found = differences_.find(member);
  return term != term_ || found == differences_.end() ? StateDifference() : found->second;
}

std::vector<NodeId> StateAudit::TakeFound() { return std::exchange(found_, {}); }

bool StateAudit::HasAllAnswers() const {
  const std::set<NodeId> members = configuration_.Members();
  return std::all_of(members.begin(), members.end(),
                     [this](NodeId member) { return answers_.contains(member); });
}

std::optional<uint64_t> StateAudit::RightHash() const {
  for (const auto& [member, hash] : answers_) {
    int witnesses = 0;
    const bool is_right = IsQuorum(configuration_, [&, hash = hash](NodeId voter) {
      const auto answer = answers_.find(voter);
      const bool agrees = answer != answers_.end() && answer->second == hash;
      witnesses += agrees ? 1 : 0;
      return agrees;
    });
    // A voter alone is a quorum, and no proof.
    if (is_right && witnesses > 1) {
      return hash;
    }
  }
  return std::nullopt;
}

// As soon as a quorum agrees, not only when all have answered: who is wrong must not go on.
void StateAudit::Judge() {
  if (const std::optional<uint64_t> right = RightHash()) {
    disagreement_ = LogIndex(0);
    for (const auto& [member, hash] : answers_) {
      if (hash == *right) {
        differences_.erase(member);
        continue;
      }
      const bool is_new = !differences_.contains(member);
      differences_[member] = {.index = audited_, .own_hash = hash, .right_hash = *right};
      if (is_new) {
        found_.push_back(member);
      }
    }
  }
  if (HasAllAnswers()) {
    End();
  }
}

void StateAudit::End() {
  const bool are_equal = std::all_of(answers_.begin(), answers_.end(), [this](const auto& answer) {
    return answer.second == answers_.begin()->second;
  });
  if (!are_equal && !RightHash().has_value()) {
    disagreement_ = audited_;
  }
  audited_ = LogIndex(0);
}

}  // namespace raftkv::raft
