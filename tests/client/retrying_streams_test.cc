#include "client/retrying_connection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/client/scripted_members.h"

namespace raftkv::client {
namespace {

v1::WatchResponse Told(int64_t revision, const std::vector<std::string>& keys, int64_t progress) {
  v1::WatchResponse response;
  for (const std::string& key : keys) {
    v1::Event* event = response.add_events();
    event->set_type(v1::EVENT_TYPE_PUT);
    event->mutable_kv()->set_key(key);
    event->mutable_kv()->set_mod_revision(revision);
  }
  response.set_progress_revision(progress);
  return response;
}

v1::WatchResponse StartsAt(int64_t revision) {
  v1::WatchResponse response;
  response.mutable_header()->set_revision(revision);
  return response;
}

class LearnedMembersTest : public ScriptedMembersTest {
 protected:
  LearnedMembersTest() {
    for (const char* member : {"a:1", "b:1", "c:1", "d:1"}) {
      script_.clusters[member] = 7;
    }
    script_.members["a:1"] = {"a:1", "b:1", "c:1"};
    script_.members["b:1"] = {"a:1", "b:1", "c:1", "d:1"};
  }

  // Whom a call asks. The next one is that much later.
  Asked Put(absl::Duration later = absl::ZeroDuration()) {
    script_.asked.clear();
    status_ = connection_.Put("k", "v", {}).status();
    clock_->Advance(later);
    return script_.asked;
  }

