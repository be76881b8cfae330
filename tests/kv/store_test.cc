#include "kv/store.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/command_version.h"
#include "kv/errors.h"
#include "tests/kv/single_member.h"
#include "tests/kv/three_members.h"

namespace raftkv::kv {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;

class StoreTest : public SingleMemberTest {
 protected:
  StoreTest() { machine_.outcome.set_verdict(CommandOutcome::VERDICT_APPLIED); }

  ReadFreshness Fresh() const { return {.deadline = In(kNanosPerSecond)}; }
  ReadFreshness Stale(int64_t min_revision = 0) const {
    return {.linearizable = false, .min_revision = min_revision, .deadline = In(kNanosPerSecond)};
  }
  static Command PutUnderAnId() {
    Command command = GuardedPut("k");
    command.mutable_request()->set_id("an id");
    return command;
  }
  static Command GuardedPut(const std::string& key) {
    Command command;
    command.mutable_txn()->add_guards()->set_key(key);
    command.mutable_txn()->add_operations()->mutable_put()->set_key(key);
    return command;
  }
  static Command DeleteAll(uint64_t keys_max) {
    Command command;
    command.mutable_txn()->add_operations()->mutable_delete_()->set_keys_max(keys_max);
    return command;
  }
};

using WriteAnswer = Answer<absl::StatusOr<CommandOutcome>>;
using GetAnswer = Answer<absl::StatusOr<Store::Found>>;
using PageAnswer = Answer<absl::StatusOr<Store::Page>>;
using CountAnswer = Answer<absl::StatusOr<Store::Counted>>;
using VerifyAnswer = Answer<absl::StatusOr<Store::Verified>>;

TEST_F(StoreTest, AWriteIsAnsweredWithItsOutcome) {
  StartLeader();
  WriteAnswer answer;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), answer.callback());
  EXPECT_FALSE(answer.has_come());
  Turn();
  ASSERT_TRUE(answer.has_come());
  ASSERT_TRUE(answer->ok()) << answer->status();
  EXPECT_EQ((**answer).revision(), store().revision());
}

TEST_F(StoreTest, AWriteIsNotAnsweredBeforeItIsDurable) {
  StartLeader();
  log_.HoldWrites();
  WriteAnswer answer;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), answer.callback());
  Turn();
  EXPECT_FALSE(answer.has_come());
  log_.ReleaseWrites();
  Turn();
  EXPECT_TRUE(answer.has_come());
}

TEST_F(StoreTest, AFailedGuardNamesItsKey) {
  StartLeader();
  machine_.outcome.set_verdict(CommandOutcome::VERDICT_GUARD_FAILED);
  machine_.outcome.set_current_mod_revision(7);
  WriteAnswer answer;
  store().Write(GuardedPut("the key"), In(kNanosPerSecond), answer.callback());
  Turn();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status(), PreconditionFailedError("the key", 7));
}

TEST_F(StoreTest, ARangeThatIsTooLargeNamesItsLimit) {
  StartLeader();
  machine_.outcome.set_verdict(CommandOutcome::VERDICT_RANGE_TOO_LARGE);
  machine_.outcome.set_exceeding(501);
  WriteAnswer answer;
  store().Write(DeleteAll(500), In(kNanosPerSecond), answer.callback());
  Turn();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(FindErrorInfo(answer->status())->metadata().at("size"), "501");
  EXPECT_EQ(FindErrorInfo(answer->status())->metadata().at("limit"), "500");
}

TEST_F(StoreTest, WhatNotEveryMemberKnowsIsNotProposed) {
  StartLeader();
  machine_.version = 0;
  WriteAnswer answer;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), answer.callback());
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(FindErrorInfo(answer->status())->reason(), "MEMBER_TOO_OLD");
  Turn();
  EXPECT_TRUE(machine_.commands.empty());
}

// A cluster that was just founded knows for a moment too little of its members.
TEST_F(StoreTest, AWriteWaitsForAVersionThatIsAboutToCome) {
  const std::optional<log::v1::ClusterConfiguration> configuration = ThreeMembers();
  MemberDirectory directory(SelfOf(1), &configuration, &machine_);
  StartLeader(&directory);
  WriteAnswer answer;
  WriteAnswer too_late;
  store().Write(PutUnderAnId(), In(10 * kNanosPerSecond), answer.callback());
  store().Write(PutUnderAnId(), In(kNanosPerSecond / 10), too_late.callback());
  Tick(9);
  EXPECT_FALSE(answer.has_come());
  EXPECT_FALSE(too_late.has_come());
  Tick(2);
  ASSERT_TRUE(too_late.has_come());
  EXPECT_EQ(FindErrorInfo(too_late->status())->reason(), "MEMBER_TOO_OLD");
  machine_.version = kTxnCommandVersion;
  Tick(2);
  ASSERT_TRUE(answer.has_come());
  EXPECT_TRUE(answer->ok()) << answer->status();
}

