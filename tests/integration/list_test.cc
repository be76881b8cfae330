// Lists: ranges, order, pages and their limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/support/parallel.h"
#include "tests/support/single_node.h"

namespace raftkv::integration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Keys = std::vector<std::string>;

class ListTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(node_.Start()); }

  NodeClient& client() { return node_.client(); }

  void PutAll(const Keys& keys) {
    for (const std::string& key : keys) {
      ASSERT_TRUE(client().PutText(key, "value of " + key).ok()) << key;
    }
  }

  static Keys KeysOf(const v1::ListResponse& page) {
    Keys keys;
    for (const v1::KeyValue& kv : page.kvs()) {
      keys.push_back(kv.key());
    }
    return keys;
  }

  // The keys of all pages of a range, in the order in which they came.
  Keys ListKeys(const std::string& text_format, size_t* pages = nullptr) {
    auto request = Proto<v1::ListRequest>(text_format);
    Keys keys;
    size_t count = 0;
    do {
      const auto page = client().List(request);
      EXPECT_TRUE(page.ok()) << text_format << ": " << page;
      EXPECT_EQ(page->count(), page->kvs_size());
      const Keys more = KeysOf(page.response);
      keys.insert(keys.end(), more.begin(), more.end());
      request.set_page_token(page->next_page_token());
      ++count;
    } while (!request.page_token().empty() && count < 1000);
    if (pages != nullptr) {
      *pages = count;
    }
    return keys;
  }

  SingleNode node_;
};

TEST_F(ListTest, EachSelectorFindsItsKeysInByteOrder) {
  const std::string nul("b\0x", 3);
  PutAll({"c", "b/2", "a", "b", "b/1", nul, "\u00fc", "B"});
  EXPECT_THAT(ListKeys(R"(range { prefix: "" })"),
              ElementsAre("B", "a", "b", nul, "b/1", "b/2", "c", "\u00fc"));
  EXPECT_THAT(ListKeys(R"(range { prefix: "b/" })"), ElementsAre("b/1", "b/2"));
  EXPECT_THAT(ListKeys(R"(range { prefix: "\303\274" })"), ElementsAre("\u00fc"));
  EXPECT_THAT(ListKeys(R"(range { key: "b" })"), ElementsAre("b"));
  EXPECT_THAT(ListKeys(R"(range { key: "missing" })"), IsEmpty());
  EXPECT_THAT(ListKeys(R"(range { span { start_key: "b" end_key: "b/2" } })"),
              ElementsAre("b", nul, "b/1"));
  EXPECT_THAT(ListKeys(R"(range { span { start_key: "c" } })"), ElementsAre("c", "\u00fc"));
  EXPECT_THAT(ListKeys(R"(range { span { end_key: "b" } })"), ElementsAre("B", "a"));
  EXPECT_THAT(ListKeys(R"(range { span { } })"),
              ElementsAre("B", "a", "b", nul, "b/1", "b/2", "c", "\u00fc"));
  EXPECT_THAT(ListKeys(R"(range { prefix: "b" } descending: true)"),
              ElementsAre("b/2", "b/1", nul, "b"));
}

TEST_F(ListTest, PagesJoinUpInBothDirections) {
  Keys keys;
  for (int i = 0; i < 25; ++i) {
    keys.push_back(absl::StrFormat("p/%02d", i));
  }
  PutAll(keys);
  PutAll({"o", "q"});
  size_t pages = 0;
  EXPECT_EQ(ListKeys(R"(range { prefix: "p/" } page_size: 10)", &pages), keys);
  EXPECT_EQ(pages, 3U);
  EXPECT_EQ(ListKeys(R"(range { prefix: "p/" } page_size: 5)", &pages), keys);
  EXPECT_LE(pages, 6U);
  std::reverse(keys.begin(), keys.end());
  EXPECT_EQ(ListKeys(R"(range { prefix: "p/" } page_size: 10 descending: true)", &pages), keys);
  EXPECT_EQ(pages, 3U);
  EXPECT_EQ(ListKeys(R"(range { span { start_key: "p/" end_key: "p0" } }
                        page_size: 1 descending: true)"),
            keys);
}

