#include "kv/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "kv/limits.h"

namespace raftkv::kv {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string MessageOf(const absl::Status& error) { return std::string(error.message()); }

struct ErrorCase {
  absl::Status error;
  StatusCode code = StatusCode::kOk;
  std::string reason;
  std::map<std::string, std::string> metadata;
  std::optional<int> retry_delay_ms;
};

std::vector<ErrorCase> ErrorTable() {
  log::v1::CommandOutcome keys;
  keys.set_exceeding(10'001);
  log::v1::CommandOutcome bytes;
  bytes.set_exceeding(5'000'000);
  bytes.set_exceeding_bytes(true);
  const std::string previous_bytes_max = absl::StrCat(kPreviousBytesMax);
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  constexpr StatusCode kUnavailable = StatusCode::kUnavailable;
  constexpr std::nullopt_t kNone = std::nullopt;
  return {
      {BadKeyError("key", ""),
       kInvalid,
       "BAD_KEY",
       {{"field", "key"}, {"size", "0"}, {"limit", "4096"}},
       kNone},
      {NoValueError(), kInvalid, "NO_VALUE", {{"field", "value"}}, kNone},
      {BadTtlError("ttl", "is 0s", "no"),
       kInvalid,
       "BAD_TTL",
       {{"field", "ttl"}, {"limit", "315360000s"}},
       kNone},
      {BadRangeError("range", "no"), kInvalid, "BAD_RANGE", {{"field", "range"}}, kNone},
      {RangeTooLargeError(keys, 10'000),
       kInvalid,
       "RANGE_TOO_LARGE",
       {{"field", "range"}, {"size", "10001"}, {"limit", "10000"}},
       kNone},
      {RangeTooLargeError(bytes, 10'000),
       kInvalid,
       "RANGE_TOO_LARGE",
       {{"field", "range"}, {"size", "5000000"}, {"limit", previous_bytes_max}},
       kNone},
      {BadPageSizeError(-1),
       kInvalid,
       "BAD_PAGE_SIZE",
       {{"field", "page_size"}, {"size", "-1"}, {"limit", "10000"}},
       kNone},
      {BadLimitError(-2),
       kInvalid,
       "BAD_LIMIT",
       {{"field", "limit"}, {"size", "-2"}, {"limit", "0"}},
       kNone},
      {BadRevisionError("min_revision", -3),
       kInvalid,
       "BAD_REVISION",
       {{"field", "min_revision"}},
       kNone},
      {BadIndexError(uint64_t{1} << 63), kInvalid, "BAD_INDEX", {{"field", "index"}}, kNone},
      {IndexTooOldError(3, 5), StatusCode::kOutOfRange, "INDEX_TOO_OLD", {{"oldest", "5"}}, kNone},
      {TwoStartsError(4), kInvalid, "BAD_REVISION", {{"field", "start_revision"}}, kNone},
      {BadEventTypeError(), kInvalid, "BAD_EVENT_TYPE", {{"field", "event_types"}}, kNone},
      {TwoRevisionsError("min_revision"),
       kInvalid,
       "BAD_REVISION",
       {{"field", "at_revision"}},
       kNone},
      {BadStalenessError("no"),
       kInvalid,
       "BAD_STALENESS",
       {{"field", "max_staleness"}, {"limit", "86400s"}},
       kNone},
      {BadHeartbeatError("1s"),
       kInvalid,
       "BAD_HEARTBEAT",
       {{"field", "heartbeat_interval"}},
       kNone},
      {RevisionCompactedError(3, 5),
       StatusCode::kOutOfRange,
       "REVISION_COMPACTED",
       {{"compact_revision", "5"}},
       kNone},
      {RevisionFutureError(9, 5),
       StatusCode::kOutOfRange,
       "REVISION_FUTURE",
       {{"revision", "5"}},
       kNone},
      {StateCompactedError(3, 5),
       StatusCode::kOutOfRange,
       "REVISION_COMPACTED",
       {{"compact_revision", "5"}},
       kNone},
      {TooManyScansError(1), StatusCode::kResourceExhausted, "OVERLOADED", {}, 250},
      {TooManyWatchesError(1), StatusCode::kResourceExhausted, "OVERLOADED", {}, 250},
      {TooManyStreamsError(1), StatusCode::kResourceExhausted, "OVERLOADED", {}, 250},
      {BadPageTokenError("no"), kInvalid, "BAD_PAGE_TOKEN", {{"field", "page_token"}}, kNone},
      {BadPreconditionError("no"),
       kInvalid,
       "BAD_PRECONDITION",
       {{"field", "precondition"}},
       kNone},
      {MalformedError("raftkv.v1.GetRequest"), kInvalid, "MALFORMED", {}, kNone},
      {MalformedTextError("no"), kInvalid, "MALFORMED", {}, kNone},
      {UnknownFieldError("ttl.field 3"),
       StatusCode::kUnimplemented,
       "UNKNOWN_FIELD",
       {{"field", "ttl.field 3"}},
       kNone},
      {ClusterTooOldError(2, 1), StatusCode::kUnimplemented, "MEMBER_TOO_OLD", {}, kNone},
      {MembershipChangePendingError("x"),
       StatusCode::kFailedPrecondition,
       "MEMBERSHIP_CHANGE_PENDING",
       {},
       kNone},
      {WouldLoseQuorumError("x"), StatusCode::kFailedPrecondition, "WOULD_LOSE_QUORUM", {}, kNone},
      {MemberUnreachableError("h:1", "x"),
       StatusCode::kFailedPrecondition,
       "MEMBER_UNREACHABLE",
       {{"field", "peer_address"}},
       kNone},
      {UnfitMemberError("x"), StatusCode::kFailedPrecondition, "MEMBER_UNFIT", {}, kNone},
      {MemberExistsError("name", "n", 1, "h:1"),
       StatusCode::kAlreadyExists,
       "MEMBER_EXISTS",
       {{"field", "name"}},
       kNone},
      {TooManyMembersError(32),
       StatusCode::kResourceExhausted,
       "TOO_MANY_MEMBERS",
       {{"limit", "32"}},
       kNone},
      {BadNameError("name", ""), kInvalid, "BAD_NAME", {{"field", "name"}}, kNone},
      {BadAddressError("peer_address", "h", "x"),
       kInvalid,
       "BAD_ADDRESS",
       {{"field", "peer_address"}},
       kNone},
      {ChangeUnknownError(), kUnavailable, "OUTCOME_UNKNOWN", {}, 250},
      {NoLeaderError(), kUnavailable, "NO_LEADER", {}, 250},
      {ShuttingDownError(), kUnavailable, "SHUTTING_DOWN", {}, 250},
      {TooStaleError(9, 8), kUnavailable, "TOO_STALE", {}, 250},
      {BehindError(), kUnavailable, "TOO_STALE", {}, 250},
      {TooOldError(kNanosPerMilli, kNanosPerMilli), kUnavailable, "TOO_STALE", {}, 250},
      {OutcomeUnknownError(), StatusCode::kUnknown, "OUTCOME_UNKNOWN", {}, kNone},
      {OutcomeUnknownError(/*with_request_id=*/true), kUnavailable, "OUTCOME_UNKNOWN", {}, 250},
      {OverloadedError(), StatusCode::kResourceExhausted, "OVERLOADED", {}, 250},
      {BusyWithBackupsError(2), StatusCode::kResourceExhausted, "OVERLOADED", {}, 250},
      {RequestsFullError(3), StatusCode::kResourceExhausted, "OVERLOADED", {}, 250},
      {BadTxnError("then_ops", "no"), kInvalid, "BAD_TXN", {{"field", "then_ops"}}, kNone},
      {BadGuardError("target", "no"), kInvalid, "BAD_GUARD", {{"field", "target"}}, kNone},
      {TxnTooLargeError("operations", 11, 10),
       kInvalid,
       "TXN_TOO_LARGE",
       {{"field", "operations"}, {"size", "11"}, {"limit", "10"}},
       kNone},
      {BadBatchError("ops", "no"), kInvalid, "BAD_BATCH", {{"field", "ops"}}, kNone},
      {BadStreamError("twice"), kInvalid, "BAD_STREAM", {{"field", "id"}}, kNone},
      {UnreadOutcomeError(), StatusCode::kUnknown, "OUTCOME_UNKNOWN", {}, kNone},
      {UnreadMarkedOutcomeError(), kUnavailable, "OUTCOME_UNKNOWN", {}, 250},
      {BadRequestIdError(65),
       kInvalid,
       "BAD_REQUEST_ID",
       {{"field", "request_id"}, {"size", "65"}, {"limit", "64"}},
       kNone},
      {RequestIdReusedError(), kInvalid, "REQUEST_ID_REUSED", {{"field", "request_id"}}, kNone},
      {WithinField("then_ops[2].put", NoValueError()),
       kInvalid,
       "NO_VALUE",
       {{"field", "then_ops[2].put.value"}},
       kNone},
      {NotAnIntegerError("", "k"),
       StatusCode::kFailedPrecondition,
       "NOT_AN_INTEGER",
       {{"field", "key"}},
       kNone},
      {IntegerOverflowError("then_ops[0]", "k"),
       StatusCode::kOutOfRange,
       "INTEGER_OVERFLOW",
       {{"field", "then_ops[0]"}},
       kNone},
      {LeaseNotFoundError(7), StatusCode::kNotFound, "LEASE_NOT_FOUND", {{"lease_id", "7"}}, kNone},
      {LeaseExistsError(7),
       StatusCode::kAlreadyExists,
       "LEASE_EXISTS",
       {{"field", "id"}, {"lease_id", "7"}},
       kNone},
      {BadLeaseError("id", -1, "must be 1 or more"),
       kInvalid,
       "BAD_LEASE",
       {{"field", "id"}},
       kNone},
      {TooManyLeasesError(9),
       StatusCode::kResourceExhausted,
       "TOO_MANY_LEASES",
       {{"limit", "9"}},
       kNone},
      {LeaseFullError(7, 9, "then_ops[0]"),
       StatusCode::kResourceExhausted,
       "LEASE_FULL",
       {{"lease_id", "7"}, {"limit", "9"}},
       kNone},
      {DiskFullError({"2 \"b\""}, {"b"}),
       StatusCode::kResourceExhausted,
       "DISK_FULL",
       {{"member", "b"}},
       5000},
      {PreconditionFailedError("k", 7),
       StatusCode::kAborted,
       "PRECONDITION_FAILED",
       {{"mod_revision", "7"}},
       kNone},
      {CorruptedError("x.sst"), StatusCode::kDataLoss, "CORRUPTED", {}, kNone},
  };
}

TEST(ErrorsTest, CodesReasonsAndHintsAreThoseOfTheErrorTable) {
  for (const ErrorCase& expected : ErrorTable()) {
    SCOPED_TRACE(expected.reason);
    EXPECT_EQ(expected.error.code(), expected.code);
    const auto info = FindErrorInfo(expected.error);
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->reason(), expected.reason);
    EXPECT_EQ(info->domain(), "raftkv");
    EXPECT_EQ(
        (std::map<std::string, std::string>(info->metadata().begin(), info->metadata().end())),
        expected.metadata);
    const auto retry = FindRetryInfo(expected.error);
    ASSERT_EQ(retry.has_value(), expected.retry_delay_ms.has_value());
    if (retry.has_value()) {
      EXPECT_EQ(retry->retry_delay().seconds() * 1000 + retry->retry_delay().nanos() / 1'000'000,
                *expected.retry_delay_ms);
    }
  }
}

TEST(ErrorsTest, WithoutAReasonThereIsNoErrorInfo) {
  EXPECT_EQ(TooSlowError().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(FindErrorInfo(TooSlowError()).has_value());
  EXPECT_FALSE(FindRetryInfo(TooSlowError()).has_value());
  EXPECT_FALSE(FindErrorInfo(absl::OkStatus()).has_value());
}

TEST(ErrorsTest, ARangeThatIsTooLargeSaysWhatItExceeded) {
  log::v1::CommandOutcome outcome;
  EXPECT_THAT(MessageOf(RangeTooLargeError(outcome, 10'000)),
              AllOf(HasSubstr("10000 keys"), HasSubstr("--delete_range_keys_max"),
                    HasSubstr("nothing was deleted")));
  outcome.set_exceeding_bytes(true);
  EXPECT_THAT(MessageOf(RangeTooLargeError(outcome, 10'000)),
              AllOf(HasSubstr("3145728 bytes"), HasSubstr("return_previous"),
                    HasSubstr("nothing was deleted")));
}

TEST(ErrorsTest, AFullDiskSaysWhoseAndWhatStillWorks) {
  EXPECT_EQ(
      MessageOf(DiskFullError({"1 \"a\"", "3 \"c\""}, {"a", "c"})),
      "the disks of members 1 \"a\", 3 \"c\" are nearly full (--disk_reserve_bytes), so nothing "
      "was proposed: deletes, reads and expiry go on; free space there, or delete keys");
  EXPECT_EQ(FindErrorInfo(DiskFullError({"1", "3"}, {"a", "c"}))->metadata().at("member"), "a,c");
}

TEST(ErrorsTest, WhatIsCertainlyNotProposedSaysSo) {
  for (const absl::Status& error :
       {NoLeaderError(), ShuttingDownError(), OverloadedError(), DiskFullError({"1"}, {"1"})}) {
    EXPECT_THAT(MessageOf(error), HasSubstr("nothing was proposed"));
  }
  EXPECT_THAT(MessageOf(OutcomeUnknownError()), Not(HasSubstr("nothing was proposed")));
}

TEST(ErrorsTest, AStaleMemberSaysHowFarItIs) {
  EXPECT_THAT(MessageOf(TooStaleError(9, 8)),
              AllOf(HasSubstr("revision 8"), HasSubstr("min_revision 9")));
}

TEST(ErrorsTest, AStateThatIsTooOldSaysHowOldItIs) {
  EXPECT_THAT(MessageOf(TooOldError(7 * kNanosPerMilli, 5 * kNanosPerMilli)),
              AllOf(HasSubstr("7 ms old"), HasSubstr("max_staleness is 5 ms")));
  EXPECT_THAT(MessageOf(TooOldError(std::nullopt, kNanosPerMilli)),
              HasSubstr("has not heard from a leader"));
}

TEST(ErrorsTest, AFailedPreconditionSaysHowTheKeyIs) {
  EXPECT_THAT(MessageOf(PreconditionFailedError("k", 0)),
              HasSubstr("\"k\" does not hold: the key does"));
  EXPECT_THAT(MessageOf(PreconditionFailedError("k", 7)), HasSubstr("mod_revision is 7"));
}

TEST(EchoKeyTest, QuotesAndEscapes) {
  EXPECT_EQ(EchoKey(""), R"("")");
  EXPECT_EQ(EchoKey("a/b"), R"("a/b")");
  EXPECT_EQ(EchoKey("a\"b\nc"), R"("a\"b\nc")");
  EXPECT_EQ(EchoKey(absl::string_view("\0", 1)), R"("\000")");
  EXPECT_EQ(EchoKey("K\xC3\xA4se"), "\"K\xC3\xA4se\"");
}

TEST(EchoKeyTest, RepeatsSixtyFourBytes) {
  EXPECT_EQ(EchoKey(std::string(64, 'k')), absl::StrCat("\"", std::string(64, 'k'), "\""));
  EXPECT_EQ(EchoKey(std::string(65, 'k')), absl::StrCat("\"", std::string(64, 'k'), "\"..."));
  EXPECT_EQ(EchoKey(std::string(4097, 'k')), absl::StrCat("\"", std::string(64, 'k'), "\"..."));
}

TEST(EchoKeyTest, NeverCutsACharacter) {
  for (const std::string& character :
       std::vector<std::string>{"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    for (size_t offset = 0; offset < character.size(); ++offset) {
      std::string key(offset, 'k');
      std::string echoed = key;
      while (key.size() <= 80) {
        key += character;
        if (key.size() <= 64) {
          echoed = key;
        }
      }
      EXPECT_EQ(EchoKey(key), absl::StrCat("\"", echoed, "\"...")) << offset;
      EXPECT_EQ(EchoKey(echoed), absl::StrCat("\"", echoed, "\"")) << "nothing to cut";
      EXPECT_TRUE(IsUtf8(EchoKey(key)));
    }
  }
}

TEST(EchoKeyTest, TakesBytesThatAreNoText) {
  EXPECT_LE(EchoKey(std::string(100, '\x80')).size(), kEchoedKeyBytesMax + 5);
  EXPECT_LE(EchoKey(std::string(64, '\xff')).size(), kEchoedKeyBytesMax + 2);
}

}  // namespace
}  // namespace raftkv::kv
