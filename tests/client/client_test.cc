// raftkv::Client over real gRPC, against services that the test writes.
#include "client/client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "client/grpc_stub.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "raftkv/v1/cluster.grpc.pb.h"
#include "raftkv/v1/kv.grpc.pb.h"
#include "raftkv/v1/maintenance.grpc.pb.h"

namespace raftkv {
namespace {

// Answers each method with what the test sets, and keeps the last request. Methods not set answer
// OK and empty.
class FakeKvService final : public v1::KvService::Service {
 public:
  template <typename Request, typename Response>
  struct Method {
    std::function<grpc::Status(const Request&, Response*)> answer;
    Request last_request;
    int calls = 0;
  };

  grpc::Status Get(grpc::ServerContext*, const v1::GetRequest* request,
                   v1::GetResponse* response) override {
    return Answer(get, *request, response);
  }
  grpc::Status Put(grpc::ServerContext*, const v1::PutRequest* request,
                   v1::PutResponse* response) override {
    return Answer(put, *request, response);
  }
  grpc::Status Delete(grpc::ServerContext*, const v1::DeleteRequest* request,
                      v1::DeleteResponse* response) override {
    return Answer(del, *request, response);
  }
  grpc::Status List(grpc::ServerContext*, const v1::ListRequest* request,
                    v1::ListResponse* response) override {
    return Answer(list, *request, response);
  }
  grpc::Status DeleteRange(grpc::ServerContext*, const v1::DeleteRangeRequest* request,
                           v1::DeleteRangeResponse* response) override {
    return Answer(delete_range, *request, response);
  }

  Method<v1::GetRequest, v1::GetResponse> get;
  Method<v1::PutRequest, v1::PutResponse> put;
  Method<v1::DeleteRequest, v1::DeleteResponse> del;
  Method<v1::ListRequest, v1::ListResponse> list;
  Method<v1::DeleteRangeRequest, v1::DeleteRangeResponse> delete_range;

 private:
  template <typename Request, typename Response>
  grpc::Status Answer(Method<Request, Response>& method, const Request& request,
                      Response* response) {
    MutexLock lock(&mutex_);
    method.last_request = request;
    ++method.calls;
    return method.answer ? method.answer(request, response) : grpc::Status::OK;
  }

  Mutex mutex_;
};

class FakeClusterService final : public v1::ClusterService::Service {
 public:
  grpc::Status ListMembers(grpc::ServerContext*, const v1::ListMembersRequest* request,
                           v1::ListMembersResponse* response) override {
    linearizable = request->consistency() == v1::CONSISTENCY_LINEARIZABLE;
    *response = members;
    return grpc::Status::OK;
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::GetStatusResponse* response) override {
    *response = status;
    return grpc::Status::OK;
  }

  grpc::Status TransferLeadership(grpc::ServerContext*,
                                  const v1::TransferLeadershipRequest* request,
                                  v1::TransferLeadershipResponse* response) override {
    transfer = *request;
    response->mutable_header()->set_leader_id(2);
    return grpc::Status::OK;
  }

  v1::ListMembersResponse members;
  v1::TransferLeadershipRequest transfer;
  v1::GetStatusResponse status;
  bool linearizable = false;
};

class FakeMaintenanceService final : public v1::MaintenanceService::Service {
 public:
  grpc::Status VerifyHash(grpc::ServerContext*, const v1::VerifyHashRequest* request,
                          v1::VerifyHashResponse* response) override {
    last_request = *request;
    *response = answer;
    return grpc::Status::OK;
  }

  v1::VerifyHashRequest last_request;
  v1::VerifyHashResponse answer;
};

// One member on a port of its own.
class FakeMember {
 public:
  FakeMember() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&kv);
    builder.RegisterService(&cluster);
    builder.RegisterService(&maintenance);
    server_ = builder.BuildAndStart();
    address = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeMember() { Stop(); }
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }

  FakeKvService kv;
  FakeClusterService cluster;
  FakeMaintenanceService maintenance;
  std::string address;

 private:
  std::unique_ptr<grpc::Server> server_;
};

grpc::Status Failure(grpc::StatusCode code, const std::string& reason, const std::string& message) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("raftkv");
  (*info.mutable_metadata())["limit"] = "17";
  google::rpc::Status rich;
  rich.set_code(code);
  rich.set_message(message);
  rich.add_details()->PackFrom(info);
  return grpc::Status(code, message, rich.SerializeAsString());
}

