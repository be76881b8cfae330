// Entries and states that a newer version of raftkv left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/command_version.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using testing::AllOf;
using testing::HasSubstr;

Command RaiseTo(uint32_t version) {
  Command command;
  command.mutable_raise_cluster_version()->set_version(version);
  return command;
}

// A put with a field that this version does not know.
Command NewerPut() {
  Command command = Put("b", "2");
  log::v1::PutOperation* put = command.mutable_txn()->mutable_operations(0)->mutable_put();
  put->GetReflection()->MutableUnknownFields(put)->AddVarint(99, 1);
  return command;
}

class NewerVersionTest : public testing::Test {
 protected:
  NewerVersionTest() : store_(dir_.File("data")) { store_.Open(); }

  TempDir dir_;
  Store store_;
};

TEST_F(NewerVersionTest, TheClusterVersionIsPartOfTheStateAndNeverFalls) {
  EXPECT_EQ(store_.machine().cluster_version(), kv::kFirstCommandVersion);
  kv::AppliedState newer;
  newer.id = {raft::Term(1), raft::LogIndex(1)};
  newer.cluster_version = 7;
  store_.Run({Put("a", "1")});
  store_.Close();
  OverwriteRow(store_.database_path(), "state.1", kAppliedKey, EncodeAppliedState(newer));
  OverwriteRow(store_.database_path(), "state.1", kHistoryKey,
               EncodeHistoryState(kv::BeginHistory(0)));
  store_.Open();
  EXPECT_EQ(store_.machine().cluster_version(), 7u);
  store_.Run({RaiseTo(kv::kFirstCommandVersion)});
  EXPECT_EQ(store_.machine().cluster_version(), 7u);
}

TEST_F(NewerVersionTest, WhatComesBeforeANewerEntryIsAppliedAndNothingAfterIt) {
  for (const Command& newer : {Command(), NewerPut(), RaiseTo(kv::OwnCommandVersion() + 1)}) {
    TempDir dir;
    Store store(dir.File("data"));
    store.Open();
    const std::vector<raft::Entry> run = {CommandEntry(1, {Put("a", "1")}),
                                          CommandEntry(2, {Put("c", "3"), newer}),
                                          CommandEntry(3, {Put("a", "4")})};
    store.Append(run);
    RecordingObserver observer;
    EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
    EXPECT_EQ(store.machine().Apply(absl::MakeSpan(run).subspan(1), &observer), 0u);
    EXPECT_THAT(store.machine().too_new(),
                AllOf(HasSubstr("the log entry at index 2 holds"), HasSubstr("newer version")));
    EXPECT_EQ(store.Value("a"), "1");
    EXPECT_EQ(store.Value("c"), "(absent)");
    // A newer version would go on from there.
    store.Reopen();
    EXPECT_EQ(store.machine().applied().index, raft::LogIndex(1));
    EXPECT_EQ(store.machine().too_new(), "");
  }
}

}  // namespace
}  // namespace raftkv::storage
