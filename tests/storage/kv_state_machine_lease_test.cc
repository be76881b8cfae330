// Leases, applied by RocksDbKvStateMachine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/command_version.h"
#include "kv/history.h"
#include "rocksdb/slice_transform.h"
#include "storage/key_layout.h"
#include "storage/rocksdb_options.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::Operation;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kLease = 7;
constexpr uint64_t kTtlMs = 5000;

class KvLeaseTest : public OpenStoreTest {
 protected:
  KvLeaseTest() {
    store_.Found();
    Run(RaiseVersion(kv::kLeaseCommandVersion));
  }

  static Command Grant(int64_t id, uint64_t ttl_ms = kTtlMs, uint64_t leases_max = 100,
                       uint64_t keys_max = 100) {
    Command command;
    log::v1::GrantLease* const grant = command.mutable_grant_lease();
    grant->set_id(id);
    grant->set_ttl_ms(ttl_ms);
    grant->set_leases_max(leases_max);
    grant->set_keys_max(keys_max);
    return command;
  }
  static Command Renew(int64_t id, uint64_t ttl_ms = 0) {
    Command command;
    command.mutable_renew_lease()->set_id(id);
    command.mutable_renew_lease()->set_ttl_ms(ttl_ms);
    return command;
  }
  static Command Revoke(int64_t id) {
    Command command;
    command.mutable_revoke_lease()->set_id(id);
    return command;
  }
  static Command End(int64_t id) {
    Command command;
    command.mutable_expire_lease()->set_id(id);
    return command;
  }
  static Operation LeasedOp(const std::string& key, int64_t id) {
    Operation operation = PutOp(key, "v");
    operation.mutable_put()->set_lease_id(id);
    return operation;
  }
  static Command Leased(const std::string& key, int64_t id) { return Txn({}, {LeasedOp(key, id)}); }

  const kv::Lease* Find(int64_t id) { return store_.machine().leases().Find(id); }
  std::vector<std::string> Keys(int64_t id, const std::string& after = "",
                                uint64_t bytes_max = 1 << 20) {
    return store_.machine().TakeView()->FindLeaseKeys(id, after, bytes_max, nullptr)->keys;
  }
  // The rows are those that the state tells of, in memory, on disk and in a snapshot.
  void ExpectWhole() {
    EXPECT_EQ(store_.machine().TakeView()->Verify(nullptr), absl::OkStatus());
    EXPECT_EQ(store_.machine().leases().leases().size(), store_.machine().lease_totals().count);
    EXPECT_TRUE(store_.Stage(store_.Point(), store_.ReadSnapshot()).ok());
  }
  // Begins a term, as a new leader does.
  void BeginTerm(uint64_t term, uint64_t stamp) {
    raft::Entry entry = NoOpEntry(store_.machine().applied().index.value() + 1, term);
    entry.stamp = raft::ClusterMillis(stamp);
    store_.Append({entry});
    store_.Apply({entry});
    term_ = term;
  }
  CommandOutcome RunInTerm(const Command& command, uint64_t stamp) {
    const raft::Entry entry =
        CommandEntry(store_.machine().applied().index.value() + 1, {command}, stamp, term_);
    store_.Append({entry});
    return store_.Apply({entry}).at(0);
  }

  uint64_t term_ = 1;
};

TEST_F(KvLeaseTest, KeysGoWithTheirLease) {
  const CommandOutcome granted = Run(Grant(kLease), 1000);
  EXPECT_EQ(granted.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(granted.lease_id(), kLease);
  EXPECT_EQ(granted.lease_ttl_ms(), kTtlMs);
  EXPECT_EQ(granted.lease_lasts_ms(), kTtlMs);
  EXPECT_EQ(granted.revision(), 0) << "a lease is no key";
  Run(Leased("b", kLease));
  Run(Leased("a", kLease));
  Run(Put("other", "x"));
  EXPECT_EQ(Record("a").lease_id(), kLease);
  EXPECT_EQ(Record("a").deadline_ms(), 0U);
  EXPECT_THAT(Keys(kLease), ElementsAre("a", "b"));
  EXPECT_THAT(Keys(kLease, "a"), ElementsAre("b"));
  EXPECT_THAT(Keys(kLease, "", 1), ElementsAre("a")) << "one at least";
  EXPECT_EQ(Find(kLease)->keys, 2U);
  ExpectWhole();

  store_.machine().KeepEvents(true);
  const int64_t before = store_.machine().revision();
  const CommandOutcome revoked = Run(Revoke(kLease));
  EXPECT_EQ(revoked.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(revoked.lease_keys(), 2U);
  EXPECT_EQ(revoked.revision(), before + 1) << "all at one revision";
  const auto events = store_.machine().TakeEvents().events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].type, kv::HistoryEventType::kDelete);
  EXPECT_EQ(events[0].revision, before + 1);
  EXPECT_EQ(events[1].revision, before + 1);
  EXPECT_EQ(store_.Value("a"), "(absent)");
  EXPECT_EQ(store_.Value("other"), "x");
  EXPECT_EQ(Find(kLease), nullptr);
  EXPECT_EQ(Run(Revoke(kLease)).verdict(), CommandOutcome::VERDICT_LEASE_NOT_FOUND);
  ExpectWhole();
}

