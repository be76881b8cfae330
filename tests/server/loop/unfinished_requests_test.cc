#include "server/loop/unfinished_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace raftkv::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr MonotonicNanos kSlow = UnfinishedRequests::kSlowAge;
constexpr size_t kMany = 1000;

class UnfinishedRequestsTest : public testing::Test {
 protected:
  class Upload final : public UnfinishedRequests::Request {
   public:
    Upload(int number, std::vector<int>* given_up) : number_(number), given_up_(given_up) {}
    void GiveUp() override { given_up_->push_back(number_); }

   private:
    const int number_;
    std::vector<int>* const given_up_;
  };

  UnfinishedRequests::Ticket Begin(MonotonicNanos now) {
    uploads_.push_back(std::make_unique<Upload>(static_cast<int>(uploads_.size()) + 1, &given_up_));
    return requests_.Add(uploads_.back().get(), now);
  }

  UnfinishedRequests requests_;
  std::vector<std::unique_ptr<Upload>> uploads_;
  std::vector<int> given_up_;
};

TEST_F(UnfinishedRequestsTest, OneThatTakesTooLongIsGivenUpOnce) {
  Begin(0);
  Begin(5 * kNanosPerSecond);
  requests_.Tick(20 * kNanosPerSecond - 1, kMany);
  EXPECT_THAT(given_up_, IsEmpty());
  requests_.Tick(20 * kNanosPerSecond, kMany);
  requests_.Tick(20 * kNanosPerSecond, kMany);
  EXPECT_THAT(given_up_, ElementsAre(1));
  EXPECT_EQ(requests_.size(), 1U);
}

TEST_F(UnfinishedRequestsTest, TheOldestOfTooManySlowOnesAreGivenUp) {
  for (int i = 0; i < 5; ++i) {
    Begin(i);
  }
  requests_.Tick(kSlow - 1, 2);
  EXPECT_THAT(given_up_, IsEmpty()) << "nobody is slow yet";
  requests_.Tick(kSlow + 2, 2);
  EXPECT_THAT(given_up_, ElementsAre(1)) << "three are slow";
  requests_.Tick(kSlow + 4, 2);
  EXPECT_THAT(given_up_, ElementsAre(1, 2, 3));
  for (size_t i = 0; i < kMany; ++i) {
    Begin(kSlow + 4);
  }
  requests_.Tick(kSlow + 5, 2);
  EXPECT_EQ(given_up_.size(), 3U) << "young ones do not count";
}

TEST_F(UnfinishedRequestsTest, FinishedOnesDoNotCount) {
  const auto first = Begin(0);
  const auto second = Begin(0);
  Begin(0);
  requests_.Remove(second);
  requests_.Tick(kSlow, 2);
  EXPECT_THAT(given_up_, IsEmpty());
  requests_.Remove(first);
  const auto fourth = Begin(kSlow);
  requests_.Remove(fourth);
  Begin(kSlow);
  requests_.Tick(2 * kSlow, 2);
  EXPECT_THAT(given_up_, IsEmpty());
  requests_.Tick(2 * kSlow, 0);
  EXPECT_THAT(given_up_, ElementsAre(3, 5));
  EXPECT_EQ(requests_.size(), 0U);
  Begin(3 * kSlow);
  requests_.Tick(4 * kSlow, 0);
  EXPECT_THAT(given_up_, ElementsAre(3, 5, 6));
}

}  // namespace
}  // namespace raftkv::server
