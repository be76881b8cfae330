#include "raft/core/raft_log.h"

#include <optional>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/core/describe.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

constexpr uint64_t kUnlimited = 1 << 30;

Entry SizedEntry(uint64_t term, uint64_t index, uint64_t payload_bytes = 1) {
  return {.id = {.term = Term(term), .index = LogIndex(index)},
          .kind = EntryKind::kCommands,
          .stamp = ClusterMillis(index),
          .payload = std::make_shared<const std::string>(std::string(payload_bytes, 'x'))};
}

RestoredState State(EntryId previous, std::vector<Entry> tail, EntryId applied) {
  return {.hard_state = {},
          .configuration = {.voters = {NodeId(1)}, .outgoing_voters = {}, .learners = {}},
          .applied = applied,
          .previous = previous,
          .previous_stamp = ClusterMillis(previous.index.value()),
          .tail = std::move(tail)};
}

RaftLog EmptyLog() { return RaftLog(State(EntryId(), {}, EntryId()), kUnlimited); }

// Entries 1 to 5 with terms 1 1 2 2 4, durable, the first two applied.
RaftLog SomeLog() {
  return RaftLog(State(EntryId(),
                       {SizedEntry(1, 1), SizedEntry(1, 2), SizedEntry(2, 3), SizedEntry(2, 4),
                        SizedEntry(4, 5)},
                       Id(1, 2)),
                 kUnlimited);
}

std::string Ids(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) {
    text += Describe(entry.id) + " ";
  }
  return text;
}

TEST(RaftLogTest, RestoresAsDurableAndCommittedUpToApplied) {
  RaftLog log = SomeLog();
  EXPECT_EQ(log.last(), Id(4, 5));
  EXPECT_EQ(log.durable_index(), LogIndex(5));
  EXPECT_EQ(log.commit_index(), LogIndex(2));
  EXPECT_EQ(log.applied_index(), LogIndex(2));
  EXPECT_FALSE(log.has_unwritten());
  EXPECT_FALSE(log.has_deliverable());
}

TEST(RaftLogTest, KnowsTermsWhereMemoryReaches) {
  RaftLog log(State(Id(3, 7), {SizedEntry(3, 8), SizedEntry(5, 9)}, Id(3, 7)), kUnlimited);
  EXPECT_EQ(log.TermAt(LogIndex(0)), Term(0));
  EXPECT_EQ(log.TermAt(LogIndex(6)), std::nullopt);
  EXPECT_EQ(log.TermAt(LogIndex(7)), Term(3));
  EXPECT_EQ(log.TermAt(LogIndex(9)), Term(5));
  EXPECT_EQ(log.TermAt(LogIndex(10)), std::nullopt);
}

TEST(RaftLogTest, EntriesFromRespectsTheLimitButGivesOne) {
  RaftLog log = SomeLog();
  const uint64_t size = SizedEntry(1, 1).size_bytes();
  EXPECT_EQ(Ids(log.EntriesFrom(LogIndex(2), 0)), "1/2 ");
  EXPECT_EQ(Ids(log.EntriesFrom(LogIndex(2), 2 * size - 1)), "1/2 ");
  EXPECT_EQ(Ids(log.EntriesFrom(LogIndex(2), 2 * size)), "1/2 2/3 ");
  EXPECT_EQ(Ids(log.EntriesFrom(LogIndex(2), kUnlimited)), "1/2 2/3 2/4 4/5 ");
  EXPECT_EQ(log.BytesAfter(LogIndex(3)), 2 * size);
}

TEST(RaftLogTest, ConflictSearchSkipsWholeTerms) {
  const RaftLog log = SomeLog();
  const auto search = [&](uint64_t bound, uint64_t term) {
    return log.LastIndexWithTermAtMost(LogIndex(bound), Term(term)).value();
  };
  EXPECT_EQ(search(5, 9), 5u);
  EXPECT_EQ(search(99, 9), 5u);
  EXPECT_EQ(search(5, 3), 4u);
  EXPECT_EQ(search(3, 3), 3u);
  EXPECT_EQ(search(5, 1), 2u);
  EXPECT_EQ(search(5, 0), 0u);
  EXPECT_EQ(search(0, 9), 0u);
}

