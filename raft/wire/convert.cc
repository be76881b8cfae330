#include "raft/wire/convert.h"

#define XXH_INLINE_ALL
#include <glog/logging.h>
#include <xxhash.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "raft/runtime/command_batch.h"
#include "raft/wire/field_checks.h"

namespace raftkv::wire {
namespace {

using raft::EntryId;
using raft::LogIndex;
using raft::NodeId;
using raft::RoundId;
using raft::Term;

// Far above the size of any cluster.
constexpr int kLowOnDiskMax = 64;

// An entry's place in a log of a peer whose term is `term`; {0, 0} is the place before the first.
absl::StatusOr<EntryId> PlaceFromProto(absl::string_view field, uint64_t place_term, uint64_t index,
                                       Term term) {
  if ((place_term == 0) != (index == 0)) {
    return absl::InvalidArgumentError(absl::StrCat(field, " has term ", place_term, " and index ",
                                                   index, ", only both can be 0"));
  }
  if (place_term > term.value()) {
    return Malformed(absl::StrCat(field, " term"), place_term,
                     absl::StrCat("must not be above the sender's term ", term.value()));
  }
  return EntryId{.term = Term(place_term), .index = LogIndex(index)};
}

std::optional<raft::EntryKind> KindFromProto(peer::v1::LogEntry::Kind kind) {
  switch (kind) {
    case peer::v1::LogEntry::KIND_NO_OP:
      return raft::EntryKind::kNoOp;
    case peer::v1::LogEntry::KIND_COMMANDS:
      return raft::EntryKind::kCommands;
    case peer::v1::LogEntry::KIND_CONFIGURATION:
      return raft::EntryKind::kConfiguration;
    default:  // Open enum: a newer peer may know more.
      return std::nullopt;
  }
}

peer::v1::LogEntry::Kind ToProto(raft::EntryKind kind) {
  switch (kind) {
    case raft::EntryKind::kNoOp:
      return peer::v1::LogEntry::KIND_NO_OP;
    case raft::EntryKind::kCommands:
      return peer::v1::LogEntry::KIND_COMMANDS;
    case raft::EntryKind::kConfiguration:
      return peer::v1::LogEntry::KIND_CONFIGURATION;
  }
  LOG(FATAL) << "entry kind " << static_cast<int>(kind);
}

// Whether the payload is one of the entry's kind; reads what the core must know of it.
absl::Status CheckPayload(raft::Entry* entry) {
  switch (entry->kind) {
    case raft::EntryKind::kNoOp:
      if (entry->payload != nullptr) {
        return Malformed("payload bytes of a no-op", entry->payload_bytes(), "must be 0");
      }
      break;
    case raft::EntryKind::kCommands: {
      raft::CommandBatchReader batch(raft::CommandsOf(*entry));
      while (batch.Next()) {
      }
      if (!batch.ok()) {
        return Malformed("payload bytes", entry->payload_bytes(),
                         "are no batch of commands, or not as the leader wrote them");
      }
      break;
    }
    case raft::EntryKind::kConfiguration: {
      RAFTKV_ASSIGN_OR_RETURN(entry->configuration, ConfigurationOf(*entry));
      break;
    }
  }
  return absl::OkStatus();
}

// `previous` is the entry before, `term` the leader's.
absl::StatusOr<raft::Entry> EntryFromProto(peer::v1::LogEntry* entry, EntryId previous,
                                           raft::ClusterMillis previous_stamp, Term term) {
  if (entry->index() == 0 || entry->index() != previous.index.Next().value()) {
    return Malformed("entry index", entry->index(),
                     absl::StrCat("must follow ", previous.index.value()));
  }
  if (entry->term() == 0 || entry->term() < previous.term.value()) {
    return Malformed(
        "entry term", entry->term(),
        absl::StrCat("must be at least 1 and the previous entry's ", previous.term.value()));
  }
  if (entry->term() > term.value()) {
    return Malformed("entry term", entry->term(),
                     absl::StrCat("must not be above the frame's term ", term.value()));
  }
  if (entry->cluster_time_ms() < previous_stamp.value() ||
      entry->cluster_time_ms() > kClusterMillisMax) {
    return Malformed("entry cluster_time_ms", entry->cluster_time_ms(),
                     absl::StrCat("must be in [", previous_stamp.value(), " of the entry before, ",
                                  kClusterMillisMax, "]"));
  }
  const std::optional<raft::EntryKind> kind = KindFromProto(entry->kind());
  if (!kind.has_value()) {
    return Malformed("entry kind", static_cast<uint64_t>(entry->kind()), "is not known");
  }
  raft::Entry result{.id = {.term = Term(entry->term()), .index = LogIndex(entry->index())},
                     .kind = *kind,
                     .stamp = raft::ClusterMillis(entry->cluster_time_ms()),
                     .payload = nullptr};
  if (!entry->payload().empty()) {
    result.payload = std::make_shared<const std::string>(std::move(*entry->mutable_payload()));
  }
  RAFTKV_RETURN_IF_ERROR(CheckPayload(&result));
  return result;
}

absl::StatusOr<raft::Message> AppendFromProto(peer::v1::Append* append, Term term) {
  RAFTKV_RETURN_IF_ERROR(CheckCount("entries", append->entries_size(), kAppendEntriesMax));
  raft::AppendRequest request;
  RAFTKV_ASSIGN_OR_RETURN(request.previous, PlaceFromProto("previous", append->previous_term(),
                                                           append->previous_index(), term));
  request.commit_index = LogIndex(append->commit_index());
  request.entries.reserve(static_cast<size_t>(append->entries_size()));
  EntryId previous = request.previous;
  raft::ClusterMillis previous_stamp;
  for (peer::v1::LogEntry& entry : *append->mutable_entries()) {
    absl::StatusOr<raft::Entry> converted = EntryFromProto(&entry, previous, previous_stamp, term);
    RAFTKV_RETURN_IF_ERROR(converted.status());
    previous = converted->id;
    previous_stamp = converted->stamp;
    request.entries.push_back(*std::move(converted));
  }
  return raft::Message(std::move(request));
}

absl::StatusOr<raft::Message> HeartbeatFromProto(const peer::v1::Heartbeat& heartbeat) {
  raft::Heartbeat result{.commit_index = LogIndex(heartbeat.commit_index()),
                         .round = RoundId(heartbeat.round()),
                         .held_by_all = LogIndex(heartbeat.held_by_all_index())};
  result.news.audited = LogIndex(heartbeat.audited_index());
  result.news.differs_at = LogIndex(heartbeat.differs_at_index());
  result.news.right_hash = heartbeat.right_hash();
  if (heartbeat.differs_at_index() == 0 && heartbeat.right_hash() != 0) {
    return Malformed("right_hash", heartbeat.right_hash(), "must be 0 without an index");
  }
  RAFTKV_RETURN_IF_ERROR(CheckCount("low_on_disk", heartbeat.low_on_disk_size(), kLowOnDiskMax));
  NodeId previous = raft::kNobody;
  for (const uint64_t id : heartbeat.low_on_disk()) {
    if (NodeId(id) <= previous) {
      return Malformed("low_on_disk", id, "must be above the id before it");
    }
    previous = NodeId(id);
    result.news.low_on_disk.push_back(previous);
  }
  return raft::Message(std::move(result));
}

absl::StatusOr<raft::Message> LeaderMessageFromProto(peer::v1::LeaderMessage* message, Term term) {
  switch (message->kind_case()) {
    case peer::v1::LeaderMessage::kAppend:
      return AppendFromProto(message->mutable_append(), term);
    case peer::v1::LeaderMessage::kHeartbeat:
      return HeartbeatFromProto(message->heartbeat());
    case peer::v1::LeaderMessage::KIND_NOT_SET:
      break;
  }
  return Malformed("leader message kind", 0, "is not set or not known");
}

absl::StatusOr<raft::Message> HeartbeatReplyFromProto(const peer::v1::HeartbeatReply& reply) {
  raft::HeartbeatReply result{.round = RoundId(reply.round())};
  result.news.low_on_disk = reply.low_on_disk();
  result.news.audited = LogIndex(reply.audited_index());
  result.news.state_hash = reply.state_hash();
  if (reply.audited_index() == 0 && reply.state_hash() != 0) {
    return Malformed("state_hash", reply.state_hash(), "must be 0 without an index");
  }
  return raft::Message(result);
}

absl::StatusOr<raft::Message> FollowerMessageFromProto(const peer::v1::FollowerMessage& message,
                                                       Term term) {
  switch (message.kind_case()) {
    case peer::v1::FollowerMessage::kAccepted:
      return raft::Message(
          raft::AppendAccepted{.match_index = LogIndex(message.accepted().match_index())});
    case peer::v1::FollowerMessage::kRejected: {
      const peer::v1::AppendRejected& rejected = message.rejected();
      RAFTKV_RETURN_IF_ERROR(CheckNotZero("rejected_index", rejected.rejected_index()));
      if (rejected.hint_index() > rejected.rejected_index()) {
        return Malformed(
            "hint_index", rejected.hint_index(),
            absl::StrCat("must not be above rejected_index ", rejected.rejected_index()));
      }
      RAFTKV_ASSIGN_OR_RETURN(const EntryId hint, PlaceFromProto("hint", rejected.hint_term(),
                                                                 rejected.hint_index(), term));
      return raft::Message(raft::AppendRejected{
          .rejected_index = LogIndex(rejected.rejected_index()), .hint = hint});
    }
    case peer::v1::FollowerMessage::kHeartbeatReply:
      // Round 0 answers no round: it only brings a stale leader the sender's term.
      return HeartbeatReplyFromProto(message.heartbeat_reply());
    case peer::v1::FollowerMessage::KIND_NOT_SET:
      break;
  }
  return Malformed("follower message kind", 0, "is not set or not known");
}

void AppendEntry(const raft::Entry& entry, peer::v1::Append* append) {
  peer::v1::LogEntry* out = append->add_entries();
  out->set_term(entry.id.term.value());
  out->set_index(entry.id.index.value());
  out->set_kind(ToProto(entry.kind));
  out->set_cluster_time_ms(entry.stamp.value());
  if (entry.payload != nullptr) {
    out->set_payload(*entry.payload);
  }
}

// Sets the term of a frame, or checks that it is the same.
template <typename Frame>
void SetTerm(const raft::Envelope& envelope, Frame* frame) {
  if (frame->messages_size() == 0) {
    frame->set_term(envelope.term.value());
  }
  CHECK_EQ(frame->term(), envelope.term.value()) << "a frame has one term";
}

// The ids of one list; each must name a listed member, once.
absl::StatusOr<std::set<NodeId>> IdsFromProto(absl::string_view field,
                                              const google::protobuf::RepeatedField<uint64_t>& ids,
                                              const std::set<NodeId>& members) {
  std::set<NodeId> result;
  for (const uint64_t id : ids) {
    if (!members.contains(NodeId(id))) {
      return Malformed(field, id, "is not a listed member");
    }
    if (!result.insert(NodeId(id)).second) {
      return Malformed(field, id, "is listed twice");
    }
  }
  return result;
}

absl::StatusOr<std::set<NodeId>> MembersFromProto(
    const log::v1::ClusterConfiguration& configuration) {
  std::set<NodeId> members;
  for (const log::v1::ConfiguredMember& member : configuration.members()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("member id", member.id()));
    if (!members.insert(NodeId(member.id())).second) {
      return Malformed("member id", member.id(), "is listed twice");
    }
  }
  return members;
}

}  // namespace

