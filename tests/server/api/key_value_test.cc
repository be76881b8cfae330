#include "server/api/key_value.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using raft::ClusterMillis;

const ValueForm kData(false);
const ValueForm kText(true);

std::string Filled(const std::string& record, ValueForm form, uint64_t now_ms = 0) {
  v1::KeyValue key_value;
  FillKeyValue(Proto<log::v1::StoredKeyValue>(record), form, ClusterMillis(now_ms), &key_value);
  return key_value.DebugString();
}

std::string Expected(const std::string& text) { return Proto<v1::KeyValue>(text).DebugString(); }

TEST(FillKeyValueTest, CarriesKeyValueAndRevisions) {
  EXPECT_EQ(Filled(R"(key: "k" value: "v" create_revision: 3 mod_revision: 9 version: 4)", kData),
            Expected(R"(key: "k" data: "v" create_revision: 3 mod_revision: 9 version: 4)"));
}

TEST(FillKeyValueTest, TextOnlyWhenAskedForAndWhenItIsText) {
  const std::string text = R"(value: "K\303\244se")";
  EXPECT_EQ(Filled(text, kText), Expected(R"(text: "K\303\244se")"));
  EXPECT_EQ(Filled(text, kData), Expected(R"(data: "K\303\244se")"));
  const std::string bytes = R"(value: "K\303")";
  EXPECT_EQ(Filled(bytes, kText), Expected(R"(data: "K\303")"));
}

TEST(FillKeyValueTest, AnEmptyValueIsAValue) {
  EXPECT_EQ(Filled(R"(key: "k")", kText), Expected(R"(key: "k" text: "")"));
  EXPECT_EQ(Filled(R"(key: "k")", kData), Expected(R"(key: "k" data: "")"));
}

TEST(FillKeyValueTest, KeysOnlyLeavesTheValueUnset) {
  EXPECT_EQ(Filled(R"(key: "k" value: "v" version: 1)", ValueForm::None()),
            Expected(R"(key: "k" version: 1)"));
}

TEST(FillKeyValueTest, TheTimeLeftCountsFromNow) {
  // A deadline is a millisecond later than asked for.
  const std::string record = "deadline_ms: 10501";
  EXPECT_EQ(Filled(record, ValueForm::None(), 0),
            Expected("ttl_remaining { seconds: 10 nanos: 500000000 }"));
  EXPECT_EQ(Filled(record, ValueForm::None(), 9'501),
            Expected("ttl_remaining { nanos: 999000000 }"));
  EXPECT_EQ(Filled(record, ValueForm::None(), 10'499),
            Expected("ttl_remaining { nanos: 1000000 }"));
}

TEST(FillKeyValueTest, AKeyThatIsDueHasNoTimeLeft) {
  EXPECT_EQ(Filled("deadline_ms: 10500", ValueForm::None(), 10'500), Expected("ttl_remaining {}"));
  EXPECT_EQ(Filled("deadline_ms: 10500", ValueForm::None(), 99'999), Expected("ttl_remaining {}"));
}

TEST(FillKeyValueTest, WithoutADeadlineItNeverExpires) {
  v1::KeyValue key_value;
  FillKeyValue({}, kData, ClusterMillis(5), &key_value);
  EXPECT_FALSE(key_value.has_ttl_remaining());
}

}  // namespace
}  // namespace raftkv::server