TEST_F(StoreTest, AWriteWaitsForNoVersionForLong) {
  const std::optional<log::v1::ClusterConfiguration> configuration = ThreeMembers();
  MemberDirectory directory(SelfOf(1), &configuration, &machine_);
  StartLeader(&directory);
  WriteAnswer answer;
  store().Write(PutUnderAnId(), In(10 * kNanosPerSecond), answer.callback());
  Tick(static_cast<int>(kVersionWait / (10 * kNanosPerMilli)) + 1);
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(FindErrorInfo(answer->status())->reason(), "MEMBER_TOO_OLD");

  WriteAnswer stopped;
  store().Write(PutUnderAnId(), In(10 * kNanosPerSecond), stopped.callback());
  store().Drain();
  Tick();
  ASSERT_TRUE(stopped.has_come());
  EXPECT_EQ(stopped->status(), ShuttingDownError());
}

TEST_F(StoreTest, AWriteDoesNotWaitWhileAMemberIsKnownToBeTooOld) {
  const std::optional<log::v1::ClusterConfiguration> configuration = ThreeMembers();
  MemberDirectory directory(SelfOf(1), &configuration, &machine_);
  StartLeader(&directory);
  machine_.records[2].set_command_version(kTxnCommandVersion - 1);
  WriteAnswer answer;
  store().Write(PutUnderAnId(), In(10 * kNanosPerSecond), answer.callback());
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(FindErrorInfo(answer->status())->reason(), "MEMBER_TOO_OLD");
}

TEST_F(StoreTest, WithoutALeaderNothingWasProposed) {
  Start(3);
  WriteAnswer write;
  GetAnswer get;
  store().Write(GuardedPut("k"), In(10 * kNanosPerSecond), write.callback());
  store().Get("k", {.deadline = In(10 * kNanosPerSecond)}, get.callback());
  Tick(99);
  EXPECT_FALSE(write.has_come());
  EXPECT_FALSE(get.has_come());
  Tick(10);
  ASSERT_TRUE(write.has_come());
  ASSERT_TRUE(get.has_come());
  EXPECT_EQ(write->status(), NoLeaderError());
  EXPECT_EQ(get->status(), NoLeaderError());
}

TEST_F(StoreTest, AWriteWhoseFateIsOpenAtItsDeadlineIsUnknown) {
  StartLeader();
  log_.HoldWrites();
  WriteAnswer answer;
  store().Write(GuardedPut("k"), In(kNanosPerSecond / 10), answer.callback());
  Tick(9);
  EXPECT_FALSE(answer.has_come());
  Tick(2);
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status(), OutcomeUnknownError());
}

TEST_F(StoreTest, AGetTakesWhatIsCached) {
  StartLeader();
  machine_.cached = CacheLookup::kFound;
  machine_.cached_record.set_value("v");
  machine_.answers.revision = 5;
  GetAnswer found;
  store().Get("k", Fresh(), found.callback());
  Turn();
  ASSERT_TRUE(found.has_come());
  ASSERT_TRUE(found->ok()) << found->status();
  EXPECT_EQ((**found).at.revision, 5);
  EXPECT_EQ((**found).record->key(), "k");
  EXPECT_EQ((**found).record->value(), "v");

  machine_.cached = CacheLookup::kAbsent;
  GetAnswer absent;
  store().Get("k", Fresh(), absent.callback());
  Turn();
  ASSERT_TRUE(absent.has_come());
  EXPECT_FALSE((**absent).record.has_value());
  EXPECT_TRUE(pool_.lengths.empty()) << "nothing waited for the disk";
}