bool IsLeaderMessage(const raft::Message& message) {
  return std::holds_alternative<raft::AppendRequest>(message) ||
         std::holds_alternative<raft::Heartbeat>(message);
}

bool IsFollowerMessage(const raft::Message& message) {
  return std::holds_alternative<raft::AppendAccepted>(message) ||
         std::holds_alternative<raft::AppendRejected>(message) ||
         std::holds_alternative<raft::HeartbeatReply>(message);
}

void AppendToFrame(const raft::Envelope& envelope, peer::v1::AppendEntriesRequest* frame) {
  CHECK(IsLeaderMessage(envelope.message)) << "variant " << envelope.message.index();
  SetTerm(envelope, frame);
  peer::v1::LeaderMessage* out = frame->add_messages();
  if (const auto* heartbeat = std::get_if<raft::Heartbeat>(&envelope.message)) {
    out->mutable_heartbeat()->set_commit_index(heartbeat->commit_index.value());
    out->mutable_heartbeat()->set_round(heartbeat->round.value());
    out->mutable_heartbeat()->set_held_by_all_index(heartbeat->held_by_all.value());
    for (const NodeId id : heartbeat->news.low_on_disk) {
      out->mutable_heartbeat()->add_low_on_disk(id.value());
    }
    out->mutable_heartbeat()->set_audited_index(heartbeat->news.audited.value());
    out->mutable_heartbeat()->set_differs_at_index(heartbeat->news.differs_at.value());
    out->mutable_heartbeat()->set_right_hash(heartbeat->news.right_hash);
    return;
  }
  const auto& request = std::get<raft::AppendRequest>(envelope.message);
  peer::v1::Append* append = out->mutable_append();
  append->set_previous_index(request.previous.index.value());
  append->set_previous_term(request.previous.term.value());
  append->set_commit_index(request.commit_index.value());
  append->mutable_entries()->Reserve(static_cast<int>(request.entries.size()));
  for (const raft::Entry& entry : request.entries) {
    AppendEntry(entry, append);
  }
}

