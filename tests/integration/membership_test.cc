// Members that come and go: nodes that join a running cluster, members that are removed, and what
// is refused, under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/child_process.h"
#include "tests/support/client_load.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What of the load is to succeed between two changes.
constexpr uint64_t kMorePuts = 100;
constexpr Millis kPromotedWithin(20000);

class MembershipTest : public testing::Test {
 protected:
  explicit MembershipTest(size_t founders = 3) : cluster_({.size = founders, .flags = {}}) {}
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    // Who is killed before it has published what it knows would keep the members as they are.
    ASSERT_TRUE(cluster_.WaitUntilPublished());
  }

  // Starts one more node, which waits to be invited.
  size_t StartWaiting() {
    const size_t node = cluster_.AddNode({"--wait_for_invite=true"});
    EXPECT_TRUE(cluster_.Start(node));
    return node;
  }
  Reply<v1::AddMemberResponse> Add(size_t asked, size_t node, bool stay_learner = false) {
    v1::AddMemberRequest request;
    request.set_name(TestCluster::Name(node));
    request.set_peer_address(cluster_.peer_address(node));
    request.set_stay_learner(stay_learner);
    return cluster_.client(asked).AddMember(request);
  }
  Reply<v1::RemoveMemberResponse> Remove(size_t asked, const std::string& name) {
    v1::RemoveMemberRequest request;
    request.set_name(name);
    return cluster_.client(asked).RemoveMember(request);
  }
  Reply<v1::PromoteMemberResponse> Promote(size_t asked, const std::string& name) {
    v1::PromoteMemberRequest request;
    request.set_name(name);
    return cluster_.client(asked).PromoteMember(request);
  }
  testing::AssertionResult BecomesVoter(size_t asked, size_t node) {
    std::vector<std::string> members;
    const bool votes = WaitUntil(kPromotedWithin, [&] {
      members = cluster_.Members(asked);
      return std::any_of(members.begin(), members.end(), [node](const std::string& member) {
        return absl::EndsWith(member, absl::StrCat(" ", TestCluster::Name(node), " voter"));
      });
    });
    return votes ? testing::AssertionSuccess()
                 : testing::AssertionFailure() << absl::StrJoin(members, ", ");
  }
  testing::AssertionResult Grow(size_t asked, size_t node) {
    const auto added = Add(asked, node);
    if (!added.ok()) {
      return testing::AssertionFailure() << added;
    }
    return BecomesVoter(asked, node);
  }
  // Takes it out through `asked`, and waits for its end.
  void Shrink(size_t asked, size_t node) {
    const auto removed = Remove(asked, TestCluster::Name(node));
    ASSERT_TRUE(removed.ok()) << removed;
    ServerProcess& server = cluster_.server(node);
    EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 0}) << server.LogTail();
    EXPECT_THAT(server.Log(), HasSubstr("was removed from cluster"));
  }

  TestCluster cluster_;
};

class LoneFounderTest : public MembershipTest {
 protected:
  LoneFounderTest() : MembershipTest(1) {}
};

