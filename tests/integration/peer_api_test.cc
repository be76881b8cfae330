// Peers that are not what they should be: refused with a message that names both sides, and nobody
// is harmed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "raftkv/peer/v1/forward.grpc.pb.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "tests/support/http2_client.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class PeerApiTest : public testing::Test {
 protected:
  // One cluster for all: a refused peer leaves nothing behind.
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<TestCluster>();
    ASSERT_TRUE(cluster_->StartAll());
    ASSERT_TRUE(cluster_->client(0).PutText("before", "1").ok());
    // What members publish after their start would get in between the lies.
    ASSERT_TRUE(cluster_->WaitUntilPublished());
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  void SetUp() override {
    target_ = cluster_->WaitForLeader().value_or(0);
    impersonated_ = cluster_->Other(target_);
    channel_ = MakeChannel(cluster_->peer_address(target_));
    raft_ = peer::v1::RaftService::NewStub(channel_);
    forward_ = peer::v1::ForwardService::NewStub(channel_);
    configuration_ = Hello().configuration();
    ASSERT_EQ(configuration_.members_size(), 3);
    term_ = cluster_->client(target_).GetStatus()->header().raft_term();
  }

  void TearDown() override {
    EXPECT_TRUE(cluster_->server(target_).running());
    ASSERT_TRUE(cluster_->WaitForLeader().has_value());
    EXPECT_TRUE(cluster_->client(target_).PutText("after", "1").ok());
    EXPECT_EQ(cluster_->client(impersonated_).GetText("before")->kv().text(), "1");
    EXPECT_EQ(cluster_->client(target_).GetStatus()->header().raft_term(), term_)
        << "nobody was deposed";
  }

  peer::v1::HelloResponse Hello() {
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    peer::v1::HelloRequest request;
    request.set_name("somebody");
    request.set_data_id(1);
    request.set_protocol_version(3);
    peer::v1::HelloResponse response;
    const grpc::Status status = raft_->Hello(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // What the impersonated member would say of itself.
  peer::v1::PeerIdentity Identity() const {
    peer::v1::PeerIdentity identity;
    identity.set_cluster_id(configuration_.cluster_id());
    identity.set_sender_id(TestCluster::Id(impersonated_));
    identity.set_sender_data_id(configuration_.members(static_cast<int>(impersonated_)).data_id());
    identity.set_addressee_id(TestCluster::Id(target_));
    identity.set_protocol_version(3);
    return identity;
  }

  grpc::Status RequestVote(const peer::v1::RequestVoteRequest& request,
                           peer::v1::RequestVoteResponse* response) {
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    return raft_->RequestVote(&context, request, response);
  }
  grpc::Status RequestVote(const peer::v1::RequestVoteRequest& request) {
    peer::v1::RequestVoteResponse response;
    return RequestVote(request, &response);
  }

  // The end of a stream on which these frames were sent, or DEADLINE_EXCEEDED when it does not end.
  grpc::Status Append(const std::vector<peer::v1::AppendEntriesRequest>& frames) {
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    return Exchange(raft_->AppendEntries(&context).get(), frames,
                    peer::v1::AppendEntriesResponse());
  }
  grpc::Status Forward(const std::vector<peer::v1::ForwardRequest>& frames) {
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    return Exchange(forward_->Forward(&context).get(), frames, peer::v1::ForwardResponse());
  }

  grpc::Status Install(const std::vector<peer::v1::InstallSnapshotRequest>& frames) {
    grpc::ClientContext context;
    SetTimeout(&context, Millis(5000));
    peer::v1::InstallSnapshotResponse response;
    const auto stream = raft_->InstallSnapshot(&context, &response);
    for (const peer::v1::InstallSnapshotRequest& frame : frames) {
      stream->Write(frame);
    }
    return stream->Finish();
  }
  // The opening of a snapshot that the impersonated member would bring.
  peer::v1::InstallSnapshotRequest SnapshotOpening(uint64_t term, uint64_t last_index) const {
    peer::v1::InstallSnapshotRequest frame;
    *frame.mutable_opening()->mutable_identity() = Identity();
    frame.mutable_opening()->set_term(term);
    frame.mutable_opening()->set_last_index(last_index);
    frame.mutable_opening()->set_last_term(term);
    return frame;
  }

  template <typename Stream, typename Frame, typename Response>
  static grpc::Status Exchange(Stream* stream, const std::vector<Frame>& frames,
                               Response response) {
    for (const Frame& frame : frames) {
      stream->Write(frame);
    }
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  }

  // Puts an identity into each kind of call that carries one.
  void ForEachCall(const peer::v1::PeerIdentity& identity,
                   const std::function<void(const char*, const grpc::Status&)>& check) {
    peer::v1::RequestVoteRequest vote;
    *vote.mutable_identity() = identity;
    vote.set_term(term_ + 1);
    vote.set_pre_vote(true);
    check("RequestVote", RequestVote(vote));
    peer::v1::AppendEntriesRequest append;
    *append.mutable_opening() = identity;
    check("AppendEntries", Append({append}));
    peer::v1::ForwardRequest forward;
    *forward.mutable_opening() = identity;
    check("Forward", Forward({forward}));
    peer::v1::InstallSnapshotRequest snapshot = SnapshotOpening(term_, 1'000'000);
    *snapshot.mutable_opening()->mutable_identity() = identity;
    check("InstallSnapshot", Install({snapshot}));
  }

  // A number as people may write it.
  static testing::Matcher<std::string> Names(uint64_t number) {
    return testing::AnyOf(HasSubstr(absl::StrCat(number)),
                          HasSubstr(absl::StrFormat("%x", number)));
  }

  static std::unique_ptr<TestCluster> cluster_;
  size_t target_ = 0;
  size_t impersonated_ = 0;
  uint64_t term_ = 0;
  log::v1::ClusterConfiguration configuration_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<peer::v1::RaftService::Stub> raft_;
  std::unique_ptr<peer::v1::ForwardService::Stub> forward_;
};

std::unique_ptr<TestCluster> PeerApiTest::cluster_;

TEST_F(PeerApiTest, AnotherClusterIsRefused) {
  peer::v1::PeerIdentity identity = Identity();
  identity.set_cluster_id(configuration_.cluster_id() + 1);
  ForEachCall(identity, [&](const char* call, const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << call;
    EXPECT_THAT(status.error_message(), Names(configuration_.cluster_id())) << call;
    EXPECT_THAT(status.error_message(), Names(configuration_.cluster_id() + 1)) << call;
  });
  EXPECT_TRUE(WaitUntil(Millis(3000), [&] {
    return absl::StrContains(cluster_->server(target_).Log(), "refused");
  })) << "it is counted and logged";
}

TEST_F(PeerApiTest, AVoteThatIsNotAnsweredTakesNoOthersAnswer) {
  // A member with a live leader hears no election, and so does the leader.
  peer::v1::RequestVoteRequest unheard;
  *unheard.mutable_identity() = Identity();
  unheard.set_term(term_ + 5);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetTimeout(&context, Millis(10000));
  const auto call = raft_->AsyncRequestVote(&context, unheard, &queue);
  peer::v1::RequestVoteResponse no_response;
  grpc::Status no_answer;
  call->Finish(&no_response, &no_answer, nullptr);

  peer::v1::RequestVoteRequest late = unheard;
  late.set_term(term_);
  peer::v1::RequestVoteResponse response;
  const grpc::Status status = RequestVote(late, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.term(), term_);
  EXPECT_FALSE(response.granted());

  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_THAT(no_answer.error_message(), HasSubstr("no answer to this vote"));
}

TEST_F(PeerApiTest, ACallForSomebodyElseIsRefused) {
  peer::v1::PeerIdentity identity = Identity();
  identity.set_addressee_id(TestCluster::Id(impersonated_));
  ForEachCall(identity, [&](const char* call, const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << call;
    EXPECT_THAT(status.error_message(), Names(TestCluster::Id(target_))) << call;
    EXPECT_THAT(status.error_message(), Names(TestCluster::Id(impersonated_))) << call;
  });
}

TEST_F(PeerApiTest, AMemberWithAnotherDirectoryIsRefused) {
  peer::v1::PeerIdentity identity = Identity();
  identity.set_sender_data_id(identity.sender_data_id() + 1);
  ForEachCall(identity, [&](const char* call, const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << call;
    EXPECT_THAT(status.error_message(), Names(identity.sender_data_id())) << call;
    EXPECT_THAT(status.error_message(), Names(identity.sender_data_id() - 1)) << call;
  });
}

TEST_F(PeerApiTest, AStrangerIsRefused) {
  peer::v1::PeerIdentity identity = Identity();
  for (const uint64_t id : {uint64_t{0}, uint64_t{9}, TestCluster::Id(target_)}) {
    identity.set_sender_id(id);
    ForEachCall(identity, [&](const char* call, const grpc::Status& status) {
      EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << call << " from " << id;
      EXPECT_THAT(status.error_message(), Names(id)) << call;
    });
  }
}

TEST_F(PeerApiTest, AnotherProtocolVersionIsRefused) {
  peer::v1::PeerIdentity identity = Identity();
  for (const uint32_t version : {0U, 99U}) {
    identity.set_protocol_version(version);
    ForEachCall(identity, [&](const char* call, const grpc::Status& status) {
      EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << call;
      EXPECT_THAT(status.error_message(), HasSubstr(absl::StrCat(version))) << call;
      EXPECT_THAT(status.error_message(), HasSubstr("2")) << call;
    });
  }
}

TEST_F(PeerApiTest, AMemberThatIsTooOldForTheClusterStops) {
  for (const bool forward : {false, true}) {
    peer::v1::AppendEntriesRequest append;
    *append.mutable_opening() = Identity();
    append.mutable_opening()->set_cluster_version(1000);
    peer::v1::ForwardRequest forwarded;
    *forwarded.mutable_opening() = append.opening();
    const grpc::Status status = forward ? Forward({forwarded}) : Append({append});
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("uses those of version 1000"));
    ServerProcess& server = cluster_->server(target_);
    EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2});
    EXPECT_THAT(server.Log(), HasSubstr("start the newer version of raftkv"));
    ASSERT_TRUE(cluster_->Start(target_));
    ASSERT_TRUE(cluster_->WaitForLeader().has_value());
  }
  // It led.
  term_ = cluster_->client(target_).GetStatus()->header().raft_term();
}

