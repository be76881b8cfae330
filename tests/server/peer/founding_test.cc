#include "server/peer/founding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/member_list.h"
#include "raft/wire/identity.h"
#include "tests/kv/fake_state_machine.h"
#include "tests/support/fake_clock.h"
#include "tests/support/log_lines.h"

namespace raftkv::server {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

TEST(MakeFoundingRecordTest, AnotherOriginMakesAnotherCluster) {
  const DataIds data_ids = {{"n1", 11}, {"n2", 22}, {"n3", 33}};
  const std::set<uint64_t> ids = {
      MakeFoundingRecord(ThreeFounders(), data_ids).cluster_id(),
      MakeFoundingRecord(ThreeFounders(), data_ids, 5).cluster_id(),
      MakeFoundingRecord(ThreeFounders(), data_ids, 6).cluster_id(),
  };
  EXPECT_EQ(ids.size(), 3u);
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

TEST_F(CheckFoundedRecordTest, MembersMayHaveComeAndGoneSince) {
  log::v1::ClusterConfiguration later = kv::Left(kv::Removing(record_, 2));
  later = kv::WithLearner(later, {});
  const auto check = [&](const std::string& list) {
    return CheckFoundedRecord(later, *ParseInitialCluster(list), "n3", 33);
  };
  EXPECT_TRUE(check(kList).ok()) << check(kList);
  EXPECT_FALSE(check("n0=host-0:2380,n1=host-1:2380,n2=host-2:2380,n3=host-3:2380").ok())
      << "its list gave it another id";
}

TEST(CheckStoredIdentityTest, ARemovedMemberIsToldSo) {
  const log::v1::ClusterConfiguration record =
      MakeFoundingRecord(ThreeFounders(), DataIds{{"n1", 11}, {"n2", 22}, {"n3", 33}});
  EXPECT_TRUE(CheckStoredIdentity(record, 2, "n2").ok());
  EXPECT_FALSE(CheckStoredIdentity(record, 2, "n1").ok());
  EXPECT_TRUE(CheckStoredIdentity(record, 4, "n4").ok()) << "it has joined later";
  const absl::Status removed = CheckStoredIdentity(kv::Left(kv::Removing(record, 2)), 2, "n2");
  EXPECT_NE(removed.message().find("was removed from cluster"), std::string::npos) << removed;
}

TEST_F(CheckFoundedRecordTest, AWipedMemberAndAStrangerAreRefused) {
  const absl::Status wiped = Check(kList, "n1", 12);
  EXPECT_NE(wiped.message().find("wiped"), std::string::npos) << wiped;
  EXPECT_NE(wiped.message().find("raftkvctl member replace n1,"), std::string::npos) << wiped;
  EXPECT_NE(wiped.message().find("--auto_replace"), std::string::npos) << wiped;
  const absl::Status stranger = Check(kList, "n4", 44);
  EXPECT_NE(stranger.message().find("no member \"n4\""), std::string::npos) << stranger;
}

class Node;

// Brings Hellos from node to node, and the answer back a tick later.
struct HelloNetwork {
  FakeClock clock;
  std::map<std::string, Node*> nodes;  // By address.
  // What is on the way back may be changed here.
  std::function<void(peer::v1::HelloResponse* response)> change = [](auto*) {};
};

class FakeHelloAsker final : public HelloAsker {
 public:
  FakeHelloAsker(const HelloNetwork* network, std::string address, OnAnswer on_answer)
      : network_(*network), address_(std::move(address)), on_answer_(std::move(on_answer)) {}

  void Tick() override {
    if (asked_) {
      on_answer_(status_, response_);
    }
    asked_ = true;
    Ask();
  }

 private:
  void Ask();

  const HelloNetwork& network_;
  const std::string address_;
  const OnAnswer on_answer_;
  bool asked_ = false;
  grpc::Status status_;
  peer::v1::HelloResponse response_;
};

// A node that is to become a member, and the only thing that it stores. Confined to one thread.
class Node {
 public:
  Node(HelloNetwork* network, std::string name, uint64_t data_id, const std::string& list,
       std::optional<log::v1::ClusterConfiguration> stored)
      : founders_(*ParseInitialCluster(list)),
        record_(std::move(stored)),
        directory_({.id = 0,
                    .name = std::move(name),
                    .data_id = data_id,
                    .client_address = "",
                    .peer_address = "advertised:2380"},
                   &record_, &machine_) {
    context_.clock = &network->clock;
    context_.directory = &directory_;
    context_.data_dir = "data";
    founding_.emplace(
        &context_, founders_,
        Founding::Hooks{
            .new_asker =
                [network](const Founder& founder, HelloAsker::OnAnswer on_answer) {
                  return std::make_unique<FakeHelloAsker>(network, founder.peer_address,
                                                          std::move(on_answer));
                },
            .on_founded =
                [this](const log::v1::ClusterConfiguration& record) {
                  EXPECT_FALSE(record_.has_value()) << "founded twice";
                  record_ = record;
                },
            .on_wiped = [this] { ++wiped_; },
            .on_refused = [this](const std::string& why) { refusals_.push_back(why); }});
  }

  // As the peer wing does.
  void Tick() {
    if (record_.has_value()) {
      founding_.reset();
    } else {
      founding_->Tick();
    }
  }
  peer::v1::HelloResponse Hello() const { return AnswerHello(context_, founders_); }
  peer::v1::HelloRequest MakeHello() const { return server::MakeHello(context_, founders_); }

  bool founded() const { return record_.has_value(); }
  const std::optional<log::v1::ClusterConfiguration>& record() const { return record_; }
  const std::vector<std::string>& refusals() const { return refusals_; }
  void Change(const log::v1::ClusterConfiguration& record) { record_ = record; }
  void AllowReplacing() { context_.auto_replace = true; }
  // How often it heard that it was wiped.
  int wiped() const { return wiped_; }

 private:
  const std::vector<Founder> founders_;
  std::optional<log::v1::ClusterConfiguration> record_;
  kv::ScriptedStateMachine machine_;
  kv::MemberDirectory directory_;
  PeerContext context_;
  std::vector<std::string> refusals_;
  int wiped_ = 0;
  std::optional<Founding> founding_;
};

void FakeHelloAsker::Ask() {
  const auto found = network_.nodes.find(address_);
  if (found == network_.nodes.end()) {
    status_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "nobody listens");
    return;
  }
  status_ = grpc::Status::OK;
  response_ = found->second->Hello();
  network_.change(&response_);
}

// Node nI listens at host-I:2380. Its data id is 11 * I, unless told.
class FoundingTest : public testing::Test {
 protected:
  // Also again, with what it stored.
  Node& Start(int number, const std::string& list = kList) {
    const auto before = nodes_.find(number);
    return StartWith(number, list, 11 * static_cast<uint64_t>(number),
                     before == nodes_.end() ? std::nullopt : before->second->record());
  }
  // With an empty directory.
  void StartNew(int number, uint64_t data_id) { StartWith(number, kList, data_id, std::nullopt); }
  void Stop(int number) { network_.nodes.erase(Address(number)); }
  Node& node(int number) { return *nodes_.at(number); }