// A port on which nobody listens.
std::string DeadAddress() {
  FakeMember member;
  member.Stop();
  return member.address;
}

class ClientTest : public ::testing::Test {
 protected:
  Client Connect(std::vector<std::string> endpoints, bool exactly_once = true) {
    ClientOptions options;
    options.exactly_once = exactly_once;
    options.endpoints = std::move(endpoints);
    options.tries_per_endpoint_max = 2;
    return *Client::Create(options);
  }

  FakeMember member_;
  Client client_ = Connect({member_.address});
};

void FillHeader(v1::ResponseHeader* header) {
  header->set_cluster_id(0xFFFFFFFFFFFFFFFF);
  header->set_member_id(2);
  header->set_leader_id(3);
  header->set_raft_term(4);
  header->set_revision(5);
}

void ExpectHeader(const ResponseHeader& header) {
  EXPECT_EQ(header.cluster_id, 0xFFFFFFFFFFFFFFFF);
  EXPECT_EQ(header.member_id, 2u);
  EXPECT_EQ(header.leader_id, 3u);
  EXPECT_EQ(header.raft_term, 4u);
  EXPECT_EQ(header.revision, 5);
}

void FillKeyValue(v1::KeyValue* kv) {
  kv->set_key("k");
  kv->set_data(std::string("\0\xff", 2));
  kv->set_create_revision(6);
  kv->set_mod_revision(7);
  kv->set_version(8);
  kv->mutable_ttl_remaining()->set_seconds(1);
  kv->mutable_ttl_remaining()->set_nanos(500'000'000);
}

void ExpectKeyValue(const KeyValue& kv) {
  EXPECT_EQ(kv.key, "k");
  EXPECT_EQ(kv.value, std::string("\0\xff", 2));
  EXPECT_EQ(kv.create_revision, 6);
  EXPECT_EQ(kv.mod_revision, 7);
  EXPECT_EQ(kv.version, 8);
  EXPECT_EQ(kv.ttl_remaining, absl::Milliseconds(1500));
}

TEST_F(ClientTest, GetCarriesAllFields) {
  member_.kv.get.answer = [](const v1::GetRequest&, v1::GetResponse* response) {
    FillHeader(response->mutable_header());
    FillKeyValue(response->mutable_kv());
    return grpc::Status::OK;
  };
  const auto result = client_.Get("k", {.consistency = Consistency::kStale, .min_revision = 9});
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectHeader(result->header);
  ASSERT_TRUE(result->kv.has_value());
  ExpectKeyValue(*result->kv);
  EXPECT_EQ(member_.kv.get.last_request.key(), "k");
  EXPECT_EQ(member_.kv.get.last_request.consistency(), v1::CONSISTENCY_STALE);
  EXPECT_EQ(member_.kv.get.last_request.min_revision(), 9);
}

TEST_F(ClientTest, AMissingKeyIsNoError) {
  const auto result = client_.Get("k");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->kv.has_value());
  EXPECT_EQ(member_.kv.get.last_request.consistency(), v1::CONSISTENCY_LINEARIZABLE);
}

TEST_F(ClientTest, PutCarriesAllFields) {
  member_.kv.put.answer = [](const v1::PutRequest&, v1::PutResponse* response) {
    FillHeader(response->mutable_header());
    FillKeyValue(response->mutable_previous());
    response->set_mod_revision(10);
    return grpc::Status::OK;
  };
  const auto result = client_.Put(
      "k", "v",
      {.ttl = absl::Milliseconds(1250), .precondition = ModRevisionIs{7}, .return_previous = true});
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectHeader(result->header);
  ExpectKeyValue(*result->previous);
  EXPECT_EQ(result->mod_revision, 10);
  const v1::PutRequest& request = member_.kv.put.last_request;
  EXPECT_EQ(request.data(), "v");
  EXPECT_EQ(request.ttl().seconds(), 1);
  EXPECT_EQ(request.ttl().nanos(), 250'000'000);
  EXPECT_EQ(request.precondition().mod_revision(), 7);
  EXPECT_TRUE(request.return_previous());
}

TEST_F(ClientTest, APlainPutSetsAnEmptyValueAndNoExpiry) {
  ASSERT_TRUE(client_.Put("k", "").ok());
  const v1::PutRequest& request = member_.kv.put.last_request;
  EXPECT_EQ(request.value_case(), v1::PutRequest::kData);
  EXPECT_EQ(request.expiry_case(), v1::PutRequest::EXPIRY_NOT_SET);
  EXPECT_FALSE(request.has_precondition());
  ASSERT_TRUE(client_.Put("k", "", {.keep_ttl = true}).ok());
  EXPECT_TRUE(member_.kv.put.last_request.keep_ttl());
}

