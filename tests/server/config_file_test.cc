#include "server/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/options.h"
#include "tests/support/temp_dir.h"

namespace raftkv::server {
namespace {

using integration::TempDir;
using integration::WriteFile;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// "key@line:column=value@line:column ...", or the error.
std::string Parsed(absl::string_view text) {
  const auto entries = ParseConfig("", text);
  if (!entries.ok()) {
    EXPECT_EQ(entries.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(entries.status().message()), Not(HasSubstr("\n"))) << "one line";
    return std::string(entries.status().message());
  }
  std::vector<std::string> texts;
  for (const ConfigEntry& entry : *entries) {
    texts.push_back(absl::StrCat(entry.key, "@", entry.key_place.substr(1), "=", entry.value, "@",
                                 entry.value_place.substr(1)));
  }
  return absl::StrJoin(texts, " ");
}

TEST(ParseConfigTest, LinesAreEntriesWithPlaces) {
  EXPECT_EQ(Parsed("# What it is.\nname: n1\n\ndata_dir:   /x  # Where.\n"),
            "name@2:1=n1@2:7 data_dir@4:1=/x@4:13");
  EXPECT_EQ(Parsed("name: n1\r\ndata_dir: d\r\n"), "name@1:1=n1@1:7 data_dir@2:1=d@2:11");
  EXPECT_EQ(Parsed("\xEF\xBB\xBFname: n1"), "name@1:1=n1@1:7") << "the mark of an editor";
  EXPECT_EQ(Parsed("%"), ":1:1: directives (lines that begin with %) are not taken");
  EXPECT_EQ(Parsed("---\nname: n1\n...\n"), "name@2:1=n1@2:7");
  EXPECT_EQ(Parsed("{name: n1, data_dir: 'd'}"), "name@1:2=n1@1:8 data_dir@1:12=d@1:22");
}

TEST(ParseConfigTest, ATextWithoutLinesHasNoEntries) {
  for (const char* text : {"", "\n", "# name: n1\n", "---\n", "---\n# nothing\n...\n"}) {
    EXPECT_EQ(Parsed(text), "") << text;
  }
}

// What YAML would make of them is not asked: the flag's parser decides.
TEST(ParseConfigTest, ValuesAreTheirTexts) {
  for (const char* value : {"010", "0x10", "1_000", "1e3", "on", "yes", "true", "64MiB", ":2379",
                            "127.0.0.1:2379", "n1=a:1,n2=b:2", "1#2", "-1", "NO", "caf\xC3\xA9"}) {
    EXPECT_EQ(Parsed(absl::StrCat("k: ", value)), absl::StrCat("k@1:1=", value, "@1:4"));
    EXPECT_EQ(Parsed(absl::StrCat("k: '", value, "'")), absl::StrCat("k@1:1=", value, "@1:4"));
    EXPECT_EQ(Parsed(absl::StrCat("\"k\": \"", value, "\"")),
              absl::StrCat("k@1:1=", value, "@1:6"));
  }
  EXPECT_EQ(Parsed("k: \"\"\nl: ''"), "k@1:1=@1:4 l@2:1=@2:4");
  EXPECT_EQ(Parsed("k: 'null'\nl: \"~\""), "k@1:1=null@1:4 l@2:1=~@2:4");
  EXPECT_EQ(Parsed("k: \"[::]:1\""), "k@1:1=[::]:1@1:4");
  EXPECT_EQ(Parsed("k: 'it''s'\nl: \"a\\\"b\\\\\""), "k@1:1=it's@1:4 l@2:1=a\"b\\@2:4");
  EXPECT_EQ(Parsed("k: \"n1=a:1,\\\n    n2=b:2\""), "k@1:1=n1=a:1,n2=b:2@1:4") << "a long list";
}

TEST(ParseConfigTest, AKeyGivenTwiceIsRefused) {
  EXPECT_EQ(Parsed("name: a\ndata_dir: d\nname: b\n"), ":3:1: name: is given twice, first at :1:1");
  EXPECT_EQ(Parsed("{name: a, 'name': a}"), ":1:11: name: is given twice, first at :1:2");
}

TEST(ParseConfigTest, AKeyWithoutAValueIsRefused) {
  for (const char* text : {"name:\n", "name: ~", "name: null\n", "name: # n1\n", "name:\nother: 1",
                           "name", "name: NULL", "? name"}) {
    EXPECT_THAT(Parsed(std::string("a: b\n") + text),
                AllOf(StartsWith(text[0] == '?' ? ":2:3: " : ":2:1: "),
                      HasSubstr("name: has no value: give one, or \"\"")))
        << text;
  }
  EXPECT_EQ(Parsed("a: b\n~: c"), ":2:1: has no key: must be lines of `flag: value`");
}

TEST(ParseConfigTest, OnlyLinesOfTextsAreTaken) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"name:n1\n", ":1:1: \"name:n1\": must be lines of `flag: value`, with a blank"},
      {"- name\n", ":1:1: must be lines"},
      {"[]", ":1:1: must be lines"},
      {"a: [b, c]\n", ":1:4: a: must be one text, as on the command line, and no list"},
      {"a:\n  - b\n", ":2:3: a: must be one text"},
      {"a: {b: c}\n", ":1:4: a: must be one text, as on the command line, and no map"},
      {"limits:\n  value_bytes_max: 1\n", ":2:3: limits: must be one text"},
      {"[a]: b\n", ":1:1: must be one text"},
      {"<<: {a: b}\n", ":1:5: <<: must be one text"},
      {"a: &x b\nc: *x\n", ":1:4: anchors"},
      {"a: &x\n", ":1:4: anchors"},
      {"a: *x\n", ":1:4: is not YAML: the referenced anchor is not defined"},
      {"a: !!str b\n", ":1:4: a: tags"},
      {"!!map\na: b\n", ": tags"},
      {"a: !x [b]\n", ":1:4: a: tags"},
      {"a: b\n---\nc: d\n", ":2:1: begins a second document"},
      {"a: b\n...\nc: d\n", ":3:1: begins a second document"},
      {"{a: b}\nc: d\n", ":2:1: begins a second document"},
      {" a: b\nc: d\n", ":2:1: begins a second document"},
      {"a: b\n%X\n", ":2:1: directives"},
      {"%YAML 1.2\n---\na: b\n", ":1:1: directives"}};
  for (const auto& [text, error] : cases) {
    EXPECT_THAT(Parsed(text), HasSubstr(error)) << text;
  }
}

