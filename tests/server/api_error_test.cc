#include "server/api_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/limits.h"

namespace raftkv::server {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

std::map<std::string, std::string> MetadataOf(const google::rpc::ErrorInfo& info) {
  return {info.metadata().begin(), info.metadata().end()};
}

TEST(ApiErrorTest, DetailsSayTheSameAsTheStatus) {
  ApiError error = ValueTooLarge("data", 11, 10);
  error.retry_delay_ms = 1250;
  const grpc::Status status = error.ToStatus();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), error.message);

  const ParsedStatus parsed = Parse(status);
  EXPECT_EQ(parsed.status.code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(parsed.status.message(), error.message);
  ASSERT_TRUE(parsed.info.has_value());
  EXPECT_EQ(parsed.info->reason(), "VALUE_TOO_LARGE");
  EXPECT_EQ(parsed.info->domain(), "raftkv");
  EXPECT_EQ(MetadataOf(*parsed.info), (std::map<std::string, std::string>{
                                          {"field", "data"}, {"size", "11"}, {"limit", "10"}}));
  ASSERT_TRUE(parsed.retry.has_value());
  EXPECT_EQ(parsed.retry->retry_delay().seconds(), 1);
  EXPECT_EQ(parsed.retry->retry_delay().nanos(), 250'000'000);
}