void AppendToFrame(const raft::Envelope& envelope, peer::v1::AppendEntriesResponse* frame) {
  CHECK(IsFollowerMessage(envelope.message)) << "variant " << envelope.message.index();
  SetTerm(envelope, frame);
  peer::v1::FollowerMessage* out = frame->add_messages();
  if (const auto* accepted = std::get_if<raft::AppendAccepted>(&envelope.message)) {
    out->mutable_accepted()->set_match_index(accepted->match_index.value());
  } else if (const auto* reply = std::get_if<raft::HeartbeatReply>(&envelope.message)) {
    peer::v1::HeartbeatReply* answer = out->mutable_heartbeat_reply();
    answer->set_round(reply->round.value());
    answer->set_low_on_disk(reply->news.low_on_disk);
    answer->set_audited_index(reply->news.audited.value());
    answer->set_state_hash(reply->news.state_hash);
  } else {
    const auto& rejected = std::get<raft::AppendRejected>(envelope.message);
    out->mutable_rejected()->set_rejected_index(rejected.rejected_index.value());
    out->mutable_rejected()->set_hint_index(rejected.hint.index.value());
    out->mutable_rejected()->set_hint_term(rejected.hint.term.value());
  }
}

peer::v1::RequestVoteRequest ToVoteRequestProto(const raft::Envelope& envelope) {
  const auto& request = std::get<raft::VoteRequest>(envelope.message);
  peer::v1::RequestVoteRequest out;
  out.set_term(envelope.term.value());
  out.set_last_log_index(request.last_entry.index.value());
  out.set_last_log_term(request.last_entry.term.value());
  out.set_pre_vote(request.pre_vote);
  out.set_leadership_transfer(request.transfer);
  return out;
}