TEST_F(PeerApiTest, ACallWithoutAnIdentityIsRefused) {
  const auto is_refusal = [](const grpc::Status& status) {
    return status.error_code() == StatusCode::INVALID_ARGUMENT ||
           status.error_code() == StatusCode::FAILED_PRECONDITION;
  };
  peer::v1::RequestVoteRequest vote;
  vote.set_term(term_ + 100);
  grpc::Status status = RequestVote(vote);
  EXPECT_TRUE(is_refusal(status)) << status.error_code() << " " << status.error_message();
  peer::v1::AppendEntriesRequest append;
  append.set_term(term_ + 100);
  append.add_messages()->mutable_heartbeat()->set_round(1);
  status = Append({append});
  EXPECT_TRUE(is_refusal(status)) << status.error_code() << " " << status.error_message();
  peer::v1::ForwardRequest forward;
  forward.add_read_ids(1);
  status = Forward({forward});
  EXPECT_TRUE(is_refusal(status)) << status.error_code() << " " << status.error_message();
}

// Well formed, and yet of nobody: a stranger's parts would be gathered for nothing.
TEST_F(PeerApiTest, APartBeforeTheOpeningIsRefused) {
  const std::string data(1000, 'p');
  peer::v1::AppendEntriesRequest append;
  append.set_term(term_);
  append.mutable_part()->set_data(data);
  peer::v1::ForwardRequest forward;
  forward.set_term(term_);
  forward.mutable_part()->set_data(data);
  for (const grpc::Status& status : {Append({append}), Forward({forward})}) {
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("before the opening"));
  }
  // Nor is an opening in parts one.
  peer::v1::AppendEntriesRequest opening;
  *opening.mutable_opening() = Identity();
  append.mutable_part()->set_data(opening.SerializeAsString());
  append.mutable_part()->set_last(true);
  const grpc::Status status = Append({append});
  EXPECT_THAT(status.error_message(), HasSubstr("before the opening"));
}