  void Tick(int ticks = 1) {
    for (int i = 0; i < ticks; ++i) {
      network_.clock.Advance(EventLoop::kTick);
      for (const auto& [number, node] : nodes_) {
        if (network_.nodes.count(Address(number)) > 0) {
          node->Tick();
        }
      }
    }
  }

  static std::string Address(int number) { return "host-" + std::to_string(number) + ":2380"; }
  static std::string RecordOf(const DataIds& data_ids) {
    return MakeFoundingRecord(ThreeFounders(), data_ids).SerializeAsString();
  }
  static std::string RecordOf(const Node& node) {
    return node.founded() ? node.record()->SerializeAsString() : "none";
  }

  const DataIds data_ids_ = {{"n1", 11}, {"n2", 22}, {"n3", 33}};
  HelloNetwork network_;

 private:
  Node& StartWith(int number, const std::string& list, uint64_t data_id,
                  std::optional<log::v1::ClusterConfiguration> stored) {
    nodes_[number] = std::make_unique<Node>(&network_, "n" + std::to_string(number), data_id, list,
                                            std::move(stored));
    network_.nodes[Address(number)] = nodes_[number].get();
    return *nodes_[number];
  }

  std::map<int, std::unique_ptr<Node>> nodes_;
};

TEST_F(FoundingTest, EachFoundsTheSameOnceItHasHeardAll) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick();
  EXPECT_FALSE(node(1).founded()) << "nobody has answered";
  // Each asked while the others were not founded, so none takes over another's record.
  Tick();
  for (const int number : {1, 2, 3}) {
    EXPECT_EQ(RecordOf(node(number)), RecordOf(data_ids_)) << number;
    EXPECT_THAT(node(number).refusals(), IsEmpty()) << number;
  }
}

