#include "client/ctl/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

namespace raftkv::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::variant<Invocation, EarlyExit> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "raftkvctl");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

Invocation Good(const std::vector<const char*>& arguments) {
  const auto parsed = Parse(arguments);
  if (const auto* early = std::get_if<EarlyExit>(&parsed)) {
    ADD_FAILURE() << early->err << early->out;
    return Invocation{.global = {}, .command = VersionCommand{}};
  }
  return std::get<Invocation>(parsed);
}

EarlyExit Early(const std::vector<const char*>& arguments) {
  const auto parsed = Parse(arguments);
  if (std::holds_alternative<Invocation>(parsed)) {
    ADD_FAILURE() << "was accepted: " << ::testing::PrintToString(arguments);
    return EarlyExit{};
  }
  return std::get<EarlyExit>(parsed);
}

// Sets an environment variable for one test.
class ScopedEnvironment {
 public:
  ScopedEnvironment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~ScopedEnvironment() { unsetenv(name_); }

 private:
  const char* const name_;
};

TEST(CommandLineTest, Defaults) {
  const GlobalOptions global = Good({"version"}).global;
  EXPECT_EQ(global.endpoints, std::vector<std::string>{"127.0.0.1:2379"});
  EXPECT_EQ(global.format, OutputFormat::kSimple);
  EXPECT_EQ(global.command_timeout, absl::Seconds(5));
}

std::vector<std::string> OfflineArguments(const std::vector<const char*>& arguments) {
  return std::get<OfflineCommand>(Good(arguments).command).arguments;
}

TEST(CommandLineTest, OfflineCommandsAreRaftkvds) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(OfflineArguments({"snapshot", "status", "f"}), (Words{"status", "f"}));
  EXPECT_EQ(OfflineArguments({"snapshot", "status", "f", "--hash"}),
            (Words{"status", "f", "hash"}));
  EXPECT_EQ(OfflineArguments({"snapshot", "restore", "f", "--data_dir", "d", "--name", "n1"}),
            (Words{"restore", "f", "d", "n1"}));
  EXPECT_EQ(OfflineArguments({"snapshot", "restore", "f", "--data-dir=d", "--name=n1",
                              "--initial-cluster=n1=a:1,n2=b:1"}),
            (Words{"restore", "f", "d", "n1", "n1=a:1,n2=b:1"}));
  EXPECT_EQ(OfflineArguments({"recover", "d"}), (Words{"recover", "d"}));
  EXPECT_EQ(OfflineArguments({"recover", "d", "--force"}), (Words{"recover", "d", "force"}));
  EXPECT_EQ(OfflineArguments({"inspect", "d"}), (Words{"inspect", "d"}));
  const auto command =
      std::get<OfflineCommand>(Good({"inspect", "d", "--raftkvd", "/opt/raftkvd"}).command);
  EXPECT_EQ(command.raftkvd, "/opt/raftkvd");
  EXPECT_EQ(Early({"snapshot", "restore", "f", "--name", "n1"}).code, ExitCode::kBadArguments);
  EXPECT_EQ(Early({"snapshot"}).code, ExitCode::kBadArguments);
  EXPECT_EQ(Early({"recover"}).code, ExitCode::kBadArguments);
}

TEST(CommandLineTest, BackupsAndExportsAreOfAFreshness) {
  EXPECT_EQ(std::get<SnapshotSaveCommand>(Good({"snapshot", "save", "f"}).command).consistency,
            Consistency::kLinearizable);
  const auto stale =
      std::get<SnapshotSaveCommand>(Good({"snapshot", "save", "f", "--consistency=s"}).command);
  EXPECT_EQ(stale.consistency, Consistency::kStale);
  EXPECT_EQ(stale.file, "f");
  const auto exported =
      std::get<ExportCommand>(Good({"export", "--prefix", "p", "--consistency", "s"}).command);
  EXPECT_EQ(exported.prefix, "p");
  EXPECT_EQ(exported.consistency, Consistency::kStale);
  EXPECT_EQ(exported.format, "");
  EXPECT_EQ(std::get<ExportCommand>(Good({"dump", "--format", "csv"}).command).format, "csv");
  EXPECT_EQ(std::get<ImportCommand>(Good({"import", "-"}).command).file, "-");
  const auto load = std::get<ImportCommand>(Good({"load", "keys.txt", "--format", "json"}).command);
  EXPECT_EQ(load.file, "keys.txt");
  EXPECT_EQ(load.format, "json");
}

