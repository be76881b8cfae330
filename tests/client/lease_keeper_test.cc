#include "client/lease_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "client/convert.h"
#include "client/error_payload.h"
#include "client/recipes.h"
#include "client/retrying_connection.h"
#include "client/rpc.h"
#include "client/stub.h"

namespace raftkv {
namespace {

constexpr int64_t kId = 7;

// A member that grants leases of a ttl that no real one grants, and renews as the test says.
// Thread-safe.
class ScriptedMember {
 public:
  explicit ScriptedMember(absl::Duration ttl) : ttl_(ttl) {}

  absl::Status Call(const std::string& path, google::protobuf::Message* response) {
    if (path == client::kGrantLease.path) {
      auto& granted = static_cast<v1::GrantLeaseResponse&>(*response);
      granted.mutable_lease()->set_id(kId);
      *granted.mutable_lease()->mutable_ttl() = client::DurationToProto(ttl_);
      return absl::OkStatus();
    }
    if (path == client::kRenewLease.path) {
      ++renewals;
      return renewal_fails ? renewal_fails() : absl::OkStatus();
    }
    EXPECT_EQ(path, client::kRevokeLease.path);
    ++revocations;
    return absl::OkStatus();
  }

  std::function<absl::Status()> renewal_fails;
  std::atomic<int> renewals = 0;
  std::atomic<int> revocations = 0;

 private:
  const absl::Duration ttl_;
};

class ScriptedStub final : public client::Stub {
 public:
  explicit ScriptedStub(ScriptedMember* member) : member_(*member) {}

  absl::Status Connect(absl::Duration) override { return absl::OkStatus(); }
  std::unique_ptr<client::BidiCall> OpenBidi(const char*, google::protobuf::Message*) override {
    ADD_FAILURE() << "no call goes both ways";
    return nullptr;
  }
  absl::Status Call(const char* path, absl::Duration, const google::protobuf::Message&,
                    google::protobuf::Message* response) override {
    return member_.Call(path, response);
  }
  absl::Status ReadStream(const char*, const google::protobuf::Message&, google::protobuf::Message*,
                          absl::FunctionRef<absl::Status()>) override {
    return absl::UnimplementedError("");
  }
  absl::Status Stream(const char*, absl::Duration, const google::protobuf::Message&,
                      google::protobuf::Message*, absl::FunctionRef<bool()>) override {
    return absl::UnimplementedError("");
  }

 private:
  ScriptedMember& member_;
};

std::unique_ptr<LeaseKeeper> KeeperOn(ScriptedMember* member) {
  Client client(std::make_shared<client::RetryingConnection>(
      ClientOptions{.learns_members = false},
      [member](const std::string&) { return std::make_unique<ScriptedStub>(member); },
      client::SystemSleepingClock(), /*jitter_seed=*/1));
  absl::StatusOr<std::unique_ptr<LeaseKeeper>> keeper =
      LeaseKeeper::Grant(std::move(client), absl::Seconds(1));
  EXPECT_TRUE(keeper.ok()) << keeper.status();
  return *std::move(keeper);
}

TEST(LeaseKeeperTest, RenewsAndRevokesAtItsEnd) {
  ScriptedMember member(absl::Seconds(3600));
  {
    const std::unique_ptr<LeaseKeeper> keeper = KeeperOn(&member);
    EXPECT_EQ(keeper->id(), kId);
    EXPECT_EQ(keeper->Check(), absl::OkStatus());
    EXPECT_EQ(member.revocations, 0);
  }
  EXPECT_EQ(member.revocations, 1);
}

TEST(LeaseKeeperTest, LivesAsLongAsRenewalsSucceed) {
  ScriptedMember member(absl::Milliseconds(600));
  const std::unique_ptr<LeaseKeeper> keeper = KeeperOn(&member);
  // Longer than one ttl.
  EXPECT_EQ(keeper->WaitWhileAlive(absl::Milliseconds(1500)), absl::OkStatus());
  EXPECT_GE(member.renewals, 2);
}

TEST(LeaseKeeperTest, SaysWhenTheLeaseHasEnded) {
  ScriptedMember member(absl::Milliseconds(300));
  member.renewal_fails = [] {
    return client::WithReason(absl::NotFoundError("there is no lease 7"), "LEASE_NOT_FOUND",
                              kServerErrorDomain);
  };
  const std::unique_ptr<LeaseKeeper> keeper = KeeperOn(&member);
  const absl::Status status = keeper->WaitWhileAlive(absl::Seconds(30));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(keeper->WaitWhileAlive(absl::Seconds(30)).code(), status.code()) << "for good";
}

TEST(LeaseKeeperTest, IsOverWhenNoRenewalSucceedsInTime) {
  ScriptedMember member(absl::Milliseconds(300));
  member.renewal_fails = [] { return absl::InternalError("no"); };
  std::unique_ptr<LeaseKeeper> keeper = KeeperOn(&member);
  const absl::Status status = keeper->WaitWhileAlive(absl::Seconds(30));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_TRUE(absl::IsDeadlineExceeded(keeper->Check())) << "it does not come back";
  keeper.reset();
  EXPECT_EQ(member.revocations, 0) << "it may be another's by now";
}

TEST(LeaseKeeperTest, AbandonLeavesItToExpire) {
  ScriptedMember member(absl::Seconds(3600));
  std::unique_ptr<LeaseKeeper> keeper = KeeperOn(&member);
  keeper->Abandon();
  EXPECT_TRUE(absl::IsCancelled(keeper->Check()));
  keeper.reset();
  EXPECT_EQ(member.revocations, 0);
}

TEST(RecipesTest, ALockNeedsAName) {
  ScriptedMember member(absl::Seconds(3600));
  Client client(std::make_shared<client::RetryingConnection>(
      ClientOptions{.learns_members = false},
      [&member](const std::string&) { return std::make_unique<ScriptedStub>(&member); },
      client::SystemSleepingClock(), /*jitter_seed=*/1));
  EXPECT_TRUE(absl::IsInvalidArgument(Lock::Acquire(client, "").status()));
}

}  // namespace
}  // namespace raftkv