peer::v1::TimeoutNowRequest ToTimeoutNowProto(const raft::Envelope& envelope) {
  CHECK(std::holds_alternative<raft::TimeoutNow>(envelope.message));
  peer::v1::TimeoutNowRequest out;
  out.set_term(envelope.term.value());
  return out;
}

peer::v1::RequestVoteResponse ToVoteResponseProto(const raft::Envelope& envelope) {
  const auto& reply = std::get<raft::VoteReply>(envelope.message);
  peer::v1::RequestVoteResponse out;
  out.set_term(envelope.term.value());
  out.set_granted(reply.granted);
  out.set_pre_vote(reply.pre_vote);
  return out;
}

absl::StatusOr<std::vector<raft::Envelope>> FromProto(peer::v1::AppendEntriesRequest frame,
                                                      NodeId from, NodeId to) {
  if (frame.cluster_time_ms() > kClusterMillisMax) {
    return Malformed("cluster_time_ms", frame.cluster_time_ms(),
                     absl::StrCat("must be at most ", kClusterMillisMax));
  }
  RAFTKV_RETURN_IF_ERROR(CheckCount("messages", frame.messages_size(), kFrameMessagesMax));
  std::vector<raft::Envelope> envelopes;
  if (frame.messages_size() == 0) {
    return envelopes;
  }
  RAFTKV_RETURN_IF_ERROR(CheckNotZero("term", frame.term()));
  const Term term(frame.term());
  envelopes.reserve(static_cast<size_t>(frame.messages_size()));
  for (peer::v1::LeaderMessage& message : *frame.mutable_messages()) {
    absl::StatusOr<raft::Message> converted = LeaderMessageFromProto(&message, term);
    RAFTKV_RETURN_IF_ERROR(converted.status());
    envelopes.push_back({.from = from, .to = to, .term = term, .message = *std::move(converted)});
  }
  return envelopes;
}

