// Backups, what is made of them, and what is left when most members are lost: real processes, and
// raftkvctl as an operator types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/client_load.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr ExitStatus kError{.code = 1};
constexpr ExitStatus kServerError{.code = 4};
constexpr ExitStatus kBadArguments{.code = 128};

CommandResult Ctl(std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), RaftkvctlPath());
  return RunCommand(arguments, input, {absl::StrCat("RAFTKVCTL_RAFTKVD=", RaftkvdPath())},
                    Millis(60000));
}

json MustJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-w", "json"});
  const CommandResult result = Ctl(std::move(arguments));
  EXPECT_EQ(result.exit, kOk) << result;
  return json::parse(result.out, nullptr, /*allow_exceptions=*/false);
}

std::string InitialCluster(const TestCluster& cluster) {
  std::vector<std::string> entries;
  for (size_t node = 0; node < cluster.size(); ++node) {
    entries.push_back(absl::StrCat(TestCluster::Name(node), "=", cluster.peer_address(node)));
  }
  return absl::StrJoin(entries, ",");
}

// As raftkvctl shows it.
std::string HashText(uint64_t hash) { return absl::StrCat(absl::Hex(hash, absl::kZeroPad16)); }

void PutMany(NodeClient& client, int keys, size_t value_bytes) {
  for (int i = 0; i < keys; ++i) {
    const auto put =
        client.PutText(absl::StrCat("many/", i), std::string(value_bytes, 'a' + i % 26));
    ASSERT_TRUE(put.ok()) << put;
  }
}

// A call of Backup that reads when it is told to.
class BackupCall {
 public:
  explicit BackupCall(NodeClient& client)
      : stub_(v1::MaintenanceService::NewStub(client.channel())),
        reader_(stub_->Backup(&context_, v1::BackupRequest())) {}

