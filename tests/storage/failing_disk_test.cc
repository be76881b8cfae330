// The real storage on a disk of which one operation fails, each in its turn: with EIO as a broken
// disk answers, and with ENOSPC as a full one. A failed write is unknown, so the process must end,
// and before it acknowledges anything more; what it acknowledged must be there afterwards. Where a
// flush or a compaction fails, the log goes on for the moment that it takes to end the process:
// what it acknowledges then does not hang on what failed.
#include <signal.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "storage/durability_fence.h"
#include "tests/storage/crash_lab.h"
#include "tests/storage/isolated.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

using Kind = DiskOperation::Kind;

// Debian's RocksDB has its assertions on, and one of them can come first: a flush wants to sync a
// WAL of which a write has just failed.
constexpr char kOwnAssertion[] = "Assertion `sync_without_flush_called_' failed";

// The failure that a recording holds.
struct Failure {
  std::string text;
  // "write_wal", "sync_table" and so on.
  std::string kind;
  bool in_background = false;
  // RocksDB goes on without its file of options, tries again to delete what is obsolete, and keeps
  // the inputs of a compaction that did not get all of its space. What fails of a snapshot that
  // comes in is the snapshot.
  bool may_be_ignored = false;
  size_t durable = 0;  // What was acknowledged by then.
};

std::string FileKind(absl::string_view text) {
  constexpr std::pair<const char*, const char*> kKinds[] = {
      {".log", "wal"},          {".sst", "table"},         {"OPTIONS", "options"},
      {"MANIFEST", "manifest"}, {"dbtmp", "manifest"},     {"FENCE", "fence"},
      {"FORMAT", "format"},     {"directory", "directory"}};
  for (const auto& [part, kind] : kKinds) {
    if (absl::StrContains(text, part)) {
      return kind;
    }
  }
  return "other";
}

// Nothing when no operation failed: RocksDB's threads make some runs a little shorter.
std::optional<Failure> FindFailure(const Recording& recording) {
  const FaultDisk end = recording.End();
  Progress progress;
  std::string before;
  bool is_staging = false;
  for (const DiskOperation& operation : recording.operations) {
    if (operation.kind == Kind::kMark && operation.path == kStaging) {
      is_staging = operation.number == 1;
    }
    absl::string_view text = operation.path;
    if (operation.kind != Kind::kMark || !absl::ConsumePrefix(&text, kFailed)) {
      progress.Update(operation);
      before = operation.kind == Kind::kMark ? before : Describe(operation, end);
      continue;
    }
    Failure failure;
    text = operation.path;
    const bool in_compaction = absl::ConsumePrefix(&text, kFailedInCompaction);
    failure.in_background = in_compaction || absl::ConsumePrefix(&text, kFailedInFlush);
    absl::ConsumePrefix(&text, kFailed);
    failure.text = std::string(text);
    const std::string file = FileKind(text);
    const std::string verb(text.substr(0, text.find(' ')));
    const bool of_options =
        file == "options" || (file == "directory" && FileKind(before) == "options");
    failure.kind = absl::StrCat(verb, "_", of_options ? "options" : file);
    // Plain appends are reported before the fence follows them with a sync; only what it notes
    // comes before. fence_following_test has the order for terms and votes.
    failure.in_background |=
        file == "fence" && !absl::StrContains(text, absl::StrCat(" ", 2 * kFenceSlotBytes, " "));
    const bool of_member = file == "wal" || file == "fence" || file == "manifest";
    failure.may_be_ignored =
        of_options || verb == "delete" || in_compaction || (is_staging && !of_member);
    failure.durable = progress.durable;
    return failure;
  }
  return std::nullopt;
}

struct Outcomes {
  size_t aborted = 0;
  size_t refused = 0;   // While opening.
  size_t finished = 0;  // As if nothing had been.
};

class FailingDiskTest : public testing::Test {
 protected:
  // Enough for a few switches of WAL and memtables, and for an opening in the middle.
  FailingDiskTest() : script_(MakeScript({.seed = 5, .steps = 26, .value_bytes_max = 6000})) {}