TEST_F(FoundingTest, WaitsForAll) {
  Start(1);
  Start(2);
  Tick(1000);
  EXPECT_FALSE(node(1).founded());
  EXPECT_FALSE(node(2).founded());
  Start(3);
  Tick(2);
  for (const int number : {1, 2, 3}) {
    EXPECT_EQ(RecordOf(node(number)), RecordOf(data_ids_)) << number;
  }
}

TEST_F(FoundingTest, AnAnswerCountsOnlyUntilTheNextOne) {
  Start(1);
  Start(2);
  Tick(2);
  Stop(2);
  Tick(2);
  Start(3);
  Tick(10);
  EXPECT_FALSE(node(1).founded());
  EXPECT_FALSE(node(3).founded());
  Start(2);
  Tick(2);
  EXPECT_EQ(RecordOf(node(1)), RecordOf(data_ids_));
}

TEST_F(FoundingTest, DataThatChangedBetweenAnswersIsTheNewOne) {
  Start(1);
  Start(2);
  Tick(2);
  StartNew(2, 23);
  Tick(2);
  Start(3);
  Tick(3);
  for (const int number : {1, 2, 3}) {
    EXPECT_EQ(RecordOf(node(number)), RecordOf({{"n1", 11}, {"n2", 23}, {"n3", 33}})) << number;
  }
}

TEST_F(FoundingTest, WhoRestartsMidwayTakesOverWhatTheOthersFounded) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick();
  Start(3);
  Tick();
  EXPECT_EQ(RecordOf(node(1)), RecordOf(data_ids_));
  EXPECT_FALSE(node(3).founded()) << "it asks anew";
  Stop(2);
  Tick();
  EXPECT_EQ(RecordOf(node(3)), RecordOf(data_ids_)) << "one is enough";
  EXPECT_THAT(node(3).refusals(), IsEmpty());
}

TEST_F(FoundingTest, AFounderOfAnotherOriginDoesNotCount) {
  network_.change = [](peer::v1::HelloResponse* response) { response->set_restored_from(9); };
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick(10);
  EXPECT_FALSE(node(1).founded());
  EXPECT_THAT(node(1).refusals(), IsEmpty()) << "it may yet be restored";
  network_.change = [](auto*) {};
  Tick(2);
  EXPECT_EQ(RecordOf(node(1)), RecordOf(data_ids_));
}

TEST_F(FoundingTest, TheRecordOfAnotherOriginIsNotTakenOver) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick();
  Start(3);
  network_.change = [](peer::v1::HelloResponse* response) { response->set_restored_from(9); };
  Tick(3);
  EXPECT_TRUE(node(1).founded()) << "it had its answers before";
  EXPECT_FALSE(node(3).founded());
  EXPECT_THAT(node(3).refusals(), ElementsAre(HasSubstr("that of this member is new")));
}

TEST_F(FoundingTest, WhoIsWipedAfterTheFoundingIsRefused) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick(2);
  StartNew(3, 34);
  Tick(10);
  EXPECT_FALSE(node(3).founded());
  EXPECT_THAT(node(3).refusals(),
              ElementsAre(AllOf(HasSubstr("--data_dir=data: member \"n1\" at host-1:2380"),
                                HasSubstr("wiped"))));
}

TEST_F(FoundingTest, WhoIsWipedAndMayBeReplacedIsNotRefused) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick(2);
  StartNew(3, 34);
  node(3).AllowReplacing();
  const LogLines log;
  Tick(10);
  EXPECT_EQ(node(3).wiped(), 1);
  EXPECT_FALSE(node(3).founded());
  EXPECT_THAT(node(3).refusals(), IsEmpty());
  EXPECT_THAT(log.lines, Contains(AllOf(HasSubstr("WARNING --data_dir=data is new"),
                                        HasSubstr("member \"n3\", 3, with data"))));
}

// Restarted after the leader had it in its own place, and before it was told.
TEST_F(FoundingTest, WhoHasBeenReplacedAndWasNotInvitedAsksAgain) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick(2);
  log::v1::ConfiguredMember itself;
  itself.set_name("n3");
  itself.set_peer_address(Address(3));
  itself.set_data_id(34);
  const log::v1::ClusterConfiguration replaced =
      kv::WithLearner(kv::Left(kv::Removing(*node(1).record(), 3)), itself);
  ASSERT_EQ(kv::FindMemberNamed(replaced, "n3")->id(), 4u);
  node(1).Change(replaced);
  node(2).Change(replaced);
  StartNew(3, 34);
  node(3).AllowReplacing();
  Tick(10);
  EXPECT_EQ(node(3).wiped(), 1);
  EXPECT_FALSE(node(3).founded());
  EXPECT_THAT(node(3).refusals(), IsEmpty());
}

