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

std::string DescribeNodes(const std::set<NodeId>& nodes) {
  return absl::StrJoin(nodes, " ",
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
                        " last=", Describe(m.last_entry));
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
    return absl::StrCat("Heartbeat commit=", m.commit_index.value(), " round=", m.round.value());
  }
  std::string operator()(const HeartbeatReply& m) const {
    return absl::StrCat("HeartbeatReply round=", m.round.value());
  }
};

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
  }
  return absl::StrCat(Describe(entry.id), " unknown kind");
}

std::string Describe(const HardState& hard_state) {
  return absl::StrCat("term=", hard_state.term.value(), " vote=", LeaderText(hard_state.vote));
}

std::string Describe(const Configuration& configuration) {
  std::string text = absl::StrCat("voters=(", DescribeNodes(configuration.voters), ")");
  if (configuration.IsJoint()) {
    absl::StrAppend(&text, " outgoing=(", DescribeNodes(configuration.outgoing_voters), ")");
  }
  if (!configuration.learners.empty()) {
    absl::StrAppend(&text, " learners=(", DescribeNodes(configuration.learners), ")");
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

std::string Describe(const ReadOutcome& read) {
  if (read.aborted) {
    return absl::StrCat("read ", read.id.value(), " aborted");
  }
  return absl::StrCat("read ", read.id.value(), " at ", read.read_index.value());
}

std::string Describe(const Event& event) {
  const std::string because = event.reason.empty() ? "" : absl::StrCat(": ", event.reason);
  switch (event.kind) {
    case Event::Kind::kRoleChanged:
      return absl::StrCat(Describe(event.role), " term=", event.term.value(),
                          " leader=", LeaderText(event.leader), because);
    case Event::Kind::kLeaderChanged:
      return absl::StrCat("follows ", LeaderText(event.leader), " term=", event.term.value(),
                          because);
    case Event::Kind::kLogTruncated:
      return absl::StrCat("truncated from ", event.index.value(), because);
    case Event::Kind::kMessageRefused:
      return absl::StrCat("refused a message", because);
  }
  return "unknown event";
}

}  // namespace raftkv::raft
