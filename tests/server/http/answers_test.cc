#include "server/http/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/errors.h"

namespace raftkv::server {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(HttpStatusOfTest, IsTheDocumentedTable) {
  using Code = absl::StatusCode;
  for (const auto& [code, status] :
       std::vector<std::pair<Code, int>>{{Code::kInvalidArgument, 400},
                                         {Code::kOutOfRange, 400},
                                         {Code::kFailedPrecondition, 400},
                                         {Code::kPermissionDenied, 403},
                                         {Code::kNotFound, 404},
                                         {Code::kAborted, 409},
                                         {Code::kAlreadyExists, 409},
                                         {Code::kResourceExhausted, 429},
                                         {Code::kUnknown, 500},
                                         {Code::kInternal, 500},
                                         {Code::kDataLoss, 500},
                                         {Code::kUnimplemented, 501},
                                         {Code::kUnavailable, 503},
                                         {Code::kDeadlineExceeded, 504}}) {
    EXPECT_EQ(HttpStatusOf(code), status) << code;
  }
}

TEST(ErrorAnswerTest, HasCodeReasonAndMessage) {
  const HttpAnswer answer = ErrorAnswer(kv::BadKeyError("key", ""));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body, R"({"error":{"code":"INVALID_ARGUMENT","reason":"BAD_KEY",)"
                         R"("message":"key: is empty; a key has 1 to 4096 bytes"}})");
  EXPECT_THAT(answer.headers, IsEmpty());
}

TEST(ErrorAnswerTest, SaysWhenToTryAgain) {
  const HttpAnswer answer = ErrorAnswer(kv::NoLeaderError());
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.headers, Contains(Pair("Retry-After", "1")));
  EXPECT_THAT(ErrorAnswer(kv::OutcomeUnknownError()).headers, IsEmpty()) << "it is no retry's";
}

TEST(ErrorAnswerTest, WithoutAReasonItIsEmpty) {
  EXPECT_THAT(ErrorAnswer(absl::DeadlineExceededError("late")).body, HasSubstr(R"("reason":"")"));
}

TEST(ConnectErrorAnswerTest, HasTheProtocolsBody) {
  const HttpAnswer answer = ConnectErrorAnswer(kv::MalformedTextError("body: no"));
  EXPECT_EQ(answer.status, 400);
  const Json json = *ParseJson(answer.body);
  EXPECT_EQ(json["code"], "invalid_argument");
  EXPECT_EQ(json["message"], "body: no");
  ASSERT_EQ(json["details"].size(), 1U);
  EXPECT_EQ(json["details"][0]["type"], "google.rpc.ErrorInfo");
  const std::string value = json["details"][0]["value"];
  EXPECT_EQ(value.find('='), std::string::npos);
  EXPECT_EQ(value, "CglNQUxGT1JNRUQSBnJhZnRrdg") << "reason MALFORMED, domain raftkv";
}

}  // namespace
}  // namespace raftkv::server