  bool Read(v1::BackupResponse* response) { return reader_->Read(response); }
  // Reads what is left.
  CallError ReadToEnd() {
    v1::BackupResponse response;
    while (reader_->Read(&response)) {
      is_whole_ = response.last();
    }
    const grpc::Status status = reader_->Finish();
    return MakeCallError(status, context_);
  }
  bool is_whole() const { return is_whole_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::MaintenanceService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::BackupResponse>> reader_;
  bool is_whole_ = false;
};

TEST(BackupTest, OfOneRevisionWhileClientsWrite) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  PutMany(cluster.client(0), 300, 10'000);
  ASSERT_TRUE(cluster.client(0).PutWithTtl("mortal", "v", Millis(600'000)).ok());
  ClientLoad load({cluster.client_address(0), cluster.client_address(1)}, 4);
  load.AwaitMore(20);
  for (size_t node = 0; node < cluster.size(); ++node) {
    const std::string file = cluster.dir().File(absl::StrCat("backup", node));
    const json saved =
        MustJson({"snapshot", "save", file, "--endpoints", cluster.client_address(node)});
    EXPECT_EQ(saved["bytes"], std::filesystem::file_size(file));
    EXPECT_FALSE(std::filesystem::exists(file + ".part"));
    const json status = MustJson({"snapshot", "status", file});
    EXPECT_EQ(status["revision"], saved["revision"]);
    EXPECT_EQ(status["keys"], saved["keys"]);
    EXPECT_EQ(status["keys_with_ttl"], 1);
    EXPECT_EQ(status["checksums"], "ok");
    // Every other member held the same at that entry.
    v1::VerifyHashRequest at_index;
    at_index.set_index(status["raft_index"]);
    const auto hash = cluster.client(cluster.Other(node)).VerifyHash(at_index);
    ASSERT_TRUE(hash.ok()) << hash;
    EXPECT_EQ(HashText(hash->state_hash()), status["hash"]);
    EXPECT_EQ(hash->revision(), status["revision"].get<int64_t>());
    const CommandResult only_hash = Ctl({"snapshot", "status", file, "--hash"});
    EXPECT_EQ(only_hash.out, absl::StrCat("hash: ", HashText(hash->state_hash()), "\n"));
  }
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
}

TEST(BackupTest, RestoresANewClusterOfThree) {
  TestCluster old;
  ASSERT_TRUE(old.StartAll());
  PutMany(old.client(0), 200, 1000);
  ASSERT_TRUE(old.client(0).PutWithTtl("mortal", "v", Millis(100'000)).ok());
  ASSERT_TRUE(old.client(0).PutWithTtl("short", "v", Millis(8000)).ok());
  const std::string file = old.dir().File("backup");
  const json saved = MustJson({"snapshot", "save", file, "--endpoints", old.client_address(1)});
  const uint64_t old_cluster = old.client(0).GetStatus()->header().cluster_id();
  old.KillAll();
  // Longer than the key had to live: the time until the restore does not count.
  std::this_thread::sleep_for(Millis(8500));

  TestCluster cluster;
  for (size_t node = 0; node < cluster.size(); ++node) {
    const CommandResult restored =
        Ctl({"snapshot", "restore", file, "--data_dir", cluster.data_dir(node), "--name",
             TestCluster::Name(node), "--initial_cluster", InitialCluster(cluster)});
    ASSERT_EQ(restored.exit, kOk) << restored;
  }
  // The list of the backup's directory is enough.
  cluster.server(2).options().initial_cluster = "";
  ASSERT_TRUE(cluster.StartAll());
  EXPECT_TRUE(cluster.client(0).GetStale("short")->has_kv());
  ASSERT_TRUE(cluster.WaitUntilEqual());
  const auto status = cluster.client(0).GetStatus();
  EXPECT_NE(status->header().cluster_id(), old_cluster);
  EXPECT_GE(status->header().revision(), saved["revision"].get<int64_t>() + (int64_t{1} << 32));
  const auto value = cluster.client(2).GetText("many/7");
  EXPECT_EQ(value->kv().text(), std::string(1000, 'a' + 7));
  const auto mortal = cluster.client(1).GetText("mortal");
  EXPECT_LE(mortal->kv().ttl_remaining().seconds(), 100);
  EXPECT_GE(mortal->kv().ttl_remaining().seconds(), 60);
  EXPECT_TRUE(
      WaitUntil(Millis(15'000), [&] { return !cluster.client(0).GetText("short")->has_kv(); }));
  ASSERT_TRUE(cluster.client(0).PutText("new", "v").ok());
  // And all of it once more after a restart, when the founding is over.
  cluster.KillAll();
  ASSERT_TRUE(cluster.StartAll());
  EXPECT_EQ(cluster.client(2).GetText("new")->kv().text(), "v");
  ASSERT_TRUE(cluster.WaitUntilEqual());
}

TEST(BackupTest, MembersOfDifferentBackupsFoundNothing) {
  SingleNode source;
  ASSERT_TRUE(source.Start());
  TestCluster cluster(ClusterOptions{.size = 2, .flags = {}});
  for (size_t node = 0; node < cluster.size(); ++node) {
    ASSERT_TRUE(source.client().PutText("key", absl::StrCat(node)).ok());
    const std::string file = source.dir().File(absl::StrCat("backup", node));
    ASSERT_EQ(Ctl({"snapshot", "save", file, "--endpoints", source.server().client_address()}).exit,
              kOk);
    const CommandResult restored =
        Ctl({"snapshot", "restore", file, "--data_dir", cluster.data_dir(node), "--name",
             TestCluster::Name(node), "--initial_cluster", InitialCluster(cluster)});
    ASSERT_EQ(restored.exit, kOk) << restored;
    cluster.server(node).Start();
  }
  EXPECT_TRUE(WaitUntil(Millis(20'000), [&] {
    return cluster.server(0).Log().find("restored from another backup") != std::string::npos &&
           cluster.server(1).Log().find("restored from another backup") != std::string::npos;
  }));
  EXPECT_EQ(cluster.client(0).GetStatus()->header().cluster_id(), 0u);
}

TEST(BackupTest, ARestoredDirectoryIsForItsMemberAndItsList) {
  SingleNode source;
  ASSERT_TRUE(source.Start());
  ASSERT_TRUE(source.client().PutText("key", "v").ok());
  const std::string file = source.dir().File("backup");
  ASSERT_EQ(Ctl({"snapshot", "save", file, "--endpoints", source.server().client_address()}).exit,
            kOk);
  const std::string data = source.dir().File("restored");
  ASSERT_EQ(Ctl({"snapshot", "restore", file, "--data-dir", data, "--name", "n1"}).exit, kOk);
  const std::vector<std::string> common = {"--data_dir=" + data, "--listen_client=127.0.0.1:0",
                                           "--listen_peer=127.0.0.1:0", "--listen_http="};
  const auto run = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), common.begin(), common.end());
    return RunRaftkvd(flags);
  };
  const CommandResult other_name = run({"--name=n2"});
  EXPECT_EQ(other_name.exit, ExitStatus{.code = 2}) << other_name;
  EXPECT_THAT(other_name.err, HasSubstr("belongs to member \"n1\""));
  const CommandResult other_list =
      run({"--name=n1", "--initial_cluster=n1=127.0.0.1:1,n2=127.0.0.1:2"});
  EXPECT_EQ(other_list.exit, ExitStatus{.code = 2}) << other_list;
  EXPECT_THAT(other_list.err, HasSubstr("was restored from a backup for a member alone"));
  for (const char* joins : {"--wait_for_invite=true", "--join=127.0.0.1:1"}) {
    const CommandResult joined = run({"--name=n1", joins});
    EXPECT_EQ(joined.exit, ExitStatus{.code = 2}) << joined;
    EXPECT_THAT(joined.err, HasSubstr("founds a cluster of its own and joins none"));
  }
}

TEST(BackupTest, BadFilesAndDirectoriesChangeNothing) {
  SingleNode source;
  ASSERT_TRUE(source.Start());
  PutMany(source.client(), 50, 10'000);
  const std::string file = source.dir().File("backup");
  ASSERT_EQ(Ctl({"snapshot", "save", file, "--endpoints", source.server().client_address()}).exit,
            kOk);
  const std::string whole = ReadFile(file);
  const std::string bad = source.dir().File("bad");
  const std::string data = source.dir().File("restored");
  const auto expect_refused = [&](const std::string& bytes, const std::string& why) {
    WriteFile(bad, bytes);
    for (const CommandResult& result :
         {Ctl({"snapshot", "status", bad}),
          Ctl({"snapshot", "restore", bad, "--data_dir", data, "--name", "n1"})}) {
      EXPECT_EQ(result.exit, kError) << result;
      EXPECT_THAT(result.err, HasSubstr(why));
      EXPECT_THAT(result.out, IsEmpty());
    }
    EXPECT_FALSE(std::filesystem::exists(data + "/FORMAT"));
  };
  expect_refused(whole.substr(0, whole.size() - 100), "is cut short");
  std::string flipped = whole;
  flipped[whole.size() / 3] ^= 1;
  expect_refused(flipped, "a checksum does not fit");
  std::string newer = whole;
  newer[14] = '2';
  expect_refused(newer, "format version 2");
  expect_refused("not a backup", "is no backup of raftkv");

  const CommandResult missing = Ctl({"snapshot", "status", source.dir().File("none")});
  EXPECT_EQ(missing.exit, kError) << missing;
  EXPECT_THAT(missing.err, HasSubstr("cannot open"));
  const CommandResult in_use =
      Ctl({"snapshot", "restore", file, "--data_dir", source.data_dir(), "--name", "n1"});
  EXPECT_EQ(in_use.exit, kError) << in_use;
  EXPECT_THAT(in_use.err, HasSubstr("in use by another process"));
  ASSERT_EQ(source.server().Stop(), kOk);
  const CommandResult full =
      Ctl({"snapshot", "restore", file, "--data_dir", source.data_dir(), "--name", "n1"});
  EXPECT_EQ(full.exit, kError) << full;
  EXPECT_THAT(full.err, HasSubstr("holds a member's data already"));
  const CommandResult bad_name =
      Ctl({"snapshot", "restore", file, "--data_dir", data, "--name", "a b"});
  EXPECT_EQ(bad_name.exit, kBadArguments) << bad_name;
  const CommandResult bad_list = Ctl({"snapshot", "restore", file, "--data_dir", data, "--name",
                                      "n1", "--initial_cluster", "n2=127.0.0.1:5"});
  EXPECT_EQ(bad_list.exit, kBadArguments) << bad_list;
  EXPECT_THAT(bad_list.err, HasSubstr("must contain this member"));
  ASSERT_TRUE(source.Start());
  EXPECT_TRUE(source.client().GetText("many/0")->has_kv());
}

TEST(BackupTest, AClientThatDoesNotReadIsGivenUpAndAThirdIsRefused) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  PutMany(node.client(), 40, 500'000);
  BackupCall idle(node.client());
  BackupCall second(node.client());
  v1::BackupResponse response;
  ASSERT_TRUE(idle.Read(&response));
  EXPECT_EQ(response.manifest().key_count(), 40);
  EXPECT_GT(response.bytes_estimate(), 0);
  ASSERT_TRUE(second.Read(&response));
  const std::string file = node.dir().File("third");
  const CommandResult third =
      Ctl({"snapshot", "save", file, "--endpoints", node.server().client_address()});
  EXPECT_EQ(third.exit, kServerError) << third;
  EXPECT_THAT(third.err, HasSubstr("OVERLOADED"));
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_FALSE(std::filesystem::exists(file + ".part"));

  EXPECT_TRUE(second.ReadToEnd().ok());
  EXPECT_TRUE(second.is_whole());
  // Everything else goes on meanwhile, and there is room for the next one.
  EXPECT_TRUE(node.client().PutText("meanwhile", "v").ok());
  EXPECT_EQ(Ctl({"snapshot", "save", file, "--endpoints", node.server().client_address()}).exit,
            kOk);
  EXPECT_TRUE(WaitUntil(
      Millis(45'000), [&] { return node.server().Log().find("ends early") != std::string::npos; }));
  const CallError gone = idle.ReadToEnd();
  EXPECT_FALSE(gone.ok());
  EXPECT_FALSE(idle.is_whole());
}

TEST(BackupTest, AMemberThatStopsEndsItsBackups) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  PutMany(node.client(), 40, 500'000);
  BackupCall call(node.client());
  v1::BackupResponse response;
  ASSERT_TRUE(call.Read(&response));
  EXPECT_EQ(node.server().Stop(), kOk);
  const CallError ended = call.ReadToEnd();
  EXPECT_EQ(ended.status.error_code(), grpc::StatusCode::UNAVAILABLE) << ended;
  EXPECT_FALSE(call.is_whole());
  const std::string file = node.dir().File("backup");
  const CommandResult refused =
      Ctl({"snapshot", "save", file, "--endpoints", node.server().client_address()});
  EXPECT_EQ(refused.exit, ExitStatus{.code = 2}) << refused;
  EXPECT_FALSE(std::filesystem::exists(file + ".part"));
}

TEST(BackupTest, AFileThatCannotBeWrittenIsSaidSo) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("key", "v").ok());
  const CommandResult refused = Ctl({"snapshot", "save", node.dir().File("no/such/folder"),
                                     "--endpoints", node.server().client_address()});
  EXPECT_EQ(refused.exit, kError) << refused;
  EXPECT_THAT(refused.err, HasSubstr("cannot create"));
}

TEST(RecoverTest, TheLastMemberGoesOnAlone) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  PutMany(cluster.client(0), 50, 100);
  ASSERT_TRUE(cluster.client(0).PutWithTtl("mortal", "v", Millis(100'000)).ok());
  ASSERT_TRUE(cluster.WaitUntilEqual());
  const auto before = cluster.client(0).GetStatus();
  cluster.server(1).Kill9();
  cluster.server(2).Kill9();
  const std::string data = cluster.data_dir(0);
  const CommandResult running = Ctl({"recover", data, "--force"});
  EXPECT_EQ(running.exit, kError) << running;
  EXPECT_THAT(running.err, HasSubstr("in use by another process"));
  ASSERT_EQ(cluster.server(0).Stop(), kOk);

  const CommandResult dry = Ctl({"recover", data, "-w", "json"});
  ASSERT_EQ(dry.exit, kOk) << dry;
  EXPECT_THAT(dry.err, HasSubstr("Nothing was changed"));
  const json plan = json::parse(dry.out, nullptr, false);
  EXPECT_EQ(plan["keys"], 51);
  EXPECT_EQ(plan["cluster_id"], absl::StrCat(before->header().cluster_id()));
  EXPECT_TRUE(plan.contains("uncertain_entries"));

  const CommandResult forced = Ctl({"recover", data, "--force", "-w", "json"});
  ASSERT_EQ(forced.exit, kOk) << forced;
  const json after = json::parse(forced.out, nullptr, false);
  EXPECT_NE(after["cluster_id"], absl::StrCat(before->header().cluster_id()));
  ASSERT_TRUE(cluster.Start(0));
  ASSERT_TRUE(cluster.client(0).PutText("new", "v").ok());
  EXPECT_EQ(cluster.client(0).GetText("many/7")->kv().text(), std::string(100, 'a' + 7));
  const auto mortal = cluster.client(0).GetText("mortal");
  EXPECT_GE(mortal->kv().ttl_remaining().seconds(), 60);
  EXPECT_LE(mortal->kv().ttl_remaining().seconds(), 100);
  const auto status = cluster.client(0).GetStatus();
  EXPECT_GE(status->header().revision(), before->header().revision() + (int64_t{1} << 32));
  EXPECT_EQ(cluster.client(0).ListMembers()->members_size(), 1);

  // The others, with their old directories, are of another cluster and change nothing here.
  cluster.server(1).Start();
  cluster.server(2).Start();
  ASSERT_TRUE(cluster.server(1).WaitReady());
  ASSERT_TRUE(cluster.client(0).PutText("still", "v").ok());
  EXPECT_EQ(cluster.client(0).ListMembers()->members_size(), 1);
  EXPECT_EQ(absl::StrCat(cluster.client(0).GetStatus()->header().cluster_id()),
            after["cluster_id"]);
}

TEST(InspectTest, TellsOfARunningAndOfADamagedMember) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("key", "v").ok());
  ASSERT_TRUE(node.client().PutWithTtl("mortal", "v", Millis(100'000)).ok());
  const json running = MustJson({"inspect", node.data_dir()});
  EXPECT_EQ(running["used_by"], absl::StrCat("pid ", node.server().pid()));
  EXPECT_EQ(running["keys"], 2);
  EXPECT_EQ(running["keys_with_ttl"], 1);
  EXPECT_EQ(running["member"], "default");
  EXPECT_EQ(running["term"], node.client().GetStatus()->header().raft_term());
  ASSERT_TRUE(node.client().PutText("more", "v").ok());
  ASSERT_EQ(node.server().Stop(), kOk);
  EXPECT_EQ(MustJson({"inspect", node.data_dir()})["used_by"], "");
  std::filesystem::remove(node.data_dir() + "/db/CURRENT");
  const CommandResult damaged = Ctl({"inspect", node.data_dir()});
  EXPECT_EQ(damaged.exit, kError) << damaged;
  EXPECT_THAT(damaged.out, HasSubstr("identity_error"));
  EXPECT_THAT(damaged.out, HasSubstr("fence_durable_index"));
  EXPECT_EQ(Ctl({"recover", node.data_dir(), "--force"}).exit, kError);
  EXPECT_EQ(Ctl({"inspect", node.dir().File("none")}).exit, kError);
}

TEST(ExportTest, ComesBackAsItWas) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  PutMany(node.client(), 300, 100);
  ASSERT_TRUE(node.client().PutText("odd \"key\"\n", "line\nbreak").ok());
  v1::PutRequest binary = Proto<v1::PutRequest>(R"(key: "binary" data: "\xff\x00\x01")");
  ASSERT_TRUE(node.client().Put(binary).ok());
  ASSERT_TRUE(node.client().PutWithTtl("mortal", "v", Millis(100'000)).ok());
  const std::string endpoint = node.server().client_address();
  const CommandResult exported = Ctl({"export", "--endpoints", endpoint});
  ASSERT_EQ(exported.exit, kOk) << exported.err;
  EXPECT_EQ(std::count(exported.out.begin(), exported.out.end(), '\n'), 303);
  const CommandResult some = Ctl({"export", "--prefix", "many/29", "--endpoints", endpoint});
  EXPECT_EQ(std::count(some.out.begin(), some.out.end(), '\n'), 11);

  SingleNode other;
  ASSERT_TRUE(other.Start());
  const CommandResult imported =
      Ctl({"import", "-", "--endpoints", other.server().client_address()}, exported.out);
  EXPECT_EQ(imported.exit, kOk) << imported;
  EXPECT_EQ(imported.out, "303\n");
  EXPECT_EQ(other.client().GetStatus()->key_count(), 303);
  EXPECT_EQ(other.client().Get(Proto<v1::GetRequest>(R"(key: "binary")"))->kv().data(),
            std::string("\xff\x00\x01", 3));
  EXPECT_EQ(other.client().GetText("odd \"key\"\n")->kv().text(), "line\nbreak");
  const auto mortal = other.client().GetText("mortal");
  EXPECT_LE(mortal->kv().ttl_remaining().seconds(), 100);
  EXPECT_GE(mortal->kv().ttl_remaining().seconds(), 60);
}

TEST(ExportTest, CsvComesBackAsItWasAndManyKeysToo) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  std::string text = "value,key,ttl\n\"line\nbreak, \"\"quoted\"\"\",odd,\n,empty,1h\n";
  constexpr int kKeys = 20'000;
  for (int i = 0; i < kKeys; ++i) {
    absl::StrAppend(&text, i, ",many/", i, ",\n");
  }
  const std::string file = node.dir().File("keys.csv");
  WriteFile(file, text);
  const std::string endpoint = node.server().client_address();
  const CommandResult loaded = Ctl({"load", file, "--endpoints", endpoint});
  ASSERT_EQ(loaded.exit, kOk) << loaded;
  EXPECT_EQ(loaded.out, absl::StrCat(kKeys + 2, "\n"));
  EXPECT_EQ(node.client().GetText("odd")->kv().text(), "line\nbreak, \"quoted\"");
  EXPECT_TRUE(node.client().GetText("empty")->kv().has_ttl_remaining());
  EXPECT_EQ(node.client().GetText("many/17")->kv().text(), "17");

  const CommandResult dumped = Ctl({"dump", "--format", "csv", "--endpoints", endpoint});
  ASSERT_EQ(dumped.exit, kOk) << dumped.err;
  SingleNode other;
  ASSERT_TRUE(other.Start());
  const CommandResult again = Ctl(
      {"load", "-", "--format", "csv", "--endpoints", other.server().client_address()}, dumped.out);
  ASSERT_EQ(again.exit, kOk) << again;
  EXPECT_EQ(other.client().GetStatus()->key_count(), kKeys + 2);
  EXPECT_EQ(other.client().GetText("odd")->kv().text(), "line\nbreak, \"quoted\"");

  WriteFile(file, "key,value\ngood,1\n\"open,2\n");
  const CommandResult bad = Ctl({"load", file, "--endpoints", endpoint});
  EXPECT_EQ(bad.exit, kError);
  EXPECT_THAT(bad.err, HasSubstr(absl::StrCat(file, ":3: a quoted field does not end")));
  EXPECT_FALSE(node.client().GetText("good")->has_kv());
}

TEST(ExportTest, ABadLineIsNamedAndNothingOfItsFileIsWritten) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const std::string endpoint = node.server().client_address();
  const std::string file = node.dir().File("lines");
  for (const auto& [bad, why] : std::vector<std::pair<std::string, std::string>>{
           {"{", "it is no JSON object"},
           {R"({"value":"v"})", "\"key\" is missing"},
           {R"({"key":"k"})", "one of \"value\" and \"value_base64\""},
           {R"({"key":"k","value_base64":"%"})", "is no base64"},
           {R"({"key":"k","value":"v","ttl":"soon"})", "must be a duration"},
           {R"({"key":"k","value":"v","tll":"5s"})", "\"tll\" is not known"}}) {
    WriteFile(file, absl::StrCat("{\"key\":\"good\",\"value\":\"v\"}\n\n", bad, "\n"));
    const CommandResult refused = Ctl({"import", file, "--endpoints", endpoint});
    EXPECT_EQ(refused.exit, kError) << refused;
    EXPECT_THAT(refused.err, HasSubstr(absl::StrCat(file, ":3: ")));
    EXPECT_THAT(refused.err, HasSubstr(why));
    EXPECT_EQ(refused.out, "0\n");
  }
  EXPECT_EQ(node.client().GetStatus()->key_count(), 0);
  // A server's refusal is the server's error.
  WriteFile(file, "{\"key\":\"\",\"value\":\"v\"}\n");
  EXPECT_EQ(Ctl({"import", file, "--endpoints", endpoint}).exit, kServerError);
}

}  // namespace
}  // namespace raftkv::integration
