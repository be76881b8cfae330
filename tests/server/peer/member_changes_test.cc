#include "server/peer/member_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kv/command_version.h"
#include "kv/errors.h"
#include "kv/member_list.h"
#include "raft/wire/identity.h"
#include "tests/kv/single_member.h"
#include "tests/kv/three_members.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;

// Answers at once, what the test says.
class ScriptedHelloAsker final : public HelloAsker {
 public:
  ScriptedHelloAsker(const peer::v1::HelloResponse* response, OnAnswer on_answer)
      : response_(*response), on_answer_(std::move(on_answer)) {}

  void Tick() override { on_answer_(grpc::Status::OK, response_); }

 private:
  const peer::v1::HelloResponse& response_;
  const OnAnswer on_answer_;
};

// Member 1 leads, alone at first. Nobody else says anything, unless the test does.
class MemberChangesTest : public kv::SingleMemberTest {
 protected:
  using Added = kv::Answer<absl::StatusOr<uint64_t>>;

  // At the default election timeout of 100 ticks.
  static constexpr int kTicksUntilSilent = 200;

  MemberChangesTest() {
    machine_.outcome.set_verdict(log::v1::CommandOutcome::VERDICT_APPLIED);
    machine_.version = kv::kMembershipVersion;
    configuration_ = kv::Left(kv::Removing(kv::ThreeMembers(), 2));
    configuration_ = kv::Removing(*configuration_, 3);
  }
  void SetUp() override {
    StartLeader(&directory_);
    context_.clock = &clock_;
    context_.directory = &directory_;
    context_.driver = &member_->driver();
    context_.election_timeout = kNanosPerSecond;
    context_.auto_replace = true;
    changes_.SetHooks(
        {.new_asker =
             [this](const std::string&, const std::string&, HelloAsker::OnAnswer on_answer) {
               return std::make_unique<ScriptedHelloAsker>(&hello_, std::move(on_answer));
             },
         .forward = nullptr,
         .membership = member_->membership()});
  }

  void Go(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      changes_.Tick();
      Apply();
      Tick();
      Apply();
    }
  }
  // The node `name`, whose directory has `data_id` and which belongs to no cluster, is to be added.
  void Add(const std::string& name, uint64_t data_id, bool may_replace, Added* added,
           const std::string& peer_address = "elsewhere:1") {
    hello_.set_name(name);
    hello_.set_data_id(data_id);
    hello_.set_protocol_version(wire::kProtocolVersion);
    hello_.set_command_version(kv::OwnCommandVersion());
    hello_.set_awaits_invitation(true);
    peer::v1::ChangeMembersRequest change;
    change.mutable_add()->set_name(name);
    change.mutable_add()->set_peer_address(peer_address);
    change.mutable_add()->set_stay_learner(!may_replace);
    change.mutable_add()->set_may_replace(may_replace);
    changes_.Request(change, /*may_forward=*/false, In(30 * kNanosPerSecond), added->callback());
    Go(10);
  }
  // Member 4, "lost", a learner for good.
  void AddLost() {
    Added added;
    ASSERT_NO_FATAL_FAILURE(Add("lost", 1004, /*may_replace=*/false, &added));
    ASSERT_NO_FATAL_FAILURE(ExpectAdded(added, 4));
  }
  // Member 4 answers its leader.
  void HearLost() {
    EXPECT_TRUE(member_->driver()
                    .Take({.from = raft::NodeId(4),
                           .to = raft::NodeId(1),
                           .term = member_->driver().core().term(),
                           .message = raft::HeartbeatReply{.round = raft::RoundId(0)}})
                    .ok());
  }
  static void ExpectAdded(const Added& added, uint64_t id) {
    ASSERT_TRUE(added.has_come());
    ASSERT_TRUE(added->ok()) << added->status();
    EXPECT_EQ(**added, id);
  }
  static void ExpectRefused(const Added& added, const std::string& why) {
    ASSERT_TRUE(added.has_come());
    const auto info = kv::FindErrorInfo(added->status());
    EXPECT_EQ(info.has_value() ? info->reason() : "none", "MEMBER_EXISTS") << added->status();
    EXPECT_THAT(std::string(added->status().message()), HasSubstr(why));
  }

  std::optional<log::v1::ClusterConfiguration> configuration_;
  kv::MemberDirectory directory_{kv::SelfOf(1), &configuration_, &machine_};
  peer::v1::HelloResponse hello_;
  PeerContext context_;
  MemberChanges changes_{&context_};

 private:
  // As a state machine does when it has applied a configuration.
  void Apply() {
    const raft::RaftCore& core = member_->driver().core();
    if (core.is_configuration_committed() && core.configuration_payload() != nullptr) {
      configuration_->ParseFromString(*core.configuration_payload());
    }
  }
};

