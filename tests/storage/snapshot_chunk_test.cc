#include "storage/snapshot_chunk.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kv/command_version.h"
#include "tests/storage/chunk_list.h"

namespace raftkv::storage {
namespace {

using testing::HasSubstr;

struct Row {
  size_t family;
  std::string key;
  std::string value;

  friend bool operator==(const Row&, const Row&) = default;
};

std::vector<std::string> Build(const std::vector<Row>& rows) {
  ChunkList chunks;
  for (const Row& row : rows) {
    chunks.Add(row.family, row.key, row.value);
  }
  return chunks.Finish();
}

// Reads all chunks, and stops at the first failure.
absl::Status Read(const std::vector<std::string>& chunks, std::vector<Row>* rows = nullptr) {
  SnapshotChunkReader reader;
  for (const std::string& chunk : chunks) {
    const absl::Status status = reader.Read(chunk, [&](const SnapshotRow& row) {
      if (rows != nullptr) {
        rows->push_back({row.family, std::string(row.key), std::string(row.value)});
      }
      return absl::OkStatus();
    });
    if (!status.ok()) {
      return status;
    }
  }
  return reader.at_end() ? absl::OkStatus() : absl::UnknownError("no end");
}

const std::vector<Row>& SomeRows() {
  static const auto* rows = new std::vector<Row>{{0, "applied", "1"},
                                                 {0, "configuration", std::string(200, '\0')},
                                                 {1, std::string(1, '\0'), ""},
                                                 {1, "a", "value"},
                                                 {1, "b", std::string(300, 'v')},
                                                 {2, "12345678a", ""}};
  return *rows;
}

void ExpectRefused(const std::vector<std::string>& chunks, const std::string& why) {
  const absl::Status status = Read(chunks);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << why;
  EXPECT_THAT(std::string(status.message()), HasSubstr(why));
}

TEST(SnapshotChunkTest, RowsComeBack) {
  std::vector<Row> rows;
  ASSERT_EQ(Read(Build(SomeRows()), &rows), absl::OkStatus());
  EXPECT_EQ(rows, SomeRows());
}

TEST(SnapshotChunkTest, NoRowsHaveAnEnd) { EXPECT_EQ(Read(Build({})), absl::OkStatus()); }

TEST(SnapshotChunkTest, ManyRowsTakeManyChunks) {
  std::vector<Row> rows;
  for (int i = 0; i < 1000; ++i) {
    rows.push_back({1, "key" + std::to_string(1000 + i), std::string(1000, 'v')});
  }
  const std::vector<std::string> chunks = Build(rows);
  EXPECT_EQ(chunks.size(), 4u);
  for (const std::string& chunk : chunks) {
    EXPECT_LE(chunk.size(), kChunkBytes + 100);
  }
  std::vector<Row> found;
  ASSERT_EQ(Read(chunks, &found), absl::OkStatus());
  EXPECT_EQ(found, rows);
}

TEST(SnapshotChunkTest, ALargeRowHasAChunkAlone) {
  const std::vector<Row> rows = {{1, "a", "1"}, {1, "b", std::string(3 << 20, 'v')}, {1, "c", "3"}};
  const std::vector<std::string> chunks = Build(rows);
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_LT(chunks[1].size(), kChunkBytesMax);
  std::vector<Row> found;
  ASSERT_EQ(Read(chunks, &found), absl::OkStatus());
  EXPECT_EQ(found, rows);
}

TEST(SnapshotChunkTest, EveryFlippedBitIsRefused) {
  const std::vector<std::string> chunks = Build(SomeRows());
  ASSERT_EQ(chunks.size(), 1u);
  for (size_t bit = 0; bit < 8 * chunks[0].size(); ++bit) {
    std::string bad = chunks[0];
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(Read({bad}).ok()) << "bit " << bit;
  }
}

TEST(SnapshotChunkTest, RequestsComeWithTheirVersionAlone) {
  EXPECT_EQ(ChunkVersionOf(kv::kFirstCommandVersion), kFirstChunkVersion);
  EXPECT_EQ(ChunkVersionOf(kv::kTxnCommandVersion), kChunkVersion);
  SnapshotChunkBuilder first({}, kChunkVersion);
  ASSERT_TRUE(first.Add(1, "a", "value"));
  const SnapshotTotals totals = first.totals();
  SnapshotChunkBuilder second(totals, kChunkVersion);
  ASSERT_TRUE(second.Add(3, "id", "outcome"));
  second.AddEnd();
  const std::string begin = first.Take();
  const std::string end = second.Take();
  EXPECT_EQ(Read({begin, end}), absl::OkStatus());
  std::string older = end;
  older[0] = kFirstChunkVersion;
  ExpectRefused({begin, older}, "is of version 1");
  std::string oldest = begin;
  oldest[0] = kFirstChunkVersion;
  ExpectRefused({oldest, older}, "has a row of family 4");
}

TEST(SnapshotChunkTest, AnotherVersionIsToldFromDamage) {
  // One that was never released, and the next one.
  for (const char version : {2, 4}) {
    std::string chunk = Build(SomeRows())[0];
    chunk[0] = version;
    for (const std::string& bytes : {chunk, std::string(1, version)}) {
      const absl::Status status = Read({bytes});
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(absl::StrCat("is of version ", static_cast<int>(version),
                                         ", this raftkvd reads 1 and 3")));
    }
  }
}

TEST(SnapshotChunkTest, EveryCutIsRefused) {
  const std::string chunk = Build(SomeRows())[0];
  for (size_t size = 0; size < chunk.size(); ++size) {
    EXPECT_FALSE(Read({chunk.substr(0, size)}).ok()) << size;
  }
}

class ManyChunksTest : public testing::Test {
 protected:
  ManyChunksTest() {
    std::vector<Row> rows;
    for (int i = 0; i < 1000; ++i) {
      rows.push_back({1, "key" + std::to_string(1000 + i), std::string(1000, 'v')});
    }
    chunks_ = Build(rows);
  }

