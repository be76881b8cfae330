// Leases of real members: from any of them, across kills of the leader, and what is made of them.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/client.h"
#include "client/lease_keeper.h"
#include "client/recipes.h"
#include "raftkv/v1/lease.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/rpc.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string ReasonOf(const absl::Status& status) { return ErrorReason(status); }

class LeaseTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.WaitUntilPublished());
    client_ = std::make_unique<Client>(MakeClient());
  }
  Client MakeClient() {
    return *Client::Create({.endpoints = {cluster_.client_address(0), cluster_.client_address(1),
                                          cluster_.client_address(2)},
                            .request_timeout = absl::Seconds(15)});
  }
  int64_t Grant(absl::Duration ttl) {
    const absl::StatusOr<GrantLeaseResult> granted = client_->GrantLease(ttl);
    EXPECT_TRUE(granted.ok()) << granted.status();
    return granted.ok() ? granted->lease.id : 0;
  }
  void PutLeased(const std::string& key, int64_t lease) {
    const absl::StatusOr<PutResult> put = client_->Put(key, "v", {.lease_id = lease});
    EXPECT_TRUE(put.ok()) << put.status();
  }
  bool Exists(const std::string& key) {
    const absl::StatusOr<GetResult> got = client_->Get(key);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() && got->kv.has_value();
  }
  CommandResult Ctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {RaftkvctlPath(), "--endpoints", cluster_.client_address(1)});
    return RunCommand(arguments);
  }

  TestCluster cluster_;
  std::unique_ptr<Client> client_;
};

TEST_F(LeaseTest, AllKeysGoAtOneRevisionAsExpiries) {
  const int64_t lease = Grant(absl::Seconds(1));
  PutLeased("l/a", lease);
  PutLeased("l/b", lease);
  ASSERT_TRUE(client_->Put("l/own", "v").ok());
  const absl::StatusOr<GetResult> got = client_->Get("l/a");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->kv->lease_id, lease);
  EXPECT_FALSE(got->kv->ttl_remaining.has_value());
  std::vector<Event> events;
  const absl::Status watched = client_->Watch(
      {Prefix{"l/"}}, {.start_revision = got->header.revision + 1}, [&](const WatchUpdate& update) {
        events.insert(events.end(), update.events.begin(), update.events.end());
        return events.size() < 2;
      });
  ASSERT_TRUE(watched.ok()) << watched;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].type, EventType::kExpire);
  EXPECT_EQ(events[1].type, EventType::kExpire);
  EXPECT_EQ(events[0].kv.mod_revision, events[1].kv.mod_revision);
  EXPECT_TRUE(Exists("l/own"));
  EXPECT_EQ(ReasonOf(client_->RenewLease(lease).status()), "LEASE_NOT_FOUND");
  EXPECT_EQ(ReasonOf(client_->GetLease(lease).status()), "LEASE_NOT_FOUND");
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