TEST_F(LoneFounderTest, GrowsToFiveAndShrinksToThreeWithoutAFailedCall) {
  std::vector<std::string> endpoints = {cluster_.client_address(0)};
  for (int i = 0; i < 4; ++i) {
    endpoints.push_back(cluster_.client_address(StartWaiting()));
  }
  ClientLoad load(endpoints, /*clients=*/4);
  for (size_t node = 1; node < 5; ++node) {
    load.AwaitMore(kMorePuts);
    ASSERT_TRUE(Grow(/*asked=*/node - 1, node));
  }
  load.AwaitMore(kMorePuts);
  EXPECT_THAT(cluster_.Members(4),
              ElementsAre("1 n1 voter", "2 n2 voter", "3 n3 voter", "4 n4 voter", "5 n5 voter"));
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  // The founder, and another one, whoever of them leads.
  ASSERT_NO_FATAL_FAILURE(Shrink(/*asked=*/1, /*node=*/0));
  load.AwaitMore(kMorePuts);
  ASSERT_NO_FATAL_FAILURE(Shrink(/*asked=*/1, /*node=*/2));
  load.AwaitMore(kMorePuts);
  EXPECT_THAT(cluster_.Members(1), ElementsAre("2 n2 voter", "4 n4 voter", "5 n5 voter"));
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(LoneFounderTest, JoinAsksToBeAdded) {
  // It asks a member that does not lead, too.
  const size_t second = cluster_.AddNode({absl::StrCat("--join=", cluster_.peer_address(0))});
  ASSERT_TRUE(cluster_.Start(second));
  ASSERT_TRUE(BecomesVoter(0, second));
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t third =
      cluster_.AddNode({absl::StrCat("--join=", cluster_.peer_address(1 - *leader))});
  ASSERT_TRUE(cluster_.Start(third));
  ASSERT_TRUE(BecomesVoter(0, third));
  EXPECT_THAT(cluster_.Members(0), ElementsAre("1 n1 voter", "2 n2 voter", "3 n3 voter"));
  ASSERT_TRUE(cluster_.client(third).PutText("k", "v").ok());
  // What it was started with has no meaning any more.
  EXPECT_EQ(cluster_.server(third).Stop(), ExitStatus{.code = 0});
  ASSERT_TRUE(cluster_.Start(third));
  EXPECT_EQ(cluster_.server(third).member_id(), "3");
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(LoneFounderTest, TheLastVoterStays) {
  const auto refused = Remove(0, "n1");
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.reason, "WOULD_LOSE_QUORUM") << refused;
  EXPECT_TRUE(cluster_.client(0).PutText("k", "v").ok());
}

TEST_F(MembershipTest, ALeaderIsRemovedAfterItHandedOver) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  ClientLoad load(
      {cluster_.client_address(0), cluster_.client_address(1), cluster_.client_address(2)},
      /*clients=*/4);
  load.AwaitMore(kMorePuts);
  ASSERT_NO_FATAL_FAILURE(Shrink(/*asked=*/*leader, *leader));
  load.AwaitMore(kMorePuts);
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());

  // Its directory says what became of it.
  ServerProcess& removed = cluster_.server(*leader);
  removed.Start();
  EXPECT_EQ(removed.WaitExit(), ExitStatus{.code = 2});
  EXPECT_THAT(removed.Log(), HasSubstr("was removed from cluster"));
  // Its name and address are free, its id is not used again.
  std::filesystem::remove_all(cluster_.data_dir(*leader));
  removed.options().initial_cluster = "";
  removed.options().flags.push_back("--wait_for_invite=true");
  ASSERT_TRUE(cluster_.Start(*leader));
  const auto added = Add(cluster_.Other(*leader), *leader);
  ASSERT_TRUE(added.ok()) << added;
  EXPECT_EQ(added->member().id(), 4u);
  EXPECT_TRUE(BecomesVoter(cluster_.Other(*leader), *leader));
}

TEST_F(MembershipTest, AMemberThatWasDownHearsOfItsRemovalAtItsStart) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t away = cluster_.Other(*leader);
  cluster_.server(away).Kill9();
  ASSERT_TRUE(Remove(*leader, TestCluster::Name(away)).ok());
  for (int starts = 0; starts < 2; ++starts) {
    ServerProcess& server = cluster_.server(away);
    server.Start();
    EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2}) << server.LogTail();
    EXPECT_THAT(server.Log(), HasSubstr("was removed from cluster"));
  }
  EXPECT_EQ(cluster_.WaitForLeader(), leader) << "it disturbed the others";
}

TEST_F(MembershipTest, WhatCannotBeIsRefusedAndChangesNothing) {
  const std::vector<std::string> before = cluster_.Members(0);
  v1::AddMemberRequest request;
  request.set_name("n4");
  request.set_peer_address(Loopback(PickFreePort()));
  const auto unreachable = cluster_.client(0).AddMember(request);
  EXPECT_EQ(unreachable.reason, "MEMBER_UNREACHABLE") << unreachable;
  request.set_peer_address("0.0.0.0:1");
  EXPECT_EQ(cluster_.client(0).AddMember(request).reason, "BAD_ADDRESS");
  request.set_name("n 4");
  EXPECT_EQ(cluster_.client(0).AddMember(request).reason, "BAD_NAME");

  EXPECT_EQ(Remove(0, "n9").reason, "MEMBER_NOT_FOUND");
  EXPECT_EQ(Promote(0, "n9").reason, "MEMBER_NOT_FOUND");
  EXPECT_TRUE(Promote(0, "n1").ok()) << "it votes already";

  const size_t node = StartWaiting();
  request.set_name("n5");
  request.set_peer_address(cluster_.peer_address(node));
  const auto other_name = cluster_.client(0).AddMember(request);
  EXPECT_EQ(other_name.reason, "MEMBER_UNFIT") << other_name;
  request.set_name("n1");
  EXPECT_EQ(cluster_.client(0).AddMember(request).reason, "MEMBER_UNFIT");
  // A founder of another cluster.
  TestCluster other({.size = 1, .flags = {}});
  ASSERT_TRUE(other.StartAll());
  request.set_name("n1");
  request.set_peer_address(other.peer_address(0));
  const auto founded = cluster_.client(0).AddMember(request);
  EXPECT_EQ(founded.reason, "MEMBER_UNFIT") << founded;
  EXPECT_EQ(cluster_.Members(0), before);
}

