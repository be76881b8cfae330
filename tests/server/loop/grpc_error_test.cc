#include "server/loop/grpc_error.h"

#include <gtest/gtest.h>

#include <optional>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "kv/errors.h"

namespace raftkv::server {
namespace {

// What a client makes of the status.
struct ParsedStatus {
  google::rpc::Status status;
  std::optional<google::rpc::ErrorInfo> info;
  std::optional<google::rpc::RetryInfo> retry;
};

ParsedStatus Parse(const grpc::Status& status) {
  ParsedStatus parsed;
  EXPECT_TRUE(parsed.status.ParseFromString(status.error_details()));
  for (const google::protobuf::Any& detail : parsed.status.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) {
      EXPECT_TRUE(detail.UnpackTo(&parsed.info.emplace()));
    } else if (detail.Is<google::rpc::RetryInfo>()) {
      EXPECT_TRUE(detail.UnpackTo(&parsed.retry.emplace()));
    } else {
      ADD_FAILURE() << detail.type_url();
    }
  }
  return parsed;
}

TEST(GrpcErrorTest, DetailsSayTheSameAsTheStatus) {
  const absl::Status error = kv::NoLeaderError();
  const grpc::Status status = ToGrpcStatus(error);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), error.message());

  const ParsedStatus parsed = Parse(status);
  EXPECT_EQ(parsed.status.code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(parsed.status.message(), error.message());
  ASSERT_TRUE(parsed.info.has_value());
  EXPECT_EQ(parsed.info->DebugString(), kv::FindErrorInfo(error)->DebugString());
  ASSERT_TRUE(parsed.retry.has_value());
  EXPECT_EQ(parsed.retry->retry_delay().nanos(), 250'000'000);
}

TEST(GrpcErrorTest, WithoutAReasonThereIsNoErrorInfo) {
  const ParsedStatus parsed = Parse(ToGrpcStatus(absl::DeadlineExceededError("too late")));
  EXPECT_EQ(parsed.status.code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_FALSE(parsed.info.has_value());
  EXPECT_FALSE(parsed.retry.has_value());
}

TEST(GrpcErrorTest, FromMemberToMemberNothingOfAnErrorIsLost) {
  for (const absl::Status& error : {kv::NoLeaderError(), kv::MemberNotFoundError("id", "4"),
                                    absl::DeadlineExceededError("too late")}) {
    EXPECT_EQ(FromRpcStatus(ToRpcStatus(error)), error);
  }
}

TEST(GrpcErrorTest, PushbackIsForWhatARetryPolicyNames) {
  EXPECT_EQ(RetryPushbackMs(kv::NoLeaderError()), 250);
  EXPECT_EQ(RetryPushbackMs(kv::ShuttingDownError()), 250);
  EXPECT_EQ(RetryPushbackMs(kv::TooStaleError(9, 8)), 250);
  EXPECT_EQ(RetryPushbackMs(kv::OutcomeUnknownError()), -1);
  EXPECT_EQ(RetryPushbackMs(kv::UnreadOutcomeError()), -1);
  EXPECT_EQ(RetryPushbackMs(kv::OverloadedError()), std::nullopt);
  EXPECT_EQ(RetryPushbackMs(kv::BadKeyError("key", "")), std::nullopt);
  EXPECT_EQ(RetryPushbackMs(kv::TooSlowError()), std::nullopt);
}

}  // namespace
}  // namespace raftkv::server