TEST_F(ClientTest, EachPreconditionArrivesAsItself) {
  ASSERT_TRUE(client_.Delete("k", {.precondition = KeyExists{false}}).ok());
  EXPECT_TRUE(member_.kv.del.last_request.precondition().has_exists());
  EXPECT_FALSE(member_.kv.del.last_request.precondition().exists());
  ASSERT_TRUE(client_.Delete("k", {.precondition = VersionIs{3}}).ok());
  EXPECT_EQ(member_.kv.del.last_request.precondition().version(), 3);
  ASSERT_TRUE(client_.Delete("k", {.precondition = ValueIs{"\xff"}}).ok());
  EXPECT_EQ(member_.kv.del.last_request.precondition().data(), "\xff");
}

TEST_F(ClientTest, DeleteTellsWhetherTheKeyWasThere) {
  EXPECT_FALSE(client_.Delete("k")->deleted);
  member_.kv.del.answer = [](const v1::DeleteRequest&, v1::DeleteResponse* response) {
    response->set_deleted(true);
    FillKeyValue(response->mutable_previous());
    return grpc::Status::OK;
  };
  const auto result = client_.Delete("k", {.return_previous = true});
  EXPECT_TRUE(result->deleted);
  ExpectKeyValue(*result->previous);
}

TEST_F(ClientTest, DeleteRangeCarriesRangeAndLimit) {
  member_.kv.delete_range.answer = [](const v1::DeleteRangeRequest&,
                                      v1::DeleteRangeResponse* response) {
    response->set_deleted(2);
    response->set_more(true);
    FillKeyValue(response->add_previous());
    return grpc::Status::OK;
  };
  const auto result = client_.DeleteRange(Span{"a", "b"}, {.limit = 2, .return_previous = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->deleted, 2);
  EXPECT_TRUE(result->more);
  ExpectKeyValue(result->previous.at(0));
  const v1::DeleteRangeRequest& request = member_.kv.delete_range.last_request;
  EXPECT_EQ(request.range().span().start_key(), "a");
  EXPECT_EQ(request.range().span().end_key(), "b");
  EXPECT_EQ(request.limit(), 2);
  EXPECT_TRUE(request.return_previous());
}

TEST_F(ClientTest, ListAllGoesThroughEveryPage) {
  member_.kv.list.answer = [](const v1::ListRequest& request, v1::ListResponse* response) {
    const std::string& token = request.page_token();
    response->add_kvs()->set_key(absl::StrCat("after ", token));
    response->set_count(1);
    response->set_next_page_token(token.empty() ? "1" : token == "1" ? "2" : "");
    return grpc::Status::OK;
  };
  std::vector<std::string> keys;
  const absl::Status status =
      client_.ListAll(Prefix{"p"}, {.page_size = 1, .keys_only = true, .descending = true},
                      [&](const ListResult& page) {
                        keys.push_back(page.kvs.at(0).key);
                        return true;
                      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(keys, (std::vector<std::string>{"after ", "after 1", "after 2"}));
  const v1::ListRequest& request = member_.kv.list.last_request;
  EXPECT_EQ(request.range().prefix(), "p");
  EXPECT_EQ(request.page_size(), 1);
  EXPECT_TRUE(request.keys_only());
  EXPECT_TRUE(request.descending());
}

TEST_F(ClientTest, ListAllStopsWhenToldTo) {
  member_.kv.list.answer = [](const v1::ListRequest&, v1::ListResponse* response) {
    response->set_next_page_token("more");
    return grpc::Status::OK;
  };
  EXPECT_TRUE(client_.ListAll(SingleKey{"k"}, {}, [](const ListResult&) { return false; }).ok());
  EXPECT_EQ(member_.kv.list.calls, 1);
}

TEST_F(ClientTest, ATransferNamesItsTargetIfAny) {
  const auto moved = client_.TransferLeadership("n2");
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->header.leader_id, 2u);
  EXPECT_EQ(member_.cluster.transfer.name(), "n2");
  ASSERT_TRUE(client_.TransferLeadership().ok());
  EXPECT_EQ(member_.cluster.transfer.target_case(), v1::TransferLeadershipRequest::TARGET_NOT_SET);
}

TEST_F(ClientTest, MembersAndStatusCarryAllFields) {
  v1::Member* member = member_.cluster.members.add_members();
  member->set_id(1);
  member->set_name("n1");
  member->set_peer_address("p:1");
  member->set_client_address("c:1");
  member->set_role(v1::MEMBER_ROLE_LEARNER);
  member->set_is_leader(true);
  member->set_version("9.9");
  member->set_priority(7);
  const auto members = client_.ListMembers({.consistency = Consistency::kStale});
  ASSERT_TRUE(members.ok()) << members.status();
  EXPECT_FALSE(member_.cluster.linearizable);
  EXPECT_EQ(members->members.at(0).id, 1u);
  EXPECT_EQ(members->members.at(0).name, "n1");
  EXPECT_EQ(members->members.at(0).peer_address, "p:1");
  EXPECT_EQ(members->members.at(0).client_address, "c:1");
  EXPECT_EQ(members->members.at(0).role, MemberRole::kLearner);
  EXPECT_TRUE(members->members.at(0).is_leader);
  EXPECT_EQ(members->members.at(0).version, "9.9");
  EXPECT_EQ(members->members.at(0).priority, 7u);

  member_.cluster.status.set_name("n1");
  member_.cluster.status.set_raft_state(v1::RAFT_STATE_PRE_CANDIDATE);
  member_.cluster.status.set_role(v1::MEMBER_ROLE_VOTER);
  member_.cluster.status.set_last_index(3);
  member_.cluster.status.set_commit_index(2);
  member_.cluster.status.set_applied_index(1);
  member_.cluster.status.set_key_count(4);
  member_.cluster.status.set_disk_bytes(5);
  v1::MemoryUse* const memory = member_.cluster.status.mutable_memory();
  memory->set_planned_bytes(11);
  memory->set_resident_bytes(12);
  memory->set_cached_block_bytes(13);
  memory->set_write_buffer_bytes(14);
  memory->set_log_bytes(15);
  memory->set_unsent_answer_bytes(16);
  member_.cluster.status.mutable_uptime()->set_seconds(6);
  member_.cluster.status.add_warnings("hot");
  const auto status = client_.GetStatus(member_.address);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->name, "n1");
  EXPECT_EQ(status->raft_state, RaftState::kPreCandidate);
  EXPECT_EQ(status->role, MemberRole::kVoter);
  EXPECT_EQ(status->last_index, 3u);
  EXPECT_EQ(status->commit_index, 2u);
  EXPECT_EQ(status->applied_index, 1u);
  EXPECT_EQ(status->key_count, 4);
  EXPECT_EQ(status->disk_bytes, 5);
  EXPECT_EQ(status->memory.planned_bytes, 11);
  EXPECT_EQ(status->memory.resident_bytes, 12);
  EXPECT_EQ(status->memory.cached_block_bytes, 13);
  EXPECT_EQ(status->memory.write_buffer_bytes, 14);
  EXPECT_EQ(status->memory.log_bytes, 15);
  EXPECT_EQ(status->memory.unsent_answer_bytes, 16);
  EXPECT_EQ(status->uptime, absl::Seconds(6));
  EXPECT_EQ(status->warnings, std::vector<std::string>{"hot"});
}

TEST_F(ClientTest, AStatusTellsOfRequestsAndPeers) {
  v1::RequestStats* requests = member_.cluster.status.mutable_requests();
  requests->mutable_window()->set_seconds(5);
  requests->mutable_reads()->set_count(21);
  requests->mutable_writes()->mutable_p50()->set_nanos(22);
  requests->mutable_failed()->set_count(23);
  requests->mutable_syncs()->mutable_p99()->set_nanos(24);
  v1::PeerStatus* peer = member_.cluster.status.add_peers();
  peer->set_id(31);
  peer->mutable_unreachable_for()->set_seconds(32);
  peer->set_match_index(33);
  member_.cluster.status.add_peers()->set_reachable(true);
  const auto status = client_.GetStatus(member_.address);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->requests.window, absl::Seconds(5));
  EXPECT_EQ(status->requests.reads.count, 21);
  EXPECT_EQ(status->requests.writes.p50, absl::Nanoseconds(22));
  EXPECT_EQ(status->requests.failed.count, 23);
  EXPECT_EQ(status->requests.syncs.p99, absl::Nanoseconds(24));
  ASSERT_EQ(status->peers.size(), 2u);
  EXPECT_EQ(status->peers[0].id, 31u);
  EXPECT_FALSE(status->peers[0].reachable);
  EXPECT_EQ(status->peers[0].unreachable_for, absl::Seconds(32));
  EXPECT_EQ(status->peers[0].match_index, 33u);
  EXPECT_TRUE(status->peers[1].reachable);
}