TEST_F(KvLeaseTest, ExpiresByTheEntrysStampAlone) {
  Run(Grant(kLease), 1000);
  Run(Leased("a", kLease), 1000);
  Run(Leased("b", kLease), 1000);
  const int64_t before = store_.machine().revision();
  Run(End(kLease), 1000 + kTtlMs);
  EXPECT_NE(Find(kLease), nullptr) << "stamps are rounded down";
  // Renewed meanwhile: who proposed its end was too late.
  Run(Renew(kLease), 1000 + kTtlMs);
  Run(End(kLease), 1001 + kTtlMs);
  EXPECT_NE(Find(kLease), nullptr);
  store_.machine().KeepEvents(true);
  Run(End(kLease), 1001 + 2 * kTtlMs);
  EXPECT_EQ(Find(kLease), nullptr);
  EXPECT_EQ(store_.machine().revision(), before + 1);
  EXPECT_EQ(store_.machine().expired_keys(), 2);
  EXPECT_EQ(store_.machine().expired_leases(), 1);
  for (const kv::HistoryEvent& event : store_.machine().TakeEvents().events) {
    EXPECT_EQ(event.type, kv::HistoryEventType::kExpire);
    EXPECT_EQ(event.revision, before + 1);
  }
  EXPECT_EQ(Run(Renew(kLease), 1001 + 2 * kTtlMs).verdict(),
            CommandOutcome::VERDICT_LEASE_NOT_FOUND);
  Run(End(kLease), 1001 + 2 * kTtlMs);
  EXPECT_EQ(store_.machine().revision(), before + 1) << "of a lease that is gone, nothing";
  ExpectWhole();
}

TEST_F(KvLeaseTest, ANewLeaderGivesEveryLeaseItsTimeAgain) {
  Run(Grant(kLease), 1000);
  Run(PutTtl("data", "v", kTtlMs), 1000);
  BeginTerm(2, 1000 + kTtlMs - 1);
  RunInTerm(End(kLease), 1001 + kTtlMs);
  EXPECT_NE(Find(kLease), nullptr) << "nobody could renew it meanwhile";
  RunInTerm(Expire(0, "", 10), 1001 + kTtlMs);
  EXPECT_EQ(store_.Value("data"), "(absent)") << "a key's own ttl goes on counting";
  const uint64_t until = 1000 + kTtlMs - 1 + kTtlMs + 1;
  RunInTerm(End(kLease), until - 1);
  EXPECT_NE(Find(kLease), nullptr);
  // A restart forgets no term.
  store_.Reopen();
  RunInTerm(End(kLease), until - 1);
  EXPECT_NE(Find(kLease), nullptr);
  RunInTerm(End(kLease), until);
  EXPECT_EQ(Find(kLease), nullptr);
  ExpectWhole();
}

TEST_F(KvLeaseTest, ARenewalMayLastForAnotherTime) {
  Run(Grant(kLease), 1000);
  EXPECT_EQ(Run(Renew(kLease, 100), 2000).lease_lasts_ms(), 100U);
  EXPECT_EQ(Run(Renew(kLease), 2050).lease_lasts_ms(), kTtlMs) << "as it was granted";
  EXPECT_EQ(Run(Renew(kLease, 100), 2100).lease_ttl_ms(), kTtlMs);
  Run(End(kLease), 2201);
  EXPECT_EQ(Find(kLease), nullptr);
}

TEST_F(KvLeaseTest, AWriteWithAnUnknownLeaseChangesNothing) {
  Run(Put("a", "old"));
  const int64_t before = store_.machine().revision();
  const CommandOutcome refused =
      Run(Txn({}, {PutOp("b", "1"), LeasedOp("a", 99), PutOp("c", "1")}));
  EXPECT_EQ(refused.verdict(), CommandOutcome::VERDICT_LEASE_NOT_FOUND);
  EXPECT_EQ(refused.lease_id(), 99);
  EXPECT_EQ(store_.machine().revision(), before);
  EXPECT_EQ(store_.Value("a"), "old");
  EXPECT_EQ(store_.Value("b"), "(absent)");
  Command touch;
  touch.mutable_txn()->add_operations()->mutable_touch()->set_key("a");
  touch.mutable_txn()->mutable_operations(0)->mutable_touch()->set_lease_id(99);
  EXPECT_EQ(Run(touch).verdict(), CommandOutcome::VERDICT_LEASE_NOT_FOUND);
  ExpectWhole();
}

