#include "raft/core/describe.h"

#include <set>
#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace raftkv::raft {
namespace {

// Longer payloads are cut in text.
constexpr size_t kPayloadCharactersMax = 16;

std::string DescribePayload(const Entry& entry) {
  const std::string payload = entry.payload == nullptr ? "" : *entry.payload;
  if (payload.size() > kPayloadCharactersMax) {
    return absl::StrCat(payload.size(), " bytes");
  }
  return absl::StrCat("\"", absl::CHexEscape(payload), "\"");
}

std::string DescribeNodes(const std::set<NodeId>& nodes, absl::string_view separator) {
  return absl::StrJoin(nodes, separator,
                       [](std::string* out, NodeId node) { absl::StrAppend(out, node.value()); });
}

std::string DescribeRange(const std::vector<Entry>& entries) {
  if (entries.empty()) {
    return "nothing";
  }
  if (entries.size() == 1) {
    return Describe(entries.front().id);
  }
  return absl::StrCat(Describe(entries.front().id), "..", Describe(entries.back().id));
}

struct MessageText {
  std::string operator()(const VoteRequest& m) const {
    return absl::StrCat(m.pre_vote ? "PreVoteRequest" : "VoteRequest",
                        " last=", Describe(m.last_entry), m.transfer ? " transfer" : "");
  }
  std::string operator()(const VoteReply& m) const {
    return absl::StrCat(m.pre_vote ? "PreVoteReply " : "VoteReply ",
                        m.granted ? "granted" : "refused");
  }
  std::string operator()(const AppendRequest& m) const {
    return absl::StrCat("AppendRequest previous=", Describe(m.previous),
                        " entries=", DescribeRange(m.entries), " commit=", m.commit_index.value());
  }
  std::string operator()(const AppendAccepted& m) const {
    return absl::StrCat("AppendAccepted match=", m.match_index.value());
  }
  std::string operator()(const AppendRejected& m) const {
    return absl::StrCat("AppendRejected index=", m.rejected_index.value(),
                        " hint=", Describe(m.hint));
  }
  std::string operator()(const Heartbeat& m) const {
    std::string text =
        absl::StrCat("Heartbeat commit=", m.commit_index.value(), " round=", m.round.value());
    if (m.held_by_all != LogIndex(0)) {
      absl::StrAppend(&text, " held=", m.held_by_all.value());
    }
    return text;
  }
  std::string operator()(const HeartbeatReply& m) const {
    return absl::StrCat("HeartbeatReply round=", m.round.value());
  }
  std::string operator()(const TimeoutNow& /*m*/) const { return "TimeoutNow"; }
};

std::string DescribeCause(const Event& event, DescribeTicks describe_ticks) {
  const EventCause& cause = event.cause;
  switch (cause.reason) {
    case EventCause::Reason::kNoLeaderHeard:
      return absl::StrCat("heard of no leader for ", describe_ticks(cause.ticks));
    case EventCause::Reason::kLeaderSilent:
      return absl::StrCat("heard nothing from leader ", cause.peer.value(), " for ",
                          describe_ticks(cause.ticks));
    case EventCause::Reason::kLeaderUnreachable:
      return absl::StrCat("leader ", cause.peer.value(), " is gone: it takes no connection");
    case EventCause::Reason::kElectionNotWon:
      return absl::StrCat("no election won within ", describe_ticks(cause.ticks));
    case EventCause::Reason::kPreVotesWon:
      return absl::StrCat("pre-votes of ", DescribeNodes(cause.nodes, ", "));
    case EventCause::Reason::kVotesWon:
      return absl::StrCat("won the election with votes of ", DescribeNodes(cause.nodes, ", "));
    case EventCause::Reason::kHigherTerm:
      return absl::StrCat("higher term ", event.term.value(), " from ", cause.peer.value());
    case EventCause::Reason::kVoteGiven:
      return absl::StrCat("voted for ", cause.peer.value());
    case EventCause::Reason::kAskedToStand:
      return absl::StrCat("leader ", cause.peer.value(), " hands over");
    case EventCause::Reason::kToldToHandOver:
      return absl::StrCat("to node ", cause.peer.value());
    case EventCause::Reason::kHigherPriority:
      return absl::StrCat("to node ", cause.peer.value(), ", which has a higher priority");
    case EventCause::Reason::kHandoverLate:
      return absl::StrCat("node ", cause.peer.value(), " did not take over within ",
                          describe_ticks(cause.ticks));
    case EventCause::Reason::kHandoverInVain:
      return absl::StrCat("node ", cause.peer.value(), " does not vote any more");
    case EventCause::Reason::kLeaderHeard:
      return absl::StrCat("heard from leader ", cause.peer.value());
    case EventCause::Reason::kQuorumLost:
      return "lost contact with a quorum";
    case EventCause::Reason::kDiskStalled:
      return absl::StrCat("own log write takes longer than ", describe_ticks(cause.ticks));
    case EventCause::Reason::kLogConflict:
      return "conflict with the leader";
    case EventCause::Reason::kNewestInLog:
      return "the newest in the log";
    case EventCause::Reason::kRemoved:
      return "does not vote any more";
    case EventCause::Reason::kRetired:
      return "must not lead any more";
    case EventCause::Reason::kLogHeldIt:
      return "the log holds its last entry and stays";
    case EventCause::Reason::kLogLackedIt:
      return "the log did not hold its last entry and begins anew after it";
  }
  return "unknown reason";
}

std::string LeaderText(NodeId leader) { return leader == kNobody ? "nobody" : ToString(leader); }

}  // namespace

