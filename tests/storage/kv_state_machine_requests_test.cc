// Commands that come twice, applied by RocksDbKvStateMachine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/command_version.h"
#include "kv/remembered_requests.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kKeepMs = 1000;

class KvRequestsTest : public OpenStoreTest {
 protected:
  KvRequestsTest() {
    store_.Found();
    Command raise;
    raise.mutable_raise_cluster_version()->set_version(kv::kTxnCommandVersion);
    Run(raise);
  }

  static Command Marked(const std::string& id, Command command, uint64_t content_hash = 1,
                        uint64_t ids_max = 3) {
    log::v1::RequestMark* mark = command.mutable_request();
    mark->set_id(id);
    mark->set_content_hash(content_hash);
    mark->set_keep_ms(kKeepMs);
    mark->set_ids_max(ids_max);
    mark->set_bytes_max(1 << 20);
    return command;
  }
  // Each is another write, whose first answer can be told from the second.
  static Command Add(const std::string& id, uint64_t content_hash = 1) {
    Command command;
    auto* increment = command.mutable_txn()->add_operations()->mutable_increment();
    increment->set_key("n");
    increment->set_delta(1);
    return Marked(id, command, content_hash);
  }
  // So many of one entry, from "<prefix>0" on.
  static std::vector<Command> Many(const std::string& prefix, int count) {
    std::vector<Command> commands;
    for (int i = 0; i < count; ++i) {
      commands.push_back(Marked(absl::StrCat(prefix, i), Put("a", "1"), /*content_hash=*/1,
                                /*ids_max=*/1000));
    }
    return commands;
  }
  // How many ids each row of places has, those that are forgotten included.
  std::vector<size_t> RowsOfPlaces() {
    store_.Close();
    std::vector<size_t> rows;
    for (const auto& [key, value] : DumpFamily(store_.database_path(), "requests.1")) {
      if (DecodeRequestPlaceKey(key).has_value()) {
        rows.push_back(DecodeRequestPlaces(value)->size());
      }
    }
    store_.Open();
    return rows;
  }
  void ExpectWhole() { EXPECT_EQ(store_.machine().TakeView()->Verify(nullptr), absl::OkStatus()); }
};

TEST_F(KvRequestsTest, ARepetitionGetsTheFirstAnswer) {
  const CommandOutcome first = Run(Add("id"));
  EXPECT_EQ(first.verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_FALSE(first.replayed());
  Run(Put("other", "1"));
  CommandOutcome again = Run(Add("id"));
  EXPECT_TRUE(again.replayed());
  EXPECT_EQ(again.operations(0).value(), 1);
  EXPECT_EQ(again.revision(), first.revision());
  EXPECT_EQ(store_.Value("n"), "1");
  // The same within one entry, and within one run.
  const std::vector<CommandOutcome> both = store_.Run({Add("two"), Add("two")});
  EXPECT_FALSE(both[0].replayed());
  EXPECT_TRUE(both[1].replayed());
  EXPECT_EQ(store_.Value("n"), "2");
  ExpectWhole();
}

TEST_F(KvRequestsTest, ARefusalIsAnAnswerToo) {
  const Command guarded = Marked("id", Txn({Exists("a", false)}, {PutOp("a", "1")}));
  Run(Put("a", "0"));
  EXPECT_EQ(Run(guarded).verdict(), CommandOutcome::VERDICT_GUARD_FAILED);
  Run(Delete("a"));
  const CommandOutcome again = Run(guarded);
  EXPECT_EQ(again.verdict(), CommandOutcome::VERDICT_GUARD_FAILED) << "as it was told before";
  EXPECT_EQ(store_.Value("a"), "(absent)");
}

TEST_F(KvRequestsTest, AnIdOfAnotherWriteIsRefused) {
  Run(Add("id"));
  const CommandOutcome other = Run(Add("id", /*content_hash=*/2));
  EXPECT_EQ(other.verdict(), CommandOutcome::VERDICT_REQUEST_ID_REUSED);
  EXPECT_EQ(store_.Value("n"), "1");
  EXPECT_TRUE(Run(Add("id")).replayed()) << "the first stays remembered";
}

TEST_F(KvRequestsTest, NoIdIsForgottenEarlyAndNewOnesAreRefusedWhenAllPlacesAreTaken) {
  Run(Add("a"), /*stamp=*/2000);
  Run(Add("b"), /*stamp=*/2001);
  Run(Add("c"), /*stamp=*/2002);
  const CommandOutcome refused = Run(Add("d"), /*stamp=*/2000 + kKeepMs - 1);
  EXPECT_EQ(refused.verdict(), CommandOutcome::VERDICT_REQUESTS_FULL);
  EXPECT_EQ(refused.exceeding(), 3u);
  EXPECT_EQ(store_.Value("n"), "3");
  EXPECT_TRUE(Run(Add("a"), 2000 + kKeepMs - 1).replayed());
  // The oldest one's time is over, and a new one takes its place.
  EXPECT_EQ(Run(Add("d"), 2000 + kKeepMs).verdict(), CommandOutcome::VERDICT_APPLIED);
  EXPECT_TRUE(Run(Add("b"), 2000 + kKeepMs).replayed());
  ExpectWhole();
  EXPECT_FALSE(Run(Add("a"), 2100 + kKeepMs).replayed()) << "it was forgotten";
  EXPECT_EQ(store_.Value("n"), "5");
  ExpectWhole();
}

TEST_F(KvRequestsTest, BytesAreBoundedAsIdsAre) {
  Command large = Add("a");
  large.mutable_request()->set_bytes_max(1);
  EXPECT_EQ(Run(large).verdict(), CommandOutcome::VERDICT_APPLIED);
  large.mutable_request()->set_id("b");
  EXPECT_EQ(Run(large).verdict(), CommandOutcome::VERDICT_REQUESTS_FULL);
}

TEST_F(KvRequestsTest, AnIdThatComesBackWithinARunIsRememberedAnew) {
  Run(Add("a"), /*stamp=*/2000);
  // "a" goes for "b", and comes again.
  const auto outcomes = store_.Run({Add("b"), Add("a"), Add("a")}, /*stamp=*/2000 + kKeepMs);
  EXPECT_FALSE(outcomes[1].replayed());
  EXPECT_TRUE(outcomes[2].replayed());
  EXPECT_EQ(store_.Value("n"), "3");
  ExpectWhole();
  store_.Reopen();
  EXPECT_TRUE(Run(Add("a"), 2000 + kKeepMs).replayed());
}

TEST_F(KvRequestsTest, AnEntrysIdsHaveTheirPlacesInOneRowThatGoesWithTheLast) {
  store_.Run(Many("a", 6), /*stamp=*/2000);
  store_.Run(Many("b", 2), /*stamp=*/2001);
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(6, 2));
  // Each new id takes the place of four.
  store_.Run(Many("c", 1), /*stamp=*/2000 + kKeepMs);
  ExpectWhole();
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(6, 2, 1)) << "a4 and a5 are left";
  EXPECT_TRUE(Run(Many("a", 6).at(5), 2000 + kKeepMs).replayed());
  store_.Run(Many("d", 1), /*stamp=*/2000 + kKeepMs);
  ExpectWhole();
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(2, 1, 1));
}

