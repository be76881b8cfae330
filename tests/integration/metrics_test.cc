// The page /metrics of a cluster at work, as Prometheus would read it: what docs/METRICS.md lists,
// no more and no less, and true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Ge;
using testing::Gt;
using testing::Key;
using testing::Le;

struct Family {
  std::string type;
  std::string help;
  std::set<std::string> labels;  // Their names.

  friend bool operator==(const Family&, const Family&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Family& family) {
    return out << family.type << " {" << absl::StrJoin(family.labels, ", ") << "} " << family.help;
  }
};

struct Page {
  std::string text;
  std::map<std::string, Family> families;
  // By name and labels, as they are written.
  std::map<std::string, double> samples;

  double operator[](const std::string& sample) const {
    const auto found = samples.find(sample);
    EXPECT_NE(found, samples.end()) << "there is no " << sample;
    return found == samples.end() ? -1 : found->second;
  }
};

// The family that a sample's name belongs to: a histogram's samples have longer names.
Family* FamilyOf(const std::string& name, Page* page) {
  for (const char* suffix : {"", "_bucket", "_sum", "_count"}) {
    const auto found = page->families.find(std::string(absl::StripSuffix(name, suffix)));
    if (absl::EndsWith(name, suffix) && found != page->families.end()) {
      return &found->second;
    }
  }
  ADD_FAILURE() << name << " is of no family";
  return nullptr;
}

void ReadSample(const std::string& line, Page* page) {
  const size_t value_at = line.rfind(' ');
  const std::string sample = line.substr(0, value_at);
  double value = 0;
  EXPECT_TRUE(absl::SimpleAtod(line.substr(value_at + 1), &value)) << line;
  EXPECT_TRUE(page->samples.emplace(sample, value).second) << "twice: " << line;
  const std::vector<std::string> parts = absl::StrSplit(sample, absl::MaxSplits('{', 1));
  Family* const family = FamilyOf(parts[0], page);
  if (family == nullptr || parts.size() < 2) {
    return;
  }
  // No value has a comma in it.
  for (const absl::string_view label : absl::StrSplit(absl::StripSuffix(parts[1], "}"), ',')) {
    const std::string name(label.substr(0, label.find('=')));
    if (name != "le") {
      family->labels.insert(name);
    }
  }
}

Page ReadPage(const std::string& text) {
  Page page{.text = text, .families = {}, .samples = {}};
  for (const absl::string_view view : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::string line(view);
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words[0] != "#") {
      ReadSample(line, &page);
    } else if (words[1] == "HELP") {
      EXPECT_EQ(page.families.count(words[2]), 0U) << "twice: " << line;
      page.families[words[2]].help = words[3];
    } else {
      page.families[words[2]].type = words[3];
    }
  }
  return page;
}

// What a metric's name says that it counts in.
std::string UnitOf(absl::string_view name) {
  absl::ConsumeSuffix(&name, "_total");
  if (absl::EndsWith(name, "_bytes_per_second")) {
    return "bytes a second";
  }
  if (absl::EndsWith(name, "_seconds")) {
    return "seconds";
  }
  return absl::EndsWith(name, "_bytes") ? "bytes" : "";
}

// The rows `| name | type | labels | unit | meaning |`.
std::map<std::string, Family> Documented() {
  std::map<std::string, Family> families;
  std::ifstream file(SOURCE_DIR "/docs/METRICS.md");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() < 7 || !absl::StartsWith(cells[1], " `")) {
      continue;
    }
    const auto cell = [&cells](size_t i) {
      return std::string(absl::StripAsciiWhitespace(cells[i]));
    };
    const std::string name = absl::StrReplaceAll(cell(1), {{"`", ""}});
    EXPECT_EQ(cell(4), UnitOf(name)) << name;
    EXPECT_EQ(families.count(name), 0U) << name << " is documented twice";
    Family& family = families[name];
    family.type = cell(2);
    family.help = cell(5);
    const std::string labels = cell(3);
    for (const absl::string_view label : absl::StrSplit(labels, ", ", absl::SkipEmpty())) {
      family.labels.insert(absl::StrReplaceAll(label, {{"`", ""}}));
    }
  }
  return families;
}

std::string Handled(const std::string& method, const std::string& code) {
  return absl::StrCat(
      "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"raftkv.v1.KvService\","
      "grpc_method=\"",
      method, "\",grpc_code=\"", code, "\"}");
}

std::string Peer(const std::string& name, size_t node) {
  return absl::StrCat(name, "{peer=\"", TestCluster::Name(node), "\"}");
}

class MetricsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  CommandResult Curl(size_t node, std::vector<std::string> arguments, const std::string& path) {
    arguments.insert(arguments.begin(), {"curl", "-s", "-S", "--max-time", "30"});
    arguments.push_back(absl::StrCat("http://", cluster_.server(node).http_address(), path));
    const CommandResult result = RunCommand(arguments);
    EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << result;
    return result;
  }
  Page Scrape(size_t node) { return ReadPage(Curl(node, {}, "/metrics").out); }

  TestCluster cluster_{{.size = 3, .http = true, .flags = {}}};
};

TEST_F(MetricsTest, TheDocumentedListIsWhatIsThere) {
  std::map<std::string, Family> found;
  for (size_t node = 0; node < 3; ++node) {
    for (const auto& [name, family] : Scrape(node).families) {
      Family& known = found.emplace(name, family).first->second;
      // A follower has no samples of some, and so no labels.
      known.labels.insert(family.labels.begin(), family.labels.end());
    }
  }
  const std::map<std::string, Family> documented = Documented();
  for (const auto& [name, family] : found) {
    ASSERT_THAT(documented, Contains(Key(name))) << "docs/METRICS.md lacks it";
    EXPECT_EQ(family, documented.at(name)) << name << " is another in docs/METRICS.md";
  }
  for (const auto& [name, family] : documented) {
    EXPECT_THAT(found, Contains(Key(name))) << "it is documented, and no member has it";
  }
}

TEST_F(MetricsTest, PromtoolFindsNothingToComplainOf) {
  const std::string built = FindProgram(absl::StrCat(SOURCE_DIR, "/build/tools/promtool"));
  const std::string promtool = built.empty() ? FindProgram("promtool") : built;
  if (promtool.empty()) {
    GTEST_SKIP() << "no promtool: scripts/install_deps.sh --tests gets it";
  }
  for (size_t node = 0; node < 3; ++node) {
    const CommandResult result =
        RunCommand({promtool, "check", "metrics"}, Curl(node, {}, "/metrics").out);
    EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << result;
    EXPECT_EQ(result.out + result.err, "");
  }
  // It would say so.
  const CommandResult bad = RunCommand({promtool, "check", "metrics"}, "# TYPE a counter\na 1\n");
  EXPECT_NE(bad.exit, (ExitStatus{.code = 0}));
}

TEST_F(MetricsTest, CallsAreCountedByMethodAndCodeHoweverTheyCome) {
  const size_t node = *cluster_.WaitForLeader();
  const Page before = Scrape(node);
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(cluster_.client(node).PutText(absl::StrCat("k", i), "v").ok());
  }
  Curl(node, {"-X", "PUT", "-d", "{\"value\": \"v\"}"}, "/v1/kv/by_http");
  ASSERT_TRUE(cluster_.client(node).GetText("k1").ok());
  v1::PutRequest guarded = Proto<v1::PutRequest>("key: 'k1' text: 'x'");
  guarded.mutable_precondition()->set_mod_revision(999'999);
  EXPECT_FALSE(cluster_.client(node).Put(guarded).ok());
  EXPECT_FALSE(cluster_.client(node).Get(v1::GetRequest()).ok()) << "a key is needed";

  const Page after = Scrape(node);
  const auto grown = [&](const std::string& sample) { return after[sample] - before[sample]; };
  EXPECT_EQ(grown(Handled("Put", "OK")), 8);
  EXPECT_EQ(grown(Handled("Put", "Aborted")), 1);
  EXPECT_EQ(grown(Handled("Get", "OK")), 1);
  EXPECT_EQ(grown(Handled("Get", "InvalidArgument")), 1);
  EXPECT_EQ(grown(Handled("Delete", "OK")), 0);
  const std::string puts =
      "{grpc_type=\"unary\",grpc_service=\"raftkv.v1.KvService\",grpc_method=\"Put\"}";
  EXPECT_EQ(grown("grpc_server_started_total" + puts), 9);
  EXPECT_EQ(grown("grpc_server_handling_seconds_count" + puts), 9);
  EXPECT_THAT(grown("grpc_server_handling_seconds_sum" + puts), AllOf(Gt(0), Le(60)));
  EXPECT_GT(grown("raftkv_network_client_received_bytes_total"), 9 * 4);
  EXPECT_GT(grown("raftkv_network_client_sent_bytes_total"), 9 * 4);
  EXPECT_EQ(grown("raftkv_kv_keys"), 8);
  EXPECT_EQ(grown("raftkv_kv_current_revision"), 8);
  EXPECT_GE(grown("raftkv_server_proposals_applied_total"), 8);
  // And those by which it finds out how old its state is.
  EXPECT_GE(grown("raftkv_server_reads_confirmed_total"), 1);
  EXPECT_EQ(after["raftkv_server_client_requests_in_flight"], 0);
}

