// From a thread that waits to the loop and back.
#include "server/http/loop_caller.h"

#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/deadline.h"
#include "kv/errors.h"
#include "raftkv/v1/kv.pb.h"
#include "tests/support/fake_clock.h"

namespace raftkv::server {
namespace {

constexpr char kGet[] = "/raftkv.v1.KvService/Get";

class LoopCallerTest : public testing::Test {
 protected:
  LoopCallerTest() {
    calls_.clock = &clock_;
    calls_.default_timeout = kNanosPerSecond;
    loop_ = std::make_unique<EventLoop>(builder_.AddCompletionQueue(),
                                        builder_.AddCompletionQueue(), &clock_);
    service_.AddMethod<v1::GetRequest>("Get", kv::UnreadError,
                                       [this](ApiCall* call, const v1::GetRequest& request) {
                                         EXPECT_EQ(std::this_thread::get_id(), loop_thread_);
                                         in_flight_seen_ = calls_.in_flight;
                                         handle_(call, request);
                                       });
    caller_ = std::make_unique<LoopCaller>(std::vector<ClientService*>{&service_}, loop_.get(),
                                           &calls_, &clock_);
  }
  ~LoopCallerTest() override {
    StopLoop();
    loop_->DrainQueues();
  }
  void StartLoop() {
    thread_ = std::thread([this] {
      loop_thread_ = std::this_thread::get_id();
      loop_->Run({.on_tick = [] {}, .on_turn = [] { return false; }});
    });
  }
  void StopLoop() {
    if (thread_.joinable()) {
      loop_->Post([this] { loop_->Stop(); });
      thread_.join();
    }
  }
  uint64_t BacklogBytes() {
    std::promise<uint64_t> bytes;
    loop_->Post([&] { bytes.set_value(calls_.backlog.bytes()); });
    return bytes.get_future().get();
  }
  absl::StatusOr<ApiCaller::Answer> Get(const std::string& key,
                                        MonotonicNanos timeout = 10 * kNanosPerSecond) {
    auto request = std::make_unique<v1::GetRequest>();
    request->set_key(key);
    return caller_->Call(kGet, std::move(request), timeout);
  }

