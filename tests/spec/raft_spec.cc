#include "tests/spec/raft_spec.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"

namespace raftkv::raft {
namespace {

// Index 0 stands before every log; beyond the end there is no term.
std::optional<Term> TermAt(const RaftSpec::Log& log, LogIndex index) {
  if (index.value() > log.size()) {
    return std::nullopt;
  }
  return index == LogIndex(0) ? Term(0) : log[index.value() - 1].id.term;
}

// By the Log Matching property (§3.5) two logs that share an entry are the same up to there.
bool Holds(const RaftSpec::Log& log, EntryId id) { return TermAt(log, id.index) == id.term; }

EntryId LastOf(const RaftSpec::Log& log) {
  return {.term = *TermAt(log, LogIndex(log.size())), .index = LogIndex(log.size())};
}

template <typename Value>
Value ValueOf(const std::map<NodeId, Value>& values, NodeId id) {
  return values.contains(id) ? values.at(id) : Value();
}

template <typename Value>
void Raise(Value* value, Value to) {
  *value = std::max(*value, to);
}

}  // namespace

void RaftSpec::Require(bool allowed, const char* rule) {
  if (!allowed && !std::exchange(rejected_, true)) {
    reject_(absl::StrCat("the spec does not allow: ", step_(), "; ", rule));
  }
}

const Entry& RaftSpec::NewestConfiguration(const Log& log) const {
  size_t place = log.size();
  while (place > 0 && log[place - 1].configuration == nullptr) {
    --place;
  }
  return place == 0 ? founded_ : log[place - 1];
}

// §4.3: in a joint configuration a majority of both halves.
bool RaftSpec::IsQuorum(const Log& log, absl::FunctionRef<bool(NodeId)> counts) const {
  return IsQuorumOf(*NewestConfiguration(log).configuration, counts);
}

bool RaftSpec::IsQuorumOf(const Configuration& now, absl::FunctionRef<bool(NodeId)> counts) {
  const auto is_majority = [&](const std::set<NodeId>& voters) {
    return 2 * std::count_if(voters.begin(), voters.end(), counts) > std::ssize(voters);
  };
  return is_majority(now.voters) && (!now.IsJoint() || is_majority(now.outgoing_voters));
}

void RaftSpec::RequireLeader(NodeId id, Term number) {
  Server& server = servers_[id];
  TermState& term = terms_[number];
  if (server.leads == number) {
    return;
  }
  const HardState own{.term = number, .vote = id};
  const auto has_vote = [&](NodeId voter) {
    return ValueOf(term.votes, voter) == id || (voter == id && *server.storage.hard_state == own);
  };
  Require(IsQuorum(server.log, has_vote),
          "§3.4: a leader has the votes of a quorum, its own durable");
  Require(term.leader == kNobody, "§3.4: a term has one leader, in one life of it");
  term.leader = id;
  term.log = server.log;
  server.leads = number;
}

void RaftSpec::OnStarted(NodeId id, const StableStorage& storage, LogIndex applied) {
  step_ = [&] { return absl::StrCat("server ", id.value(), " starts"); };
  const Log& log = *storage.log;
  const HardState stored = *storage.hard_state;
  const TermState& term = terms_[stored.term];
  const auto vote = term.votes.find(id);
  const LogIndex match = ValueOf(term.match_index, id);
  Require(stored.term >= spoke_in_[id], "§3.8: the term in which it spoke is durable");
  Require(vote == term.votes.end() || vote->second == stored.vote, "§3.8: its vote is durable");
  Require(TermAt(log, match) == TermAt(term.log, match), "§3.8: what it acknowledged is durable");
  Require(TermAt(log, applied) == TermAt(committed_, applied), "§3.8: what it applied is durable");
  servers_[id] = {stored, log, applied, applied, storage};
}

void RaftSpec::OnWrite(NodeId id, const LogWrite& write) {
  step_ = [&] { return absl::StrCat("server ", id.value(), ": ", Describe(write)); };
  Server& server = servers_[id];
  Log& log = server.log;
  const HardState before = server.hard_state;
  const EntryId last_before = LastOf(log);
  server.hard_state = write.hard_state.value_or(before);
  for (const Entry& added : write.entries) {
    const EntryId entry = added.id;
    if (entry.index <= LastOf(log).index) {
      const LogIndex match = ValueOf(terms_[server.hard_state.term].match_index, id);
      Require(entry.index > server.commit_index, "§3.6: what is committed is not replaced");
      Require(entry.index > match, "§3.5: nor is what it acknowledged in this term");
      Require(server.leads != server.hard_state.term, "figure 3.2: a leader only appends");
      log.resize(entry.index.value() - 1);
    }
    Log& origin = terms_[entry.term].log;
    if (entry.index > LastOf(origin).index) {
      Require(entry.term == before.term, "§3.5: entries are created in the term of their leader");
      RequireLeader(id, entry.term);
      if (added.configuration != nullptr) {
        const Entry& newest = NewestConfiguration(log);
        const Configuration &now = *newest.configuration, &next = *added.configuration;
        Require(newest.id.index <= server.commit_index &&
                    TermAt(log, server.commit_index) == entry.term,
                "§4.1: one change of members at a time, after a commit of the term");
        Require(next.IsJoint() ? !now.IsJoint() && next.outgoing_voters == now.voters
                               : next.voters == now.voters,
                "§4.3: voters change by way of a joint configuration");
      }
      origin.push_back(added);
    }
    Require(Holds(origin, entry) && Holds(origin, LastOf(log)),
            "§3.5: an entry follows what it follows in the log of its term's leader");
    log.push_back(added);
    Require(LastOf(log) == entry, "§3.5: a log has no gaps");
  }
  const auto is_source = [&](const auto& term) { return Holds(term.second.log, LastOf(log)); };
  Require(write.entries.empty() ||
              std::any_of(terms_.lower_bound(before.term), terms_.end(), is_source),
          "§3.5: entries are from the leader of its term");
  ChangeHardState(id, before, last_before);
}

void RaftSpec::ChangeHardState(NodeId id, HardState before, EntryId last_before) {
  const HardState now = servers_[id].hard_state;
  TermState& term = terms_[now.term];
  Require(now.term >= before.term, "§3.3: terms never fall");
  if (now == before) {
    return;
  }
  Require(now.term > before.term || before.vote == kNobody, "§3.4: a server votes once in a term");
  if (now.vote == id) {
    const std::set<NodeId>& granted = term.pre_votes[id];
    const auto grants = [&](NodeId voter) { return voter == id || granted.contains(voter); };
    // A term ends with the leader's asking: whom it asked stands in the next.
    const bool was_asked = terms_[Term(now.term.value() - 1)].asked_to_stand.contains(id);
    Require(was_asked || IsQuorum(servers_[id].log, grants),
            "§9.6: who begins a term has the PreVotes of a quorum, or (§3.10) its leader asked it");
  } else if (now.vote != kNobody) {
    const EntryId told = ValueOf(term.candidates, now.vote);
    const auto is_up_to_date = [&](EntryId own) {
      return std::pair(told.term, told.index) >= std::pair(own.term, own.index);
    };
    Require(term.candidates.contains(now.vote), "§3.4: votes are for candidates that asked");
    // An append of the same turn may have come before the vote or after it.
    Require(is_up_to_date(last_before) || is_up_to_date(LastOf(servers_[id].log)),
            "§3.6.1: votes are for candidates whose logs are up to date");
  }
}

void RaftSpec::OnSent(const Envelope& envelope) {
  step_ = [&] { return Describe(envelope); };
  const Server& sender = servers_[envelope.from];
  // §9.6: both name a term that nobody has begun yet, and promise nothing.
  const auto* request = std::get_if<VoteRequest>(&envelope.message);
  const auto* reply = std::get_if<VoteReply>(&envelope.message);
  if (request != nullptr && request->pre_vote) {
    Require(envelope.term <= sender.hard_state.term.Next(), "§9.6: PreVotes are for the next term");
  } else if (reply != nullptr && reply->pre_vote && reply->granted) {
    terms_[envelope.term].pre_votes[envelope.to].insert(envelope.from);
  } else {
    const Term durable = sender.storage.hard_state->term;
    Require(envelope.term == durable, "§3.8: what is said in a term waits until that is durable");
    Raise(&spoke_in_[envelope.from], envelope.term);
    std::visit([&](const auto& message) { Say(envelope, message); }, envelope.message);
  }
}

void RaftSpec::Say(const Envelope& sent, const VoteRequest& request) {
  const StableStorage& storage = servers_[sent.from].storage;
  Require(storage.hard_state->vote == sent.from, "§3.8: a candidate's own vote is durable");
  Require(request.last_entry == LastOf(*storage.log), "§3.8: the log that it tells is durable");
  Require(
      !request.transfer || terms_[Term(sent.term.value() - 1)].asked_to_stand.contains(sent.from),
      "§4.2.3: who was not asked to stand does not say so");
  terms_[sent.term].candidates[sent.from] = request.last_entry;
  terms_[sent.term].votes.emplace(sent.from, sent.from);
}

void RaftSpec::Say(const Envelope& sent, const VoteReply& reply) {
  if (reply.granted) {
    const NodeId vote = terms_[sent.term].votes.emplace(sent.from, sent.to).first->second;
    Require(vote == sent.to, "§3.4: a server votes once in a term");
    Require(servers_[sent.from].storage.hard_state->vote == sent.to, "§3.8: a vote is durable");
  }
}

void RaftSpec::Say(const Envelope& sent, const AppendRequest& request) {
  RequireLeader(sent.from, sent.term);
  const Log& log = terms_[sent.term].log;
  LogIndex index = request.previous.index;
  bool is_piece = Holds(log, request.previous);
  for (const Entry& entry : request.entries) {
    index = index.Next();
    is_piece = is_piece && entry.id.index == index && Holds(log, entry.id);
  }
  Require(is_piece, "§3.5: a leader sends a piece of its log");
  Require(request.commit_index <= servers_[sent.from].commit_index,
          "§3.6: a leader tells what it has committed");
  Raise(&told_commit_[sent.to], request.commit_index);
}

void RaftSpec::Say(const Envelope& sent, const AppendAccepted& reply) {
  TermState& term = terms_[sent.term];
  const auto durable = TermAt(*servers_[sent.from].storage.log, reply.match_index);
  Require(durable.has_value() && durable == TermAt(term.log, reply.match_index),
          "§3.8: what is acknowledged is durable, and in the leader's log");
  Raise(&term.match_index[sent.from], reply.match_index);
}

void RaftSpec::Say(const Envelope& sent, const Heartbeat& heartbeat) {
  RequireLeader(sent.from, sent.term);
  TermState& term = terms_[sent.term];
  Require(heartbeat.commit_index <=
              std::min(servers_[sent.from].commit_index, ValueOf(term.match_index, sent.to)),
          "§3.5: a heartbeat tells of no more than is committed and was acknowledged");
  Raise(&told_commit_[sent.to], heartbeat.commit_index);
  if (heartbeat.round != RoundId(0)) {
    RoundId& last = term.sent_round[sent.to];
    Require(heartbeat.round > last, "§6.4: a round differs from those before it");
    last = heartbeat.round;
    Raise(&term.last_round, heartbeat.round);
  }
}

void RaftSpec::Say(const Envelope& sent, const HeartbeatReply& reply) {
  if (reply.round != RoundId(0)) {
    TermState& term = terms_[sent.term];
    Require(reply.round <= ValueOf(term.sent_round, sent.from), "§6.4: only a begun round counts");
    Raise(&term.answered_round[sent.from], reply.round);
  }
}

void RaftSpec::Say(const Envelope& sent, const TimeoutNow& /*request*/) {
  RequireLeader(sent.from, sent.term);
  TermState& term = terms_[sent.term];
  Require(ValueOf(term.match_index, sent.to) == LastOf(term.log).index,
          "§3.10: a leader hands over to whom it has brought all of its log");
  term.asked_to_stand.insert(sent.to);
}

void RaftSpec::OnCommitIndex(NodeId id, LogIndex commit_index) {
  step_ = [&] { return absl::StrCat("server ", id.value(), " commits ", commit_index.value()); };
  Server& server = servers_[id];
  if (commit_index == server.commit_index) {
    return;
  }
  Require(commit_index > server.commit_index, "§3.6: a commit index never falls");
  // §3.6.2, and §10.2.1: the leader counts itself only where the entry is durable.
  const TermState& term = terms_[server.leads];
  const EntryId entry{.term = server.leads, .index = commit_index};
  const auto holds = [&](NodeId voter) {
    return voter == id ? Holds(*server.storage.log, entry)
                       : ValueOf(term.match_index, voter) >= commit_index;
  };
  const bool by_quorum = term.leader == id && Holds(term.log, entry) && IsQuorum(term.log, holds);
  const bool extends = by_quorum && Holds(term.log, LastOf(committed_));  // §3.6.3.
  while (extends && committed_.size() < commit_index.value()) {
    committed_.push_back(term.log[committed_.size()]);
  }
  Require(by_quorum || commit_index <= told_commit_[id],
          "§3.6.2: a quorum holds it and it is of the leader's term, or a leader told");
  const std::optional<Term> own = TermAt(server.log, commit_index);
  Require(own.has_value() && own == TermAt(committed_, commit_index),
          "figure 3.2: all servers commit the same entries");
  server.commit_index = commit_index;
}

void RaftSpec::OnApplied(NodeId id, EntryId entry) {
  step_ = [&] { return absl::StrCat("server ", id.value(), " applies ", Describe(entry)); };
  Server& server = servers_[id];
  Require(entry.index == server.last_applied.Next(), "§3.5: entries are applied in log order");
  Require(entry.index <= server.commit_index && Holds(committed_, entry), "§3.5: it is committed");
  // The applied state is stored as well, and must not be found ahead of the log.
  Require(Holds(*server.storage.log, entry), "§3.8: what is applied is durable");
  server.last_applied = entry.index;
}

void RaftSpec::OnSnapshotSent(NodeId id, NodeId to, Term term, EntryId last) {
  step_ = [&] { return absl::StrCat("server ", id.value(), " sends a snapshot ", Describe(last)); };
  Require(servers_[id].leads == term && terms_[term].leader == id, "§5.3: its sender leads");
  Require(last.index == servers_[id].last_applied && Holds(committed_, last),
          "§5.1: a snapshot is of what is applied");
  sent_snapshots_[to].insert(last.index);
}

void RaftSpec::OnSnapshotInstalled(NodeId id, EntryId last) {
  step_ = [&] { return absl::StrCat("server ", id.value(), " installs ", Describe(last)); };
  Server& server = servers_[id];
  Require(sent_snapshots_[id].contains(last.index) && Holds(committed_, last),
          "§5.3: a leader sent it the snapshot");
  Require(last.index > server.commit_index, "§5.3: a snapshot takes nothing back");
  Require(server.leads != server.hard_state.term, "figure 5.3: a leader installs none");
  if (!Holds(server.log, last)) {
    server.log.assign(committed_.begin(),
                      committed_.begin() + static_cast<ptrdiff_t>(last.index.value()));
  }
  Require(Holds(*server.storage.log, last), "§3.8: what is installed is durable");
  Require(
      LastOf(*server.storage.log) == LastOf(server.log),
      "figure 5.3: what follows in the log stays where the log holds its last entry, else goes");
  server.commit_index = server.last_applied = last.index;
}

void RaftSpec::OnReadAsked(NodeId id, ReadId read, ReadRequest request) {
  const TermState& term = terms_[request.term];
  request.last_round = term.last_round;
  request.configuration = NewestConfiguration(term.log).configuration;
  servers_[id].reads[read] = request;
}

void RaftSpec::OnReadAnswered(NodeId id, const ReadOutcome& outcome) {
  step_ = [&] { return absl::StrCat("server ", id.value(), ": ", Describe(outcome)); };
  const auto asked = servers_[id].reads.extract(outcome.id);
  Require(!asked.empty(), "§6.4: a read that is answered was asked, once");
  if (asked.empty() || outcome.aborted) {
    return;
  }
  const ReadRequest& read = asked.mapped();
  const TermState& term = terms_[read.term];
  Require(term.leader == id && TermAt(term.log, outcome.read_index) == read.term,
          "§6.4: a leader has committed in its term before it confirms reads");
  Require(
      outcome.read_index >= read.commit_index && outcome.read_index <= servers_[id].commit_index,
      "§6.4: a read index is what was committed when the read came, or later");
  const auto follows = [&](NodeId voter) {
    return voter == id || voter == read.asker ||
           ValueOf(term.answered_round, voter) > read.last_round;
  };
  // The leader may have appended another configuration since it was sure.
  Require(IsQuorumOf(*read.configuration, follows) || IsQuorum(term.log, follows),
          "§6.4: a quorum has answered a round that began after the read came");
}

}  // namespace raftkv::raft
