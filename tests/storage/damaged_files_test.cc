// Files of a stopped member that were damaged at rest: bits flipped, zeroed, cut, emptied, deleted.
// Each must be detected, by refusing to open or to read, or be harmless. What opens must hold
// everything that was acknowledged. A refusal loses nothing: with the file put back it opens whole.
#include <signal.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/disk_failure.h"
#include "storage/durability_fence.h"
#include "tests/storage/crash_lab.h"
#include "tests/storage/isolated.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

constexpr size_t kSectorBytes = 512;
constexpr size_t kShownMax = 10;
// Debian's RocksDB has its assertions on, and one of them can come before the error for a block
// whose damage its checksum does not cover; for so few of the damages at most.
constexpr char kOwnAssertion[] = "rocksdb::LZ4_Uncompress";
constexpr size_t kAssertedMax = 3;

struct Damage {
  std::string path;
  std::string what;
  bool deletes = false;
  // Changes the contents, unless it deletes.
  std::function<void(std::string*)> change;
};

struct Thoroughness {
  // Of the bits of StructuralBytes, so many a file, at random.
  size_t structural_flips;
  size_t flips;  // Anywhere.
  size_t sectors;
  size_t cuts;
};

// The kind of a file, for counting.
std::string KindOf(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (absl::EndsWith(name, ".log")) {
    return "wal";
  }
  if (absl::EndsWith(name, ".sst")) {
    return "table";
  }
  return name.substr(0, name.find('-'));
}

// Where a flipped bit changes what the rest of a file is taken for, in bytes: the headers of the
// records of WALs and MANIFESTs, the footers of tables, and all of the small files.
std::vector<size_t> StructuralBytes(const std::string& kind, const std::string& bytes) {
  constexpr size_t kRecordHeaderBytes = 7;  // checksum:fixed32 length:fixed16 type
  constexpr size_t kRecordBlockBytes = 32 << 10;
  constexpr size_t kFooterBytes = 53;
  constexpr size_t kSmallBytes = 64;
  std::vector<size_t> places;
  const auto add = [&places, &bytes](size_t begin, size_t end) {
    for (size_t at = begin; at < std::min(end, bytes.size()); ++at) {
      places.push_back(at);
    }
  };
  if (kind == "wal" || kind == "MANIFEST") {
    size_t at = 0;
    while (at + kRecordHeaderBytes <= bytes.size()) {
      const size_t left = kRecordBlockBytes - at % kRecordBlockBytes;
      if (left < kRecordHeaderBytes) {
        at += left;
        continue;
      }
      add(at, at + kRecordHeaderBytes);
      at += kRecordHeaderBytes + (static_cast<uint8_t>(bytes[at + 4]) |
                                  static_cast<size_t>(static_cast<uint8_t>(bytes[at + 5])) << 8);
    }
  } else if (kind == "table") {
    add(bytes.size() - std::min(bytes.size(), kFooterBytes), bytes.size());
  } else if (kind == "FENCE") {
    for (size_t slot = 0; slot < bytes.size(); slot += kFenceSlotBytes) {
      add(slot, slot + 2 * kSmallBytes);
    }
  } else if (bytes.size() <= kSmallBytes) {
    add(0, bytes.size());
  }
  return places;
}

std::vector<Damage> ListDamages(const FaultDisk& disk, const std::string& data_dir,
                                const Thoroughness& how) {
  std::vector<Damage> damages;
  Rng rng(7);
  for (const std::string& path : disk.Files(data_dir)) {
    const size_t size = disk.Contents(*disk.Find(path)).size();
    const auto add = [&](const std::string& what, std::function<void(std::string*)> change) {
      damages.push_back({path, what, false, std::move(change)});
    };
    damages.push_back({path, "deleted", true, nullptr});
    if (size == 0) {
      continue;
    }
    add("emptied", [](std::string* bytes) { bytes->clear(); });
    add("zeroed", [](std::string* bytes) { std::fill(bytes->begin(), bytes->end(), '\0'); });
    add("cut in half", [](std::string* bytes) { bytes->resize(bytes->size() / 2); });
    add("cut by a byte", [](std::string* bytes) { bytes->pop_back(); });
    for (size_t i = 0; i < how.cuts; ++i) {
      const size_t at = rng.Below(size);
      add(absl::StrCat("cut at ", at), [at](std::string* bytes) { bytes->resize(at); });
    }
    const auto flip = [&add](size_t at, size_t bit) {
      const char mask = static_cast<char>(1 << bit);
      add(absl::StrCat("bit ", bit, " flipped at ", at), [at, mask](std::string* bytes) {
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ mask);
      });
    };
    const std::vector<size_t> places =
        StructuralBytes(KindOf(path), disk.Contents(*disk.Find(path)));
    const size_t bits = places.size() * 8;
    for (size_t i = 0; i < std::min(bits, how.structural_flips); ++i) {
      const size_t bit = bits <= how.structural_flips ? i : rng.Below(bits);
      flip(places[bit / 8], bit % 8);
    }
    for (size_t i = 0; i < how.flips; ++i) {
      // Small files everywhere, large ones at random.
      const size_t at = size <= how.flips * 8 ? i * 8 % size : rng.Below(size);
      flip(at, rng.Below(8));
    }
    for (size_t i = 0; i < how.sectors; ++i) {
      const size_t at = rng.Below(size) / kSectorBytes * kSectorBytes;
      add(absl::StrCat("sector zeroed at ", at), [at](std::string* bytes) {
        std::fill_n(bytes->begin() + static_cast<ptrdiff_t>(at),
                    std::min(kSectorBytes, bytes->size() - at), '\0');
      });
    }
  }
  return damages;
}