TEST_F(StoreTest, AGetThatIsNotCachedReadsTheStateOfItsMoment) {
  StartLeader();
  machine_.answers.revision = 5;
  machine_.answers.get = log::v1::StoredKeyValue();
  GetAnswer answer;
  store().Get("k", Fresh(), answer.callback());
  Turn();
  EXPECT_FALSE(answer.has_come());
  machine_.answers.revision = 6;
  pool_.RunAll();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ((**answer).at.revision, 5) << "from the view that was taken when it began";
  EXPECT_TRUE((**answer).record.has_value());
  EXPECT_EQ(pool_.lengths, std::vector{DiskPool::Length::kShort});
}

// The round that confirms the leadership begins after the read arrived: without an answer from the
// others, the read must wait.
TEST_F(StoreTest, AStaleReadNeedsNobody) {
  Start(3);
  machine_.cached = CacheLookup::kAbsent;
  GetAnswer stale;
  GetAnswer fresh;
  store().Get("k", Stale(), stale.callback());
  store().Get("k", Fresh(), fresh.callback());
  Turn();
  EXPECT_TRUE(stale.has_come());
  EXPECT_FALSE(fresh.has_come());
  Tick(150);
  EXPECT_EQ(fresh->status(), NoLeaderError());
}

TEST_F(StoreTest, AReadWaitsForItsRevision) {
  StartLeader();
  machine_.cached = CacheLookup::kAbsent;
  machine_.answers.revision = 4;
  GetAnswer reached;
  GetAnswer late;
  store().Get("k", Stale(5), reached.callback());
  store().Get("k", Stale(6), late.callback());
  Turn();
  EXPECT_FALSE(reached.has_come());
  WriteAnswer write;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), write.callback());
  Turn();
  ASSERT_TRUE(reached.has_come());
  EXPECT_EQ((**reached).at.revision, 5);
  EXPECT_FALSE(late.has_come());
  Tick(101);
  ASSERT_TRUE(late.has_come());
  EXPECT_EQ(late->status(), TooStaleError(6, 5));
}

TEST_F(StoreTest, AStateThatIsNotThereIsNotRead) {
  StartLeader();
  machine_.answers.revision = 9;
  machine_.version = kHistoryCommandVersion;
  machine_.history_state.readable = 5;
  const auto refusal = [&](int64_t at) {
    ReadFreshness freshness = Stale();
    freshness.at_revision = at;
    GetAnswer get;
    PageAnswer page;
    CountAnswer count;
    Answer<absl::StatusOr<Store::Walk>> walk;
    store().Get("k", freshness, get.callback());
    store().Scan({.interval = {}, .keys_max = 1}, freshness, page.callback());
    store().Count({}, freshness, count.callback());
    store().BeginWalk(freshness, walk.callback());
    EXPECT_TRUE(get.has_come() && page.has_come() && count.has_come() && walk.has_come());
    EXPECT_EQ(page->status(), get->status());
    EXPECT_EQ(count->status(), get->status());
    EXPECT_EQ(walk->status(), get->status());
    return get->status();
  };
  EXPECT_EQ(refusal(10), RevisionFutureError(10, 9));
  EXPECT_EQ(refusal(4), StateCompactedError(4, 5));
  machine_.version = kHistoryCommandVersion - 1;
  EXPECT_EQ(refusal(6), ClusterTooOldError(kHistoryCommandVersion, kHistoryCommandVersion - 1));
}

TEST_F(StoreTest, AReadOfTheNewestRevisionNeedsNoHistory) {
  StartLeader();
  machine_.answers.revision = 9;
  machine_.answers.get = log::v1::StoredKeyValue();
  ReadFreshness freshness = Stale();
  freshness.at_revision = 9;
  GetAnswer get;
  store().Get("k", freshness, get.callback());
  pool_.RunAll();
  ASSERT_TRUE(get.has_come());
  EXPECT_TRUE((**get).record.has_value());
  EXPECT_EQ((**get).at.revision, 9);
  EXPECT_EQ((**get).at.age, std::nullopt);
}

TEST_F(StoreTest, AKeyThatHasNotChangedSinceIsReadFromMemory) {
  StartLeader();
  machine_.version = kHistoryCommandVersion;
  machine_.answers.revision = 9;
  machine_.cached = CacheLookup::kFound;
  machine_.cached_record.set_mod_revision(6);
  ReadFreshness freshness = Stale();
  freshness.at_revision = 6;
  GetAnswer get;
  store().Get("k", freshness, get.callback());
  ASSERT_TRUE(get.has_come());
  EXPECT_EQ((**get).record->key(), "k");
  EXPECT_EQ((**get).at.revision, 6);
}

