#include "server/api/request_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kv/errors.h"
#include "kv/limits.h"
#include "server/api/page_token.h"
#include "tests/server/error_reason.h"
#include "tests/server/proto_text.h"

namespace raftkv::server {
namespace {

using google::protobuf::Duration;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Metadata = std::map<std::string, std::string>;

const std::string kLongestKey(kv::kKeyBytesMax, 'k');
const std::string kTooLongKey(kv::kKeyBytesMax + 1, 'k');

Metadata MetadataOf(const absl::Status& error) {
  const auto info = kv::FindErrorInfo(error);
  return info.has_value() ? Metadata(info->metadata().begin(), info->metadata().end()) : Metadata();
}

std::string MessageOf(const absl::Status& error) { return std::string(error.message()); }

// An INVALID_ARGUMENT of this reason, whose message begins with the field and says all of `words`.
void ExpectRefused(const absl::Status& error, const std::string& reason, const Metadata& metadata,
                   const std::vector<std::string>& words = {}) {
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument) << reason;
  EXPECT_EQ(ReasonOf(error), reason);
  EXPECT_EQ(MetadataOf(error), metadata);
  EXPECT_THAT(MessageOf(error), testing::StartsWith(metadata.at("field") + ": "));
  for (const std::string& word : words) {
    EXPECT_THAT(MessageOf(error), HasSubstr(word));
  }
}

Metadata Sized(const std::string& field, uint64_t size, uint64_t limit) {
  return {{"field", field}, {"size", absl::StrCat(size)}, {"limit", absl::StrCat(limit)}};
}

TEST(CheckKeyTest, HasOneTo4096Bytes) {
  EXPECT_TRUE(CheckKey("key", "k").ok());
  EXPECT_TRUE(CheckKey("key", absl::string_view("\0", 1)).ok());
  EXPECT_TRUE(CheckKey("key", kLongestKey).ok());
  ExpectRefused(CheckKey("key", ""), "BAD_KEY", Sized("key", 0, 4096), {"is empty", "4096"});
  const auto error = CheckKey("key", kTooLongKey);
  ExpectRefused(error, "BAD_KEY", Sized("key", 4097, 4096),
                {"4097", "4096", kLongestKey.substr(0, 64)});
  EXPECT_THAT(MessageOf(error), Not(HasSubstr(kLongestKey.substr(0, 65))));
  ExpectRefused(CheckKey("range.key", ""), "BAD_KEY", Sized("range.key", 0, 4096));
}

TEST(CheckMinRevisionTest, IsNotNegative) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  EXPECT_TRUE(CheckMinRevision(0).ok());
  EXPECT_TRUE(CheckMinRevision(kLargest).ok());
  ExpectRefused(CheckMinRevision(-1), "BAD_REVISION", {{"field", "min_revision"}}, {"-1"});
  ExpectRefused(CheckMinRevision(-kLargest - 1), "BAD_REVISION", {{"field", "min_revision"}});
}

Duration MakeDuration(int64_t seconds, int32_t nanos) {
  Duration duration;
  duration.set_seconds(seconds);
  duration.set_nanos(nanos);
  return duration;
}