std::string Describe(RaftRole role) {
  switch (role) {
    case RaftRole::kFollower:
      return "follower";
    case RaftRole::kPreCandidate:
      return "pre-candidate";
    case RaftRole::kCandidate:
      return "candidate";
    case RaftRole::kLeader:
      return "leader";
  }
  return "unknown role";
}

std::string Describe(EntryId id) { return absl::StrCat(id.term.value(), "/", id.index.value()); }

std::string Describe(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::kNoOp:
      return absl::StrCat(Describe(entry.id), " no-op");
    case EntryKind::kCommands:
      return absl::StrCat(Describe(entry.id), " ", DescribePayload(entry));
    case EntryKind::kConfiguration:
      return absl::StrCat(Describe(entry.id), " ", Describe(*entry.configuration));
  }
  return absl::StrCat(Describe(entry.id), " unknown kind");
}

std::string Describe(const HardState& hard_state) {
  return absl::StrCat("term=", hard_state.term.value(), " vote=", LeaderText(hard_state.vote));
}

std::string Describe(const Configuration& configuration) {
  std::string text = absl::StrCat("voters=(", DescribeNodes(configuration.voters, " "), ")");
  if (configuration.IsJoint()) {
    absl::StrAppend(&text, " outgoing=(", DescribeNodes(configuration.outgoing_voters, " "), ")");
  }
  if (!configuration.learners.empty()) {
    absl::StrAppend(&text, " learners=(", DescribeNodes(configuration.learners, " "), ")");
  }
  return text;
}

std::string Describe(const Message& message) { return std::visit(MessageText(), message); }

std::string Describe(const Envelope& envelope) {
  return absl::StrCat(envelope.from.value(), "->", envelope.to.value(),
                      " term=", envelope.term.value(), " ", Describe(envelope.message));
}

std::string Describe(const LogWrite& write) {
  std::string text = absl::StrCat("write ", write.id.value());
  if (write.hard_state.has_value()) {
    absl::StrAppend(&text, " ", Describe(*write.hard_state));
  }
  if (!write.entries.empty()) {
    absl::StrAppend(&text, " entries=", DescribeRange(write.entries));
  }
  return text;
}

std::string Describe(const LoadEntries& load) {
  return absl::StrCat("load for ", load.peer.value(), " from ", load.first.value(), " up to ",
                      load.bytes_max, " bytes");
}

std::string Describe(const SnapshotPoint& point) {
  return absl::StrCat("snapshot of ", Describe(point.last));
}

std::string Describe(const ReadOutcome& read) {
  if (read.aborted) {
    return absl::StrCat("read ", read.id.value(), " aborted");
  }
  return absl::StrCat("read ", read.id.value(), " at ", read.read_index.value());
}

std::string Describe(const Event& event, DescribeTicks describe_ticks) {
  const std::string because = absl::StrCat(": ", DescribeCause(event, describe_ticks));
  switch (event.kind) {
    case Event::Kind::kRoleChanged:
      return absl::StrCat(Describe(event.role), " term=", event.term.value(),
                          " leader=", LeaderText(event.leader), because);
    case Event::Kind::kLeaderChanged:
      return absl::StrCat("follows ", LeaderText(event.leader), " term=", event.term.value(),
                          because);
    case Event::Kind::kLogTruncated:
      return absl::StrCat("truncated from ", event.index.value(), because);
    case Event::Kind::kConfigurationChanged:
      return absl::StrCat("configuration of ", event.index.value(), ": ",
                          Describe(*event.configuration), because);
    case Event::Kind::kHandoverBegun:
      return absl::StrCat("hands over leadership of term ", event.term.value(), because);
    case Event::Kind::kHandoverGivenUp:
      return absl::StrCat("keeps leading term ", event.term.value(), because);
    case Event::Kind::kSnapshotInstalled:
      return absl::StrCat("installed a snapshot up to ", event.index.value(), because);
  }
  return "unknown event";
}

std::string Describe(const Event& event) {
  return Describe(event, [](uint64_t ticks) { return absl::StrCat(ticks, " ticks"); });
}

}  // namespace raftkv::raft
