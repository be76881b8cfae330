// That the oracle of states notices what it is there for.
#include "tests/simulation/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/state_hash.h"
#include "raft/runtime/command_batch.h"

namespace raftkv::simulation {
namespace {

using raft::LogIndex;
using raft::NodeId;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NobodyWaits final : public raft::OutcomeObserver {
 public:
  bool Wants(uint64_t /*origin*/, uint64_t /*sequence*/) const override { return false; }
  void OnOutcome(uint64_t /*origin*/, uint64_t /*sequence*/, std::string /*outcome*/) override {}
};

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    // A put, its successor, and one that brings another key.
    for (const char* key : {"a", "a", "b"}) {
      log::v1::Command command;
      log::v1::PutOperation* put = command.mutable_txn()->add_operations()->mutable_put();
      put->set_key(key);
      put->set_value(TaggedValue(steps_.size() + 1, /*bytes=*/8, '.'));
      std::string payload;
      raft::AppendProposal(/*origin=*/1, steps_.size() + 1, command.SerializeAsString(), &payload);
      const raft::Entry entry{.id = {.term = raft::Term(1), .index = LogIndex(steps_.size() + 1)},
                              .kind = raft::EntryKind::kCommands,
                              .stamp = raft::ClusterMillis(0),
                              .payload = std::make_shared<const std::string>(std::move(payload))};
      raft::LogWrite write;
      write.entries = {entry};
      logs_.OnWrite(kNode, write);
      kv::AppliedRun run{.applied = table_.content().applied, .outcomes = {}, .too_new = {}};
      EXPECT_EQ(applier_.Apply(entry, NobodyWaits(), &table_, &run), kv::EntryFate::kApplied);
      table_.Commit(run.applied);
      steps_.push_back({.entry = entry,
                        .applied = run.applied,
                        .state_hash = table_.rows_hash() ^ AppliedHash(run.applied)});
    }
  }

  static constexpr NodeId kNode{1};

  SimOptions options_;
  Scheduler scheduler_;
  std::map<NodeId, const SimDisk*> disks_;
  raft::SafetyOracle findings_;
  Counters counters_;
  LogOracle logs_{&scheduler_, &disks_, &findings_, &counters_};
  Ledger ledger_{&options_, &scheduler_, &logs_, &findings_, &counters_};
  SimTable table_{SimDisk(/*file_records_max=*/1, Dice(1, "disk"), &counters_).content().table};
  kv::EntryApplier applier_;
  std::vector<AppliedStep> steps_;
};

TEST_F(LedgerTest, TakesWhatIsRight) {
  ledger_.OnApplied(kNode, steps_);
  ledger_.OnStarted(kNode, table_.content());
  EXPECT_THAT(findings_.findings(), IsEmpty());
}

TEST_F(LedgerTest, FindsAHashThatForgotARow) {
  steps_[1].applied.rows_hash = 0;
  ledger_.OnApplied(kNode, steps_);
  EXPECT_THAT(findings_.findings(), ElementsAre(HasSubstr("another hash of its rows")));
}

TEST_F(LedgerTest, FindsAStartWithAHashOfOtherRows) {
  ledger_.OnApplied(kNode, steps_);
  TableContent content = table_.content();
  ++content.applied.rows_hash;
  ledger_.OnStarted(kNode, content);
  EXPECT_THAT(findings_.findings(), ElementsAre(HasSubstr("than the rows come to")));
}

TEST_F(LedgerTest, FindsAHistoryThatLacksAnEvent) {
  ledger_.OnApplied(kNode, steps_);
  TableContent content = table_.content();
  ASSERT_EQ(content.events.size(), 3u);
  content.events.erase(std::next(content.events.begin()));
  ledger_.OnStarted(kNode, content);
  EXPECT_THAT(findings_.findings(), ElementsAre(HasSubstr("a history at revision 3 that is not")));
}

TEST_F(LedgerTest, FindsAHistoryThatReachesElsewhereThanTheOthers) {
  ledger_.OnApplied(kNode, steps_);
  steps_[1].applied.history.compacted = 1;
  ledger_.OnApplied(NodeId(2), steps_);
  EXPECT_THAT(findings_.findings(), ElementsAre(HasSubstr("keeps another history")));
}

TEST_F(LedgerTest, FindsAStateHashThatIsNotTheModels) {
  ledger_.OnApplied(kNode, steps_);
  kv::RecentDigests digests(raft::StateMachine::kHashesKept, kv::AppliedState());
  const auto check = [&] {
    ledger_.CheckStateHashes(kNode, digests.last(), [&](LogIndex index) {
      const std::optional<kv::StateDigest> digest = digests.At(index);
      return digest.has_value() ? std::optional(digest->hash) : std::nullopt;
    });
  };
  digests.Add({kv::DigestOf(steps_[0].applied), kv::DigestOf(steps_[1].applied)});
  check();
  EXPECT_THAT(findings_.findings(), IsEmpty());
  digests.Add({kv::DigestOf(steps_[1].applied)});
  check();
  EXPECT_THAT(findings_.findings(), ElementsAre(HasSubstr("another hash of its state at index 3")));
}

}  // namespace
}  // namespace raftkv::simulation
