#include "storage/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kv/backup_file.h"
#include "kv/command_version.h"
#include "kv/history.h"
#include "kv/state_hash.h"
#include "storage/restore_record.h"
#include "tests/storage/store_fixture.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

using testing::HasSubstr;

log::v1::Command Publish(uint64_t member_id) {
  log::v1::Command command;
  command.mutable_member_record()->set_member_id(member_id);
  command.mutable_member_record()->set_peer_address("gone:1");
  return command;
}

class BackupTest : public testing::Test {
 protected:
  BackupTest() : source_(dir_.File("source")) {
    source_.Open();
    source_.Found();
    source_.Run({Publish(1)}, 1500);
    for (uint64_t i = 0; i < 300; ++i) {
      const std::string key = "key" + std::to_string(1000 + i);
      const std::string value(1000, static_cast<char>('a' + i % 26));
      source_.Run({i % 3 == 0 ? PutTtl(key, value, 60'000 + i) : Put(key, value)}, 2000 + i);
    }
    source_.Run({Delete("key1001")}, 2500);
  }

  v1::BackupManifest Manifest() {
    const raft::SnapshotPoint point = source_.Point();
    const kv::StateDigest digest = *source_.machine().digests().At(point.last.index);
    v1::BackupManifest manifest;
    manifest.set_cluster_id(77);
    manifest.set_member_name("n1");
    manifest.set_index(point.last.index.value());
    manifest.set_term(point.last.term.value());
    manifest.set_stamp(point.stamp.value());
    manifest.set_cluster_time(point.stamp.value() + 700);
    manifest.set_revision(digest.revision);
    manifest.set_key_count(digest.key_count);
    manifest.set_state_hash(digest.hash);
    manifest.set_cluster_version(source_.machine().cluster_version());
    return manifest;
  }

  // A backup of the source, with changes.
  void MakeBackup(const std::function<void(v1::BackupManifest*)>& change = nullptr) {
    v1::BackupManifest manifest = Manifest();
    if (change != nullptr) {
      change(&manifest);
    }
    kv::BackupEncoder encoder;
    std::string bytes = encoder.Begin(manifest);
    for (const std::string& chunk : source_.ReadSnapshot()) {
      bytes += encoder.AddChunk(chunk);
    }
    integration::WriteFile(path_, bytes + encoder.End());
  }

  absl::StatusOr<BackupContent> RestoreTo(Store* target, const std::string& name = "n1") {
    return RestoreBackup(
        path_, {.storage = target->options(), .name = name, .initial_cluster = "n1=a:1,n2=b:1"});
  }

  TempDir dir_;
  Store source_;
  const std::string path_ = dir_.File("backup");
};

TEST_F(BackupTest, IsProvedAsAWhole) {
  MakeBackup();
  const auto verified = VerifyBackup(path_);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->manifest.key_count(), 299);
  EXPECT_EQ(verified->deadlines, 100u);
  EXPECT_EQ(verified->bytes, std::filesystem::file_size(path_));
  EXPECT_NE(verified->backup_id, 0u);
}

TEST_F(BackupTest, RestoresEveryKeyAtALaterRevision) {
  MakeBackup();
  Store restored(dir_.File("restored"));
  const auto result = RestoreTo(&restored);
  ASSERT_TRUE(result.ok()) << result.status();
  restored.Open();
  EXPECT_EQ(restored.machine().revision(), source_.machine().revision() + kRevisionJump);
  EXPECT_EQ(restored.machine().key_count(), 299);
  const auto wanted = source_.Records();
  const auto found = restored.Records();
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [key, record] : wanted) {
    EXPECT_EQ(found.at(key).SerializeAsString(), record.SerializeAsString()) << key;
  }
  EXPECT_EQ(restored.TtlRows(), source_.TtlRows());
  EXPECT_TRUE(restored.machine().TakeView()->Verify(nullptr).ok());
}

// No watch may go on across the jump.
TEST_F(BackupTest, AHistoryEndsWithTheCluster) {
  source_.Run({RaiseVersion(kv::kHistoryCommandVersion), Put("key1000", "again")}, 2600);
  ASSERT_EQ(source_.machine().history().events(), 1u);
  MakeBackup();
  EXPECT_TRUE(VerifyBackup(path_).ok()) << VerifyBackup(path_).status();
  Store restored(dir_.File("restored"));
  const auto result = RestoreTo(&restored);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(DumpFamily(restored.database_path(), "history.2").empty());
  restored.Open();
  EXPECT_EQ(restored.machine().history(), kv::BeginHistory(restored.machine().revision()));
  EXPECT_EQ(restored.machine().revision(), source_.machine().revision() + kRevisionJump);
  restored.Found();
  restored.Run({Put("new", "value")}, 3000);
  EXPECT_EQ(restored.machine().history().events(), 1u);
}

TEST_F(BackupTest, DeadlinesGoOnFromTheTimeOfTheBackup) {
  MakeBackup();
  Store restored(dir_.File("restored"));
  ASSERT_TRUE(RestoreTo(&restored).ok());
  restored.Open();
  EXPECT_EQ(restored.storage().restored_clock().time.value(), 2500u + 700u);
}

TEST_F(BackupTest, WhoTheMembersWereIsNotRestored) {
  MakeBackup();
  Store restored(dir_.File("restored"));
  ASSERT_TRUE(RestoreTo(&restored).ok());
  restored.Open();
  EXPECT_FALSE(restored.storage().configuration().has_value());
  EXPECT_EQ(restored.storage().member_name(), "");
  EXPECT_TRUE(restored.machine().member_records().empty());
  EXPECT_NE(restored.storage().data_id(), source_.storage().data_id());
}

TEST_F(BackupTest, TwoMembersOfOneFileHoldTheSameAndAreTwo) {
  MakeBackup();
  Store one(dir_.File("one"));
  Store two(dir_.File("two"));
  ASSERT_TRUE(RestoreTo(&one, "n1").ok());
  ASSERT_TRUE(RestoreTo(&two, "n2").ok());
  one.Open();
  two.Open();
  EXPECT_EQ(one.machine().StateHash(one.machine().applied().index),
            two.machine().StateHash(two.machine().applied().index));
  EXPECT_NE(one.storage().data_id(), two.storage().data_id());
  ASSERT_TRUE(one.storage().restored().has_value());
  ASSERT_TRUE(two.storage().restored().has_value());
  EXPECT_EQ(one.storage().restored()->backup_id, two.storage().restored()->backup_id);
  EXPECT_EQ(two.storage().restored()->name, "n2");
  EXPECT_EQ(two.storage().restored()->initial_cluster, "n1=a:1,n2=b:1");
}

TEST_F(BackupTest, ARestoredMemberTakesCommandsAndRestarts) {
  MakeBackup();
  Store restored(dir_.File("restored"));
  ASSERT_TRUE(RestoreTo(&restored).ok());
  restored.Open();
  const raft::EntryId applied = restored.machine().applied();
  const auto state = restored.storage().Restore();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->previous, applied);
  EXPECT_TRUE(state->tail.empty());
  EXPECT_GE(state->hard_state.term, applied.term);
  restored.Found();
  restored.Run({Put("new", "value")}, 3000);
  restored.Reopen();
  EXPECT_EQ(restored.Value("new"), "value");
  EXPECT_EQ(restored.Value("key1000"), std::string(1000, 'a'));
  EXPECT_TRUE(restored.storage().restored().has_value());
}

