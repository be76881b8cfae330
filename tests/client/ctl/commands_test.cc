#include "client/ctl/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>

#include "client/connection.h"
#include "client/error_payload.h"
#include "client/errors.h"
#include "google/rpc/error_details.pb.h"

namespace raftkv::ctl {
namespace {

using ::testing::_;
using ::testing::AllOf;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Return;
using ::testing::StartsWith;
using ::testing::StrictMock;

class MockConnection : public Connection {
 public:
  MOCK_METHOD(absl::StatusOr<GetResult>, Get, (absl::string_view, const GetOptions&), (override));
  MOCK_METHOD(absl::StatusOr<PutResult>, Put,
              (absl::string_view, absl::string_view, const PutOptions&), (override));
  MOCK_METHOD(absl::StatusOr<DeleteResult>, Delete, (absl::string_view, const DeleteOptions&),
              (override));
  MOCK_METHOD(absl::StatusOr<DeleteRangeResult>, DeleteRange,
              (const KeyRange&, const DeleteRangeOptions&), (override));
  MOCK_METHOD(absl::StatusOr<TouchResult>, Touch, (absl::string_view, const TouchOptions&),
              (override));
  MOCK_METHOD(absl::StatusOr<IncrementResult>, Increment,
              (absl::string_view, const IncrementOptions&), (override));
  MOCK_METHOD(absl::StatusOr<TxnResult>, Run, (const Txn&, const TxnOptions&), (override));
  MOCK_METHOD(absl::StatusOr<ListResult>, List, (const KeyRange&, const ListOptions&), (override));
  MOCK_METHOD(absl::StatusOr<ListMembersResult>, ListMembers, (const MemberOptions&), (override));
  MOCK_METHOD(absl::StatusOr<ChangeMemberResult>, AddMember,
              (absl::string_view, absl::string_view, const AddMemberOptions&), (override));
  MOCK_METHOD(absl::StatusOr<RemoveMemberResult>, RemoveMember,
              (const MemberTarget&, const ChangeMemberOptions&), (override));
  MOCK_METHOD(absl::StatusOr<ChangeMemberResult>, PromoteMember,
              (const MemberTarget&, const ChangeMemberOptions&), (override));
  MOCK_METHOD(absl::StatusOr<ChangeMemberResult>, UpdateMember,
              (const MemberTarget&, absl::string_view, const ChangeMemberOptions&), (override));
  MOCK_METHOD(absl::StatusOr<TransferLeadershipResult>, TransferLeadership,
              (absl::string_view, const TransferLeadershipOptions&), (override));
  MOCK_METHOD(absl::StatusOr<MemberStatus>, GetStatus, (absl::string_view, const MemberOptions&),
              (override));
  MOCK_METHOD(absl::StatusOr<VerifyHashResult>, VerifyHash,
              (absl::string_view, const VerifyHashOptions&), (override));
  MOCK_METHOD(absl::StatusOr<BackupResult>, Backup,
              (absl::string_view, const BackupOptions&, const BackupSink&), (override));
  MOCK_METHOD(absl::Status, Scan,
              (const KeyRange&, const ScanOptions&, const std::function<bool(const ScanChunk&)>&),
              (override));
  MOCK_METHOD(absl::Status, Watch,
              (const std::vector<KeyRange>&, const WatchOptions&,
               const std::function<bool(const WatchUpdate&)>&),
              (override));
  MOCK_METHOD(absl::StatusOr<std::unique_ptr<BulkWriter>>, NewBulkWriter,
              (const BulkWriterOptions&), (override));
  MOCK_METHOD(absl::StatusOr<CompactResult>, Compact, (int64_t, const CompactOptions&), (override));
  MOCK_METHOD(absl::StatusOr<GrantLeaseResult>, GrantLease,
              (absl::Duration, const GrantLeaseOptions&), (override));
  MOCK_METHOD(absl::StatusOr<RenewLeaseResult>, RenewLease, (int64_t, const RenewLeaseOptions&),
              (override));
  MOCK_METHOD(absl::StatusOr<RevokeLeaseResult>, RevokeLease, (int64_t, const RevokeLeaseOptions&),
              (override));
  MOCK_METHOD(absl::StatusOr<GetLeaseResult>, GetLease, (int64_t, const GetLeaseOptions&),
              (override));
  MOCK_METHOD(absl::StatusOr<ListLeasesResult>, ListLeases, (const ListLeasesOptions&), (override));
  MOCK_METHOD(absl::StatusOr<HealthResult>, CheckHealth, (absl::string_view, const MemberOptions&),
              (override));
};

absl::Status ServerError() {
  return client::WithReason(absl::UnavailableError("no leader"), kReasonNoLeader,
                            kServerErrorDomain);
}

// A refusal of more than `limit` keys at once.
absl::Status RangeTooLarge(int limit) {
  google::rpc::ErrorInfo info;
  info.set_reason("RANGE_TOO_LARGE");
  info.set_domain(kServerErrorDomain);
  (*info.mutable_metadata())["limit"] = std::to_string(limit);
  absl::Status status = absl::InvalidArgumentError("too many");
  status.SetPayload(client::kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

class CommandsTest : public ::testing::Test {
 protected:
  ExitCode RunIt(Command command, OutputFormat format = OutputFormat::kSimple) {
    const Invocation invocation{.global = {.endpoints = {"a:1", "b:1"},
                                           .format = format,
                                           .command_timeout = absl::Seconds(5)},
                                .command = std::move(command)};
    Client client(connection_);
    return RunCommand(invocation, client, Terminal{.in = in_, .out = out_, .err = err_});
  }

  std::shared_ptr<StrictMock<MockConnection>> connection_ =
      std::make_shared<StrictMock<MockConnection>>();
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

// Keeps what it is given, and refuses the key "bad".
class FakeWriter final : public BulkWriter {
 public:
  FakeWriter(BulkWriterOptions options, std::vector<KeyValue>* written)
      : options_(std::move(options)), written_(*written) {}

  absl::Status Put(absl::string_view key, absl::string_view value,
                   std::optional<absl::Duration> ttl) override {
    const uint64_t number = counts_.added++;
    if (key == "bad") {
      failure_ = ServerError();
      ++counts_.failed;
      options_.on_error({.number = number, .key = std::string(key), .status = failure_});
      return absl::OkStatus();
    }
    ++counts_.done;
    written_.push_back(
        {.key = std::string(key), .value = std::string(value), .ttl_remaining = ttl});
    return absl::OkStatus();
  }
  absl::Status Delete(absl::string_view /*key*/) override {
    return absl::UnimplementedError("a load deletes nothing");
  }
  absl::Status Flush() override { return failure_; }
  BulkCounts counts() const override { return counts_; }

 private:
  const BulkWriterOptions options_;
  std::vector<KeyValue>& written_;
  BulkCounts counts_;
  absl::Status failure_;
};

// Chunks of three, keys k0, k1, ... up to `total`.
auto Chunks(int total) {
  return [total](const KeyRange&, const ScanOptions& options,
                 const std::function<bool(const ScanChunk&)>& visit) {
    const int wanted = options.limit == 0 ? total : std::min<int>(total, options.limit);
    int next = 0;
    do {
      ScanChunk chunk;
      for (; next < wanted && chunk.kvs.size() < 3; ++next) {
        chunk.kvs.push_back(KeyValue{.key = "k" + std::to_string(next), .value = "v"});
      }
      if (!visit(chunk)) {
        break;
      }
    } while (next < wanted);
    return absl::OkStatus();
  };
}

TEST_F(CommandsTest, PutWritesTheValue) {
  EXPECT_CALL(*connection_, Put(absl::string_view("k"), absl::string_view("v"), _))
      .WillOnce([](absl::string_view, absl::string_view, const PutOptions& options) {
        EXPECT_EQ(options.ttl, absl::Seconds(5));
        return PutResult();
      });
  EXPECT_EQ(RunIt(PutCommand{.key = "k", .value = "v", .ttl = absl::Seconds(5)}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "OK\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandsTest, LeasesArePrinted) {
  const Lease lease{.id = 7, .ttl = absl::Seconds(60), .ttl_remaining = absl::Seconds(59)};
  EXPECT_CALL(*connection_, GrantLease(absl::Seconds(60), _))
      .WillOnce(Return(GrantLeaseResult{.header = {}, .lease = lease}));
  EXPECT_EQ(RunIt(LeaseGrantCommand{.ttl = absl::Seconds(60)}), ExitCode::kOk);
  // Keys come page by page.
  EXPECT_CALL(*connection_, GetLease(7, Field(&GetLeaseOptions::after_key, "")))
      .WillOnce(Return(
          GetLeaseResult{.header = {}, .lease = lease, .keys = {"a", "b"}, .more_keys = true}));
  EXPECT_CALL(*connection_, GetLease(7, Field(&GetLeaseOptions::after_key, "b")))
      .WillOnce(Return(GetLeaseResult{.header = {}, .lease = lease, .keys = {"c"}}));
  EXPECT_EQ(RunIt(LeaseGetCommand{.id = 7, .keys = true}), ExitCode::kOk);
  EXPECT_CALL(*connection_, ListLeases(Field(&ListLeasesOptions::after_id, 0)))
      .WillOnce(Return(ListLeasesResult{.header = {}, .leases = {lease}, .more = true}));
  EXPECT_CALL(*connection_, ListLeases(Field(&ListLeasesOptions::after_id, 7)))
      .WillOnce(Return(ListLeasesResult{.header = {}, .leases = {}, .more = false}));
  EXPECT_EQ(RunIt(LeaseListCommand{}), ExitCode::kOk);
  EXPECT_CALL(*connection_, RevokeLease(7, _))
      .WillOnce(Return(RevokeLeaseResult{.header = {}, .deleted = 3}));
  EXPECT_EQ(RunIt(LeaseRevokeCommand{.id = 7}), ExitCode::kOk);
  EXPECT_EQ(out_.str(),
            "lease 7 granted for 59s\n"
            "lease 7 ttl 1m remaining 59s\na\nb\nc\n"
            "lease 7 ttl 1m remaining 59s\n"
            "lease 7 revoked, with 3 keys\n");
}

TEST_F(CommandsTest, KeepAliveEndsWithTheLease) {
  EXPECT_CALL(*connection_, RenewLease(7, _))
      .WillOnce(Return(RenewLeaseResult{
          .header = {}, .lease = {.id = 7, .ttl = absl::Milliseconds(3), .ttl_remaining = {}}}))
      .WillOnce(Return(client::WithReason(absl::NotFoundError("there is no lease 7"),
                                          "LEASE_NOT_FOUND", kServerErrorDomain)));
  EXPECT_EQ(RunIt(LeaseKeepAliveCommand{.id = 7}), ExitCode::kServerError);
  EXPECT_THAT(err_.str(), HasSubstr("LEASE_NOT_FOUND"));
}

TEST_F(CommandsTest, PutReadsStdinToItsLastByte) {
  const std::string bytes("line\n\0 \xff\n", 9);
  in_.str(bytes);
  EXPECT_CALL(*connection_, Put(absl::string_view("k"), absl::string_view(bytes), _))
      .WillOnce(Return(PutResult()));
  EXPECT_EQ(RunIt(PutCommand{.key = "k", .value = "-", .value_from_stdin = true}), ExitCode::kOk);
}

TEST_F(CommandsTest, GetPrintsKeyAndValue) {
  EXPECT_CALL(*connection_, Get(absl::string_view("k"), _))
      .WillOnce(Return(GetResult{.header = {}, .kv = KeyValue{.key = "k", .value = "v"}}));
  EXPECT_EQ(RunIt(GetCommand{.key = "k"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "k\nv\n");
}

TEST_F(CommandsTest, AMissingKeyPrintsNothingAndFailsOnlyWhenAsked) {
  EXPECT_CALL(*connection_, Get(_, _)).Times(2).WillRepeatedly(Return(GetResult()));
  EXPECT_EQ(RunIt(GetCommand{.key = "k"}), ExitCode::kOk);
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(RunIt(GetCommand{.key = "k", .fail_missing = true}), ExitCode::kError);
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(err_.str(), "Error: no key is called \"k\"\n");
}

TEST_F(CommandsTest, GetPassesItsConsistencyOn) {
  EXPECT_CALL(*connection_, Get(_, Field(&GetOptions::consistency, Consistency::kStale)))
      .WillOnce(Return(GetResult()));
  RunIt(GetCommand{.key = "k", .consistency = Consistency::kStale});
  EXPECT_CALL(*connection_, Scan(_, Field(&ScanOptions::consistency, Consistency::kStale), _))
      .WillOnce(Chunks(0));
  RunIt(GetCommand{.key = "k", .prefix = true, .consistency = Consistency::kStale});
}

TEST_F(CommandsTest, GetPassesItsRevisionAndStalenessOn) {
  EXPECT_CALL(*connection_, Get(_, AllOf(Field(&GetOptions::at_revision, 7),
                                         Field(&GetOptions::max_staleness, absl::Seconds(2)))))
      .WillOnce(Return(GetResult()));
  RunIt(GetCommand{.key = "k", .max_staleness = absl::Seconds(2), .revision = 7});
  EXPECT_CALL(*connection_, Scan(_,
                                 AllOf(Field(&ScanOptions::at_revision, 7),
                                       Field(&ScanOptions::max_staleness, absl::Seconds(2))),
                                 _))
      .WillOnce(Chunks(0));
  RunIt(GetCommand{.key = "k", .prefix = true, .max_staleness = absl::Seconds(2), .revision = 7});
}

TEST_F(CommandsTest, DiffPrintsWhatDiffersInTheOrderOfKeys) {
  const auto kv = [](const std::string& key, const std::string& value, int64_t revision) {
    return KeyValue{.key = key, .value = value, .mod_revision = revision};
  };
  // A page of one key, and then the others.
  const auto pages = [](std::vector<KeyValue> keys) {
    return [keys](const KeyRange& range, const ListOptions& options) {
      EXPECT_EQ(std::get<Prefix>(range).prefix, "p");
      ListResult result;
      if (options.page_token.empty()) {
        result.kvs = {keys.front()};
        result.next_page_token = "more";
      } else {
        result.kvs = {keys.begin() + 1, keys.end()};
      }
      return result;
    };
  };
  EXPECT_CALL(*connection_, List(_, Field(&ListOptions::at_revision, 3)))
      .WillRepeatedly(pages({kv("pa", "1", 1), kv("pb", "1", 1), kv("pc", "1", 2)}));
  EXPECT_CALL(*connection_, List(_, Field(&ListOptions::at_revision, 9)))
      .WillRepeatedly(pages({kv("pb", "2", 5), kv("pc", "1", 2), kv("pd", "4", 6)}));
  EXPECT_EQ(RunIt(DiffCommand{.from = 3, .to = 9, .prefix = "p"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "REMOVED\npa\n1\nCHANGED\npb\n1\n2\nADDED\npd\n4\n");
  out_.str("");
  RunIt(DiffCommand{.from = 9, .to = 3, .prefix = "p", .keys_only = true});
  EXPECT_EQ(out_.str(), "ADDED\npa\nCHANGED\npb\nREMOVED\npd\n");
  out_.str("");
  RunIt(DiffCommand{.from = 3, .to = 9, .prefix = "p"}, OutputFormat::kJson);
  EXPECT_THAT(out_.str(),
              AllOf(StartsWith(R"({"change":"REMOVED","before":{"key":"pa","value":"1",)"),
                    HasSubstr(R"({"change":"ADDED","after":{"key":"pd","value":"4",)")));
}

TEST_F(CommandsTest, DiffOfARevisionThatIsNotThereFails) {
  EXPECT_CALL(*connection_, List(_, _)).WillOnce(Return(ServerError()));
  EXPECT_EQ(RunIt(DiffCommand{.from = 3, .to = 9}), ExitCode::kServerError);
}

TEST_F(CommandsTest, GetByPrefixPrintsAll) {
  EXPECT_CALL(*connection_, Scan).WillOnce(Chunks(7));
  EXPECT_EQ(RunIt(GetCommand{.key = "k", .prefix = true, .keys_only = true}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "k0\nk1\nk2\nk3\nk4\nk5\nk6\n");
}

TEST_F(CommandsTest, GetByPrefixStopsAtTheLimit) {
  EXPECT_CALL(*connection_, Scan).WillOnce(Chunks(7));
  EXPECT_EQ(RunIt(GetCommand{.key = "k", .prefix = true, .keys_only = true, .limit = 4}),
            ExitCode::kOk);
  EXPECT_EQ(out_.str(), "k0\nk1\nk2\nk3\n");
}

TEST_F(CommandsTest, GetByPrefixAsJsonIsOneDocument) {
  EXPECT_CALL(*connection_, Scan).WillOnce(Chunks(5));
  RunIt(GetCommand{.key = "k", .prefix = true}, OutputFormat::kJson);
  EXPECT_THAT(out_.str(),
              AllOf(StartsWith("{\"header\""), HasSubstr("\"k4\""), HasSubstr("\"count\":5}\n")));
}

TEST_F(CommandsTest, DelPrintsTheCount) {
  EXPECT_CALL(*connection_, Delete(absl::string_view("k"), _))
      .WillOnce(Return(DeleteResult()))
      .WillOnce(Return(DeleteResult{.header = {}, .deleted = true, .previous = std::nullopt}));
  EXPECT_CALL(*connection_, DeleteRange(_, _))
      .WillOnce([](const KeyRange& range, const DeleteRangeOptions&) {
        EXPECT_EQ(std::get<Prefix>(range).prefix, "k");
        return DeleteRangeResult{.header = {}, .deleted = 12, .previous = {}, .more = false};
      });
  RunIt(DeleteCommand{.key = "k"});
  RunIt(DeleteCommand{.key = "k"});
  RunIt(DeleteCommand{.key = "k", .prefix = true});
  EXPECT_EQ(out_.str(), "0\n1\n12\n");
}

DeleteRangeResult Deleted(int64_t deleted, bool more) {
  return {.header = {}, .deleted = deleted, .previous = {}, .more = more};
}

testing::Matcher<const DeleteRangeOptions&> Limit(int64_t limit) {
  return Field(&DeleteRangeOptions::limit, limit);
}

TEST_F(CommandsTest, DelOfMoreKeysThanARequestMayGoesByStepsAndSaysSo) {
  testing::InSequence in_order;
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(0))).WillOnce(Return(RangeTooLarge(1'000'000)));
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(10'000)))
      .WillOnce(Return(Deleted(10'000, true)))
      .WillOnce(Return(RangeTooLarge(300)));
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(300)))
      .WillOnce(Return(Deleted(300, true)))
      .WillOnce(Return(Deleted(7, false)));
  EXPECT_EQ(RunIt(DeleteCommand{.key = "k", .prefix = true}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "10307\n");
  EXPECT_EQ(err_.str(),
            "Too many keys for one request: deleting 10000 at a time, which is not atomic\n"
            "10000 deleted so far\n"
            "Too many keys for one request: deleting 300 at a time, which is not atomic\n"
            "10300 deleted so far\n");
}

TEST_F(CommandsTest, DelByStepsThatStopsTellsHowFarItCame) {
  testing::InSequence in_order;
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(0))).WillOnce(Return(RangeTooLarge(10)));
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(10)))
      .WillOnce(Return(Deleted(10, true)))
      .WillOnce(Return(ServerError()));
  EXPECT_EQ(RunIt(DeleteCommand{.key = "k", .prefix = true}), ExitCode::kServerError);
  EXPECT_EQ(out_.str(), "");
  EXPECT_THAT(err_.str(), HasSubstr("Stopped after 10 keys were deleted"));
}

TEST_F(CommandsTest, DelByStepsWhoseLastOutcomeIsUnknownSaysThatMoreMayBeGone) {
  testing::InSequence in_order;
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(0))).WillOnce(Return(RangeTooLarge(10)));
  EXPECT_CALL(*connection_, DeleteRange(_, Limit(10)))
      .WillOnce(Return(Deleted(10, true)))
      .WillOnce(Return(client::WithReason(absl::UnknownError("the connection broke"),
                                          kReasonOutcomeUnknown, kServerErrorDomain)));
  RunIt(DeleteCommand{.key = "k", .prefix = true});
  EXPECT_THAT(err_.str(), HasSubstr("Stopped after at least 10 keys were deleted; the same"));
}

TEST_F(CommandsTest, MoveLeaderNamesItsTargetAndSaysWhoLeads) {
  EXPECT_CALL(*connection_, TransferLeadership(absl::string_view("n2"), _))
      .WillOnce(Return(TransferLeadershipResult{.header = {.leader_id = 2}}));
  EXPECT_EQ(RunIt(MoveLeaderCommand{.name = "n2"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "member 2 leads\n");
}

TEST_F(CommandsTest, ErrorsGoToStderrWithTheirExitCode) {
  EXPECT_CALL(*connection_, ListMembers(_)).WillRepeatedly(Return(ServerError()));
  EXPECT_EQ(RunIt(MemberListCommand{}), ExitCode::kServerError);
  EXPECT_EQ(out_.str(), "");
  EXPECT_THAT(err_.str(),
              AllOf(StartsWith("Error: no leader (UNAVAILABLE/NO_LEADER, asked a:1,b:1); ")));
  err_.str("");
  EXPECT_EQ(RunIt(MemberListCommand{}, OutputFormat::kJson), ExitCode::kServerError);
  EXPECT_EQ(err_.str(),
            "{\"error\":{\"code\":\"UNAVAILABLE\",\"reason\":\"NO_LEADER\",\"message\":\"no "
            "leader\"}}\n");
}

TEST_F(CommandsTest, StatusAsksEveryEndpointAndReportsWhoFailed) {
  EXPECT_CALL(*connection_, GetStatus(absl::string_view("a:1"), _))
      .WillOnce(Return(client::WithReason(absl::UnavailableError("cannot connect to a:1 (refused)"),
                                          kReasonCannotConnect, kClientErrorDomain)));
  EXPECT_CALL(*connection_, GetStatus(absl::string_view("b:1"), _))
      .WillOnce(Return(MemberStatus()));
  EXPECT_EQ(RunIt(EndpointStatusCommand{}), ExitCode::kCannotConnect);
  EXPECT_THAT(out_.str(), StartsWith("b:1, "));
  EXPECT_THAT(err_.str(), StartsWith("Error: cannot connect to a:1 (refused); "));
}

TEST_F(CommandsTest, HealthOfTheClusterAsksThePublishedAddresses) {
  EXPECT_CALL(*connection_, ListMembers(Field(&MemberOptions::consistency, Consistency::kStale)))
      .WillOnce(Return(ListMembersResult{.members = {Member{.id = 1, .client_address = "c:1"}}}));
  EXPECT_CALL(*connection_, CheckHealth(absl::string_view("c:1"), _))
      .WillOnce(Return(HealthResult{.took = absl::Milliseconds(2)}));
  EXPECT_EQ(RunIt(EndpointHealthCommand{.cluster = true}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "c:1 is healthy: read index took = 2.0ms\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandsTest, AMemberThatCannotBeAskedIsUnhealthy) {
  EXPECT_CALL(*connection_, ListMembers(_))
      .Times(2)
      .WillRepeatedly(Return(ListMembersResult{.members = {Member{.id = 2, .name = "n2"}}}));
  EXPECT_EQ(RunIt(EndpointHealthCommand{.cluster = true}), ExitCode::kUnhealthy);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("n2"), HasSubstr("1 of 1 endpoints are unhealthy")));
  EXPECT_EQ(RunIt(EndpointStatusCommand{.cluster = true}), ExitCode::kError);
}

TEST_F(CommandsTest, OneUnhealthyEndpointIsExit5) {
  EXPECT_CALL(*connection_, CheckHealth(absl::string_view("a:1"), _))
      .WillOnce(Return(HealthResult{.took = absl::Milliseconds(2)}));
  EXPECT_CALL(*connection_, CheckHealth(absl::string_view("b:1"), _))
      .WillOnce(Return(ServerError()));
  EXPECT_EQ(RunIt(EndpointHealthCommand{}), ExitCode::kUnhealthy);
  EXPECT_EQ(out_.str(), "a:1 is healthy: read index took = 2.0ms\nb:1 is unhealthy: no leader\n");
  EXPECT_THAT(err_.str(), HasSubstr("1 of 2 endpoints are unhealthy"));
}

TEST_F(CommandsTest, EndpointsOfTwoClustersAreExit5) {
  const auto of_cluster = [](uint64_t id) { return ResponseHeader{.cluster_id = id}; };
  EXPECT_CALL(*connection_, CheckHealth(absl::string_view("a:1"), _))
      .Times(2)
      .WillRepeatedly(Return(HealthResult{.header = of_cluster(7)}));
  EXPECT_CALL(*connection_, CheckHealth(absl::string_view("b:1"), _))
      .WillOnce(Return(HealthResult{.header = of_cluster(8)}))
      .WillOnce(Return(HealthResult{.header = of_cluster(7)}));
  EXPECT_EQ(RunIt(EndpointHealthCommand{}), ExitCode::kUnhealthy);
  EXPECT_THAT(err_.str(), StartsWith("Error: the endpoints are of 2 clusters: 7 (a:1), 8 (b:1);"));
  err_.str("");
  EXPECT_EQ(RunIt(EndpointHealthCommand{}), ExitCode::kOk);
  EXPECT_EQ(err_.str(), "");
}

absl::StatusOr<VerifyHashResult> HashAt(uint64_t index, uint64_t hash) {
  return VerifyHashResult{
      .header = {.cluster_id = 7, .member_id = 1}, .index = index, .state_hash = hash};
}

auto AtIndex(uint64_t index) { return Field(&VerifyHashOptions::index, index); }

auto Scans(bool scan) { return Field(&VerifyHashOptions::scan, scan); }

TEST_F(CommandsTest, HashesAreComparedAtTheNewestIndexOfAll) {
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("a:1"), AllOf(AtIndex(0), Scans(false))))
      .WillOnce(Return(HashAt(10, 1)));
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("b:1"), AllOf(AtIndex(0), Scans(false))))
      .WillOnce(Return(HashAt(12, 2)));
  for (const char* endpoint : {"a:1", "b:1"}) {
    EXPECT_CALL(*connection_,
                VerifyHash(absl::string_view(endpoint), AllOf(AtIndex(12), Scans(false))))
        .WillOnce(Return(HashAt(12, 2)));
    // Each scans what it has by then.
    EXPECT_CALL(*connection_,
                VerifyHash(absl::string_view(endpoint), AllOf(AtIndex(0), Scans(true))))
        .WillOnce(Return(HashAt(endpoint[0] == 'a' ? 13 : 14, 3)));
  }
  EXPECT_EQ(RunIt(EndpointHashCommand{.scan = true}), ExitCode::kOk);
  EXPECT_EQ(out_.str(),
            "a:1, 1, 13, 0, 0, 0000000000000003, false\nb:1, 1, 14, 0, 0, 0000000000000003, "
            "false\n");
  EXPECT_EQ(err_.str(), "All 2 endpoints that answered hold the same at index 12\n");
}

TEST_F(CommandsTest, WhoDidNotTellItsIndexIsNotCompared) {
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("a:1"), AtIndex(0)))
      .WillOnce(Return(absl::UnavailableError("gone")));
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("b:1"), AtIndex(0)))
      .WillOnce(Return(absl::UnavailableError("gone")));
  EXPECT_NE(RunIt(EndpointHashCommand{}), ExitCode::kUnhealthy);
}

TEST_F(CommandsTest, HashesThatDifferAreExit5) {
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("a:1"), _))
      .WillRepeatedly(Return(HashAt(12, 1)));
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("b:1"), _))
      .WillRepeatedly(Return(HashAt(12, 2)));
  EXPECT_EQ(RunIt(EndpointHashCommand{}), ExitCode::kUnhealthy);
  EXPECT_EQ(err_.str(),
            "Error: the endpoints do not hold the same at index 12; alike are a:1; b:1\n");
}