  std::string data_dir() const { return dir_.File("data"); }

  // What the script does to a sound disk.
  std::vector<DiskOperation> SoundOperations() {
    Recording sound = Record(MakeDisk(data_dir()), Progress(), data_dir(), script_);
    EXPECT_FALSE(sound.signal.has_value()) << Tail(sound.log);
    std::erase_if(sound.operations,
                  [](const DiskOperation& operation) { return operation.kind == Kind::kMark; });
    return std::move(sound.operations);
  }

  void CheckEnd(const Recording& recording, const Failure& failure) {
    Outcomes& outcomes = outcomes_[failure.kind];
    if (recording.signal.has_value()) {
      EXPECT_EQ(*recording.signal, SIGABRT) << failure.text << ": " << Tail(recording.log);
      EXPECT_TRUE(absl::StrContains(recording.log, "stopping: ") ||
                  absl::StrContains(recording.log, kOwnAssertion))
          << Tail(recording.log);
      ++outcomes.aborted;
    } else if (recording.refused) {
      ++outcomes.refused;
    } else {
      EXPECT_TRUE(failure.may_be_ignored) << failure.text << " ended nothing";
      ++outcomes.finished;
    }
    if (!failure.may_be_ignored && !failure.in_background) {
      EXPECT_EQ(recording.EndProgress().durable, failure.durable)
          << "acknowledged after this failed: " << failure.text;
    }
  }

  // The disk afterwards: as the process left it, and when the power goes as well.
  void CheckWhatIsLeft(const Recording& recording, const std::string& failed) {
    const FaultDisk end = recording.End();
    const Progress progress = recording.EndProgress();
    constexpr Survival kBoth[] = {Survival::kEverything, Survival::kSynced};
    const std::vector<IsolatedResult> results = RunIsolated(2, [&](size_t number) {
      Rng rng(1);
      return CheckDisk(end.AfterCrash(kBoth[number], &rng), data_dir(), script_.states(), progress,
                       /*goes_on=*/false);
    });
    for (const IsolatedResult& result : results) {
      EXPECT_TRUE(IsClean(result.text))
          << "after " << failed << ": " << result.text << Tail(result.log);
    }
  }

  void FailAt(size_t operation, DiskError error) {
    const Recording recording =
        Record(MakeDisk(data_dir()), Progress(), data_dir(), script_, Ending::kClose,
               DiskFault{.operation = operation, .error = error});
    if (const std::optional<Failure> failure = FindFailure(recording); failure.has_value()) {
      ++points_;
      CheckEnd(recording, *failure);
      CheckWhatIsLeft(recording, failure->text);
    }
  }

  void FailEach(DiskError error, size_t every) {
    const size_t operations = SoundOperations().size();
    for (size_t k = 0; k < operations; k += every) {
      FailAt(k, error);
    }
    Report("operations", operations);
    Report("failed_operations", points_);
    for (const auto& [what, outcomes] : outcomes_) {
      Report(absl::StrCat(what, "_aborted"), outcomes.aborted);
      Report(absl::StrCat(what, "_refused"), outcomes.refused);
      Report(absl::StrCat(what, "_finished"), outcomes.finished);
    }
    if (every == 1) {
      EXPECT_GT(outcomes_["write_wal"].aborted, 0U) << "a sample may miss them";
    }
  }

  // All that is acknowledged hangs on these, and a sample of all operations may miss them.
  void FailSyncsOfTheLog(size_t times) {
    const std::vector<DiskOperation> operations = SoundOperations();
    for (size_t k = operations.size(); k > 0 && outcomes_["sync_wal"].aborted < times; --k) {
      if (operations[k - 1].kind == Kind::kSyncFile) {
        FailAt(k - 1, DiskError::kIo);
      }
    }
    EXPECT_EQ(outcomes_["sync_wal"].aborted, times);
  }

 private:
  integration::TempDir dir_;
  const CrashScript script_;
  size_t points_ = 0;
  std::map<std::string, Outcomes> outcomes_;
};