TEST_F(MetricsTest, ABackupIsCounted) {
  ASSERT_TRUE(cluster_.client(0).PutText("k", std::string(100'000, 'x')).ok());
  const Page before = Scrape(0);
  const CommandResult saved =
      RunCommand({RaftkvctlPath(), "snapshot", "save", cluster_.dir().File("backup"), "--endpoints",
                  cluster_.client_address(0)});
  ASSERT_EQ(saved.exit, ExitStatus{.code = 0}) << saved;
  // Its end is counted when gRPC has said so.
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    return Scrape(0)["raftkv_backups_completed_total"] ==
           Page(before)["raftkv_backups_completed_total"] + 1;
  }));
  Page after = Scrape(0);
  EXPECT_EQ(after["raftkv_backups_begun_total"], Page(before)["raftkv_backups_begun_total"] + 1);
  EXPECT_GE(after["raftkv_backup_sent_bytes_total"],
            Page(before)["raftkv_backup_sent_bytes_total"] + 100'000);
  EXPECT_EQ(after["raftkv_backups_in_progress"], 0);
}

TEST_F(MetricsTest, OperationsOfStreamsAreCounted) {
  const Page before = Scrape(0);
  grpc::ClientContext context;
  SetTimeout(&context, Millis(15000));
  const auto stream = cluster_.client(0).kv()->Stream(&context);
  for (const char* key : {"streamed", ""}) {
    v1::StreamRequest request;
    request.mutable_op()->mutable_put()->set_key(key);
    request.mutable_op()->mutable_put()->set_text("v");
    ASSERT_TRUE(stream->Write(request));
    v1::StreamResponse response;
    ASSERT_TRUE(stream->Read(&response));
  }
  Page during = Scrape(0);
  EXPECT_EQ(during["raftkv_streams_open"], 1);
  EXPECT_EQ(during["raftkv_streams_begun_total"] - Page(before)["raftkv_streams_begun_total"], 1);
  EXPECT_EQ(
      during["raftkv_stream_operations_total"] - Page(before)["raftkv_stream_operations_total"], 2);
  EXPECT_EQ(during["raftkv_stream_operations_failed_total"] -
                Page(before)["raftkv_stream_operations_failed_total"],
            1);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return Scrape(0)["raftkv_streams_open"] == 0; }));
}