TEST_F(CommandsTest, AHashThatIsNotToldIsAnError) {
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("a:1"), _))
      .WillRepeatedly(Return(HashAt(12, 1)));
  EXPECT_CALL(*connection_, VerifyHash(absl::string_view("b:1"), _))
      .WillRepeatedly(
          Return(client::WithReason(absl::UnavailableError("cannot connect to b:1 (refused)"),
                                    kReasonCannotConnect, kClientErrorDomain)));
  EXPECT_EQ(RunIt(EndpointHashCommand{}), ExitCode::kCannotConnect);
  EXPECT_THAT(out_.str(), StartsWith("a:1, 1, 12, "));
  EXPECT_THAT(err_.str(), StartsWith("Error: cannot connect to b:1 (refused); "));
  EXPECT_EQ(err_.str().find("hold the same"), std::string::npos) << "one is not compared";
}

TEST_F(CommandsTest, StatusTellsClustersApartToo) {
  // A member that is not founded yet is of no cluster.
  for (const uint64_t second : {8, 7, 0}) {
    err_.str("");
    EXPECT_CALL(*connection_, GetStatus(absl::string_view("a:1"), _))
        .WillOnce(Return(MemberStatus{.header = {.cluster_id = 7}}));
    EXPECT_CALL(*connection_, GetStatus(absl::string_view("b:1"), _))
        .WillOnce(Return(MemberStatus{.header = {.cluster_id = second}}));
    const bool differ = second == 8;
    EXPECT_EQ(RunIt(EndpointStatusCommand{}), differ ? ExitCode::kUnhealthy : ExitCode::kOk);
    EXPECT_EQ(err_.str().empty(), !differ) << err_.str();
  }
}