TEST_F(KvRequestsTest, ARowOfWhichSomeAreForgottenIsFoundAfterARestartAndInASnapshot) {
  store_.Run(Many("a", 6), /*stamp=*/2000);
  store_.Run(Many("b", 1), /*stamp=*/2000 + kKeepMs);
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(6, 1)) << "a4 and a5 are left";

  Store follower(dir_.File("follower"));
  ASSERT_NO_FATAL_FAILURE(follower.BeginWith(&store_));
  follower.Run(Many("c", 1), 2000 + kKeepMs);
  EXPECT_EQ(follower.machine().TakeView()->Verify(nullptr), absl::OkStatus());

  store_.Run(Many("c", 1), 2000 + kKeepMs);
  ExpectWhole();
  EXPECT_EQ(store_.machine().StateHash(store_.machine().applied().index),
            follower.machine().StateHash(follower.machine().applied().index));
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(1, 1));
}

TEST_F(KvRequestsTest, AnEntryOfManyIdsHasSeveralRows) {
  store_.Run(Many("a", 600), /*stamp=*/2000);
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(256, 256, 88));
  for (int entry = 0; entry < 10; ++entry) {
    store_.Run(Many(absl::StrCat("b", entry, "-"), 16), 2000 + kKeepMs);
  }
  ExpectWhole();
  EXPECT_THAT(RowsOfPlaces(), ElementsAre(16, 16, 16, 16, 16, 16, 16, 16, 16, 16));
}

TEST_F(KvRequestsTest, AFailureUndoesTheWriteAndIsRemembered) {
  Command failing = Txn({}, {PutOp("a", "1")});
  auto* within = failing.mutable_txn()->add_operations()->mutable_increment();
  within->set_key("a");  // "1" is a number, but the sum is none.
  within->set_delta(std::numeric_limits<int64_t>::max());
  const Command marked = Marked("id", failing);
  EXPECT_EQ(Run(marked).verdict(), CommandOutcome::VERDICT_INTEGER_OVERFLOW);
  EXPECT_EQ(store_.Value("a"), "(absent)");
  Run(Put("a", "0"));
  EXPECT_EQ(Run(marked).verdict(), CommandOutcome::VERDICT_INTEGER_OVERFLOW);
  EXPECT_EQ(store_.Value("a"), "0");
  ExpectWhole();
}

TEST_F(KvRequestsTest, TheyOutliveARestartAndTravelWithASnapshot) {
  Run(Add("id"));
  Run(Put("other", "1"));
  store_.Reopen();
  EXPECT_TRUE(Run(Add("id")).replayed());

  Store follower(dir_.File("follower"));
  ASSERT_NO_FATAL_FAILURE(follower.BeginWith(&store_));
  const CommandOutcome again = follower.Run({Add("id")}).at(0);
  EXPECT_TRUE(again.replayed());
  EXPECT_EQ(again.operations(0).value(), 1);
  EXPECT_EQ(follower.Value("n"), "1");
  EXPECT_EQ(follower.machine().TakeView()->Verify(nullptr), absl::OkStatus());
}

TEST_F(KvRequestsTest, ADirectoryWithoutTheFamilyIsDamaged) {
  Run(Add("id"));
  store_.Close();
  DropFamily(store_.database_path(), "requests.1");
  const absl::Status damaged = store_.TryOpen();
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("requests.1"));
}

}  // namespace
}  // namespace raftkv::storage