TEST_F(FoundingTest, OnlyAMembersOwnNameMayBeReplaced) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick(2);
  Start(4, std::string(kList) + ",n4=host-4:2380").AllowReplacing();
  Tick(10);
  EXPECT_EQ(node(4).wiped(), 0);
  EXPECT_THAT(node(4).refusals(), ElementsAre(HasSubstr("has no member \"n4\"")));
}

TEST_F(FoundingTest, WhoRestartsMidwayWithAnotherListIsRefused) {
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick();
  Start(3, std::string(kList) + ",n4=host-4:2380");
  Tick(10);
  EXPECT_TRUE(node(1).founded());
  EXPECT_FALSE(node(3).founded());
  EXPECT_THAT(
      node(3).refusals(),
      ElementsAre(HasSubstr("belongs to cluster " + std::to_string(node(1).record()->cluster_id()) +
                            ", which this member helped to found")));
}

// Whether both lead to the same place, nobody asks: the record has room for one.
TEST_F(FoundingTest, AnAddressByAnotherNameIsAnotherList) {
  Start(1, "n1=localhost:2380,n2=host-2:2380,n3=host-3:2380");
  Start(2);
  Start(3);
  const LogLines log;
  Tick(110);
  for (const int number : {1, 2, 3}) {
    EXPECT_FALSE(node(number).founded()) << number;
  }
  EXPECT_THAT(log.lines,
              ElementsAre("INFO founding: waiting for "
                          "n2 at host-2:2380 (it was started with another --initial_cluster), "
                          "n3 at host-3:2380 (it was started with another --initial_cluster)",
                          "INFO founding: waiting for "
                          "n1 at host-1:2380 (it was started with another --initial_cluster)",
                          "INFO founding: waiting for "
                          "n1 at host-1:2380 (it was started with another --initial_cluster)"));
  Start(1);
  Tick(2);
  EXPECT_EQ(RecordOf(node(2)), RecordOf(data_ids_));
}

TEST_F(FoundingTest, OneFounderMoreIsAnotherList) {
  Start(1);
  Start(2);
  Start(3, std::string(kList) + ",n4=host-4:2380");
  Tick(10);
  for (const int number : {1, 2, 3}) {
    EXPECT_FALSE(node(number).founded()) << number;
    EXPECT_THAT(node(number).refusals(), IsEmpty()) << number;
  }
}

// What a node advertises is for later: the list is what all agree about.
TEST_F(FoundingTest, TheRecordHasTheAddressesOfTheList) {
  EXPECT_EQ(Start(1).MakeHello().peer_address(), "advertised:2380");
  Start(2);
  Start(3);
  Tick(2);
  ASSERT_TRUE(node(1).founded());
  EXPECT_EQ(node(1).record()->members(0).peer_address(), Address(1));
}

TEST_F(FoundingTest, SomebodyElseInAFoundersPlaceDoesNotCount) {
  Start(1);
  network_.nodes[Address(2)] = &Start(3);
  const LogLines log;
  Tick(110);
  EXPECT_FALSE(node(1).founded());
  EXPECT_THAT(log.lines, Contains(HasSubstr("n2 at host-2:2380 (it says that it is \"n3\")")));
}

TEST_F(FoundingTest, AnotherVersionOfTheProtocolDoesNotCount) {
  network_.change = [](peer::v1::HelloResponse* response) {
    response->set_protocol_version(wire::kProtocolVersion + 1);
  };
  for (const int number : {1, 2, 3}) {
    Start(number);
  }
  Tick(10);
  EXPECT_FALSE(node(1).founded());
  network_.change = [](auto*) {};
  Tick(2);
  EXPECT_TRUE(node(1).founded());
}

TEST_F(FoundingTest, SaysWhomItWaitsForAfterASecondAndThenEveryFive) {
  constexpr int kTicksOfASecond = kNanosPerSecond / EventLoop::kTick;
  Start(1);
  Start(2);
  const LogLines log;
  Tick(kTicksOfASecond - 1);
  EXPECT_THAT(log.lines, IsEmpty());
  Tick();
  const std::string line = "INFO founding: waiting for n3 at host-3:2380 (nobody listens)";
  EXPECT_THAT(log.lines, ElementsAre(line, line)) << "of both";
  Tick(5 * kTicksOfASecond - 1);
  EXPECT_EQ(log.lines.size(), 2u);
  Tick();
  EXPECT_EQ(log.lines.size(), 4u);
}

}  // namespace
}  // namespace raftkv::server