  std::vector<std::string> chunks_;
};

TEST_F(ManyChunksTest, AMissingOneIsRefused) {
  chunks_.erase(chunks_.begin() + 1);
  ExpectRefused(chunks_, "other rows");
}

TEST_F(ManyChunksTest, ARepeatedOneIsRefused) {
  chunks_.insert(chunks_.begin() + 1, chunks_[0]);
  ExpectRefused(chunks_, "repeats a row");
}

TEST_F(ManyChunksTest, TwoInTheWrongOrderAreRefused) {
  std::swap(chunks_[0], chunks_[1]);
  ExpectRefused(chunks_, "too late");
}

TEST_F(ManyChunksTest, NothingFollowsTheEnd) {
  chunks_.push_back(chunks_.back());
  ExpectRefused(chunks_, "follows the last one");
}

TEST_F(ManyChunksTest, WithoutTheEndThereIsNone) {
  chunks_.pop_back();
  EXPECT_EQ(Read(chunks_), absl::UnknownError("no end"));
}

TEST(SnapshotChunkTest, WhatNobodyBuildsIsRefused) {
  const std::string head(1, 1);
  ExpectRefused({""}, "has no bytes");
  ExpectRefused({head}, "holds nothing");
  ExpectRefused({std::string("\3\4\1k\0", 5), std::string("\1\0\0\0\0", 5)}, "is of version 1");
  ExpectRefused({std::string("\3\7\1k\0", 5)}, "a row of family 7");
  ExpectRefused({head + "\x04"}, "a row of family 4");
  ExpectRefused({head + "\x01\x05"
                        "ab"},
                "ends within a row");
  ExpectRefused({head + std::string("\0\0\0\0", 4)}, "the end of the snapshot");
  ExpectRefused({head + std::string(12, '\0') + "x"}, "the end of the snapshot");
  ExpectRefused({head + std::string("\0\1\0\0\0\0\0\0\0\0\0\0", 12)}, "other rows");
  ExpectRefused({std::string(kChunkBytesMax + 1, 1)}, "at most 4194304");
  ExpectRefused(Build({{1, "b", ""}, {1, "a", ""}}), "too late");
  ExpectRefused(Build({{1, "a", ""}, {1, "a", ""}}), "repeats a row");
  ExpectRefused(Build({{2, "a", ""}, {1, "b", ""}}), "too late");
}

TEST(SnapshotChunkTest, WhatTheVisitorSaysEndsIt) {
  SnapshotChunkReader reader;
  EXPECT_EQ(reader.Read(Build(SomeRows())[0],
                        [](const SnapshotRow&) { return absl::AbortedError("enough"); }),
            absl::AbortedError("enough"));
}

}  // namespace
}  // namespace raftkv::storage
