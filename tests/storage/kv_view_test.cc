#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kv/limits.h"
#include "storage/live_iterator.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Keys(const kv::ScanResult& result) {
  std::vector<std::string> keys;
  for (const log::v1::StoredKeyValue& row : result.rows) {
    keys.push_back(row.key());
  }
  return keys;
}

class KvViewTest : public OpenStoreTest {
 protected:
  kv::ScanResult Scan(const kv::ScanOptions& options) {
    const absl::StatusOr<kv::ScanResult> result = store_.machine().TakeView()->Scan(options);
    EXPECT_TRUE(result.ok()) << result.status();
    return *result;
  }
  static kv::DueKeys Due(const kv::KvView& view, uint64_t now, uint64_t keys_max = 100) {
    const absl::StatusOr<kv::DueKeys> due = view.FindDueKeys(raft::ClusterMillis(now), keys_max);
    EXPECT_TRUE(due.ok()) << due.status();
    return *due;
  }
  static std::vector<std::string> DueKeyNames(const kv::KvView& view, uint64_t now,
                                              uint64_t keys_max = 100) {
    std::vector<std::string> names;
    for (const kv::DueKeys::Due& due : Due(view, now, keys_max).keys) {
      names.push_back(due.key);
    }
    return names;
  }

  static constexpr uint64_t kMany = 1 << 20;
};

TEST_F(KvViewTest, StaysAsItWasTaken) {
  store_.Run({Put("a", "1"), PutTtl("b", "1", 100)});
  const std::shared_ptr<const kv::KvView> view = store_.machine().TakeView();
  store_.Run({Put("a", "2"), Delete("b"), Put("c", "3")});

  EXPECT_EQ(view->revision(), 2);
  EXPECT_EQ((*view->Get("a"))->value(), "1");
  EXPECT_EQ((*view->Get("a"))->key(), "a");
  EXPECT_TRUE((*view->Get("b")).has_value());
  EXPECT_FALSE((*view->Get("c")).has_value());
  EXPECT_EQ(*view->Count({}, nullptr), 2);
  EXPECT_THAT(DueKeyNames(*view, 5000), ElementsAre("b"));
  EXPECT_EQ(store_.machine().TakeView()->revision(), 5);
}

TEST_F(KvViewTest, VerifiesItsRows) {
  EXPECT_TRUE(store_.machine().TakeView()->Verify(nullptr).ok()) << "an empty one";
  store_.Run({Put("a", "1"), PutTtl("b", "1", 100), Put("c", "3")});
  const std::shared_ptr<const kv::KvView> view = store_.machine().TakeView();
  store_.Run({Put("a", "2"), Delete("c"), Txn({}, {KeepTtlOp("b", "2")})});
  EXPECT_EQ(view->Verify(nullptr), absl::OkStatus()) << "as of then";
  EXPECT_EQ(store_.machine().TakeView()->Verify(nullptr), absl::OkStatus());
  EXPECT_TRUE(absl::IsCancelled(view->Verify([] { return true; })));
}