// Left alone, the parser finds an empty document in them again and again.
TEST(ParseConfigTest, TextsWithoutAnEndAreRefused) {
  for (const char* text : {",\n", ",? a\naaaa`a: <b\n", "a: b\n...\n, c"}) {
    EXPECT_THAT(Parsed(text), HasSubstr(": begins a second document: ")) << text;
  }
}

// The parser takes the end of the file for the missing quote, and with it every line behind.
TEST(ParseConfigTest, AQuoteThatIsNeverClosedIsRefused) {
  for (const char* text : {"a: b\nname: \"n1\ndata_dir: d\n", "a: b\nname: 'n1\ndata_dir: d\n",
                           "a: b\nname: \"", "a: b\nname: 'it''\n", "a: b\nname: \"it\\\"\n"}) {
    EXPECT_EQ(Parsed(text), ":2:7: name: the quote is never closed") << text;
  }
  EXPECT_EQ(Parsed("'name: n1\n"), ":1:1: the quote is never closed");
  EXPECT_THAT(Parsed("name: \"n1\ndata_dir: \"d\"\n"), HasSubstr("is not YAML"));
}

TEST(ParseConfigTest, ValuesAreLinesOfText) {
  for (const char* text : {"a: |\n  b\n", "a: \"b\\nc\"", "a: \"\\x00\"", "a: \"\\x7F\""}) {
    EXPECT_EQ(Parsed(text), ":1:4: a: must be one line without control characters") << text;
  }
  EXPECT_EQ(Parsed("\"a\\n\": b"), ":1:1: must be one line without control characters");
  EXPECT_THAT(Parsed("a: b\nc: d\x01\n"), StartsWith(":2:5: a control character, 0x1"));
  EXPECT_THAT(Parsed(absl::string_view("a\0:\0 \0b\0", 8)), StartsWith(":1:2: a control"));
  EXPECT_EQ(Parsed("a: \xFF\n"), ": must be text in UTF-8");
  EXPECT_EQ(Parsed("\xFF\xFE"
                   "a:"),
            ": must be text in UTF-8")
      << "UTF-16";
}