TEST_F(PeerApiTest, AConnectionHasFewStreams) {
  Http2Client client(cluster_->peer_address(target_));
  for (int i = 0; i < 64; ++i) {
    client.Open("/raftkv.peer.v1.RaftService/AppendEntries");
  }
  client.TakeFrames(Millis(500));
  EXPECT_EQ(client.ended(), 0U);
  EXPECT_FALSE(client.closed());
  client.Open("/raftkv.peer.v1.RaftService/AppendEntries");
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
    client.TakeFrames();
    return client.closed() || client.ended() > 0;
  }));
}

// From here on the sender is believed to be a member, and what it says makes no sense.
class MalformedFrameTest : public PeerApiTest {
 protected:
  void ExpectAppendRefused(const std::string& text_format) {
    auto frame = Proto<peer::v1::AppendEntriesRequest>(text_format);
    // Not above the target's term: only the words are wrong.
    frame.set_term(1);
    peer::v1::AppendEntriesRequest opening;
    *opening.mutable_opening() = Identity();
    const grpc::Status status = Append({opening, frame});
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT)
        << text_format << ": " << status.error_message();
    EXPECT_FALSE(status.error_message().empty());
  }
};

TEST_F(MalformedFrameTest, AppendsThatMakeNoSenseAreRefused) {
  ExpectAppendRefused("messages { }");
  ExpectAppendRefused(
      "messages { append { previous_index: 1 previous_term: 1 "
      "entries { term: 1 index: 3 kind: KIND_NO_OP } } }");
  ExpectAppendRefused(
      "messages { append { previous_index: 1 previous_term: 1 "
      "entries { term: 1 index: 2 kind: KIND_NO_OP } "
      "entries { term: 1 index: 4 kind: KIND_NO_OP } } }");
  ExpectAppendRefused(
      "messages { append { previous_index: 1 previous_term: 1 "
      "entries { term: 1 index: 2 kind: KIND_UNSPECIFIED } } }");
  ExpectAppendRefused(
      "messages { append { previous_index: 1 previous_term: 2 "
      "entries { term: 1 index: 2 kind: KIND_NO_OP } } }");
  ExpectAppendRefused(
      "messages { append { previous_index: 1 previous_term: 1 "
      "entries { term: 1 index: 2 kind: KIND_COMMANDS payload: \"garbage\" } } }");
}

