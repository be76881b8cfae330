#include "client/known_members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace raftkv::client {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class KnownMembersTest : public testing::Test {
 protected:
  static constexpr MonotonicNanos kNow = 100 * kNanosPerSecond;

  // Members with the ids 1, 2, ... and these addresses, as member `self` names them.
  static v1::ListMembersResponse Named(const std::vector<std::string>& addresses,
                                       uint64_t self = 99) {
    v1::ListMembersResponse response;
    response.mutable_header()->set_member_id(self);
    for (const std::string& address : addresses) {
      v1::Member* member = response.add_members();
      member->set_id(static_cast<uint64_t>(response.members_size()));
      member->set_client_address(address);
    }
    return response;
  }
  KnownMembers::Endpoint At(size_t place) const { return members_.list()->at(place); }
  void Learn(const v1::ListMembersResponse& named) { members_.Learn(At(0), named, kNow); }
  std::vector<std::string> Addresses() const {
    std::vector<std::string> addresses;
    for (const KnownMembers::Endpoint& endpoint : *members_.list()) {
      addresses.push_back(endpoint.address);
    }
    return addresses;
  }
  std::string PreferredOf(const KnownMembers::List& list) const {
    return (*list)[members_.Preferred(list)].address;
  }

  std::vector<std::string> made_;
  KnownMembers members_{{"a:1", "b:1"}, /*learns=*/true, [this](const std::string& address) {
                          made_.push_back(address);
                          return nullptr;
                        }};
};

TEST_F(KnownMembersTest, TheGivenOnesStayAndTheOthersAreAsNamedLast) {
  Learn(Named({"b:1", "c:1", ""}));
  EXPECT_THAT(Addresses(), ElementsAre("a:1", "b:1", "c:1"));
  Learn(Named({"d:1", "c:1", "d:1"}));
  EXPECT_THAT(Addresses(), ElementsAre("a:1", "b:1", "d:1", "c:1"));
  Learn(Named({}));
  EXPECT_THAT(Addresses(), ElementsAre("a:1", "b:1"));
  EXPECT_THAT(made_, ElementsAre("a:1", "b:1", "c:1", "d:1")) << "a connection for each, once";
  EXPECT_EQ(members_.given()->size(), 2u);
}

TEST_F(KnownMembersTest, AMemberThatWasMetAtAGivenEndpointIsNotLearnedUnderAnotherName) {
  Learn(Named({"127.0.0.1:1", "c:1"}, /*self=*/1));
  EXPECT_THAT(Addresses(), ElementsAre("a:1", "b:1", "c:1"));
}

TEST_F(KnownMembersTest, LearnsNoMoreThanSoMany) {
  std::vector<std::string> many;
  for (size_t i = 0; i < 2 * KnownMembers::kLearnedMax; ++i) {
    many.push_back(absl::StrCat("m:", i));
  }
  Learn(Named(many));
  EXPECT_THAT(Addresses(), SizeIs(2 + KnownMembers::kLearnedMax));
}

TEST_F(KnownMembersTest, ThePreferredOneIsTheSameInAnotherList) {
  Learn(Named({"c:1", "d:1"}));
  const KnownMembers::List before = members_.list();
  members_.Prefer(before, 3);
  Learn(Named({"d:1"}));
  EXPECT_EQ(PreferredOf(members_.list()), "d:1");
  members_.TurnAwayFrom(before, 2);
  EXPECT_EQ(PreferredOf(members_.list()), "d:1") << "another one failed";
  Learn(Named({"c:1"}));
  EXPECT_EQ(PreferredOf(members_.list()), "a:1") << "it is gone";
}

// A bulk writer's list is that of its beginning.
TEST_F(KnownMembersTest, WhoseListLacksThePreferredOneTurnsAwayAllTheSame) {
  Learn(Named({"c:1"}));
  members_.Prefer(members_.list(), 2);
  EXPECT_EQ(PreferredOf(members_.given()), "a:1");
  members_.TurnAwayFrom(members_.given(), 0);
  EXPECT_EQ(PreferredOf(members_.given()), "b:1");
}

TEST_F(KnownMembersTest, ALearnedOneIsTrustedWhileItAnswersForTheCluster) {
  Learn(Named({"c:1"}));
  EXPECT_TRUE(members_.IsTrusted(At(0)));
  EXPECT_FALSE(members_.IsTrusted(At(2)));
  members_.Learn(At(2), Named({"c:1"}), kNow);
  EXPECT_TRUE(members_.IsTrusted(At(2)));
  members_.TurnAwayFrom(members_.list(), 2);
  EXPECT_FALSE(members_.IsTrusted(At(2)));
}

TEST_F(KnownMembersTest, WhoCannotBeUsedIsForgottenUntilItIsNamedAgain) {
  Learn(Named({"c:1", "d:1"}));
  members_.Forget(At(2));
  members_.Forget(At(0));
  EXPECT_THAT(Addresses(), ElementsAre("a:1", "b:1", "d:1"));
  Learn(Named({"c:1"}));
  EXPECT_THAT(Addresses(), ElementsAre("a:1", "b:1", "c:1"));
}

TEST_F(KnownMembersTest, AsksAgainInTime) {
  const auto after = [](absl::Duration time) { return kNow + absl::ToInt64Nanoseconds(time); };
  EXPECT_TRUE(members_.TakeAsking(kNow));
  EXPECT_FALSE(members_.TakeAsking(after(KnownMembers::kAskAgain) - 1)) << "no answer yet";
  Learn(Named({"a:1", ""}));
  EXPECT_FALSE(members_.TakeAsking(after(KnownMembers::kAskAgain) - 1));
  EXPECT_TRUE(members_.TakeAsking(after(KnownMembers::kAskAgain))) << "one has no address yet";
  members_.Learn(At(0), Named({"a:1"}), after(KnownMembers::kAskAgain));
  const absl::Duration all_known = KnownMembers::kAskAgain + KnownMembers::kAskAgainWhenAllKnown;
  EXPECT_FALSE(members_.TakeAsking(after(all_known) - 1));
  members_.TurnAwayFrom(members_.list(), 0);
  EXPECT_TRUE(members_.TakeAsking(after(all_known) - 1)) << "one has failed";
  members_.TurnAwayFrom(members_.list(), 0);
  EXPECT_FALSE(members_.TakeAsking(after(all_known)));
  EXPECT_TRUE(members_.TakeAsking(after(all_known + KnownMembers::kAskAgainAfterFailure)));
}

}  // namespace
}  // namespace raftkv::client
