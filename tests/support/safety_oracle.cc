#include "tests/support/safety_oracle.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"

namespace raftkv::raft {

void SafetyOracle::OnLeader(NodeId node, Term term) {
  const auto [found, is_new] = leaders_.emplace(term, node);
  Expect(is_new || found->second == node, [&, known = found->second] {
    return absl::StrCat("term ", term.value(), " has leaders ", known.value(), " and ",
                        node.value());
  });
}

void SafetyOracle::OnLeadersLog(Term term, const std::vector<Entry>& log) {
  if (term <= leaders_log_seen_) {
    return;
  }
  leaders_log_seen_ = term;
  for (const auto& [index, entry] : committed_) {
    Expect(index.value() <= log.size() && log[index.value() - 1].id == entry.id, [&] {
      return absl::StrCat("the leader of term ", term.value(), " lacks ", Describe(entry));
    });
  }
}

void SafetyOracle::OnVote(NodeId node, Term term, NodeId candidate) {
  const auto [found, is_new] = votes_.emplace(std::make_pair(node, term), candidate);
  repeated_votes_ += is_new ? 0 : 1;
  Expect(is_new || found->second == candidate, [&, known = found->second] {
    return absl::StrCat("node ", node.value(), " votes in term ", term.value(), " for ",
                        known.value(), " and ", candidate.value());
  });
}

void SafetyOracle::OnSent(const Envelope& envelope, const Durable& durable) {
  const auto expect = [&](bool holds, const char* what) {
    Expect(holds, [&] { return absl::StrCat(Describe(envelope), " leaves before ", what); });
  };
  const auto* vote_request = std::get_if<VoteRequest>(&envelope.message);
  const auto* vote_reply = std::get_if<VoteReply>(&envelope.message);
  const bool of_pre_vote = (vote_request != nullptr && vote_request->pre_vote) ||
                           (vote_reply != nullptr && vote_reply->pre_vote);
  expect(of_pre_vote || durable.hard_state.term >= envelope.term, "its term is durable");
  if (vote_request != nullptr && !of_pre_vote) {
    OnVote(envelope.from, envelope.term, envelope.from);
    expect(durable.hard_state.vote == envelope.from, "the own vote is durable");
    expect(durable.last_entry == vote_request->last_entry, "the log that it advertises is durable");
  }
  if (vote_reply != nullptr && !of_pre_vote && vote_reply->granted) {
    OnVote(envelope.from, envelope.term, envelope.to);
    expect(durable.hard_state.vote == envelope.to, "it is durable");
  }
  if (const auto* accepted = std::get_if<AppendAccepted>(&envelope.message)) {
    expect(accepted->match_index <= durable.last_entry.index, "the entries are durable");
  }
}

void SafetyOracle::OnApplied(NodeId node, const Entry& entry) {
  LogIndex& applied = applied_[node];
  Expect(entry.id.index == applied.Next(), [&] {
    return absl::StrCat("node ", node.value(), " applies ", Describe(entry), " after index ",
                        applied.value());
  });
  applied = entry.id.index;
  const auto [found, is_new] = committed_.emplace(entry.id.index, entry);
  Expect(is_new || Describe(found->second) == Describe(entry), [&, &known = found->second] {
    return absl::StrCat("node ", node.value(), " applies ", Describe(entry), " where ",
                        Describe(known), " was committed");
  });
}

void SafetyOracle::OnRestarted(NodeId node, LogIndex applied) { applied_[node] = applied; }

void SafetyOracle::OnCommitIndex(LogIndex commit_index) {
  max_commit_index_ = std::max(max_commit_index_, commit_index);
}

void SafetyOracle::OnReadAsked(ReadId id) { asked_[id] = max_commit_index_; }

void SafetyOracle::OnReadAnswered(const ReadOutcome& read) {
  const auto asked = asked_.find(read.id);
  Expect(asked != asked_.end(),
         [&] { return absl::StrCat("an unasked or second answer: ", Describe(read)); });
  if (asked == asked_.end()) {
    return;
  }
  if (!read.aborted) {
    ++reads_answered_;
    Expect(read.read_index >= asked->second, [&] {
      return absl::StrCat("stale ", Describe(read), ", but ", asked->second.value(),
                          " was committed when it was asked for");
    });
  }
  asked_.erase(asked);
}

void SafetyOracle::Expect(bool holds, absl::FunctionRef<std::string()> promise) {
  if (!holds) {
    findings_.push_back(promise());
  }
}

}  // namespace raftkv::raft