absl::StatusOr<std::vector<raft::Envelope>> FromProto(const peer::v1::AppendEntriesResponse& frame,
                                                      NodeId from, NodeId to) {
  RAFTKV_RETURN_IF_ERROR(CheckCount("messages", frame.messages_size(), kFrameMessagesMax));
  std::vector<raft::Envelope> envelopes;
  if (frame.messages_size() == 0) {
    return envelopes;
  }
  RAFTKV_RETURN_IF_ERROR(CheckNotZero("term", frame.term()));
  const Term term(frame.term());
  envelopes.reserve(static_cast<size_t>(frame.messages_size()));
  for (const peer::v1::FollowerMessage& message : frame.messages()) {
    absl::StatusOr<raft::Message> converted = FollowerMessageFromProto(message, term);
    RAFTKV_RETURN_IF_ERROR(converted.status());
    envelopes.push_back({.from = from, .to = to, .term = term, .message = *std::move(converted)});
  }
  return envelopes;
}

absl::StatusOr<raft::Envelope> FromProto(const peer::v1::RequestVoteRequest& request, NodeId from,
                                         NodeId to) {
  RAFTKV_RETURN_IF_ERROR(CheckNotZero("term", request.term()));
  RAFTKV_ASSIGN_OR_RETURN(const EntryId last_entry,
                          PlaceFromProto("last log entry", request.last_log_term(),
                                         request.last_log_index(), Term(request.term())));
  return raft::Envelope{.from = from,
                        .to = to,
                        .term = Term(request.term()),
                        .message = raft::VoteRequest{.pre_vote = request.pre_vote(),
                                                     .last_entry = last_entry,
                                                     .transfer = request.leadership_transfer()}};
}

absl::StatusOr<raft::Envelope> FromProto(const peer::v1::TimeoutNowRequest& request, NodeId from,
                                         NodeId to) {
  RAFTKV_RETURN_IF_ERROR(CheckNotZero("term", request.term()));
  return raft::Envelope{
      .from = from, .to = to, .term = Term(request.term()), .message = raft::TimeoutNow()};
}

absl::StatusOr<raft::Envelope> FromProto(const peer::v1::RequestVoteResponse& response, NodeId from,
                                         NodeId to) {
  // A node that has seen no election yet may say no to a PreVote in term 0.
  if (response.term() == 0 && (response.granted() || !response.pre_vote())) {
    return Malformed("term", response.term(), "must not be 0 in this reply");
  }
  return raft::Envelope{
      .from = from,
      .to = to,
      .term = Term(response.term()),
      .message = raft::VoteReply{.pre_vote = response.pre_vote(), .granted = response.granted()}};
}

peer::v1::SnapshotOpening ToProto(const SnapshotOffer& offer) {
  peer::v1::SnapshotOpening out;
  out.set_term(offer.term.value());
  out.set_last_index(offer.point.last.index.value());
  out.set_last_term(offer.point.last.term.value());
  out.set_cluster_time_ms(offer.point.stamp.value());
  out.set_first_chunk(offer.first_chunk);
  return out;
}