TEST(CommandLineTest, GlobalOptionsMayStandAnywhere) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--endpoints", "a:1,b:2", "-w", "json", "--command-timeout",
                                 "300ms", "endpoint", "status"},
        std::vector<const char*>{"endpoint", "status", "--endpoints=a:1,b:2", "--write-out=json",
                                 "--command-timeout=300ms"}}) {
    const GlobalOptions global = Good(arguments).global;
    EXPECT_EQ(global.endpoints, (std::vector<std::string>{"a:1", "b:2"}));
    EXPECT_EQ(global.format, OutputFormat::kJson);
    EXPECT_EQ(global.command_timeout, absl::Milliseconds(300));
  }
}

TEST(CommandLineTest, EnvironmentCountsUnlessTheFlagIsGiven) {
  const ScopedEnvironment endpoints("RAFTKVCTL_ENDPOINTS", "e:1");
  const ScopedEnvironment format("RAFTKVCTL_WRITE_OUT", "table");
  const ScopedEnvironment timeout("RAFTKVCTL_COMMAND_TIMEOUT", "9s");
  const GlobalOptions global = Good({"get", "k"}).global;
  EXPECT_EQ(global.endpoints, std::vector<std::string>{"e:1"});
  EXPECT_EQ(global.format, OutputFormat::kTable);
  EXPECT_EQ(global.command_timeout, absl::Seconds(9));
  EXPECT_EQ(Good({"get", "k", "--endpoints", "f:1"}).global.endpoints,
            std::vector<std::string>{"f:1"});
}

TEST(CommandLineTest, TlsIsWhereAFileIsNamed) {
  EXPECT_FALSE(Good({"get", "k"}).global.tls.has_value());
  const auto tls =
      Good({"get", "k", "--cacert", "ca", "--cert=client.pem", "--key=client.key"}).global.tls;
  ASSERT_TRUE(tls.has_value());
  EXPECT_EQ(tls->ca_file, "ca");
  EXPECT_EQ(tls->cert_file, "client.pem");
  EXPECT_EQ(tls->key_file, "client.key");
  const ScopedEnvironment ca("RAFTKVCTL_CACERT", "env_ca");
  EXPECT_EQ(Good({"get", "k"}).global.tls->ca_file, "env_ca");
  EXPECT_EQ(Early({"get", "k", "--cert", "client.pem"}).code, ExitCode::kBadArguments);
  EXPECT_EQ(Early({"get", "k", "--key", "client.key"}).code, ExitCode::kBadArguments);
}

TEST(CommandLineTest, Put) {
  const auto put = std::get<PutCommand>(Good({"put", "k", "v", "--ttl", "1m30s"}).command);
  EXPECT_EQ(put.key, "k");
  EXPECT_EQ(put.value, "v");
  EXPECT_EQ(put.ttl, absl::Seconds(90));
  EXPECT_FALSE(put.value_from_stdin);
  EXPECT_TRUE(std::get<PutCommand>(Good({"put", "k", "v", "--keep-ttl"}).command).keep_ttl);
  EXPECT_TRUE(std::get<PutCommand>(Good({"put", "k", "-"}).command).value_from_stdin);
  EXPECT_EQ(std::get<PutCommand>(Good({"put", "k", "v", "--ttl=-5s"}).command).ttl,
            -absl::Seconds(5));
}

