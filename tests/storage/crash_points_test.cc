// The real storage on a disk that crashes at every one of its operations. A run of a script is
// recorded once; then, for each operation, the disk is what a crash right behind it may leave, and
// the storage is opened on it: it must hold the state after one of the script's writes, no earlier
// than what was acknowledged and no later than what was begun.
//
// RocksDB's own threads make each recording a little different, so a failing one is kept:
// RAFTKV_CRASH_RECORDING=<the file that the failure names> checks the same one again.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/storage/crash_lab.h"
#include "tests/storage/isolated.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

using Kind = DiskOperation::Kind;

constexpr Survival kSurvivals[] = {Survival::kEverything, Survival::kSynced, Survival::kCut,
                                   Survival::kTorn};
// One in so many clean ones also has to go on.
constexpr size_t kGoesOnEvery = 13;
constexpr size_t kShownMax = 10;
constexpr char kGapWarning[] = "has a gap";
constexpr char kSkipped[] = "skipped";

// One crash: what is left of the disk behind the first `point` operations.
struct Crash {
  size_t point;
  Survival survival;
  uint64_t seed;
  Progress progress;
};

struct CrashPlan {
  size_t every = 1;                   // Behind each so many-th operation.
  size_t more_cuts = 4;               // More crashes where two WAL files have ends to lose.
  bool stops_at_first_wrong = false;  // For recordings that are known to be bad.
};

// What became of many crashes.
struct Tally {
  size_t points = 0;
  std::map<Survival, size_t> clean;
  size_t refused = 0;  // Torn ones.
  size_t behind = 0;   // Clean ones that lost what was not acknowledged.
  size_t windows = 0;  // Points where two WAL files had ends to lose.
  size_t gaps = 0;     // Replays that were cut at a gap between WAL files.
  std::vector<std::string> wrong;
  std::optional<Crash> first_wrong;
};

bool SeveralWalsUnsynced(const FaultDisk& disk) {
  const std::vector<std::string> unsynced = disk.Unsynced();
  return std::count_if(unsynced.begin(), unsynced.end(),
                       [](const std::string& name) { return absl::EndsWith(name, ".log"); }) > 1;
}

// Each kind of crash at each point of the plan, and more of them where files can lose their ends
// independently.
std::vector<Crash> ListCrashes(const Recording& recording, const CrashPlan& plan, size_t* windows) {
  std::vector<Crash> crashes;
  FaultDisk disk = recording.start;
  Progress progress = recording.before;
  size_t seen = 0;
  for (size_t i = 0; i < recording.operations.size(); ++i) {
    const DiskOperation& operation = recording.operations[i];
    disk.Apply(operation);
    progress.Update(operation);
    if (operation.kind == Kind::kMark || seen++ % plan.every != 0) {
      continue;
    }
    const auto add = [&](Survival survival) {
      crashes.push_back({i + 1, survival, crashes.size(), progress});
    };
    for (const Survival survival : kSurvivals) {
      add(survival);
    }
    if (SeveralWalsUnsynced(disk)) {
      ++*windows;
      for (size_t more = 0; more < plan.more_cuts; ++more) {
        add(Survival::kCut);
      }
    }
  }
  return crashes;
}

// How often `word` is in `text`.
size_t Count(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    ++count;
  }
  return count;
}

void Judge(const IsolatedResult& result, const Crash& crash, const std::string& operation,
           Tally* tally) {
  tally->gaps += Count(result.log, kGapWarning);
  const std::string where =
      absl::StrCat("crash behind operation ", crash.point, " (", operation, "), ",
                   ToString(crash.survival), ", seed ", crash.seed, ": ");
  if (result.signal.has_value()) {
    tally->wrong.push_back(
        absl::StrCat(where, "ended by signal ", *result.signal, ": ", Tail(result.log)));
  } else if (IsClean(result.text)) {
    ++tally->clean[crash.survival];
    tally->behind += CleanState(result.text) < crash.progress.begun ? 1 : 0;
  } else if (IsRefused(result.text) && crash.survival == Survival::kTorn) {
    ++tally->refused;
  } else if (result.text != kSkipped) {
    tally->wrong.push_back(absl::StrCat(where, result.text));
  }
}

