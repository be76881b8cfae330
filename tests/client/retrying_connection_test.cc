#include "client/retrying_connection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/client/scripted_members.h"

namespace raftkv::client {
namespace {

class RetryingConnectionTest : public ScriptedMembersTest {};

TEST_F(RetryingConnectionTest, StaysWithTheEndpointThatWorks) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {Unavailable(kReasonShuttingDown)};
  EXPECT_TRUE(connection.Get("k", {}).ok());
  EXPECT_TRUE(connection.Get("k", {}).ok());
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1", "b:1", "b:1"}));
  EXPECT_TRUE(clock_->pauses.empty());
}

TEST_F(RetryingConnectionTest, AnEndpointThatIsDownCostsAWriteNothing) {
  RetryingConnection connection = ConnectToTwo();
  script_.connect["a:1"] = Refused();
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_EQ(script_.asked, (Asked{"b:1"}));
}

TEST_F(RetryingConnectionTest, AWriteIsRepeatedWhenItWasCertainlyNotProposed) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {Unavailable(kReasonNoLeader)};
  EXPECT_TRUE(connection.Delete("k", {}).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1"}));
}

TEST_F(RetryingConnectionTest, AWriteWithAnIdIsRepeatedUnderIt) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {
      absl::UnavailableError("Socket closed"),
      WithReason(absl::UnknownError("lost"), kReasonOutcomeUnknown, kServerErrorDomain)};
  script_.answers["b:1"] = {Unavailable(kReasonOutcomeUnknown)};
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1", "a:1", "b:1"}));
  ASSERT_EQ(script_.request_ids.size(), 4u);
  EXPECT_FALSE(script_.request_ids[0].empty());
  EXPECT_LE(script_.request_ids[0].size(), 64u);
  EXPECT_EQ(std::set<std::string>(script_.request_ids.begin(), script_.request_ids.end()).size(),
            1u);
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_NE(script_.request_ids[4], script_.request_ids[0]) << "another write has another";
  EXPECT_TRUE(connection.Put("k", "v", {.request_id = "mine"}).ok());
  EXPECT_EQ(script_.request_ids[5], "mine");
}

TEST_F(RetryingConnectionTest, ARefusalOfTheLastTrySaysNothingOfTheOthers) {
  RetryingConnection connection =
      Connect({.endpoints = {"a:1", "b:1"}, .tries_per_endpoint_max = 1});
  script_.answers["a:1"] = {absl::UnavailableError("Socket closed")};
  script_.answers["b:1"] = {Unavailable(kReasonNoLeader)};
  EXPECT_TRUE(IsOutcomeUnknown(connection.Put("k", "v", {}).status()));
  // What the write came to is certain, whichever try it was.
  script_.answers["b:1"] = {absl::UnavailableError("Socket closed")};
  script_.answers["a:1"] = {WithReason(absl::AbortedError("mod_revision is 7"),
                                       kReasonPreconditionFailed, kServerErrorDomain)};
  EXPECT_EQ(ErrorReason(connection.Put("k", "v", {}).status()), kReasonPreconditionFailed);
}

TEST_F(RetryingConnectionTest, MembersThatKnowNoIdsAreSentNone) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {
      WithReason(absl::UnimplementedError("old"), "MEMBER_TOO_OLD", kServerErrorDomain)};
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  ASSERT_EQ(script_.request_ids.size(), 3u);
  EXPECT_FALSE(script_.request_ids[0].empty());
  EXPECT_EQ(script_.request_ids[1], "");
  EXPECT_EQ(script_.request_ids[2], "");
  clock_->Advance(absl::Seconds(1));
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_FALSE(script_.request_ids[3].empty()) << "they may know them by now";
  // Once a try may have been done, another without its id would do it twice.
  script_.answers["a:1"] = {
      absl::UnavailableError("Socket closed"),
      WithReason(absl::UnimplementedError("old"), "MEMBER_TOO_OLD", kServerErrorDomain)};
  script_.answers["b:1"] = {absl::UnavailableError("Socket closed")};
  EXPECT_TRUE(IsOutcomeUnknown(connection.Put("k", "v", {}).status()));
  EXPECT_FALSE(script_.request_ids.back().empty());
  // The caller's own id is never left out.
  script_.answers["b:1"] = {
      WithReason(absl::UnimplementedError("old"), "MEMBER_TOO_OLD", kServerErrorDomain)};
  script_.answers["a:1"] = script_.answers["b:1"];
  EXPECT_TRUE(absl::IsUnimplemented(connection.Put("k", "v", {.request_id = "mine"}).status()));
}

