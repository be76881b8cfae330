#include "client/ctl/csv.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace raftkv::ctl {
namespace {

constexpr size_t kBytesMax = 200;

TEST(CsvTest, WhatIsWrittenIsRead) {
  const std::vector<std::string> texts = {"plain", "a,b",      "\"",       "\"\"",
                                          "\n",    "x\r\ny\r", " space ",  "\xc3\xa9",
                                          "#",     "'s",       "key,value"};
  std::string file = CsvHeader();
  for (const std::string& text : texts) {
    file += ToCsvRecord({.key = text, .value = text});
  }
  file += ToCsvRecord({.key = "k", .value = ""});
  file += ToCsvRecord(
      {.key = "k", .value = std::string("\xff\0\n", 3), .ttl_remaining = absl::Milliseconds(1500)});
  std::istringstream in(file);
  CsvReader reader(in, kBytesMax);
  for (const std::string& text : texts) {
    const auto line = reader.Next();
    ASSERT_TRUE(line.ok()) << line.status();
    ASSERT_TRUE(line->has_value());
    EXPECT_EQ((*line)->key, text);
    EXPECT_EQ((*line)->value, text);
    EXPECT_FALSE((*line)->ttl.has_value());
  }
  EXPECT_EQ(reader.Next().value()->value, "");
  const auto bytes = reader.Next();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ((*bytes)->value, std::string("\xff\0\n", 3));
  EXPECT_EQ((*bytes)->ttl, absl::Milliseconds(1500));
  EXPECT_FALSE(reader.Next().value().has_value());
  EXPECT_FALSE(reader.Next().value().has_value());
}

TEST(CsvTest, TakesWhatOthersWrite) {
  std::istringstream in("\xef\xbb\xbfttl,mod_revision,\"key\",value\r\n,7,a,1\r\n\r\n5s,,b,\"2\"");
  CsvReader reader(in, kBytesMax);
  EXPECT_EQ(reader.Next().value()->value, "1");
  EXPECT_EQ(reader.line(), 2);
  const auto last = reader.Next();
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ((*last)->key, "b");
  EXPECT_EQ((*last)->value, "2");
  EXPECT_EQ((*last)->ttl, absl::Seconds(5));
  EXPECT_EQ(reader.line(), 4);
  EXPECT_FALSE(reader.Next().value().has_value());
}

TEST(CsvTest, SaysWhatIsWrongAndWhere) {
  const std::string long_field(kBytesMax + 10, 'x');
  const struct {
    std::string file;
    int64_t line;
    std::string why;
  } kCases[] = {
      {"", 1, "it is empty"},
      {"\n\n", 1, "it is empty"},
      {"key,valeu\n", 1, "\"valeu\" is no column"},
      {"key,value,key\n", 1, "two columns \"key\""},
      {"key,ttl\n", 1, "must name the columns"},
      {"value\n", 1, "must name the columns"},
      {"key,value\na\n", 2, "it has 1 fields, and the first line names 2 columns"},
      {"key,value\n\"a\nb\",1\na,b,c\n", 4, "it has 3 fields"},
      {"key,value\na,b\"c\n", 2, "a quote within a field"},
      {"key,value\na,\"b\"c\n", 2, "behind the closing quote"},
      {"key,value\na,\"b\"\"\n", 2, "a quoted field does not end"},
      {"key,value,value_base64\na,1,/w==\n", 2, "are both there"},
      {"key,value_base64\na,%\n", 2, "no base64"},
      {"key,value,ttl\na,1,soon\n", 2, "\"ttl\" is \"soon\"; it must be a duration above 0"},
      {"key,value,ttl\na,1,0s\n", 2, "it must be a duration above 0"},
      {"key,value\na," + long_field + "\n", 2, "more than 200 bytes"},
      {"key,value\na,\"" + long_field + "\"\n", 2, "more than 200 bytes"},
  };
  for (const auto& test : kCases) {
    std::istringstream in(test.file);
    CsvReader reader(in, kBytesMax);
    absl::Status status;
    while (true) {
      const auto line = reader.Next();
      status = line.status();
      if (!status.ok() || !line->has_value()) {
        break;
      }
    }
    EXPECT_TRUE(absl::StrContains(status.message(), test.why)) << test.file << ": " << status;
    EXPECT_EQ(reader.line(), test.line) << test.file;
  }
}

}  // namespace
}  // namespace raftkv::ctl
