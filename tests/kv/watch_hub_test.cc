#include "kv/watch_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/command_version.h"
#include "kv/errors.h"
#include "tests/kv/fake_state_machine.h"

namespace raftkv::kv {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

HistoryEvent Event(int64_t revision, const std::string& key,
                   HistoryEventType type = HistoryEventType::kPut) {
  HistoryEvent event;
  event.type = type;
  event.revision = revision;
  event.key = key;
  return event;
}

// Of a map.
class FakeHistory final : public HistorySource {
 public:
  absl::StatusOr<HistoryPage> Read(const HistoryQuery& query) const override {
    ++reads;
    if (!failure.ok()) {
      return failure;
    }
    HistoryPage page;
    uint64_t visited = 0;
    for (const HistoryEvent& event : events) {
      const HistoryPlace place{.revision = event.revision, .key = event.key};
      if (place < query.from || event.revision > query.through) {
        continue;
      }
      if (visited++ == query.visited_max || page.events.size() == query.events_max) {
        page.next = place;
        return page;
      }
      if (std::any_of(query.intervals.begin(), query.intervals.end(),
                      [&](const KeyInterval& interval) { return interval.Holds(event.key); })) {
        page.events.push_back(event);
      }
    }
    page.next = {.revision = std::max(query.through + 1, query.from.revision), .key = ""};
    return page;
  }

  absl::StatusOr<std::optional<HistoryEvent>> Find(int64_t revision,
                                                   absl::string_view key) const override {
    for (const HistoryEvent& event : events) {
      if (event.revision == revision && event.key == key) {
        return std::optional(event);
      }
    }
    return std::optional<HistoryEvent>();
  }

  std::vector<HistoryEvent> events;
  absl::Status failure;
  mutable int reads = 0;
};

// What a watch was told so far: "revision key" of each event, "|" after a batch, "..." after a
// partial one, and the reason of its end.
class Listener {
 public:
  Listener(WatchHub* hub, WatchOptions options) {
    auto watch = hub->Begin(std::move(options));
    EXPECT_TRUE(watch.ok()) << watch.status();
    watch_ = *std::move(watch);
    Ask();
  }
  void Ask() {
    asked_ = true;
    watch_->Next([this](absl::StatusOr<WatchBatch> batch) {
      asked_ = false;
      if (!batch.ok()) {
        told.push_back(FindErrorInfo(batch.status())->reason());
        return;
      }
      for (const auto& event : batch->events) {
        told.push_back(absl::StrCat(event->revision, " ", event->key));
      }
      told.push_back(batch->partial ? "..." : "|");
      through = batch->through;
      if (goes_on) {
        Ask();
      }
    });
  }
  std::vector<std::string> Take() { return std::exchange(told, {}); }
  const Watch& watch() const { return *watch_; }

  std::vector<std::string> told;
  int64_t through = 0;
  bool goes_on = true;

 private:
  std::unique_ptr<Watch> watch_;
  bool asked_ = false;
};

class WatchHubTest : public testing::Test {
 protected:
  WatchHubTest() {
    machine_.version = kHistoryCommandVersion;
    machine_.history_on_disk = history_;
  }