TEST_F(ClientTest, AHashIsAskedOfOneMember) {
  member_.maintenance.answer.mutable_header()->set_member_id(1);
  member_.maintenance.answer.set_index(12);
  member_.maintenance.answer.set_state_hash(uint64_t{1} << 63);
  member_.maintenance.answer.set_revision(5);
  member_.maintenance.answer.set_key_count(4);
  member_.maintenance.answer.set_scanned(true);
  const auto hash = client_.VerifyHash(member_.address, {.index = 11, .scan = true});
  ASSERT_TRUE(hash.ok()) << hash.status();
  EXPECT_EQ(member_.maintenance.last_request.index(), 11u);
  EXPECT_TRUE(member_.maintenance.last_request.scan());
  EXPECT_EQ(hash->header.member_id, 1u);
  EXPECT_EQ(hash->index, 12u);
  EXPECT_EQ(hash->state_hash, uint64_t{1} << 63);
  EXPECT_EQ(hash->revision, 5);
  EXPECT_EQ(hash->key_count, 4);
  EXPECT_TRUE(hash->scanned);
}

TEST_F(ClientTest, HealthIsALinearizableRead) {
  const auto took = client_.CheckHealth(member_.address);
  ASSERT_TRUE(took.ok()) << took.status();
  EXPECT_GT(took->took, absl::ZeroDuration());
  EXPECT_TRUE(member_.cluster.linearizable);
  EXPECT_FALSE(client_.CheckHealth(DeadAddress()).ok());
}

