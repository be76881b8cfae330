#include "client/retrying_connection.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/convert.h"
#include "client/error_payload.h"
#include "client/errors.h"
#include "google/rpc/error_details.pb.h"

namespace raftkv::client {
namespace {

class ManualClock final : public SleepingClock {
 public:
  MonotonicNanos Now() const override { return now_; }
  void SleepFor(absl::Duration duration) override {
    pauses.push_back(duration);
    Advance(duration);
  }
  void Advance(absl::Duration duration) { now_ += absl::ToInt64Nanoseconds(duration); }

  std::vector<absl::Duration> pauses;

 private:
  MonotonicNanos now_ = 1'000;
};

// What one stream answers, and what ends it.
struct StreamScript {
  std::vector<v1::WatchResponse> answers;
  absl::Status end;
};
struct ScanScript {
  std::vector<v1::ScanResponse> answers;
  absl::Status end;
};

// Members that answer every RPC as scripted, OK once the script is used up, and a record of who was
// asked.
struct Script {
  std::map<std::string, std::deque<StreamScript>> streams = {};
  std::vector<v1::WatchRequest> watches = {};
  std::map<std::string, std::deque<ScanScript>> scans = {};
  std::vector<v1::ScanRequest> scanned = {};
  ManualClock* clock;
  std::map<std::string, absl::Status> connect;              // by address; absent: connected
  std::map<std::string, std::deque<absl::Status>> answers;  // by address
  std::map<std::string, absl::Duration> answer_takes;       // by address
  std::map<std::string, uint64_t> clusters;                 // by address; 0: none is known
  std::vector<std::string> stream;                          // messages of a stream, as bytes
  absl::Status stream_end;
  std::vector<std::string> asked;        // addresses of the RPCs made
  std::vector<absl::Duration> timeouts;  // of the RPCs made
  std::vector<absl::Duration> connect_timeouts;
  std::vector<std::string> request_ids;  // Of the Puts made.
};

absl::Status Refused() {
  return WithReason(absl::UnavailableError("Connection refused"), kReasonCannotConnect,
                    kClientErrorDomain);
}

class ScriptedStub final : public Stub {
 public:
  ScriptedStub(std::string address, Script* script)
      : address_(std::move(address)), script_(script) {}

  absl::Status Connect(absl::Duration timeout) override {
    script_->connect_timeouts.push_back(timeout);
    return script_->connect[address_];
  }
  absl::Status Call(const char* /*path*/, absl::Duration timeout,
                    const google::protobuf::Message& request,
                    google::protobuf::Message* response) override {
    if (const auto* put = dynamic_cast<const v1::PutRequest*>(&request)) {
      script_->request_ids.push_back(put->request_id());
    }
    script_->asked.push_back(address_);
    script_->timeouts.push_back(timeout);
    script_->clock->Advance(script_->answer_takes[address_]);
    std::deque<absl::Status>& answers = script_->answers[address_];
    if (!answers.empty()) {
      const absl::Status answer = answers.front();
      answers.pop_front();
      if (!answer.ok()) {
        return answer;
      }
    }
    // Every response has its header in field 1.
    v1::GetResponse header_only;
    header_only.mutable_header()->set_cluster_id(script_->clusters[address_]);
    EXPECT_TRUE(response->ParseFromString(header_only.SerializeAsString()));
    return absl::OkStatus();
  }
  absl::Status Stream(const char* /*path*/, absl::Duration silence_max,
                      const google::protobuf::Message& request, google::protobuf::Message* response,
                      absl::FunctionRef<bool()> on_response) override {
    script_->asked.push_back(address_);
    script_->timeouts.push_back(silence_max);
    script_->clock->Advance(script_->answer_takes[address_]);
    if (const auto* scan = dynamic_cast<const v1::ScanRequest*>(&request)) {
      script_->scanned.push_back(*scan);
      return Play(&script_->scans[address_], response, on_response);
    }
    script_->watches.push_back(static_cast<const v1::WatchRequest&>(request));
    return Play(&script_->streams[address_], response, on_response);
  }

  template <typename Scripts>
  static absl::Status Play(Scripts* scripts, google::protobuf::Message* response,
                           absl::FunctionRef<bool()> on_response) {
    if (scripts->empty()) {
      return Refused();
    }
    const auto stream = std::move(scripts->front());
    scripts->pop_front();
    for (const auto& answer : stream.answers) {
      EXPECT_TRUE(response->ParseFromString(answer.SerializeAsString()));
      if (!on_response()) {
        return absl::OkStatus();
      }
    }
    return stream.end;
  }