TEST_F(KvViewTest, FindsRowsThatAreNotTheStates) {
  store_.Run({Put("a", "1"), PutTtl("b", "1", 100)});
  const std::string due = EncodeTtlKey(raft::ClusterMillis(1101), "b");
  store_.Close();
  const auto verify_with = [&](const char* family, const std::string& key,
                               const std::optional<std::string>& value) {
    const std::string before = DumpFamily(store_.database_path(), family)[key];
    OverwriteRow(store_.database_path(), family, key, value);
    store_.Open();
    absl::Status status = store_.machine().TakeView()->Verify(nullptr);
    store_.Close();
    OverwriteRow(store_.database_path(), family, key,
                 before.empty() ? std::nullopt : std::optional(before));
    return status;
  };
  std::string record = DumpFamily(store_.database_path(), "latest.1")["a"];
  record.back() = '2';
  const std::string hash = DumpFamily(store_.database_path(), "ttl.1")[due];
  ASSERT_FALSE(hash.empty());
  EXPECT_EQ(verify_with("latest.1", "a", std::nullopt).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(verify_with("latest.1", "c", record).code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status changed = verify_with("latest.1", "a", record);
  EXPECT_EQ(changed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(changed.message()), HasSubstr("the state at index 1 has 2 keys whose"));
  EXPECT_EQ(verify_with("ttl.1", due, std::nullopt).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(verify_with("ttl.1", due, std::string(hash.rbegin(), hash.rend())).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(verify_with("ttl.1", due, hash), absl::OkStatus()) << "all is as it was";
}

TEST_F(KvViewTest, ScansHalfOpenIntervalsBothWays) {
  store_.Run({Put("a", "1"), Put("b", "2"), Put("ba", "3"), Put("c", "4")});
  kv::ScanOptions options{.interval = {"b", "c"}, .keys_max = 10, .bytes_max = kMany};
  EXPECT_THAT(Keys(Scan(options)), ElementsAre("b", "ba"));
  options.descending = true;
  EXPECT_THAT(Keys(Scan(options)), ElementsAre("ba", "b"));
  options.interval = {"b", ""};
  EXPECT_THAT(Keys(Scan(options)), ElementsAre("c", "ba", "b"));
  options.interval = {"", "b"};
  EXPECT_THAT(Keys(Scan(options)), ElementsAre("a"));
  options.interval = {"c", "b"};
  EXPECT_THAT(Keys(Scan(options)), IsEmpty());
  EXPECT_EQ(*store_.machine().TakeView()->Count({"b", "c"}, nullptr), 2);
  EXPECT_EQ(*store_.machine().TakeView()->Count({"c", "b"}, nullptr), 0);
}

TEST_F(KvViewTest, LongReadsEndWhenTheyAreGivenUp) {
  std::vector<Command> puts;
  for (int i = 0; i < 200; ++i) {
    puts.push_back(Put("k" + std::to_string(i), "v"));
  }
  store_.Run(puts);
  int looks = 0;
  const kv::GivenUp at_the_second_look = [&looks] { return ++looks == 2; };
  const std::shared_ptr<const kv::KvView> view = store_.machine().TakeView();
  EXPECT_TRUE(absl::IsCancelled(view->Count({}, at_the_second_look).status()));
  EXPECT_EQ(looks, 2);
  looks = 0;
  const kv::ScanOptions scan{
      .interval = {}, .keys_max = 1000, .bytes_max = kMany, .given_up = at_the_second_look};
  EXPECT_TRUE(absl::IsCancelled(view->Scan(scan).status()));
  EXPECT_EQ(looks, 2);
}

TEST_F(KvViewTest, ScanSaysWhetherMoreIsLeft) {
  store_.Run({Put("a", "1"), Put("b", "2")});
  kv::ScanOptions options{.interval = {}, .keys_max = 2, .bytes_max = kMany};
  EXPECT_FALSE(Scan(options).more);
  options.keys_max = 1;
  EXPECT_TRUE(Scan(options).more);
  EXPECT_EQ(Scan(options).rows.size(), 1u);
}

TEST_F(KvViewTest, ScanIsBoundedByBytesButReturnsOneKey) {
  store_.Run({Put("a", std::string(99, 'x')), Put("b", std::string(99, 'x')), Put("c", "")});
  kv::ScanOptions options{.interval = {}, .keys_max = 10, .bytes_max = 200};
  EXPECT_THAT(Keys(Scan(options)), ElementsAre("a", "b"));
  EXPECT_TRUE(Scan(options).more);
  options.bytes_max = 1;
  EXPECT_THAT(Keys(Scan(options)), ElementsAre("a"));
  options.bytes_max = 3;
  options.keys_only = true;
  const kv::ScanResult keys = Scan(options);
  EXPECT_THAT(Keys(keys), ElementsAre("a", "b", "c"));
  EXPECT_EQ(keys.rows[0].value(), "");
  EXPECT_EQ(keys.rows[0].mod_revision(), 1);
}

TEST_F(KvViewTest, KeysAreBytes) {
  const std::string key("\0\xff\0", 3);
  store_.Run({Put(key, std::string("\0", 1))});
  EXPECT_EQ((*store_.machine().TakeView()->Get(key))->value(), std::string("\0", 1));
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store_.machine().GetCached(key, &record), kv::CacheLookup::kFound);
  EXPECT_EQ(record.key(), key);
  EXPECT_EQ(store_.machine().GetCached("other", &record), kv::CacheLookup::kAbsent);
}

TEST_F(KvViewTest, FindsDueKeysByDeadline) {
  store_.Run({PutTtl("z", "1", 100), PutTtl("a", "1", 300), PutTtl("m", "1", 200)}, 1000);
  const std::shared_ptr<const kv::KvView> view = store_.machine().TakeView();
  EXPECT_THAT(DueKeyNames(*view, 1100), IsEmpty());
  EXPECT_EQ(Due(*view, 1100).next_deadline, raft::ClusterMillis(1101));
  EXPECT_THAT(DueKeyNames(*view, 1201), ElementsAre("z", "m"));
  EXPECT_EQ(Due(*view, 1201).next_deadline, raft::ClusterMillis(1301));
  EXPECT_THAT(DueKeyNames(*view, 9999, 2), ElementsAre("z", "m"));
  EXPECT_EQ(Due(*view, 9999, 2).next_deadline, raft::ClusterMillis(1301));
  EXPECT_EQ(Due(*view, 9999).next_deadline, raft::ClusterMillis(0));
}

// Dead keys that this thread walked over while `read` ran.
template <typename Read>
uint64_t DeadKeysWalkedBy(const Read& read) {
  const uint64_t before = DeadKeysWalked();
  read();
  return DeadKeysWalked() - before;
}

// A thousand keys of the queue q/, and their removal.
std::pair<std::vector<Command>, std::vector<Command>> PutsAndDeletions() {
  std::pair<std::vector<Command>, std::vector<Command>> commands;
  for (int i = 1000; i < 2000; ++i) {
    commands.first.push_back(Put("q/" + std::to_string(i), "v"));
    commands.second.push_back(Delete("q/" + std::to_string(i)));
  }
  return commands;
}

TEST_F(KvViewTest, WhatDiedIsSteppedOverOnceTwoViewsHaveSeenIt) {
  const auto [puts, deletions] = PutsAndDeletions();
  store_.Run(puts);
  store_.Run({Put("q/2", "first"), Put("q/3", "v"), Put("a", "v")});
  store_.Run(deletions);
  const kv::ScanOptions first{.interval = {"q/", "q0"}, .keys_max = 1, .bytes_max = kMany};
  const auto list = [&] { EXPECT_THAT(Keys(Scan(first)), ElementsAre("q/2")); };
  EXPECT_GE(DeadKeysWalkedBy(list), 1000u);
  list();
  EXPECT_LT(DeadKeysWalkedBy(list), 10u);
  EXPECT_LT(DeadKeysWalkedBy([&] {
              EXPECT_EQ(*store_.machine().TakeView()->Count({"", ""}, nullptr), 3);
            }),
            10u);
  // Not over a key that is created there.
  store_.Run({Put("q/1500", "back")});
  EXPECT_LT(DeadKeysWalkedBy([&] { EXPECT_THAT(Keys(Scan(first)), ElementsAre("q/1500")); }), 10u);
}

// A queue at the end of the key space that clients poll.
TEST_F(KvViewTest, WhatDiedBehindTheLastKeyIsSteppedOverToo) {
  const auto [puts, deletions] = PutsAndDeletions();
  store_.Run(puts);
  store_.Run(deletions);
  const kv::ScanOptions all{.interval = {"q/", ""}, .keys_max = 10, .bytes_max = kMany};
  const auto list = [&] { EXPECT_THAT(Keys(Scan(all)), IsEmpty()); };
  EXPECT_GE(DeadKeysWalkedBy(list), 1000u);
  list();
  EXPECT_LT(DeadKeysWalkedBy(list), 10u);
  const std::string last(kv::kKeyBytesMax, '\xff');
  store_.Run({Put(last, "v"), Put("q/1500", "back")});
  EXPECT_LT(DeadKeysWalkedBy([&] { EXPECT_THAT(Keys(Scan(all)), ElementsAre("q/1500", last)); }),
            10u);
}

// What a view found dead may live by the time that it is told.
TEST_F(KvViewTest, AKeyThatWasCreatedDuringAWalkIsSeen) {
  std::vector<Command> puts;
  std::vector<Command> deletions;
  for (int i = 1000; i < 2000; ++i) {
    puts.push_back(Put(std::to_string(i), "v"));
    deletions.push_back(Delete(std::to_string(i)));
  }
  store_.Run(puts);
  store_.Run(deletions);
  const std::shared_ptr<const kv::KvView> before = store_.machine().TakeView();
  store_.Run({Put("1500", "back")});
  EXPECT_EQ(*before->Count({"1", "2"}, nullptr), 0);
  EXPECT_EQ(*store_.machine().TakeView()->Count({"1", "2"}, nullptr), 1);
}

TEST_F(KvViewTest, AViewTakenBeforeKnowsNoLaterDeath) {
  std::vector<Command> puts;
  std::vector<Command> deletions;
  for (int i = 1000; i < 2000; ++i) {
    puts.push_back(Put(std::to_string(i), "v"));
    deletions.push_back(Delete(std::to_string(i)));
  }
  store_.Run(puts);
  const std::shared_ptr<const kv::KvView> before = store_.machine().TakeView();
  store_.Run(deletions);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(*store_.machine().TakeView()->Count({"1", "2"}, nullptr), 0);
  }
  EXPECT_EQ(*before->Count({"1", "2"}, nullptr), 1000);
}

TEST_F(KvViewTest, CountsAreKnownWithoutAWalk) {
  kv::KvStateMachine& machine = store_.machine();
  std::vector<Command> puts;
  for (int i = 1000; i < 3000; ++i) {
    puts.push_back(Put(std::to_string(i), "v"));
  }
  store_.Run(puts);
  EXPECT_EQ(machine.KnownCount({}), 2000);
  const kv::KeyInterval interval{"1", "2"};
  EXPECT_EQ(machine.KnownCount(interval), std::nullopt);
  const uint64_t walk = machine.BeginCount(interval);
  const std::shared_ptr<const kv::KvView> view = machine.TakeView();
  store_.Run({Put("1", "v"), Put("1500", "again"), PutTtl("1x", "v", 10), Delete("1600")});
  machine.EndCount(walk, *view->Count(interval, nullptr));
  EXPECT_EQ(machine.KnownCount(interval), 1001);
  store_.Run({Expire(0, "", 10), Delete("2000"), Delete("gone")}, 5000);
  EXPECT_EQ(machine.KnownCount(interval), 1000);
  store_.Run({Txn({}, {DeleteRangeOp("1000", "1100"), PutOp("1050", "v")})});
  EXPECT_EQ(machine.KnownCount(interval), 901);
  EXPECT_EQ(*machine.TakeView()->Count(interval, nullptr), 901);
}

TEST_F(KvViewTest, EarliestDeadlineIsALowerBoundThatScansRaise) {
  kv::KvStateMachine& machine = store_.machine();
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(0));
  store_.Run({PutTtl("a", "1", 100), PutTtl("b", "1", 500)}, 1000);
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(1101));
  store_.Run({Delete("a")}, 1000);
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(1101)) << "only a scan raises it";

  const raft::LogIndex scanned = machine.applied().index;
  const std::shared_ptr<const kv::KvView> view = machine.TakeView();
  store_.Run({PutTtl("c", "1", 200)}, 1000);
  machine.OnScanned(scanned, Due(*view, 1150).next_deadline);
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(1201)) << "written after the view";
  machine.OnScanned(machine.applied().index, raft::ClusterMillis(1501));
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(1501));
  EXPECT_THAT(DueKeyNames(*machine.TakeView(), 1501), ElementsAre("b"));

  store_.Run({Delete("b"), Delete("c")}, 1000);
  machine.OnScanned(machine.applied().index, raft::ClusterMillis(0));
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(0));
  store_.Run({PutTtl("d", "1", 50)}, 1000);
  EXPECT_EQ(machine.earliest_deadline(), raft::ClusterMillis(1051));
}

TEST_F(KvViewTest, ManyDeadlinesBetweenScansKeepTheBound) {
  kv::KvStateMachine& machine = store_.machine();
  std::vector<raft::Entry> entries;
  for (uint64_t i = 1; i <= 3000; ++i) {
    entries.push_back(CommandEntry(i, {PutTtl("k" + std::to_string(i), "v", 100 + i)}, 1000));
  }
  for (const raft::Entry& entry : entries) {
    store_.Apply({entry});
  }
  machine.OnScanned(raft::LogIndex(2900), raft::ClusterMillis(0));
  EXPECT_LE(machine.earliest_deadline(), raft::ClusterMillis(1000 + 100 + 2901 + 1));
  EXPECT_GT(machine.earliest_deadline(), raft::ClusterMillis(0));
}

TEST_F(KvViewTest, DeadlinesSurviveARestart) {
  store_.Run({PutTtl("a", "1", 100)}, 1000);
  store_.Reopen();
  EXPECT_EQ(store_.machine().earliest_deadline(), raft::ClusterMillis(1101));
  EXPECT_THAT(DueKeyNames(*store_.machine().TakeView(), 1101), ElementsAre("a"));
}

}  // namespace
}  // namespace raftkv::storage
