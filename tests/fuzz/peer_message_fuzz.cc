// Bytes of peers, through raft/wire into a core in any state: whatever a peer sends is refused or
// taken, and ends no process. Half of the messages are built to fit, so that they get far.
#include <glog/logging.h>

#include <string>
#include <utility>
#include <vector>

#include "raft/core/describe.h"
#include "raft/runtime/command_batch.h"
#include "raft/wire/convert.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzzed_core.h"

namespace raftkv::fuzz {
namespace {

using raft::NodeId;

constexpr NodeId kSelf(1);

template <typename Proto>
Proto Parsed(const std::string& bytes) {
  Proto proto;
  (void)proto.ParseFromString(bytes);  // What was read before a broken byte counts too.
  return proto;
}

void Deliver(absl::StatusOr<std::vector<raft::Envelope>> envelopes, FuzzedCore* node) {
  if (envelopes.ok()) {
    for (raft::Envelope& envelope : *envelopes) {
      node->Deliver(std::move(envelope));
    }
  }
}

void Deliver(absl::StatusOr<raft::Envelope> envelope, FuzzedCore* node) {
  if (envelope.ok()) {
    node->Deliver(*std::move(envelope));
  }
}

void DeliverBytes(ByteSource* source, NodeId from, FuzzedCore* node) {
  const uint64_t kind = source->Below(4);
  const std::string bytes(source->TakeUpTo(source->Byte()));
  switch (kind) {
    case 0:
      Deliver(wire::FromProto(Parsed<peer::v1::AppendEntriesRequest>(bytes), from, kSelf), node);
      break;
    case 1:
      Deliver(wire::FromProto(Parsed<peer::v1::AppendEntriesResponse>(bytes), from, kSelf), node);
      break;
    case 2:
      Deliver(wire::FromProto(Parsed<peer::v1::RequestVoteRequest>(bytes), from, kSelf), node);
      break;
    default:
      Deliver(wire::FromProto(Parsed<peer::v1::RequestVoteResponse>(bytes), from, kSelf), node);
      break;
  }
}

void FillAppend(ByteSource* source, const raft::RaftCore& core, peer::v1::Append* append) {
  uint64_t index = source->Near(core.last_entry().index.value());
  uint64_t term = source->Near(core.last_entry().term.value());
  append->set_previous_index(index);
  append->set_previous_term(index == 0 ? 0 : term);
  append->set_commit_index(source->Near(core.commit_index().value()));
  uint64_t stamp = source->Byte();
  for (uint64_t entries = source->Below(5); entries > 0; --entries) {
    peer::v1::LogEntry* entry = append->add_entries();
    term += source->Below(3) == 0 ? 1 : 0;
    stamp += source->Below(3);
    entry->set_index(++index);
    entry->set_term(term);
    entry->set_cluster_time_ms(stamp);
    entry->set_kind(source->Flag() ? peer::v1::LogEntry::KIND_COMMANDS
                                   : peer::v1::LogEntry::KIND_NO_OP);
    if (entry->kind() == peer::v1::LogEntry::KIND_COMMANDS) {
      raft::AppendProposal(source->Byte(), source->Byte(), source->TakeUpTo(source->Below(16)),
                           entry->mutable_payload());
    }
  }
}

void DeliverLeaderFrame(ByteSource* source, NodeId from, FuzzedCore* node) {
  const raft::RaftCore& core = node->core();
  peer::v1::AppendEntriesRequest frame;
  frame.set_term(source->Near(core.term().value() + 4));
  for (uint64_t messages = 1 + source->Below(3); messages > 0; --messages) {
    peer::v1::LeaderMessage* message = frame.add_messages();
    if (source->Below(3) != 0) {
      FillAppend(source, core, message->mutable_append());
    } else {
      message->mutable_heartbeat()->set_commit_index(source->Near(core.commit_index().value()));
      message->mutable_heartbeat()->set_round(source->Near(4));
    }
  }
  Deliver(wire::FromProto(std::move(frame), from, kSelf), node);
}

void DeliverFollowerFrame(ByteSource* source, NodeId from, FuzzedCore* node) {
  const raft::RaftCore& core = node->core();
  const uint64_t last = core.last_entry().index.value();
  peer::v1::AppendEntriesResponse frame;
  frame.set_term(source->Near(core.term().value() + 4));
  for (uint64_t messages = 1 + source->Below(3); messages > 0; --messages) {
    peer::v1::FollowerMessage* message = frame.add_messages();
    switch (source->Below(3)) {
      case 0:
        message->mutable_accepted()->set_match_index(source->Near(last + 2));
        break;
      case 1:
        message->mutable_rejected()->set_rejected_index(source->Near(last + 2));
        message->mutable_rejected()->set_hint_index(source->Near(last));
        message->mutable_rejected()->set_hint_term(source->Near(core.last_entry().term.value()));
        break;
      default:
        message->mutable_heartbeat_reply()->set_round(source->Near(6));
        break;
    }
  }
  Deliver(wire::FromProto(frame, from, kSelf), node);
}

void DeliverVote(ByteSource* source, NodeId from, FuzzedCore* node) {
  const raft::RaftCore& core = node->core();
  const uint64_t term = source->Near(core.term().value() + 4);
  const uint64_t flags = source->Byte();
  if ((flags & 1) == 0) {
    peer::v1::RequestVoteResponse response;
    response.set_term(term);
    response.set_granted((flags & 2) != 0);
    response.set_pre_vote((flags & 4) != 0);
    return Deliver(wire::FromProto(response, from, kSelf), node);
  }
  peer::v1::RequestVoteRequest request;
  request.set_term(term);
  request.set_pre_vote((flags & 4) != 0);
  request.set_last_log_index(source->Near(core.last_entry().index.value()));
  request.set_last_log_term(source->Near(core.last_entry().term.value()));
  Deliver(wire::FromProto(request, from, kSelf), node);
}

// Requests that members forward, and configurations: decoded, and the same after another turn.
void DecodeAlone(ByteSource* source) {
  const uint64_t kind = source->Below(3);
  const std::string bytes(source->TakeAll());
  if (kind == 0) {
    auto request = wire::FromProto(Parsed<peer::v1::ForwardRequest>(bytes));
    if (request.ok()) {
      const std::string encoded = wire::ToProto(*request).SerializeAsString();
      auto again = wire::FromProto(Parsed<peer::v1::ForwardRequest>(encoded));
      CHECK(again.ok()) << again.status();
      CHECK_EQ(wire::ToProto(*std::move(again)).SerializeAsString(), encoded);
    }
  } else if (kind == 1) {
    const auto reply = wire::FromProto(Parsed<peer::v1::ForwardResponse>(bytes));
    if (reply.ok()) {
      const std::string encoded = wire::ToProto(*reply).SerializeAsString();
      const auto again = wire::FromProto(Parsed<peer::v1::ForwardResponse>(encoded));
      CHECK(again.ok()) << again.status();
      CHECK_EQ(wire::ToProto(*again).SerializeAsString(), encoded);
    }
  } else {
    const auto configuration = wire::FromProto(Parsed<log::v1::ClusterConfiguration>(bytes));
    CHECK(!configuration.ok() || !configuration->voters.empty());
  }
}

void Run(ByteSource* source) {
  if (source->Below(8) == 7) {
    return DecodeAlone(source);
  }
  FuzzedCore node(source);
  while (!source->empty()) {
    const uint64_t choice = source->Below(8);
    if (choice < 3) {
      node.Act(source);
      continue;
    }
    const NodeId from(source->Below(7));  // A stranger and oneself included.
    if (choice == 3) {
      DeliverBytes(source, from, &node);
    } else if (choice == 4) {
      DeliverVote(source, from, &node);
    } else if (choice == 5) {
      DeliverFollowerFrame(source, from, &node);
    } else {
      DeliverLeaderFrame(source, from, &node);
    }
  }
}

}  // namespace
}  // namespace raftkv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  raftkv::fuzz::ByteSource source(data, size);
  raftkv::fuzz::Run(&source);
  return 0;
}
