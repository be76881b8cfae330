// What a storage tells of its database.
#include "storage/database_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using testing::ElementsAre;
using testing::Key;

class DatabaseFiguresTest : public OpenStoreTest {
 protected:
  DatabaseFigures Look() { return store_.storage().PrepareFigures()(); }
  std::map<std::string, DatabaseFigures::Family> Families() {
    std::map<std::string, DatabaseFigures::Family> families;
    for (const DatabaseFigures::Family& family : Look().families) {
      families[family.name] = family;
    }
    return families;
  }
  // Puts all that is in memory into tables.
  void Flush() { store_.storage().PrepareToGiveBackSpace()(); }
};

TEST_F(DatabaseFiguresTest, NamesEveryFamilyAndWhereItsRowsAre) {
  // Room for all of it.
  store_.options().write_buffer_bytes = 8 << 20;
  store_.options().cache_bytes = 64 << 20;
  store_.Reopen();
  const uint64_t before = Families()["latest"].memtable_bytes;
  for (int i = 0; i < 200; ++i) {
    Run(Put("key" + std::to_string(i), std::string(1000, 'x')));
  }
  auto families = Families();
  EXPECT_THAT(families, ElementsAre(Key("history"), Key("latest"), Key("leases"), Key("meta"),
                                    Key("raft_log"), Key("requests"), Key("state"), Key("ttl")));
  EXPECT_GT(families["latest"].memtable_bytes, before + 200'000);
  EXPECT_EQ(families["latest"].table_bytes, 0U);
  EXPECT_EQ(families["latest"].level0_files, 0U);
  Flush();
  families = Families();
  EXPECT_GT(families["latest"].table_bytes, 1000U);
  EXPECT_LT(families["latest"].memtable_bytes, before + 100'000);
}

TEST_F(DatabaseFiguresTest, CountsFlushesAndCompactions) {
  Run(Put("a", "1"));
  const DatabaseWork before = Look().work;
  Flush();
  const DatabaseWork after = Look().work;
  EXPECT_GT(after.flushes, before.flushes);
  EXPECT_GT(after.flushed_bytes, before.flushed_bytes);
  for (int i = 0; i < 3; ++i) {
    Run(Put("a", std::to_string(i)));
    Run(Put("b" + std::to_string(i), "x"));
    Flush();
  }
  const DatabaseWork last = Look().work;
  EXPECT_GT(last.compactions, before.compactions);
  EXPECT_GT(last.compaction_read_bytes, 0U);
  EXPECT_GT(last.compaction_written_bytes, 0U);
  EXPECT_GT(last.compaction_micros, 0U);
}

TEST_F(DatabaseFiguresTest, AHealthyDatabaseStopsNobody) {
  const DatabaseFigures figures = Look();
  EXPECT_FALSE(figures.is_write_stopped);
  EXPECT_EQ(figures.delayed_write_bytes_per_second, 0U);
  EXPECT_EQ(figures.background_errors, 0U);
  EXPECT_EQ(figures.work.stops, 0U);
  EXPECT_EQ(figures.cache_capacity_bytes, store_.options().cache_bytes);
  EXPECT_GT(figures.cache_used_bytes, 0U);
  EXPECT_GE(figures.cache_used_bytes, figures.cache_pinned_bytes);
}

// A state that a snapshot replaced may be looked at by a scrape that began before.
TEST_F(DatabaseFiguresTest, AStateThatWasReplacedMeanwhileIsStillThere) {
  store_.Found();
  Run(Put("a", "1"));
  const std::function<DatabaseFigures()> look = store_.storage().PrepareFigures();
  const auto staged = store_.Stage(store_.Point(), store_.ReadSnapshot());
  ASSERT_TRUE(staged.ok()) << staged.status();
  store_.Install(*staged, /*keeps_log=*/true);
  EXPECT_TRUE(store_.machine().Adopt(**staged));
  EXPECT_EQ(look().families.size(), 8U);
}

}  // namespace
}  // namespace raftkv::storage