Tally CrashEverywhere(const Recording& recording, const std::string& data_dir,
                      const std::vector<StoreState>& states, const CrashPlan& plan) {
  Tally tally;
  const std::vector<Crash> crashes = ListCrashes(recording, plan, &tally.windows);
  FaultDisk replayed = recording.start;
  size_t done = 0;
  bool stop = false;
  const std::vector<IsolatedResult> results = RunIsolated(crashes.size(), [&](size_t number) {
    if (stop) {
      return std::string(kSkipped);
    }
    const Crash& crash = crashes[number];
    for (; done < crash.point; ++done) {
      replayed.Apply(recording.operations[done]);
    }
    Rng rng(crash.seed);
    const std::string verdict = CheckDisk(replayed.AfterCrash(crash.survival, &rng), data_dir,
                                          states, crash.progress, number % kGoesOnEvery == 0);
    stop = plan.stops_at_first_wrong && !IsClean(verdict) && !IsRefused(verdict);
    return verdict;
  });

  const FaultDisk end = recording.End();
  for (size_t number = 0; number < results.size(); ++number) {
    const Crash& crash = crashes[number];
    tally.points += number > 0 && crashes[number - 1].point == crash.point ? 0 : 1;
    Judge(results[number], crash, Describe(recording.operations[crash.point - 1], end), &tally);
    if (!tally.wrong.empty() && !tally.first_wrong.has_value()) {
      tally.first_wrong = crash;
    }
  }
  return tally;
}

void ReportAll(const Tally& tally) {
  Report("crash_points", tally.points);
  for (const Survival survival : kSurvivals) {
    const auto clean = tally.clean.find(survival);
    Report(absl::StrCat("clean_", ToString(survival)),
           clean == tally.clean.end() ? 0 : clean->second);
  }
  Report("refused_torn", tally.refused);
  Report("clean_without_what_was_not_acknowledged", tally.behind);
  Report("points_with_two_unsynced_wal_files", tally.windows);
  Report("replays_cut_at_a_gap", tally.gaps);
}

void ReportOperations(const Recording& recording) {
  std::map<std::string, size_t> counts;
  const FaultDisk end = recording.End();
  for (const DiskOperation& operation : recording.operations) {
    const std::string text = Describe(operation, end);
    ++counts[text.substr(0, text.find(' '))];
  }
  counts.erase("mark");
  for (const auto& [kind, count] : counts) {
    Report(absl::StrCat("operations_", kind), count);
  }
}

// Files that a run created, by the ending of their names.
size_t CountCreated(const Recording& recording, const std::string& suffix) {
  return static_cast<size_t>(std::count_if(recording.operations.begin(), recording.operations.end(),
                                           [&](const DiskOperation& operation) {
                                             return operation.kind == Kind::kCreateFile &&
                                                    absl::EndsWith(operation.path, suffix);
                                           }));
}

// Keeps a recording that starts from an empty disk; its first operation names the directory.
std::string Keep(const Recording& recording, const std::string& data_dir) {
  std::string bytes;
  EncodeOperation(DiskOperation::NewMark(data_dir, 0), &bytes);
  for (const DiskOperation& operation : recording.operations) {
    EncodeOperation(operation, &bytes);
  }
  std::string path = absl::StrCat(testing::TempDir(), "raftkv_crash_recording.", getpid());
  integration::WriteFile(path, bytes);
  return path;
}

// What is left of the disk after a crash.
FaultDisk Left(const Recording& recording, const Crash& crash) {
  FaultDisk disk = recording.start;
  for (size_t i = 0; i < crash.point; ++i) {
    disk.Apply(recording.operations[i]);
  }
  Rng rng(crash.seed);
  return disk.AfterCrash(crash.survival, &rng);
}

// Lays a data directory of a disk out as files of this machine.
std::string LayOut(const FaultDisk& disk, const std::string& data_dir) {
  const std::string folder = absl::StrCat(testing::TempDir(), "raftkv_crashed.", getpid());
  for (const std::string& path : disk.Files(data_dir)) {
    const std::string copy = absl::StrCat(folder, path.substr(data_dir.size()));
    std::filesystem::create_directories(std::filesystem::path(copy).parent_path());
    integration::WriteFile(copy, disk.Contents(*disk.Find(path)));
  }
  return folder;
}

class CrashPointsTest : public testing::Test {
 protected:
  std::string data_dir() const { return data_dir_; }

  // Runs a script on an empty disk, or takes the recording that is asked for.
  Recording RecordFromEmpty(const CrashScript& script) {
    if (const char* kept = std::getenv("RAFTKV_CRASH_RECORDING"); kept != nullptr) {
      std::vector<DiskOperation> operations = DecodeOperations(integration::ReadFile(kept));
      data_dir_ = operations.front().path;
      std::filesystem::create_directories(data_dir_);
      return {.start = MakeDisk(data_dir_),
              .operations = std::move(operations),
              .before = {},
              .signal = {},
              .refused = false,
              .log = ""};
    }
    Recording recording = Record(MakeDisk(data_dir_), Progress(), data_dir_, script);
    EXPECT_FALSE(recording.signal.has_value()) << Tail(recording.log);
    EXPECT_FALSE(recording.refused);
    return recording;
  }