TEST_F(ListTest, APageContinuesAfterItsLastKeyWhateverWasWrittenMeanwhile) {
  PutAll({"a", "c", "e", "g"});
  auto request = Proto<v1::ListRequest>(R"(range { prefix: "" } page_size: 2)");
  auto page = client().List(request);
  EXPECT_THAT(KeysOf(page.response), ElementsAre("a", "c"));
  const int64_t revision = page->header().revision();
  PutAll({"b", "d"});
  ASSERT_TRUE(client().Delete(Proto<v1::DeleteRequest>(R"(key: "c")")).ok());
  request.set_page_token(page->next_page_token());
  request.set_page_size(10);
  page = client().List(request);
  ASSERT_TRUE(page.ok()) << page;
  EXPECT_THAT(KeysOf(page.response), ElementsAre("d", "e", "g"));
  EXPECT_GT(page->header().revision(), revision) << "each page is read at its own revision";
}

TEST_F(ListTest, ValuesComeAsAskedFor) {
  PutAll({"a"});
  auto page = client().List(Proto<v1::ListRequest>(R"(range { key: "a" })"));
  EXPECT_EQ(page->kvs(0).data(), "value of a");
  EXPECT_EQ(page->kvs(0).mod_revision(), 1);
  EXPECT_EQ(page->kvs(0).version(), 1);
  page = client().List(Proto<v1::ListRequest>(R"(range { key: "a" } as_text: true)"));
  EXPECT_EQ(page->kvs(0).text(), "value of a");
  page = client().List(Proto<v1::ListRequest>(R"(range { key: "a" } keys_only: true)"));
  EXPECT_EQ(page->kvs(0).value_case(), v1::KeyValue::VALUE_NOT_SET);
  EXPECT_EQ(page->kvs(0).create_revision(), 1);
}

TEST_F(ListTest, CountOnlyCountsTheWholeRange) {
  PutAll({"a", "b/1", "b/2", "b/3"});
  auto page = client().List(
      Proto<v1::ListRequest>(R"(range { prefix: "b/" } count_only: true page_size: 1)"));
  ASSERT_TRUE(page.ok()) << page;
  EXPECT_EQ(page->count(), 3);
  EXPECT_EQ(page->kvs_size(), 0);
  EXPECT_EQ(page->next_page_token(), "");
}

TEST_F(ListTest, ATokenIsOnlyGoodForItsOwnArguments) {
  PutAll({"a/1", "a/2", "a/3"});
  auto request = Proto<v1::ListRequest>(R"(range { prefix: "a/" } page_size: 1)");
  const auto page = client().List(request);
  request.set_page_token(page->next_page_token());
  const auto expect_bad_token = [&](const char* change) {
    auto changed = request;
    changed.MergeFrom(Proto<v1::ListRequest>(change));
    const auto reply = client().List(changed);
    EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << change;
    EXPECT_EQ(reply.reason, "BAD_PAGE_TOKEN") << change << ": " << reply;
  };
  expect_bad_token(R"(range { prefix: "a" })");
  expect_bad_token(R"(descending: true)");
  expect_bad_token(R"(keys_only: true)");
  expect_bad_token(R"(as_text: true)");
  expect_bad_token(R"(count_only: true)");
  request.set_page_size(2);
  EXPECT_THAT(KeysOf(client().List(request).response), ElementsAre("a/2", "a/3"));
}