  absl::Status ReadStream(const char* /*path*/, const google::protobuf::Message&,
                          google::protobuf::Message* response,
                          absl::FunctionRef<absl::Status()> on_message) override {
    script_->asked.push_back(address_);
    for (const std::string& message : script_->stream) {
      EXPECT_TRUE(response->ParseFromString(message));
      if (const absl::Status taken = on_message(); !taken.ok()) {
        return taken;
      }
    }
    return script_->stream_end;
  }

  // Not by this script: tests/client/bulk_writer_test.cc.
  std::unique_ptr<BidiCall> OpenBidi(const char* /*path*/,
                                     google::protobuf::Message* /*response*/) override {
    ADD_FAILURE() << "no call goes both ways";
    return nullptr;
  }

 private:
  const std::string address_;
  Script* const script_;
};

absl::Status Unavailable(const std::string& reason) {
  return WithReason(absl::UnavailableError("from the server"), reason, kServerErrorDomain);
}

absl::Status NoLeaderFor(int seconds) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(seconds);
  absl::Status status = Unavailable(kReasonNoLeader);
  status.SetPayload(kRetryInfoUrl, absl::Cord(retry.SerializeAsString()));
  return status;
}

class RetryingConnectionTest : public ::testing::Test {
 protected:
  RetryingConnection Connect(ClientOptions options) {
    return RetryingConnection(
        std::move(options),
        [this](const std::string& address) {
          return std::make_unique<ScriptedStub>(address, &script_);
        },
        clock_, /*jitter_seed=*/1);
  }
  RetryingConnection ConnectWithoutIds() {
    return Connect({.endpoints = {"a:1", "b:1"}, .exactly_once = false});
  }
  RetryingConnection ConnectToTwo() { return Connect({.endpoints = {"a:1", "b:1"}}); }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Script script_{.clock = clock_.get(),
                 .connect = {},
                 .answers = {},
                 .answer_takes = {},
                 .clusters = {},
                 .stream = {},
                 .stream_end = {},
                 .asked = {},
                 .timeouts = {},
                 .connect_timeouts = {},
                 .request_ids = {}};
};

using Asked = std::vector<std::string>;

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

v1::WatchResponse Told(int64_t revision, const std::vector<std::string>& keys, int64_t progress) {
  v1::WatchResponse response;
  for (const std::string& key : keys) {
    v1::Event* event = response.add_events();
    event->set_type(v1::EVENT_TYPE_PUT);
    event->mutable_kv()->set_key(key);
    event->mutable_kv()->set_mod_revision(revision);
  }
  response.set_progress_revision(progress);
  return response;
}

v1::WatchResponse StartsAt(int64_t revision) {
  v1::WatchResponse response;
  response.mutable_header()->set_revision(revision);
  return response;
}

class WatchConnectionTest : public RetryingConnectionTest {
 protected:
  // What the watch tells, as "revision key", until `count` events were told or it ends.
  absl::Status Watch(const WatchOptions& options, size_t count) {
    RetryingConnection connection = ConnectToTwo();
    return connection.Watch({Prefix{""}}, options, [&](const WatchUpdate& update) {
      begins_ += update.begins ? 1 : 0;
      for (const Event& event : update.events) {
        told_.push_back(std::to_string(event.kv.mod_revision) + " " + event.kv.key);
      }
      return told_.size() < count;
    });
  }

