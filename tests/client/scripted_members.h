// Calls and streams of a client whose members answer as scripted, by a clock that stands still.
#pragma once

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
#include "client/retrying_connection.h"
#include "google/rpc/error_details.pb.h"

namespace raftkv::client {

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

using Asked = std::vector<std::string>;

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
  Asked asked;                           // addresses of the RPCs made
  std::vector<absl::Duration> timeouts;  // of the RPCs made
  std::vector<absl::Duration> connect_timeouts;
  std::vector<std::string> request_ids;                          // Of the Puts made.
  std::map<std::string, std::vector<std::string>> members = {};  // That each address names.
};

inline absl::Status Refused() {
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
    if (auto* members = dynamic_cast<v1::ListMembersResponse*>(response)) {
      script_->asked.back() += " members";
      for (const std::string& member : script_->members[address_]) {
        members->add_members()->set_client_address(member);
        members->mutable_members()->rbegin()->set_id(
            static_cast<uint64_t>(members->members_size()));
      }
    }
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

inline absl::Status Unavailable(const std::string& reason) {
  return WithReason(absl::UnavailableError("from the server"), reason, kServerErrorDomain);
}

inline absl::Status NoLeaderFor(int seconds) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(seconds);
  absl::Status status = Unavailable(kReasonNoLeader);
  status.SetPayload(kRetryInfoUrl, absl::Cord(retry.SerializeAsString()));
  return status;
}

class ScriptedMembersTest : public testing::Test {
 protected:
  RetryingConnection Connect(ClientOptions options) {
    options.learns_members = learns_members_;
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

  bool learns_members_ = false;
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

}  // namespace raftkv::client