TEST_F(ClientTest, ErrorsCarryCodeMessageReasonAndMetadata) {
  member_.kv.put.answer = [](const v1::PutRequest&, v1::PutResponse*) {
    return Failure(grpc::INVALID_ARGUMENT, "VALUE_TOO_LARGE", "value has 18 bytes");
  };
  const absl::Status status = client_.Put("k", "v").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "value has 18 bytes");
  EXPECT_EQ(ErrorReason(status), "VALUE_TOO_LARGE");
  const std::optional<ErrorDetails> details = GetErrorDetails(status);
  ASSERT_TRUE(details.has_value());
  EXPECT_EQ(details->domain, kServerErrorDomain);
  EXPECT_EQ(details->metadata.at("limit"), "17");
  EXPECT_FALSE(IsOutcomeUnknown(status));
}

TEST_F(ClientTest, DetailsThatDoNotParseAddNothing) {
  member_.kv.get.answer = [](const v1::GetRequest&, v1::GetResponse*) {
    return grpc::Status(grpc::NOT_FOUND, "odd", "\xff\xff not a google.rpc.Status");
  };
  const absl::Status status = client_.Get("k").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(ErrorReason(status), "");
}

TEST_F(ClientTest, AWriteGoesToTheEndpointThatAnswers) {
  Client client = Connect({DeadAddress(), member_.address});
  const auto result = client.Put("k", "v");
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(member_.kv.put.calls, 1);
}

TEST_F(ClientTest, NobodyThereIsSaidWithTheAddressAndTheCause) {
  const std::string dead = DeadAddress();
  const absl::Status status = Connect({dead}).Put("k", "v").status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(ErrorReason(status), kReasonCannotConnect);
  EXPECT_FALSE(IsOutcomeUnknown(status));
  EXPECT_EQ(status.message(), absl::StrCat("cannot connect to ", dead, " (Connection refused)"));
}

TEST_F(ClientTest, AWriteIsSentOnceWhenItsFateIsOpenAndAgainWhenItIsNot) {
  FakeMember other;
  Client client = Connect({member_.address, other.address}, /*exactly_once=*/false);
  member_.kv.put.answer = [](const v1::PutRequest&, v1::PutResponse*) {
    return grpc::Status(grpc::UNAVAILABLE, "connection reset");
  };
  EXPECT_TRUE(IsOutcomeUnknown(client.Put("k", "v").status()));
  EXPECT_EQ(member_.kv.put.calls, 1);
  EXPECT_EQ(other.kv.put.calls, 0);

  other.kv.put.answer = [](const v1::PutRequest&, v1::PutResponse*) {
    return Failure(grpc::UNAVAILABLE, "NO_LEADER", "no leader");
  };
  member_.kv.put.answer = nullptr;
  EXPECT_TRUE(client.Put("k", "v").ok());
  EXPECT_EQ(other.kv.put.calls, 1);
  EXPECT_EQ(member_.kv.put.calls, 2);
}

