// That damage is done, to one file, and undone.
#include "tests/chaos/file_damage.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/temp_dir.h"

namespace raftkv::chaos {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

class FileDamageTest : public testing::Test {
 protected:
  FileDamageTest() {
    fs::create_directories(Path("db"));
    for (const std::string name : {"FORMAT", "FENCE", "db/CURRENT", "db/IDENTITY",
                                   "db/MANIFEST-000004", "db/MANIFEST-000018", "db/000016.sst",
                                   "db/000017.log", "db/000019.log", "db/OPTIONS-000020", "LOCK"}) {
      integration::WriteFile(Path(name), absl::StrCat(std::string(9000, 'x'), name));
    }
  }

  std::string Path(const std::string& name) const { return absl::StrCat(DataDir(), "/", name); }
  std::string DataDir() const { return dir_.File("n1"); }
  std::string CopyDir() const { return dir_.File("n1.intact"); }

  Files Read() const {
    Files files;
    for (const auto& entry : fs::recursive_directory_iterator(DataDir())) {
      if (entry.is_regular_file()) {
        files[fs::relative(entry.path(), DataDir())] = integration::ReadFile(entry.path());
      }
    }
    return files;
  }

  static std::set<std::string> Differing(const Files& before, const Files& after) {
    std::set<std::string> names;
    for (const auto& [name, bytes] : before) {
      const auto found = after.find(name);
      if (found == after.end() || found->second != bytes) {
        names.insert(name);
      }
    }
    return names;
  }

  const integration::TempDir dir_;
};

TEST_F(FileDamageTest, EveryKindOfFileIsHitOneAtATimeAndIsGoodAgain) {
  simulation::Dice dice(1, "damage");
  const Files good = Read();
  std::set<std::string> hit;
  std::set<size_t> sizes;
  for (int i = 0; i < 300; ++i) {
    const auto damage = FileDamage::Do(DataDir(), CopyDir(), &dice);
    ASSERT_TRUE(damage.has_value());
    const Files bad = Read();
    const std::set<std::string> differing = Differing(good, bad);
    ASSERT_EQ(differing.size(), 1U) << damage->description();
    hit.insert(*differing.begin());
    const auto found = bad.find(*differing.begin());
    sizes.insert(found == bad.end() ? 1 : found->second.size());
    damage->UndoAll();
    damage->Forget();
    ASSERT_EQ(Read(), good) << damage->description();
    ASSERT_FALSE(fs::exists(CopyDir()));
  }
  // The newest of each, and nothing that says nothing.
  EXPECT_EQ(hit, (std::set<std::string>{"FORMAT", "FENCE", "db/CURRENT", "db/IDENTITY",
                                        "db/MANIFEST-000018", "db/000016.sst", "db/000019.log",
                                        "db/OPTIONS-000020"}));
  EXPECT_TRUE(sizes.contains(0));
  EXPECT_TRUE(sizes.contains(1));
  EXPECT_GT(sizes.size(), 10U);
}

TEST_F(FileDamageTest, AMemberThatHasServedGetsItsTableBackAndNothingElse) {
  simulation::Dice dice(2, "damage");
  const Files good = Read();
  bool table = false;
  bool other = false;
  while (!table || !other) {
    const auto damage = FileDamage::Do(DataDir(), CopyDir(), &dice);
    ASSERT_TRUE(damage.has_value());
    const Files bad = Read();
    const bool is_table =
        bad.contains("db/000016.sst") && Differing(good, bad).contains("db/000016.sst");
    damage->UndoTable();
    EXPECT_EQ(Read(), is_table ? good : bad) << damage->description();
    (is_table ? table : other) = true;
    damage->UndoAll();
    damage->Forget();
  }
}

TEST_F(FileDamageTest, WhatChangesNothingIsNoDamage) {
  for (const std::string& name : {std::string("FENCE"), std::string("FORMAT")}) {
    fs::remove(Path(name));
  }
  fs::remove_all(Path("db"));
  fs::create_directories(Path("db"));
  simulation::Dice dice(3, "damage");
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(FileDamage::Do(DataDir(), CopyDir(), &dice).has_value());
    EXPECT_FALSE(fs::exists(CopyDir()));
  }
}

}  // namespace
}  // namespace raftkv::chaos
