#include "base/duration.h"

#include <gtest/gtest.h>

namespace raftkv {
namespace {

TEST(ParseDurationTest, TakesWhatPeopleType) {
  EXPECT_EQ(*ParseDuration("5s"), absl::Seconds(5));
  EXPECT_EQ(*ParseDuration("300ms"), absl::Milliseconds(300));
  EXPECT_EQ(*ParseDuration("1m30s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("1.5h"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("-5s"), -absl::Seconds(5));
  EXPECT_EQ(*ParseDuration("5"), absl::Seconds(5));
  EXPECT_EQ(*ParseDuration("0"), absl::ZeroDuration());
}

TEST(ParseDurationTest, RefusesTheRestAndNamesIt) {
  for (const char* text :
       {"", "s", "abc", "5x", "5 s", "5s extra", "inf", "-inf", "nan", "1e999"}) {
    const absl::Status status = ParseDuration(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_NE(status.message().find(text), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace raftkv