TEST_F(ClientTest, AReadOutlivesTheMemberItWasWith) {
  FakeMember other;
  Client client = Connect({other.address, member_.address});
  EXPECT_TRUE(client.Get("k").ok());
  EXPECT_EQ(other.kv.get.calls, 1);
  other.Stop();
  const auto result = client.Get("k");
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(member_.kv.get.calls, 1);
}

TEST_F(ClientTest, TakesTheLargestAnswers) {
  const std::string large(size_t{7} << 20, 'x');
  member_.kv.get.answer = [&](const v1::GetRequest&, v1::GetResponse* response) {
    response->mutable_kv()->set_data(large);
    return grpc::Status::OK;
  };
  const auto result = client_.Get("k");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->kv->value.size(), large.size());
}

TEST(ClientCreateTest, RefusesOptionsOutOfRange) {
  EXPECT_FALSE(Client::Create({.endpoints = {}}).ok());
  EXPECT_FALSE(Client::Create({.endpoints = {"localhost"}}).ok());
  EXPECT_FALSE(Client::Create({.request_timeout = absl::ZeroDuration()}).ok());
  EXPECT_FALSE(Client::Create({.request_timeout = absl::InfiniteDuration()}).ok());
  EXPECT_FALSE(Client::Create({.connect_timeout = -absl::Seconds(1)}).ok());
  EXPECT_FALSE(Client::Create({.tries_per_endpoint_max = 0}).ok());
  EXPECT_FALSE(Client::Create({.backoff_initial = absl::Seconds(2)}).ok());
  EXPECT_TRUE(Client::Create({}).ok());
}

// Takes connections and says nothing, as a host that drops packets.
class SilentPort {
 public:
  SilentPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size), 0);
    address = absl::StrCat("127.0.0.1:", ntohs(name.sin_port));
  }
  ~SilentPort() { close(fd_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  std::string address;

 private:
  int fd_;
};

// Drops packets even of those who want to connect: its queue of connections is full.
class FullPort {
 public:
  FullPort() {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(fds_[0], reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(fds_[0], 0), 0);
    EXPECT_EQ(getsockname(fds_[0], reinterpret_cast<sockaddr*>(&name), &size), 0);
    // A queue of length 0 holds one connection, and only once that is in it is the next one
    // dropped: one that comes meanwhile is answered, and reset later.
    fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fds_[1], reinterpret_cast<sockaddr*>(&name), size), 0);
    pollfd queue = {.fd = fds_[0], .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&queue, 1, /*timeout=*/-1), 1);
    address = absl::StrCat("127.0.0.1:", ntohs(name.sin_port));
  }
  ~FullPort() {
    for (const int fd : fds_) {
      close(fd);
    }
  }
  FullPort(const FullPort&) = delete;
  FullPort& operator=(const FullPort&) = delete;

  std::string address;

 private:
  std::vector<int> fds_;
};

TEST(AddressesTest, AHostThatDropsPacketsIsSaidToGiveNoAnswer) {
  const FullPort nobody;
  const std::unique_ptr<client::Stub> stub = client::MakeGrpcStub(nobody.address);
  const absl::Status status = stub->Connect(ClientOptions().request_timeout);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(ErrorReason(status), kReasonCannotConnect);
  // On a busy machine the question why comes to its own deadline first.
  EXPECT_THAT(std::string(status.message()), testing::AnyOf("no answer within 1.25s", "no answer"));
}

TEST(AddressesTest, ANameWithThreeDeadAddressesIsReachedAtItsFourthInACommandsTime) {
  const SilentPort first;
  const SilentPort second;
  const SilentPort third;
  const FakeMember member;
  // gRPC's way to write what a resolver finds.
  const std::unique_ptr<client::Stub> stub = client::MakeGrpcStub(absl::StrCat(
      "ipv4:", first.address, ",", second.address, ",", third.address, ",", member.address));
  const absl::Status connected = stub->Connect(ClientOptions().request_timeout);
  EXPECT_TRUE(connected.ok()) << connected;
}

}  // namespace
}  // namespace raftkv
