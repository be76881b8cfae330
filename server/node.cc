#include "server/node.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api_error.h"

namespace raftkv::server {

grpc::Status Node::RefuseContent(raft::NodeId from, const absl::Status& status) {
  return peer_refusals.RefuseContent(
      from, absl::StrCat("member ", member_id, " \"", options->name, "\""), status);
}

std::vector<std::string> Node::AddressesOf(const log::v1::ConfiguredMember& member) const {
  return peer_addresses.Candidates(member.name(), PublishedAddressOf(member),
                                   member.peer_address());
}

const std::string& Node::PublishedAddressOf(const log::v1::ConfiguredMember& member) const {
  const auto& records = state_machine->member_records();
  const auto record = records.find(member.id());
  return record == records.end() ? member.peer_address() : record->second.peer_address();
}

void Node::FillHeader(int64_t revision, v1::ResponseHeader* header) const {
  header->set_cluster_id(configuration().has_value() ? configuration()->cluster_id() : 0);
  header->set_member_id(member_id);
  header->set_leader_id(driver->core().leader().value());
  header->set_raft_term(driver->core().term().value());
  header->set_revision(revision);
}

void Node::ReadWhenFresh(UnaryCall* call, v1::Consistency consistency, MonotonicNanos deadline,
                         std::function<void()> read) const {
  if (draining) {
    call->Fail(ShuttingDown());
    return;
  }
  if (consistency == v1::CONSISTENCY_STALE) {
    read();
    return;
  }
  driver->Read(deadline, [call, read = std::move(read)](raft::ReadResult result) {
    switch (result) {
      case raft::ReadResult::kReady:
        read();
        return;
      case raft::ReadResult::kNoLeader:
        call->Fail(NoLeader());
        return;
      case raft::ReadResult::kBehind:
        call->Fail(Behind());
        return;
      case raft::ReadResult::kOverloaded:
        call->Fail(Overloaded());
        return;
      case raft::ReadResult::kShuttingDown:
        call->Fail(ShuttingDown());
        return;
    }
  });
}

bool Node::ReadOnPool(UnaryCall* call, ReadPool::Length length, PoolRead read) const {
  storage::GivenUp given_up = [now = clock, deadline = call->AnswerBy()] {
    return now->Now() >= deadline;
  };
  return pool->Submit(length, [event_loop = loop, call, given_up = std::move(given_up),
                               view = state_machine->TakeView(), read = std::move(read)]() mutable {
    std::function<void()> reply = [call] { call->Fail(TooSlow()); };
    if (!given_up()) {
      reply = read(*view, given_up);
    }
    view.reset();
    event_loop->Post(std::move(reply));
  });
}

}  // namespace raftkv::server