  absl::Status status_;
  RetryingConnection connection_ = [this] {
    learns_members_ = true;
    return Connect({.endpoints = {"a:1"}});
  }();
};

TEST_F(LearnedMembersTest, TheSecondCallAsksOnceWhoIsThere) {
  EXPECT_EQ(Put(), (Asked{"a:1"}));
  EXPECT_EQ(Put(), (Asked{"a:1 members", "a:1"}));
  EXPECT_EQ(Put(), (Asked{"a:1"}));
  EXPECT_LE(script_.timeouts.at(1), KnownMembers::kAskTimeout);
}

TEST_F(LearnedMembersTest, OthersShowWhoTheyAreBeforeTheyAreTurnedTo) {
  Put();
  Put();
  script_.connect["a:1"] = Refused();
  EXPECT_EQ(Put(), (Asked{"b:1 members", "b:1"}));
  EXPECT_EQ(Put(), (Asked{"b:1"}));
  script_.connect["b:1"] = Refused();
  script_.connect["c:1"] = Refused();
  EXPECT_EQ(Put(), (Asked{"d:1 members", "d:1"})) << "whom b:1 has named";
  EXPECT_TRUE(status_.ok()) << status_;
}

// What b:1 publishes leads elsewhere from where this client is.
TEST_F(LearnedMembersTest, NothingIsWrittenWhereAnotherClusterAnswers) {
  Put();
  Put();
  script_.connect["a:1"] = Refused();
  script_.clusters["b:1"] = 8;
  script_.clusters["c:1"] = 0;
  EXPECT_EQ(Put(), (Asked{"b:1 members", "c:1 members"}));
  EXPECT_EQ(ErrorReason(status_), kReasonCannotConnect) << status_;
  script_.connect["a:1"] = absl::OkStatus();
  EXPECT_EQ(Put(), (Asked{"a:1 members", "a:1"}));
}

TEST_F(LearnedMembersTest, AnEndpointThatDoesNotSayIsUsedAllTheSameAndNotAskedAllTheTime) {
  Put();
  script_.answers["a:1"] = {absl::DeadlineExceededError("of the asking")};
  EXPECT_EQ(Put(), (Asked{"a:1", "a:1"}));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(Put(KnownMembers::kAskAgain), (Asked{"a:1"}));
  EXPECT_EQ(Put(), (Asked{"a:1 members", "a:1"}));
}

TEST_F(LearnedMembersTest, AStreamAsksBeforeItBegins) {
  script_.streams["a:1"] = {{{StartsAt(6)}, Unavailable(kReasonShuttingDown)}};
  script_.streams["b:1"] = {{{StartsAt(9), Told(12, {"k"}, 12)}, absl::OkStatus()}};
  EXPECT_TRUE(
      connection_.Watch({Prefix{""}}, {}, [](const WatchUpdate& u) { return u.events.empty(); })
          .ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1 members", "a:1", "b:1 members", "b:1"}));
}

class WatchConnectionTest : public ScriptedMembersTest {
 protected:
  // What the watch tells, as "revision key", until `count` events were told or it ends.
  absl::Status Watch(const WatchOptions& options, size_t count) {
    RetryingConnection connection = ConnectToTwo();
    return connection.Watch({Prefix{""}}, options, [&](const WatchUpdate& update) {
      begins_ += update.begins ? 1 : 0;
      for (const Event& event : update.events) {
        told_.push_back(std::to_string(event.kv.mod_revision) + " " + event.kv.key);
      }
      return told_.size() < count;
    });
  }

  std::vector<std::string> told_;
  int begins_ = 0;
};

TEST_F(WatchConnectionTest, GoesOnBehindWhatItKnowsAtTheNextEndpoint) {
  script_.streams["a:1"] = {
      {{StartsAt(6), Told(7, {"k"}, 7), Told(9, {"k"}, 9)}, Unavailable(kReasonShuttingDown)}};
  script_.streams["b:1"] = {{{StartsAt(9), Told(12, {"k"}, 12)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 3).ok());
  EXPECT_EQ(told_, (std::vector<std::string>{"7 k", "9 k", "12 k"}));
  ASSERT_EQ(script_.watches.size(), 2u);
  EXPECT_EQ(script_.watches[0].start_revision(), 0);
  EXPECT_EQ(script_.watches[1].start_revision(), 10);
  EXPECT_EQ(begins_, 2);
}

// Nothing happened yet, and what happens meanwhile must not be missed.
TEST_F(WatchConnectionTest, AStreamThatToldNothingFixesTheStart) {
  script_.streams["a:1"] = {{{StartsAt(6)}, Unavailable("")}};
  script_.streams["b:1"] = {{{StartsAt(6), Told(7, {"k"}, 7)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 1).ok());
  EXPECT_EQ(script_.watches.at(1).start_revision(), 7);
}

TEST_F(WatchConnectionTest, ARevisionThatWasToldInPartIsNotToldTwice) {
  script_.streams["a:1"] = {{{StartsAt(6), Told(7, {"a", "b"}, 6)}, Unavailable("")}};
  script_.streams["b:1"] = {{{StartsAt(6), Told(7, {"a", "b", "c"}, 7)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 3).ok());
  EXPECT_EQ(told_, (std::vector<std::string>{"7 a", "7 b", "7 c"}));
  EXPECT_EQ(script_.watches.at(1).start_revision(), 7);
}

TEST_F(WatchConnectionTest, AnInitialStateBeginsAnewUntilItIsComplete) {
  WatchOptions options;
  options.initial_state = true;
  v1::WatchResponse complete;
  complete.set_initial_complete(true);
  script_.streams["a:1"] = {{{StartsAt(6)}, Unavailable("")},
                            {{StartsAt(20), Told(21, {"k"}, 21)}, absl::OkStatus()}};
  script_.streams["b:1"] = {{{StartsAt(8), complete}, Unavailable("")}};
  EXPECT_TRUE(Watch(options, 1).ok());
  ASSERT_EQ(script_.watches.size(), 3u);
  EXPECT_TRUE(script_.watches[1].initial_state());
  EXPECT_EQ(script_.watches[1].start_revision(), 0);
  EXPECT_FALSE(script_.watches[2].initial_state());
  EXPECT_EQ(script_.watches[2].start_revision(), 9);
}

TEST_F(WatchConnectionTest, GoesOnAfterItWasGivenUpAsTooSlow) {
  const absl::Status given_up = absl::CancelledError("CANCELLED");
  script_.streams["a:1"] = {{{StartsAt(6), Told(7, {"k"}, 7)}, given_up}};
  script_.streams["b:1"] = {{{StartsAt(7), Told(9, {"k"}, 9)}, absl::OkStatus()}};
  EXPECT_TRUE(Watch({}, 2).ok());
  EXPECT_EQ(script_.watches.at(1).start_revision(), 8);
}

// It would begin anew, time and again.
TEST_F(WatchConnectionTest, AnInitialStateThatIsTakenTooSlowlyEndsIt) {
  script_.streams["a:1"] = {{{StartsAt(6)}, absl::CancelledError("CANCELLED")}};
  WatchOptions options;
  options.initial_state = true;
  EXPECT_TRUE(absl::IsCancelled(Watch(options, 1)));
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
}

TEST_F(WatchConnectionTest, WhatCannotGoOnEndsIt) {
  script_.streams["a:1"] = {{{StartsAt(6)}, absl::OutOfRangeError("compacted")}};
  EXPECT_TRUE(absl::IsOutOfRange(Watch({}, 1)));
  EXPECT_EQ(script_.asked, (Asked{"a:1"}));
}

TEST_F(WatchConnectionTest, GivesUpAfterSomeRoundsInVain) {
  const absl::Status status = Watch({}, 1);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(script_.asked.size(), 16u);
  EXPECT_FALSE(clock_->pauses.empty());
}

v1::ScanResponse Chunk(int64_t revision, const std::vector<std::string>& keys) {
  v1::ScanResponse response;
  response.mutable_header()->set_revision(revision);
  for (const std::string& key : keys) {
    response.add_kvs()->set_key(key);
  }
  return response;
}

class ScanConnectionTest : public ScriptedMembersTest {
 protected:
  // Notes the keys of each chunk, and a "|" behind it, until it wants no more.
  absl::Status Scan(const KeyRange& range, const ScanOptions& options = {}, size_t chunks = 99) {
    RetryingConnection connection = ConnectToTwo();
    return connection.Scan(range, options, [&](const ScanChunk& chunk) {
      EXPECT_EQ(chunk.header.revision, 7);
      for (const KeyValue& kv : chunk.kvs) {
        seen_ += kv.key;
      }
      seen_ += "|";
      return --chunks > 0;
    });
  }

  std::string seen_;
};

TEST_F(ScanConnectionTest, GoesOnBehindTheLastKeyAtTheSameRevision) {
  script_.scans["a:1"] = {{{Chunk(7, {"p1", "p2"}), Chunk(7, {"p3"})}, Unavailable("")}};
  script_.scans["b:1"] = {{{Chunk(7, {"p4"})}, absl::OkStatus()}};
  ScanOptions options;
  options.limit = 10;
  options.max_staleness = absl::Seconds(1);
  options.min_revision = 3;
  EXPECT_TRUE(Scan(Prefix{"p"}, options).ok());
  EXPECT_EQ(seen_, "p1p2|p3|p4|");
  ASSERT_EQ(script_.scanned.size(), 2u);
  EXPECT_EQ(script_.scanned[0].range().prefix(), "p");
  EXPECT_EQ(script_.scanned[0].consistency(), v1::CONSISTENCY_UNSPECIFIED);
  EXPECT_EQ(script_.scanned[0].max_staleness().seconds(), 1);
  EXPECT_EQ(script_.scanned[1].range().span().start_key(), std::string("p3\0", 3));
  EXPECT_EQ(script_.scanned[1].range().span().end_key(), "");
  EXPECT_EQ(script_.scanned[1].at_revision(), 7);
  EXPECT_EQ(script_.scanned[1].limit(), 7);
  EXPECT_EQ(script_.scanned[1].min_revision(), 0);
  EXPECT_FALSE(script_.scanned[1].has_max_staleness());
}

TEST_F(ScanConnectionTest, APrefixEndsWhereItsKeysDo) {
  script_.scans["a:1"] = {{{Chunk(7, {"p1"})}, Unavailable("")}};
  script_.scans["b:1"] = {{{Chunk(7, {"p2", "q", "r"}), Chunk(7, {"s"})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{"p"}).ok());
  EXPECT_EQ(seen_, "p1|p2|");
}

TEST_F(ScanConnectionTest, ADescendingScanGoesOnBelow) {
  script_.scans["a:1"] = {{{Chunk(7, {"p3", "p2"})}, Unavailable("")}};
  script_.scans["b:1"] = {{{Chunk(7, {"p1"})}, absl::OkStatus()}};
  ScanOptions options;
  options.descending = true;
  EXPECT_TRUE(Scan(Prefix{"p"}, options).ok());
  EXPECT_EQ(seen_, "p3p2|p1|");
  EXPECT_EQ(script_.scanned.at(1).range().span().start_key(), "p");
  EXPECT_EQ(script_.scanned.at(1).range().span().end_key(), "p2");
}

TEST_F(ScanConnectionTest, WhatHasAllComeIsNotAskedForAgain) {
  script_.scans["a:1"] = {{{Chunk(7, {"k"})}, Unavailable("")}};
  EXPECT_TRUE(Scan(SingleKey{"k"}).ok());
  script_.scans["a:1"] = {{{Chunk(7, {"a", "b"})}, Unavailable("")}};
  ScanOptions two;
  two.limit = 2;
  EXPECT_TRUE(Scan(Prefix{""}, two).ok());
  EXPECT_EQ(script_.asked, (Asked{"a:1", "a:1"}));
}

TEST_F(ScanConnectionTest, IsGivenUpWhenNothingHasComeForTheTimeOfARequest) {
  script_.answer_takes = {{"a:1", absl::Seconds(3)}, {"b:1", absl::Seconds(3)}};
  EXPECT_TRUE(absl::IsUnavailable(Scan(Prefix{""})));
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1"}));
}

TEST_F(ScanConnectionTest, AMemberWithoutRoomIsLeftForAnother) {
  script_.scans["a:1"] = {
      {{}, WithReason(absl::ResourceExhaustedError("32 scans"), "OVERLOADED", kServerErrorDomain)}};
  script_.scans["b:1"] = {{{Chunk(7, {"a"})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{""}).ok());
  EXPECT_EQ(seen_, "a|");
}

TEST_F(ScanConnectionTest, AMemberThatLagsIsLeftForAnother) {
  script_.scans["a:1"] = {{{Chunk(7, {"a"})}, absl::CancelledError("took nothing")},
                          {{Chunk(7, {"b"})}, absl::OkStatus()}};
  script_.scans["b:1"] = {
      {{}, WithReason(absl::OutOfRangeError("at 6"), "REVISION_FUTURE", kServerErrorDomain)}};
  EXPECT_TRUE(Scan(Prefix{""}).ok());
  EXPECT_EQ(seen_, "a|b|");
  EXPECT_EQ(script_.asked, (Asked{"a:1", "b:1", "a:1"}));
}

TEST_F(ScanConnectionTest, ARevisionThatIsNotThereEndsIt) {
  const auto error =
      WithReason(absl::OutOfRangeError("at 6"), "REVISION_FUTURE", kServerErrorDomain);
  script_.scans["a:1"] = {{{}, error}};
  ScanOptions options;
  options.at_revision = 9;
  EXPECT_EQ(Scan(Prefix{""}, options), error);
}

TEST_F(ScanConnectionTest, EndsWhenNoMoreIsWanted) {
  script_.scans["a:1"] = {{{Chunk(7, {"a"}), Chunk(7, {"b"})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{""}, {}, 1).ok());
  EXPECT_EQ(seen_, "a|");
}

TEST_F(ScanConnectionTest, AnEmptyRangeIsOneChunk) {
  script_.scans["a:1"] = {{{Chunk(7, {})}, absl::OkStatus()}};
  EXPECT_TRUE(Scan(Prefix{""}).ok());
  EXPECT_EQ(seen_, "|");
}

}  // namespace
}  // namespace raftkv::client