TEST(CommandLineTest, OddValuesArriveAsTheyAre) {
  for (const char* value :
       {"", "a b", "[a,b]", "a=b", "get", "member", "{\"x\":1}", "\"q\"", "%"}) {
    EXPECT_EQ(std::get<PutCommand>(Good({"put", "k", value}).command).value, value);
    EXPECT_EQ(std::get<PutCommand>(Good({"put", value, "v"}).command).key, value);
  }
  EXPECT_EQ(std::get<PutCommand>(Good({"put", "--", "-k", "--v"}).command).key, "-k");
  EXPECT_EQ(std::get<PutCommand>(Good({"put", "--", "-k", "--v"}).command).value, "--v");
}

TEST(CommandLineTest, Get) {
  const auto plain = std::get<GetCommand>(Good({"get", "k"}).command);
  EXPECT_EQ(plain.key, "k");
  EXPECT_FALSE(plain.prefix || plain.keys_only || plain.print_value_only || plain.fail_missing);
  EXPECT_EQ(plain.limit, 0);
  EXPECT_EQ(plain.consistency, Consistency::kLinearizable);
  const auto full = std::get<GetCommand>(Good({"get", "", "--prefix", "--keys-only", "--limit", "7",
                                               "--consistency=s", "--fail-missing"})
                                             .command);
  EXPECT_EQ(full.key, "");
  EXPECT_TRUE(full.prefix && full.keys_only && full.fail_missing);
  EXPECT_TRUE(
      std::get<GetCommand>(Good({"get", "k", "--print-value-only"}).command).print_value_only);
  EXPECT_EQ(full.limit, 7);
  EXPECT_EQ(full.consistency, Consistency::kStale);
  const std::map<const char*, Consistency> names = {{"l", Consistency::kLinearizable},
                                                    {"linearizable", Consistency::kLinearizable},
                                                    {"s", Consistency::kStale},
                                                    {"stale", Consistency::kStale}};
  for (const auto& [name, consistency] : names) {
    EXPECT_EQ(std::get<GetCommand>(Good({"get", "k", "--consistency", name}).command).consistency,
              consistency)
        << name;
  }
}

TEST(CommandLineTest, GetSaysOfWhenItIs) {
  const auto plain = std::get<GetCommand>(Good({"get", "k"}).command);
  EXPECT_EQ(plain.revision, 0);
  EXPECT_EQ(plain.max_staleness, std::nullopt);
  EXPECT_EQ(std::get<GetCommand>(Good({"get", "k", "--rev", "7"}).command).revision, 7);
  EXPECT_EQ(
      std::get<GetCommand>(Good({"get", "k", "--max-staleness", "1s500ms"}).command).max_staleness,
      absl::Milliseconds(1500));
  for (const std::vector<const char*>& bad :
       {std::vector<const char*>{"get", "k", "--rev", "0"},
        {"get", "k", "--rev", "-1"},
        {"get", "k", "--max-staleness", "0s"},
        {"get", "k", "--max-staleness", "25h"},
        {"get", "k", "--max-staleness", "1s", "--rev", "7"},
        {"get", "k", "--max-staleness", "1s", "--consistency", "s"},
        {"diff", "1"},
        {"diff", "0", "1"}}) {
    EXPECT_EQ(Early(bad).code, ExitCode::kBadArguments) << ::testing::PrintToString(bad);
  }
}

