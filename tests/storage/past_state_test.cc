// States of the past, read from the real store and held against what it said at the time.
#include "kv/past_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/rng.h"
#include "kv/command_version.h"
#include "kv/key_walk.h"
#include "kv/limits.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::StoredKeyValue;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kMany = 1 << 20;

// What a Touch changes is left out: it has no revision.
std::string Describe(const StoredKeyValue& row) {
  return absl::StrCat(row.key(), "=", row.value(), " ", row.create_revision(), "/",
                      row.mod_revision(), "/", row.version());
}

log::v1::Command Compact(int64_t revision) {
  log::v1::Command command;
  command.mutable_compact_history()->set_revision(revision);
  return command;
}

log::v1::Command Touch(const std::string& key, uint64_t ttl_ms) {
  log::v1::Command command;
  log::v1::TouchOperation* touch = command.mutable_txn()->add_operations()->mutable_touch();
  touch->set_key(key);
  touch->set_ttl_ms(ttl_ms);
  return command;
}

class PastStateTest : public testing::Test {
 protected:
  PastStateTest() : store_(dir_.File("data")) {
    store_.options().history_limits = {
        .age_ms = 8000, .bytes = 40'000, .events = 200, .previous_bytes = 4000, .segments = 8};
    store_.Open();
    store_.Run({RaiseVersion(kv::kHistoryCommandVersion)});
  }

  using State = std::map<std::string, std::string>;  // By key, as Describe says.

  // Runs a command and remembers what became of it.
  void Run(const log::v1::Command& command, uint64_t stamp = 1000) {
    store_.Run({command}, stamp);
    State& state = states_[store_.machine().revision()];
    state.clear();
    for (const auto& [key, record] : store_.Records()) {
      state[key] = Describe(record);
    }
  }
  std::shared_ptr<kv::WalkSource> At(int64_t revision) {
    return std::make_shared<kv::WalkSource>(store_.machine().TakeView(),
                                            store_.machine().HistoryOnDisk(), revision);
  }
  static std::vector<std::string> Page(kv::WalkSource* source, const kv::ScanOptions& options,
                                       bool* more) {
    std::vector<std::string> rows;
    const absl::StatusOr<kv::ScanResult> page = source->Scan(options);
    EXPECT_TRUE(page.ok()) << page.status();
    if (page.ok()) {
      *more = page->more;
      for (const StoredKeyValue& row : page->rows) {
        rows.push_back(Describe(row));
      }
      EXPECT_LE(page->rows.size(), options.keys_max);
      EXPECT_FALSE(page->more && page->rows.empty());
    }
    return rows;
  }
  // All pages, one after the other.
  static std::vector<std::string> Scan(kv::WalkSource* source, kv::ScanOptions options) {
    std::vector<std::string> rows;
    while (true) {
      const absl::StatusOr<kv::ScanResult> page = source->Scan(options);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) {
        return rows;
      }
      for (const StoredKeyValue& row : page->rows) {
        rows.push_back(Describe(row));
      }
      if (!page->more) {
        return rows;
      }
      EXPECT_FALSE(page->rows.empty());
      if (options.descending) {
        options.interval.end = page->rows.back().key();
      } else {
        options.interval.start = page->rows.back().key() + '\0';
      }
    }
  }
  static std::vector<std::string> Expected(const State& state, const kv::KeyInterval& interval,
                                           bool descending) {
    std::vector<std::string> rows;
    for (const auto& [key, row] : state) {
      if (interval.Holds(key)) {
        rows.insert(descending ? rows.begin() : rows.end(), row);
      }
    }
    return rows;
  }
  void CheckScans(int64_t revision, const kv::KeyInterval& interval) {
    for (const bool descending : {false, true}) {
      const auto expected = Expected(states_[revision], interval, descending);
      for (const uint64_t keys_max : {uint64_t{1}, uint64_t{3}, kMany}) {
        EXPECT_EQ(Scan(At(revision).get(), {.interval = interval,
                                            .keys_max = keys_max,
                                            .bytes_max = kMany,
                                            .descending = descending}),
                  expected)
            << revision << " [" << interval.start << ", " << interval.end << ")";
      }
    }
    const auto count = At(revision)->Count(interval, nullptr);
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, static_cast<int64_t>(Expected(states_[revision], interval, false).size()));
  }
  std::string Get(int64_t revision, const std::string& key) {
    const auto record = At(revision)->Get(key, nullptr);
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() && record->has_value() ? Describe(**record) : "(absent)";
  }

  TempDir dir_;
  Store store_;
  std::map<int64_t, State> states_;  // By revision.
};

