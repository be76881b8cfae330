#include "server/api/page_token.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

v1::ListRequest List(const std::string& text) { return Proto<v1::ListRequest>(text); }

// The request for the page after `last_key`.
v1::ListRequest NextPage(v1::ListRequest request, const std::string& last_key) {
  request.set_page_token(MakePageToken(request, last_key));
  return request;
}

TEST(PageTokenTest, RoundTripsEveryKey) {
  const std::string every_byte = [] {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) {
      bytes.push_back(static_cast<char>(byte));
    }
    return bytes;
  }();
  const std::vector<std::string> keys = {"a", "a/1", std::string(1, '\0'), every_byte,
                                         std::string(4096, 'k')};
  for (const std::string& key : keys) {
    EXPECT_EQ(ReadPageToken(NextPage(List(R"(range { prefix: "a" })"), key)), key);
  }
}

TEST(PageTokenTest, IsTextThatNeedsNoQuoting) {
  const std::string token = MakePageToken(List(R"(range { prefix: "" })"), "\xff\xfe k?/+=");
  for (const char c : token) {
    EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') << token;
  }
}

// A page may be asked of another member, and of a newer version: the bytes are frozen.
TEST(PageTokenTest, IsTheSameOnEveryMember) {
  EXPECT_EQ(MakePageToken(List(R"(range { prefix: "a" })"), "a/1"), "UGek-ooIL2pOYS8x");
  EXPECT_EQ(
      ReadPageToken(List(R"(range { prefix: "a" } page_size: 7 page_token: "UGek-ooIL2pOYS8x")")),
      "a/1");
}

TEST(PageTokenTest, OnlyThePageSizeMayChange) {
  const std::string fixed = R"(range { span { start_key: "a" end_key: "z" } } page_size: 3
                               as_text: true min_revision: 5)";
  const v1::ListRequest request = NextPage(List(fixed), "k");
  ASSERT_EQ(ReadPageToken(request), "k");
  v1::ListRequest larger = request;
  larger.set_page_size(500);
  EXPECT_EQ(ReadPageToken(larger), "k");
  larger.clear_page_size();
  EXPECT_EQ(ReadPageToken(larger), "k");

  for (const char* change :
       {R"(range { span { start_key: "b" } })", R"(range { span { end_key: "y" } })",
        R"(range { prefix: "a" })", R"(range { key: "a" })", "keys_only: true", "as_text: false",
        "consistency: CONSISTENCY_STALE", "descending: true", "min_revision: 6",
        "count_only: true"}) {
    v1::ListRequest other = request;
    ASSERT_TRUE(google::protobuf::TextFormat::MergeFromString(change, &other)) << change;
    EXPECT_EQ(ReadPageToken(other), std::nullopt) << change;
  }
}

TEST(PageTokenTest, NonsenseIsNone) {
  v1::ListRequest request = List(R"(range { prefix: "" })");
  for (const std::string& token :
       {std::string("x"), std::string("nonsense"), std::string("////"), std::string("UA"),
        std::string("AAAAAAAAAAAAAAAAAAAAAAAA"), std::string("\xC3\xBC"), std::string(1, '\0'),
        std::string(10'000, 'A')}) {
    request.set_page_token(token);
    EXPECT_EQ(ReadPageToken(request), std::nullopt) << token;
  }
  request.clear_page_token();
  EXPECT_EQ(ReadPageToken(request), std::nullopt);
}

TEST(PageTokenTest, ADamagedTokenIsNone) {
  // Twelve characters hold the mark and the hash.
  constexpr size_t kHeadCharacters = 12;
  v1::ListRequest request = List(R"(range { prefix: "" })");
  const std::string token = MakePageToken(request, "key");
  for (size_t i = 0; i < kHeadCharacters; ++i) {
    std::string damaged = token;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    request.set_page_token(damaged);
    EXPECT_EQ(ReadPageToken(request), std::nullopt) << i;
    request.set_page_token(token.substr(0, i));
    EXPECT_EQ(ReadPageToken(request), std::nullopt) << "cut at " << i;
  }
  request.set_page_token(token.substr(0, kHeadCharacters));
  EXPECT_EQ(ReadPageToken(request), std::nullopt) << "it names no key";
}

}  // namespace
}  // namespace raftkv::server