TEST_F(MembershipTest, WhoIsDownCanBeSaidToBeElsewhere) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t down = cluster_.Other(*leader);
  const size_t asked = cluster_.Other(down);
  cluster_.server(down).Kill9();
  v1::UpdateMemberRequest request;
  request.set_name(TestCluster::Name(down));
  request.set_peer_address(Loopback(PickFreePort()));
  const auto updated = cluster_.client(asked).UpdateMember(request);
  ASSERT_TRUE(updated.ok()) << updated;
  EXPECT_EQ(updated->member().peer_address(), request.peer_address());
  // It comes up there.
  ServerProcess& server = cluster_.server(down);
  server.options().listen_peer = request.peer_address();
  ASSERT_TRUE(cluster_.Start(down));
  EXPECT_TRUE(cluster_.WaitUntilEqual());
  request.set_peer_address(cluster_.peer_address(asked));
  EXPECT_EQ(cluster_.client(asked).UpdateMember(request).reason, "MEMBER_EXISTS");
}

TEST_F(MembershipTest, AMajorityOfWhoIsLeftMustBeUp) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t down = cluster_.Other(*leader);
  const size_t up = cluster_.Other(down);
  cluster_.server(down).Kill9();
  Reply<v1::RemoveMemberResponse> refused;
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    refused = Remove(*leader, TestCluster::Name(up));
    return refused.reason == "WOULD_LOSE_QUORUM" || refused.ok();
  }));
  EXPECT_EQ(refused.reason, "WOULD_LOSE_QUORUM") << refused;
  EXPECT_TRUE(Remove(*leader, TestCluster::Name(down)).ok()) << "who is down may go";
}

TEST_F(LoneFounderTest, AddingAgainIsTheSameMember) {
  const size_t node = StartWaiting();
  const auto first = Add(0, node, /*stay_learner=*/true);
  ASSERT_TRUE(first.ok()) << first;
  const auto again = Add(0, node, /*stay_learner=*/true);
  ASSERT_TRUE(again.ok()) << again;
  EXPECT_EQ(again->member().id(), first->member().id());
  EXPECT_EQ(again->member().role(), v1::MEMBER_ROLE_LEARNER);
  // It has all, and stays what it is until it is told.
  ASSERT_TRUE(cluster_.client(0).PutText("k", "v").ok());
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    const auto got = cluster_.client(node).GetStale("k", Millis(1000));
    return got.ok() && got->kv().text() == "v";
  }));
  EXPECT_THAT(cluster_.Members(0), ElementsAre("1 n1 voter", "2 n2 learner"));
  Reply<v1::PromoteMemberResponse> promoted;
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    promoted = Promote(0, "n2");
    return promoted.ok();
  })) << promoted;
  EXPECT_THAT(cluster_.Members(0), ElementsAre("1 n1 voter", "2 n2 voter"));
}

TEST(TrimmedMembershipTest, ALogThatIsTrimmedComesAsASnapshot) {
  TestCluster trimmed({.size = 1, .flags = {"--log_bytes_max=1MiB"}});
  ASSERT_TRUE(trimmed.StartAll());
  // It looks once a second whether its log is too long.
  const std::string value(900'000, 'v');
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < 12 || Since(start) < Millis(3000); ++i) {
    ASSERT_TRUE(trimmed.client(0).PutText(absl::StrCat("k", i % 12), value).ok());
  }
  const size_t node = trimmed.AddNode({"--wait_for_invite=true"});
  ASSERT_TRUE(trimmed.Start(node));
  v1::AddMemberRequest request;
  request.set_name("n2");
  request.set_peer_address(trimmed.peer_address(node));
  const auto added = trimmed.client(0).AddMember(request);
  ASSERT_TRUE(added.ok()) << added;
  EXPECT_TRUE(WaitUntil(kPromotedWithin, [&] {
    const auto list = trimmed.client(0).ListMembers({}, Millis(2000));
    return list.ok() && list->members_size() == 2 &&
           list->members(1).role() == v1::MEMBER_ROLE_VOTER;
  }));
  EXPECT_THAT(trimmed.server(node).Log(), HasSubstr("installed a snapshot"));
  EXPECT_TRUE(trimmed.WaitUntilEqual());
}

