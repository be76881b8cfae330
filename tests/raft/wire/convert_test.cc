// What is well formed survives the way to bytes and back; what is not is refused, naming the field
// and its value.
#include "raft/wire/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <variant>
#include <vector>

#include "raft/runtime/command_batch.h"

namespace raftkv::wire {
namespace {

using raft::EntryId;
using raft::LogIndex;
using raft::NodeId;
using raft::ReadId;
using raft::RoundId;
using raft::Term;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kFrom{1};
constexpr NodeId kTo{2};
constexpr Term kTerm{7};

raft::Envelope Say(raft::Message message, Term term = kTerm) {
  return {.from = kFrom, .to = kTo, .term = term, .message = std::move(message)};
}

raft::Entry CommandEntry(uint64_t term, uint64_t index, uint64_t stamp,
                         const std::string& command) {
  std::string payload;
  raft::AppendProposal(/*origin=*/5, /*sequence=*/6, command, &payload);
  return {.id = {.term = Term(term), .index = LogIndex(index)},
          .kind = raft::EntryKind::kCommands,
          .stamp = raft::ClusterMillis(stamp),
          .payload = std::make_shared<const std::string>(std::move(payload))};
}

raft::Entry NoOpEntry(uint64_t term, uint64_t index, uint64_t stamp) {
  return {.id = {.term = Term(term), .index = LogIndex(index)},
          .kind = raft::EntryKind::kNoOp,
          .stamp = raft::ClusterMillis(stamp),
          .payload = nullptr};
}

// Through real bytes.
template <typename Proto>
Proto Sent(const Proto& proto) {
  Proto received;
  EXPECT_TRUE(received.ParseFromString(proto.SerializeAsString()));
  return received;
}

template <typename T>
void ExpectRefused(const absl::StatusOr<T>& result, const std::string& said) {
  ASSERT_FALSE(result.ok()) << "expected: " << said;
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr(said));
}

TEST(ConvertTest, LeaderMessagesRoundTrip) {
  const raft::AppendRequest append{
      .previous = {.term = Term(5), .index = LogIndex(40)},
      .entries = {NoOpEntry(6, 41, 1000), CommandEntry(6, 42, 1000, std::string("\0\xff", 2)),
                  CommandEntry(7, 43, 2000, std::string(100'000, 'x'))},
      .commit_index = LogIndex(41)};
  const raft::AppendRequest probe{.previous = {}, .entries = {}, .commit_index = LogIndex(0)};
  const raft::Heartbeat heartbeat{.commit_index = LogIndex(41),
                                  .round = RoundId(9),
                                  .held_by_all = LogIndex(40),
                                  .news = {.low_on_disk = {raft::NodeId(2), raft::NodeId(5)},
                                           .audited = LogIndex(39),
                                           .differs_at = LogIndex(38),
                                           .right_hash = uint64_t{1} << 62}};
  peer::v1::AppendEntriesRequest frame;
  AppendToFrame(Say(append), &frame);
  AppendToFrame(Say(probe), &frame);
  AppendToFrame(Say(heartbeat), &frame);

  const auto received = FromProto(Sent(frame), kFrom, kTo);
  ASSERT_TRUE(received.ok()) << received.status();
  ASSERT_THAT(*received, SizeIs(3));
  for (const raft::Envelope& envelope : *received) {
    EXPECT_EQ(envelope.from, kFrom);
    EXPECT_EQ(envelope.to, kTo);
    EXPECT_EQ(envelope.term, kTerm);
  }
  const auto& got_append = std::get<raft::AppendRequest>((*received)[0].message);
  EXPECT_EQ(got_append.previous, append.previous);
  EXPECT_EQ(got_append.commit_index, append.commit_index);
  ASSERT_THAT(got_append.entries, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) {
    const raft::Entry& got = got_append.entries[i];
    const raft::Entry& want = append.entries[i];
    EXPECT_EQ(got.id, want.id) << i;
    EXPECT_EQ(got.kind, want.kind) << i;
    EXPECT_EQ(got.stamp, want.stamp) << i;
    ASSERT_EQ(got.payload == nullptr, want.payload == nullptr) << i;
    if (want.payload != nullptr) {
      EXPECT_EQ(*got.payload, *want.payload) << i;
    }
  }
  EXPECT_EQ(std::get<raft::AppendRequest>((*received)[1].message).previous, EntryId());
  const auto& got_heartbeat = std::get<raft::Heartbeat>((*received)[2].message);
  EXPECT_EQ(got_heartbeat.commit_index, heartbeat.commit_index);
  EXPECT_EQ(got_heartbeat.round, heartbeat.round);
  EXPECT_EQ(got_heartbeat.held_by_all, heartbeat.held_by_all);
  EXPECT_EQ(got_heartbeat.news, heartbeat.news);
}

TEST(ConvertTest, FollowerMessagesRoundTrip) {
  peer::v1::AppendEntriesResponse frame;
  AppendToFrame(Say(raft::AppendAccepted{.match_index = LogIndex(12)}), &frame);
  AppendToFrame(Say(raft::AppendRejected{.rejected_index = LogIndex(30),
                                         .hint = {.term = Term(3), .index = LogIndex(20)}}),
                &frame);
  AppendToFrame(Say(raft::AppendRejected{.rejected_index = LogIndex(30), .hint = {}}), &frame);
  const raft::MemberNews news{
      .low_on_disk = true, .audited = LogIndex(11), .state_hash = uint64_t{1} << 63};
  AppendToFrame(Say(raft::HeartbeatReply{.round = RoundId(4), .news = news}), &frame);
  // What a stale leader is answered: no round, only a newer term.
  AppendToFrame(Say(raft::HeartbeatReply{.round = RoundId(0)}), &frame);

  const auto received = FromProto(Sent(frame), kFrom, kTo);
  ASSERT_TRUE(received.ok()) << received.status();
  ASSERT_THAT(*received, SizeIs(5));
  EXPECT_EQ((*received)[0].term, kTerm);
  EXPECT_EQ(std::get<raft::AppendAccepted>((*received)[0].message).match_index, LogIndex(12));
  const auto& rejected = std::get<raft::AppendRejected>((*received)[1].message);
  EXPECT_EQ(rejected.rejected_index, LogIndex(30));
  EXPECT_EQ(rejected.hint, (EntryId{.term = Term(3), .index = LogIndex(20)}));
  EXPECT_EQ(std::get<raft::AppendRejected>((*received)[2].message).hint, EntryId());
  EXPECT_EQ(std::get<raft::HeartbeatReply>((*received)[3].message).round, RoundId(4));
  EXPECT_EQ(std::get<raft::HeartbeatReply>((*received)[3].message).news, news);
  EXPECT_EQ(std::get<raft::HeartbeatReply>((*received)[4].message).round, RoundId(0));
}

TEST(ConvertTest, WhatMembersTellBesideTheLogIsChecked) {
  const auto heartbeat = [](const std::vector<uint64_t>& low) {
    peer::v1::AppendEntriesRequest frame;
    AppendToFrame(Say(raft::Heartbeat{}), &frame);
    for (const uint64_t id : low) {
      frame.mutable_messages(0)->mutable_heartbeat()->add_low_on_disk(id);
    }
    return FromProto(Sent(frame), kFrom, kTo);
  };
  ExpectRefused(heartbeat({3, 3}), "low_on_disk is 3, must be above the id before it");
  ExpectRefused(heartbeat({0}), "low_on_disk is 0, must be above the id before it");
  std::vector<uint64_t> many(65);
  std::iota(many.begin(), many.end(), 1);
  ExpectRefused(heartbeat(many), "number of low_on_disk is 65, at most 64 are taken");

  peer::v1::AppendEntriesResponse reply;
  AppendToFrame(Say(raft::HeartbeatReply{.round = RoundId(4)}), &reply);
  reply.mutable_messages(0)->mutable_heartbeat_reply()->set_state_hash(7);
  ExpectRefused(FromProto(Sent(reply), kFrom, kTo), "state_hash is 7, must be 0 without an index");
  peer::v1::AppendEntriesRequest verdict;
  verdict.set_term(kTerm.value());
  verdict.add_messages()->mutable_heartbeat()->set_right_hash(7);
  ExpectRefused(FromProto(Sent(verdict), kFrom, kTo),
                "right_hash is 7, must be 0 without an index");
}

TEST(ConvertTest, VotesRoundTrip) {
  for (const bool pre_vote : {false, true}) {
    const auto request = FromProto(
        Sent(ToVoteRequestProto(Say(raft::VoteRequest{
            .pre_vote = pre_vote, .last_entry = {.term = Term(6), .index = LogIndex(90)}}))),
        kFrom, kTo);
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ(request->term, kTerm);
    EXPECT_EQ(request->from, kFrom);
    EXPECT_EQ(request->to, kTo);
    const auto& asked = std::get<raft::VoteRequest>(request->message);
    EXPECT_EQ(asked.pre_vote, pre_vote);
    EXPECT_EQ(asked.last_entry, (EntryId{.term = Term(6), .index = LogIndex(90)}));
    for (const bool granted : {false, true}) {
      const auto reply = FromProto(
          Sent(ToVoteResponseProto(Say(raft::VoteReply{.pre_vote = pre_vote, .granted = granted}))),
          kFrom, kTo);
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_EQ(reply->term, kTerm);
      EXPECT_EQ(std::get<raft::VoteReply>(reply->message).pre_vote, pre_vote);
      EXPECT_EQ(std::get<raft::VoteReply>(reply->message).granted, granted);
    }
  }
}

TEST(ConvertTest, ForwardedRequestsRoundTrip) {
  const raft::ForwardRequest request{.term = kTerm,
                                     .proposals = {{.origin = std::numeric_limits<uint64_t>::max(),
                                                    .sequence = 3,
                                                    .command = std::string("\0a", 2)},
                                                   {.origin = 5, .sequence = 4, .command = ""}},
                                     .reads = {ReadId(8), ReadId(9)}};
  const auto received = FromProto(Sent(ToProto(request)));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->term, request.term);
  ASSERT_THAT(received->proposals, SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(received->proposals[i].origin, request.proposals[i].origin);
    EXPECT_EQ(received->proposals[i].sequence, request.proposals[i].sequence);
    EXPECT_EQ(received->proposals[i].command, request.proposals[i].command);
  }
  EXPECT_EQ(received->reads, request.reads);
}

TEST(ConvertTest, ForwardRepliesRoundTrip) {
  const raft::ForwardReply reply{
      .term = kTerm,
      .refused_proposals = {{.sequence = 1, .reason = raft::RefusalReason::kNotLeader},
                            {.sequence = 2, .reason = raft::RefusalReason::kOverloaded}},
      .reads = {{.id = ReadId(3), .read_index = LogIndex(77)}},
      .refused_reads = {ReadId(4)}};
  const auto received = FromProto(Sent(ToProto(reply)));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->term, reply.term);
  ASSERT_THAT(received->refused_proposals, SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(received->refused_proposals[i].sequence, reply.refused_proposals[i].sequence);
    EXPECT_EQ(received->refused_proposals[i].reason, reply.refused_proposals[i].reason);
  }
  ASSERT_THAT(received->reads, SizeIs(1));
  EXPECT_EQ(received->reads[0].id, ReadId(3));
  EXPECT_EQ(received->reads[0].read_index, LogIndex(77));
  EXPECT_EQ(received->refused_reads, reply.refused_reads);
}

TEST(ConvertTest, FramesThatOnlyOpenAStreamHoldNothing) {
  peer::v1::AppendEntriesRequest append;
  append.mutable_opening()->set_sender_id(1);
  const auto envelopes = FromProto(append, kFrom, kTo);
  ASSERT_TRUE(envelopes.ok()) << envelopes.status();
  EXPECT_THAT(*envelopes, IsEmpty());

  peer::v1::ForwardRequest forward;
  forward.mutable_opening()->set_sender_id(1);
  const auto request = FromProto(forward);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(request->proposals, IsEmpty());
  EXPECT_THAT(request->reads, IsEmpty());
}

TEST(ConvertTest, MessagesKnowTheirStream) {
  const std::vector<raft::Message> leader = {raft::AppendRequest{}, raft::Heartbeat{}};
  const std::vector<raft::Message> follower = {raft::AppendAccepted{}, raft::AppendRejected{},
                                               raft::HeartbeatReply{}};
  const std::vector<raft::Message> neither = {raft::VoteRequest{}, raft::VoteReply{}};
  for (const raft::Message& message : leader) {
    EXPECT_TRUE(IsLeaderMessage(message) && !IsFollowerMessage(message)) << message.index();
  }
  for (const raft::Message& message : follower) {
    EXPECT_TRUE(!IsLeaderMessage(message) && IsFollowerMessage(message)) << message.index();
  }
  for (const raft::Message& message : neither) {
    EXPECT_FALSE(IsLeaderMessage(message) || IsFollowerMessage(message)) << message.index();
  }
}

TEST(ConvertDeathTest, AFrameHasOneTerm) {
  peer::v1::AppendEntriesRequest frame;
  AppendToFrame(Say(raft::Heartbeat{}, Term(7)), &frame);
  EXPECT_DEATH(AppendToFrame(Say(raft::Heartbeat{}, Term(8)), &frame), "a frame has one term");
}

// A frame with one good Append of two entries, to be broken by the cases below.
peer::v1::AppendEntriesRequest GoodFrame() {
  peer::v1::AppendEntriesRequest frame;
  AppendToFrame(Say(raft::AppendRequest{
                    .previous = {.term = Term(5), .index = LogIndex(40)},
                    .entries = {NoOpEntry(6, 41, 1000), CommandEntry(7, 42, 2000, "payload")},
                    .commit_index = LogIndex(40)}),
                &frame);
  return frame;
}

struct BrokenAppend {
  const char* name;
  std::function<void(peer::v1::AppendEntriesRequest*, peer::v1::Append*)> break_it;
  const char* said;
};

TEST(ConvertTest, MalformedLeaderFramesAreRefused) {
  ASSERT_TRUE(FromProto(GoodFrame(), kFrom, kTo).ok());
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  using Frame = peer::v1::AppendEntriesRequest;
  using Append = peer::v1::Append;
  const std::vector<BrokenAppend> cases = {
      {"no term", [](Frame* frame, Append*) { frame->set_term(0); }, "term is 0"},
      {"no kind", [](Frame* frame, Append*) { frame->add_messages(); }, "kind is 0, is not set"},
      {"absurd cluster time",
       [](Frame* frame, Append*) { frame->set_cluster_time_ms(kClusterMillisMax + 1); },
       "cluster_time_ms is 9007199254740993, must be at most 9007199254740992"},
      {"previous without term", [](Frame*, Append* append) { append->set_previous_term(0); },
       "previous has term 0 and index 40"},
      {"previous without index", [](Frame*, Append* append) { append->set_previous_index(0); },
       "previous has term 5 and index 0"},
      {"previous of the future", [](Frame*, Append* append) { append->set_previous_term(8); },
       "previous term is 8, must not be above the sender's term 7"},
      {"gap after previous",
       [](Frame*, Append* append) { append->mutable_entries(0)->set_index(42); },
       "entry index is 42, must follow 40"},
      {"gap between entries",
       [](Frame*, Append* append) { append->mutable_entries(1)->set_index(43); },
       "entry index is 43, must follow 41"},
      {"same index twice",
       [](Frame*, Append* append) { append->mutable_entries(1)->set_index(41); },
       "entry index is 41, must follow 41"},
      {"index wraps to 0",
       [](Frame*, Append* append) {
         append->set_previous_index(kMax);
         append->mutable_entries(0)->set_index(0);
       },
       "entry index is 0"},
      {"term 0", [](Frame*, Append* append) { append->mutable_entries(0)->set_term(0); },
       "entry term is 0"},
      {"term below previous",
       [](Frame*, Append* append) { append->mutable_entries(0)->set_term(4); },
       "entry term is 4, must be at least 1 and the previous entry's 5"},
      {"terms go back", [](Frame*, Append* append) { append->mutable_entries(1)->set_term(5); },
       "entry term is 5, must be at least 1 and the previous entry's 6"},
      {"term above the frame's",
       [](Frame*, Append* append) { append->mutable_entries(1)->set_term(8); },
       "entry term is 8, must not be above the frame's term 7"},
      {"stamps go back",
       [](Frame*, Append* append) { append->mutable_entries(1)->set_cluster_time_ms(999); },
       "entry cluster_time_ms is 999"},
      {"absurd stamp",
       [](Frame*, Append* append) { append->mutable_entries(1)->set_cluster_time_ms(kMax); },
       "entry cluster_time_ms is 18446744073709551615"},
      {"no entry kind",
       [](Frame*, Append* append) {
         append->mutable_entries(0)->set_kind(peer::v1::LogEntry::KIND_UNSPECIFIED);
       },
       "entry kind is 0"},
      {"unknown entry kind",
       [](Frame*, Append* append) {
         append->mutable_entries(0)->set_kind(static_cast<peer::v1::LogEntry::Kind>(99));
       },
       "entry kind is 99"},
      {"no-op with payload",
       [](Frame*, Append* append) { append->mutable_entries(0)->set_payload("abc"); },
       "payload bytes of a no-op is 3"},
      {"cut batch of commands",
       [](Frame*, Append* append) { append->mutable_entries(1)->mutable_payload()->pop_back(); },
       "payload bytes is 20, are no batch of commands, or not as the leader wrote them"},
      {"too many messages",
       [](Frame* frame, Append*) {
         for (int i = 0; i < kFrameMessagesMax; ++i) {
           frame->add_messages()->mutable_heartbeat();
         }
       },
       "number of messages is 4097, at most 4096"},
      {"too many entries",
       [](Frame*, Append* append) {
         for (int i = append->entries_size(); i <= kAppendEntriesMax; ++i) {
           *append->add_entries() = append->entries(1);
         }
       },
       "number of entries is 65537, at most 65536"},
  };
  for (const BrokenAppend& broken : cases) {
    SCOPED_TRACE(broken.name);
    peer::v1::AppendEntriesRequest frame = GoodFrame();
    peer::v1::Append* append = frame.mutable_messages(0)->mutable_append();
    broken.break_it(&frame, append);
    ExpectRefused(FromProto(Sent(frame), kFrom, kTo), broken.said);
  }
}

TEST(ConvertTest, MalformedFollowerFramesAreRefused) {
  using Frame = peer::v1::AppendEntriesResponse;
  struct Case {
    const char* name;
    std::function<void(Frame*, peer::v1::AppendRejected*)> break_it;
    const char* said;
  };
  const std::vector<Case> cases = {
      {"no term", [](Frame* frame, auto*) { frame->set_term(0); }, "term is 0"},
      {"no kind", [](Frame* frame, auto*) { frame->add_messages(); }, "kind is 0, is not set"},
      {"rejected nothing", [](Frame*, auto* rejected) { rejected->set_rejected_index(0); },
       "rejected_index is 0"},
      {"hint beyond", [](Frame*, auto* rejected) { rejected->set_hint_index(31); },
       "hint_index is 31, must not be above rejected_index 30"},
      {"hint without term", [](Frame*, auto* rejected) { rejected->set_hint_term(0); },
       "hint has term 0 and index 20"},
      {"hint of the future", [](Frame*, auto* rejected) { rejected->set_hint_term(8); },
       "hint term is 8"},
      {"too many messages",
       [](Frame* frame, auto*) {
         for (int i = 0; i < kFrameMessagesMax; ++i) {
           frame->add_messages()->mutable_accepted();
         }
       },
       "number of messages is 4097"},
  };
  for (const Case& broken : cases) {
    SCOPED_TRACE(broken.name);
    Frame frame;
    AppendToFrame(Say(raft::AppendRejected{.rejected_index = LogIndex(30),
                                           .hint = {.term = Term(3), .index = LogIndex(20)}}),
                  &frame);
    ASSERT_TRUE(FromProto(frame, kFrom, kTo).ok());
    broken.break_it(&frame, frame.mutable_messages(0)->mutable_rejected());
    ExpectRefused(FromProto(Sent(frame), kFrom, kTo), broken.said);
  }
}

TEST(ConvertTest, TransfersRoundTrip) {
  const auto asked = FromProto(ToTimeoutNowProto(Say(raft::TimeoutNow())), kFrom, kTo);
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(asked->term, kTerm);
  EXPECT_TRUE(std::holds_alternative<raft::TimeoutNow>(asked->message));
  ExpectRefused(FromProto(peer::v1::TimeoutNowRequest(), kFrom, kTo), "term is 0");
  for (const bool transfer : {false, true}) {
    const auto vote = FromProto(
        ToVoteRequestProto(Say(raft::VoteRequest{.last_entry = {}, .transfer = transfer})), kFrom,
        kTo);
    ASSERT_TRUE(vote.ok()) << vote.status();
    EXPECT_EQ(std::get<raft::VoteRequest>(vote->message).transfer, transfer);
  }
}

TEST(ConvertTest, MalformedVotesAreRefused) {
  peer::v1::RequestVoteRequest request;
  ExpectRefused(FromProto(request, kFrom, kTo), "term is 0");
  request.set_term(7);
  EXPECT_TRUE(FromProto(request, kFrom, kTo).ok()) << "an empty log is fine";
  request.set_last_log_index(3);
  ExpectRefused(FromProto(request, kFrom, kTo), "last log entry has term 0 and index 3");
  request.set_last_log_term(8);
  ExpectRefused(FromProto(request, kFrom, kTo), "last log entry term is 8");

  peer::v1::RequestVoteResponse response;
  ExpectRefused(FromProto(response, kFrom, kTo), "term is 0");
  response.set_pre_vote(true);
  EXPECT_TRUE(FromProto(response, kFrom, kTo).ok()) << "a new node's refusal";
  response.set_granted(true);
  ExpectRefused(FromProto(response, kFrom, kTo), "term is 0");
}

TEST(ConvertTest, MalformedForwardFramesAreRefused) {
  peer::v1::ForwardRequest good;
  good.set_term(7);
  good.add_proposals()->set_origin(1);
  good.mutable_proposals(0)->set_sequence(2);
  good.add_read_ids(3);
  ASSERT_TRUE(FromProto(good).ok());

  peer::v1::ForwardRequest frame = good;
  frame.set_term(0);
  ExpectRefused(FromProto(frame), "term is 0");
  frame = good;
  frame.mutable_proposals(0)->set_origin(0);
  ExpectRefused(FromProto(frame), "proposal origin is 0");
  frame = good;
  frame.mutable_proposals(0)->set_sequence(0);
  ExpectRefused(FromProto(frame), "proposal sequence is 0");
  frame = good;
  frame.add_read_ids(0);
  ExpectRefused(FromProto(frame), "read_id is 0");
  frame = good;
  frame.mutable_read_ids()->Resize(kForwardItemsMax + 1, 1);
  ExpectRefused(FromProto(frame), "number of read_ids is 65537");
  frame = good;
  for (int i = 0; i < kForwardItemsMax; ++i) {
    *frame.add_proposals() = good.proposals(0);
  }
  ExpectRefused(FromProto(frame), "number of proposals is 65537");
}

TEST(ConvertTest, MalformedForwardAnswersAreRefused) {
  peer::v1::ForwardResponse frame;
  frame.add_refused_proposals()->set_reason(peer::v1::RefusedProposal::REASON_OVERLOADED);
  ExpectRefused(FromProto(frame), "refused sequence is 0");
  frame.mutable_refused_proposals(0)->set_sequence(1);
  ASSERT_TRUE(FromProto(frame).ok());
  frame.mutable_refused_proposals(0)->set_reason(peer::v1::RefusedProposal::REASON_UNSPECIFIED);
  ExpectRefused(FromProto(frame), "refusal reason is 0");
  frame.mutable_refused_proposals(0)->set_reason(
      static_cast<peer::v1::RefusedProposal::Reason>(42));
  ExpectRefused(FromProto(frame), "refusal reason is 42");

  frame.Clear();
  frame.add_read_indexes()->set_index(4);
  ExpectRefused(FromProto(frame), "read_id is 0");
  frame.mutable_read_indexes(0)->set_read_id(4);
  frame.mutable_read_indexes(0)->set_index(0);
  ExpectRefused(FromProto(frame), "read index is 0");

  frame.Clear();
  frame.add_refused_read_ids(0);
  ExpectRefused(FromProto(frame), "refused read_id is 0");
  frame.mutable_refused_read_ids()->Resize(kForwardItemsMax + 1, 1);
  ExpectRefused(FromProto(frame), "number of refused_read_ids is 65537");
}

log::v1::ClusterConfiguration GoodConfiguration() {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(99);
  for (uint64_t id = 1; id <= 4; ++id) {
    configuration.add_members()->set_id(id);
  }
  for (uint64_t id = 1; id <= 3; ++id) {
    configuration.add_voters(id);
  }
  configuration.add_learners(4);
  return configuration;
}

SnapshotOffer Offer() {
  return {
      .term = kTerm,
      .point = {.last = {.term = Term(5), .index = LogIndex(9)}, .stamp = raft::ClusterMillis(77)},
      .first_chunk = 3};
}

TEST(ConvertTest, SnapshotsRoundTrip) {
  const auto offer = FromProto(Sent(ToProto(Offer())));
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_EQ(offer->term, kTerm);
  EXPECT_EQ(offer->point, Offer().point);
  EXPECT_EQ(offer->first_chunk, 3u);

  const auto chunk = FromProto(Sent(ToProto(SnapshotChunk{.number = 4, .data = "data"})));
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  EXPECT_EQ(chunk->number, 4u);
  EXPECT_EQ(chunk->data, "data");
}

// Between members: it must not change.
TEST(ConvertTest, TheChecksumOfAChunkIsFrozen) {
  EXPECT_EQ(ToProto(SnapshotChunk{.number = 0, .data = "a"}).checksum(), 0xe6c632b61e964e1fu);
}

TEST(ConvertTest, MalformedSnapshotOpeningsAreRefused) {
  const peer::v1::SnapshotOpening good = ToProto(Offer());
  peer::v1::SnapshotOpening bad = good;
  bad.set_term(0);
  ExpectRefused(FromProto(bad), "term is 0");
  bad = good;
  bad.set_last_index(0);
  ExpectRefused(FromProto(bad), "snapshot has term 5 and index 0");
  bad.set_last_term(0);
  ExpectRefused(FromProto(bad), "last_index is 0");
  bad = good;
  bad.set_last_term(8);
  ExpectRefused(FromProto(bad), "snapshot term is 8");
  bad = good;
  bad.set_last_index(std::numeric_limits<uint64_t>::max());
  ExpectRefused(FromProto(bad), "last_index is 18446744073709551615");
  bad = good;
  bad.set_cluster_time_ms(kClusterMillisMax + 1);
  ExpectRefused(FromProto(bad), "cluster_time_ms is 9007199254740993");
}

TEST(ConvertTest, MalformedSnapshotChunksAreRefused) {
  const peer::v1::SnapshotChunk good = ToProto(SnapshotChunk{.number = 4, .data = "data"});
  peer::v1::SnapshotChunk bad = good;
  bad.clear_data();
  ExpectRefused(FromProto(bad), "bytes of chunk 4 is 0");
  bad = good;
  bad.set_data("dat");
  ExpectRefused(FromProto(bad), "checksum of chunk 4");
  bad = good;
  bad.set_checksum(good.checksum() + 1);
  ExpectRefused(FromProto(bad), "checksum of chunk 4");
  bad = ToProto(SnapshotChunk{.number = 4, .data = std::string(kSnapshotChunkBytesMax + 1, 'x')});
  ExpectRefused(FromProto(bad), "bytes of chunk 4 is 8388609");
  EXPECT_TRUE(FromProto(ToProto(SnapshotChunk{.number = 4,
                                              .data = std::string(kSnapshotChunkBytesMax, 'x')}))
                  .ok());
}

TEST(ConvertTest, ConfigurationsAreTheirIds) {
  const auto simple = FromProto(GoodConfiguration());
  ASSERT_TRUE(simple.ok()) << simple.status();
  EXPECT_EQ(*simple, (raft::Configuration{.voters = {NodeId(1), NodeId(2), NodeId(3)},
                                          .outgoing_voters = {},
                                          .learners = {NodeId(4)}}));
  log::v1::ClusterConfiguration proto = GoodConfiguration();
  proto.clear_voters();
  proto.add_voters(2);
  proto.add_outgoing_voters(1);
  proto.add_outgoing_voters(3);
  const auto joint = FromProto(proto);
  ASSERT_TRUE(joint.ok()) << joint.status();
  EXPECT_TRUE(joint->IsJoint());
  EXPECT_EQ(joint->outgoing_voters, (std::set<NodeId>{NodeId(1), NodeId(3)}));
}

raft::Entry ConfigurationEntry(std::string payload) {
  return {.id = {.term = Term(7), .index = LogIndex(1)},
          .kind = raft::EntryKind::kConfiguration,
          .stamp = raft::ClusterMillis(0),
          .payload = std::make_shared<const std::string>(std::move(payload))};
}

absl::StatusOr<std::vector<raft::Envelope>> Sent(const raft::Entry& entry) {
  peer::v1::AppendEntriesRequest frame;
  AppendToFrame(
      Say(raft::AppendRequest{.previous = {}, .entries = {entry}, .commit_index = LogIndex(0)}),
      &frame);
  return FromProto(Sent(frame), kFrom, kTo);
}

TEST(ConvertTest, EntriesSayWhoCounts) {
  const std::string payload = GoodConfiguration().SerializeAsString();
  const auto received = Sent(ConfigurationEntry(payload));
  ASSERT_TRUE(received.ok()) << received.status();
  const raft::Entry& entry =
      std::get<raft::AppendRequest>(received->front().message).entries.front();
  EXPECT_EQ(entry.kind, raft::EntryKind::kConfiguration);
  EXPECT_EQ(*entry.payload, payload);
  EXPECT_EQ(*entry.configuration, *FromProto(GoodConfiguration()));

  ExpectRefused(Sent(ConfigurationEntry("")), "payload bytes is 0, are no configuration");
  ExpectRefused(Sent(ConfigurationEntry(payload.substr(0, payload.size() - 1))),
                "are no configuration");
  log::v1::ClusterConfiguration without_voters = GoodConfiguration();
  without_voters.clear_voters();
  ExpectRefused(Sent(ConfigurationEntry(without_voters.SerializeAsString())),
                "number of voters is 0");
}

TEST(ConvertTest, MalformedConfigurationsAreRefused) {
  log::v1::ClusterConfiguration configuration = GoodConfiguration();
  configuration.clear_voters();
  ExpectRefused(FromProto(configuration), "number of voters is 0");
  configuration = GoodConfiguration();
  configuration.add_voters(5);
  ExpectRefused(FromProto(configuration), "voter is 5, is not a listed member");
  configuration = GoodConfiguration();
  configuration.add_outgoing_voters(6);
  ExpectRefused(FromProto(configuration), "outgoing voter is 6, is not a listed member");
  configuration = GoodConfiguration();
  configuration.add_voters(1);
  ExpectRefused(FromProto(configuration), "voter is 1, is listed twice");
  configuration = GoodConfiguration();
  configuration.add_learners(1);
  ExpectRefused(FromProto(configuration), "learner is 1, is a voter as well");
  configuration = GoodConfiguration();
  configuration.add_members()->set_id(5);
  ExpectRefused(FromProto(configuration), "member id is 5, is neither voter nor learner");
  configuration = GoodConfiguration();
  configuration.add_members()->set_id(1);
  ExpectRefused(FromProto(configuration), "member id is 1, is listed twice");
  configuration = GoodConfiguration();
  configuration.add_members();
  ExpectRefused(FromProto(configuration), "member id is 0");
}

}  // namespace
}  // namespace raftkv::wire
