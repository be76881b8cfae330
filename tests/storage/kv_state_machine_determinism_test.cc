// Members apply the same entries in other runs, with other restarts, and must hold the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "kv/command_version.h"
#include "kv/state_hash.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::Operation;

// Entries with every kind of command, over few keys so that they meet.
std::vector<raft::Entry> RandomEntries(uint64_t seed, uint64_t count) {
  Rng rng(seed);
  const auto key = [&rng] { return "k" + std::to_string(rng.Below(30)); };
  std::vector<raft::Entry> entries;
  for (uint64_t index = 1; index <= count; ++index) {
    std::vector<Command> commands;
    if (index == 20) {
      commands.emplace_back().mutable_raise_cluster_version()->set_version(
          kv::kHistoryCommandVersion);
    }
    for (uint64_t i = 0; i < 1 + rng.Below(5); ++i) {
      switch (rng.Below(7)) {
        case 0:
          commands.push_back(Delete(key()));
          break;
        case 1:
          commands.push_back(PutTtl(key(), "ttl", 1 + rng.Below(40)));
          break;
        case 2:
          commands.push_back(
              Txn({Exists(key(), rng.Below(2) == 0)}, {KeepTtlOp(key(), "kept"), DeleteOp(key())}));
          break;
        case 3:
          commands.push_back(Expire(rng.Below(2) * (1000 + 10 * index), key(), 1 + rng.Below(4)));
          break;
        case 4: {
          Operation range = DeleteRangeOp(key(), key());
          range.mutable_delete_()->set_limit(rng.Below(3));
          range.mutable_delete_()->set_keys_max(4);
          commands.push_back(Txn({}, {PutOp(key(), "before"), range}));
          break;
        }
        default:
          commands.push_back(Put(key(), std::string(rng.Below(2000), 'x')));
      }
    }
    for (Command& command : commands) {
      if (index > 20 && command.has_txn() && rng.Below(2) == 0) {
        log::v1::RequestMark* mark = command.mutable_request();
        mark->set_id("id" + std::to_string(rng.Below(60)));
        mark->set_content_hash(rng.Below(2));
        mark->set_keep_ms(rng.Below(2) * 200);
        mark->set_ids_max(40);
        mark->set_bytes_max(10'000);
      }
    }
    entries.push_back(CommandEntry(index, commands, /*stamp=*/1000 + 10 * index));
  }
  return entries;
}

struct Bytes {
  FamilyRows latest;
  FamilyRows ttl;
  FamilyRows requests;
  FamilyRows history;
  std::string applied;
  std::string history_state;
  std::vector<std::optional<uint64_t>> state_hashes;  // Of entry i + 1 at i, where it is known.
  std::vector<std::string> outcomes;

  friend bool operator==(const Bytes&, const Bytes&) = default;
};

// The hashes that are stored are those of the rows that are stored.
void ExpectHashesOfRows(Bytes& bytes) {
  uint64_t sum = 0;
  for (const auto& [key, value] : bytes.latest) {
    const std::optional<LatestRecord> record = DecodeRecord(value);
    ASSERT_TRUE(record.has_value()) << key;
    const uint64_t hash = kv::RowHash(key, record->header, record->value);
    sum += hash;
    if (record->header.deadline.value() != 0) {
      EXPECT_EQ(bytes.ttl[EncodeTtlKey(record->header.deadline, key)], EncodeRowHash(hash)) << key;
    }
  }
  const std::optional<kv::AppliedState> applied = DecodeAppliedState(bytes.applied);
  ASSERT_TRUE(applied.has_value());
  EXPECT_EQ(applied->rows_hash, sum);
  EXPECT_EQ(bytes.state_hashes.back(), kv::StateHash(*applied));
}

// Applies the entries in runs of at most `run_max`, reopening `reopens` times on the way.
Bytes ApplyInRuns(const std::vector<raft::Entry>& entries, size_t run_max, size_t reopens) {
  TempDir dir;
  Store store(dir.File("data"));
  store.options().history_limits = {
      .age_ms = 700, .bytes = 60'000, .events = 90, .previous_bytes = 3000, .segments = 5};
  store.Open();
  store.Append(entries);
  RecordingObserver observer;
  size_t reopened = 0;
  for (size_t done = 0; done < entries.size();) {
    const absl::Span<const raft::Entry> rest = absl::MakeConstSpan(entries).subspan(done);
    done += store.machine().Apply(rest.subspan(0, std::min(run_max, rest.size())), &observer);
    // Only after progress: a store that is opened again and again is cold for ever.
    if (reopened < reopens && done > reopened * entries.size() / reopens) {
      ++reopened;
      store.Reopen();
      EXPECT_EQ(store.machine().applied().index, raft::LogIndex(done));
    }
  }
  // The figures agree with the rows.
  const auto records = store.Records();
  EXPECT_EQ(store.machine().key_count(), static_cast<int64_t>(records.size()));
  std::vector<std::pair<uint64_t, std::string>> expected_rows;
  for (const auto& [key, record] : records) {
    if (record.deadline_ms() != 0) {
      expected_rows.emplace_back(record.deadline_ms(), key);
    }
  }
  std::sort(expected_rows.begin(), expected_rows.end());
  EXPECT_EQ(store.TtlRows(), expected_rows);
  std::vector<std::optional<uint64_t>> state_hashes;
  for (uint64_t index = 1; index <= entries.size(); ++index) {
    state_hashes.push_back(store.machine().StateHash(raft::LogIndex(index)));
  }
  store.Close();
  Bytes bytes{.latest = DumpFamily(store.database_path(), "latest.1"),
              .ttl = DumpFamily(store.database_path(), "ttl.1"),
              .requests = DumpFamily(store.database_path(), "requests.1"),
              .history = DumpFamily(store.database_path(), "history.1"),
              .applied = DumpFamily(store.database_path(), "state.1")[kAppliedKey],
              .history_state = DumpFamily(store.database_path(), "state.1")[kHistoryKey],
              .state_hashes = std::move(state_hashes),
              .outcomes = {}};
  for (const CommandOutcome& outcome : observer.outcomes) {
    bytes.outcomes.push_back(outcome.SerializeAsString());
  }
  ExpectHashesOfRows(bytes);
  return bytes;
}

TEST(KvStateMachineDeterminismTest, RunsAndRestartsDoNotShowInTheBytes) {
  for (const uint64_t seed : {1, 2, 3}) {
    const std::vector<raft::Entry> entries = RandomEntries(seed, 200);
    const Bytes whole = ApplyInRuns(entries, entries.size(), 0);
    EXPECT_FALSE(whole.latest.empty());
    EXPECT_FALSE(whole.requests.empty());
    EXPECT_FALSE(whole.history.empty());
    EXPECT_GT(DecodeHistoryState(whole.history_state)->removed, 0);
    EXPECT_EQ(ApplyInRuns(entries, 1, 0), whole) << "seed " << seed;
    Bytes reopened = ApplyInRuns(entries, 7, 3);
    // What was applied before the last start is known no more.
    for (size_t i = 0; i < reopened.state_hashes.size(); ++i) {
      if (!reopened.state_hashes[i].has_value()) {
        reopened.state_hashes[i] = whole.state_hashes[i];
      }
    }
    EXPECT_EQ(reopened, whole) << "seed " << seed;
  }
}

TEST(KvStateMachineDeterminismTest, StatesThatDifferHaveOtherHashes) {
  std::vector<raft::Entry> entries = {CommandEntry(1, {Put("a", "1")}),
                                      CommandEntry(2, {Put("b", "2")})};
  const Bytes one = ApplyInRuns(entries, 2, 0);
  entries[1] = CommandEntry(2, {Put("b", "3")});
  const Bytes other = ApplyInRuns(entries, 2, 0);
  EXPECT_EQ(one.state_hashes[0], other.state_hashes[0]);
  EXPECT_NE(one.state_hashes[1], other.state_hashes[1]);
}

}  // namespace
}  // namespace raftkv::storage