TEST_F(StoreTest, AWalkGoesOnFromAnotherStateOnceItsOwnIsLetGo) {
  StartLeader();
  machine_.version = kHistoryCommandVersion;
  machine_.answers.revision = 9;
  machine_.history_state.readable = 5;
  Answer<absl::StatusOr<Store::Walk>> begun;
  store().BeginWalk(Stale(), begun.callback());
  ASSERT_TRUE(begun.has_come());
  KeyWalk* const walk = (**begun).keys.get();
  EXPECT_EQ(walk->revision(), 9);
  const auto read = [&] {
    auto keys = std::make_unique<Answer<absl::StatusOr<ScanResult>>>();
    store().ReadWalk(walk, {.interval = {}, .keys_max = 1}, In(kNanosPerSecond), keys->callback());
    pool_.RunAll();
    EXPECT_TRUE(keys->has_come());
    return (*keys)->status();
  };
  EXPECT_TRUE(read().ok());
  store().LetGo(walk);
  EXPECT_EQ(walk->source(), nullptr);
  EXPECT_TRUE(read().ok());
  EXPECT_FALSE(walk->source()->past.has_value());
  store().LetGo(walk);
  machine_.answers.revision = 12;
  machine_.history_state.readable = 10;
  EXPECT_EQ(read(), StateCompactedError(9, 10));
}

// Revision 0 is a state like any other, and not that of now.
TEST_F(StoreTest, AWalkOverAnEmptyStoreStaysEmpty) {
  StartLeader();
  machine_.version = kHistoryCommandVersion;
  Answer<absl::StatusOr<Store::Walk>> begun;
  store().BeginWalk(Stale(), begun.callback());
  ASSERT_TRUE(begun.has_come());
  KeyWalk* const walk = (**begun).keys.get();
  ASSERT_EQ(walk->revision(), 0);
  store().LetGo(walk);
  machine_.answers.revision = 3;
  machine_.history_state.readable = 1;
  Answer<absl::StatusOr<ScanResult>> keys;
  store().ReadWalk(walk, {.interval = {}, .keys_max = 1}, In(kNanosPerSecond), keys.callback());
  ASSERT_TRUE(keys.has_come());
  EXPECT_EQ(keys->status(), StateCompactedError(0, 1));
}

class StateAgeTest : public StoreTest {
 protected:
  StateAgeTest() { machine_.cached = CacheLookup::kAbsent; }

  ReadFreshness AtMost(MonotonicNanos age) const {
    ReadFreshness freshness = Stale();
    freshness.age_max = age;
    return freshness;
  }
  // What a read that needs nobody's answer came to.
  std::optional<Store::ReadPoint> ReadAtOnce(const ReadFreshness& freshness) {
    auto answer = std::make_shared<GetAnswer>();
    store().Get("k", freshness, [answer](auto found) { answer->callback()(std::move(found)); });
    return answer->has_come() ? std::optional((**answer)->at) : std::nullopt;
  }
};

TEST_F(StateAgeTest, CountsFromWhenTheLeaderWasAsked) {
  StartLeader();
  GetAnswer fresh;
  store().Get("k", Fresh(), fresh.callback());
  clock_.Advance(20 * kNanosPerMilli);
  Turn();
  ASSERT_TRUE(fresh.has_come());
  EXPECT_EQ((**fresh).at.age, std::nullopt);

  EXPECT_EQ(ReadAtOnce(AtMost(20 * kNanosPerMilli))->age, 20 * kNanosPerMilli);
  EXPECT_EQ(ReadAtOnce(AtMost(20 * kNanosPerMilli - 1)), std::nullopt);
  EXPECT_EQ(ReadAtOnce(Stale())->age, 20 * kNanosPerMilli);
  clock_.Advance(kNanosPerMilli);
  EXPECT_EQ(ReadAtOnce(AtMost(20 * kNanosPerMilli)), std::nullopt);
  EXPECT_EQ(ReadAtOnce(Stale())->age, 21 * kNanosPerMilli);
}

TEST_F(StateAgeTest, AStateThatIsTooOldIsMadeFresh) {
  StartLeader();
  clock_.Advance(kNanosPerSecond);
  GetAnswer answer;
  store().Get("k", AtMost(kNanosPerMilli), answer.callback());
  EXPECT_FALSE(answer.has_come());
  Turn();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ((**answer).at.age, std::nullopt);
}