TEST(ApiErrorTest, WithoutAReasonThereIsNoErrorInfo) {
  ApiError error;
  error.code = StatusCode::DEADLINE_EXCEEDED;
  error.message = "too late";
  const ParsedStatus parsed = Parse(error.ToStatus());
  EXPECT_EQ(parsed.status.code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_FALSE(parsed.info.has_value());
  EXPECT_FALSE(parsed.retry.has_value());
}

struct ErrorCase {
  ApiError error;
  StatusCode code;
  std::string reason;
  std::map<std::string, std::string> metadata;
  std::optional<int> retry_delay_ms;
  std::optional<int> retry_pushback_ms;
};

std::vector<ErrorCase> ErrorTable() {
  log::v1::CommandOutcome keys;
  keys.set_exceeding(10'001);
  log::v1::CommandOutcome bytes;
  bytes.set_exceeding(5'000'000);
  bytes.set_exceeding_bytes(true);
  const std::string previous_bytes_max = absl::StrCat(kPreviousBytesMax);
  constexpr StatusCode kInvalid = StatusCode::INVALID_ARGUMENT;
  constexpr StatusCode kUnavailable = StatusCode::UNAVAILABLE;
  constexpr std::nullopt_t kNone = std::nullopt;
  return {
      {BadKey("key", ""),
       kInvalid,
       "BAD_KEY",
       {{"field", "key"}, {"size", "0"}, {"limit", "4096"}},
       kNone,
       kNone},
      {NoValue(), kInvalid, "NO_VALUE", {{"field", "value"}}, kNone, kNone},
      {BadTtl("ttl", "is 0s", "no"),
       kInvalid,
       "BAD_TTL",
       {{"field", "ttl"}, {"limit", "315360000s"}},
       kNone,
       kNone},
      {BadRange("range", "no"), kInvalid, "BAD_RANGE", {{"field", "range"}}, kNone, kNone},
      {RangeTooLarge(keys, 10'000),
       kInvalid,
       "RANGE_TOO_LARGE",
       {{"field", "range"}, {"size", "10001"}, {"limit", "10000"}},
       kNone,
       kNone},
      {RangeTooLarge(bytes, 10'000),
       kInvalid,
       "RANGE_TOO_LARGE",
       {{"field", "range"}, {"size", "5000000"}, {"limit", previous_bytes_max}},
       kNone,
       kNone},
      {BadPageSize(-1),
       kInvalid,
       "BAD_PAGE_SIZE",
       {{"field", "page_size"}, {"size", "-1"}, {"limit", "10000"}},
       kNone,
       kNone},
      {BadLimit(-2),
       kInvalid,
       "BAD_LIMIT",
       {{"field", "limit"}, {"size", "-2"}, {"limit", "0"}},
       kNone,
       kNone},
      {BadRevision("min_revision", -3),
       kInvalid,
       "BAD_REVISION",
       {{"field", "min_revision"}},
       kNone,
       kNone},
      {BadPageToken("no"), kInvalid, "BAD_PAGE_TOKEN", {{"field", "page_token"}}, kNone, kNone},
      {BadPrecondition("no"),
       kInvalid,
       "BAD_PRECONDITION",
       {{"field", "precondition"}},
       kNone,
       kNone},
      {Malformed("raftkv.v1.GetRequest"), kInvalid, "MALFORMED", {}, kNone, kNone},
      {UnknownField("ttl.field 3"),
       StatusCode::UNIMPLEMENTED,
       "UNKNOWN_FIELD",
       {{"field", "ttl.field 3"}},
       kNone,
       kNone},
      {NoLeader(), kUnavailable, "NO_LEADER", {}, 250, 250},
      {ShuttingDown(), kUnavailable, "SHUTTING_DOWN", {}, 250, 250},
      {TooStale(9, 8), kUnavailable, "TOO_STALE", {}, 250, 250},
      {Behind(), kUnavailable, "TOO_STALE", {}, 250, 250},
      {OutcomeUnknown(), StatusCode::UNKNOWN, "OUTCOME_UNKNOWN", {}, kNone, -1},
      {Overloaded(), StatusCode::RESOURCE_EXHAUSTED, "OVERLOADED", {}, 250, kNone},
      {PreconditionFailed("k", 7),
       StatusCode::ABORTED,
       "PRECONDITION_FAILED",
       {{"mod_revision", "7"}},
       kNone,
       kNone},
      {Corrupted("x.sst"), StatusCode::DATA_LOSS, "CORRUPTED", {}, kNone, kNone},
  };
}

TEST(ApiErrorTest, CodesReasonsAndHintsAreThoseOfTheErrorTable) {
  for (const ErrorCase& expected : ErrorTable()) {
    SCOPED_TRACE(expected.reason);
    const ApiError& error = expected.error;
    EXPECT_EQ(error.code, expected.code);
    EXPECT_EQ(error.metadata, expected.metadata);
    EXPECT_EQ(error.retry_pushback_ms, expected.retry_pushback_ms);
    const ParsedStatus parsed = Parse(error.ToStatus());
    ASSERT_TRUE(parsed.info.has_value());
    EXPECT_EQ(parsed.info->reason(), expected.reason);
    EXPECT_EQ(MetadataOf(*parsed.info), expected.metadata);
    EXPECT_EQ(parsed.retry.has_value(), expected.retry_delay_ms.has_value());
  }
}

TEST(ApiErrorTest, ARangeThatIsTooLargeSaysWhatItExceeded) {
  log::v1::CommandOutcome outcome;
  EXPECT_THAT(RangeTooLarge(outcome, 10'000).message,
              AllOf(HasSubstr("10000 keys"), HasSubstr("--delete_range_keys_max"),
                    HasSubstr("nothing was deleted")));
  outcome.set_exceeding_bytes(true);
  EXPECT_THAT(RangeTooLarge(outcome, 10'000).message,
              AllOf(HasSubstr("3145728 bytes"), HasSubstr("return_previous"),
                    HasSubstr("nothing was deleted")));
}

TEST(ApiErrorTest, WhatIsCertainlyNotProposedSaysSo) {
  for (const ApiError& error : {NoLeader(), ShuttingDown(), Overloaded()}) {
    EXPECT_THAT(error.message, HasSubstr("nothing was proposed"));
  }
  EXPECT_THAT(OutcomeUnknown().message, Not(HasSubstr("nothing was proposed")));
}

TEST(ApiErrorTest, AStaleMemberSaysHowFarItIs) {
  EXPECT_THAT(TooStale(9, 8).message, AllOf(HasSubstr("revision 8"), HasSubstr("min_revision 9")));
}

TEST(ApiErrorTest, AFailedPreconditionSaysHowTheKeyIs) {
  EXPECT_THAT(PreconditionFailed("k", 0).message, HasSubstr("\"k\" does not hold: the key does"));
  EXPECT_THAT(PreconditionFailed("k", 7).message, HasSubstr("mod_revision is 7"));
}

TEST(EchoKeyTest, QuotesAndEscapes) {
  EXPECT_EQ(EchoKey(""), R"("")");
  EXPECT_EQ(EchoKey("a/b"), R"("a/b")");
  EXPECT_EQ(EchoKey("a\"b\nc"), R"("a\"b\nc")");
  EXPECT_EQ(EchoKey(absl::string_view("\0", 1)), R"("\000")");
  EXPECT_EQ(EchoKey("K\xC3\xA4se"), "\"K\xC3\xA4se\"");
}

TEST(EchoKeyTest, RepeatsSixtyFourBytes) {
  EXPECT_EQ(EchoKey(std::string(64, 'k')), absl::StrCat("\"", std::string(64, 'k'), "\""));
  EXPECT_EQ(EchoKey(std::string(65, 'k')), absl::StrCat("\"", std::string(64, 'k'), "\"..."));
  EXPECT_EQ(EchoKey(std::string(4097, 'k')), absl::StrCat("\"", std::string(64, 'k'), "\"..."));
}

TEST(EchoKeyTest, NeverCutsACharacter) {
  for (const std::string& character :
       std::vector<std::string>{"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    for (size_t offset = 0; offset < character.size(); ++offset) {
      std::string key(offset, 'k');
      std::string echoed = key;
      while (key.size() <= 80) {
        key += character;
        if (key.size() <= 64) {
          echoed = key;
        }
      }
      EXPECT_EQ(EchoKey(key), absl::StrCat("\"", echoed, "\"...")) << offset;
      EXPECT_EQ(EchoKey(echoed), absl::StrCat("\"", echoed, "\"")) << "nothing to cut";
      EXPECT_TRUE(IsUtf8(EchoKey(key)));
    }
  }
}

TEST(EchoKeyTest, TakesBytesThatAreNoText) {
  EXPECT_LE(EchoKey(std::string(100, '\x80')).size(), kEchoedKeyBytesMax + 5);
  EXPECT_LE(EchoKey(std::string(64, '\xff')).size(), kEchoedKeyBytesMax + 2);
}

}  // namespace
}  // namespace raftkv::server
