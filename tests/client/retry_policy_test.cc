#include "client/retry_policy.h"

#include <gtest/gtest.h>

#include <string>

#include "client/error_payload.h"
#include "client/errors.h"

namespace raftkv::client {
namespace {

struct Case {
  absl::StatusCode code;
  const char* reason;  // "": no ErrorInfo
  bool retry_read;
  bool retry_write;
  bool certainly_not_done;
};

absl::Status StatusOf(const Case& test) {
  const absl::Status status(test.code, "message");
  return *test.reason == '\0' ? status : WithReason(status, test.reason, kServerErrorDomain);
}

TEST(RetryPolicyTest, FollowsTheErrorTable) {
  using Code = absl::StatusCode;
  const Case kCases[] = {
      {Code::kUnavailable, "CANNOT_CONNECT", true, true, true},
      {Code::kUnavailable, "NO_LEADER", true, true, true},
      {Code::kUnavailable, "SHUTTING_DOWN", true, true, true},
      {Code::kUnavailable, "TOO_STALE", true, false, true},
      {Code::kUnavailable, "OUTCOME_UNKNOWN", true, false, false},
      {Code::kUnavailable, "", true, false, false},
      {Code::kUnknown, "OUTCOME_UNKNOWN", false, false, false},
      {Code::kUnknown, "", false, false, false},
      {Code::kDeadlineExceeded, "", false, false, false},
      {Code::kCancelled, "", false, false, false},
      {Code::kInternal, "", false, false, false},
      {Code::kDataLoss, "", false, false, false},
      {Code::kResourceExhausted, "OVERLOADED", false, false, true},
      {Code::kResourceExhausted, "DISK_FULL", false, false, true},
      {Code::kResourceExhausted, "", false, false, false},
      {Code::kInvalidArgument, "BAD_KEY", false, false, true},
      {Code::kInvalidArgument, "", false, false, true},
      {Code::kUnimplemented, "UNKNOWN_FIELD", false, false, true},
      {Code::kUnimplemented, "", false, false, true},
      {Code::kAborted, "PRECONDITION_FAILED", false, false, true},
      {Code::kOutOfRange, "REVISION_FUTURE", false, false, true},
      {Code::kFailedPrecondition, "NOT_CAUGHT_UP", false, false, true},
  };
  for (const Case& test : kCases) {
    const absl::Status status = StatusOf(test);
    SCOPED_TRACE(status.ToString() + " " + test.reason);
    EXPECT_EQ(IsSafeToRetry(CallKind::kRead, status), test.retry_read);
    EXPECT_EQ(IsSafeToRetry(CallKind::kWrite, status), test.retry_write);
    const bool unknown = test.code == Code::kUnknown && IsOutcomeUnknown(status);
    EXPECT_EQ(IsSafeToRetry(CallKind::kMarkedWrite, status), test.retry_read || unknown);
    EXPECT_EQ(IsCertainlyNotDone(status), test.certainly_not_done);
  }
}

TEST(RetryPolicyTest, AWriteIsRepeatedOnlyWhenItWasCertainlyNotDone) {
  for (int code = 1; code <= 16; ++code) {
    for (const char* reason :
         {"", "NO_LEADER", "SHUTTING_DOWN", "CANNOT_CONNECT", "OUTCOME_UNKNOWN", "NEW_REASON"}) {
      const absl::Status status =
          StatusOf({static_cast<absl::StatusCode>(code), reason, false, false, false});
      if (IsSafeToRetry(CallKind::kWrite, status)) {
        EXPECT_TRUE(IsCertainlyNotDone(status)) << status;
      }
    }
  }
}

TEST(RetryPolicyTest, WhatAMarkedWriteCameToIsItsAnswerWhicheverTryItWas) {
  using Code = absl::StatusCode;
  const auto is_answer = [](Code code, const char* reason) {
    return IsAnswerToWrite(StatusOf({code, reason, false, false, false}));
  };
  EXPECT_TRUE(is_answer(Code::kAborted, "PRECONDITION_FAILED"));
  EXPECT_TRUE(is_answer(Code::kNotFound, "LEASE_NOT_FOUND"));
  EXPECT_TRUE(is_answer(Code::kAlreadyExists, "LEASE_EXISTS"));
  EXPECT_TRUE(is_answer(Code::kResourceExhausted, "LEASE_FULL"));
  EXPECT_TRUE(is_answer(Code::kResourceExhausted, "TOO_MANY_LEASES"));
  EXPECT_FALSE(is_answer(Code::kNotFound, "MEMBER_NOT_FOUND")) << "it may have been removed";
  EXPECT_FALSE(is_answer(Code::kResourceExhausted, "OVERLOADED")) << "of this try alone";
  EXPECT_FALSE(is_answer(Code::kUnavailable, "OUTCOME_UNKNOWN"));
}

TEST(BackoffTest, DoublesUpToTheMaximumAndLeavesOutAtMostHalf) {
  Backoff backoff(absl::Milliseconds(50), absl::Milliseconds(300), Rng(7));
  for (const int longest_ms : {50, 100, 200, 300, 300}) {
    const absl::Duration pause = backoff.Next();
    EXPECT_LE(pause, absl::Milliseconds(longest_ms));
    EXPECT_GE(pause, absl::Milliseconds(longest_ms) / 2);
  }
}

TEST(BackoffTest, DiffersFromClientToClient) {
  Backoff one(absl::Seconds(1), absl::Seconds(1), Rng(1));
  Backoff other(absl::Seconds(1), absl::Seconds(1), Rng(2));
  EXPECT_NE(one.Next(), other.Next());
}

}  // namespace
}  // namespace raftkv::client