  void Apply(std::vector<HistoryEvent> events) {
    for (HistoryEvent& event : events) {
      machine_.answers.revision = event.revision;
      history_->events.push_back(event);
      if (machine_.keeps_events) {
        machine_.new_events.events.push_back(std::move(event));
      }
    }
  }
  // Until nothing is left to do.
  void Turn() {
    for (int turns = 0;; ++turns) {
      ASSERT_LT(turns, 10'000) << "it never ends";
      const bool more = hub_.OnTurn();
      if (!more && pool_.waiting() == 0) {
        return;
      }
      pool_.RunAll();
    }
  }
  static WatchOptions All(int64_t from) { return {.intervals = {{"", ""}}, .from = from}; }
  static WatchOptions Key(const std::string& key, int64_t from) {
    return {.intervals = {{key, key + '\0'}}, .from = from};
  }

  ScriptedStateMachine machine_;
  std::shared_ptr<FakeHistory> history_ = std::make_shared<FakeHistory>();
  ManualDiskPool pool_;
  std::vector<std::string> damage_;
  WatchHub hub_{{.recent_bytes_max = 1000,
                 .batch_events_max = 3,
                 .batch_bytes_max = 100'000,
                 .visited_max = 5,
                 .reads_max = 2,
                 .served_per_turn_max = 4,
                 .compared_per_turn_max = 7},
                &machine_,
                &pool_,
                [this](const std::string& problem) { damage_.push_back(problem); }};
};

TEST_F(WatchHubTest, TellsWhatIsAppliedFromMemory) {
  Listener all(&hub_, All(1));
  Listener one(&hub_, Key("b", 1));
  Turn();
  EXPECT_THAT(all.Take(), IsEmpty());
  Apply({Event(1, "a"), Event(2, "b")});
  Turn();
  EXPECT_THAT(all.Take(), ElementsAre("1 a", "2 b", "|"));
  EXPECT_EQ(all.through, 2);
  EXPECT_THAT(one.Take(), ElementsAre("2 b", "|"));
  Apply({Event(3, "a")});
  Turn();
  EXPECT_THAT(all.Take(), ElementsAre("3 a", "|"));
  EXPECT_THAT(one.Take(), IsEmpty());
  EXPECT_EQ(one.watch().progress(), 3) << "nothing of these is for it";
  EXPECT_EQ(history_->reads, 0);
}

TEST_F(WatchHubTest, ReadsFromTheDiskWhatIsNoLongerInMemory) {
  for (int revision = 1; revision <= 20; ++revision) {
    Apply({Event(revision, revision % 2 == 0 ? "even" : "odd")});
  }
  Listener even(&hub_, Key("even", 15));
  Turn();
  EXPECT_THAT(even.Take(), ElementsAre("16 even", "18 even", "|", "20 even", "|"));
  EXPECT_EQ(even.through, 20);
  const int reads = history_->reads;
  Apply({Event(21, "odd"), Event(22, "even")});
  Turn();
  EXPECT_THAT(even.Take(), ElementsAre("22 even", "|"));
  EXPECT_EQ(history_->reads, reads) << "the tail comes from memory";
}

// More comes at once than is kept in memory.
TEST_F(WatchHubTest, ReadsFromTheDiskWhatNobodyLookedAtInMemory) {
  Listener one(&hub_, Key("k", 1));
  Turn();
  Apply({Event(1, "k")});
  for (int revision = 2; revision <= 50; ++revision) {
    Apply({Event(revision, "loud")});
  }
  Turn();
  EXPECT_THAT(one.Take(), ElementsAre("1 k", "|"));
  EXPECT_EQ(one.watch().progress(), 50);
}

TEST_F(WatchHubTest, WhoIsSlowGoesOnWhereItWas) {
  Listener slow(&hub_, All(1));
  slow.goes_on = false;
  Apply({Event(1, "a")});
  Turn();
  EXPECT_THAT(slow.Take(), ElementsAre("1 a", "|"));
  // Far more than is kept in memory.
  std::vector<std::string> expected;
  for (int revision = 2; revision <= 100; ++revision) {
    Apply({Event(revision, "k")});
    Turn();
    expected.push_back(absl::StrCat(revision, " k"));
  }
  EXPECT_THAT(slow.told, IsEmpty());
  EXPECT_EQ(hub_.slowest_lag(), 99);
  slow.goes_on = true;
  slow.Ask();
  Turn();
  std::vector<std::string> told = slow.Take();
  std::erase(told, "|");
  EXPECT_EQ(told, expected);
  EXPECT_EQ(hub_.slowest_lag(), 0);
}

TEST_F(WatchHubTest, TheEndOfTheHistoryEndsWhoIsBehindIt) {
  Listener slow(&hub_, All(1));
  slow.goes_on = false;
  Apply({Event(1, "a")});
  Turn();
  slow.Take();
  Apply({Event(2, "a"), Event(3, "a")});
  machine_.history_state.compacted = 2;
  slow.Ask();
  Turn();
  EXPECT_THAT(slow.Take(), ElementsAre("REVISION_COMPACTED"));
  const auto late = hub_.Begin(All(2));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(FindErrorInfo(late.status())->metadata().at("compact_revision"), "2");
  EXPECT_TRUE(hub_.Begin(All(3)).ok());
}

TEST_F(WatchHubTest, WhoWaitsIsNotHurtByTheEndOfTheHistory) {
  Listener quiet(&hub_, Key("quiet", 1));
  for (int revision = 1; revision <= 50; ++revision) {
    Apply({Event(revision, "loud")});
    Turn();
  }
  machine_.history_state.compacted = 50;
  Apply({Event(51, "loud"), Event(52, "quiet")});
  Turn();
  EXPECT_THAT(quiet.Take(), ElementsAre("52 quiet", "|"));
}

TEST_F(WatchHubTest, RemovedRowsEndARead) {
  Apply({Event(1, "a"), Event(2, "a")});
  Listener listener(&hub_, All(1));
  history_->failure = absl::OutOfRangeError("gone");
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("REVISION_COMPACTED"));
  EXPECT_THAT(damage_, IsEmpty());
}

TEST_F(WatchHubTest, DamageIsTold) {
  Apply({Event(1, "a")});
  Listener listener(&hub_, All(1));
  history_->failure = absl::DataLossError("a block");
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("CORRUPTED"));
  EXPECT_THAT(damage_, ElementsAre("a block"));
}