TEST_F(StateAgeTest, WithoutALeaderItIsTooStale) {
  Start(3);
  EXPECT_EQ(ReadAtOnce(Stale())->age, std::nullopt);
  GetAnswer answer;
  store().Get("k", AtMost(kNanosPerSecond), answer.callback());
  Tick(150);
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status(), TooOldError(std::nullopt, kNanosPerSecond));
}

// What was young enough when the read came may not be any more.
TEST_F(StateAgeTest, IsLookedAtOnceTheRevisionIsThere) {
  StartLeader();
  GetAnswer fresh;
  store().Get("k", Fresh(), fresh.callback());
  Turn();
  ASSERT_TRUE(fresh.has_come());
  ReadFreshness freshness = AtMost(10 * kNanosPerMilli);
  freshness.min_revision = store().revision() + 1;
  GetAnswer answer;
  store().Get("k", freshness, answer.callback());
  clock_.Advance(11 * kNanosPerMilli);
  WriteAnswer write;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), write.callback());
  Turn();
  ASSERT_TRUE(write.has_come());
  EXPECT_FALSE(answer.has_come()) << "the leader was not asked";
  Turn();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ((**answer).at.age, std::nullopt);
}

TEST_F(StateAgeTest, IsFoundOutNowAndThen) {
  StartLeader();
  Tick(500);
  const auto at = ReadAtOnce(Stale());
  ASSERT_TRUE(at.has_value() && at->age.has_value());
  EXPECT_LE(*at->age, kAgeCheckInterval + 20 * kNanosPerMilli);
}

TEST_F(StoreTest, TooManyWaitersAreRefused) {
  StartLeader();
  Answer<absl::Status> first;
  store().AwaitFreshness(Stale(1), first.callback());
  for (uint64_t i = 1; i < kRevisionWaitersMax; ++i) {
    store().AwaitFreshness(Stale(1), [](const absl::Status&) {});
  }
  Answer<absl::Status> refused;
  store().AwaitFreshness(Stale(1), refused.callback());
  EXPECT_FALSE(first.has_come());
  ASSERT_TRUE(refused.has_come());
  EXPECT_EQ(*refused, OverloadedError());
}

TEST_F(StoreTest, AListOfManyKeysIsLongWork) {
  StartLeader();
  machine_.answers.scan->more = true;
  PageAnswer few;
  PageAnswer many;
  store().Scan({.interval = {}, .keys_max = kShortListKeysMax}, Stale(), few.callback());
  store().Scan({.interval = {}, .keys_max = kShortListKeysMax + 1}, Stale(), many.callback());
  EXPECT_EQ(pool_.lengths, (std::vector{DiskPool::Length::kShort, DiskPool::Length::kLong}));
  pool_.RunAll();
  ASSERT_TRUE(few.has_come() && many.has_come());
  EXPECT_TRUE((**few).keys.more);
}

TEST_F(StoreTest, ACountThatIsKnownNeedsNoWalk) {
  StartLeader();
  machine_.known_count = 42;
  CountAnswer answer;
  store().Count({}, Stale(), answer.callback());
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ((**answer).keys, 42);
  EXPECT_EQ(machine_.walks_begun, 0u);
}

TEST_F(StoreTest, EveryWalkOfACountEnds) {
  StartLeader();
  machine_.answers.count = 3;
  CountAnswer counted;
  store().Count({}, Stale(), counted.callback());
  pool_.RunAll();
  EXPECT_EQ((**counted).keys, 3);
  EXPECT_EQ(machine_.walks_ended.at(1), 3);

  machine_.answers.count = absl::CancelledError();
  CountAnswer cancelled;
  store().Count({}, Stale(), cancelled.callback());
  pool_.RunAll();
  EXPECT_EQ(cancelled->status(), TooSlowError());
  EXPECT_EQ(machine_.walks_ended.at(2), std::nullopt);

  pool_.full = true;
  CountAnswer refused;
  store().Count({}, Stale(), refused.callback());
  EXPECT_EQ(refused->status(), OverloadedError());
  EXPECT_EQ(machine_.walks_ended.at(3), std::nullopt);
}

TEST_F(StoreTest, WhatWaitsTooLongForTheDiskIsNotBegun) {
  StartLeader();
  machine_.answers.get = absl::DataLossError("must not be read");
  GetAnswer answer;
  store().Get("k", Stale(), answer.callback());
  clock_.Advance(kNanosPerSecond);
  pool_.RunAll();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status(), TooSlowError());
  EXPECT_EQ(unusable_, "");
}