  void CrashBehind(size_t every);
  void CrashAmongSnapshots(size_t every);

  void ExpectNothingWrong(const Tally& tally, const Recording& recording) {
    if (tally.wrong.empty()) {
      return;
    }
    ADD_FAILURE() << tally.wrong.size() << " wrong; the recording is kept as "
                  << Keep(recording, data_dir_);
    for (size_t i = 0; i < std::min(tally.wrong.size(), kShownMax); ++i) {
      ADD_FAILURE() << tally.wrong[i];
    }
  }

 private:
  integration::TempDir dir_;
  std::string data_dir_ = dir_.File("data");
};

using SampledCrashPointsTest = CrashPointsTest;
using LongCrashPointsTest = CrashPointsTest;

TEST_F(SampledCrashPointsTest, SomeOperations) {
  const CrashScript script = MakeScript({.seed = 2, .steps = 60});
  const Recording recording = RecordFromEmpty(script);
  const Tally tally = CrashEverywhere(recording, data_dir(), script.states(), {.every = 9});
  ReportAll(tally);
  ExpectNothingWrong(tally, recording);
}

// Behind each so many-th operation of a recording with several switches of WAL and table files.
void CrashPointsTest::CrashBehind(size_t every) {
  const CrashScript script = MakeScript({.seed = 1, .steps = 130});
  const Recording recording = RecordFromEmpty(script);
  ReportOperations(recording);
  Report("states", script.states().size());
  Report("wal_files", CountCreated(recording, ".log"));
  Report("table_files", CountCreated(recording, ".sst"));
  // Several switches of each, or the test shows less than it says.
  EXPECT_GE(CountCreated(recording, ".log"), 10U);
  EXPECT_GE(CountCreated(recording, ".sst"), 20U);

  const Tally tally =
      CrashEverywhere(recording, data_dir(), script.states(), {.every = every, .more_cuts = 40});
  ReportAll(tally);
  ExpectNothingWrong(tally, recording);
  EXPECT_GT(tally.behind, 0U);
  EXPECT_GT(tally.gaps, 0U) << "no crash lost the end of a WAL file and kept the next one";
}

TEST_F(CrashPointsTest, EveryThirdOperation) { CrashBehind(3); }

TEST_F(LongCrashPointsTest, EveryOperation) { CrashBehind(1); }

void CrashPointsTest::CrashAmongSnapshots(size_t every) {
  const CrashScript script = MakeScript({.seed = 6, .steps = 80, .staging_writes_max = 20});
  const auto installs = std::count_if(
      script.steps().begin(), script.steps().end(), [](const CrashScript::Step& step) {
        return step.kind == CrashScript::Step::Kind::kInstall && !step.writes.empty();
      });
  Report("snapshots", static_cast<size_t>(installs));
  EXPECT_GE(installs, 2);
  const Recording recording = RecordFromEmpty(script);
  const Tally tally = CrashEverywhere(recording, data_dir(), script.states(), {.every = every});
  ReportAll(tally);
  ExpectNothingWrong(tally, recording);
}

TEST_F(CrashPointsTest, SnapshotsWhileTheLogGoesOn) { CrashAmongSnapshots(3); }

TEST_F(LongCrashPointsTest, SnapshotsWhileTheLogGoesOn) { CrashAmongSnapshots(1); }

// The opening after a crash, and what follows, crash in turn.
class CrashAgainTest : public CrashPointsTest {
 protected:
  void CrashTwice(size_t every);

 private:
  // Crashes behind each so many-th operation of a storage that starts from what `crash` left.
  void CrashAgain(const Recording& recording, const CrashScript& script, const Crash& crash,
                  size_t every) {
    const FaultDisk left = Left(recording, crash);
    const IsolatedResult first =
        RunIsolated(1, [&](size_t) {
          return CheckDisk(left, data_dir(), script.states(), crash.progress, /*goes_on=*/false);
        }).front();
    ASSERT_TRUE(IsClean(first.text)) << first.text << Tail(first.log);

    // What only the process's death left is not durable before the next opening has made it so.
    const size_t found = CleanState(first.text);
    Progress before = crash.progress;
    before.begun = found;
    before.durable = crash.survival == Survival::kEverything ? before.durable : found;
    const std::vector<StoreState> history(script.states().begin(),
                                          script.states().begin() + static_cast<ptrdiff_t>(found));
    const CrashScript next({.seed = crash.seed, .steps = 12}, history);
    const Recording again = Record(left, before, data_dir(), next);
    ASSERT_FALSE(again.signal.has_value()) << Tail(again.log);
    const Tally tally = CrashEverywhere(again, data_dir(), next.states(), {.every = every});
    points_ += tally.points;
    for (const auto& [survival, clean] : tally.clean) {
      clean_ += clean;
    }
    refused_ += tally.refused;
    EXPECT_TRUE(tally.wrong.empty())
        << "after " << ToString(crash.survival) << " at " << crash.point << ": "
        << tally.wrong.front() << "; what the second crash left is laid out in "
        << LayOut(Left(again, *tally.first_wrong), data_dir());
  }

