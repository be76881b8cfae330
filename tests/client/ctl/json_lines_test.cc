#include "client/ctl/json_lines.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"

namespace raftkv::ctl {
namespace {

TEST(JsonLinesTest, AKeyIsALine) {
  EXPECT_EQ(ToJsonLine({.key = "k", .value = "line\nbreak \"é\"", .mod_revision = 7}),
            "{\"key\":\"k\",\"value\":\"line\\nbreak \\\"é\\\"\",\"mod_revision\":7}\n");
  EXPECT_EQ(ToJsonLine({.key = "k",
                        .value = std::string("\xff\0", 2),
                        .mod_revision = 8,
                        .ttl_remaining = absl::Milliseconds(1500)}),
            "{\"key\":\"k\",\"value_base64\":\"/wA=\",\"ttl\":\"1500ms\",\"mod_revision\":8}\n");
}

TEST(JsonLinesTest, WhatIsWrittenIsRead) {
  for (const std::string& value :
       {std::string(""), std::string("text"), std::string("\x80\x00\x01", 3)}) {
    const auto line = ParseJsonLine(ToJsonLine(
        {.key = "a \"b\"\t\xc3\xa9", .value = value, .ttl_remaining = absl::Seconds(3)}));
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_EQ(line->key, "a \"b\"\t\xc3\xa9");
    EXPECT_EQ(line->value, value);
    EXPECT_EQ(line->ttl, absl::Seconds(3));
  }
  EXPECT_FALSE(ParseJsonLine(R"({"key":"k","value":"v"})")->ttl.has_value());
}

TEST(JsonLinesTest, SaysWhatIsWrong) {
  const struct {
    const char* line;
    const char* why;
  } kCases[] = {
      {"", "no JSON object"},
      {"[1]", "no JSON object"},
      {"{\"key\":\"k\",\"value\":\"v\"} x", "no JSON object"},
      {R"({"value":"v"})", "\"key\" is missing"},
      {R"({"key":1,"value":"v"})", "\"key\" is no string"},
      {R"({"key":"k"})", "one of \"value\" and \"value_base64\""},
      {R"({"key":"k","value":"v","value_base64":"dg=="})", "one of"},
      {R"({"key":"k","value":5})", "\"value\" is no string"},
      {R"({"key":"k","value_base64":"?"})", "no base64"},
      {R"({"key":"k","value":"v","ttl":"-1s"})", "\"ttl\" is \"-1s\""},
      {R"({"key":"k","value":"v","ttl":"0s"})", "above 0"},
      {R"({"key":"k","value":"v","expires":"5s"})", "\"expires\" is not known"},
      {R"({"key":"k","value":"v","mod_revision":"7"})", "\"mod_revision\" is no number"},
  };
  for (const auto& [line, why] : kCases) {
    const auto parsed = ParseJsonLine(line);
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << line;
    EXPECT_TRUE(absl::StrContains(parsed.status().message(), why)) << parsed.status();
  }
}

}  // namespace
}  // namespace raftkv::ctl