TEST_F(MalformedFrameTest, PartsThatMakeNoSenseAreRefused) {
  ExpectAppendRefused("part { }");
  ExpectAppendRefused("part { data: \"\\377 garbage\" last: true }");
  ExpectAppendRefused("received_part_bytes: 1");

  peer::v1::AppendEntriesRequest opening;
  *opening.mutable_opening() = Identity();
  std::vector<peer::v1::AppendEntriesRequest> frames = {opening};
  for (int i = 0; i < 17; ++i) {
    frames.emplace_back().mutable_part()->set_data(std::string(1 << 20, 'x'));
  }
  const grpc::Status status = Append(frames);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("16777216 bytes"));
}

TEST_F(PeerApiTest, AFrameInPartsIsTakenAndItsPartsAreAcknowledged) {
  peer::v1::ForwardRequest opening;
  *opening.mutable_opening() = Identity();
  peer::v1::ForwardRequest whole;
  whole.set_term(term_);
  whole.add_read_ids(77);
  const std::string bytes = whole.SerializeAsString();
  peer::v1::ForwardRequest first;
  first.mutable_part()->set_data(bytes.substr(0, 1));
  peer::v1::ForwardRequest last;
  last.mutable_part()->set_data(bytes.substr(1));
  last.mutable_part()->set_last(true);
  // Something urgent may come in between.
  peer::v1::ForwardRequest between;
  between.set_term(term_);
  between.add_read_ids(78);

  grpc::ClientContext context;
  SetTimeout(&context, Millis(5000));
  const auto stream = forward_->Forward(&context);
  for (const auto& frame : {opening, first, between, last}) {
    ASSERT_TRUE(stream->Write(frame));
  }
  std::set<uint64_t> read_ids;
  uint64_t acknowledged = 0;
  peer::v1::ForwardResponse response;
  while ((read_ids.size() < 2 || acknowledged < bytes.size()) && stream->Read(&response)) {
    for (const peer::v1::ReadIndex& read : response.read_indexes()) {
      read_ids.insert(read.read_id());
    }
    acknowledged = std::max(acknowledged, response.received_part_bytes());
  }
  EXPECT_EQ(read_ids, (std::set<uint64_t>{77, 78}));
  EXPECT_EQ(acknowledged, bytes.size());
  context.TryCancel();
  stream->Finish();
}

TEST_F(MalformedFrameTest, ASecondOpeningIsRefused) {
  peer::v1::AppendEntriesRequest opening;
  *opening.mutable_opening() = Identity();
  const grpc::Status status = Append({opening, opening});
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
}