TEST_F(StoreTest, AFullPoolRefuses) {
  StartLeader();
  pool_.full = true;
  GetAnswer get;
  PageAnswer page;
  store().Get("k", Stale(), get.callback());
  store().Scan({.interval = {}, .keys_max = 1}, Stale(), page.callback());
  ASSERT_TRUE(get.has_come() && page.has_come());
  EXPECT_EQ(get->status(), OverloadedError());
  EXPECT_EQ(page->status(), OverloadedError());
}

TEST_F(StoreTest, DamageIsToldAndAnswered) {
  StartLeader();
  machine_.answers.get = absl::DataLossError("000007.sst");
  GetAnswer answer;
  store().Get("k", Stale(), answer.callback());
  pool_.RunAll();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status(), CorruptedError("000007.sst"));
  EXPECT_EQ(unusable_, "000007.sst");
}

TEST_F(StoreTest, TheNewestStateIsToldAtOnce) {
  StartLeader();
  VerifyAnswer answer;
  store().Verify(raft::LogIndex(0), /*scan=*/false, In(kNanosPerSecond), answer.callback());
  ASSERT_TRUE(answer.has_come());
  ASSERT_TRUE(answer->ok()) << answer->status();
  EXPECT_EQ((**answer).index, machine_.applied().index);
  EXPECT_EQ((**answer).digest, machine_.digests().At(machine_.applied().index));
  EXPECT_EQ(pool_.waiting(), 0u);
}

TEST_F(StoreTest, AStateThatIsNotAppliedYetIsWaitedFor) {
  StartLeader();
  const raft::LogIndex index = machine_.applied().index.Next();
  VerifyAnswer reached;
  VerifyAnswer late;
  store().Verify(index, /*scan=*/false, In(kNanosPerSecond), reached.callback());
  store().Verify(raft::LogIndex(1000), /*scan=*/false, In(kNanosPerSecond), late.callback());
  Turn();
  EXPECT_FALSE(reached.has_come());
  store().Write(GuardedPut("k"), In(kNanosPerSecond),
                [](const absl::StatusOr<CommandOutcome>& outcome) { EXPECT_TRUE(outcome.ok()); });
  Turn();
  ASSERT_TRUE(reached.has_come());
  EXPECT_EQ((**reached).index, index);
  Tick(99);
  EXPECT_FALSE(late.has_come());
  Tick(2);
  ASSERT_TRUE(late.has_come());
  EXPECT_EQ(late->status(), NotAppliedError(1000, machine_.applied().index.value()));
}

TEST_F(StoreTest, AStateThatIsForgottenNamesTheOldestThatIsNot) {
  StartLeader();
  for (size_t i = 0; i < ScriptedStateMachine::kDigestsKept; ++i) {
    store().Write(GuardedPut("k"), In(kNanosPerSecond),
                  [](const absl::StatusOr<CommandOutcome>& outcome) { EXPECT_TRUE(outcome.ok()); });
    Turn();
  }
  const uint64_t oldest = machine_.applied().index.value() + 1 - ScriptedStateMachine::kDigestsKept;
  VerifyAnswer known;
  VerifyAnswer forgotten;
  store().Verify(raft::LogIndex(oldest), /*scan=*/false, In(kNanosPerSecond), known.callback());
  store().Verify(raft::LogIndex(oldest - 1), /*scan=*/true, In(kNanosPerSecond),
                 forgotten.callback());
  ASSERT_TRUE(known.has_come() && forgotten.has_come());
  EXPECT_TRUE(known->ok()) << known->status();
  EXPECT_EQ(forgotten->status(), IndexTooOldError(oldest - 1, oldest));
  EXPECT_EQ(pool_.waiting(), 0u);
}

TEST_F(StoreTest, AScanIsALongReadAndItsAnswerThatOfTheStateWhereItBegan) {
  StartLeader();
  const raft::LogIndex index = machine_.applied().index;
  VerifyAnswer answer;
  store().Verify(raft::LogIndex(0), /*scan=*/true, In(kNanosPerSecond), answer.callback());
  EXPECT_FALSE(answer.has_come());
  EXPECT_EQ(pool_.lengths, std::vector{DiskPool::Length::kLong});
  pool_.RunAll();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ((**answer).index, index);
  EXPECT_EQ(unusable_, "");
}