TEST_F(BackupTest, ADirectoryThatHoldsSomethingIsLeftAlone) {
  MakeBackup();
  Store target(dir_.File("target"));
  target.Open();
  target.Found();
  target.Run({Put("mine", "v")});
  EXPECT_THAT(RestoreTo(&target).status().message(), HasSubstr("in use by another process"));
  target.Close();
  const auto refused = RestoreTo(&target);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(refused.status().message(), HasSubstr("holds a member's data already"));
  target.Open();
  EXPECT_EQ(target.Value("mine"), "v");

  Store foreign(dir_.File("foreign"));
  std::filesystem::create_directory(foreign.data_dir());
  integration::WriteFile(foreign.data_dir() + "/thesis.tex", "years of work");
  EXPECT_THAT(RestoreTo(&foreign).status().message(), HasSubstr("thesis.tex"));
}

TEST_F(BackupTest, DamageLeavesNothingBehindAndCanBeTriedAgain) {
  MakeBackup();
  const std::string whole = integration::ReadFile(path_);
  Store target(dir_.File("target"));
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 4;
  for (const std::string& bytes : {whole.substr(0, whole.size() / 2), flipped}) {
    integration::WriteFile(path_, bytes);
    EXPECT_TRUE(absl::IsDataLoss(VerifyBackup(path_).status()));
    const auto refused = RestoreTo(&target);
    EXPECT_TRUE(absl::IsDataLoss(refused.status())) << refused.status();
    EXPECT_FALSE(Storage::HoldsData(target.data_dir()));
    EXPECT_FALSE(std::filesystem::exists(target.data_dir() + "/db"));
    EXPECT_FALSE(std::filesystem::exists(target.data_dir() + "/db.new"));
  }
  integration::WriteFile(path_, whole);
  EXPECT_TRUE(RestoreTo(&target).ok());
}