TEST(RaftLogTest, MergeTruncatesOnlyAtAConflict) {
  RaftLog log = SomeLog();
  EXPECT_EQ(log.Merge({SizedEntry(1, 2), SizedEntry(2, 3)}), std::nullopt);
  EXPECT_EQ(log.last(), Id(4, 5)) << "a shorter message takes nothing away";
  EXPECT_EQ(log.Merge({SizedEntry(2, 4), SizedEntry(4, 5), SizedEntry(4, 6)}), std::nullopt);
  EXPECT_EQ(log.last(), Id(4, 6));
  EXPECT_EQ(log.Merge({SizedEntry(2, 4), SizedEntry(5, 5)}), LogIndex(5));
  EXPECT_EQ(log.last(), Id(5, 5));
  EXPECT_EQ(log.durable_index(), LogIndex(4));
}

TEST(RaftLogDeathTest, NothingCommittedIsTruncated) {
  RaftLog log = SomeLog();
  log.CommitTo(LogIndex(4));
  EXPECT_DEATH(log.Merge({SizedEntry(3, 4)}), "contradicts a committed entry");
  EXPECT_DEATH(log.Merge({SizedEntry(3, 1)}), "contradicts a committed entry");
}

TEST(RaftLogDeathTest, GapsAndGoingBackAreBugs) {
  RaftLog log = SomeLog();
  EXPECT_DEATH(log.Append(SizedEntry(4, 7)), "Check failed");
  EXPECT_DEATH(log.Append(SizedEntry(3, 6)), "Check failed");
  EXPECT_DEATH(log.CommitTo(LogIndex(6)), "Check failed");
  EXPECT_DEATH(log.OnApplied(LogIndex(3)), "Check failed");
  EXPECT_DEATH(RaftLog(State(EntryId(), {SizedEntry(1, 1)}, Id(2, 1)), kUnlimited),
               "at applied index 1");
}

TEST(RaftLogTest, WritesAreDurableInTheirOrder) {
  RaftLog log = EmptyLog();
  log.Append(SizedEntry(1, 1));
  log.Append(SizedEntry(1, 2));
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(1))), "1/1 1/2 ");
  log.Append(SizedEntry(1, 3));
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(2))), "1/3 ");
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(3))), "");
  EXPECT_TRUE(log.OnPersisted(WriteId(1)));
  EXPECT_EQ(log.durable_index(), LogIndex(2));
  EXPECT_TRUE(log.OnPersisted(WriteId(3)));
  EXPECT_EQ(log.durable_index(), LogIndex(3));
  EXPECT_FALSE(log.OnPersisted(WriteId(3)));
}

// The ABA scenario: by (term, index) the end of the first write would look like the end of the
// third.
TEST(RaftLogTest, AnEntryThatIsOverwrittenAndComesBackIsDurableWithItsLastWrite) {
  RaftLog log = EmptyLog();
  log.Append(SizedEntry(1, 1));
  log.Append(SizedEntry(1, 2));
  log.BeginWrite(WriteId(1));
  EXPECT_EQ(log.Merge({SizedEntry(2, 2)}), LogIndex(2));
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(2))), "2/2 ");
  EXPECT_EQ(log.Merge({SizedEntry(1, 2)}), LogIndex(2));
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(3))), "1/2 ");
  log.OnPersisted(WriteId(1));
  EXPECT_EQ(log.durable_index(), LogIndex(1));
  log.OnPersisted(WriteId(2));
  EXPECT_EQ(log.durable_index(), LogIndex(1));
  log.OnPersisted(WriteId(3));
  EXPECT_EQ(log.durable_index(), LogIndex(2));
}

TEST(RaftLogTest, EntriesOverwrittenBeforeTheyWereWrittenAreNotWritten) {
  RaftLog log = EmptyLog();
  log.Append(SizedEntry(1, 1));
  log.Append(SizedEntry(1, 2));
  log.Append(SizedEntry(1, 3));
  log.Merge({SizedEntry(2, 2)});
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(1))), "1/1 2/2 ");
}

TEST(RaftLogTest, HandsOutWhatIsCommittedAndDurableOnce) {
  RaftLog log = EmptyLog();
  log.Append(SizedEntry(1, 1));
  log.Append(SizedEntry(1, 2));
  EXPECT_TRUE(log.CommitTo(LogIndex(2)));
  EXPECT_FALSE(log.CommitTo(LogIndex(1)));
  EXPECT_EQ(log.commit_index(), LogIndex(2));
  EXPECT_FALSE(log.has_deliverable()) << "not durable";
  log.BeginWrite(WriteId(1));
  log.OnPersisted(WriteId(1));
  EXPECT_EQ(Ids(log.TakeDeliverable()), "1/1 1/2 ");
  EXPECT_EQ(Ids(log.TakeDeliverable()), "");
  log.OnApplied(LogIndex(2));
  EXPECT_EQ(log.applied_index(), LogIndex(2));
}

