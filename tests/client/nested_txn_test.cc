// Transactions within transactions, to messages and back.
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "client/convert.h"
#include "client/errors.h"
#include "client/txn.h"

namespace raftkv::client {
namespace {

TEST(NestedTxnTest, TravelsWithAllThatIsInIt) {
  const Txn inner{.guards = {{.range = SingleKey{"a"}, .target = VersionIs{2}}},
                  .then_ops = {PutOp{.key = "a", .value = "v"}, GetOp{.key = "b"}},
                  .else_ops = {Nested({.then_ops = {DeleteOp{.key = "c"}}})}};
  const auto request = MakeTxnRequest({.then_ops = {GetOp{.key = "x"}, Nested(inner)}}, {});
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->then_ops_size(), 2);
  const v1::TxnRequest& txn = request->then_ops(1).txn();
  EXPECT_EQ(txn.guards(0).version(), 2);
  EXPECT_EQ(txn.then_ops(0).put().data(), "v");
  EXPECT_EQ(txn.then_ops(1).get().consistency(), v1::CONSISTENCY_UNSPECIFIED);
  EXPECT_EQ(txn.else_ops(0).txn().then_ops(0).delete_key().key(), "c");
  EXPECT_EQ(txn.request_id(), "");
}

TEST(NestedTxnTest, ResultsComeBackAsTheyAreNested) {
  v1::TxnResponse response;
  response.set_succeeded(true);
  v1::TxnResponse& inner = *response.add_results()->mutable_txn();
  inner.set_succeeded(false);
  inner.add_results()->mutable_delete_key()->set_deleted(true);
  inner.add_results()->mutable_txn()->add_results()->mutable_increment()->set_value(7);
  const TxnResult result = ToResult(response);
  ASSERT_EQ(result.results.size(), 1u);
  const TxnResult& within = *std::get<NestedTxnResult>(result.results[0]).result;
  EXPECT_FALSE(within.succeeded);
  EXPECT_TRUE(std::get<DeleteResult>(within.results[0]).deleted);
  const TxnResult& deepest = *std::get<NestedTxnResult>(within.results[1]).result;
  EXPECT_EQ(std::get<IncrementResult>(deepest.results[0]).value, 7);
}

TEST(NestedTxnTest, WhatCannotTravelIsRefusedAtAnyDepth) {
  EXPECT_EQ(ErrorReason(MakeTxnRequest({.then_ops = {NestedTxn()}}, {}).status()), "BAD_TXN");
  const Txn bad{.then_ops = {GetOp{.key = "\xff"}}};
  EXPECT_EQ(ErrorReason(MakeTxnRequest({.else_ops = {Nested(bad)}}, {}).status()), "MALFORMED");
}

}  // namespace
}  // namespace raftkv::client
