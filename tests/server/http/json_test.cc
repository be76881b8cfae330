#include "server/http/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "kv/errors.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;

std::string ProblemOf(const std::string& text) {
  const absl::Status status = ParseJson(text).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
  return std::string(status.message());
}

TEST(ParseJsonTest, TakesWhatJsonIs) {
  const std::string text =
      R"({"b":[1,-2,{"x":null}],"a":true,"s":"é\u0000\n","n":9007199254740993})";
  EXPECT_EQ(WriteJson(*ParseJson(text)), text);
  EXPECT_EQ(WriteJson(*ParseJson(" 1.5 ")), "1.5");
  EXPECT_EQ(WriteJson(*ParseJson(R"([{"a":1},{"a":2}])")), R"([{"a":1},{"a":2}])");
}

// All of these are taken by protobuf's own reader.
TEST(ParseJsonTest, RefusesWhatIsNearlyJson) {
  for (const char* text :
       {"{n:1}", "{'n':1}", "{\"n\":1,}", "[1,]", R"({"a":"\q"})", "{\"a\":\"\t\"}"}) {
    EXPECT_THAT(ProblemOf(text), HasSubstr("byte")) << text;
  }
}

TEST(ParseJsonTest, NamesThePosition) {
  EXPECT_THAT(ProblemOf(R"({"value": nope})"), HasSubstr("byte 12"));
  EXPECT_THAT(ProblemOf(""), HasSubstr("byte 1"));
  EXPECT_THAT(ProblemOf("{} x"), HasSubstr("byte 4"));
  EXPECT_THAT(ProblemOf("{\"a\":\"\xFF\"}"), HasSubstr("UTF-8"));
}

TEST(ParseJsonTest, AMemberGivenTwiceIsNamed) {
  EXPECT_THAT(ProblemOf(R"({"a":1,"b":2,"a":1})"), HasSubstr("\"a\" is given twice"));
  EXPECT_THAT(ProblemOf(R"({"x":{"k":1,"k":2}})"), HasSubstr("\"k\" is given twice"));
}

TEST(ParseJsonTest, HasBounds) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(ParseJson(nested(kJsonDepthMax)).ok());
  EXPECT_THAT(ProblemOf(nested(kJsonDepthMax + 1)), HasSubstr("32"));
  EXPECT_THAT(ProblemOf(std::string(100'000, '[')), HasSubstr("32"));
  std::string members = "{\"0\":0";
  for (size_t i = 1; i < kJsonMembersMax; ++i) {
    absl::StrAppend(&members, ",\"", i, "\":0");
  }
  EXPECT_TRUE(ParseJson(members + "}").ok());
  EXPECT_THAT(ProblemOf(members + ",\"x\":0}"), HasSubstr("256"));
}

absl::Status CheckPut(const std::string& text) {
  return CheckIsMessage(*ParseJson(text), *v1::PutRequest::descriptor());
}

TEST(CheckIsMessageTest, TakesBothNamesOfAField) {
  EXPECT_TRUE(CheckPut(R"({"key":"a","return_previous":true,"ttl":"5s"})").ok());
  EXPECT_TRUE(CheckPut(R"({"key":"a","returnPrevious":true})").ok());
  EXPECT_TRUE(CheckPut(R"({"precondition":{"modRevision":"7"}})").ok());
}

TEST(CheckIsMessageTest, WhatTheTypeDoesNotHaveIsUnknown) {
  for (const auto& [text, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"keys":"a"})", "keys"},
           {R"({"precondition":{"version":1,"modrevision":2}})", "precondition.modrevision"}}) {
    const absl::Status status = CheckPut(text);
    EXPECT_TRUE(absl::IsUnimplemented(status)) << text;
    EXPECT_EQ(kv::FindErrorInfo(status)->reason(), "UNKNOWN_FIELD");
    EXPECT_EQ(kv::FindErrorInfo(status)->metadata().at("field"), field);
  }
}

// Protobuf's reader lets the last one win.
TEST(CheckIsMessageTest, AFieldUnderBothNamesIsRefused) {
  EXPECT_THAT(std::string(CheckPut(R"({"return_previous":true,"returnPrevious":false})").message()),
              HasSubstr("return_previous: is given twice"));
}

// Protobuf's reader goes through a double: the last of these would become ...992.
TEST(CheckIsMessageTest, WholeNumbersAreWrittenAsSuch) {
  for (const char* number : {"1.5", "12.0", "1e3", "9007199254740993.0", "99999999999999999999"}) {
    const absl::Status status =
        CheckPut(absl::StrCat(R"({"precondition":{"mod_revision":)", number, "}}"));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << number;
    EXPECT_THAT(std::string(status.message()), HasSubstr("precondition.mod_revision")) << number;
  }
  EXPECT_TRUE(CheckPut(R"({"precondition":{"mod_revision":9223372036854775807}})").ok());
}

}  // namespace
}  // namespace raftkv::server
