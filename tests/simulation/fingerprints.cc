#include "tests/simulation/fingerprints.h"

#include <type_traits>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/stable_hash.h"
#include "tests/simulation/trace.h"

namespace raftkv::simulation {
namespace {

// Takes in one thing after the other.
class Fingerprint {
 public:
  template <typename T>
  Fingerprint& Add(const T& value) {
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      value_ = Mix(value_ ^ static_cast<uint64_t>(value));
    } else if constexpr (std::is_convertible_v<T, absl::string_view>) {
      value_ = Mix(value_ ^ StableHash(value));
    } else {
      value_ = Mix(value_ ^ value.value());
    }
    return *this;
  }
  Fingerprint& Add(const raft::EntryId& id) { return Add(id.term).Add(id.index); }
  Fingerprint& Add(const std::vector<raft::Entry>& entries) {
    Add(entries.size());
    for (const raft::Entry& entry : entries) {
      Add(entry.id).Add(FingerprintOf(entry));
    }
    return *this;
  }

  Fingerprint& Add(const raft::VoteRequest& request) {
    return Add(request.pre_vote).Add(request.last_entry).Add(request.transfer);
  }
  Fingerprint& Add(const raft::VoteReply& reply) { return Add(reply.pre_vote).Add(reply.granted); }
  Fingerprint& Add(const raft::AppendRequest& append) {
    return Add(append.previous).Add(append.entries).Add(append.commit_index);
  }
  Fingerprint& Add(const raft::AppendAccepted& reply) { return Add(reply.match_index); }
  Fingerprint& Add(const raft::AppendRejected& reply) {
    return Add(reply.rejected_index).Add(reply.hint);
  }
  Fingerprint& Add(const raft::Heartbeat& heartbeat) {
    Add(heartbeat.commit_index).Add(heartbeat.round).Add(heartbeat.held_by_all);
    const raft::ClusterNews& news = heartbeat.news;
    Add(news.low_on_disk.size());
    for (const raft::NodeId node : news.low_on_disk) {
      Add(node);
    }
    return Add(news.audited).Add(news.differs_at).Add(news.right_hash);
  }
  Fingerprint& Add(const raft::HeartbeatReply& reply) {
    const raft::MemberNews& news = reply.news;
    return Add(reply.round).Add(news.low_on_disk).Add(news.audited).Add(news.state_hash);
  }

  Fingerprint& Add(const raft::TimeoutNow& /*request*/) { return *this; }

  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

}  // namespace

uint64_t FingerprintOf(const raft::Entry& entry) {
  Fingerprint fingerprint;
  fingerprint.Add(entry.kind).Add(entry.stamp);
  if (entry.payload != nullptr) {
    fingerprint.Add(*entry.payload);
  }
  return fingerprint.value();
}

uint64_t FingerprintOf(const raft::Envelope& envelope) {
  Fingerprint fingerprint;
  fingerprint.Add(envelope.from).Add(envelope.to).Add(envelope.term);
  fingerprint.Add(envelope.message.index());
  std::visit([&](const auto& message) { fingerprint.Add(message); }, envelope.message);
  return fingerprint.value();
}

uint64_t FingerprintOf(const raft::LogWrite& write) {
  Fingerprint fingerprint;
  fingerprint.Add(write.id).Add(write.entries);
  if (write.hard_state.has_value()) {
    fingerprint.Add(write.hard_state->term).Add(write.hard_state->vote);
  }
  return fingerprint.value();
}

uint64_t FingerprintOf(const raft::ForwardRequest& request) {
  Fingerprint fingerprint;
  fingerprint.Add(request.term).Add(request.proposals.size());
  for (const raft::Proposal& proposal : request.proposals) {
    fingerprint.Add(proposal.origin).Add(proposal.sequence).Add(proposal.command);
  }
  for (const raft::ReadId read : request.reads) {
    fingerprint.Add(read);
  }
  return fingerprint.value();
}

uint64_t FingerprintOf(const raft::ForwardReply& reply) {
  Fingerprint fingerprint;
  fingerprint.Add(reply.term).Add(reply.refused_proposals.size()).Add(reply.reads.size());
  for (const raft::RefusedProposal& refused : reply.refused_proposals) {
    fingerprint.Add(refused.sequence).Add(refused.reason);
  }
  for (const raft::ConfirmedRead& read : reply.reads) {
    fingerprint.Add(read.id).Add(read.read_index);
  }
  for (const raft::ReadId read : reply.refused_reads) {
    fingerprint.Add(read);
  }
  return fingerprint.value();
}

uint64_t FingerprintOf(const Request& request) {
  return Fingerprint()
      .Add(request.number)
      .Add(request.kind)
      .Add(request.command.SerializeAsString())
      .Add(request.key)
      .Add(request.scan.interval.start)
      .Add(request.scan.interval.end)
      .Add(request.scan.keys_max)
      .Add(request.scan.descending)
      .Add(request.linearizable)
      .value();
}

uint64_t FingerprintOf(const Reply& reply) {
  Fingerprint fingerprint;
  fingerprint.Add(reply.status).Add(reply.outcome.SerializeAsString());
  fingerprint.Add(reply.more).Add(reply.revision).Add(reply.applied);
  for (const log::v1::StoredKeyValue& row : reply.rows) {
    fingerprint.Add(row.SerializeAsString());
  }
  return fingerprint.value();
}

}  // namespace raftkv::simulation
