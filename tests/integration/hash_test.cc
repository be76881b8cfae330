// The hash of what members hold: equal on all of them at each index, whatever they went through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

v1::VerifyHashRequest AtIndex(uint64_t index, bool scan = false) {
  v1::VerifyHashRequest request;
  request.set_index(index);
  request.set_scan(scan);
  return request;
}

class HashTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  CommandResult Hashkv(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {RaftkvctlPath(), "--endpoints", cluster_.client_address(0),
                                         "endpoint", "hashkv"});
    return RunCommand(arguments);
  }

  TestCluster cluster_;
};

TEST_F(HashTest, MembersHoldTheSameAfterWritesExpiryKillsAndRestarts) {
  NodeClient& client = cluster_.client(0);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.PutText(absl::StrCat("k/", i), std::string(i * 10, 'x')).ok());
    ASSERT_TRUE(client.PutWithTtl(absl::StrCat("t/", i), "gone soon", Millis(300 + i)).ok());
  }
  cluster_.server(2).Kill9();
  ASSERT_TRUE(client.DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { prefix: "k/1" })")).ok());
  ASSERT_TRUE(client.PutText("k/2", "changed").ok());
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] {
    const auto left =
        client.List(Proto<v1::ListRequest>(R"(range { prefix: "t/" } count_only: true)"));
    return left.ok() && left->count() == 0;
  }));
  ASSERT_TRUE(cluster_.Start(2));
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  const auto before = client.VerifyHash();
  cluster_.KillAll();
  ASSERT_TRUE(cluster_.StartAll());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  EXPECT_EQ(cluster_.client(1).VerifyHash()->key_count(), before->key_count());

  const CommandResult compared = Hashkv({"--cluster"});
  EXPECT_EQ(compared.exit, kOk) << compared;
  EXPECT_THAT(compared.err, HasSubstr("All 3 endpoints that answered hold the same at index"));
  const CommandResult scanned = Hashkv({"--cluster", "--scan"});
  EXPECT_EQ(scanned.exit, kOk) << scanned;
  const std::vector<std::string> lines = absl::StrSplit(scanned.out, '\n', absl::SkipEmpty());
  EXPECT_THAT(lines, testing::SizeIs(3));
  EXPECT_THAT(lines, testing::Each(EndsWith(", true")));
}

TEST_F(HashTest, AnIndexIsWaitedForUntilTheDeadline) {
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  NodeClient& client = cluster_.client(0);
  const auto now = client.VerifyHash();
  ASSERT_TRUE(now.ok()) << now;
  EXPECT_EQ(client.VerifyHash(AtIndex(now->index()))->state_hash(), now->state_hash());
  const auto never = client.VerifyHash(AtIndex(now->index() + 100'000), Millis(500));
  EXPECT_EQ(never.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(never.status.error_message(),
              AllOf(HasSubstr("has applied up to index"), HasSubstr("not yet index")));
  const auto beyond = client.VerifyHash(AtIndex(uint64_t{1} << 63));
  EXPECT_EQ(beyond.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << beyond;
}

TEST_F(HashTest, WhatWasBeforeTheStartIsForgotten) {
  ASSERT_TRUE(cluster_.client(0).PutText("a", "1").ok());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  cluster_.server(1).Kill9();
  ASSERT_TRUE(cluster_.Start(1));
  const auto old = cluster_.client(1).VerifyHash(AtIndex(1));
  EXPECT_EQ(old.status.error_code(), grpc::StatusCode::OUT_OF_RANGE) << old;
  EXPECT_THAT(old.status.error_message(), HasSubstr("does not know any more"));
}

TEST_F(HashTest, AMemberThatIsAwayIsSaidToBe) {
  // Until all have said where they are.
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] { return Hashkv({"--cluster"}).exit == kOk; }));
  cluster_.server(2).Kill9();
  const CommandResult compared = Hashkv({"--cluster"});
  EXPECT_EQ(compared.exit, ExitStatus{.code = 2}) << compared;
  EXPECT_THAT(compared.err, AllOf(HasSubstr("cannot connect to"),
                                  HasSubstr("All 2 endpoints that answered hold the same")));
}

// It needs no quorum.
TEST_F(HashTest, AMemberAloneAnswersAndIsHealthyFor) {
  cluster_.server(1).Kill9();
  cluster_.server(2).Kill9();
  EXPECT_TRUE(cluster_.client(0).VerifyHash(AtIndex(0, /*scan=*/true)).ok());
  EXPECT_TRUE(cluster_.client(0).Healthy("raftkv.v1.MaintenanceService"));
}

}  // namespace
}  // namespace raftkv::integration
