#include "server/api/operation_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.h"
#include "server/api/batch_operation.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::BatchOp Op(const std::string& text) { return Proto<v1::BatchOp>(text); }

class OperationOrderTest : public testing::Test {
 protected:
  std::vector<uint64_t> Remove(uint64_t place) {
    std::vector<uint64_t> ready;
    order_.Remove(place, &ready);
    return ready;
  }

  OperationOrder order_;
};

TEST_F(OperationOrderTest, ThoseOfAKeyComeOneAfterTheOther) {
  EXPECT_TRUE(order_.Add(0, Op("put { key: 'a' }")));
  EXPECT_TRUE(order_.Add(1, Op("put { key: 'b' }")));
  EXPECT_FALSE(order_.Add(2, Op("get { key: 'a' }")));
  EXPECT_FALSE(order_.Add(3, Op("delete_key { key: 'a' }")));
  EXPECT_THAT(Remove(1), IsEmpty());
  EXPECT_THAT(Remove(0), ElementsAre(2));
  EXPECT_FALSE(order_.Add(4, Op("touch { key: 'a' }")));
  EXPECT_THAT(Remove(2), ElementsAre(3));
  EXPECT_THAT(Remove(3), ElementsAre(4));
  EXPECT_THAT(Remove(4), IsEmpty());
  EXPECT_TRUE(order_.Add(5, Op("increment { key: 'a' }"))) << "nobody is left";
}

TEST_F(OperationOrderTest, ATransactionOfKeysWaitsForEachOfThem) {
  EXPECT_TRUE(order_.Add(0, Op("put { key: 'a' }")));
  EXPECT_TRUE(order_.Add(1, Op("put { key: 'b' }")));
  const std::string of_both = R"(txn { guards { range { key: 'a' } version: 0 }
                                       then_ops { put { key: 'b' } }
                                       else_ops { txn { then_ops { get { key: 'b' } } } } })";
  EXPECT_FALSE(order_.Add(2, Op(of_both)));
  EXPECT_FALSE(order_.Add(3, Op("get { key: 'a' }")));
  EXPECT_TRUE(order_.Add(4, Op("get { key: 'c' }")));
  EXPECT_THAT(Remove(0), IsEmpty());
  EXPECT_THAT(Remove(1), ElementsAre(2));
  EXPECT_THAT(Remove(2), ElementsAre(3));
}

TEST_F(OperationOrderTest, ATransactionWithARangeStandsBetweenAllBeforeAndAllAfter) {
  for (const std::string range :
       {"txn { then_ops { list { range { prefix: 'x' } } } }",
        "txn { then_ops { delete_range { range { prefix: 'x' } } } }",
        "txn { guards { range { prefix: 'x' } version: 0 } then_ops { get { key: 'k' } } }",
        "txn { else_ops { txn { then_ops { list { range { prefix: 'x' } } } } } }"}) {
    order_ = OperationOrder();
    EXPECT_TRUE(order_.Add(0, Op("put { key: 'a' }")));
    EXPECT_TRUE(order_.Add(1, Op("put { key: 'b' }")));
    EXPECT_FALSE(order_.Add(2, Op(range))) << range;
    EXPECT_FALSE(order_.Add(3, Op("put { key: 'a' }")));
    EXPECT_FALSE(order_.Add(4, Op(range)));
    EXPECT_FALSE(order_.Add(5, Op("put { key: 'c' }")));
    EXPECT_THAT(Remove(1), IsEmpty());
    EXPECT_THAT(Remove(0), ElementsAre(2));
    EXPECT_THAT(Remove(2), ElementsAre(3));
    EXPECT_THAT(Remove(3), ElementsAre(4));
    EXPECT_THAT(Remove(4), ElementsAre(5));
    EXPECT_THAT(Remove(5), IsEmpty());
  }
}

