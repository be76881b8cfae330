#include "storage/record_header_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/rng.h"

namespace raftkv::storage {
namespace {

constexpr uint64_t kBytes = 16 << 10;

kv::RecordHeader HeaderAt(int64_t revision) {
  return {.create_revision = 1,
          .mod_revision = revision,
          .version = revision,
          .deadline = raft::ClusterMillis(7)};
}

TEST(RecordHeaderCacheTest, KnowsWhatItWasToldLast) {
  RecordHeaderCache cache(kBytes);
  EXPECT_EQ(cache.Find("k"), std::nullopt);
  cache.Put("k", HeaderAt(2));
  EXPECT_EQ(cache.Find("k"), HeaderAt(2));
  cache.Put("k", HeaderAt(3));
  EXPECT_EQ(cache.Find("k"), HeaderAt(3));
  EXPECT_EQ(cache.Find("k2"), std::nullopt);
  EXPECT_EQ(cache.Find(std::string("k\0", 2)), std::nullopt);
  cache.Erase("k");
  EXPECT_EQ(cache.Find("k"), std::nullopt);
  cache.Erase("k");
}

TEST(RecordHeaderCacheTest, AnotherStateIsNotKnown) {
  RecordHeaderCache cache(kBytes);
  cache.Put("k", HeaderAt(2));
  cache.Clear();
  EXPECT_EQ(cache.Find("k"), std::nullopt);
  cache.Put("k", HeaderAt(3));
  EXPECT_EQ(cache.Find("k"), HeaderAt(3));
}

TEST(RecordHeaderCacheTest, LongKeysAreNeverKnown) {
  RecordHeaderCache cache(kBytes);
  const std::string longest(RecordHeaderCache::kKeyBytesMax, 'k');
  cache.Put(longest, HeaderAt(2));
  EXPECT_EQ(cache.Find(longest), HeaderAt(2));
  for (const size_t bytes : {RecordHeaderCache::kKeyBytesMax + 1, size_t{256}, size_t{311}}) {
    const std::string key(bytes, 'k');
    cache.Put(key, HeaderAt(3));
    EXPECT_EQ(cache.Find(key), std::nullopt) << bytes;
    cache.Erase(key);
  }
  EXPECT_EQ(cache.Find(longest), HeaderAt(2));
}

TEST(RecordHeaderCacheTest, WithoutRoomItKnowsNothing) {
  RecordHeaderCache cache(0);
  cache.Put("k", HeaderAt(2));
  EXPECT_EQ(cache.Find("k"), std::nullopt);
  cache.Erase("k");
  cache.Clear();
}

TEST(RecordHeaderCacheTest, WhatItKnowsIsAlwaysRightAndMostlyTheLatest) {
  RecordHeaderCache cache(kBytes);
  std::map<std::string, kv::RecordHeader> model;
  Rng rng(1);
  uint64_t known = 0;
  uint64_t asked = 0;
  for (int64_t revision = 1; revision < 200'000; ++revision) {
    // Four times as many keys as fit in. Headers grow with the revisions.
    const std::string key = absl::StrCat("key/", rng.Below(2000));
    if (rng.Below(10) == 0) {
      cache.Erase(key);
      model.erase(key);
    } else {
      cache.Put(key, HeaderAt(revision));
      model[key] = HeaderAt(revision);
    }
    ASSERT_EQ(cache.Find(key).has_value(), model.count(key) == 1) << key;
    const std::string other = absl::StrCat("key/", rng.Below(2000));
    const auto expected = model.find(other);
    asked += expected == model.end() ? 0 : 1;
    if (const auto found = cache.Find(other); found.has_value()) {
      ++known;
      ASSERT_NE(expected, model.end()) << other;
      ASSERT_EQ(*found, expected->second) << other;
    }
  }
  EXPECT_GT(known, asked / 8);
  EXPECT_LT(known, asked / 2) << "where does it keep all this?";
}

}  // namespace
}  // namespace raftkv::storage