TEST_F(KvLeaseTest, AFailureTakesBackWhatHungOnALease) {
  Run(Grant(kLease, kTtlMs, 100, /*keys_max=*/1));
  const CommandOutcome refused = Run(Txn({}, {LeasedOp("a", kLease), LeasedOp("b", kLease)}));
  EXPECT_EQ(refused.verdict(), CommandOutcome::VERDICT_LEASE_KEYS_FULL);
  EXPECT_EQ(refused.exceeding(), 1U);
  EXPECT_EQ(Find(kLease)->keys, 0U);
  EXPECT_EQ(store_.Value("a"), "(absent)");
  // The same key again takes no more room.
  EXPECT_EQ(Run(Leased("a", kLease)).verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(Run(Leased("a", kLease)).verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(Run(Leased("b", kLease)).verdict(), CommandOutcome::VERDICT_LEASE_KEYS_FULL);
  Run(Delete("a"));
  EXPECT_EQ(Run(Leased("b", kLease)).verdict(), CommandOutcome::VERDICT_APPLIED);
  ExpectWhole();
}

TEST_F(KvLeaseTest, WritesHangKeysOnAndOff) {
  Run(Grant(1));
  Run(Grant(2));
  Run(Leased("a", 1));
  Run(Txn({}, {KeepTtlOp("a", "kept")}));
  EXPECT_EQ(Record("a").lease_id(), 1);
  Run(Leased("a", 2));
  EXPECT_EQ(Find(1)->keys, 0U);
  EXPECT_EQ(Find(2)->keys, 1U);
  EXPECT_THAT(Keys(1), IsEmpty());
  Run(Put("a", "alone"));
  EXPECT_EQ(Record("a").lease_id(), 0);
  EXPECT_EQ(Find(2)->keys, 0U);

  Command touch;
  log::v1::TouchOperation* const operation = touch.mutable_txn()->add_operations()->mutable_touch();
  operation->set_key("a");
  operation->set_lease_id(1);
  const int64_t before = store_.machine().revision();
  Run(touch);
  EXPECT_EQ(Record("a").lease_id(), 1);
  EXPECT_EQ(store_.machine().revision(), before) << "a touch is no write";
  operation->set_ttl_ms(50);
  Run(touch, 1000);
  EXPECT_EQ(Record("a").lease_id(), 0);
  EXPECT_EQ(Record("a").deadline_ms(), 1051U);
  operation->set_lease_id(2);
  Run(touch);
  EXPECT_EQ(Record("a").deadline_ms(), 0U) << "it has the lease's life, and none of its own";
  operation->set_persist(true);
  Run(touch);
  EXPECT_EQ(Record("a").lease_id(), 0);

  Command increment;
  increment.mutable_txn()->add_operations()->mutable_increment()->set_key("n");
  increment.mutable_txn()->mutable_operations(0)->mutable_increment()->set_lease_id(1);
  Run(increment);
  increment.mutable_txn()->mutable_operations(0)->mutable_increment()->clear_lease_id();
  Run(increment);
  EXPECT_EQ(Record("n").lease_id(), 1) << "an increment keeps it";
  EXPECT_EQ(Find(1)->keys, 1U);
  ExpectWhole();
}

TEST_F(KvLeaseTest, WhatARunWroteAndTookAwayIsKnownWithinIt) {
  Run(Grant(kLease));
  Run(Leased("a", kLease));
  Run(Leased("c", kLease));
  // In one entry, and so in one run: a key comes, one goes, one leaves, and then all go.
  const std::vector<CommandOutcome> outcomes =
      store_.Run({Leased("b", kLease), Delete("a"), Put("c", "off"), Revoke(kLease), Grant(kLease),
                  Leased("d", kLease)});
  EXPECT_EQ(outcomes[3].lease_keys(), 1U);
  EXPECT_EQ(store_.Value("b"), "(absent)");
  EXPECT_EQ(store_.Value("c"), "off");
  EXPECT_THAT(Keys(kLease), ElementsAre("d"));
  ExpectWhole();
}

TEST_F(KvLeaseTest, GrantsAreBoundedAndRepeated) {
  EXPECT_EQ(Run(Grant(1, kTtlMs, 2)).verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_EQ(Run(Grant(1, kTtlMs, 2)).verdict(), CommandOutcome::VERDICT_LEASE_EXISTS);
  Command marked = Grant(0, kTtlMs, 2);
  marked.mutable_request()->set_id("grant");
  marked.mutable_request()->set_content_hash(1);
  marked.mutable_request()->set_keep_ms(1000);
  marked.mutable_request()->set_ids_max(10);
  marked.mutable_request()->set_bytes_max(1 << 20);
  const CommandOutcome chosen = Run(marked);
  EXPECT_EQ(chosen.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_GT(chosen.lease_id(), 0);
  EXPECT_LT(chosen.lease_id(), int64_t{1} << 53) << "JavaScript rounds larger numbers";
  const CommandOutcome again = Run(marked);
  EXPECT_TRUE(again.replayed());
  EXPECT_EQ(again.lease_id(), chosen.lease_id());
  const CommandOutcome full = Run(Grant(0, kTtlMs, 2));
  EXPECT_EQ(full.verdict(), CommandOutcome::VERDICT_LEASES_FULL);
  EXPECT_EQ(full.exceeding(), 2U);
  // Chosen ids differ, also within one entry.
  const auto two = store_.Run({Grant(0), Grant(0)});
  EXPECT_NE(two[0].lease_id(), two[1].lease_id());
  ExpectWhole();
}

TEST_F(KvLeaseTest, GuardsLookAtLeases) {
  Run(Grant(kLease));
  Run(Leased("a", kLease));
  log::v1::Guard guard;
  guard.set_key("a");
  guard.set_lease_id(kLease);
  EXPECT_EQ(Run(Txn({guard}, {PutOp("b", "1")})).verdict(), CommandOutcome::VERDICT_APPLIED);
  guard.set_lease_id(0);
  EXPECT_EQ(Run(Txn({guard}, {PutOp("b", "1")})).verdict(), CommandOutcome::VERDICT_GUARD_FAILED);
  guard.set_key("none");
  EXPECT_EQ(Run(Txn({guard}, {PutOp("b", "1")})).verdict(), CommandOutcome::VERDICT_APPLIED);
}

TEST_F(KvLeaseTest, ARestartAndASnapshotKeepThem) {
  Run(Grant(kLease), 1000);
  Run(Grant(8, 60'000), 1500);
  for (int i = 0; i < 50; ++i) {
    Run(Leased(absl::StrCat("key", i), kLease));
  }
  const std::vector<std::string> keys = Keys(kLease);
  ASSERT_EQ(keys.size(), 50U);
  const kv::Lease before = *Find(kLease);
  store_.Reopen();
  EXPECT_EQ(*Find(kLease), before);
  EXPECT_EQ(Keys(kLease), keys);
  Store other(dir_.File("other"));
  ASSERT_NO_FATAL_FAILURE(other.BeginWith(&store_));
  ASSERT_NE(other.machine().leases().Find(kLease), nullptr);
  EXPECT_EQ(*other.machine().leases().Find(kLease), before);
  EXPECT_EQ(other.machine().StateHash(other.machine().applied().index),
            store_.machine().StateHash(store_.machine().applied().index));
  const raft::Entry revoke =
      CommandEntry(other.machine().applied().index.value() + 1, {Revoke(kLease)});
  other.Append({revoke});
  EXPECT_EQ(other.Apply({revoke}).at(0).lease_keys(), 50U);
  EXPECT_EQ(other.machine().TakeView()->Verify(nullptr), absl::OkStatus());
}

TEST_F(KvLeaseTest, VerifySeesALeaseThatLostAKey) {
  Run(Grant(kLease));
  Run(Leased("a", kLease));
  store_.Close();
  OverwriteRow(store_.database_path(), "leases.1", EncodeLeasedKey(kLease, "a"), std::nullopt);
  store_.Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(store_.machine().TakeView()->Verify(nullptr)));
}

// Ids come in no order, and a memtable keeps each hint that it ever had.
TEST(LeasesFamilyTest, ALeaseIsNoNumberInOrder) {
  const StorageOptions options;
  const auto families = MakeColumnFamilies(
      options, DatabaseMemory(options),
      {absl::StrCat(kLeasesFamilyPrefix, 1), absl::StrCat(kRequestsFamilyPrefix, 1)});
  const auto& of_leases = families[0].options.memtable_insert_with_hint_prefix_extractor;
  EXPECT_TRUE(of_leases == nullptr || !of_leases->InDomain(EncodeLeaseKey(kLease)));
  const auto& of_requests = families[1].options.memtable_insert_with_hint_prefix_extractor;
  ASSERT_NE(of_requests, nullptr);
  EXPECT_TRUE(of_requests->InDomain(EncodeRequestPlaceKey(7)));
}

}  // namespace
}  // namespace raftkv::storage