TEST_F(ListTest, APageHasAtMostSoManyKeys) {
  constexpr size_t kKeys = 10'050;
  std::atomic<size_t> failures{0};
  ParallelFor(kKeys, 32, [&](size_t i) {
    failures += client().PutText(absl::StrFormat("k%05d", i), "").ok() ? 0 : 1;
  });
  ASSERT_EQ(failures, 0U);
  auto request = Proto<v1::ListRequest>(R"(range { prefix: "k" } keys_only: true)");
  auto page = client().List(request);
  EXPECT_EQ(page->kvs_size(), 100) << "the default";
  request.set_page_size(1'000'000);
  page = client().List(request);
  ASSERT_TRUE(page.ok()) << page;
  EXPECT_EQ(page->kvs_size(), 10'000);
  request.set_page_token(page->next_page_token());
  page = client().List(request);
  EXPECT_EQ(page->kvs_size(), 50);
  EXPECT_EQ(page->next_page_token(), "");
  EXPECT_EQ(
      client().List(Proto<v1::ListRequest>(R"(range { prefix: "k" } count_only: true)"))->count(),
      static_cast<int64_t>(kKeys));
  const auto removed =
      client().DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { prefix: "k" })"));
  EXPECT_EQ(removed.reason, "RANGE_TOO_LARGE") << removed;
  EXPECT_EQ(removed.Meta("limit"), "10000") << removed;
  EXPECT_EQ(client().GetStatus()->key_count(), static_cast<int64_t>(kKeys)) << "nothing was done";
}

TEST(SlowReadsTest, AReadEndsWithItsTime) {
  // Calls without a deadline have next to no time; the others are not concerned.
  SingleNode node({"--request_timeout_ms=1"});
  ASSERT_TRUE(node.Start());
  ParallelFor(10'000, 32, [&](size_t i) {
    EXPECT_TRUE(node.client().PutText(absl::StrCat("k", i), "v").ok());
  });
  // Each of another range, so that the count is not known already.
  const auto request = [](const std::string& from) {
    return Proto<v1::ListRequest>(absl::StrCat("range { span { start_key: '", from,
                                               "' } } count_only: true consistency: "
                                               "CONSISTENCY_STALE"));
  };
  EXPECT_EQ(node.client().List(request("k"))->count(), 10'000);
  grpc::ClientContext no_deadline;
  v1::ListResponse response;
  const grpc::Status status = node.client().kv()->List(&no_deadline, request("k0"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
}

TEST(LargeValuesTest, APageHasAtMostThreeMiBButAtLeastOneKey) {
  SingleNode node({"--value_bytes_max=3145728"});
  ASSERT_TRUE(node.Start());
  const size_t sizes[] = {1 << 20, 1 << 20, 1 << 20, 1 << 20, 3 << 20, 1, 3 << 20};
  for (size_t i = 0; i < std::size(sizes); ++i) {
    const auto put = node.client().PutText("v" + std::to_string(i), std::string(sizes[i], 'x'));
    ASSERT_TRUE(put.ok()) << put;
  }
  for (const bool descending : {false, true}) {
    auto request = Proto<v1::ListRequest>(R"(range { prefix: "v" } as_text: true)");
    request.set_descending(descending);
    std::vector<size_t> seen;
    do {
      const auto page = node.client().List(request);
      ASSERT_TRUE(page.ok()) << page;
      ASSERT_GE(page->kvs_size(), 1);
      size_t bytes = 0;
      for (const v1::KeyValue& kv : page->kvs()) {
        bytes += kv.key().size() + kv.text().size();
        seen.push_back(kv.text().size());
      }
      EXPECT_TRUE(bytes <= 3 << 20 || page->kvs_size() == 1) << bytes;
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    if (descending) {
      std::reverse(seen.begin(), seen.end());
    }
    EXPECT_TRUE(std::equal(seen.begin(), seen.end(), std::begin(sizes), std::end(sizes)));
  }
  const auto removed = node.client().DeleteRange(
      Proto<v1::DeleteRangeRequest>(R"(range { prefix: "v" } return_previous: true)"));
  EXPECT_EQ(removed.reason, "RANGE_TOO_LARGE") << removed;
  EXPECT_EQ(node.client().GetStatus()->key_count(), 7) << "nothing was done";
  const auto previous =
      node.client().Put(Proto<v1::PutRequest>(R"(key: "v4" text: "" return_previous: true)"));
  ASSERT_TRUE(previous.ok()) << previous;
  EXPECT_EQ(previous->previous().data().size(), static_cast<size_t>(3 << 20));
}

}  // namespace
}  // namespace raftkv::integration