  const SystemMonotonicClock clock_;
  grpc::ServerBuilder builder_;
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
  std::thread::id loop_thread_;  // Confined to it.
  static constexpr uint64_t kUnsentAnswerBytesMax = 16 * kMiB;
  CallAccounting calls_{kUnsentAnswerBytesMax};
  ClientService service_{"raftkv.v1.KvService", /*counted=*/true};
  std::unique_ptr<LoopCaller> caller_;
  std::function<void(ApiCall*, const v1::GetRequest&)> handle_;
  uint64_t in_flight_seen_ = 0;
};

TEST_F(LoopCallerTest, OffersTheMethodsOfItsServices) {
  ASSERT_EQ(caller_->methods().size(), 1U);
  EXPECT_EQ(caller_->methods().begin()->first, kGet);
  EXPECT_EQ(caller_->methods().begin()->second->request->GetDescriptor(),
            v1::GetRequest::descriptor());
}

TEST_F(LoopCallerTest, BringsTheAnswerBack) {
  handle_ = [](ApiCall* call, const v1::GetRequest& request) {
    v1::GetResponse response;
    response.mutable_kv()->set_text("value of " + request.key());
    call->Finish(response);
  };
  StartLoop();
  for (const std::string key : {"a", "b"}) {
    const auto answer = Get(key);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(static_cast<const v1::GetResponse&>(*answer->message).kv().text(), "value of " + key);
  }
  StopLoop();
  EXPECT_EQ(in_flight_seen_, 1U) << "a stop waits for it";
  EXPECT_EQ(calls_.in_flight, 0U);
}

TEST_F(LoopCallerTest, BringsTheErrorBack) {
  handle_ = [](ApiCall* call, const v1::GetRequest&) { call->Fail(kv::NoLeaderError()); };
  StartLoop();
  EXPECT_EQ(kv::FindErrorInfo(Get("a").status())->reason(), "NO_LEADER");
  StopLoop();
  EXPECT_EQ(calls_.in_flight, 0U);
}

TEST_F(LoopCallerTest, CountsCallsAndHowTheyEnd) {
  handle_ = [](ApiCall* call, const v1::GetRequest& request) {
    if (request.key() == "absent") {
      call->Fail(kv::NoLeaderError());
    } else {
      v1::GetResponse response;
      response.mutable_kv()->set_text(std::string(100, 'x'));
      call->Finish(response);
    }
  };
  StartLoop();
  EXPECT_TRUE(Get("a").ok());
  EXPECT_TRUE(Get("b").ok());
  EXPECT_FALSE(Get("absent").ok());
  StopLoop();
  const CallCounts& counts = *service_.methods().front().counts;
  EXPECT_EQ(counts.started(), 3U);
  EXPECT_EQ(counts.handled(absl::StatusCode::kOk), 2U);
  EXPECT_EQ(counts.handled(absl::StatusCode::kUnavailable), 1U);
  EXPECT_EQ(counts.took().count(), 3U);
  EXPECT_GT(counts.request_bytes(), 0U);
  EXPECT_GT(counts.answer_bytes(), 200U);
  EXPECT_LT(counts.answer_bytes(), 300U) << "an error is no answer";
}

TEST_F(LoopCallerTest, AnAnswerWithoutRoomIsWhatTheCallWasSaidToBeThen) {
  handle_ = [](ApiCall* call, const v1::GetRequest& request) {
    if (request.key() == "marked") {
      call->SetUnsendable(kv::UnreadMarkedOutcomeError);
    }
    v1::GetResponse response;
    response.mutable_kv()->set_text(std::string(kUnsentAnswerBytesMax + 1, 'x'));
    call->Finish(response);
  };
  StartLoop();
  EXPECT_EQ(Get("a").status(), kv::UnreadError());
  EXPECT_EQ(Get("marked").status(), kv::UnreadMarkedOutcomeError());
}

TEST_F(LoopCallerTest, CallsAreCounted) {
  FakeClock time;
  RequestStats stats(&time);
  time.Advance(kNanosPerSecond);
  calls_.requests = &stats;
  handle_ = [](ApiCall* call, const v1::GetRequest& request) {
    if (request.key() == "bad") {
      call->Fail(kv::NoLeaderError());
    } else {
      call->Finish(v1::GetResponse());
    }
  };
  StartLoop();
  ASSERT_TRUE(Get("a").ok());
  ASSERT_TRUE(Get("b").ok());
  ASSERT_FALSE(Get("bad").ok());
  StopLoop();
  time.Advance(kNanosPerSecond);
  EXPECT_EQ(stats.reads().count, 2U);
  EXPECT_EQ(stats.failed().count, 1U);
  EXPECT_EQ(stats.writes().count, 0U);
}

TEST_F(LoopCallerTest, AnswersAreDueALittleBeforeTheClientGivesUp) {
  MonotonicNanos answer_by = 0;
  handle_ = [&](ApiCall* call, const v1::GetRequest&) {
    answer_by = call->AnswerBy();
    call->Finish(v1::GetResponse());
  };
  StartLoop();
  const MonotonicNanos before = clock_.Now();
  ASSERT_TRUE(Get("a", 100 * kNanosPerSecond).ok());
  const MonotonicNanos after = clock_.Now();
  StopLoop();
  const MonotonicNanos margin = AnswerMargin(100 * kNanosPerSecond);
  EXPECT_GE(answer_by, before + 100 * kNanosPerSecond - margin);
  EXPECT_LE(answer_by, after + 100 * kNanosPerSecond);
}

TEST_F(LoopCallerTest, LargeAnswersTakeRoomUntilTheyAreDropped) {
  handle_ = [](ApiCall* call, const v1::GetRequest&) {
    v1::GetResponse response;
    response.mutable_kv()->set_text(std::string(kSmallAnswerBytes, 'x'));
    call->Finish(response);
  };
  StartLoop();
  auto answer = Get("a");
  ASSERT_TRUE(answer.ok());
  EXPECT_GE(BacklogBytes(), kSmallAnswerBytes);
  answer->room.reset();
  EXPECT_EQ(BacklogBytes(), 0U);
}

TEST_F(LoopCallerTest, WithoutRoomTheCallFails) {
  handle_ = [](ApiCall* call, const v1::GetRequest&) {
    v1::GetResponse response;
    response.mutable_kv()->set_text(std::string(kSmallAnswerBytes, 'x'));
    call->Finish(response);
  };
  calls_.backlog.Add(kUnsentAnswerBytesMax, kNever, [] {});
  StartLoop();
  EXPECT_EQ(Get("a").status(), kv::UnreadError());
}

// What a frozen loop would be.
TEST_F(LoopCallerTest, ALoopThatDoesNotTurnIsNotWaitedForForGood) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Get("a", kNanosPerMilli).status()));
  // The call comes too late for anybody; answering it harms nobody.
  handle_ = [](ApiCall* call, const v1::GetRequest&) { call->Finish(v1::GetResponse()); };
  StartLoop();
}

TEST_F(LoopCallerTest, AfterACloseNobodyWaits) {
  handle_ = [](ApiCall* call, const v1::GetRequest&) { call->Finish(v1::GetResponse()); };
  std::thread waiting(
      [this] { EXPECT_TRUE(absl::IsDeadlineExceeded(Get("a", 100 * kNanosPerSecond).status())); });
  caller_->Close();
  waiting.join();
  StartLoop();
}

}  // namespace
}  // namespace raftkv::server