// The keeper renews through every change of leaders, and what nobody renews goes at last.
TEST_F(LeaseTest, LivesThroughKillsOfTheLeader) {
  absl::StatusOr<std::unique_ptr<LeaseKeeper>> keeper =
      LeaseKeeper::Grant(MakeClient(), absl::Seconds(8));
  ASSERT_TRUE(keeper.ok()) << keeper.status();
  PutLeased("kept", (*keeper)->id());
  const int64_t left = Grant(absl::Seconds(2));
  PutLeased("left", left);
  for (int kills = 0; kills < 3; ++kills) {
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    cluster_.server(*leader).Kill9();
    ASSERT_TRUE(cluster_.WaitForLeader().has_value());
    EXPECT_TRUE(Exists("kept"));
    EXPECT_EQ((*keeper)->Check(), absl::OkStatus());
    ASSERT_TRUE(cluster_.Start(*leader));
  }
  EXPECT_TRUE(WaitUntil(Millis(15'000), [&] { return !Exists("left"); }));
  EXPECT_EQ((*keeper)->Check(), absl::OkStatus());
  const int64_t kept = (*keeper)->id();
  keeper->reset();
  EXPECT_FALSE(Exists("kept")) << "its keeper revoked it";
  EXPECT_EQ(ReasonOf(client_->GetLease(kept).status()), "LEASE_NOT_FOUND");
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

// Down for longer than its ttl, and all of it back: the lease has its time again, and its keys.
TEST_F(LeaseTest, AStopOfTheWholeClusterEndsNoLease) {
  const int64_t lease = Grant(absl::Seconds(3));
  PutLeased("k", lease);
  cluster_.KillAll();
  ASSERT_TRUE(cluster_.StartAll());
  const absl::StatusOr<RenewLeaseResult> renewed = client_->RenewLease(lease);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_TRUE(Exists("k"));
  const absl::StatusOr<GetLeaseResult> found = client_->GetLease(lease, {.keys = true});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->keys, ElementsAre("k"));
  EXPECT_LE(found->lease.ttl_remaining, absl::Seconds(3));
}

TEST_F(LeaseTest, StreamsRenewAndSayWhatHasExpired) {
  const int64_t lease = Grant(absl::Seconds(60));
  auto stub = v1::LeaseService::NewStub(
      grpc::CreateChannel(cluster_.client_address(2), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  SetTimeout(&context, Millis(20'000));
  auto stream = stub->KeepLeaseAlive(&context);
  v1::KeepLeaseAliveRequest request;
  // More than are under way at a time, asked for before any answer is read.
  constexpr int kRequests = 300;
  for (int i = 0; i < kRequests; ++i) {
    request.set_id(i % 2 == 0 ? lease : 12345);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  v1::KeepLeaseAliveResponse response;
  int answers = 0;
  for (; stream->Read(&response); ++answers) {
    ASSERT_EQ(response.expired(), answers % 2 == 1) << "in the order of the requests";
    ASSERT_EQ(response.lease().id(), answers % 2 == 0 ? lease : 12345);
  }
  EXPECT_EQ(answers, kRequests);
  EXPECT_TRUE(stream->Finish().ok());

  grpc::ClientContext bad_context;
  SetTimeout(&bad_context, Millis(20'000));
  auto bad = stub->KeepLeaseAlive(&bad_context);
  request.set_id(-1);
  bad->Write(request);
  EXPECT_FALSE(bad->Read(&response));
  EXPECT_EQ(MakeCallError(bad->Finish(), bad_context).reason, "BAD_LEASE");
}

TEST_F(LeaseTest, AStreamEndsWhenItsMemberStops) {
  const int64_t lease = Grant(absl::Seconds(60));
  auto stub = v1::LeaseService::NewStub(
      grpc::CreateChannel(cluster_.client_address(2), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  SetTimeout(&context, Millis(20'000));
  auto stream = stub->KeepLeaseAlive(&context);
  v1::KeepLeaseAliveRequest request;
  request.set_id(lease);
  ASSERT_TRUE(stream->Write(request));
  v1::KeepLeaseAliveResponse response;
  ASSERT_TRUE(stream->Read(&response));
  const auto exit = cluster_.server(2).Stop();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(MakeCallError(stream->Finish(), context).reason, "SHUTTING_DOWN");
}

TEST_F(LeaseTest, BadInput) {
  EXPECT_EQ(ReasonOf(client_->Put("k", "v", {.lease_id = 99}).status()), "LEASE_NOT_FOUND");
  EXPECT_FALSE(Exists("k")) << "nothing was written";
  EXPECT_EQ(ReasonOf(client_->Put("k", "v", {.lease_id = -1}).status()), "BAD_LEASE");
  for (const absl::Duration ttl :
       {absl::Seconds(-1), absl::ZeroDuration(), absl::Milliseconds(999), absl::Hours(24 * 3651)}) {
    const absl::Status status = client_->GrantLease(ttl).status();
    EXPECT_EQ(ReasonOf(status), "BAD_TTL") << status;
  }
  EXPECT_EQ(ReasonOf(client_->GrantLease(absl::Seconds(5), {.id = -7}).status()), "BAD_LEASE");
  ASSERT_TRUE(client_->GrantLease(absl::Seconds(60), {.id = 7}).ok());
  const absl::Status taken = client_->GrantLease(absl::Seconds(60), {.id = 7}).status();
  EXPECT_EQ(ReasonOf(taken), "LEASE_EXISTS");
  EXPECT_THAT(std::string(taken.message()), HasSubstr("lease 7 exists"));
  EXPECT_EQ(ReasonOf(client_->RenewLease(0).status()), "BAD_LEASE");
  EXPECT_EQ(ReasonOf(client_->RevokeLease(8).status()), "LEASE_NOT_FOUND");
  EXPECT_EQ(ReasonOf(client_->RenewLease(7, {.ttl = absl::Nanoseconds(1)}).status()), "BAD_TTL");
  EXPECT_EQ(ReasonOf(client_->ListLeases({.page_size = -1}).status()), "BAD_PAGE_SIZE");
  const absl::StatusOr<TxnResult> txn =
      client_->Run({.then_ops = {PutOp{.key = "a", .value = "1"},
                                 PutOp{.key = "b", .value = "1", .options = {.lease_id = 99}}}});
  EXPECT_EQ(ReasonOf(txn.status()), "LEASE_NOT_FOUND");
  EXPECT_THAT(std::string(txn.status().message()), StartsWith("then_ops[1]"));
  EXPECT_FALSE(Exists("a"));
}

TEST_F(LeaseTest, ALeaseTakesNoMoreKeysThanCanGoAtOnce) {
  constexpr int kKeysMax = 10'000;
  const int64_t lease = Grant(absl::Seconds(60));
  for (int first = 0; first < kKeysMax; first += 1000) {
    Txn txn;
    for (int i = first; i < first + 1000; ++i) {
      txn.then_ops.push_back(
          PutOp{.key = absl::StrCat("many/", i), .value = "v", .options = {.lease_id = lease}});
    }
    ASSERT_TRUE(client_->Run(txn).ok());
  }
  const absl::Status full = client_->Put("many/more", "v", {.lease_id = lease}).status();
  EXPECT_EQ(ReasonOf(full), "LEASE_FULL");
  EXPECT_THAT(std::string(full.message()), HasSubstr("has 10000 keys, the limit"));
  const absl::StatusOr<RevokeLeaseResult> revoked = client_->RevokeLease(lease);
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_EQ(revoked->deleted, kKeysMax);
  const absl::StatusOr<ListResult> rest = client_->List(Prefix{"many/"}, {.count_only = true});
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->count, 0);
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

// Holders come one after the other, and each has a larger token than the one before.
TEST_F(LeaseTest, ALockHasOneHolder) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 5;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      Client client = MakeClient();
      for (int times = 0; times < kTimes; ++times) {
        absl::StatusOr<std::unique_ptr<Lock>> lock = Lock::Acquire(client, "the lock");
        ASSERT_TRUE(lock.ok()) << lock.status();
        // Read, then write: two holders at once would lose one of their additions.
        const absl::StatusOr<GetResult> got = client.Get("sum");
        ASSERT_TRUE(got.ok()) << got.status();
        const int64_t sum = got->kv.has_value() ? std::stoll(got->kv->value) : 0;
        const absl::StatusOr<GetResult> token = client.Get("token");
        ASSERT_TRUE(token.ok()) << token.status();
        EXPECT_LT(token->kv.has_value() ? std::stoll(token->kv->value) : 0,
                  (*lock)->fencing_token());
        const absl::StatusOr<TxnResult> done = client.Run(
            {.guards = {(*lock)->StillHeld()},
             .then_ops = {PutOp{.key = "sum", .value = absl::StrCat(sum + 1)},
                          PutOp{.key = "token", .value = absl::StrCat((*lock)->fencing_token())}}});
        ASSERT_TRUE(done.ok()) << done.status();
        EXPECT_TRUE(done->succeeded);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const absl::StatusOr<GetResult> got = client_->Get("sum");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->kv->value, absl::StrCat(kThreads * kTimes));
}

TEST_F(LeaseTest, WhoLostALockDoesNothingInItsName) {
  absl::StatusOr<std::unique_ptr<Lock>> lock = Lock::Acquire(*client_, "name");
  ASSERT_TRUE(lock.ok()) << lock.status();
  const absl::StatusOr<std::unique_ptr<Lock>> refused =
      Lock::Acquire(*client_, "name", {.wait = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused.status())) << refused.status();
  EXPECT_TRUE(Lock::Acquire(*client_, "name/below", {.wait = absl::Milliseconds(100)}).ok())
      << "another lock";
  const absl::StatusOr<std::optional<KeyValue>> holder = FindHolder(*client_, "name");
  ASSERT_TRUE(holder.ok() && holder->has_value());
  EXPECT_EQ((*holder)->key, (*lock)->key());
  EXPECT_EQ((*holder)->create_revision, (*lock)->fencing_token());
  ASSERT_TRUE(client_->RevokeLease((*holder)->lease_id).ok());
  const absl::StatusOr<TxnResult> done = client_->Run(
      {.guards = {(*lock)->StillHeld()}, .then_ops = {PutOp{.key = "deed", .value = "v"}}});
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(done->succeeded);
  EXPECT_TRUE(absl::IsAborted((*lock)->Proclaim("x")));
  EXPECT_TRUE(WaitUntil(Millis(10'000), [&] { return absl::IsNotFound((*lock)->Check()); }));
  EXPECT_FALSE(Exists("deed"));
}

TEST_F(LeaseTest, CtlLeases) {
  const CommandResult granted = Ctl({"lease", "grant", "60s", "--id", "42"});
  EXPECT_EQ(granted.out, "lease 42 granted for 1m\n") << granted;
  EXPECT_EQ(Ctl({"put", "k", "v", "--lease", "42"}).exit, (ExitStatus{.code = 0}));
  EXPECT_THAT(Ctl({"lease", "get", "42", "--keys"}).out, testing::EndsWith("\nk\n"));
  EXPECT_THAT(Ctl({"lease", "list"}).out, StartsWith("lease 42 ttl 1m remaining "));
  EXPECT_EQ(Ctl({"lease", "keep-alive", "42", "--once"}).out, "lease 42 renewed for 1m\n");
  EXPECT_EQ(Ctl({"lease", "renew", "42", "--ttl", "5s"}).out, "lease 42 renewed for 5s\n");
  EXPECT_EQ(Ctl({"lease", "revoke", "42"}).out, "lease 42 revoked, with 1 keys\n");
  const CommandResult gone = Ctl({"lease", "keep-alive", "42"});
  EXPECT_EQ(gone.exit, (ExitStatus{.code = 4})) << gone;
  EXPECT_THAT(gone.err, HasSubstr("there is no lease 42"));
  EXPECT_FALSE(Exists("k"));
}

TEST_F(LeaseTest, CtlLocksWhileACommandRuns) {
  const CommandResult ran = Ctl({"lock", "ctl", "--", "/bin/sh", "-c",
                                 "echo $RAFTKV_LOCK_KEY $RAFTKV_FENCING_TOKEN; exit 7"});
  EXPECT_EQ(ran.exit, (ExitStatus{.code = 7})) << ran;
  const std::vector<std::string> words = absl::StrSplit(ran.out, absl::ByAnyChar(" \n"));
  ASSERT_GE(words.size(), 2U) << ran;
  EXPECT_THAT(words[0], StartsWith("ctl/"));
  EXPECT_GT(std::stoll(words[1]), 0);
  EXPECT_FALSE(Exists(words[0])) << "released at once";
  EXPECT_EQ(Ctl({"lock", "ctl", "--", "no-such-program"}).exit, (ExitStatus{.code = 127}));
  // Held by another one.
  ChildProcess holder(
      {.argv = {RaftkvctlPath(), "--endpoints", cluster_.client_address(1), "elect", "ctl", "me"},
       .env = {},
       .stdin_path = "",
       .stdout_path = cluster_.dir().File("held"),
       .stderr_path = "",
       .working_dir = ""});
  ASSERT_TRUE(WaitUntil(Millis(10'000), [&] {
    const auto found = FindHolder(*client_, "ctl");
    return found.ok() && found->has_value() && (*found)->value == "me";
  }));
  const CommandResult waited = Ctl({"lock", "ctl", "--wait", "300ms", "--", "true"});
  EXPECT_EQ(waited.exit, (ExitStatus{.code = 1})) << waited;
  EXPECT_THAT(waited.err, HasSubstr("was held by others"));
  holder.Signal(SIGTERM);
  EXPECT_EQ(holder.Wait(Millis(10'000)), (ExitStatus{.code = 0}));
  EXPECT_EQ(Ctl({"lock", "ctl", "--", "true"}).exit, (ExitStatus{.code = 0}));
}

}  // namespace
}  // namespace raftkv::integration