TEST_F(MetricsTest, TheFiguresAreThoseOfTheCluster) {
  const size_t leader = *cluster_.WaitForLeader();
  const Page before = Scrape(leader);
  const std::string value(1000, 'x');
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(cluster_.client(i % 3).PutText(absl::StrCat("k", i), value).ok());
  }
  ASSERT_TRUE(cluster_.client(leader).PutWithTtl("short", "v", Millis(1)).ok());
  ASSERT_TRUE(
      WaitUntil(Millis(5000), [&] { return Scrape(leader)["raftkv_kv_expired_total"] > 0; }));
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  // Followers' answers, and rounds trips, may take a moment.
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    const Page page = Scrape(leader);
    return page[Peer("raftkv_raft_follower_lag_entries", cluster_.Other(leader))] == 0 &&
           page[Peer("raftkv_network_peer_round_trip_time_seconds_count", cluster_.Other(leader))] >
               0;
  }));
  const auto status = cluster_.client(leader).GetStatus();
  const Page page = Scrape(leader);
  EXPECT_EQ(page["raftkv_kv_keys"], 50);
  EXPECT_EQ(page["raftkv_kv_expired_total"], 1);
  EXPECT_EQ(page["raftkv_raft_term"], status->header().raft_term());
  EXPECT_THAT(page["raftkv_raft_applied_index"], Ge(status->applied_index()));
  EXPECT_THAT(page["raftkv_raft_commit_index"], Ge(page["raftkv_raft_applied_index"]));
  EXPECT_EQ(page["raftkv_raft_first_index"], 1);
  EXPECT_EQ(page["raftkv_memory_planned_bytes"], status->memory().planned_bytes());
  EXPECT_GT(page["raftkv_memory_bytes{part=\"log\"}"], 50'000);
  EXPECT_GT(page["raftkv_memory_bytes{part=\"write_buffers\"}"], 50'000);
  EXPECT_GT(page["process_resident_memory_bytes"], page["raftkv_memory_bytes{part=\"log\"}"]);
  EXPECT_GT(page["raftkv_disk_used_bytes"], 50'000);
  EXPECT_GT(page["raftkv_disk_free_bytes"], 0);
  EXPECT_GE(page["raftkv_disk_total_bytes"], page["raftkv_disk_free_bytes"]);
  EXPECT_EQ(page["raftkv_disk_is_low"], 0);

  const auto grown = [&](const std::string& sample) { return page[sample] - before[sample]; };
  EXPECT_GT(grown("raftkv_disk_wal_fsync_duration_seconds_count"), 0);
  EXPECT_GT(grown("raftkv_disk_wal_fsync_duration_seconds_sum"), 0);
  EXPECT_GE(grown("raftkv_disk_wal_sync_entries_sum"), grown("raftkv_raft_entry_commands_count"));
  EXPECT_GT(grown("raftkv_disk_wal_write_bytes_total"), 50'000);
  EXPECT_GE(grown("raftkv_raft_entry_commands_sum"), 51) << "forwarded ones, too";
  EXPECT_GT(grown("raftkv_raft_proposed_bytes_total"), 50'000);
  EXPECT_GT(grown("raftkv_raft_apply_duration_seconds_count"), 0);
  EXPECT_GT(grown("raftkv_loop_cpu_seconds_total"), 0);
  for (size_t node = 0; node < 3; ++node) {
    if (node == leader) {
      continue;
    }
    EXPECT_GT(grown(Peer("raftkv_network_peer_sent_bytes_total", node)), 50'000);
    EXPECT_GT(grown(Peer("raftkv_network_peer_received_bytes_total", node)), 1000);
    EXPECT_EQ(page[Peer("raftkv_network_peer_is_connected", node)], 1);
    EXPECT_EQ(page[Peer("raftkv_raft_follower_is_heard", node)], 1);
    EXPECT_GT(page[Peer("raftkv_raft_follower_match_index", node)], 50);
    const Page follower = Scrape(node);
    EXPECT_EQ(follower["raftkv_server_is_leader"], 0);
    EXPECT_EQ(follower["raftkv_raft_state{state=\"follower\"}"], 1);
    EXPECT_EQ(follower["raftkv_kv_expired_total"], 1);
    EXPECT_GT(follower[Peer("raftkv_network_peer_received_bytes_total", leader)], 50'000);
    EXPECT_EQ(follower["raftkv_raft_entry_commands_sum"], 0);
  }
}

TEST_F(MetricsTest, ALeaderThatDiesIsSeen) {
  const size_t dead = *cluster_.WaitForLeader();
  std::map<size_t, Page> before;
  for (size_t node = 0; node < 3; ++node) {
    before.emplace(node, Scrape(node));
    EXPECT_EQ(before.at(node)["raftkv_server_is_leader"], node == dead ? 1 : 0);
    EXPECT_EQ(before.at(node)["raftkv_server_has_leader"], 1);
  }
  cluster_.server(dead).Kill9();
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  ASSERT_NE(*leader, dead);
  ASSERT_TRUE(cluster_.client(*leader).PutText("after", "1").ok());
  // Whoever leads anew takes the others to be there for an election timeout.
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] {
    const Page page = Scrape(*leader);
    return page[Peer("raftkv_network_peer_is_connected", dead)] == 0 &&
           page[Peer("raftkv_raft_follower_is_heard", dead)] == 0;
  }));
  double leaders = 0;
  double elections_won = 0;
  for (size_t node = 0; node < 3; ++node) {
    if (node == dead) {
      continue;
    }
    const Page page = Scrape(node);
    leaders += page["raftkv_server_is_leader"];
    EXPECT_EQ(page["raftkv_server_has_leader"], 1);
    EXPECT_EQ(page["raftkv_server_is_leader"], node == *leader ? 1 : 0);
    EXPECT_GE(page["raftkv_server_leader_changes_seen_total"],
              before.at(node)["raftkv_server_leader_changes_seen_total"] + 1);
    EXPECT_GT(page["raftkv_raft_term"], before.at(node)["raftkv_raft_term"]);
    elections_won += page["raftkv_raft_elections_total{step=\"won\"}"] -
                     before.at(node)["raftkv_raft_elections_total{step=\"won\"}"];
  }
  EXPECT_EQ(leaders, 1);
  EXPECT_GE(elections_won, 1);
  EXPECT_GT(Scrape(*leader)[Peer("raftkv_raft_follower_lag_entries", dead)], 0);

  ASSERT_TRUE(cluster_.Start(dead));
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    const Page healed = Scrape(*cluster_.WaitForLeader());
    return healed["raftkv_server_is_leader"] == 1 && Scrape(dead)["raftkv_server_has_leader"] == 1;
  }));
}

// A member without a quorum still tells how it is.
TEST_F(MetricsTest, AMemberAloneAnswers) {
  const size_t survivor = cluster_.Other(*cluster_.WaitForLeader());
  for (size_t node = 0; node < 3; ++node) {
    if (node != survivor) {
      cluster_.server(node).Kill9();
    }
  }
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    const Page page = Scrape(survivor);
    return page["raftkv_server_has_leader"] == 0 && page["raftkv_server_warnings"] > 0 &&
           page["raftkv_raft_elections_total{step=\"pre_vote\"}"] > 0;
  }));
}

}  // namespace
}  // namespace raftkv::integration