TEST_F(WatchHubTest, ALargeRevisionComesInPartsAndSaysSo) {
  Listener listener(&hub_, All(1));
  Apply({Event(1, "a"), Event(1, "b"), Event(1, "c"), Event(1, "d"), Event(2, "a")});
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("1 a", "1 b", "1 c", "...", "1 d", "2 a", "|"));
}

TEST_F(WatchHubTest, APartIsEndedEvenWhenNothingMoreIsWanted) {
  WatchOptions options = All(1);
  options.intervals = {{"a", "d"}};
  Listener listener(&hub_, options);
  Apply({Event(1, "a"), Event(1, "b"), Event(1, "c"), Event(1, "d")});
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("1 a", "1 b", "1 c", "...", "|"));
  EXPECT_EQ(listener.through, 1);
}

TEST_F(WatchHubTest, OnlyWantedTypesAreTold) {
  WatchOptions options = All(1);
  options.types = {HistoryEventType::kExpire};
  Listener listener(&hub_, options);
  Apply({Event(1, "a"), Event(2, "a", HistoryEventType::kDelete),
         Event(3, "b", HistoryEventType::kExpire)});
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("3 b", "|"));
}

TEST_F(WatchHubTest, AFutureRevisionIsWaitedFor) {
  Listener listener(&hub_, All(3));
  Apply({Event(1, "a"), Event(2, "a"), Event(3, "a")});
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("3 a", "|"));
}

TEST_F(WatchHubTest, ASnapshotIsReadFromTheDisk) {
  Listener all(&hub_, All(1));
  Listener one(&hub_, Key("b", 1));
  Turn();
  // Revisions 1 to 3 came with it.
  history_->events = {Event(1, "a"), Event(2, "b"), Event(3, "a")};
  machine_.answers.revision = 3;
  machine_.new_events = {.events = {}, .has_gap = true};
  Turn();
  EXPECT_THAT(all.Take(), ElementsAre("1 a", "2 b", "3 a", "|"));
  EXPECT_THAT(one.Take(), ElementsAre("2 b", "|"));
  Apply({Event(4, "b")});
  Turn();
  EXPECT_THAT(one.Take(), ElementsAre("4 b", "|"));
}

TEST_F(WatchHubTest, ATurnServesAFewAndAllAreServedInTheEnd) {
  std::vector<std::unique_ptr<Listener>> listeners;
  for (int i = 0; i < 100; ++i) {
    listeners.push_back(std::make_unique<Listener>(&hub_, i % 2 == 0 ? Key("k", 1) : All(1)));
  }
  Turn();
  Apply({Event(1, "k")});
  for (int turns = 0; hub_.OnTurn(); ++turns) {
    ASSERT_LT(turns, 1000);
    size_t told = 0;
    for (const auto& listener : listeners) {
      told += listener->told.empty() ? 0 : 1;
    }
    EXPECT_LE(told, 4u * (turns + 1));
  }
  for (const auto& listener : listeners) {
    EXPECT_THAT(listener->Take(), ElementsAre("1 k", "|"));
  }
}