  std::vector<std::string> told_;
  int begins_ = 0;
};

TEST_F(WatchConnectionTest, GoesOnBehindWhatItKnowsAtTheNextEndpoint) {
  script_.streams["a:1"] = {
      {{StartsAt(6), Told(7, {"k"}, 7), Told(9, {"k"}, 9)}, Unavailable(kReasonShuttingDown)}};
  script_.streams["b:1"] = {{{StartsAt(9), Told(12, {"k"}, 12)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 3).ok());
  EXPECT_EQ(told_, (std::vector<std::string>{"7 k", "9 k", "12 k"}));
  ASSERT_EQ(script_.watches.size(), 2u);
  EXPECT_EQ(script_.watches[0].start_revision(), 0);
  EXPECT_EQ(script_.watches[1].start_revision(), 10);
  EXPECT_EQ(begins_, 2);
}

// Nothing happened yet, and what happens meanwhile must not be missed.
TEST_F(WatchConnectionTest, AStreamThatToldNothingFixesTheStart) {
  script_.streams["a:1"] = {{{StartsAt(6)}, Unavailable("")}};
  script_.streams["b:1"] = {{{StartsAt(6), Told(7, {"k"}, 7)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 1).ok());
  EXPECT_EQ(script_.watches.at(1).start_revision(), 7);
}

TEST_F(WatchConnectionTest, ARevisionThatWasToldInPartIsNotToldTwice) {
  script_.streams["a:1"] = {{{StartsAt(6), Told(7, {"a", "b"}, 6)}, Unavailable("")}};
  script_.streams["b:1"] = {{{StartsAt(6), Told(7, {"a", "b", "c"}, 7)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 3).ok());
  EXPECT_EQ(told_, (std::vector<std::string>{"7 a", "7 b", "7 c"}));
  EXPECT_EQ(script_.watches.at(1).start_revision(), 7);
}

TEST_F(WatchConnectionTest, AnInitialStateBeginsAnewUntilItIsComplete) {
  WatchOptions options;
  options.initial_state = true;
  v1::WatchResponse complete;
  complete.set_initial_complete(true);
  script_.streams["a:1"] = {{{StartsAt(6)}, Unavailable("")},
                            {{StartsAt(20), Told(21, {"k"}, 21)}, absl::OkStatus()}};
  script_.streams["b:1"] = {{{StartsAt(8), complete}, Unavailable("")}};
  EXPECT_TRUE(Watch(options, 1).ok());
  ASSERT_EQ(script_.watches.size(), 3u);
  EXPECT_TRUE(script_.watches[1].initial_state());
  EXPECT_EQ(script_.watches[1].start_revision(), 0);
  EXPECT_FALSE(script_.watches[2].initial_state());
  EXPECT_EQ(script_.watches[2].start_revision(), 9);
}

TEST_F(WatchConnectionTest, GoesOnAfterItWasGivenUpAsTooSlow) {
  const absl::Status given_up = absl::CancelledError("CANCELLED");
  script_.streams["a:1"] = {{{StartsAt(6), Told(7, {"k"}, 7)}, given_up}};
  script_.streams["b:1"] = {{{StartsAt(7), Told(9, {"k"}, 9)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 2).ok());
  EXPECT_EQ(script_.watches.at(1).start_revision(), 8);
}

// It would begin anew, time and again.
TEST_F(WatchConnectionTest, AnInitialStateThatIsTakenTooSlowlyEndsIt) {
  script_.streams["a:1"] = {{{StartsAt(6)}, absl::CancelledError("CANCELLED")}};
  WatchOptions options;
  options.initial_state = true;
  EXPECT_TRUE(absl::IsCancelled(Watch(options, 1)));
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
}

TEST_F(WatchConnectionTest, WhatCannotGoOnEndsIt) {
  script_.streams["a:1"] = {{{StartsAt(6)}, absl::OutOfRangeError("compacted")}};
  EXPECT_TRUE(absl::IsOutOfRange(Watch({}, 1)));
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
}

TEST_F(WatchConnectionTest, GivesUpAfterSomeRoundsInVain) {
  const absl::Status status = Watch({}, 1);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(script_.asked.size(), 16u);
  EXPECT_FALSE(clock_->pauses.empty());
}

v1::ScanResponse Chunk(int64_t revision, const std::vector<std::string>& keys) {
  v1::ScanResponse response;
  response.mutable_header()->set_revision(revision);
  for (const std::string& key : keys) {
    response.add_kvs()->set_key(key);
  }
  return response;
}

class ScanConnectionTest : public RetryingConnectionTest {
 protected:
  // Notes the keys of each chunk, and a "|" behind it, until it wants no more.
  absl::Status Scan(const KeyRange& range, const ScanOptions& options = {}, size_t chunks = 99) {
    RetryingConnection connection = ConnectToTwo();
    return connection.Scan(range, options, [&](const ScanChunk& chunk) {
      EXPECT_EQ(chunk.header.revision, 7);
      for (const KeyValue& kv : chunk.kvs) {
        seen_ += kv.key;
      }
      seen_ += "|";
      return --chunks > 0;
    });
  }

  std::string seen_;
};

TEST_F(ScanConnectionTest, GoesOnBehindTheLastKeyAtTheSameRevision) {
  script_.scans["a:1"] = {{{Chunk(7, {"p1", "p2"}), Chunk(7, {"p3"})}, Unavailable("")}};
  script_.scans["b:1"] = {{{Chunk(7, {"p4"})}, absl::OkStatus()}};
  ScanOptions options;
  options.limit = 10;
  options.max_staleness = absl::Seconds(1);
  options.min_revision = 3;
  EXPECT_TRUE(Scan(Prefix{"p"}, options).ok());
  EXPECT_EQ(seen_, "p1p2|p3|p4|");
  ASSERT_EQ(script_.scanned.size(), 2u);
  EXPECT_EQ(script_.scanned[0].range().prefix(), "p");
  EXPECT_EQ(script_.scanned[0].consistency(), v1::CONSISTENCY_UNSPECIFIED);
  EXPECT_EQ(script_.scanned[0].max_staleness().seconds(), 1);
  EXPECT_EQ(script_.scanned[1].range().span().start_key(), std::string("p3\0", 3));
  EXPECT_EQ(script_.scanned[1].range().span().end_key(), "");
  EXPECT_EQ(script_.scanned[1].at_revision(), 7);
  EXPECT_EQ(script_.scanned[1].limit(), 7);
  EXPECT_EQ(script_.scanned[1].min_revision(), 0);
  EXPECT_FALSE(script_.scanned[1].has_max_staleness());
}

TEST_F(ScanConnectionTest, APrefixEndsWhereItsKeysDo) {
  script_.scans["a:1"] = {{{Chunk(7, {"p1"})}, Unavailable("")}};
  script_.scans["b:1"] = {{{Chunk(7, {"p2", "q", "r"}), Chunk(7, {"s"})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{"p"}).ok());
  EXPECT_EQ(seen_, "p1|p2|");
}

TEST_F(ScanConnectionTest, ADescendingScanGoesOnBelow) {
  script_.scans["a:1"] = {{{Chunk(7, {"p3", "p2"})}, Unavailable("")}};
  script_.scans["b:1"] = {{{Chunk(7, {"p1"})}, absl::OkStatus()}};
  ScanOptions options;
  options.descending = true;
  EXPECT_TRUE(Scan(Prefix{"p"}, options).ok());
  EXPECT_EQ(seen_, "p3p2|p1|");
  EXPECT_EQ(script_.scanned.at(1).range().span().start_key(), "p");
  EXPECT_EQ(script_.scanned.at(1).range().span().end_key(), "p2");
}

TEST_F(ScanConnectionTest, WhatHasAllComeIsNotAskedForAgain) {
  script_.scans["a:1"] = {{{Chunk(7, {"k"})}, Unavailable("")}};
  EXPECT_TRUE(Scan(SingleKey{"k"}).ok());
  script_.scans["a:1"] = {{{Chunk(7, {"a", "b"})}, Unavailable("")}};
  ScanOptions two;
  two.limit = 2;
  EXPECT_TRUE(Scan(Prefix{""}, two).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "a:1"}));
}

TEST_F(ScanConnectionTest, IsGivenUpWhenNothingHasComeForTheTimeOfARequest) {
  script_.answer_takes = {{"a:1", absl::Seconds(3)}, {"b:1", absl::Seconds(3)}};
  EXPECT_TRUE(absl::IsUnavailable(Scan(Prefix{""})));
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1"}));
}

TEST_F(ScanConnectionTest, AMemberWithoutRoomIsLeftForAnother) {
  script_.scans["a:1"] = {
      {{}, WithReason(absl::ResourceExhaustedError("32 scans"), "OVERLOADED", kServerErrorDomain)}};
  script_.scans["b:1"] = {{{Chunk(7, {"a"})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{""}).ok());
  EXPECT_EQ(seen_, "a|");
}

TEST_F(ScanConnectionTest, AMemberThatLagsIsLeftForAnother) {
  script_.scans["a:1"] = {{{Chunk(7, {"a"})}, absl::CancelledError("took nothing")},
                          {{Chunk(7, {"b"})}, absl::OkStatus()}};
  script_.scans["b:1"] = {
      {{}, WithReason(absl::OutOfRangeError("at 6"), "REVISION_FUTURE", kServerErrorDomain)}};
  EXPECT_TRUE(Scan(Prefix{""}).ok());
  EXPECT_EQ(seen_, "a|b|");
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1", "a:1"}));
}

TEST_F(ScanConnectionTest, ARevisionThatIsNotThereEndsIt) {
  const auto error =
      WithReason(absl::OutOfRangeError("at 6"), "REVISION_FUTURE", kServerErrorDomain);
  script_.scans["a:1"] = {{{}, error}};
  ScanOptions options;
  options.at_revision = 9;
  EXPECT_EQ(Scan(Prefix{""}, options), error);
}

TEST_F(ScanConnectionTest, EndsWhenNoMoreIsWanted) {
  script_.scans["a:1"] = {{{Chunk(7, {"a"}), Chunk(7, {"b"})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{""}, {}, 1).ok());
  EXPECT_EQ(seen_, "a|");
}

TEST_F(ScanConnectionTest, AnEmptyRangeIsOneChunk) {
  script_.scans["a:1"] = {{{Chunk(7, {})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{""}).ok());
  EXPECT_EQ(seen_, "|");
}

}  // namespace
}  // namespace raftkv::client