TEST_F(MemberChangesTest, WhoIsSilentIsReplacedByANewMember) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Go(kTicksUntilSilent);
  Added added;
  Add("lost", 2004, /*may_replace=*/true, &added);
  ASSERT_NO_FATAL_FAILURE(ExpectAdded(added, 5));
  EXPECT_TRUE(directory_.IsRemoved(4));
  const log::v1::ConfiguredMember* const member = kv::FindMember(*directory_.configuration(), 5);
  ASSERT_NE(member, nullptr);
  EXPECT_EQ(member->name(), "lost");
  EXPECT_EQ(member->data_id(), 2004u);
  EXPECT_TRUE(member->stay_learner()) << "as the one before";
}

TEST_F(MemberChangesTest, AskingAgainChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Go(kTicksUntilSilent);
  Added first;
  Add("lost", 2004, /*may_replace=*/true, &first);
  Added again;
  Add("lost", 2004, /*may_replace=*/true, &again);
  ASSERT_NO_FATAL_FAILURE(ExpectAdded(again, 5));
}

// The leader that removed it was lost before it added the new one.
TEST_F(MemberChangesTest, WhoseMemberIsGoneAlreadyIsAdded) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Added removed;
  member_->membership()->Request(kv::Membership::Removing{4}, In(30 * kNanosPerSecond),
                                 removed.callback());
  Go(10);
  ASSERT_TRUE(removed.has_come() && removed->ok());
  Added added;
  Add("lost", 2004, /*may_replace=*/true, &added);
  ASSERT_NO_FATAL_FAILURE(ExpectAdded(added, 5));
}

TEST_F(MemberChangesTest, WhoIsHeardIsNotReplaced) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Go(kTicksUntilSilent);
  HearLost();
  Added added;
  Add("lost", 2004, /*may_replace=*/true, &added);
  ExpectRefused(added, "or has heard it or come to lead within 2000 ms");
  EXPECT_NE(kv::FindMember(directory_.newest(), 4), nullptr);
}

TEST_F(MemberChangesTest, WhoComesUnderTheAddressOfAnotherReplacesNobody) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Go(kTicksUntilSilent);
  Added added;
  Add("lost", 2004, /*may_replace=*/true, &added, directory_.newest().members(0).peer_address());
  ExpectRefused(added, "is that of member 1");
  EXPECT_NE(kv::FindMember(directory_.newest(), 4), nullptr) << "the old one stays";
}

TEST_F(MemberChangesTest, TheLeaderItselfIsNotReplaced) {
  Go(kTicksUntilSilent);
  Added added;
  Add("n1", 2001, /*may_replace=*/true, &added);
  ExpectRefused(added, "only who is down is replaced");
}

TEST_F(MemberChangesTest, ALeaderWithoutTheFlagReplacesNobody) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Go(kTicksUntilSilent);
  context_.auto_replace = false;
  Added added;
  Add("lost", 2004, /*may_replace=*/true, &added);
  ExpectRefused(added, "member 1 \"n1\", runs without --auto_replace");
  EXPECT_THAT(std::string(added->status().message()), HasSubstr("raftkvctl member replace lost"));
  EXPECT_NE(kv::FindMember(directory_.newest(), 4), nullptr);
}

TEST_F(MemberChangesTest, WhoDoesNotAskForItReplacesNobody) {
  ASSERT_NO_FATAL_FAILURE(AddLost());
  Go(kTicksUntilSilent);
  Added added;
  Add("lost", 2004, /*may_replace=*/false, &added);
  ExpectRefused(added, "which has other data");
  EXPECT_NE(kv::FindMember(directory_.newest(), 4), nullptr);
}

}  // namespace
}  // namespace raftkv::server