TEST_F(PastStateTest, AKeyReadsAsItWas) {
  Run(Put("a", "1"));               // 1
  Run(Put("b", "1"));               // 2
  Run(Put("a", "2"));               // 3
  Run(Delete("a"));                 // 4
  Run(Put("a", "3"));               // 5
  Run(PutTtl("t", "1", 10), 1000);  // 6
  Run(Expire(0, "", 10), 2000);     // 7
  EXPECT_EQ(Get(1, "a"), "a=1 1/1/1");
  EXPECT_EQ(Get(1, "b"), "(absent)");
  EXPECT_EQ(Get(2, "a"), "a=1 1/1/1");
  EXPECT_EQ(Get(3, "a"), "a=2 1/3/2");
  EXPECT_EQ(Get(4, "a"), "(absent)");
  EXPECT_EQ(Get(5, "a"), "a=3 5/5/1");
  EXPECT_EQ(Get(5, "t"), "(absent)");
  EXPECT_EQ(Get(6, "t"), "t=1 6/6/1");
  EXPECT_EQ(Get(7, "t"), "(absent)");
  EXPECT_EQ(Get(3, "never"), "(absent)");
}

TEST_F(PastStateTest, AKeyWithManyVersionsIsFoundForwards) {
  Run(Put("other", "1"));
  for (int i = 0; i < 60; ++i) {
    Run(Put("a", absl::StrCat(i)));
  }
  EXPECT_EQ(Get(2, "a"), "a=0 2/2/1");
  EXPECT_EQ(Get(30, "a"), "a=28 2/30/29");
  EXPECT_EQ(Get(1, "a"), "(absent)");
}

TEST_F(PastStateTest, ATouchIsNoRevision) {
  Run(Put("a", "1"));
  Run(Put("b", "1"));
  Run(Touch("a", 5000));
  EXPECT_EQ(Get(1, "a"), "a=1 1/1/1");
  const auto record = At(1)->Get("a", nullptr);
  EXPECT_NE((**record).deadline_ms(), 0u);
}

TEST_F(PastStateTest, ALeaseIsThatOfThen) {
  log::v1::Command grant;
  grant.mutable_grant_lease()->set_id(7);
  grant.mutable_grant_lease()->set_ttl_ms(60'000);
  grant.mutable_grant_lease()->set_leases_max(1);
  grant.mutable_grant_lease()->set_keys_max(1);
  store_.Run({grant});
  log::v1::Operation leased = PutOp("a", "1");
  leased.mutable_put()->set_lease_id(7);
  Run(Txn({}, {leased}));  // 1
  Run(Put("a", "2"));      // 2
  const auto record = At(1)->Get("a", nullptr);
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  EXPECT_EQ((**record).lease_id(), 7);
  const auto page = At(1)->Scan({.interval = {}, .keys_max = kMany, .bytes_max = kMany});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->rows.size(), 1U);
  EXPECT_EQ(page->rows[0].lease_id(), 7);
  EXPECT_EQ((*At(2)->Get("a", nullptr))->lease_id(), 0);
}

TEST_F(PastStateTest, ARangeReadsAsItWas) {
  for (const char* key : {"b", "d", "f", "h"}) {
    Run(Put(key, "1"));
  }
  Run(Txn({}, {DeleteRangeOp("c", "g"), PutOp("a", "2"), PutOp("e", "2")}));
  bool more = false;
  auto past = At(4);
  EXPECT_THAT(Page(past.get(), {.interval = {}, .keys_max = 2, .bytes_max = kMany}, &more),
              ElementsAre("b=1 1/1/1", "d=1 2/2/1"));
  EXPECT_TRUE(more);
  EXPECT_THAT(
      Page(past.get(), {.interval = {.start = "e", .end = ""}, .keys_max = 2, .bytes_max = kMany},
           &more),
      ElementsAre("f=1 3/3/1", "h=1 4/4/1"));
  EXPECT_FALSE(more);
  EXPECT_THAT(
      Page(past.get(), {.interval = {.start = "e", .end = "e"}, .keys_max = 2, .bytes_max = kMany},
           &more),
      IsEmpty());
  // Bytes of keys and values end a page, but not before its first row.
  EXPECT_THAT(Page(past.get(), {.interval = {}, .keys_max = 9, .bytes_max = 5}, &more),
              ElementsAre("b=1 1/1/1", "d=1 2/2/1"));
  EXPECT_THAT(Page(past.get(), {.interval = {}, .keys_max = 9, .bytes_max = 1}, &more),
              ElementsAre("b=1 1/1/1"));
  EXPECT_THAT(Page(past.get(),
                   {.interval = {}, .keys_max = 1, .bytes_max = kMany, .keys_only = true}, &more),
              ElementsAre("b= 1/1/1"));
}