TEST_F(MembershipTest, AWipedMemberIsReplacedByOneCommand) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  ASSERT_TRUE(cluster_.client(*leader).PutText("k", "v").ok());
  const size_t lost = cluster_.Other(*leader);
  const std::string name = TestCluster::Name(lost);
  ServerProcess& server = cluster_.server(lost);
  server.Kill9();
  const std::string old_disk = cluster_.dir().File("old-disk");
  std::filesystem::rename(cluster_.data_dir(lost), old_disk);
  server.Start();
  EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2});
  EXPECT_THAT(server.Log(), HasSubstr(absl::StrCat("member replace ", name)));

  std::filesystem::remove_all(cluster_.data_dir(lost));
  const std::string initial_cluster = server.options().initial_cluster;
  server.options().initial_cluster = "";
  server.options().flags.push_back("--wait_for_invite=true");
  ASSERT_TRUE(cluster_.Start(lost));
  const CommandResult replaced =
      RunCommand({RaftkvctlPath(), "--endpoints", cluster_.client_address(*leader), "member",
                  "replace", name});
  EXPECT_EQ(replaced.exit, (ExitStatus{.code = 0})) << replaced;
  EXPECT_THAT(replaced.out, HasSubstr(absl::StrCat("4, ", name, ", learner")));
  EXPECT_TRUE(BecomesVoter(*leader, lost));
  EXPECT_TRUE(cluster_.WaitUntilEqual());

  // The old disk is found again.
  EXPECT_EQ(server.Stop(), ExitStatus{.code = 0});
  const std::string new_disk = cluster_.dir().File("new-disk");
  std::filesystem::rename(cluster_.data_dir(lost), new_disk);
  std::filesystem::rename(old_disk, cluster_.data_dir(lost));
  server.options().flags.pop_back();
  server.options().initial_cluster = initial_cluster;
  server.Start();
  EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2}) << server.LogTail();
  EXPECT_THAT(server.Log(), HasSubstr("was removed from cluster"));
  std::filesystem::rename(cluster_.data_dir(lost), old_disk);
  std::filesystem::rename(new_disk, cluster_.data_dir(lost));
  ASSERT_TRUE(cluster_.Start(lost));
  EXPECT_EQ(server.member_id(), "4");
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

// Both ask again until it is as they want it: what one does is never half undone by the other.
TEST_F(MembershipTest, TwoAdministratorsAtOnce) {
  const size_t fourth = StartWaiting();
  const size_t fifth = StartWaiting();
  const auto add = [&](size_t asked, size_t node) {
    Reply<v1::AddMemberResponse> added;
    EXPECT_TRUE(WaitUntil(Millis(20000), [&] {
      added = Add(asked, node);
      return added.ok();
    })) << added;
    return added->member().id();
  };
  uint64_t first = 0;
  uint64_t again = 0;
  std::thread other([&] {
    first = add(0, fourth);
    add(0, fifth);
  });
  add(1, fifth);
  again = add(1, fourth);
  other.join();
  EXPECT_EQ(first, again);
  EXPECT_TRUE(BecomesVoter(0, fourth));
  EXPECT_TRUE(BecomesVoter(0, fifth));
  EXPECT_EQ(cluster_.Members(2).size(), 5u);
}

// Whoever leads next goes on with the step that it finds in its log, or without it.
TEST_F(MembershipTest, ALeaderThatIsKilledInTheMiddleLeavesNothingHalfDone) {
  for (int round = 0; round < 5; ++round) {
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    const size_t node = StartWaiting();
    const size_t asked = *leader == 0 ? 1 : 0;
    std::thread administrator([&] { Add(asked, node); });
    // Later and later: before the entry, while it is replicated, while the learner catches up and
    // while it is promoted.
    std::this_thread::sleep_for(Millis(40 * round));
    cluster_.server(*leader).Kill9();
    administrator.join();
    ASSERT_TRUE(cluster_.Start(*leader));
    Reply<v1::AddMemberResponse> added;
    ASSERT_TRUE(WaitUntil(Millis(20000), [&] {
      added = Add(asked, node);
      return added.ok();
    })) << added;
    ASSERT_TRUE(BecomesVoter(asked, node));
    Reply<v1::RemoveMemberResponse> removed;
    ASSERT_TRUE(WaitUntil(Millis(20000), [&] {
      removed = Remove(asked, TestCluster::Name(node));
      return removed.ok() || removed.reason == "MEMBER_NOT_FOUND";
    })) << removed;
    EXPECT_TRUE(cluster_.server(node).WaitExit().has_value());
    const auto status = cluster_.client(asked).ListMembers();
    EXPECT_EQ(status->members_size(), 3);
  }
}

}  // namespace
}  // namespace raftkv::integration
