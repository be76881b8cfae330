#include "server/api/txn_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "kv/command_semantics.h"
#include "kv/errors.h"
#include "kv/limits.h"

namespace raftkv::server {
namespace {

using testing::StartsWith;

constexpr CommandLimits kLimits{.value_bytes_max = 100, .delete_range_keys_max = 50};

v1::TxnRequest OnePut() {
  v1::TxnRequest request;
  v1::PutRequest* put = request.add_then_ops()->mutable_put();
  put->set_key("k");
  put->set_text("v");
  return request;
}

class TxnCommandTest : public testing::Test {
 protected:
  // The reason and the path of what is wrong with a transaction of one good put and this.
  static std::pair<std::string, std::string> Refusal(
      const std::function<void(v1::TxnRequest*)>& change) {
    v1::TxnRequest request = OnePut();
    change(&request);
    const absl::Status status = MakeTxnCommand(&request, kLimits).status();
    const auto info = kv::FindErrorInfo(status);
    if (!info.has_value()) {
      ADD_FAILURE() << "it is accepted: " << status;
      return {};
    }
    EXPECT_THAT(std::string(status.message()), StartsWith(info->metadata().at("field")));
    return {info->reason(), info->metadata().at("field")};
  }
  using Pair = std::pair<std::string, std::string>;
};

TEST_F(TxnCommandTest, EverythingBecomesOneCommand) {
  v1::TxnRequest request = OnePut();
  v1::Guard* guard = request.add_guards();
  guard->mutable_range()->set_key("k");
  guard->set_comparison(v1::COMPARISON_GREATER);
  guard->set_version(3);
  guard = request.add_guards();
  guard->mutable_range()->set_prefix("p");
  guard->set_exists(false);
  v1::ListRequest* list = request.add_else_ops()->mutable_list();
  list->mutable_range()->set_prefix("p");
  list->set_page_size(7);
  list->set_descending(true);
  v1::TxnOp* within = request.add_else_ops();
  within->mutable_txn()->add_then_ops()->mutable_increment()->set_key("n");
  v1::DeleteRangeRequest* range = within->mutable_txn()->add_else_ops()->mutable_delete_range();
  range->mutable_range()->set_prefix("p");
  const absl::StatusOr<TxnCommand> made = MakeTxnCommand(&request, kLimits);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_FALSE(made->only_reads);
  const log::v1::Txn& txn = made->command.txn();
  EXPECT_TRUE(txn.has_else());
  EXPECT_EQ(txn.answer_bytes_max(), kv::kTxnAnswerBytesMax);
  EXPECT_EQ(txn.scanned_keys_max(), kv::kTxnScannedKeysMax);
  EXPECT_EQ(txn.guards(0).key(), "k");
  EXPECT_FALSE(txn.guards(0).is_range());
  EXPECT_EQ(txn.guards(0).comparison(), log::v1::COMPARISON_GREATER);
  EXPECT_EQ(txn.guards(0).version(), 3);
  EXPECT_TRUE(txn.guards(1).is_range());
  EXPECT_EQ(txn.guards(1).end_key(), "q");
  EXPECT_EQ(txn.operations(0).put().value(), "v");
  EXPECT_EQ(txn.else_operations(0).list().keys_max(), 7u);
  EXPECT_TRUE(txn.else_operations(0).list().descending());
  const log::v1::Txn& inner = txn.else_operations(1).txn();
  EXPECT_TRUE(inner.has_else());
  EXPECT_EQ(inner.operations(0).increment().delta(), 1) << "what is not said";
  EXPECT_EQ(inner.else_operations(0).delete_().keys_max(), 50u);
  EXPECT_EQ(kv::CheckCommand(made->command), absl::OkStatus());
  EXPECT_EQ(kv::CommandVersionOf(made->command), kv::kTxnCommandVersion);
}

TEST_F(TxnCommandTest, WhatOnlyReadsIsKnown) {
  v1::TxnRequest request;
  request.add_then_ops()->mutable_get()->set_key("k");
  v1::TxnRequest* within = request.add_else_ops()->mutable_txn();
  within->add_then_ops()->mutable_list()->mutable_range()->set_prefix("");
  request.set_consistency(v1::CONSISTENCY_STALE);
  EXPECT_TRUE(MakeTxnCommand(&request, kLimits)->only_reads);
  within->add_else_ops()->mutable_touch()->set_key("k");
  within->mutable_else_ops(0)->mutable_touch()->set_persist(true);
  const absl::Status status = MakeTxnCommand(&request, kLimits).status();
  EXPECT_EQ(kv::FindErrorInfo(status)->metadata().at("field"), "consistency");
  request.clear_consistency();
  EXPECT_FALSE(MakeTxnCommand(&request, kLimits)->only_reads);
}

TEST_F(TxnCommandTest, WhatIsWrongIsNamedByItsPath) {
  EXPECT_EQ(Refusal([](auto* txn) { txn->clear_then_ops(); }), (Pair{"BAD_TXN", "then_ops"}));
  EXPECT_EQ(Refusal([](auto* txn) { txn->add_else_ops(); }), (Pair{"BAD_TXN", "else_ops[0].op"}));
  EXPECT_EQ(Refusal([](auto* txn) { txn->add_then_ops()->mutable_put()->set_text("v"); }),
            (Pair{"BAD_KEY", "then_ops[1].put.key"}));
  EXPECT_EQ(Refusal([](auto* txn) { txn->add_else_ops()->mutable_txn(); }),
            (Pair{"BAD_TXN", "else_ops[0].txn.then_ops"}));
  EXPECT_EQ(Refusal([](auto* txn) {
              txn->mutable_then_ops(0)->mutable_put()->set_text(std::string(101, 'v'));
            }),
            (Pair{"VALUE_TOO_LARGE", "then_ops[0].put.text"}));
  EXPECT_EQ(Refusal([](auto* txn) { txn->add_then_ops()->mutable_touch()->set_key("k"); }),
            (Pair{"BAD_TTL", "then_ops[1].touch.ttl"}));
}

TEST_F(TxnCommandTest, FieldsOfTheWholeAreRefusedWithin) {
  const auto first = [](v1::TxnRequest* txn) { return txn->mutable_then_ops(0); };
  EXPECT_EQ(Refusal([&](auto* txn) { first(txn)->mutable_put()->set_request_id("id"); }),
            (Pair{"BAD_TXN", "then_ops[0].put.request_id"}));
  EXPECT_EQ(Refusal([&](auto* txn) {
              first(txn)->mutable_put()->mutable_precondition()->set_exists(true);
            }),
            (Pair{"BAD_TXN", "then_ops[0].put.precondition"}));
  EXPECT_EQ(Refusal([&](auto* txn) {
              first(txn)->mutable_get()->set_consistency(v1::CONSISTENCY_LINEARIZABLE);
            }),
            (Pair{"BAD_TXN", "then_ops[0].get.consistency"}));
  EXPECT_EQ(Refusal([&](auto* txn) { first(txn)->mutable_get()->set_min_revision(1); }),
            (Pair{"BAD_TXN", "then_ops[0].get.min_revision"}));
  EXPECT_EQ(Refusal([&](auto* txn) { first(txn)->mutable_list()->set_page_token("t"); }),
            (Pair{"BAD_TXN", "then_ops[0].list.page_token"}));
  EXPECT_EQ(Refusal([&](auto* txn) { first(txn)->mutable_txn()->set_request_id("id"); }),
            (Pair{"BAD_TXN", "then_ops[0].txn.request_id"}));
}

TEST_F(TxnCommandTest, GuardsOnNothingAreRefused) {
  const auto guard = [](const std::function<void(v1::Guard*)>& change) {
    return Refusal([&](v1::TxnRequest* txn) {
      v1::Guard* added = txn->add_guards();
      added->mutable_range()->set_key("k");
      added->set_version(1);
      change(added);
    });
  };
  EXPECT_EQ(guard([](auto* g) { g->clear_range(); }), (Pair{"BAD_RANGE", "guards[0].range"}));
  EXPECT_EQ(guard([](auto* g) { g->clear_version(); }), (Pair{"BAD_GUARD", "guards[0].target"}));
  EXPECT_EQ(guard([](auto* g) { g->set_version(-1); }), (Pair{"BAD_GUARD", "guards[0].version"}));
  EXPECT_EQ(guard([](auto* g) { g->set_mod_revision(-1); }),
            (Pair{"BAD_GUARD", "guards[0].mod_revision"}));
  EXPECT_EQ(guard([](auto* g) {
              g->set_exists(true);
              g->set_comparison(v1::COMPARISON_LESS);
            }),
            (Pair{"BAD_GUARD", "guards[0].comparison"}));
  EXPECT_EQ(guard([](auto* g) { g->set_data(std::string(101, 'v')); }),
            (Pair{"VALUE_TOO_LARGE", "guards[0].data"}));
}

TEST_F(TxnCommandTest, EveryBoundIsReachedAndNoneExceeded) {
  const auto nested = [](uint64_t levels) {
    v1::TxnRequest request = OnePut();
    v1::TxnRequest* innermost = &request;
    for (uint64_t level = 1; level < levels; ++level) {
      innermost = innermost->add_then_ops()->mutable_txn();
    }
    innermost->add_then_ops()->mutable_get()->set_key("k");
    return request;
  };
  v1::TxnRequest request = nested(kv::kTxnDepthMax);
  EXPECT_TRUE(MakeTxnCommand(&request, kLimits).ok());
  request = nested(kv::kTxnDepthMax + 1);
  EXPECT_EQ(kv::FindErrorInfo(MakeTxnCommand(&request, kLimits).status())->reason(),
            "TXN_TOO_LARGE");

  const auto filled = [](const std::function<void(v1::TxnRequest*)>& add, uint64_t count) {
    v1::TxnRequest filled_request;
    for (uint64_t i = 0; i < count; ++i) {
      add(&filled_request);
    }
    if (filled_request.then_ops_size() == 0) {
      filled_request.add_then_ops()->mutable_get()->set_key("k");
    }
    return MakeTxnCommand(&filled_request, kLimits).status();
  };
  const struct {
    uint64_t most;
    std::string field;
    std::function<void(v1::TxnRequest*)> add;
  } kBounds[] = {
      {kv::kTxnOperationsMax, "operations",
       [](auto* txn) { txn->add_then_ops()->mutable_get()->set_key("k"); }},
      {kv::kTxnGuardsMax, "guards",
       [](auto* txn) {
         v1::Guard* guard = txn->add_guards();
         guard->mutable_range()->set_key("k");
         guard->set_exists(true);
       }},
      {kv::kTxnRangesMax, "ranges",
       [](auto* txn) {
         v1::Guard* guard = txn->add_guards();
         guard->mutable_range()->set_prefix("k");
         guard->set_exists(true);
       }},
  };
  for (const auto& bound : kBounds) {
    EXPECT_EQ(filled(bound.add, bound.most), absl::OkStatus()) << bound.field;
    const absl::Status over = filled(bound.add, bound.most + 1);
    ASSERT_TRUE(kv::FindErrorInfo(over).has_value()) << bound.field;
    EXPECT_EQ(kv::FindErrorInfo(over)->reason(), "TXN_TOO_LARGE");
    EXPECT_THAT(kv::FindErrorInfo(over)->metadata().at("field"), testing::HasSubstr(bound.field));
  }

  v1::TxnRequest large = OnePut();
  while (large.ByteSizeLong() <= kLimits.value_bytes_max + kv::kTxnSlackBytes) {
    large.add_then_ops()->mutable_get()->set_key(std::string(kv::kKeyBytesMax, 'k'));
  }
  EXPECT_EQ(kv::FindErrorInfo(MakeTxnCommand(&large, kLimits).status())->metadata().at("field"),
            "bytes");
}

}  // namespace
}  // namespace raftkv::server