// Checksums of the file fit, and yet it does not say what it holds.
TEST_F(BackupTest, AHeadThatDoesNotFitTheStateIsRefused) {
  const std::vector<std::function<void(v1::BackupManifest*)>> changes = {
      [](v1::BackupManifest* manifest) { manifest->set_revision(manifest->revision() + 1); },
      [](v1::BackupManifest* manifest) { manifest->set_key_count(3); },
      [](v1::BackupManifest* manifest) { manifest->set_state_hash(1); },
      [](v1::BackupManifest* manifest) { manifest->set_cluster_id(78); },
      [](v1::BackupManifest* manifest) { manifest->set_index(5); },
      [](v1::BackupManifest* manifest) { manifest->set_stamp(5); },
  };
  for (const auto& change : changes) {
    MakeBackup(change);
    EXPECT_TRUE(absl::IsDataLoss(VerifyBackup(path_).status())) << VerifyBackup(path_).status();
    Store target(dir_.File("target"));
    EXPECT_TRUE(absl::IsDataLoss(RestoreTo(&target).status()));
    EXPECT_FALSE(Storage::HoldsData(target.data_dir()));
  }
}

TEST_F(BackupTest, AStateOfANewerClusterVersionIsRefused) {
  // The source would not apply it, so its row is written by hand.
  MakeBackup();
  const kv::AppliedState newer = [&] {
    kv::AppliedState state;
    state.id = source_.Point().last;
    state.cluster_version = 1000;
    return state;
  }();
  source_.Close();
  OverwriteRow(source_.database_path(), "state.1", kAppliedKey, EncodeAppliedState(newer));
  OverwriteRow(source_.database_path(), "state.1", kHistoryKey,
               EncodeHistoryState(kv::BeginHistory(0)));
  EXPECT_TRUE(VerifyBackup(path_).ok());
  source_.Open();
  v1::BackupManifest manifest;
  manifest.set_cluster_id(77);
  manifest.set_index(newer.id.index.value());
  manifest.set_term(newer.id.term.value());
  kv::BackupEncoder encoder;
  std::string bytes = encoder.Begin(manifest);
  for (const std::string& chunk : source_.ReadSnapshot()) {
    bytes += encoder.AddChunk(chunk);
  }
  integration::WriteFile(path_, bytes + encoder.End());
  const absl::Status refused = VerifyBackup(path_).status();
  EXPECT_TRUE(absl::IsUnimplemented(refused)) << refused;
}

}  // namespace
}  // namespace raftkv::storage