TEST(ParseConfigTest, WhatIsNotYamlHasItsPlace) {
  for (const auto& [text, place] :
       std::vector<std::pair<std::string, std::string>>{{"a: b\n\tc: d\n", ":2:1: "},
                                                        {"a: b\nc: [::]:1\n", ":2:4: "},
                                                        {"a: b: c\n", ":1:5: "},
                                                        {"a: @b\n", ":1:4: "},
                                                        {"a: \"\\q\"\n", ":1:"},
                                                        {"{a: b\n", ":1:1: "},
                                                        {"a: 'b' c\n", ":1:8: "},
                                                        {std::string(60'000, '['), ":1:1: "},
                                                        {std::string(60'000, '{'), ":1:"}}) {
    EXPECT_THAT(Parsed(text), StartsWith(place)) << text.substr(0, 100);
  }
}

TEST(ReadConfigFileTest, SaysWhyAFileCannotBeRead) {
  const TempDir dir;
  const auto error_of = [](const std::string& path) {
    const auto entries = ReadConfigFile(path);
    EXPECT_EQ(entries.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(entries.status().message());
  };
  EXPECT_EQ(error_of(dir.File("none")),
            absl::StrCat("--config=", dir.File("none"), ": No such file or directory"));
  EXPECT_EQ(error_of(dir.path()), absl::StrCat("--config=", dir.path(), ": is not a regular file"));
  ASSERT_EQ(mkfifo(dir.File("fifo").c_str(), 0600), 0);
  EXPECT_THAT(error_of(dir.File("fifo")), HasSubstr("is not a regular file"));
  if (geteuid() != 0) {
    WriteFile(dir.File("closed"), "name: n1\n");
    ASSERT_EQ(chmod(dir.File("closed").c_str(), 0), 0);
    EXPECT_THAT(error_of(dir.File("closed")), HasSubstr("Permission denied"));
  }
  WriteFile(dir.File("bad"), "name: [\n");
  EXPECT_THAT(error_of(dir.File("bad")), StartsWith(absl::StrCat(dir.File("bad"), ":1:7: ")));
}

TEST(ReadConfigFileTest, TakesFilesUpToABound) {
  const TempDir dir;
  WriteFile(dir.File("empty"), "");
  EXPECT_THAT(*ReadConfigFile(dir.File("empty")), IsEmpty());
  const std::string line = "name: n1\n";
  WriteFile(dir.File("full"), line + std::string(kConfigBytesMax - line.size(), '#'));
  const auto full = ReadConfigFile(dir.File("full"));
  ASSERT_TRUE(full.ok()) << full.status();
  ASSERT_EQ(full->size(), 1U);
  EXPECT_EQ(full->front().key_place, absl::StrCat(dir.File("full"), ":1:1"));
  WriteFile(dir.File("large"), line + std::string(kConfigBytesMax + 1 - line.size(), '#'));
  EXPECT_EQ(ReadConfigFile(dir.File("large")).status().message(),
            absl::StrCat("--config=", dir.File("large"), ": is larger than 65536 bytes"));
}

// One that lacks a flag, or shows another default, is worse than --help.
TEST(ConfigExamplesTest, OneNodeHasEveryFlagWithItsDefault) {
  const std::string path = absl::StrCat(CONFIG_DIR, "/one_node.yaml");
  const std::string text = integration::ReadFile(path);
  std::map<std::string, std::string> values;
  const auto entries = ReadConfigFile(path);
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const ConfigEntry& entry : *entries) {
    values[entry.key] = entry.value;
  }
  for (const Option& option : Option::Table()) {
    const std::string value = option.TextIn(ServerOptions());
    if (option.name == "config") {
      EXPECT_THAT(text, Not(HasSubstr("config:"))) << "a file cannot name another one";
    } else if (values.count(option.name) != 0) {
      EXPECT_EQ(values[option.name], value) << option.name;
    } else {
      EXPECT_THAT(text, HasSubstr(absl::StrCat("\n#", option.name, ": ",
                                               value.empty() ? "\"\"" : value, "\n")));
    }
  }
}

}  // namespace
}  // namespace raftkv::server