FaultDisk Damaged(const FaultDisk& disk, const Damage& damage) {
  FaultDisk damaged = disk;
  if (damage.deletes) {
    damaged.Apply(DiskOperation::OnPath(DiskOperation::Kind::kDelete, damage.path));
    return damaged;
  }
  const NodeNumber node = *damaged.Find(damage.path);
  std::string contents = damaged.Contents(node);
  damage.change(&contents);
  damaged.Damage(node, std::move(contents));
  return damaged;
}

// The disk after a refusal, with the damaged file as it was.
FaultDisk Repaired(FaultDisk disk, const Damage& damage, std::string contents) {
  if (!disk.Find(damage.path).has_value()) {
    disk.Apply(DiskOperation::OnPath(DiskOperation::Kind::kCreateFile, damage.path));
  }
  disk.Damage(*disk.Find(damage.path), std::move(contents));
  return disk;
}

class DamagedFilesTest : public testing::Test {
 protected:
  std::string data_dir() const { return dir_.File("data"); }

  // Damages the disk that a run of the script leaves behind.
  void DamageEach(Ending ending, const Thoroughness& how) {
    // In one go, so that several WAL files are still needed at the end.
    const CrashScript script = MakeScript({.seed = 6, .steps = 70, .reopens = false});
    const Recording recording =
        Record(MakeDisk(data_dir()), Progress(), data_dir(), script, ending);
    ASSERT_FALSE(recording.signal.has_value()) << Tail(recording.log);
    FaultDisk disk = recording.End();
    disk.SyncAll();
    const Progress progress = recording.EndProgress();
    const std::vector<Damage> damages = ListDamages(disk, data_dir(), how);
    const std::vector<IsolatedResult> results = RunIsolated(damages.size(), [&](size_t number) {
      const Damage& damage = damages[number];
      FaultDisk left;
      const std::string verdict = CheckDisk(Damaged(disk, damage), data_dir(), script.states(),
                                            progress, /*goes_on=*/false, &left);
      if (!IsRefused(verdict)) {
        return verdict;
      }
      const std::string again =
          CheckDisk(Repaired(left, damage, disk.Contents(*disk.Find(damage.path))), data_dir(),
                    script.states(), progress, /*goes_on=*/false);
      return IsClean(again) ? verdict
                            : absl::StrCat("wrong: put back after ", verdict, ": ", again);
    });
    std::vector<std::string> wrong;
    for (size_t number = 0; number < results.size(); ++number) {
      const std::string problem = Judge(damages[number], results[number]);
      if (!problem.empty()) {
        wrong.push_back(problem);
      }
    }
    Report("damages", damages.size());
    for (const auto& [kind, counts] : counts_) {
      Report(absl::StrCat(kind, "_harmless"), counts.harmless);
      Report(absl::StrCat(kind, "_detected"), counts.detected);
    }
    EXPECT_TRUE(wrong.empty()) << wrong.size() << " in all";
    for (size_t i = 0; i < std::min(wrong.size(), kShownMax); ++i) {
      ADD_FAILURE() << wrong[i];
    }
    EXPECT_GT(counts_["wal"].detected, 0U);
    EXPECT_GT(counts_["table"].detected, 0U);
    EXPECT_GT(counts_["MANIFEST"].detected, 0U);
  }

 private:
  struct Counts {
    size_t harmless = 0;
    size_t detected = 0;
  };

  // What is wrong with it, if anything.
  std::string Judge(const Damage& damage, const IsolatedResult& result) {
    Counts& counts = counts_[KindOf(damage.path)];
    // A compaction that meets the damage ends the process.
    const bool stopped = result.exit_code == kExitDamaged &&
                         absl::StrContains(result.log, "stopping: ") &&
                         absl::StrContains(result.log, "is corrupted");
    if (IsClean(result.text)) {
      ++counts.harmless;
      return "";
    }
    // Nothing is read or acknowledged then, but nobody is told which file it is.
    const bool asserted = result.signal == SIGABRT && absl::StrContains(result.log, kOwnAssertion);
    asserted_ += asserted ? 1 : 0;
    if (IsRefused(result.text) || stopped || (asserted && asserted_ <= kAssertedMax)) {
      ++counts.detected;
      return "";
    }
    return absl::StrCat(damage.path, " ", damage.what, ": ", result.text, Tail(result.log));
  }

  integration::TempDir dir_;
  std::map<std::string, Counts> counts_;
  size_t asserted_ = 0;
};

using SampledDamagedFilesTest = DamagedFilesTest;

TEST_F(SampledDamagedFilesTest, AfterAnOrderlyEnd) {
  DamageEach(Ending::kClose, {.structural_flips = 6, .flips = 3, .sectors = 1, .cuts = 1});
}

TEST_F(DamagedFilesTest, AfterAnOrderlyEnd) {
  DamageEach(Ending::kClose, {.structural_flips = 60, .flips = 24, .sectors = 6, .cuts = 12});
}

TEST_F(DamagedFilesTest, AfterAKill) {
  DamageEach(Ending::kKill, {.structural_flips = 60, .flips = 24, .sectors = 6, .cuts = 12});
}

}  // namespace
}  // namespace raftkv::storage