TEST(RaftLogTest, TrimsOnlyWhatIsAppliedAndDurable) {
  RaftLog log(State(EntryId(), {}, EntryId()), /*memory_bytes_max=*/500);
  for (uint64_t index = 1; index <= 10; ++index) {
    log.Append(SizedEntry(1, index, 36));
  }
  log.BeginWrite(WriteId(1));
  log.CommitTo(LogIndex(10));
  log.OnPersisted(WriteId(1));
  log.TakeDeliverable();
  EXPECT_EQ(log.entry_count(), 10u) << "nothing is applied";
  log.OnApplied(LogIndex(3));
  EXPECT_EQ(log.previous(), Id(1, 3));
  EXPECT_EQ(log.TermAt(LogIndex(3)), Term(1));
  log.OnApplied(LogIndex(10));
  EXPECT_EQ(log.memory_bytes(), 500u);
  EXPECT_EQ(log.first_index(), LogIndex(6));
  EXPECT_EQ(log.last(), Id(1, 10));
  EXPECT_EQ(log.LastIndexWithTermAtMost(LogIndex(2), Term(9)), LogIndex(2)) << "unknown, so maybe";
}

TEST(RaftLogTest, AnEntryLargerThanMemoryLeavesItsStampBehind) {
  RaftLog log(State(EntryId(), {SizedEntry(1, 1, 1000)}, Id(1, 1)), /*memory_bytes_max=*/10);
  EXPECT_EQ(log.entry_count(), 0u);
  EXPECT_EQ(log.last(), Id(1, 1));
  EXPECT_EQ(log.last_stamp(), ClusterMillis(1));
}

Entry VotersEntry(uint64_t term, uint64_t index, std::set<NodeId> voters) {
  Entry entry = SizedEntry(term, index);
  entry.kind = EntryKind::kConfiguration;
  entry.configuration = std::make_shared<const Configuration>(
      Configuration{.voters = std::move(voters), .outgoing_voters = {}, .learners = {}});
  return entry;
}

std::string Active(const RaftLog& log) { return Describe(*log.configurations().active()); }

TEST(RaftLogTest, ARestoredLogKnowsTheConfigurationsAfterWhatIsApplied) {
  const Entry applied = VotersEntry(1, 1, {NodeId(7)});
  const Entry later = VotersEntry(1, 2, {NodeId(8)});
  EXPECT_EQ(Active(RaftLog(State(EntryId(), {applied}, Id(1, 1)), kUnlimited)), "voters=(1)")
      << "what was given is that of the applied index";
  RaftLog log(State(EntryId(), {applied, later}, Id(1, 1)), kUnlimited);
  EXPECT_EQ(Active(log), "voters=(8)");
  EXPECT_EQ(log.configurations().active_index(), LogIndex(2));
  log.Merge({SizedEntry(2, 2)});
  EXPECT_EQ(Active(log), "voters=(1)");
  EXPECT_EQ(log.configurations().active_index(), LogIndex(0));
}

TEST(RaftLogTest, TheNewestConfigurationCountsWhileItIsInTheLog) {
  RaftLog log = EmptyLog();
  log.Append(VotersEntry(1, 1, {NodeId(2)}));
  log.Append(SizedEntry(1, 2));
  log.Append(VotersEntry(1, 3, {NodeId(3)}));
  EXPECT_EQ(Active(log), "voters=(3)");
  log.Merge({VotersEntry(2, 3, {NodeId(4)})});
  EXPECT_EQ(Active(log), "voters=(4)");
  log.Merge({SizedEntry(3, 2)});
  EXPECT_EQ(Active(log), "voters=(2)");
  log.BeginWrite(WriteId(1));
  log.OnPersisted(WriteId(1));
  log.CommitTo(LogIndex(1));
  log.TakeDeliverable();
  log.OnApplied(LogIndex(1));
  log.Append(VotersEntry(3, 3, {NodeId(5)}));
  log.Merge({SizedEntry(4, 2)});
  EXPECT_EQ(Active(log), "voters=(2)") << "what was applied is not forgotten";
}