TEST_F(MalformedFrameTest, ACommandThatIsNoneIsRefused) {
  peer::v1::ForwardRequest opening;
  *opening.mutable_opening() = Identity();
  peer::v1::ForwardRequest frame;
  frame.set_term(term_);
  peer::v1::ForwardedProposal* proposal = frame.add_proposals();
  proposal->set_origin(1);
  proposal->set_sequence(1);
  proposal->set_command("\xff\xff garbage");
  const int64_t revision = cluster_->client(target_).GetStatus()->header().revision();
  const grpc::Status status = Forward({opening, frame});
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_EQ(cluster_->client(target_).GetStatus()->header().revision(), revision);
}

TEST_F(MalformedFrameTest, BytesThatAreNoMessageHarmNobody) {
  const std::string garbage = "\xff\xff\xff\xff garbage";
  NodeClient peer_port(cluster_->peer_address(target_));
  for (const char* method :
       {"/raftkv.peer.v1.RaftService/Hello", "/raftkv.peer.v1.RaftService/RequestVote",
        "/raftkv.peer.v1.RaftService/AppendEntries", "/raftkv.peer.v1.ForwardService/Forward",
        "/raftkv.peer.v1.RaftService/NoSuchMethod", "/raftkv.v1.KvService/Put"}) {
    const auto reply = peer_port.CallRaw(method, garbage, Millis(3000));
    EXPECT_FALSE(reply.ok()) << method;
    EXPECT_NE(reply.status.error_code(), StatusCode::DEADLINE_EXCEEDED) << method;
  }
}

// Words that are well formed, and that no correct member can say.
class LyingMemberTest : public PeerApiTest {
 protected:
  void SetUp() override {
    PeerApiTest::SetUp();
    // A follower with its log settled; the other one's name is borrowed.
    ASSERT_TRUE(cluster_->WaitUntilEqual());
    leader_ = target_;
    target_ = cluster_->Other(leader_);
    impersonated_ = cluster_->Other(target_);
    raft_ = peer::v1::RaftService::NewStub(MakeChannel(cluster_->peer_address(target_)));
    last_index_ = cluster_->client(target_).GetStatus()->last_index();
  }

  void ExpectRefused(uint64_t term, const std::string& message, const std::string& words) {
    peer::v1::AppendEntriesRequest opening;
    *opening.mutable_opening() = Identity();
    auto frame = Proto<peer::v1::AppendEntriesRequest>(message);
    frame.set_term(term);
    const grpc::Status status = Append({opening, frame});
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT)
        << message << ": " << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
    EXPECT_THAT(status.error_message(),
                HasSubstr(absl::StrCat("from member ", TestCluster::Id(impersonated_),
                                       " to member ", TestCluster::Id(target_))));
    EXPECT_TRUE(cluster_->server(target_).running()) << cluster_->server(target_).LogTail();
    const auto answer = cluster_->client(target_).GetStatus();
    EXPECT_THAT(answer->DebugString(), HasSubstr(words)) << "it is counted";
  }

  // An append of the next leader, with one entry after the target's last; `rest` is the entry's
  // kind and whatever else it says.
  std::string NextEntry(const std::string& rest) const {
    return absl::StrCat("messages { append { previous_index: ", last_index_,
                        " previous_term: ", term_, " entries { term: ", term_ + 1,
                        " index: ", last_index_ + 1, " ", rest, " } } }");
  }

  size_t leader_ = 0;
  uint64_t last_index_ = 0;
};

TEST_F(LyingMemberTest, ASecondLeaderOfTheTermIsRefused) {
  const std::string words = absl::StrCat("node ", TestCluster::Id(leader_), " leads term ", term_);
  ExpectRefused(term_, "messages { heartbeat { round: 1 } }", words);
  ExpectRefused(term_, "messages { append { } }", words);
  // And by the leader itself.
  target_ = leader_;
  raft_ = peer::v1::RaftService::NewStub(MakeChannel(cluster_->peer_address(target_)));
  ExpectRefused(term_, "messages { heartbeat { round: 1 } }", words);
}

TEST_F(LyingMemberTest, ALeaderThatContradictsTheCommittedLogIsRefused) {
  ExpectRefused(term_ + 1,
                absl::StrCat("messages { append { entries { term: ", term_ + 1,
                             " index: 1 kind: KIND_NO_OP } } }"),
                absl::StrCat(term_ + 1, "/1 contradicts entry"));
  ExpectRefused(term_ + 1,
                absl::StrCat("messages { append { previous_index: ", last_index_,
                             " previous_term: ", term_ + 1, " } }"),
                "contradicts entry");
}

