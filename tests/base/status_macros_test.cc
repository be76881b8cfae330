#include "base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace raftkv {
namespace {

absl::Status ReturnIfError(const absl::Status& status, int* evaluated, bool* went_on) {
  RAFTKV_RETURN_IF_ERROR((++*evaluated, status));
  *went_on = true;
  return absl::OkStatus();
}

TEST(StatusMacrosTest, ReturnIfErrorEvaluatesOnceAndGoesOnWhenOk) {
  int evaluated = 0;
  bool went_on = false;
  EXPECT_TRUE(ReturnIfError(absl::OkStatus(), &evaluated, &went_on).ok());
  EXPECT_EQ(evaluated, 1);
  EXPECT_TRUE(went_on);
}

TEST(StatusMacrosTest, ReturnIfErrorPassesTheErrorOn) {
  int evaluated = 0;
  bool went_on = false;
  const absl::Status error = absl::DataLossError("torn");
  EXPECT_EQ(ReturnIfError(error, &evaluated, &went_on), error);
  EXPECT_EQ(evaluated, 1);
  EXPECT_FALSE(went_on);
}

// A type that can only be moved, twice in one function, into a declaration and an assignment.
absl::StatusOr<int> Sum(absl::StatusOr<std::unique_ptr<int>> a,
                        absl::StatusOr<std::unique_ptr<int>> b) {
  RAFTKV_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, std::move(a));
  std::unique_ptr<int> second;
  RAFTKV_ASSIGN_OR_RETURN(second, std::move(b));
  return *first + *second;
}

TEST(StatusMacrosTest, AssignOrReturnMovesTheValue) {
  const absl::StatusOr<int> sum = Sum(std::make_unique<int>(2), std::make_unique<int>(3));
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, 5);
}

TEST(StatusMacrosTest, AssignOrReturnPassesTheFirstErrorOn) {
  const absl::Status error = absl::NotFoundError("first");
  EXPECT_EQ(Sum(error, absl::NotFoundError("second")).status(), error);
  EXPECT_EQ(Sum(std::make_unique<int>(2), error).status(), error);
}

}  // namespace
}  // namespace raftkv
