#include "storage/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "kv/command_version.h"
#include "kv/history.h"
#include "storage/restore_record.h"
#include "tests/storage/store_fixture.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

using testing::HasSubstr;

log::v1::ClusterConfiguration ThreeMembers() {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(77);
  for (uint64_t id = 1; id <= 3; ++id) {
    log::v1::ConfiguredMember* member = configuration.add_members();
    member->set_id(id);
    member->set_name("n" + std::to_string(id));
    member->set_peer_address("host" + std::to_string(id) + ":1");
    member->set_data_id(100 + id);
    configuration.add_voters(id);
  }
  return configuration;
}

// Member 2 of three, with two entries of which it does not know whether they are committed.
class RecoverAloneTest : public testing::Test {
 protected:
  RecoverAloneTest() : store_(dir_.File("data")) {
    store_.Open();
    store_.storage().Found("n2", 2, ThreeMembers());
    store_.Run({PutTtl("ttl", "v", 60'000)}, 2000);
    store_.Run({Put("applied", "v")}, 2100);
    store_.storage().SaveClusterClock({.term = raft::Term(1), .time = raft::ClusterMillis(2600)});
    store_.Append({CommandEntry(3, {Put("uncertain", "v")}, 2200), NoOpEntry(4)});
  }

  DirectoryReport Report() {
    absl::StatusOr<DirectoryReport> report = InspectDirectory(store_.options());
    EXPECT_TRUE(report.ok()) << report.status();
    return *std::move(report);
  }

  TempDir dir_;
  Store store_;
};

TEST_F(RecoverAloneTest, MakesTheMemberTheOnlyOneOfANewCluster) {
  store_.Close();
  const absl::Status recovered = RecoverAlone(store_.options());
  ASSERT_TRUE(recovered.ok()) << recovered;
  store_.Open();
  ASSERT_TRUE(store_.storage().configuration().has_value());
  const log::v1::ClusterConfiguration& alone = *store_.storage().configuration();
  EXPECT_NE(alone.cluster_id(), 77u);
  ASSERT_EQ(alone.members_size(), 1);
  EXPECT_EQ(alone.members(0).name(), "n2");
  EXPECT_EQ(alone.members(0).peer_address(), "host2:1");
  EXPECT_EQ(std::vector<uint64_t>(alone.voters().begin(), alone.voters().end()),
            std::vector<uint64_t>{2});
  EXPECT_EQ(store_.storage().member_id(), 2u);
  EXPECT_EQ(store_.storage().member_name(), "n2");
}

TEST_F(RecoverAloneTest, KeepsWhatMayHaveBeenCommittedAndJumpsAhead) {
  const int64_t revision = store_.machine().revision();
  store_.Close();
  ASSERT_TRUE(RecoverAlone(store_.options()).ok());
  store_.Open();
  EXPECT_EQ(store_.Value("applied"), "v");
  EXPECT_EQ(store_.Value("uncertain"), "v");
  EXPECT_EQ(store_.machine().revision(), revision + 1 + kRevisionJump);
  const auto state = store_.storage().Restore();
  ASSERT_TRUE(state.ok()) << state.status();
  // Nobody is sent the entries of the old cluster.
  EXPECT_TRUE(state->tail.empty());
  EXPECT_EQ(state->previous.index, raft::LogIndex(4));
  EXPECT_TRUE(store_.Load(1).trimmed);
}

TEST_F(RecoverAloneTest, TheHistoryEndsWithTheCluster) {
  Store store(dir_.File("with_history"));
  store.Open();
  store.storage().Found("n2", 2, ThreeMembers());
  store.Run({RaiseVersion(kv::kHistoryCommandVersion), Put("a", "1"), Put("a", "2")}, 2000);
  ASSERT_EQ(store.machine().history().events(), 2u);
  store.Close();
  const absl::Status recovered = RecoverAlone(store.options());
  ASSERT_TRUE(recovered.ok()) << recovered;
  EXPECT_TRUE(DumpFamily(store.database_path(), "history.1").empty());
  store.Open();
  EXPECT_EQ(store.machine().revision(), 2 + kRevisionJump);
  EXPECT_EQ(store.machine().history(), kv::BeginHistory(2 + kRevisionJump));
}

TEST_F(RecoverAloneTest, DeadlinesGoOnFromTheSavedTime) {
  const auto rows = store_.TtlRows();
  store_.Close();
  ASSERT_TRUE(RecoverAlone(store_.options()).ok());
  store_.Open();
  EXPECT_EQ(store_.TtlRows(), rows);
  EXPECT_EQ(store_.storage().restored_clock().time.value(), 2600u);
}

TEST_F(RecoverAloneTest, GoesOnAndRestarts) {
  store_.Close();
  ASSERT_TRUE(RecoverAlone(store_.options()).ok());
  store_.Open();
  store_.Run({Put("new", "v")}, 3000);
  store_.Reopen();
  EXPECT_EQ(store_.Value("new"), "v");
  EXPECT_TRUE(store_.machine().TakeView()->Verify(nullptr).ok());
}

// A directory that has been in use holds more than one that is being made.
TEST_F(RecoverAloneTest, WhatLiesBesideTheDatabaseDoesNotMatter) {
  store_.Close();
  integration::WriteFile(store_.data_dir() + "/BALLAST", "space");
  std::filesystem::create_directory(store_.data_dir() + "/db.staging");
  const absl::Status recovered = RecoverAlone(store_.options());
  ASSERT_TRUE(recovered.ok()) << recovered;
  store_.Open();
  EXPECT_EQ(store_.Value("uncertain"), "v");
}

TEST_F(RecoverAloneTest, RefusesADirectoryInUse) {
  const absl::Status refused = RecoverAlone(store_.options());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("in use by another process"));
  EXPECT_EQ(store_.storage().configuration()->cluster_id(), 77u);
}

TEST_F(RecoverAloneTest, RefusesWhoBelongsToNoCluster) {
  Store fresh(dir_.File("fresh"));
  fresh.Open();
  fresh.Close();
  EXPECT_THAT(RecoverAlone(fresh.options()).message(), HasSubstr("no cluster yet"));
}

// Between taking the fence away and the batch, and after it, the directory is one without a fence.
TEST_F(RecoverAloneTest, ADirectoryWithoutItsMarksStartsAsItIs) {
  store_.Close();
  std::filesystem::remove(store_.data_dir() + "/FORMAT");
  std::filesystem::remove(store_.data_dir() + "/FENCE");
  store_.Open();
  EXPECT_EQ(store_.storage().configuration()->cluster_id(), 77u);
  EXPECT_EQ(store_.Value("applied"), "v");
}

TEST_F(RecoverAloneTest, InspectTellsWhatThereIs) {
  store_.Close();
  const DirectoryReport report = Report();
  EXPECT_EQ(report.used_by, "");
  EXPECT_EQ(report.differs, "");
  ASSERT_TRUE(report.identity.ok() && report.content.ok() && report.log_end.ok());
  EXPECT_EQ(report.identity->name, "n2");
  EXPECT_EQ(report.identity->cluster_id, 77u);
  EXPECT_EQ(report.hard_state->vote, raft::NodeId(1));
  EXPECT_EQ(report.content->applied.id.index, raft::LogIndex(2));
  EXPECT_EQ(report.log_start->id.index, raft::LogIndex(0));
  EXPECT_EQ(report.log_end->id.index, raft::LogIndex(4));
  EXPECT_EQ(report.uncertain_entries(), 2u);
  EXPECT_EQ(*report.deadlines, 1u);
  EXPECT_EQ(report.fence->durable.index, raft::LogIndex(4));
  EXPECT_EQ(report.clock->time.value(), 2600u);
}

TEST_F(RecoverAloneTest, InspectWorksWhileTheDirectoryIsInUse) {
  const DirectoryReport report = Report();
  EXPECT_EQ(report.used_by, "pid " + std::to_string(getpid()));
  ASSERT_TRUE(report.content.ok()) << report.content.status();
  EXPECT_EQ(report.content->applied.id.index, raft::LogIndex(2));
  // And it has changed nothing.
  store_.Run({Put("later", "v")}, 2300);
}

TEST_F(RecoverAloneTest, InspectTellsWhatIsLeftOfADamagedDirectory) {
  store_.Close();
  std::filesystem::remove(store_.data_dir() + "/db/CURRENT");
  const DirectoryReport report = Report();
  EXPECT_FALSE(report.identity.ok());
  EXPECT_FALSE(report.content.ok());
  ASSERT_TRUE(report.fence.ok());
  EXPECT_EQ(report.fence->durable.index, raft::LogIndex(4));
  EXPECT_TRUE(absl::IsNotFound(InspectDirectory({.data_dir = dir_.File("none")}).status()));
}

}  // namespace
}  // namespace raftkv::storage