using SampledFailingDiskTest = FailingDiskTest;

TEST_F(SampledFailingDiskTest, BrokenAtSomeOperations) { FailEach(DiskError::kIo, 13); }

TEST_F(SampledFailingDiskTest, BrokenAtSyncsOfTheLog) { FailSyncsOfTheLog(3); }

TEST_F(SampledFailingDiskTest, FullAtSomeOperations) { FailEach(DiskError::kNoSpace, 23); }

// A member that takes a snapshot in, and writes meanwhile.
class FailingStagingTest : public testing::Test {
 protected:
  static CrashScript Script() {
    for (uint64_t seed = 1;; ++seed) {
      CrashScript script =
          MakeScript({.seed = seed, .steps = 14, .reopens = false, .staging_writes_max = 20});
      if (std::any_of(
              script.steps().begin(), script.steps().end(), [](const CrashScript::Step& step) {
                return step.kind == CrashScript::Step::Kind::kInstall && step.writes.size() > 3;
              })) {
        return script;
      }
    }
  }

  // Each operation of the staging fails in its turn. What does not end the process is staged again.
  void FailEach(DiskError error, absl::string_view said) {
    const std::string data_dir = dir_.File("data");
    const Recording sound = Record(MakeDisk(data_dir), Progress(), data_dir, script_);
    ASSERT_FALSE(sound.signal.has_value()) << Tail(sound.log);
    size_t operation = 0;
    size_t said_so = 0;
    size_t aborted = 0;
    bool is_staging = false;
    for (const DiskOperation& sound_operation : sound.operations) {
      if (sound_operation.kind == Kind::kMark) {
        is_staging = sound_operation.path == kStaging ? sound_operation.number == 1 : is_staging;
        continue;
      }
      ++operation;
      if (!is_staging) {
        continue;
      }
      const Recording recording =
          Record(MakeDisk(data_dir), Progress(), data_dir, script_, Ending::kClose,
                 DiskFault{.operation = operation - 1, .error = error});
      const std::optional<Failure> failure = FindFailure(recording);
      const std::string what = failure.has_value() ? failure->text : "";
      const bool of_snapshot =
          absl::StrContains(what, "db.staging") || absl::StrContains(what, "-0.sst");
      if (recording.signal.has_value()) {
        EXPECT_FALSE(of_snapshot) << what << ": " << Tail(recording.log);
        ++aborted;
      }
      EXPECT_FALSE(recording.refused) << what;
      if (of_snapshot && !absl::StartsWith(what, "delete")) {
        EXPECT_TRUE(absl::StrContains(recording.log, said)) << what << ": " << Tail(recording.log);
        ++said_so;
      }
      const IsolatedResult result =
          RunIsolated(1, [&](size_t) {
            return CheckDisk(recording.End(), data_dir, script_.states(), recording.EndProgress(),
                             /*goes_on=*/true);
          }).front();
      EXPECT_TRUE(IsClean(result.text))
          << "after " << what << ": " << result.text << Tail(result.log);
    }
    Report("failed_of_the_snapshot", said_so);
    Report("aborted", aborted);
    EXPECT_GT(said_so, 5U);
  }

 private:
  integration::TempDir dir_;
  const CrashScript script_ = Script();
};

using SampledFailingStagingTest = FailingStagingTest;
using LongFailingStagingTest = FailingStagingTest;
using LongFailingDiskTest = FailingDiskTest;

TEST_F(SampledFailingStagingTest, FullAtEveryOperation) {
  FailEach(DiskError::kNoSpace, "staging failed: RESOURCE_EXHAUSTED");
}

TEST_F(LongFailingStagingTest, BrokenAtEveryOperation) {
  FailEach(DiskError::kIo, "staging failed: INTERNAL");
}

TEST_F(LongFailingDiskTest, BrokenAtEveryOperation) { FailEach(DiskError::kIo, 1); }

TEST_F(LongFailingDiskTest, FullAtEveryOperation) { FailEach(DiskError::kNoSpace, 1); }

}  // namespace
}  // namespace raftkv::storage