TEST_F(RetryingConnectionTest, AWriteWhoseConnectionBrokeIsNotRepeated) {
  RetryingConnection connection = ConnectWithoutIds();
  script_.answers["a:1"] = {absl::UnavailableError("Socket closed")};
  const absl::Status status = connection.Put("k", "v", {}).status();
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_TRUE(IsOutcomeUnknown(status));
  EXPECT_EQ(status.message(), "Socket closed; the write may or may not have happened");
  EXPECT_EQ(GetErrorDetails(status)->domain, kClientErrorDomain);
  // The next call does not go there again.
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_EQ(script_.asked.back(), "b:1");
}

TEST_F(RetryingConnectionTest, AWriteWithUnknownOutcomeKeepsTheServersWords) {
  RetryingConnection connection = ConnectWithoutIds();
  script_.answers["a:1"] = {
      WithReason(absl::UnknownError("lost the leader"), kReasonOutcomeUnknown, kServerErrorDomain)};
  const absl::Status status = connection.DeleteRange(Prefix{"k"}, {}).status();
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
  EXPECT_EQ(status.message(), "lost the leader");
  EXPECT_TRUE(IsOutcomeUnknown(status));
}

TEST_F(RetryingConnectionTest, AWriteThatRanOutOfTimeIsMarkedAndTheNextCallGoesElsewhere) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {absl::DeadlineExceededError("Deadline Exceeded")};
  const absl::Status status = connection.Put("k", "v", {}).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_TRUE(IsOutcomeUnknown(status));
  EXPECT_TRUE(connection.Get("k", {}).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1"}));
}

TEST_F(RetryingConnectionTest, ADefiniteRefusalOfAWriteIsNotMarked) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {WithReason(absl::AbortedError("mod_revision is 7"),
                                       kReasonPreconditionFailed, kServerErrorDomain)};
  const absl::Status status = connection.Put("k", "v", {}).status();
  EXPECT_EQ(ErrorReason(status), kReasonPreconditionFailed);
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
}

TEST_F(RetryingConnectionTest, AReadIsRepeatedWhenItsConnectionBroke) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {absl::UnavailableError("Socket closed")};
  EXPECT_TRUE(connection.List(Prefix{""}, {}).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1"}));
}

TEST_F(RetryingConnectionTest, AReadIsNotMarked) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {absl::DeadlineExceededError("Deadline Exceeded")};
  EXPECT_EQ(ErrorReason(connection.Get("k", {}).status()), "");
}