TEST(TtlMillisTest, IsRoundedUpToAMillisecond) {
  struct Case {
    int64_t seconds;
    int32_t nanos;
    uint64_t milliseconds;
  };
  for (const Case& expected : std::vector<Case>{{0, 1, 1},
                                                {0, 999'999, 1},
                                                {0, 1'000'000, 1},
                                                {0, 1'000'001, 2},
                                                {0, 999'000'000, 999},
                                                {0, 999'000'001, 1000},
                                                {0, 999'999'999, 1000},
                                                {1, 0, 1000},
                                                {5, 250'000'000, 5250},
                                                {315'359'999, 999'999'999, 315'360'000'000},
                                                {315'360'000, 0, 315'360'000'000}}) {
    const auto ttl_ms = TtlMillis(MakeDuration(expected.seconds, expected.nanos));
    ASSERT_TRUE(ttl_ms.ok()) << ttl_ms.status();
    EXPECT_EQ(*ttl_ms, expected.milliseconds) << expected.seconds << "s " << expected.nanos << "ns";
  }
}

TEST(TtlMillisTest, IsMoreThanNothingAndAtMostTenYears) {
  constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max();
  constexpr int32_t kMaxNanos = std::numeric_limits<int32_t>::max();
  for (const Duration& ttl :
       {MakeDuration(0, 0), MakeDuration(0, -1), MakeDuration(-1, 0), MakeDuration(-1, -1),
        MakeDuration(-1, 1), MakeDuration(1, -1), MakeDuration(0, 1'000'000'000),
        MakeDuration(1, 1'000'000'000), MakeDuration(1, kMaxNanos), MakeDuration(1, -kMaxNanos - 1),
        MakeDuration(315'360'000, 1), MakeDuration(315'360'000, -1), MakeDuration(315'360'001, 0),
        MakeDuration(kMaxSeconds, 999'999'999), MakeDuration(-kMaxSeconds - 1, 0),
        MakeDuration(-kMaxSeconds - 1, -kMaxNanos - 1)}) {
    ExpectRefused(TtlMillis(ttl).status(), "BAD_TTL", {{"field", "ttl"}, {"limit", "315360000s"}},
                  {absl::StrCat(ttl.seconds(), "s"), "more than 0", "315360000s", "10 years"});
  }
  EXPECT_THAT(MessageOf(TtlMillis(MakeDuration(1, -5)).status()), HasSubstr("1s and -5ns"));
}

// The interval that a range selects, as "[start, end)".
std::string Interval(const std::string& range) {
  const auto interval = SelectedInterval(true, Proto<v1::KeyRange>(range));
  if (!interval.ok()) {
    return interval.status().ToString();
  }
  return absl::StrCat("[", interval->start, ", ", interval->end, ")");
}

absl::Status CheckRangeText(const std::string& range) {
  return SelectedInterval(true, Proto<v1::KeyRange>(range)).status();
}

TEST(SelectedIntervalTest, OneKeyIsTheIntervalUpToItsSuccessor) {
  EXPECT_EQ(Interval(R"(key: "a")"), absl::StrCat("[a, a", absl::string_view("\0", 1), ")"));
  EXPECT_EQ(Interval(absl::StrCat("key: \"", kLongestKey, "\"")),
            absl::StrCat("[", kLongestKey, ", ", kLongestKey, absl::string_view("\0", 1), ")"));
}

TEST(SelectedIntervalTest, APrefixEndsBeforeTheNextPrefix) {
  EXPECT_EQ(Interval(R"(prefix: "a")"), "[a, b)");
  EXPECT_EQ(Interval(R"(prefix: "user/")"), "[user/, user0)");
  EXPECT_EQ(Interval(R"(prefix: "a\177")"), "[a\x7f, a\x80)");
  EXPECT_EQ(Interval(R"(prefix: "\303\277")"), "[\xC3\xBF, \xC3\xC0)");
  EXPECT_EQ(Interval(R"(prefix: "")"), "[, )") << "every key";
}

// UTF-8 has no 0xFF, but keys are bytes in the store, and front-ends with such keys can come.
TEST(SelectedIntervalTest, APrefixThatEndsInFfIsCutBeforeItsEndIsFound) {
  const auto prefix_interval = [](const std::string& prefix) {
    v1::KeyRange range;
    range.set_prefix(prefix);
    const auto interval = SelectedInterval(true, range);
    return interval.ok() ? absl::StrCat("[", interval->start, ", ", interval->end, ")")
                         : interval.status().ToString();
  };
  EXPECT_EQ(prefix_interval("a\xff"), "[a\xff, b)");
  EXPECT_EQ(prefix_interval("a\xff\xff"), "[a\xff\xff, b)");
  EXPECT_EQ(prefix_interval("\xfe\xff"), "[\xfe\xff, \xff)");
  EXPECT_EQ(prefix_interval("\xff\xff"), "[\xff\xff, )") << "nothing comes after: open";
}

TEST(SelectedIntervalTest, ASpanIsTakenAsItIs) {
  EXPECT_EQ(Interval(R"(span { start_key: "a" end_key: "b" })"), "[a, b)");
  EXPECT_EQ(Interval(R"(span { start_key: "a" end_key: "a\000" })"),
            absl::StrCat("[a, a", absl::string_view("\0", 1), ")"));
  EXPECT_EQ(Interval(R"(span { start_key: "z" })"), "[z, )");
  EXPECT_EQ(Interval(R"(span { end_key: "b" })"), "[, b)");
  EXPECT_EQ(Interval("span {}"), "[, )");
  EXPECT_EQ(Interval(R"(span { start_key: "z" end_key: "\303\244" })"), "[z, \xC3\xA4)")
      << "bytes are unsigned";
}

TEST(SelectedIntervalTest, MustSelectSomething) {
  ExpectRefused(SelectedInterval(false, {}).status(), "BAD_RANGE", {{"field", "range"}},
                {"not set", "key", "prefix", "span"});
  ExpectRefused(CheckRangeText(""), "BAD_RANGE", {{"field", "range"}}, {"key", "prefix", "span"});
}

TEST(SelectedIntervalTest, ErrorsNameWhereTheRangeStands) {
  const auto check = [](const std::string& range) {
    return SelectedInterval(true, Proto<v1::KeyRange>(range), "ranges[2]").status();
  };
  ExpectRefused(check(""), "BAD_RANGE", {{"field", "ranges[2]"}}, {"ranges[2]: selects nothing"});
  ExpectRefused(check(R"(key: "")"), "BAD_KEY", Sized("ranges[2].key", 0, 4096));
  ExpectRefused(check(R"(span { start_key: "b" end_key: "a" })"), "BAD_RANGE",
                {{"field", "ranges[2].span"}});
}

TEST(SelectedIntervalTest, KeysHaveLimits) {
  ExpectRefused(CheckRangeText(R"(key: "")"), "BAD_KEY", Sized("range.key", 0, 4096));
  const auto quoted = [](const std::string& key) { return absl::StrCat("\"", key, "\""); };
  ExpectRefused(CheckRangeText("key: " + quoted(kTooLongKey)), "BAD_KEY",
                Sized("range.key", 4097, 4096), {"4097", "4096"});
  ExpectRefused(CheckRangeText("prefix: " + quoted(kTooLongKey)), "BAD_RANGE",
                Sized("range.prefix", 4097, 4096), {"4097", "4096"});
  ExpectRefused(CheckRangeText("span { start_key: " + quoted(kTooLongKey) + " }"), "BAD_RANGE",
                Sized("range.span.start_key", 4097, 4096), {"4097", "4096"});
  ExpectRefused(CheckRangeText("span { end_key: " + quoted(kTooLongKey) + " }"), "BAD_RANGE",
                Sized("range.span.end_key", 4097, 4096), {"4097", "4096"});
  EXPECT_TRUE(CheckRangeText("prefix: " + quoted(kLongestKey)).ok());
  EXPECT_TRUE(CheckRangeText("span { start_key: " + quoted(kLongestKey.substr(1)) +
                             " end_key: " + quoted(kLongestKey) + " }")
                  .ok());
}

TEST(SelectedIntervalTest, ASpanMustRunForward) {
  for (const char* span : {R"(start_key: "b" end_key: "a")", R"(start_key: "b" end_key: "b")",
                           R"(start_key: "b" end_key: "B")", R"(start_key: "ba" end_key: "b")",
                           R"(start_key: "\303\244" end_key: "z")"}) {
    ExpectRefused(CheckRangeText(absl::StrCat("span { ", span, " }")), "BAD_RANGE",
                  {{"field", "range.span"}}, {"end_key", "start_key", "not after"});
  }
  const auto error = CheckRangeText(R"(span { start_key: "b" end_key: "a" })");
  EXPECT_THAT(MessageOf(error), HasSubstr(R"(end_key "a" is not after start_key "b")"));
}

TEST(ListedScanTest, FillsTheScan) {
  kv::ScanOptions scan = *ListedScan(Proto<v1::ListRequest>(R"(range { prefix: "a" })"));
  EXPECT_EQ(scan.interval.start, "a");
  EXPECT_EQ(scan.interval.end, "b");
  EXPECT_EQ(scan.keys_max, 100u);
  EXPECT_EQ(scan.bytes_max, 3u << 20);
  EXPECT_FALSE(scan.keys_only);
  EXPECT_FALSE(scan.descending);

  scan = *ListedScan(
      Proto<v1::ListRequest>(R"(range { prefix: "a" } keys_only: true descending: true)"));
  EXPECT_TRUE(scan.keys_only);
  EXPECT_TRUE(scan.descending);
}

TEST(ListedScanTest, APageSizeIsLoweredButNotRaised) {
  const auto keys_max = [](int32_t page_size) {
    auto request = Proto<v1::ListRequest>(R"(range { prefix: "" })");
    request.set_page_size(page_size);
    const auto scan = ListedScan(request);
    EXPECT_TRUE(scan.ok()) << page_size;
    return scan.ok() ? scan->keys_max : 0;
  };
  EXPECT_EQ(keys_max(0), 100u);
  EXPECT_EQ(keys_max(1), 1u);
  EXPECT_EQ(keys_max(10'000), 10'000u);
  EXPECT_EQ(keys_max(10'001), 10'000u);
  EXPECT_EQ(keys_max(std::numeric_limits<int32_t>::max()), 10'000u);
}

TEST(ListedScanTest, RefusesBadFields) {
  const auto check = [](const std::string& request) {
    return ListedScan(Proto<v1::ListRequest>(request)).status();
  };
  ExpectRefused(check(""), "BAD_RANGE", {{"field", "range"}});
  ExpectRefused(check("range {}"), "BAD_RANGE", {{"field", "range"}});
  const Metadata page_size = {{"field", "page_size"}, {"size", "-1"}, {"limit", "10000"}};
  ExpectRefused(check(R"(range { prefix: "" } page_size: -1)"), "BAD_PAGE_SIZE", page_size,
                {"-1", "100", "10000"});
  ExpectRefused(check(R"(range { prefix: "" } page_token: "nonsense")"), "BAD_PAGE_TOKEN",
                {{"field", "page_token"}});
}

TEST(ReadFreshnessTest, IsLinearizableUnlessToldOtherwise) {
  const auto freshness = [](const std::string& request) {
    return *ReadFreshnessOf(Proto<v1::GetRequest>(request), 7);
  };
  EXPECT_TRUE(freshness("").linearizable);
  EXPECT_EQ(freshness("").age_max, std::nullopt);
  EXPECT_EQ(freshness("").deadline, 7);
  EXPECT_FALSE(freshness("consistency: CONSISTENCY_STALE min_revision: 3").linearizable);
  EXPECT_EQ(freshness("consistency: CONSISTENCY_STALE min_revision: 3").min_revision, 3);
  EXPECT_EQ(freshness("at_revision: 4").at_revision, 4);
  EXPECT_EQ(freshness("max_staleness { seconds: 1 nanos: 5 }").age_max, kNanosPerSecond + 5);
  EXPECT_FALSE(freshness("max_staleness { seconds: 1 }").linearizable);
  EXPECT_EQ(freshness("max_staleness { seconds: 86400 }").age_max, 86'400 * kNanosPerSecond);
  // Who would do with any state does with a fresh one.
  EXPECT_EQ(freshness("consistency: CONSISTENCY_STALE max_staleness { seconds: 1 }").age_max,
            kNanosPerSecond);
}

TEST(ReadFreshnessTest, RefusesBadFieldsOfEveryRead) {
  const auto check = [](const std::string& text, const std::string& reason,
                        const Metadata& metadata, const std::vector<std::string>& words) {
    SCOPED_TRACE(text);
    ExpectRefused(ReadFreshnessOf(Proto<v1::GetRequest>(text), 0).status(), reason, metadata,
                  words);
    ExpectRefused(ReadFreshnessOf(Proto<v1::ListRequest>(text), 0).status(), reason, metadata,
                  words);
    ExpectRefused(ReadFreshnessOf(Proto<v1::ScanRequest>(text), 0).status(), reason, metadata,
                  words);
  };
  check("min_revision: -1", "BAD_REVISION", {{"field", "min_revision"}}, {"-1"});
  check("at_revision: -2", "BAD_REVISION", {{"field", "at_revision"}}, {"-2"});
  check("at_revision: 2 min_revision: 1", "BAD_REVISION", {{"field", "at_revision"}},
        {"min_revision"});
  const Metadata staleness = {{"field", "max_staleness"}, {"limit", "86400s"}};
  check("max_staleness {}", "BAD_STALENESS", staleness, {"0s", "86400s"});
  check("max_staleness { seconds: -1 }", "BAD_STALENESS", staleness, {"-1s"});
  check("max_staleness { seconds: 86400 nanos: 1 }", "BAD_STALENESS", staleness,
        {"86400s and 1ns"});
  check("max_staleness { seconds: 1 nanos: -1 }", "BAD_STALENESS", staleness, {});
  check("max_staleness { seconds: 1 } at_revision: 1", "BAD_STALENESS", staleness, {"at_revision"});
  check("max_staleness { seconds: 1 } consistency: CONSISTENCY_LINEARIZABLE", "BAD_STALENESS",
        staleness, {"CONSISTENCY_LINEARIZABLE"});
}

TEST(ListedScanTest, ATokenGoesOnAfterItsKey) {
  const auto next_page = [](const std::string& text) {
    auto request = Proto<v1::ListRequest>(text);
    request.set_page_token(MakePageToken(request, "m"));
    const auto scan = ListedScan(request);
    return scan.ok() ? absl::StrCat("[", scan->interval.start, ", ", scan->interval.end, ")")
                     : scan.status().ToString();
  };
  const std::string ascending = R"(range { span { start_key: "a" end_key: "z" } })";
  EXPECT_EQ(next_page(ascending), absl::StrCat("[m", absl::string_view("\0", 1), ", z)"));
  EXPECT_EQ(next_page(ascending + " descending: true"), "[a, m)");
  EXPECT_EQ(next_page(R"(range { prefix: "" })"),
            absl::StrCat("[m", absl::string_view("\0", 1), ", )"));
}

TEST(ListedScanTest, ATokenIsOfOneRevision) {
  auto request = Proto<v1::ListRequest>(R"(range { prefix: "a" } at_revision: 5)");
  request.set_page_token(MakePageToken(request, "a1"));
  EXPECT_TRUE(ListedScan(request).ok());
  for (const int64_t other : {0, 6}) {
    request.set_at_revision(other);
    ExpectRefused(ListedScan(request).status(), "BAD_PAGE_TOKEN", {{"field", "page_token"}});
  }
}

TEST(ListedScanTest, ATokenOfAnotherListIsRefused) {
  auto request = Proto<v1::ListRequest>(R"(range { prefix: "a" })");
  request.set_page_token(MakePageToken(request, "a1"));
  request.mutable_range()->set_prefix("b");
  ExpectRefused(ListedScan(request).status(), "BAD_PAGE_TOKEN", {{"field", "page_token"}},
                {"page_size"});
}

TEST(ListedScanTest, ACountHasNoPages) {
  auto request = Proto<v1::ListRequest>(R"(range { prefix: "a" } count_only: true)");
  EXPECT_TRUE(ListedScan(request).ok());
  request.set_page_token(MakePageToken(request, "a1"));
  ExpectRefused(ListedScan(request).status(), "BAD_PAGE_TOKEN", {{"field", "page_token"}},
                {"count_only"});
}

constexpr uint64_t kValueBytesMax = 10;

template <typename Request>
absl::Status CheckCommand(Request request) {
  return MakeCommand(&request, kValueBytesMax).status();
}

absl::Status CheckPut(const std::string& text) { return CheckCommand(Proto<v1::PutRequest>(text)); }

absl::Status CheckDelete(const std::string& text) {
  return CheckCommand(Proto<v1::DeleteRequest>(text));
}

// Expects that `request` becomes the command of `txn`.
template <typename Request>
void ExpectCommand(const std::string& request_text, const std::string& txn) {
  auto request = Proto<Request>(request_text);
  const auto command = MakeCommand(&request, kValueBytesMax);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->DebugString(),
            Proto<log::v1::Command>(absl::StrCat("txn { ", txn, " }")).DebugString());
}

TEST(MakePutCommandTest, HoldsWhatThePutSays) {
  ExpectCommand<v1::PutRequest>(R"(key: "k" data: "\377\000")",
                                R"(operations { put { key: "k" value: "\377\000" } })");
  ExpectCommand<v1::PutRequest>(
      R"(key: "k" text: "v" return_previous: true as_text: true)",
      R"(operations { put { key: "k" value: "v" return_previous: true } })");
  ExpectCommand<v1::PutRequest>(R"(key: "k" text: "")", R"(operations { put { key: "k" } })");
}

TEST(MakePutCommandTest, HoldsTheExpiry) {
  ExpectCommand<v1::PutRequest>(R"(key: "k" text: "v" ttl { seconds: 5 nanos: 1 })",
                                R"(operations { put { key: "k" value: "v" ttl_ms: 5001 } })");
  ExpectCommand<v1::PutRequest>(R"(key: "k" text: "v" keep_ttl: true)",
                                R"(operations { put { key: "k" value: "v" keep_ttl: true } })");
  ExpectRefused(CheckPut(R"(key: "k" text: "v" ttl {})"), "BAD_TTL",
                {{"field", "ttl"}, {"limit", "315360000s"}}, {"is 0s"});
  const auto error = CheckPut(R"(key: "k" text: "v" keep_ttl: false)");
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(ReasonOf(error), "BAD_TTL");
  EXPECT_EQ(MetadataOf(error).at("field"), "keep_ttl");
  EXPECT_THAT(MessageOf(error), AllOf(testing::StartsWith("keep_ttl: "), HasSubstr("true")));
}

// Every condition that a precondition can hold, and its guard.
TEST(MakeCommandTest, APreconditionBecomesAGuardOnTheSameKey) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"exists: true", "exists: true"},
      {"exists: false", "exists: false"},
      {"mod_revision: 0", "mod_revision: 0"},
      {"mod_revision: 9223372036854775807", "mod_revision: 9223372036854775807"},
      {"version: 0", "version: 0"},
      {"version: 3", "version: 3"},
      {R"(data: "\377")", R"(value: "\377")"},
      {R"(text: "")", R"(value: "")"},
      {R"(text: "0123456789")", R"(value: "0123456789")"}};
  for (const auto& [condition, guard] : cases) {
    SCOPED_TRACE(condition);
    const std::string precondition = absl::StrCat(" precondition { ", condition, " }");
    const std::string guards = absl::StrCat(R"(guards { key: "k" )", guard, " } ");
    ExpectCommand<v1::PutRequest>(R"(key: "k" text: "v")" + precondition,
                                  guards + R"(operations { put { key: "k" value: "v" } })");
    ExpectCommand<v1::DeleteRequest>(
        R"(key: "k")" + precondition,
        guards + R"(operations { delete { start_key: "k" end_key: "k\000" } })");
  }
}

TEST(MakeCommandTest, ABadPreconditionIsRefused) {
  struct Case {
    std::string condition;
    std::string reason;
    Metadata metadata;
    std::vector<std::string> words;
  };
  const std::vector<Case> cases = {
      {"",
       "BAD_PRECONDITION",
       {{"field", "precondition"}},
       {"exists", "mod_revision", "version", "data", "text"}},
      {"mod_revision: -1", "BAD_PRECONDITION", {{"field", "precondition"}}, {"mod_revision is -1"}},
      {"version: -1", "BAD_PRECONDITION", {{"field", "precondition"}}, {"version is -1"}},
      {R"(data: "0123456789x")",
       "VALUE_TOO_LARGE",
       Sized("precondition.data", 11, 10),
       {"11", "10", "--value_bytes_max"}},
      {R"(text: "0123456789x")",
       "VALUE_TOO_LARGE",
       Sized("precondition.text", 11, 10),
       {"11", "10", "--value_bytes_max"}}};
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.condition);
    const std::string precondition = absl::StrCat(" precondition { ", expected.condition, " }");
    ExpectRefused(CheckPut(R"(key: "k" text: "v")" + precondition), expected.reason,
                  expected.metadata, expected.words);
    ExpectRefused(CheckDelete(R"(key: "k")" + precondition), expected.reason, expected.metadata,
                  expected.words);
  }
}

TEST(MakePutCommandTest, AValueMustBeThereAndHasALimit) {
  ExpectRefused(CheckPut(R"(key: "k")"), "NO_VALUE", {{"field", "value"}}, {"data", "text"});
  EXPECT_TRUE(CheckPut(R"(key: "k" data: "0123456789")").ok());
  EXPECT_TRUE(CheckPut(R"(key: "k" text: "0123456789")").ok());
  ExpectRefused(CheckPut(R"(key: "k" data: "0123456789x")"), "VALUE_TOO_LARGE",
                Sized("data", 11, 10), {"11", "10", "--value_bytes_max"});
  ExpectRefused(CheckPut(R"(key: "k" text: "0123456789x")"), "VALUE_TOO_LARGE",
                Sized("text", 11, 10), {"11", "10", "--value_bytes_max"});
}

TEST(MakeCommandTest, TheKeyIsChecked) {
  const std::string too_long = absl::StrCat("key: \"", kTooLongKey, "\"");
  ExpectRefused(CheckPut(R"(text: "v")"), "BAD_KEY", Sized("key", 0, 4096));
  ExpectRefused(CheckPut(too_long + R"( text: "v")"), "BAD_KEY", Sized("key", 4097, 4096));
  ExpectRefused(CheckDelete(""), "BAD_KEY", Sized("key", 0, 4096));
  ExpectRefused(CheckDelete(too_long), "BAD_KEY", Sized("key", 4097, 4096));
}

TEST(MakeDeleteCommandTest, RemovesExactlyOneKey) {
  ExpectCommand<v1::DeleteRequest>(R"(key: "k")",
                                   R"(operations { delete { start_key: "k" end_key: "k\000" } })");
  ExpectCommand<v1::DeleteRequest>(
      R"(key: "k" return_previous: true as_text: true)",
      R"(operations { delete { start_key: "k" end_key: "k\000" return_previous: true } })");
}

constexpr uint64_t kDeleteRangeKeysMax = 500;

absl::StatusOr<log::v1::Command> MakeDeleteRange(const std::string& text) {
  return MakeCommand(Proto<v1::DeleteRangeRequest>(text), kDeleteRangeKeysMax);
}

TEST(MakeDeleteRangeCommandTest, HoldsTheIntervalAndItsBounds) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(range { prefix: "a" })", R"(start_key: "a" end_key: "b" keys_max: 500)"},
      {R"(range { prefix: "" } as_text: true)", "keys_max: 500"},
      {R"(range { key: "a" } limit: 7)",
       R"(start_key: "a" end_key: "a\000" limit: 7 keys_max: 500)"},
      {R"(range { span { start_key: "a" end_key: "c" } } return_previous: true)",
       R"(start_key: "a" end_key: "c" keys_max: 500 return_previous: true
          previous_bytes_max: 3145728)"}};
  for (const auto& [request, deletion] : cases) {
    const auto command = MakeDeleteRange(request);
    ASSERT_TRUE(command.ok()) << command.status() << request;
    EXPECT_EQ(
        command->DebugString(),
        Proto<log::v1::Command>(absl::StrCat("txn { operations { delete { ", deletion, " } } }"))
            .DebugString());
  }
}

TEST(MakeDeleteRangeCommandTest, RefusesBadFields) {
  ExpectRefused(MakeDeleteRange("").status(), "BAD_RANGE", {{"field", "range"}});
  ExpectRefused(MakeDeleteRange("range {}").status(), "BAD_RANGE", {{"field", "range"}});
  ExpectRefused(MakeDeleteRange(R"(range { key: "" })").status(), "BAD_KEY",
                Sized("range.key", 0, 4096));
  const Metadata limit = {{"field", "limit"}, {"size", "-1"}, {"limit", "0"}};
  ExpectRefused(MakeDeleteRange(R"(range { prefix: "" } limit: -1)").status(), "BAD_LIMIT", limit,
                {"-1", "0"});
}

}  // namespace
}  // namespace raftkv::server