TEST(CommandLineTest, CommandsOfTheHistory) {
  const auto plain = std::get<WatchCommand>(Good({"watch", "k"}).command);
  EXPECT_EQ(plain.key, "k");
  EXPECT_FALSE(plain.prefix || plain.prev_kv);
  EXPECT_EQ(plain.from, 0);
  const auto full = std::get<WatchCommand>(
      Good({"watch", "--prefix", "", "--from", "7", "--prev-kv", "--exec", "true"}).command);
  EXPECT_TRUE(full.prefix && full.prev_kv);
  EXPECT_EQ(full.from, 7);
  EXPECT_EQ(full.exec, "true");
  EXPECT_EQ(std::get<HistoryCommand>(Good({"history", "k"}).command).key, "k");
  EXPECT_EQ(std::get<CompactCommand>(Good({"compact", "9"}).command).revision, 9);
  const auto diff =
      std::get<DiffCommand>(Good({"diff", "3", "9", "--prefix", "p", "--keys-only"}).command);
  EXPECT_EQ(diff.from, 3);
  EXPECT_EQ(diff.to, 9);
  EXPECT_EQ(diff.prefix, "p");
  EXPECT_TRUE(diff.keys_only);
}

TEST(CommandLineTest, CommandsOfLeases) {
  const auto grant =
      std::get<LeaseGrantCommand>(Good({"lease", "grant", "1m30s", "--id", "7"}).command);
  EXPECT_EQ(grant.ttl, absl::Seconds(90));
  EXPECT_EQ(grant.id, 7);
  const auto renew = std::get<LeaseRenewCommand>(Good({"lease", "renew", "7"}).command);
  EXPECT_EQ(renew.id, 7);
  EXPECT_EQ(renew.ttl, std::nullopt);
  EXPECT_EQ(std::get<LeaseRenewCommand>(Good({"lease", "renew", "7", "--ttl", "2s"}).command).ttl,
            absl::Seconds(2));
  EXPECT_EQ(std::get<LeaseRevokeCommand>(Good({"lease", "revoke", "7"}).command).id, 7);
  EXPECT_TRUE(std::get<LeaseGetCommand>(Good({"lease", "get", "7", "--keys"}).command).keys);
  EXPECT_TRUE(std::holds_alternative<LeaseListCommand>(Good({"lease", "list"}).command));
  EXPECT_TRUE(
      std::get<LeaseKeepAliveCommand>(Good({"lease", "keep-alive", "7", "--once"}).command).once);
  EXPECT_EQ(std::get<PutCommand>(Good({"put", "k", "v", "--lease", "7"}).command).lease_id, 7);
  for (const std::vector<const char*>& bad : {std::vector<const char*>{"lease"},
                                              {"lease", "grant"},
                                              {"lease", "grant", "soon"},
                                              {"lease", "get", "0"},
                                              {"lease", "revoke", "x"},
                                              {"put", "k", "v", "--lease", "-1"},
                                              {"put", "k", "v", "--lease", "7", "--ttl", "5s"},
                                              {"lock"},
                                              {"elect", "name"}}) {
    EXPECT_EQ(Early(bad).code, ExitCode::kBadArguments) << ::testing::PrintToString(bad);
  }
}

TEST(CommandLineTest, LocksRunWhatFollows) {
  const auto plain = std::get<LockCommand>(Good({"lock", "name"}).command);
  EXPECT_EQ(plain.name, "name");
  EXPECT_EQ(plain.ttl, absl::Seconds(10));
  EXPECT_TRUE(plain.command.empty());
  const auto full = std::get<LockCommand>(
      Good({"lock", "name", "--ttl", "3s", "--wait", "1s", "--", "sh", "-c", "exit 3"}).command);
  EXPECT_EQ(full.ttl, absl::Seconds(3));
  EXPECT_EQ(full.wait, absl::Seconds(1));
  EXPECT_EQ(full.command, (std::vector<std::string>{"sh", "-c", "exit 3"}));
  const auto elect = std::get<LockCommand>(Good({"elect", "name", "me", "--", "get"}).command);
  EXPECT_EQ(elect.value, "me");
  EXPECT_EQ(elect.command, std::vector<std::string>{"get"});
}