TEST_F(RetryingConnectionTest, PausesAfterEachRoundAndGivesUpAfterTheTries) {
  RetryingConnection connection =
      Connect({.endpoints = {"a:1", "b:1"}, .tries_per_endpoint_max = 3});
  script_.connect["a:1"] = Refused();
  script_.connect["b:1"] = Refused();
  const absl::Status status = connection.Put("k", "v", {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(status.message(),
            "cannot connect to a:1 (Connection refused), b:1 (Connection refused)");
  EXPECT_EQ(ErrorReason(status), kReasonCannotConnect);
  EXPECT_TRUE(script_.asked.empty());
  ASSERT_EQ(clock_->pauses.size(), 2u);
  EXPECT_LE(clock_->pauses[0], absl::Milliseconds(50));
  EXPECT_GE(clock_->pauses[1], absl::Milliseconds(50));
}

TEST_F(RetryingConnectionTest, AServersAnswerSaysMoreThanARefusedConnection) {
  RetryingConnection connection =
      Connect({.endpoints = {"a:1", "b:1"}, .tries_per_endpoint_max = 1});
  script_.answers["a:1"] = {Unavailable(kReasonNoLeader)};
  script_.connect["b:1"] = Refused();
  const absl::Status status = connection.Put("k", "v", {}).status();
  EXPECT_EQ(ErrorReason(status), kReasonNoLeader);
  EXPECT_EQ(status.message(), "from the server");
}

TEST_F(RetryingConnectionTest, WaitsAsLongAsTheServerAsks) {
  RetryingConnection connection = Connect({.endpoints = {"a:1"}});
  script_.answers["a:1"] = {NoLeaderFor(2)};
  EXPECT_TRUE(connection.Put("k", "v", {}).ok());
  EXPECT_EQ(clock_->pauses, std::vector<absl::Duration>{absl::Seconds(2)});
}

TEST_F(RetryingConnectionTest, DoesNotBeginAPauseThatOutlastsTheDeadline) {
  RetryingConnection connection = Connect({.endpoints = {"a:1"}});
  script_.answers["a:1"] = {NoLeaderFor(2)};
  const absl::Status status = connection.Put("k", "v", {.timeout = absl::Seconds(1)}).status();
  EXPECT_EQ(ErrorReason(status), kReasonNoLeader);
  EXPECT_TRUE(clock_->pauses.empty());
}

TEST_F(RetryingConnectionTest, EachTryGetsWhatIsLeftOfTheTime) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {absl::UnavailableError("Socket closed")};
  script_.answer_takes["a:1"] = absl::Seconds(3);
  EXPECT_TRUE(connection.Get("k", {}).ok());
  EXPECT_EQ(script_.timeouts, (std::vector<absl::Duration>{absl::Seconds(5), absl::Seconds(2)}));
}

TEST_F(RetryingConnectionTest, OneEndpointThatSwallowsPacketsLeavesTimeForTheOthers) {
  RetryingConnection connection = ConnectToTwo();
  EXPECT_TRUE(connection.Get("k", {.timeout = absl::Seconds(1)}).ok());
  EXPECT_TRUE(connection.Get("k", {.timeout = absl::Minutes(1)}).ok());
  EXPECT_EQ(script_.connect_timeouts,
            (std::vector<absl::Duration>{absl::Milliseconds(500), absl::Seconds(2)}));
}

TEST_F(RetryingConnectionTest, AnEndpointThatIsNamedGetsAllOfTheTimeToConnect) {
  RetryingConnection connection = ConnectToTwo();
  EXPECT_TRUE(connection.GetStatus("b:1", {.timeout = absl::Seconds(7)}).ok());
  EXPECT_EQ(script_.connect_timeouts, std::vector<absl::Duration>{absl::Seconds(7)});
}

TEST_F(RetryingConnectionTest, StopsWhenTheTimeIsUpWithTheLastAnswer) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {absl::UnavailableError("Socket closed")};
  script_.answer_takes["a:1"] = absl::Seconds(6);
  const absl::Status status = connection.Get("k", {}).status();
  EXPECT_EQ(status.message(), "Socket closed");
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
}

TEST_F(RetryingConnectionTest, AnErrorForWantOfTimeTellsWhyTheTimeWasUsedUp) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["a:1"] = {Unavailable(kReasonNoLeader)};
  script_.answers["b:1"] = {absl::DeadlineExceededError("Deadline Exceeded")};
  const absl::Status read = connection.Get("k", {}).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(read)) << read;
  EXPECT_EQ(read.message(),
            "Deadline Exceeded (asked b:1 last; before it, a:1 answered UNAVAILABLE NO_LEADER: "
            "from the server)");

  script_.answers["a:1"] = {Unavailable(kReasonNoLeader)};
  script_.answers["b:1"] = {absl::DeadlineExceededError("Deadline Exceeded")};
  const absl::Status write = connection.Put("k", "v", {}).status();
  EXPECT_TRUE(absl::StrContains(write.message(), "a:1 answered UNAVAILABLE NO_LEADER")) << write;
  EXPECT_TRUE(IsOutcomeUnknown(write)) << write;
}

TEST_F(RetryingConnectionTest, AnErrorForWantOfTimeTellsWhoCouldNotBeReached) {
  RetryingConnection connection = ConnectToTwo();
  script_.connect["a:1"] = Refused();
  script_.answers["b:1"] = {absl::DeadlineExceededError("Deadline Exceeded")};
  EXPECT_EQ(connection.Get("k", {}).status().message(),
            "Deadline Exceeded (asked b:1 last; before it, cannot connect to a:1 (Connection "
            "refused))");
}