TEST_F(PastStateTest, EveryStateThatIsKeptIsReadAsItWas) {
  Rng rng(20261129);
  const auto any_key = [&] { return absl::StrCat("k", rng.Next() % 12); };
  uint64_t stamp = 1000;
  for (int step = 0; step < 400; ++step) {
    stamp += rng.Next() % 60;
    switch (rng.Next() % 10) {
      case 0:
      case 1:
        Run(Delete(any_key()), stamp);
        break;
      case 2:
        Run(Txn({}, {DeleteRangeOp(any_key(), "k9"), PutOp(any_key(), absl::StrCat(step))}), stamp);
        break;
      case 3:
        Run(PutTtl(any_key(), absl::StrCat(step), 50), stamp);
        break;
      case 4:
        Run(Expire(0, "", 10), stamp);
        break;
      case 5:
        Run(Touch(any_key(), 100), stamp);
        break;
      default:
        Run(Put(any_key(), absl::StrCat(step, std::string(rng.Next() % 100, 'x'))), stamp);
    }
    if (step % 50 != 49) {
      continue;
    }
    if (step == 249) {
      Run(Compact(store_.machine().revision() - 20), stamp);
    }
    const int64_t newest = store_.machine().revision();
    const int64_t readable = store_.machine().history().readable;
    ASSERT_LT(readable, newest - 10) << "nothing is tried";
    for (int64_t revision = std::max<int64_t>(readable, 1); revision <= newest;
         revision += 1 + static_cast<int64_t>(rng.Below(8))) {
      for (int key = 0; key < 12; ++key) {
        const std::string name = absl::StrCat("k", key);
        const auto expected = states_[revision].find(name);
        EXPECT_EQ(Get(revision, name),
                  expected == states_[revision].end() ? "(absent)" : expected->second)
            << name << " at " << revision;
      }
      CheckScans(revision, {.start = "", .end = ""});
      CheckScans(revision, {.start = "k1", .end = "k5"});
      CheckScans(revision, {.start = any_key(), .end = ""});
    }
  }
}

TEST_F(PastStateTest, MoreChangesThanAreRememberedAreReadInStretches) {
  store_.options().history_limits = {};
  store_.Reopen();
  // So long that the changes of half of the keys fill the memory for them.
  const uint64_t keys = 2 * kv::kPastChangesBytesMax / kv::kKeyBytesMax;
  const auto name = [](uint64_t i) {
    return absl::StrCat(10'000 + i, std::string(kv::kKeyBytesMax - 5, 'k'));
  };
  std::vector<log::v1::Operation> puts;
  for (uint64_t i = 0; i < keys; ++i) {
    puts.push_back(PutOp(name(i), "old"));
  }
  Run(Txn({}, puts));
  const int64_t revision = store_.machine().revision();
  for (uint64_t i = 0; i < keys; ++i) {
    store_.Run({i % 3 == 0 ? Delete(name(i)) : Put(name(i), "new")});
  }
  for (const bool descending : {false, true}) {
    const auto expected = Expected(states_[revision], {}, descending);
    auto past = At(revision);
    EXPECT_EQ(
        Scan(past.get(),
             {.interval = {}, .keys_max = 100, .bytes_max = 8 * kMany, .descending = descending}),
        expected);
    // From the beginning again, of which nothing is remembered any more.
    EXPECT_EQ(
        Scan(past.get(),
             {.interval = {}, .keys_max = kMany, .bytes_max = 8 * kMany, .descending = descending}),
        expected);
  }
}

TEST_F(PastStateTest, WhatIsRemovedMeanwhileIsNotTakenForSilence) {
  Run(Put("a", "1"));
  Run(Put("b", "1"));
  Run(Put("a", "2"));
  auto past = At(1);
  Run(Compact(3));
  EXPECT_TRUE(absl::IsOutOfRange(past->Get("a", nullptr).status()));
  EXPECT_TRUE(absl::IsOutOfRange(past->Get("never", nullptr).status()));
  EXPECT_TRUE(
      absl::IsOutOfRange(past->Scan({.interval = {}, .keys_max = 1, .bytes_max = kMany}).status()));
}

TEST_F(PastStateTest, AReadThatIsGivenUpEnds) {
  Run(Put("a", "1"));
  Run(Delete("a"));
  const kv::GivenUp given_up = [] { return true; };
  EXPECT_TRUE(absl::IsCancelled(At(1)->Get("a", given_up).status()));
  EXPECT_TRUE(absl::IsCancelled(
      At(1)
          ->Scan({.interval = {}, .keys_max = 1, .bytes_max = kMany, .given_up = given_up})
          .status()));
}

}  // namespace
}  // namespace raftkv::storage