TEST_F(CommandsTest, OutputThatCannotBeWrittenIsAnError) {
  out_.setstate(std::ios::badbit);
  EXPECT_EQ(RunIt(VersionCommand{}), ExitCode::kError);
  EXPECT_EQ(err_.str(), "Error: cannot write to stdout\n");
}

class LoadTest : public CommandsTest {
 protected:
  void SetUp() override {
    ON_CALL(*connection_, NewBulkWriter).WillByDefault([this](const BulkWriterOptions& options) {
      return std::make_unique<FakeWriter>(options, &written_);
    });
    EXPECT_CALL(*connection_, NewBulkWriter).Times(testing::AnyNumber());
  }
  ExitCode Load(const std::string& text, const std::string& format = "") {
    in_.str(text);
    in_.clear();
    return RunIt(ImportCommand{.file = "-", .format = format});
  }

  std::vector<KeyValue> written_;
};

TEST_F(LoadTest, ReadsBothFormats) {
  EXPECT_EQ(Load("{\"key\":\"a\",\"value\":\"1\"}\n\n"
                 "{\"key\":\"b\",\"value_base64\":\"/wA=\",\"ttl\":\"5s\"}\n"),
            ExitCode::kOk);
  EXPECT_EQ(Load("key,value,ttl\nc,\"x,\n\"\"y\"\"\",\nd,,300ms\n", "csv"), ExitCode::kOk);
  ASSERT_EQ(written_.size(), 4u);
  EXPECT_EQ(written_[0].value, "1");
  EXPECT_EQ(written_[1].value, std::string("\xff\0", 2));
  EXPECT_EQ(written_[1].ttl_remaining, absl::Seconds(5));
  EXPECT_EQ(written_[2].value, "x,\n\"y\"");
  EXPECT_EQ(written_[3].ttl_remaining, absl::Milliseconds(300));
  EXPECT_EQ(out_.str(), "2\n2\n");
}

