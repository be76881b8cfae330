#include "client/ctl/exit_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/error_payload.h"
#include "client/errors.h"

namespace raftkv::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status FromServer(absl::StatusCode code, const char* reason) {
  return client::WithReason(absl::Status(code, "message"), reason, kServerErrorDomain);
}

absl::Status FromLibrary(absl::StatusCode code, const char* reason) {
  return client::WithReason(absl::Status(code, "message"), reason, kClientErrorDomain);
}

TEST(ExitCodeTest, NumbersAreFrozen) {
  EXPECT_EQ(static_cast<int>(ExitCode::kOk), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::kError), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kCannotConnect), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kServerError), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::kUnhealthy), 5);
  EXPECT_EQ(static_cast<int>(ExitCode::kBadArguments), 128);
}

TEST(ExitCodeTest, FollowsWhoseErrorItIs) {
  using Code = absl::StatusCode;
  const struct {
    absl::Status status;
    ExitCode code;
  } kCases[] = {
      {FromLibrary(Code::kUnavailable, kReasonCannotConnect), ExitCode::kCannotConnect},
      {FromServer(Code::kUnavailable, kReasonNoLeader), ExitCode::kServerError},
      {FromServer(Code::kUnknown, kReasonOutcomeUnknown), ExitCode::kServerError},
      {FromServer(Code::kInvalidArgument, "BAD_KEY"), ExitCode::kServerError},
      {FromServer(Code::kResourceExhausted, "DISK_FULL"), ExitCode::kServerError},
      {FromLibrary(Code::kInvalidArgument, "MALFORMED"), ExitCode::kBadArguments},
      {FromServer(Code::kDeadlineExceeded, "ANY"), ExitCode::kServerError},
      {FromLibrary(Code::kFailedPrecondition, kReasonClusterMismatch), ExitCode::kUnhealthy},
      {FromLibrary(Code::kDeadlineExceeded, kReasonOutcomeUnknown), ExitCode::kError},
      {FromLibrary(Code::kUnavailable, kReasonOutcomeUnknown), ExitCode::kError},
      {absl::DeadlineExceededError(""), ExitCode::kError},
      {absl::UnavailableError(""), ExitCode::kError},
      {absl::UnimplementedError(""), ExitCode::kServerError},
      {absl::InternalError(""), ExitCode::kServerError},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(ExitCodeFor(test.status), test.code) << test.status;
  }
}

TEST(DescribeErrorTest, SaysWhatWhereAndWhatToDo) {
  EXPECT_EQ(
      DescribeError(
          client::WithReason(absl::UnavailableError("cannot connect to a:1 (Connection refused)"),
                             kReasonCannotConnect, kClientErrorDomain),
          {"a:1"}),
      "cannot connect to a:1 (Connection refused); is raftkvd running there? Use --endpoints");
  EXPECT_EQ(
      DescribeError(FromServer(absl::StatusCode::kUnavailable, kReasonNoLeader), {"a:1", "b:1"}),
      "message (UNAVAILABLE/NO_LEADER, asked a:1,b:1); a majority of the members must be up: see "
      "raftkvctl endpoint status --cluster");
}

TEST(DescribeErrorTest, WhatWasFoundBeforeAServerWasAskedNamesNone) {
  EXPECT_EQ(DescribeError(client::WithReason(absl::InvalidArgumentError("key is not valid UTF-8"),
                                             "MALFORMED", kClientErrorDomain),
                          {"a:1"}),
            "key is not valid UTF-8 (INVALID_ARGUMENT/MALFORMED); see raftkvctl --help");
}

TEST(DescribeErrorTest, EveryErrorHasAnActionAndItsEndpoints) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "");
    const std::string text = DescribeError(status, {"a:1"});
    EXPECT_THAT(text, AllOf(HasSubstr(absl::StatusCodeToString(status.code())),
                            HasSubstr("asked a:1"), HasSubstr("; ")));
    EXPECT_NE(text.back(), ' ');
  }
}

TEST(DescribeErrorTest, AnUnknownOutcomeIsToldApart) {
  EXPECT_THAT(DescribeError(FromLibrary(absl::StatusCode::kDeadlineExceeded, kReasonOutcomeUnknown),
                            {"a:1"}),
              AllOf(HasSubstr("OUTCOME_UNKNOWN"), HasSubstr("read the key before")));
}

}  // namespace
}  // namespace raftkv::ctl