TEST_F(StoreTest, RowsThatAreNotTheStatesAreTold) {
  StartLeader();
  machine_.answers.verified = absl::FailedPreconditionError("3 keys, and should have 2");
  VerifyAnswer answer;
  store().Verify(raft::LogIndex(0), /*scan=*/true, In(kNanosPerSecond), answer.callback());
  pool_.RunAll();
  ASSERT_TRUE(answer.has_come());
  EXPECT_EQ(answer->status(), CorruptedError("3 keys, and should have 2"));
  EXPECT_EQ(wrong_, "3 keys, and should have 2");
  EXPECT_EQ(unusable_, "");
}

TEST_F(StoreTest, TooManyThatWaitForAnIndexAreRefused) {
  StartLeader();
  std::vector<VerifyAnswer> answers(kIndexWaitersMax + 1);
  for (VerifyAnswer& answer : answers) {
    store().Verify(raft::LogIndex(1000), /*scan=*/false, In(kNanosPerSecond), answer.callback());
  }
  EXPECT_FALSE(answers.front().has_come());
  ASSERT_TRUE(answers.back().has_come());
  EXPECT_EQ(answers.back()->status(), OverloadedError());
  store().Drain();
  Tick();
  ASSERT_TRUE(answers.front().has_come());
  EXPECT_EQ(answers.front()->status(), ShuttingDownError());
}

TEST_F(StoreTest, OnAFullDiskPutsAreRefusedAndAllElseGoesOn) {
  const std::optional<log::v1::ClusterConfiguration> configuration = ThreeMembers();
  MemberDirectory directory(SelfOf(1), &configuration, &machine_);
  StartLeader(&directory);
  member_->driver().SetLowOnDisk(true);
  const raft::LogIndex last = store().raft().last_entry.index;
  Command put_among_others = DeleteAll(0);
  put_among_others.mutable_txn()->add_operations()->mutable_put()->set_key("k");
  for (const Command& command : {GuardedPut("k"), put_among_others}) {
    WriteAnswer put;
    store().Write(command, In(kNanosPerSecond), put.callback());
    ASSERT_TRUE(put.has_come());
    EXPECT_EQ(put->status(), DiskFullError({"1 \"n1\""}, {"n1"}));
  }
  Turn();
  EXPECT_EQ(store().raft().last_entry.index, last) << "a refused put was proposed";

  Command published;
  published.mutable_member_record()->set_member_id(1);
  for (const Command& command : {DeleteAll(0), published}) {
    WriteAnswer answer;
    store().Write(command, In(kNanosPerSecond), answer.callback());
    Turn();
    ASSERT_TRUE(answer.has_come());
    EXPECT_TRUE(answer->ok()) << answer->status();
  }
  machine_.cached = CacheLookup::kAbsent;
  GetAnswer get;
  store().Get("k", Fresh(), get.callback());
  Turn();
  ASSERT_TRUE(get.has_come());
  EXPECT_TRUE(get->ok()) << get->status();

  member_->driver().SetLowOnDisk(false);
  WriteAnswer again;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), again.callback());
  Turn();
  ASSERT_TRUE(again.has_come());
  EXPECT_TRUE(again->ok()) << again->status();
}

TEST_F(StoreTest, ADrainingStoreRefusesWhatIsNewAndFinishesWhatIsNot) {
  StartLeader();
  log_.HoldWrites();
  WriteAnswer under_way;
  GetAnswer waiting;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), under_way.callback());
  store().Get("k", Stale(100), waiting.callback());
  Turn();
  store().Drain();
  WriteAnswer write;
  GetAnswer get;
  store().Write(GuardedPut("k"), In(kNanosPerSecond), write.callback());
  store().Get("k", Stale(), get.callback());
  ASSERT_TRUE(write.has_come() && get.has_come());
  EXPECT_EQ(write->status(), ShuttingDownError());
  EXPECT_EQ(get->status(), ShuttingDownError());
  EXPECT_FALSE(under_way.has_come());
  log_.ReleaseWrites();
  Tick();
  EXPECT_TRUE(under_way.has_come() && under_way->ok());
  ASSERT_TRUE(waiting.has_come());
  EXPECT_EQ(waiting->status(), ShuttingDownError());
}

}  // namespace
}  // namespace raftkv::kv