// More of them than a turn compares, and none wants the event.
TEST_F(WatchHubTest, ManyWhoDoNotWantAnEventHoldNobodyUp) {
  std::vector<std::unique_ptr<Listener>> listeners;
  for (int i = 0; i < 20; ++i) {
    WatchOptions options = Key("k", 1);
    options.types = {HistoryEventType::kDelete};
    listeners.push_back(std::make_unique<Listener>(&hub_, options));
  }
  Listener wants(&hub_, Key("k", 1));
  Turn();
  Apply({Event(1, "k")});
  Turn();
  EXPECT_THAT(wants.Take(), ElementsAre("1 k", "|"));
}

TEST_F(WatchHubTest, FewReadsAreUnderWayAtATime) {
  for (int revision = 1; revision <= 4; ++revision) {
    Apply({Event(revision, "k")});
  }
  std::vector<std::unique_ptr<Listener>> listeners;
  for (int i = 0; i < 10; ++i) {
    listeners.push_back(std::make_unique<Listener>(&hub_, All(1)));
  }
  for (int turns = 0; turns < 10; ++turns) {
    hub_.OnTurn();
    EXPECT_LE(pool_.waiting(), 2u);
  }
  // A pool that is full only makes them wait.
  pool_.RunAll();
  pool_.full = true;
  hub_.OnTurn();
  EXPECT_EQ(pool_.waiting(), 0u);
  pool_.full = false;
  Turn();
  for (const auto& listener : listeners) {
    EXPECT_THAT(listener->Take(), ElementsAre("1 k", "2 k", "3 k", "|", "4 k", "|"));
  }
}

TEST_F(WatchHubTest, PreviousRecordsComeFromTheDisk) {
  WatchOptions options = All(1);
  options.with_previous = true;
  Listener listener(&hub_, options);
  Turn();
  Apply({Event(1, "a")});
  Turn();
  EXPECT_THAT(listener.Take(), ElementsAre("1 a", "|"));
  EXPECT_EQ(history_->reads, 1);
}

TEST_F(WatchHubTest, AnEndedWatchLeavesNothing) {
  auto listener = std::make_unique<Listener>(&hub_, Key("k", 1));
  Listener other(&hub_, All(1));
  Turn();
  listener.reset();
  EXPECT_EQ(hub_.watches(), 1u);
  Apply({Event(1, "k")});
  Turn();
  EXPECT_THAT(other.Take(), ElementsAre("1 k", "|"));
  // While it is being read for.
  auto reading = std::make_unique<Listener>(&hub_, All(1));
  Apply({Event(2, "k")});
  hub_.OnTurn();
  reading.reset();
  Turn();
  EXPECT_EQ(hub_.watches(), 1u);
}

TEST_F(WatchHubTest, EventsAreKeptOnlyWhileSomebodyWatches) {
  EXPECT_FALSE(machine_.keeps_events);
  {
    Listener listener(&hub_, All(1));
    EXPECT_TRUE(machine_.keeps_events);
  }
  EXPECT_FALSE(machine_.keeps_events);
}

TEST_F(WatchHubTest, AStopEndsAll) {
  Listener waiting(&hub_, Key("k", 1));
  Turn();
  hub_.End();
  Turn();
  EXPECT_THAT(waiting.Take(), ElementsAre("SHUTTING_DOWN"));
  EXPECT_TRUE(absl::IsUnavailable(hub_.Begin(All(1)).status()));
}

TEST_F(WatchHubTest, AnOlderClusterHasNothingToWatch) {
  machine_.version = kFirstCommandVersion;
  const auto refused = hub_.Begin(All(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(FindErrorInfo(refused.status())->reason(), "MEMBER_TOO_OLD");
}

}  // namespace
}  // namespace raftkv::kv