  size_t points_ = 0;
  size_t clean_ = 0;
  size_t refused_ = 0;
};

using LongCrashAgainTest = CrashAgainTest;

void CrashAgainTest::CrashTwice(size_t every) {
  const CrashScript script = MakeScript({.seed = 3, .steps = 100});
  const Recording recording = RecordFromEmpty(script);
  size_t windows = 0;
  const std::vector<Crash> crashes = ListCrashes(recording, {}, &windows);
  // A third, two thirds and all of the way: the process only, and the power.
  std::vector<Crash> chosen;
  for (const size_t part : {1, 2, 3}) {
    const size_t at = (crashes.size() - 1) * part / 3;
    for (const Survival survival : {Survival::kEverything, Survival::kCut}) {
      const auto crash =
          std::find_if(crashes.begin() + static_cast<ptrdiff_t>(at - at % 4), crashes.end(),
                       [&](const Crash& c) { return c.survival == survival; });
      if (crash != crashes.end()) {
        chosen.push_back(*crash);
      }
    }
  }
  for (const Crash& crash : chosen) {
    CrashAgain(recording, script, crash, every);
  }
  Report("first_crashes", chosen.size());
  Report("crash_points", points_);
  Report("clean", clean_);
  Report("refused_torn", refused_);
}

TEST_F(CrashAgainTest, EveryThirdOperation) { CrashTwice(3); }

TEST_F(LongCrashAgainTest, EveryOperation) { CrashTwice(1); }

// The test above must be able to fail. These show it disks and storages that are not sound.
class BadRecordingTest : public CrashPointsTest {
 protected:
  BadRecordingTest() : script_(MakeScript({.seed = 4, .steps = 60})) {
    recording_ = RecordFromEmpty(script_);
  }

  // Takes operations away.
  void Drop(const std::function<bool(const DiskOperation&, const FaultDisk&)>& dropped) {
    const FaultDisk end = recording_.End();
    std::erase_if(recording_.operations,
                  [&](const DiskOperation& operation) { return dropped(operation, end); });
  }
  void ExpectFound() {
    const Tally tally = CrashEverywhere(recording_, data_dir(), script_.states(),
                                        {.every = 3, .stops_at_first_wrong = true});
    EXPECT_FALSE(tally.wrong.empty());
  }

  CrashScript script_;
  Recording recording_;
};

TEST_F(BadRecordingTest, WalIsNotSynced) {
  Drop([](const DiskOperation& operation, const FaultDisk& end) {
    return operation.kind == Kind::kSyncFile && absl::EndsWith(end.NameOf(operation.node), ".log");
  });
  ExpectFound();
}

TEST_F(BadRecordingTest, TablesAreNotSynced) {
  Drop([](const DiskOperation& operation, const FaultDisk& end) {
    return operation.kind == Kind::kSyncFile && absl::EndsWith(end.NameOf(operation.node), ".sst");
  });
  ExpectFound();
}

TEST_F(BadRecordingTest, DirectoriesAreNotSynced) {
  Drop([](const DiskOperation& operation, const FaultDisk&) {
    return operation.kind == Kind::kSyncDirectory;
  });
  ExpectFound();
}

TEST_F(BadRecordingTest, FenceIsNotSynced) {
  Drop([](const DiskOperation& operation, const FaultDisk& end) {
    return operation.kind == Kind::kSyncFile &&
           absl::StartsWith(end.NameOf(operation.node), "FENCE");
  });
  ExpectFound();
}

TEST_F(BadRecordingTest, AcknowledgedBeforeTheSync) {
  for (DiskOperation& operation : recording_.operations) {
    if (operation.kind == Kind::kMark && operation.path == "begun") {
      operation.path = "durable";
    }
  }
  // What is durable has begun.
  recording_.before.begun = script_.states().size();
  ExpectFound();
}

TEST_F(BadRecordingTest, ValueOfAnotherWrite) {
  std::vector<StoreState> states = script_.states();
  for (StoreState& state : states) {
    if (!state.keys.empty()) {
      state.keys.begin()->second.value = std::make_shared<const std::string>("another");
    }
  }
  const Tally tally =
      CrashEverywhere(recording_, data_dir(), states, {.every = 3, .stops_at_first_wrong = true});
  EXPECT_FALSE(tally.wrong.empty());
}

}  // namespace
}  // namespace raftkv::storage