absl::StatusOr<SnapshotOffer> FromProto(const peer::v1::SnapshotOpening& opening) {
  RAFTKV_RETURN_IF_ERROR(CheckNotZero("term", opening.term()));
  SnapshotOffer offer;
  offer.term = Term(opening.term());
  RAFTKV_ASSIGN_OR_RETURN(offer.point.last, PlaceFromProto("snapshot", opening.last_term(),
                                                           opening.last_index(), offer.term));
  RAFTKV_RETURN_IF_ERROR(CheckNotZero("last_index", opening.last_index()));
  if (opening.last_index() > raft::kNumberMax) {
    return Malformed("last_index", opening.last_index(),
                     absl::StrCat("must be at most ", raft::kNumberMax));
  }
  if (opening.cluster_time_ms() > kClusterMillisMax) {
    return Malformed("cluster_time_ms", opening.cluster_time_ms(),
                     absl::StrCat("must be at most ", kClusterMillisMax));
  }
  offer.point.stamp = raft::ClusterMillis(opening.cluster_time_ms());
  offer.first_chunk = opening.first_chunk();
  return offer;
}

peer::v1::SnapshotChunk ToProto(SnapshotChunk chunk) {
  peer::v1::SnapshotChunk out;
  out.set_number(chunk.number);
  out.set_checksum(XXH3_64bits(chunk.data.data(), chunk.data.size()));
  out.set_data(std::move(chunk.data));
  return out;
}

absl::StatusOr<SnapshotChunk> FromProto(peer::v1::SnapshotChunk chunk) {
  const std::string& data = chunk.data();
  if (data.empty() || data.size() > kSnapshotChunkBytesMax) {
    return Malformed(absl::StrCat("bytes of chunk ", chunk.number()), data.size(),
                     absl::StrCat("must be 1 to ", kSnapshotChunkBytesMax));
  }
  if (const uint64_t checksum = XXH3_64bits(data.data(), data.size());
      checksum != chunk.checksum()) {
    return Malformed(absl::StrCat("checksum of chunk ", chunk.number()), chunk.checksum(),
                     absl::StrCat("its ", data.size(), " bytes have ", checksum));
  }
  return SnapshotChunk{.number = chunk.number(), .data = std::move(*chunk.mutable_data())};
}

absl::StatusOr<raft::Configuration> FromProto(const log::v1::ClusterConfiguration& configuration) {
  RAFTKV_ASSIGN_OR_RETURN(const std::set<NodeId> members, MembersFromProto(configuration));
  raft::Configuration result;
  RAFTKV_ASSIGN_OR_RETURN(result.voters, IdsFromProto("voter", configuration.voters(), members));
  RAFTKV_ASSIGN_OR_RETURN(result.outgoing_voters,
                          IdsFromProto("outgoing voter", configuration.outgoing_voters(), members));
  RAFTKV_ASSIGN_OR_RETURN(result.learners,
                          IdsFromProto("learner", configuration.learners(), members));
  if (result.voters.empty()) {
    return Malformed("number of voters", 0, "at least 1 is needed");
  }
  for (const NodeId learner : result.learners) {
    if (result.IsVoter(learner)) {
      return Malformed("learner", learner.value(), "is a voter as well");
    }
  }
  for (const NodeId member : members) {
    if (!result.IsMember(member)) {
      return Malformed("member id", member.value(), "is neither voter nor learner");
    }
  }
  return result;
}

absl::StatusOr<std::shared_ptr<const raft::Configuration>> ConfigurationOf(
    const raft::Entry& entry) {
  log::v1::ClusterConfiguration configuration;
  if (entry.payload == nullptr || !configuration.ParseFromString(*entry.payload)) {
    return Malformed("payload bytes", entry.payload_bytes(), "are no configuration");
  }
  RAFTKV_ASSIGN_OR_RETURN(raft::Configuration result, FromProto(configuration));
  return std::make_shared<const raft::Configuration>(std::move(result));
}

}  // namespace raftkv::wire
