#include "tests/simulation/fingerprints.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "tests/support/lone_core.h"

namespace raftkv::simulation {
namespace {

using raft::AppendAccepted;
using raft::AppendRejected;
using raft::AppendRequest;
using raft::ClusterMillis;
using raft::EntryId;
using raft::EntryKind;
using raft::Envelope;
using raft::Heartbeat;
using raft::HeartbeatReply;
using raft::Id;
using raft::LogIndex;
using raft::NodeId;
using raft::ReadId;
using raft::RoundId;
using raft::Term;
using raft::VoteReply;
using raft::VoteRequest;

raft::Entry EntryOf(std::string payload, uint64_t stamp) {
  raft::Entry entry;
  entry.id = Id(2, 5);
  entry.stamp = ClusterMillis(stamp);
  entry.kind = EntryKind::kCommands;
  entry.payload = std::make_shared<const std::string>(std::move(payload));
  return entry;
}

template <typename T>
void ExpectAllDiffer(const std::vector<T>& things) {
  std::set<uint64_t> fingerprints;
  for (const T& thing : things) {
    fingerprints.insert(FingerprintOf(thing));
  }
  EXPECT_EQ(fingerprints.size(), things.size());
}

Envelope Said(raft::Message message, uint64_t to = 2, uint64_t term = 3) {
  return {.from = NodeId(1), .to = NodeId(to), .term = Term(term), .message = std::move(message)};
}

TEST(FingerprintsTest, EveryFieldOfAMessageCounts) {
  ExpectAllDiffer<Envelope>({
      Said(VoteRequest{.pre_vote = true, .last_entry = Id(1, 1)}),
      Said(VoteRequest{.pre_vote = false, .last_entry = Id(1, 1)}),
      Said(VoteRequest{.pre_vote = false, .last_entry = Id(1, 2)}),
      Said(VoteReply{.pre_vote = true, .granted = false}),
      Said(VoteReply{.pre_vote = false, .granted = true}),
      Said(AppendRequest{.previous = Id(1, 1), .entries = {}, .commit_index = LogIndex(1)}),
      Said(AppendRequest{.previous = Id(1, 2), .entries = {}, .commit_index = LogIndex(1)}),
      Said(AppendRequest{.previous = Id(1, 1), .entries = {}, .commit_index = LogIndex(2)}),
      Said(AppendRequest{
          .previous = Id(1, 1), .entries = {EntryOf("a", 7)}, .commit_index = LogIndex(1)}),
      Said(AppendRequest{
          .previous = Id(1, 1), .entries = {EntryOf("b", 7)}, .commit_index = LogIndex(1)}),
      Said(AppendRequest{
          .previous = Id(1, 1), .entries = {EntryOf("a", 8)}, .commit_index = LogIndex(1)}),
      Said(AppendAccepted{.match_index = LogIndex(4)}),
      Said(AppendAccepted{.match_index = LogIndex(5)}),
      Said(AppendRejected{.rejected_index = LogIndex(4), .hint = Id(1, 1)}),
      Said(AppendRejected{.rejected_index = LogIndex(5), .hint = Id(1, 1)}),
      Said(AppendRejected{.rejected_index = LogIndex(4), .hint = Id(1, 2)}),
      Said(Heartbeat{.commit_index = LogIndex(4), .round = RoundId(1)}),
      Said(Heartbeat{.commit_index = LogIndex(4), .round = RoundId(2)}),
      Said(Heartbeat{.commit_index = LogIndex(4),
                     .round = RoundId(2),
                     .news = {.low_on_disk = {}, .audited = LogIndex(3)}}),
      Said(HeartbeatReply{.round = RoundId(1)}),
      Said(HeartbeatReply{.round = RoundId(1), .news = {.low_on_disk = true}}),
      Said(HeartbeatReply{.round = RoundId(2)}),
      Said(HeartbeatReply{.round = RoundId(2)}, /*to=*/3),
      Said(HeartbeatReply{.round = RoundId(2)}, /*to=*/2, /*term=*/4),
  });
}

TEST(FingerprintsTest, EveryFieldOfALogWriteCounts) {
  const auto write = [](uint64_t term, std::string payload) {
    raft::LogWrite made;
    made.hard_state = raft::HardState{.term = Term(term)};
    made.entries = {EntryOf(std::move(payload), 7)};
    return made;
  };
  ExpectAllDiffer<raft::LogWrite>({write(1, "a"), write(2, "a"), write(1, "b"), raft::LogWrite()});
}

TEST(FingerprintsTest, WhatIsForwardedCounts) {
  const auto request = [](uint64_t sequence, std::string command) {
    return raft::ForwardRequest{
        .term = Term(1),
        .proposals = {{.origin = 1, .sequence = sequence, .command = std::move(command)}},
        .reads = {}};
  };
  ExpectAllDiffer<raft::ForwardRequest>({request(1, "a"), request(2, "a"), request(1, "b")});
  const auto reply = [](uint64_t read, uint64_t index) {
    return raft::ForwardReply{.term = Term(1),
                              .refused_proposals = {},
                              .reads = {{.id = ReadId(read), .read_index = LogIndex(index)}},
                              .refused_reads = {}};
  };
  ExpectAllDiffer<raft::ForwardReply>({reply(1, 1), reply(2, 1), reply(1, 2)});
}

TEST(FingerprintsTest, WhatClientsAskAndAreToldCounts) {
  ExpectAllDiffer<Request>({Request{.number = 1}, Request{.number = 2},
                            Request{.number = 1, .key = "a"},
                            Request{.number = 1, .linearizable = false}});
  Reply with_row;
  with_row.rows.emplace_back().set_value("x");
  ExpectAllDiffer<Reply>({Reply(), Reply{.status = Reply::Status::kNoLeader}, Reply{.revision = 1},
                          Reply{.applied = LogIndex(1)}, with_row});
}

}  // namespace
}  // namespace raftkv::simulation
