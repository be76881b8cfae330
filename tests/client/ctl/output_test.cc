#include "client/ctl/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/version.h"
#include "client/ctl/escape.h"
#include "client/ctl/table.h"

namespace raftkv::ctl {
namespace {

using ::testing::HasSubstr;

const ResponseHeader kHeader{.cluster_id = 18'000'000'000'000'000'000u,
                             .member_id = 1,
                             .leader_id = 2,
                             .raft_term = 3,
                             .revision = 4};
constexpr char kHeaderJson[] =
    R"("header":{"cluster_id":"18000000000000000000","member_id":1,"leader_id":2,)"
    R"("raft_term":3,"revision":4})";

KeyValue Kv(const std::string& key, const std::string& value) {
  return KeyValue{
      .key = key, .value = value, .create_revision = 5, .mod_revision = 6, .version = 7};
}

TEST(EscapeTest, LeavesTextAndEscapesWhatATerminalObeys) {
  EXPECT_EQ(EscapeControls("grüße 👋 a\\b", Newlines::kEscape), "grüße 👋 a\\b");
  EXPECT_EQ(EscapeControls("\x1b[31m\x7f", Newlines::kKeep), "\\x1b[31m\\x7f");
  EXPECT_EQ(EscapeControls("\xc2\x9b", Newlines::kKeep), "\\xc2\\x9b");
  EXPECT_EQ(EscapeControls("\xff\xc3(", Newlines::kKeep), "\\xff\\xc3(");
  EXPECT_EQ(EscapeControls("a\n\tb", Newlines::kKeep), "a\n\tb");
  EXPECT_EQ(EscapeControls("a\n\tb", Newlines::kEscape), "a\\n\\tb");
  EXPECT_EQ(EscapeControls(absl::string_view("\0", 1), Newlines::kKeep), "\\x00");
}

TEST(TableTest, IsAlignedByCodePoints) {
  EXPECT_EQ(FormatTable({"KEY", "V"}, {{"a", "long\n"}, {"grüße", ""}}),
            "+-------+--------+\n"
            "| KEY   | V      |\n"
            "+-------+--------+\n"
            "| a     | long\\n |\n"
            "| grüße |        |\n"
            "+-------+--------+\n");
}

TEST(TableTest, WithoutRowsIsAHeader) {
  EXPECT_EQ(FormatTable({"A"}, {}), "+---+\n| A |\n+---+\n+---+\n");
}

TEST(FormatKeysTest, SimpleIsAKeyLineAndAValueLine) {
  const std::vector<KeyValue> kvs = {Kv("a", "1"), Kv("b", "2")};
  EXPECT_EQ(FormatKeys(OutputFormat::kSimple, kHeader, kvs, {}), "a\n1\nb\n2\n");
  EXPECT_EQ(FormatKeys(OutputFormat::kSimple, kHeader, kvs, {.keys_only = true}), "a\nb\n");
  EXPECT_EQ(FormatKeys(OutputFormat::kSimple, kHeader, kvs, {.print_value_only = true}), "1\n2\n");
  EXPECT_EQ(FormatKeys(OutputFormat::kSimple, kHeader, {}, {}), "");
}

TEST(FormatKeysTest, BytesAreRawWhenPipedAndEscapedOnATerminal) {
  const std::string raw("\x1b\xff\0", 3);
  EXPECT_EQ(FormatKeySimple(Kv("k", raw), {.print_value_only = true}), raw + "\n");
  EXPECT_EQ(FormatKeySimple(Kv("k", raw), {.print_value_only = true, .for_terminal = true}),
            "\\x1b\\xff\\x00\n");
}

TEST(FormatKeysTest, JsonIsReadable) {
  KeyValue kv = Kv("grüße", "a\"b");
  kv.ttl_remaining = absl::Milliseconds(4200);
  EXPECT_EQ(FormatKeys(OutputFormat::kJson, kHeader, {kv}, {}),
            std::string("{") + kHeaderJson +
                R"(,"kvs":[{"key":"grüße","value":"a\"b","create_revision":5,"mod_revision":6,)"
                R"("version":7,"ttl_remaining":"4.2s"}],"count":1})" +
                "\n");
}

TEST(FormatKeysTest, JsonSaysBase64OnlyWhereItMust) {
  EXPECT_THAT(FormatKeys(OutputFormat::kJson, kHeader, {Kv("k", "\xff")}, {}),
              HasSubstr(R"("key":"k","value_base64":"/w==")"));
  EXPECT_THAT(FormatKeys(OutputFormat::kJson, kHeader, {Kv("k", "")}, {.keys_only = true}),
              HasSubstr(R"({"key":"k","create_revision")"));
}

TEST(FormatKeysTest, Table) {
  EXPECT_EQ(FormatKeys(OutputFormat::kTable, kHeader, {Kv("k", "v")}, {}),
            "+-----+-------+-----------------+--------------+---------+-----+\n"
            "| KEY | VALUE | CREATE REVISION | MOD REVISION | VERSION | TTL |\n"
            "+-----+-------+-----------------+--------------+---------+-----+\n"
            "| k   | v     | 5               | 6            | 7       |     |\n"
            "+-----+-------+-----------------+--------------+---------+-----+\n");
}

TEST(FormatWritesTest, EveryFormat) {
  const PutResult put{.header = kHeader, .mod_revision = 9, .previous = std::nullopt};
  EXPECT_EQ(FormatPut(OutputFormat::kSimple, put), "OK\n");
  EXPECT_EQ(FormatPut(OutputFormat::kJson, put),
            std::string("{") + kHeaderJson + ",\"mod_revision\":9}\n");
  EXPECT_THAT(FormatPut(OutputFormat::kTable, put), HasSubstr("| 9 "));
  EXPECT_EQ(FormatDeleted(OutputFormat::kSimple, kHeader, 3), "3\n");
  EXPECT_EQ(FormatDeleted(OutputFormat::kJson, kHeader, 3),
            std::string("{") + kHeaderJson + ",\"deleted\":3}\n");
  EXPECT_THAT(FormatDeleted(OutputFormat::kTable, kHeader, 3), HasSubstr("| 3       | 4        |"));
}

TEST(FormatLeaderTest, EveryFormat) {
  EXPECT_EQ(FormatLeader(OutputFormat::kSimple, kHeader),
            absl::StrCat("member ", kHeader.leader_id, " leads\n"));
  EXPECT_EQ(FormatLeader(OutputFormat::kJson, kHeader), std::string("{") + kHeaderJson + "}\n");
  EXPECT_THAT(FormatLeader(OutputFormat::kTable, kHeader), HasSubstr("LEADER ID"));
}

TEST(FormatMembersTest, EveryFormat) {
  const ListMembersResult members{.header = kHeader,
                                  .members = {Member{.id = 1,
                                                     .name = "n1",
                                                     .peer_address = "p:1",
                                                     .client_address = "c:1",
                                                     .role = MemberRole::kVoter,
                                                     .is_leader = true,
                                                     .version = "0.1",
                                                     .priority = 200}}};
  EXPECT_EQ(FormatMembers(OutputFormat::kSimple, members),
            "1, n1, voter, p:1, c:1, 0.1, true, 200\n");
  EXPECT_EQ(
      FormatMembers(OutputFormat::kTable, members),
      "+----+------+-------+--------------+----------------+---------+-----------+----------+\n"
      "| ID | NAME | ROLE  | PEER ADDRESS | CLIENT ADDRESS | VERSION | IS LEADER | PRIORITY |\n"
      "+----+------+-------+--------------+----------------+---------+-----------+----------+\n"
      "| 1  | n1   | voter | p:1          | c:1            | 0.1     | true      | 200      |\n"
      "+----+------+-------+--------------+----------------+---------+-----------+----------+\n");
  EXPECT_THAT(
      FormatMembers(OutputFormat::kJson, members),
      HasSubstr(R"("members":[{"id":1,"name":"n1","peer_address":"p:1","client_address":"c:1",)"
                R"("role":"voter","is_leader":true,"version":"0.1","priority":200}])"));
}

MemberStatus LeaderStatus() {
  return MemberStatus{.header = kHeader,
                      .version = "0.1",
                      .name = "n1",
                      .raft_state = RaftState::kLeader,
                      .role = MemberRole::kVoter,
                      .last_index = 12,
                      .commit_index = 11,
                      .applied_index = 10,
                      .key_count = 9,
                      .disk_bytes = 20'480,
                      .memory = {.planned_bytes = 6,
                                 .resident_bytes = 7'000,
                                 .cached_block_bytes = 5,
                                 .write_buffer_bytes = 4,
                                 .log_bytes = 3,
                                 .unsent_answer_bytes = 2},
                      .uptime = absl::Seconds(61),
                      .warnings = {"disk is full", "clock is odd"},
                      .requests = {.window = absl::Seconds(5),
                                   .reads = {.count = 1,
                                             .p50 = absl::Microseconds(200),
                                             .p99 = absl::Milliseconds(3)},
                                   .writes = {.count = 2},
                                   .failed = {},
                                   .syncs = {}},
                      .peers = {{.id = 2, .reachable = true, .match_index = 12},
                                {.id = 3, .unreachable_for = absl::Seconds(7)}}};
}

TEST(FormatStatusesTest, SimpleLeavesOutWhoFailed) {
  EXPECT_EQ(
      FormatStatuses(OutputFormat::kSimple,
                     {{"a:1", LeaderStatus()}, {"b:1", absl::UnavailableError("gone")}}),
      "a:1, 1, n1, 0.1, leader, 3, 12, 11, 10, 4, 9, 20 kB, 7.0 kB, disk is full; clock is odd\n");
}

TEST(FormatStatusesTest, TableAndJsonShowWhoFailed) {
  const std::vector<EndpointStatus> statuses = {{"a:1", LeaderStatus()},
                                                {"b:1", absl::UnavailableError("gone")}};
  const std::string table = FormatStatuses(OutputFormat::kTable, statuses);
  EXPECT_THAT(table,
              HasSubstr("| ENDPOINT | ID | NAME | VERSION | ROLE        | TERM | INDEX | COMMIT |"
                        " APPLIED | REVISION | KEYS | DB SIZE | MEMORY | WARNINGS"));
  EXPECT_THAT(
      table,
      HasSubstr("| a:1      | 1  | n1   | 0.1     | leader      | 3    | 12    | 11     |"
                " 10      | 4        | 9    | 20 kB   | 7.0 kB | disk is full; clock is odd |"));
  EXPECT_THAT(table, HasSubstr("| b:1      |    |      |         | unreachable |"));
  const std::string json = FormatStatuses(OutputFormat::kJson, statuses);
  EXPECT_THAT(json, HasSubstr(R"("raft_state":"leader","role":"voter","last_index":12)"));
  EXPECT_THAT(json,
              HasSubstr(R"("disk_bytes":20480,"memory":{"planned_bytes":6,"resident_bytes":7000,)"
                        R"("cached_block_bytes":5,"write_buffer_bytes":4,"log_bytes":3,)"
                        R"("unsent_answer_bytes":2},"uptime":"1m1s")"));
  EXPECT_THAT(
      json, HasSubstr(R"("requests":{"window":"5s","reads":{"count":1,"p50":"200us","p99":"3ms"},)"
                      R"("writes":{"count":2,"p50":"0","p99":"0"},)"));
  EXPECT_THAT(json, HasSubstr(R"("watches":{"count":0,"slowest":[]})"));
  EXPECT_THAT(json,
              HasSubstr(R"("peers":[{"id":2,"reachable":true,"match_index":12},)"
                        R"({"id":3,"reachable":false,"unreachable_for":"7s","match_index":0}])"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"({"endpoint":"b:1","error":{"code":"UNAVAILABLE","reason":"","message":"gone"}}])"));
}

TEST(FormatHashesTest, TableAndJsonShowWhoFailed) {
  const std::vector<EndpointHash> hashes = {
      {"a:1", VerifyHashResult{.header = kHeader,
                               .index = 12,
                               .state_hash = 0xfedc'ba98'7654'3210,
                               .revision = 5,
                               .key_count = 9,
                               .scanned = true}},
      {"b:1", absl::UnavailableError("gone")}};
  EXPECT_EQ(FormatHashes(OutputFormat::kSimple, hashes),
            "a:1, 1, 12, 5, 9, fedcba9876543210, true\n");
  const std::string table = FormatHashes(OutputFormat::kTable, hashes);
  EXPECT_THAT(
      table,
      HasSubstr(
          "| ENDPOINT | ID | INDEX | REVISION | KEYS | HASH             | SCANNED | ERROR |"));
  EXPECT_THAT(
      table,
      HasSubstr(
          "| a:1      | 1  | 12    | 5        | 9    | fedcba9876543210 | true    |       |"));
  const std::string json = FormatHashes(OutputFormat::kJson, hashes);
  EXPECT_THAT(json, HasSubstr(R"("index":12,"revision":5,"key_count":9,)"
                              R"("state_hash":"fedcba9876543210","scanned":true})"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"({"endpoint":"b:1","error":{"code":"UNAVAILABLE","reason":"","message":"gone"}}])"));
}

TEST(FormatStatusesTest, SizesAreForHumans) {
  const struct {
    int64_t bytes;
    const char* text;
  } kCases[] = {{0, ", 0 B,"},          {999, ", 999 B,"},        {1'000, ", 1.0 kB,"},
                {9'949, ", 9.9 kB,"},   {9'950, ", 10 kB,"},      {999'400, ", 999 kB,"},
                {999'600, ", 1.0 MB,"}, {3'200'000, ", 3.2 MB,"}, {5'000'000'000, ", 5.0 GB,"}};
  for (const auto& test : kCases) {
    MemberStatus status = LeaderStatus();
    status.disk_bytes = test.bytes;
    EXPECT_THAT(FormatStatuses(OutputFormat::kSimple, {{"a:1", status}}), HasSubstr(test.text));
  }
}

TEST(FormatHealthTest, AnErrorWithoutAMessageIsNamed) {
  EXPECT_EQ(FormatHealth(OutputFormat::kSimple, {{"a:1", absl::UnimplementedError("")}}),
            "a:1 is unhealthy: UNIMPLEMENTED\n");
}

TEST(FormatHealthTest, EveryFormat) {
  const std::vector<EndpointHealth> endpoints = {{"a:1", absl::Microseconds(2'100)},
                                                 {"b:1", absl::UnavailableError("gone")}};
  EXPECT_EQ(FormatHealth(OutputFormat::kSimple, endpoints),
            "a:1 is healthy: read index took = 2.1ms\nb:1 is unhealthy: gone\n");
  EXPECT_EQ(FormatHealth(OutputFormat::kTable, endpoints),
            "+----------+--------+-------+-------+\n"
            "| ENDPOINT | HEALTH | TOOK  | ERROR |\n"
            "+----------+--------+-------+-------+\n"
            "| a:1      | true   | 2.1ms |       |\n"
            "| b:1      | false  |       | gone  |\n"
            "+----------+--------+-------+-------+\n");
  EXPECT_EQ(FormatHealth(OutputFormat::kJson, endpoints),
            R"([{"endpoint":"a:1","health":true,"took":"2.1ms"},{"endpoint":"b:1","health":false,)"
            R"("error":{"code":"UNAVAILABLE","reason":"","message":"gone"}}])"
            "\n");
}

TEST(FormatVersionTest, EveryFormat) {
  EXPECT_EQ(FormatVersion(OutputFormat::kSimple),
            std::string("raftkvctl version: ") + kVersion + "\n");
  EXPECT_EQ(FormatVersion(OutputFormat::kJson),
            std::string("{\"version\":\"") + kVersion + "\"}\n");
  EXPECT_THAT(FormatVersion(OutputFormat::kTable), HasSubstr(kVersion));
}

TEST(FormatErrorJsonTest, SurvivesAMessageThatIsNotText) {
  EXPECT_THAT(FormatErrorJson(absl::InternalError("bad \xff")),
              HasSubstr(R"({"error":{"code":"INTERNAL","reason":"","message":"bad )"));
}

}  // namespace
}  // namespace raftkv::ctl