TEST(RaftLogDeathTest, AnEntryOfAConfigurationHoldsOne) {
  RaftLog log = EmptyLog();
  Entry entry = SizedEntry(1, 1);
  entry.kind = EntryKind::kConfiguration;
  EXPECT_DEATH(log.Append(entry), "Check failed");
  entry = VotersEntry(1, 1, {NodeId(2)});
  entry.kind = EntryKind::kCommands;
  EXPECT_DEATH(log.Append(entry), "Check failed");
}

SnapshotMeta Snapshot(EntryId last, uint64_t stamp = 9) {
  return {.point = {.last = last, .stamp = ClusterMillis(stamp)},
          .configuration = {.voters = {NodeId(7)}, .outgoing_voters = {}, .learners = {}}};
}

TEST(RaftLogTest, ASnapshotInPlaceOfTheLog) {
  RaftLog log = SomeLog();
  log.ResetTo(Snapshot(Id(3, 4)));
  EXPECT_EQ(log.last(), Id(3, 4));
  EXPECT_EQ(log.previous(), Id(3, 4));
  EXPECT_EQ(log.last_stamp(), ClusterMillis(9));
  EXPECT_EQ(log.entry_count(), 0u);
  EXPECT_EQ(log.memory_bytes(), 0u);
  for (const LogIndex mark :
       {log.commit_index(), log.durable_index(), log.handed_out_index(), log.applied_index()}) {
    EXPECT_EQ(mark, LogIndex(4));
  }
  EXPECT_FALSE(log.has_unwritten());
  EXPECT_FALSE(log.has_deliverable());
  EXPECT_EQ(log.TermAt(LogIndex(3)), std::nullopt);
  EXPECT_EQ(log.TermAt(LogIndex(4)), Term(3));
  EXPECT_EQ(log.configurations().active()->voters, std::set<NodeId>{NodeId(7)});
  Entry next = SizedEntry(4, 5);
  next.stamp = ClusterMillis(9);
  log.Append(next);
  EXPECT_EQ(Ids(log.BeginWrite(WriteId(1))), "4/5 ");
}

TEST(RaftLogTest, AWriteOfBeforeSaysNothingOfTheLogAfterASnapshot) {
  RaftLog log = SomeLog();
  log.Append(SizedEntry(4, 6));
  log.BeginWrite(WriteId(1));
  EXPECT_TRUE(log.OnPersisted(WriteId(1)));
  log.BeginWrite(WriteId(2));  // Hard state alone, while the snapshot is written.
  log.ResetTo(Snapshot(Id(3, 4)));
  log.Append({.id = Id(4, 5), .stamp = ClusterMillis(9), .payload = nullptr});
  EXPECT_FALSE(log.OnPersisted(WriteId(2)));
  EXPECT_EQ(log.durable_index(), LogIndex(4));
  log.BeginWrite(WriteId(3));
  EXPECT_TRUE(log.OnPersisted(WriteId(3)));
  EXPECT_EQ(log.durable_index(), LogIndex(5));
}

TEST(RaftLogTest, ASnapshotOfWhatTheLogHolds) {
  RaftLog log = SomeLog();
  log.AdvanceTo(Id(2, 4));
  EXPECT_EQ(log.last(), Id(4, 5));
  EXPECT_EQ(log.commit_index(), LogIndex(4));
  EXPECT_EQ(log.handed_out_index(), LogIndex(4));
  EXPECT_EQ(log.applied_index(), LogIndex(4));
  EXPECT_EQ(log.durable_index(), LogIndex(5));
  log.CommitTo(LogIndex(5));
  EXPECT_EQ(Ids(log.TakeDeliverable()), "4/5 ");
}

TEST(RaftLogDeathTest, ASnapshotTakesNothingBack) {
  RaftLog log = SomeLog();
  EXPECT_DEATH(log.ResetTo(Snapshot(Id(1, 2))), "takes committed entries back");
  EXPECT_DEATH(log.AdvanceTo(Id(3, 4)), "does not hold the snapshot's last entry");
  EXPECT_DEATH(log.AdvanceTo(Id(1, 2)), "Check failed");
  log.Append(SizedEntry(4, 6));
  EXPECT_DEATH(log.ResetTo(Snapshot(Id(4, 9))), "would come after it");
  EXPECT_DEATH(log.AdvanceTo(Id(4, 6)), "Check failed") << "it is not durable";
}

}  // namespace
}  // namespace raftkv::raft
