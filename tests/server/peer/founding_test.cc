#include "server/peer/founding.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace raftkv::server {
namespace {

using DataIds = std::map<std::string, uint64_t>;

const std::vector<Founder>& ThreeFounders() {
  static const auto* founders = new std::vector<Founder>(
      *ParseInitialCluster("n3=host-3:2380,n1=host-1:2380,n2=host-2:2380"));
  return *founders;
}

TEST(MakeFoundingRecordTest, IdsFollowTheSortedNames) {
  const auto record =
      MakeFoundingRecord(ThreeFounders(), DataIds{{"n1", 11}, {"n2", 22}, {"n3", 33}});
  ASSERT_EQ(record.members_size(), 3);
  for (int i = 0; i < 3; ++i) {
    const log::v1::ConfiguredMember& member = record.members(i);
    const std::string number = std::to_string(i + 1);
    EXPECT_EQ(member.id(), static_cast<uint64_t>(i + 1));
    EXPECT_EQ(member.name(), "n" + number);
    EXPECT_EQ(member.peer_address(), "host-" + number + ":2380");
    EXPECT_EQ(member.data_id(), static_cast<uint64_t>(11 * (i + 1)));
  }
}

TEST(MakeFoundingRecordTest, EveryFounderVotes) {
  const auto record =
      MakeFoundingRecord(ThreeFounders(), DataIds{{"n1", 11}, {"n2", 22}, {"n3", 33}});
  EXPECT_EQ(std::vector<uint64_t>(record.voters().begin(), record.voters().end()),
            (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(record.outgoing_voters_size(), 0);
  EXPECT_EQ(record.learners_size(), 0);
}

// Founders may run different versions: all must come to the same id.
TEST(MakeFoundingRecordTest, TheClusterIdIsFrozen) {
  const auto founders = ParseInitialCluster("n2=[::1]:2381,n1=host-1:2380");
  ASSERT_TRUE(founders.ok());
  const auto record = MakeFoundingRecord(
      *founders, DataIds{{"n1", 5}, {"n2", std::numeric_limits<uint64_t>::max()}});
  EXPECT_EQ(record.cluster_id(), 0xeb4ac71c6f2fa945u);
}

TEST(MakeFoundingRecordTest, TheSameFoundersMakeTheSameRecord) {
  const DataIds data_ids = {{"n1", 11}, {"n2", 22}, {"n3", 33}};
  EXPECT_EQ(MakeFoundingRecord(ThreeFounders(), data_ids).SerializeAsString(),
            MakeFoundingRecord(ThreeFounders(), data_ids).SerializeAsString());
}

// So two clusters that were founded from one list, or one that was wiped and founded again, never
// take each other's messages.
TEST(MakeFoundingRecordTest, AnythingElseMakesAnotherCluster) {
  const DataIds data_ids = {{"n1", 11}, {"n2", 22}, {"n3", 33}};
  std::set<uint64_t> ids = {MakeFoundingRecord(ThreeFounders(), data_ids).cluster_id()};
  for (const char* name : {"n1", "n2", "n3"}) {
    DataIds other = data_ids;
    ++other[name];
    ids.insert(MakeFoundingRecord(ThreeFounders(), other).cluster_id());
  }
  ids.insert(
      MakeFoundingRecord(ThreeFounders(), {{"n1", 22}, {"n2", 11}, {"n3", 33}}).cluster_id());

  std::vector<Founder> founders = ThreeFounders();
  founders[0].peer_address = "host-9:2380";
  ids.insert(MakeFoundingRecord(founders, data_ids).cluster_id());
  founders = ThreeFounders();
  founders[2].name = "n4";
  ids.insert(MakeFoundingRecord(founders, {{"n1", 11}, {"n2", 22}, {"n4", 33}}).cluster_id());
  founders = ThreeFounders();
  founders.pop_back();
  ids.insert(MakeFoundingRecord(founders, data_ids).cluster_id());

  EXPECT_EQ(ids.size(), 8u);
  EXPECT_EQ(ids.count(0), 0u);
}

// What a founder makes of the record that another founder has stored already.
class CheckFoundedRecordTest : public testing::Test {
 protected:
  absl::Status Check(const std::string& list, const std::string& name, uint64_t data_id) const {
    return CheckFoundedRecord(record_, *ParseInitialCluster(list), name, data_id);
  }

  const log::v1::ClusterConfiguration record_ =
      MakeFoundingRecord(ThreeFounders(), DataIds{{"n1", 11}, {"n2", 22}, {"n3", 33}});
};

constexpr char kList[] = "n1=host-1:2380,n2=host-2:2380,n3=host-3:2380";

TEST_F(CheckFoundedRecordTest, ItsOwnIsTaken) {
  EXPECT_TRUE(Check(kList, "n1", 11).ok());
  EXPECT_TRUE(Check(kList, "n3", 33).ok());
}

TEST_F(CheckFoundedRecordTest, AnotherListIsRefusedAndTheRightOneNamed) {
  for (const char* list :
       {"n0=host-0:2380,n1=host-1:2380,n2=host-2:2380,n3=host-3:2380",
        "n1=host-1:2380,n2=host-2:2380", "n1=host-1:2380,n2=host-9:2380,n3=host-3:2380",
        "n1=host-1:2380,n2=host-2:2380,n4=host-3:2380"}) {
    const absl::Status status = Check(list, "n1", 11);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << list;
    EXPECT_NE(status.message().find(std::string("--initial_cluster=") + kList), std::string::npos)
        << status;
  }
}

TEST_F(CheckFoundedRecordTest, AWipedMemberAndAStrangerAreRefused) {
  const absl::Status wiped = Check(kList, "n1", 12);
  EXPECT_NE(wiped.message().find("wiped"), std::string::npos) << wiped;
  const absl::Status stranger = Check(kList, "n4", 44);
  EXPECT_NE(stranger.message().find("no member \"n4\""), std::string::npos) << stranger;
}

}  // namespace
}  // namespace raftkv::server
