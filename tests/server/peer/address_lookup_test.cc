#include "server/peer/address_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/wait.h"

namespace raftkv::server {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool Answered(AddressLookup* lookup) {
  return integration::WaitUntil(integration::Millis(20000), [&] { return lookup->Done(); });
}

TEST(AddressLookupTest, AnAddressIsAnsweredAtOnce) {
  AddressLookup v4("127.0.0.1:2380");
  EXPECT_TRUE(v4.Done());
  EXPECT_THAT(v4.addresses(), ElementsAre("127.0.0.1:2380"));
  AddressLookup v6("[::1]:2380");
  EXPECT_TRUE(v6.Done());
  EXPECT_THAT(v6.addresses(), ElementsAre("[::1]:2380"));
}

TEST(AddressLookupTest, ANameIsResolved) {
  AddressLookup lookup("localhost:2380");
  ASSERT_TRUE(Answered(&lookup));
  EXPECT_THAT(lookup.addresses(), Contains(testing::AnyOf("127.0.0.1:2380", "[::1]:2380")));
}

TEST(AddressLookupTest, AnUnknownNameHasAProblem) {
  AddressLookup lookup("no-such-host.invalid:2380");
  ASSERT_TRUE(Answered(&lookup));
  EXPECT_THAT(lookup.addresses(), IsEmpty());
  EXPECT_THAT(lookup.problem(), HasSubstr("cannot resolve no-such-host.invalid: "));
}

TEST(AddressLookupTest, AQuestionCanBeGivenUp) { AddressLookup lookup("no-such-host.invalid:1"); }

}  // namespace
}  // namespace raftkv::server