TEST_F(LoadTest, ABadLineOfAStreamIsNamedAndWhatIsBeforeItIsWritten) {
  EXPECT_EQ(Load("key,value\na,1\n\"b\nb\",2\nc\n", "csv"), ExitCode::kError);
  EXPECT_EQ(written_.size(), 2u);
  EXPECT_EQ(out_.str(), "2\n");
  EXPECT_THAT(err_.str(), HasSubstr("stdin:5: it has 1 fields, and the first line names 2"));
}

TEST_F(LoadTest, AFailedWriteEndsIt) {
  std::string text = "{\"key\":\"bad\",\"value\":\"\"}\n";
  for (int i = 0; i < 10; ++i) {
    text += "{\"key\":\"later\",\"value\":\"\"}\n";
  }
  EXPECT_EQ(Load(text), ExitCode::kServerError);
  EXPECT_EQ(written_.size(), 0u);
  EXPECT_EQ(out_.str(), "0\n");
  EXPECT_THAT(err_.str(), HasSubstr("stdin:1: key \"bad\": no leader"));
}

TEST_F(CommandsTest, DumpPrintsBothFormats) {
  const ScanChunk all{
      .kvs = {KeyValue{.key = "a,\"b\"", .value = "1"}, KeyValue{.key = "bytes", .value = "\xff"},
              KeyValue{.key = "mortal", .value = "", .ttl_remaining = absl::Seconds(1)},
              KeyValue{.key = "due", .ttl_remaining = absl::ZeroDuration()},
              KeyValue{.key = "lock", .value = "me", .lease_id = 7}}};
  EXPECT_CALL(*connection_, Scan)
      .Times(2)
      .WillRepeatedly([&all](const KeyRange&, const ScanOptions&,
                             const std::function<bool(const ScanChunk&)>& visit) {
        visit(all);
        return absl::OkStatus();
      });
  EXPECT_EQ(RunIt(ExportCommand{.format = "csv"}), ExitCode::kOk);
  EXPECT_THAT(err_.str(), HasSubstr("1 keys that hang on a lease are left out"));
  EXPECT_EQ(out_.str(),
            "key,value,value_base64,ttl\n\"a,\"\"b\"\"\",1,,\nbytes,,/w==,\nmortal,,,1000ms\n");
  out_.str("");
  EXPECT_EQ(RunIt(ExportCommand()), ExitCode::kOk);
  EXPECT_THAT(out_.str(), StartsWith("{\"key\":\"a,\\\"b\\\"\""));
}

}  // namespace
}  // namespace raftkv::ctl
