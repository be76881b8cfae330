// What followers ask of a leader, and its answers, to and from their messages.
#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "raft/wire/convert.h"
#include "raft/wire/field_checks.h"

namespace raftkv::wire {
namespace {

using raft::LogIndex;
using raft::ReadId;
using raft::Term;

absl::StatusOr<raft::RefusalReason> ReasonFromProto(peer::v1::RefusedProposal::Reason reason) {
  switch (reason) {
    case peer::v1::RefusedProposal::REASON_NOT_LEADER:
      return raft::RefusalReason::kNotLeader;
    case peer::v1::RefusedProposal::REASON_OVERLOADED:
      return raft::RefusalReason::kOverloaded;
    default:  // Open enum: a newer peer may know more.
      return Malformed("refusal reason", static_cast<uint64_t>(reason), "is not known");
  }
}

peer::v1::RefusedProposal::Reason ToProto(raft::RefusalReason reason) {
  switch (reason) {
    case raft::RefusalReason::kNotLeader:
      return peer::v1::RefusedProposal::REASON_NOT_LEADER;
    case raft::RefusalReason::kOverloaded:
      return peer::v1::RefusedProposal::REASON_OVERLOADED;
  }
  LOG(FATAL) << "refusal reason " << static_cast<int>(reason);
}

}  // namespace

peer::v1::ForwardRequest ToProto(raft::ForwardRequest request) {
  peer::v1::ForwardRequest out;
  out.set_term(request.term.value());
  for (raft::Proposal& proposal : request.proposals) {
    peer::v1::ForwardedProposal* forwarded = out.add_proposals();
    forwarded->set_origin(proposal.origin);
    forwarded->set_sequence(proposal.sequence);
    forwarded->set_command(std::move(proposal.command));
  }
  for (const ReadId read : request.reads) {
    out.add_read_ids(read.value());
  }
  return out;
}

peer::v1::ForwardResponse ToProto(const raft::ForwardReply& reply) {
  peer::v1::ForwardResponse out;
  out.set_term(reply.term.value());
  for (const raft::RefusedProposal& proposal : reply.refused_proposals) {
    peer::v1::RefusedProposal* refused = out.add_refused_proposals();
    refused->set_sequence(proposal.sequence);
    refused->set_reason(ToProto(proposal.reason));
  }
  for (const raft::ConfirmedRead& read : reply.reads) {
    peer::v1::ReadIndex* read_index = out.add_read_indexes();
    read_index->set_read_id(read.id.value());
    read_index->set_index(read.read_index.value());
  }
  for (const ReadId read : reply.refused_reads) {
    out.add_refused_read_ids(read.value());
  }
  return out;
}

absl::StatusOr<raft::ForwardRequest> FromProto(peer::v1::ForwardRequest frame) {
  RAFTKV_RETURN_IF_ERROR(CheckCount("proposals", frame.proposals_size(), kForwardItemsMax));
  RAFTKV_RETURN_IF_ERROR(CheckCount("read_ids", frame.read_ids_size(), kForwardItemsMax));
  raft::ForwardRequest request{.term = Term(frame.term()), .proposals = {}, .reads = {}};
  request.proposals.reserve(static_cast<size_t>(frame.proposals_size()));
  for (peer::v1::ForwardedProposal& proposal : *frame.mutable_proposals()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("proposal origin", proposal.origin()));
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("proposal sequence", proposal.sequence()));
    request.proposals.push_back({.origin = proposal.origin(),
                                 .sequence = proposal.sequence(),
                                 .command = std::move(*proposal.mutable_command())});
  }
  for (const uint64_t read : frame.read_ids()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("read_id", read));
    request.reads.emplace_back(read);
  }
  if (!request.proposals.empty() || !request.reads.empty()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("term", frame.term()));
  }
  return request;
}

absl::StatusOr<raft::ForwardReply> FromProto(const peer::v1::ForwardResponse& frame) {
  RAFTKV_RETURN_IF_ERROR(
      CheckCount("refused_proposals", frame.refused_proposals_size(), kForwardItemsMax));
  RAFTKV_RETURN_IF_ERROR(CheckCount("read_indexes", frame.read_indexes_size(), kForwardItemsMax));
  RAFTKV_RETURN_IF_ERROR(
      CheckCount("refused_read_ids", frame.refused_read_ids_size(), kForwardItemsMax));
  raft::ForwardReply reply{
      .term = Term(frame.term()), .refused_proposals = {}, .reads = {}, .refused_reads = {}};
  for (const peer::v1::RefusedProposal& refused : frame.refused_proposals()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("refused sequence", refused.sequence()));
    RAFTKV_ASSIGN_OR_RETURN(const raft::RefusalReason reason, ReasonFromProto(refused.reason()));
    reply.refused_proposals.push_back({.sequence = refused.sequence(), .reason = reason});
  }
  for (const peer::v1::ReadIndex& read : frame.read_indexes()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("read_id", read.read_id()));
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("read index", read.index()));
    reply.reads.push_back({.id = ReadId(read.read_id()), .read_index = LogIndex(read.index())});
  }
  for (const uint64_t read : frame.refused_read_ids()) {
    RAFTKV_RETURN_IF_ERROR(CheckNotZero("refused read_id", read));
    reply.refused_reads.emplace_back(read);
  }
  return reply;
}

}  // namespace raftkv::wire