// Against the rule itself, over all pairs: whoever runs has no one before it that it must follow.
TEST_F(OperationOrderTest, HoldsForRandomSequences) {
  struct Running {
    uint64_t place;
    int key;  // -1: a range.
  };
  Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    order_ = OperationOrder();
    std::vector<Running> waiting;
    std::vector<Running> running;
    const auto begin = [&](uint64_t place) {
      const auto found = std::find_if(waiting.begin(), waiting.end(),
                                      [&](const Running& each) { return each.place == place; });
      ASSERT_NE(found, waiting.end());
      running.push_back(*found);
      waiting.erase(found);
      const Running& now = running.back();
      for (const auto* others : {&waiting, &running}) {
        for (const Running& other : *others) {
          const bool must_follow = other.key == now.key || other.key < 0 || now.key < 0;
          EXPECT_FALSE(other.place < now.place && must_follow) << other.place << " " << now.place;
        }
      }
    };
    uint64_t next = 0;
    for (int step = 0; step < 120; ++step) {
      if (step < 60 && (running.empty() || rng.Below(2) == 0)) {
        const int key = static_cast<int>(rng.Below(5)) - 1;
        waiting.push_back({.place = next, .key = key});
        const v1::BatchOp op = key < 0 ? Op("txn { then_ops { list { range { prefix: '' } } } }")
                                       : Op("put { key: 'k" + std::to_string(key) + "' }");
        if (order_.Add(next, op)) {
          begin(next);
        }
        ++next;
      } else if (!running.empty()) {
        const auto done = running.begin() + static_cast<long>(rng.Below(running.size()));
        const uint64_t place = done->place;
        running.erase(done);
        for (const uint64_t ready : Remove(place)) {
          begin(ready);
        }
      }
    }
    while (!running.empty()) {
      const uint64_t place = running.back().place;
      running.pop_back();
      for (const uint64_t ready : Remove(place)) {
        begin(ready);
      }
    }
    EXPECT_TRUE(waiting.empty()) << "somebody waits for nobody";
  }
}

TEST(OperationTraitsTest, SaysWhatAnOperationMayComeTo) {
  const struct {
    const char* op;
    bool only_reads;
    bool has_request_id;
    bool returns_values;
  } kCases[] = {
      {"get { key: 'k' }", true, false, true},
      {"put { key: 'k' }", false, false, false},
      {"put { key: 'k' request_id: 'i' }", false, true, false},
      {"put { key: 'k' return_previous: true }", false, false, true},
      {"delete_key { key: 'k' request_id: 'i' return_previous: true }", false, true, true},
      {"touch { key: 'k' request_id: 'i' }", false, true, false},
      {"increment { key: 'k' request_id: 'i' }", false, true, false},
      {"txn { then_ops { get { key: 'k' } } else_ops { list {} } }", true, false, true},
      {"txn { then_ops { get { key: 'k' } } else_ops { touch { key: 'k' } } }", false, false, true},
      {"txn { then_ops { put { key: 'k' } } request_id: 'i' }", false, true, false},
      {"txn { then_ops { txn { then_ops { delete_range { return_previous: true } } } } }", false,
       false, true},
      {"txn { then_ops { txn { then_ops { get { key: 'k' } } } } }", true, false, true},
  };
  for (const auto& test : kCases) {
    const OperationTraits traits = TraitsOf(Op(test.op));
    EXPECT_EQ(traits.only_reads, test.only_reads) << test.op;
    EXPECT_EQ(traits.has_request_id, test.has_request_id) << test.op;
    EXPECT_EQ(traits.returns_values, test.returns_values) << test.op;
    const absl::StatusCode code = UnsendableError(traits).code();
    EXPECT_EQ(code, test.only_reads       ? absl::StatusCode::kResourceExhausted
                    : test.has_request_id ? absl::StatusCode::kUnavailable
                                          : absl::StatusCode::kUnknown)
        << test.op;
  }
}

}  // namespace
}  // namespace raftkv::server