TEST_F(LyingMemberTest, AnEntryFromBeforeTheOneThatItFollowsIsRefused) {
  ExpectRefused(term_ + 1, NextEntry("kind: KIND_NO_OP cluster_time_ms: 1"),
                "is stamped 1, before the entry that it follows");
}

// The batch is whole, but for its checksum: origin 1, sequence 1, a command of one byte.
TEST_F(LyingMemberTest, AnEntryThatIsNotAsItsLeaderWroteItIsRefused) {
  ExpectRefused(term_ + 1, NextEntry(R"(kind: KIND_COMMANDS cluster_time_ms: 4000000000
                     payload: "\001\000\000\000\000\000\000\000\001\001\377\000\000\000\000")"),
                "not as the leader wrote them");
}

// Of cluster 1, with member 1 as its only voter.
TEST_F(LyingMemberTest, AConfigurationOfAnotherClusterIsRefused) {
  ExpectRefused(term_ + 1, NextEntry(R"(kind: KIND_CONFIGURATION cluster_time_ms: 4000000000
                     payload: "\011\001\000\000\000\000\000\000\000"
                              "\022\002\010\001\032\001\001")"),
                absl::StrCat("holds a configuration of cluster 1, this is cluster ",
                             configuration_.cluster_id()));
}

TEST_F(LyingMemberTest, AConfigurationWithAnotherInThisMembersPlaceIsRefused) {
  log::v1::ClusterConfiguration other = configuration_;
  for (log::v1::ConfiguredMember& member : *other.mutable_members()) {
    if (member.id() == TestCluster::Id(target_)) {
      member.set_data_id(member.data_id() + 1);
    }
  }
  ExpectRefused(
      term_ + 1,
      NextEntry(absl::StrCat("kind: KIND_CONFIGURATION cluster_time_ms: 4000000000 payload: \"",
                             absl::CHexEscape(other.SerializeAsString()), "\"")),
      absl::StrCat("holds a configuration with member ", TestCluster::Id(target_)));
}

TEST_F(LyingMemberTest, AFrameThatOnlySetsTheClockIsRefused) {
  ExpectRefused(term_ + 1, "cluster_time_ms: 1", "without a message");
}

TEST_F(LyingMemberTest, ASnapshotIsTakenFromTheLeaderOnly) {
  constexpr uint64_t kFar = 1'000'000;
  for (const auto& [term, words] : {std::pair(term_, absl::StrCat("leads term ", term_)),
                                    std::pair(term_ + 1, absl::StrCat("is in term ", term_))}) {
    const grpc::Status status = Install({SnapshotOpening(term, kFar)});
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  }
  // Nor by the leader from another.
  raft_ = peer::v1::RaftService::NewStub(MakeChannel(cluster_->peer_address(leader_)));
  target_ = leader_;
  impersonated_ = cluster_->Other(leader_);
  EXPECT_EQ(Install({SnapshotOpening(term_, kFar)}).error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST_F(LyingMemberTest, AMalformedSnapshotIsRefused) {
  const auto expect_refused = [this](const peer::v1::InstallSnapshotRequest& frame,
                                     const std::string& words) {
    const grpc::Status status = Install({frame});
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
    EXPECT_THAT(cluster_->client(target_).GetStatus()->DebugString(), HasSubstr(words))
        << "it is counted";
  };
  expect_refused(SnapshotOpening(term_, 0), "index 0");
  expect_refused(SnapshotOpening(0, 0), "term is 0");
  expect_refused(SnapshotOpening(term_, std::numeric_limits<uint64_t>::max()), "last_index is");
  peer::v1::InstallSnapshotRequest chunk;
  chunk.mutable_chunk()->set_data("x");
  expect_refused(chunk, "must be an opening");
  expect_refused(peer::v1::InstallSnapshotRequest(), "must be an opening");
}

TEST_F(PeerApiTest, TheClientPortServesNoPeerCalls) {
  peer::v1::HelloRequest request;
  const auto reply = cluster_->client(target_).CallRaw("/raftkv.peer.v1.RaftService/Hello",
                                                       request.SerializeAsString());
  EXPECT_EQ(reply.status.error_code(), StatusCode::UNIMPLEMENTED) << reply;
}

}  // namespace
}  // namespace raftkv::integration
