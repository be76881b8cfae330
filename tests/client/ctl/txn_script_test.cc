#include "client/ctl/txn_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace raftkv::ctl {
namespace {

using testing::HasSubstr;

TEST(TxnScriptTest, ThreePartsMakeATransaction) {
  const absl::StatusOr<Txn> txn = ParseTxnScript(
      "mod(\"a key\") > \"3\"\n"
      "value(b)!=\"x(\\\"y\\\")\"\n"
      "exists(c) = false\n"
      "create(c) < 9\n"
      "ver(c) = 0\n"
      "\n"
      "put a \"two words\" --ttl 5s\n"
      "get p --prefix\n"
      "get a\n"
      "\n"
      "del a\n"
      "del p --prefix\n"
      "incr n -5\n"
      "incr n\n"
      "touch a 10s\n");
  ASSERT_TRUE(txn.ok()) << txn.status();
  ASSERT_EQ(txn->guards.size(), 5u);
  EXPECT_EQ(std::get<SingleKey>(txn->guards[0].range).key, "a key");
  EXPECT_EQ(txn->guards[0].comparison, Comparison::kGreater);
  EXPECT_EQ(std::get<ModRevisionIs>(txn->guards[0].target).mod_revision, 3);
  EXPECT_EQ(txn->guards[1].comparison, Comparison::kNotEqual);
  EXPECT_EQ(std::get<ValueIs>(txn->guards[1].target).value, "x(\"y\")");
  EXPECT_FALSE(std::get<KeyExists>(txn->guards[2].target).expected);
  EXPECT_EQ(txn->guards[3].comparison, Comparison::kLess);
  EXPECT_EQ(std::get<CreateRevisionIs>(txn->guards[3].target).create_revision, 9);
  EXPECT_EQ(std::get<VersionIs>(txn->guards[4].target).version, 0);
  ASSERT_EQ(txn->then_ops.size(), 3u);
  EXPECT_EQ(std::get<PutOp>(txn->then_ops[0]).value, "two words");
  EXPECT_EQ(std::get<PutOp>(txn->then_ops[0]).options.ttl, absl::Seconds(5));
  EXPECT_EQ(std::get<Prefix>(std::get<ListOp>(txn->then_ops[1]).range).prefix, "p");
  EXPECT_EQ(std::get<GetOp>(txn->then_ops[2]).key, "a");
  ASSERT_EQ(txn->else_ops.size(), 5u);
  EXPECT_EQ(std::get<DeleteOp>(txn->else_ops[0]).key, "a");
  EXPECT_EQ(std::get<Prefix>(std::get<DeleteRangeOp>(txn->else_ops[1]).range).prefix, "p");
  EXPECT_EQ(std::get<IncrementOp>(txn->else_ops[2]).options.delta, -5);
  EXPECT_EQ(std::get<IncrementOp>(txn->else_ops[3]).options.delta, 1);
  EXPECT_EQ(std::get<TouchOp>(txn->else_ops[4]).options.ttl, absl::Seconds(10));
}

TEST(TxnScriptTest, PartsMayBeEmpty) {
  const absl::StatusOr<Txn> txn = ParseTxnScript("\nput a 1");
  ASSERT_TRUE(txn.ok()) << txn.status();
  EXPECT_TRUE(txn->guards.empty());
  EXPECT_EQ(txn->then_ops.size(), 1u);
}

TEST(TxnScriptTest, WhatIsWrongIsSaidWithItsLine) {
  for (const std::string text :
       {"mod(\"a\")", "mod(a) > b", "age(a) = \"1\"", "exists(a) = maybe", "mod a = 1",
        "value(\"a) = 1", "mod(a) = 1 2", "\nput a", "\nput a b c", "\nfly a", "\ntouch a soon",
        "\nincr a b", "\nput a b\n\nget a\n\nget b"}) {
    const absl::Status status = ParseTxnScript(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line ")) << text;
  }
}

}  // namespace
}  // namespace raftkv::ctl