TEST_F(RetryingConnectionTest, RefusesATimeoutThatIsNotPositive) {
  RetryingConnection connection = ConnectToTwo();
  EXPECT_TRUE(
      absl::IsInvalidArgument(connection.Get("k", {.timeout = absl::ZeroDuration()}).status()));
  EXPECT_TRUE(script_.asked.empty());
}

TEST_F(RetryingConnectionTest, RefusesWhatCannotTravelWithoutAsking) {
  RetryingConnection connection = ConnectToTwo();
  const absl::Status not_text = connection.Get("\xff", {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(not_text));
  EXPECT_EQ(ErrorReason(not_text), "MALFORMED");
  EXPECT_EQ(GetErrorDetails(not_text)->domain, kClientErrorDomain) << "no server said so";
  const std::string large((size_t{3} << 20) + 1, 'x');
  EXPECT_EQ(ErrorReason(connection.Put("k", large, {}).status()), "VALUE_TOO_LARGE");
  const PutOptions contradiction{.ttl = absl::Seconds(1), .keep_ttl = true};
  EXPECT_EQ(ErrorReason(connection.Put("k", "v", contradiction).status()), "BAD_TTL");
  EXPECT_EQ(ErrorReason(connection.DeleteRange(Prefix{"\xc3"}, {}).status()), "MALFORMED");
  EXPECT_TRUE(script_.asked.empty());
}

TEST_F(RetryingConnectionTest, StatusAndHealthAskTheNamedEndpointOnceOnly) {
  RetryingConnection connection = ConnectToTwo();
  script_.answers["c:1"] = {absl::UnavailableError("gone"), absl::UnavailableError("gone")};
  EXPECT_EQ(connection.GetStatus("c:1", {}).status().message(), "gone");
  EXPECT_EQ(connection.CheckHealth("c:1", {}).status().message(), "gone");
  EXPECT_EQ(script_.asked, (Asked{"c:1", "c:1"}));
  script_.connect["b:1"] = Refused();
  EXPECT_EQ(connection.CheckHealth("b:1", {}).status().message(),
            "cannot connect to b:1 (Connection refused)");
  EXPECT_TRUE(absl::IsInvalidArgument(connection.GetStatus("nonsense", {}).status()));
}

TEST_F(RetryingConnectionTest, AnAnswerOfAnotherClusterIsAnError) {
  RetryingConnection connection = ConnectToTwo();
  script_.clusters = {{"a:1", 7}, {"b:1", 8}};
  EXPECT_TRUE(connection.Get("k", {}).ok());
  script_.connect["a:1"] = Refused();
  const absl::Status read = connection.Get("k", {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(read)) << read;
  EXPECT_EQ(ErrorReason(read), kReasonClusterMismatch);
  for (const char* words : {"b:1 is of cluster 8", "a:1 of cluster 7"}) {
    EXPECT_NE(read.message().find(words), std::string::npos) << read;
  }
  const absl::Status write = connection.Put("k", "v", {}).status();
  EXPECT_TRUE(IsOutcomeUnknown(write)) << write;
  EXPECT_NE(write.message().find("the write was done in cluster 8"), std::string::npos) << write;
  // The right one is asked as soon as it is back.
  script_.connect.clear();
  EXPECT_TRUE(connection.Get("k", {}).ok());
  EXPECT_EQ(connection.GetStatus("b:1", {})->header.cluster_id, 8u) << "anybody may be asked";
}

TEST_F(RetryingConnectionTest, AMemberThatIsNotFoundedAnswersForNoCluster) {
  RetryingConnection connection = ConnectToTwo();
  script_.clusters = {{"a:1", 0}, {"b:1", 8}};
  EXPECT_TRUE(connection.Get("k", {}).ok());
  script_.connect["a:1"] = Refused();
  EXPECT_TRUE(connection.Get("k", {}).ok());
  script_.connect = {{"b:1", Refused()}};
  EXPECT_TRUE(connection.Get("k", {}).ok());
}

TEST_F(RetryingConnectionTest, HealthTellsHowLongTheReadTook) {
  RetryingConnection connection = ConnectToTwo();
  script_.answer_takes["b:1"] = absl::Milliseconds(7);
  EXPECT_EQ(connection.CheckHealth("b:1", {})->took, absl::Milliseconds(7));
}

}  // namespace
}  // namespace raftkv::client
