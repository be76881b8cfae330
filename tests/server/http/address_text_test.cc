#include "server/http/address_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace raftkv::server {
namespace {

using testing::HasSubstr;

TEST(DecodePathTest, DecodesOnceAndNothingElse) {
  for (const auto& [text, expected] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"a/b", "a/b"},
                                                        {"a%2Fb%20c", "a/b c"},
                                                        {"a%2fb", "a/b"},
                                                        {"a+b", "a+b"},
                                                        {"%252F", "%2F"},
                                                        {"caf%C3%A9", "café"},
                                                        {"café", "café"},
                                                        {"../x/./y", "../x/./y"},
                                                        {"%0A%0D", "\n\r"}}) {
    EXPECT_EQ(*DecodePath(text), expected) << text;
  }
  EXPECT_EQ(*DecodePath("a%00b"), std::string("a\0b", 3));
}

TEST(DecodePathTest, RefusesWhatIsNotPercentEncoded) {
  for (const char* text : {"%", "a%4", "%zz", "%4g", "100%"}) {
    const absl::Status status = DecodePath(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("%25")) << text;
  }
}

TEST(DecodePathTest, RefusesWhatIsNotUtf8) {
  for (const char* text : {"%FF", "a%C3", "%ED%A0%80"}) {
    EXPECT_THAT(std::string(DecodePath(text).status().message()), HasSubstr("not UTF-8")) << text;
  }
}

TEST(QueryParametersTest, AreDecoded) {
  const auto parameters = *QueryParameters::Parse("prefix=a%26b+c%2B&raw&empty=&x=1=2");
  EXPECT_EQ(parameters.Find("prefix"), "a&b c+");
  EXPECT_EQ(parameters.Find("raw"), "");
  EXPECT_EQ(parameters.Find("empty"), "");
  EXPECT_EQ(parameters.Find("x"), "1=2");
  EXPECT_EQ(parameters.Find("nothing"), std::nullopt);
  EXPECT_TRUE(QueryParameters::Parse("").ok());
}

TEST(QueryParametersTest, OneGivenTwiceIsRefused) {
  EXPECT_THAT(std::string(QueryParameters::Parse("key=a&key=b").status().message()),
              HasSubstr("\"key\": is given twice"));
}

TEST(QueryParametersTest, OneThatIsNotKnownIsNamed) {
  const auto parameters = *QueryParameters::Parse("raw&tll=5s");
  EXPECT_TRUE(parameters.CheckAllAmong({"raw", "tll"}).ok());
  EXPECT_THAT(std::string(parameters.CheckAllAmong({"raw", "ttl"}).message()),
              testing::AllOf(HasSubstr("\"tll\""), HasSubstr("raw, ttl")));
}

TEST(QueryParametersTest, SwitchesAreOnOffOrRefused) {
  const auto parameters = *QueryParameters::Parse("a&b=true&c=1&d=false&e=0&f=maybe");
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(*parameters.IsOn(name)) << name;
  }
  for (const char* name : {"d", "e", "absent"}) {
    EXPECT_FALSE(*parameters.IsOn(name)) << name;
  }
  EXPECT_THAT(std::string(parameters.IsOn("f").status().message()), HasSubstr("\"maybe\""));
}

}  // namespace
}  // namespace raftkv::server
