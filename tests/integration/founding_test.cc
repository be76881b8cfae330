// Founding gone wrong: a founder's list or directory that does not fit the cluster which it is in.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/waker.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "storage/storage.h"
#include "tests/support/rpc.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t kCluster = 77;

// A cluster of members 1, 2, ... with these names and addresses; all have the same data id.
log::v1::ClusterConfiguration ClusterOf(
    const std::vector<std::pair<std::string, std::string>>& members, uint64_t data_id) {
  log::v1::ClusterConfiguration record;
  record.set_cluster_id(kCluster);
  for (const auto& [name, address] : members) {
    log::v1::ConfiguredMember* member = record.add_members();
    member->set_id(static_cast<uint64_t>(record.members_size()));
    member->set_name(name);
    member->set_peer_address(address);
    member->set_data_id(data_id);
    record.add_voters(member->id());
  }
  return record;
}

// A founder that stored the record of n1 and n2 already, in which the asker has its own data.
class FoundedPeer final : public peer::v1::RaftService::Service {
 public:
  FoundedPeer(const std::string& n1_address, const std::string& n2_address)
      : n1_address_(n1_address), n2_address_(n2_address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(n2_address, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  bool listening() const { return server_ != nullptr; }

  grpc::Status Hello(grpc::ServerContext*, const peer::v1::HelloRequest* request,
                     peer::v1::HelloResponse* response) override {
    response->set_name("n2");
    response->set_data_id(2);
    response->set_protocol_version(3);
    *response->mutable_configuration() =
        ClusterOf({{"n1", n1_address_}, {"n2", n2_address_}}, request->data_id());
    return grpc::Status::OK;
  }

 private:
  const std::string n1_address_;
  const std::string n2_address_;
  std::unique_ptr<grpc::Server> server_;
};

class FoundingTest : public testing::Test {
 protected:
  ServerOptions Options(const std::string& initial_cluster) const {
    return {.name = "n1",
            .data_dir = dir_.File("n1"),
            .listen_client = "127.0.0.1:0",
            .listen_peer = n1_address_,
            .initial_cluster = initial_cluster,
            .flags = {},
            .env = {}};
  }

  void ExpectRefused(ServerProcess* server, const std::vector<std::string>& mentioned) {
    server->Start();
    ASSERT_EQ(server->WaitExit(), kDirectoryUnusable) << server->LogTail();
    for (const std::string& words : mentioned) {
      EXPECT_THAT(server->Log(), HasSubstr(words));
    }
  }

  TempDir dir_;
  const std::string n1_address_ = Loopback(PickFreePort());
  const std::string n2_address_ = Loopback(PickFreePort());
};

// It was killed after the others had stored the record and started again with another list.
TEST_F(FoundingTest, ARecordOfAnotherListIsNotAdopted) {
  const FoundedPeer n2(n1_address_, n2_address_);
  ASSERT_TRUE(n2.listening());
  const std::string founding_list = absl::StrCat("n1=", n1_address_, ",n2=", n2_address_);
  ServerProcess n1(Options(absl::StrCat("n0=127.0.0.1:1,", founding_list)));
  for (int starts = 0; starts < 2; ++starts) {
    ASSERT_NO_FATAL_FAILURE(
        ExpectRefused(&n1, {absl::StrCat("belongs to cluster ", kCluster),
                            absl::StrCat("--initial_cluster=", founding_list)}));
  }
  // The line says what to do.
  n1.options().initial_cluster = founding_list;
  n1.Start();
  ASSERT_TRUE(n1.WaitReady());
  NodeClient client(n1.client_address());
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    return client.GetStatus()->header().cluster_id() == kCluster;
  })) << n1.LogTail();
}

TEST_F(FoundingTest, StatusSaysWhomAFounderWaitsFor) {
  ServerProcess n1(Options(absl::StrCat("n1=", n1_address_, ",n2=", n2_address_)));
  n1.Start();
  ASSERT_TRUE(n1.WaitReady()) << n1.LogTail();
  NodeClient client(n1.client_address());
  const auto warnings = client.GetStatus()->warnings();
  EXPECT_THAT(std::vector<std::string>(warnings.begin(), warnings.end()),
              ElementsAre(StartsWith(absl::StrCat(
                  "the cluster is not founded yet: waiting for n2 at ", n2_address_, " ("))));
}

class NobodyToWake final : public Waker {
 public:
  void Wake() override {}
};

TEST_F(FoundingTest, AListWithoutThisMemberIsRefusedAlsoAfterAFailedStart) {
  ServerOptions options = Options(absl::StrCat("n2=", n2_address_, ",n3=127.0.0.1:1"));
  {
    // Such a start leaves a directory that is not founded.
    NobodyToWake waker;
    ASSERT_TRUE(storage::Storage::Open({.data_dir = options.data_dir}, &waker).ok());
  }
  ServerProcess n1(options);
  n1.Start();
  EXPECT_EQ(n1.WaitExit(), ExitStatus{.code = 1}) << n1.LogTail();
  EXPECT_THAT(n1.Log(), HasSubstr("must contain this member, --name=n1"));
}

TEST_F(FoundingTest, ADirectoryThatDoesNotHoldItsOwnMemberIsRefused) {
  ServerOptions options = Options("");
  options.data_dir = dir_.File("member2");
  {
    NobodyToWake waker;
    auto storage = storage::Storage::Open({.data_dir = options.data_dir}, &waker);
    ASSERT_TRUE(storage.ok()) << storage.status();
    // One with a larger id than all would have joined later.
    (*storage)->Found("n1", /*member_id=*/2,
                      ClusterOf({{"n1", n1_address_}, {"n2", n2_address_}}, (*storage)->data_id()));
  }
  ServerProcess n1(options);
  ASSERT_NO_FATAL_FAILURE(
      ExpectRefused(&n1, {options.data_dir, "member 2 \"n1\"", "1 \"n1\", 2 \"n2\""}));
}

}  // namespace
}  // namespace raftkv::integration