TEST(CommandLineTest, TheOtherCommands) {
  EXPECT_TRUE(std::get<DeleteCommand>(Good({"del", "k", "--prefix"}).command).prefix);
  EXPECT_FALSE(std::get<DeleteCommand>(Good({"del", "k"}).command).prefix);
  EXPECT_TRUE(std::holds_alternative<MemberListCommand>(Good({"member", "list"}).command));
  EXPECT_EQ(std::get<MoveLeaderCommand>(Good({"move-leader"}).command).name, "");
  EXPECT_EQ(std::get<MoveLeaderCommand>(Good({"move-leader", "n2"}).command).name, "n2");
  EXPECT_TRUE(
      std::get<EndpointStatusCommand>(Good({"endpoint", "status", "--cluster"}).command).cluster);
  EXPECT_FALSE(std::get<EndpointHealthCommand>(Good({"endpoint", "health"}).command).cluster);
  for (const char* name : {"hash", "hashkv"}) {
    const auto plain = std::get<EndpointHashCommand>(Good({"endpoint", name}).command);
    EXPECT_FALSE(plain.cluster || plain.scan);
    const auto full =
        std::get<EndpointHashCommand>(Good({"endpoint", name, "--cluster", "--scan"}).command);
    EXPECT_TRUE(full.cluster && full.scan);
  }
  EXPECT_TRUE(std::holds_alternative<TopCommand>(Good({"top"}).command));
  EXPECT_TRUE(std::holds_alternative<VersionCommand>(Good({"version"}).command));
}

TEST(CommandLineTest, BadArgumentsExit128AndSayWhichOnStderr) {
  const struct {
    std::vector<const char*> arguments;
    const char* named;
  } kCases[] = {
      {{}, "subcommand"},
      {{"frobnicate"}, "frobnicate"},
      {{"put", "k"}, "value"},
      {{"put", "k", "v", "w"}, "w"},
      {{"put", "k", "v", "--ttl", "soon"}, "soon"},
      {{"put", "k", "v", "--ttl", "5s", "--keep-ttl"}, "--keep-ttl"},
      {{"get", "k", "--keys-only", "--print-value-only"}, "--keys-only"},
      {{"get"}, "key"},
      {{"get", "k", "--limit=-1"}, "--limit"},
      {{"get", "k", "--limit=many"}, "--limit"},
      {{"get", "k", "--consistency=x"}, "--consistency"},
      {{"get", "k", "--frob"}, "--frob"},
      {{"get", "k", "-w", "xml"}, "xml"},
      {{"get", "k", "--command-timeout", "0s"}, "--command-timeout"},
      {{"get", "k", "--command-timeout", "25h"}, "--command-timeout"},
      {{"member"}, "subcommand"},
      {{"endpoint"}, "subcommand"},
      {{"endpoint", "dance"}, "dance"},
      {{"put", "--frob"}, "--frob"},
  };
  for (const auto& test : kCases) {
    const EarlyExit early = Early(test.arguments);
    EXPECT_EQ(early.code, ExitCode::kBadArguments) << ::testing::PrintToString(test.arguments);
    EXPECT_THAT(early.err, AllOf(StartsWith("Error: "), HasSubstr(test.named)));
    EXPECT_EQ(early.out, "");
  }
}

TEST(CommandLineTest, HelpIsGroupedAndGoesToStdout) {
  const EarlyExit early = Early({"--help"});
  EXPECT_EQ(early.code, ExitCode::kOk);
  EXPECT_EQ(early.err, "");
  for (const char* part : {"Global options:", "Keys:", "Cluster:", "--endpoints",
                           "RAFTKVCTL_ENDPOINTS", "put", "endpoint", "Exit: 0 ok"}) {
    EXPECT_THAT(early.out, HasSubstr(part));
  }
  EXPECT_THAT(Early({"get", "--help"}).out, HasSubstr("--print-value-only"));
  EXPECT_THAT(Early({"--version"}).out, HasSubstr("raftkvctl version: "));
}

}  // namespace
}  // namespace raftkv::ctl
