// Flags are globals of a process, so each case parses in a child of its own.
#include "server/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/version.h"
#include "tests/support/temp_dir.h"

namespace raftkv::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using integration::TempDir;
using integration::WriteFile;

using Arguments = std::vector<std::string>;
using Environment = std::vector<std::pair<std::string, std::string>>;

std::string DescribeTls(const ServerOptions& options) {
  return absl::StrJoin(
      {options.cert_file, options.key_file, options.trusted_ca_file,
       std::string(options.client_cert_auth ? "on" : "off"), options.peer_cert_file,
       options.peer_key_file, options.peer_trusted_ca_file, options.peer_client_cert_auth,
       options.http_cert_file, options.http_key_file, options.http_trusted_ca_file,
       options.http_client_cert_auth},
      ",");
}

std::string Describe(const ServerOptions& options) {
  return absl::StrCat(
      "name=", options.name, " data_dir=", options.data_dir, " config=", options.config,
      " listen_client=", options.listen_client, " listen_peer=", options.listen_peer,
      " listen_http=", options.listen_http, " advertise_client=", options.advertise_client,
      " advertise_peer=", options.advertise_peer, " initial_cluster=", options.initial_cluster,
      " join=", options.join, " wait_for_invite=", options.wait_for_invite ? "on" : "off",
      " auto_replace=", options.auto_replace ? "on" : "off",
      " heartbeat=", options.heartbeat_interval_ms, " election=", options.election_timeout_ms,
      " priority=", options.priority, " value=", options.value_bytes_max,
      " delete_range=", options.delete_range_keys_max, " timeout=", options.request_timeout_ms,
      " memory=", options.memory_bytes_max, " log=", options.log_bytes_max,
      " disk_reserve=", options.disk_reserve_bytes,
      " reflection=", options.reflection ? "on" : "off", " console=", options.console,
      " tls=", DescribeTls(options), "\n");
}

[[noreturn]] void ParseAndPrint(Arguments arguments, const Environment& environment) {
  clearenv();
  for (const auto& [name, value] : environment) {
    setenv(name.c_str(), value.c_str(), /*replace=*/1);
  }
  std::vector<char*> argv = {const_cast<char*>("raftkvd")};
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  const auto options = ParseFlags(static_cast<int>(argv.size()), argv.data());
  if (!options.ok()) {
    std::cout << "error: " << options.status().message() << "\n";
  } else if (options->has_value()) {
    std::cout << Describe(**options);
  }
  std::cout << std::flush;
  _exit(0);
}

// What a child wrote, to stdout and stderr, that parsed these.
std::string Parse(const Arguments& arguments, const Environment& environment = {}) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  std::cout << std::flush;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    ParseAndPrint(arguments, environment);
  }
  EXPECT_GT(child, 0);
  close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(size));
  }
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << output;
  return output;
}

// The one line of an error.
std::string ErrorOf(const Arguments& arguments, const Environment& environment = {}) {
  const std::string output = Parse(arguments, environment);
  EXPECT_THAT(output, StartsWith("error: "));
  EXPECT_EQ(output.find('\n'), output.size() - 1) << "one line: " << output;
  return output;
}

TEST(ParseFlagsTest, NoFlagsAreAWorkingStore) {
  EXPECT_EQ(
      Parse({}),
      "name=default data_dir=./default.raftkv config= listen_client=127.0.0.1:2379 "
      "listen_peer=127.0.0.1:2380 listen_http=127.0.0.1:8080 advertise_client= "
      "advertise_peer= initial_cluster= join= wait_for_invite=off auto_replace=off "
      "heartbeat=100 election=1000 priority=100 value=1048576 delete_range=10000 timeout=10000 "
      "memory=268435456 log=1073741824 disk_reserve=0 reflection=on console=on "
      "tls=,,,off,,,,,,,,\n");
}

TEST(ParseFlagsTest, EveryFlagIsReadFromEverySource) {
  const TempDir dir;
  const std::string path = dir.File("c");
  WriteFile(path, "");
  const Environment values = {{"name", "n1"},
                              {"data_dir", "d"},
                              {"config", path},
                              {"listen_client", "a:1"},
                              {"listen_peer", "b:2"},
                              {"listen_http", "h:9"},
                              {"advertise_client", "c:3"},
                              {"advertise_peer", "d:4"},
                              {"initial_cluster", "n1=e:5"},
                              {"join", "f:6,g:7"},
                              {"wait_for_invite", "true"},
                              {"auto_replace", "true"},
                              {"heartbeat_interval_ms", "20"},
                              {"election_timeout_ms", "200"},
                              {"priority", "7"},
                              {"value_bytes_max", "30"},
                              {"delete_range_keys_max", "40"},
                              {"request_timeout_ms", "50"},
                              {"memory_bytes_max", "70MiB"},
                              {"log_bytes_max", "100MiB"},
                              {"disk_reserve_bytes", "20MiB"},
                              {"reflection", "false"},
                              {"console", "readonly"},
                              {"cert_file", "c"},
                              {"key_file", "k"},
                              {"trusted_ca_file", "a"},
                              {"client_cert_auth", "true"},
                              {"peer_cert_file", "pc"},
                              {"peer_key_file", "pk"},
                              {"peer_trusted_ca_file", "pa"},
                              {"peer_client_cert_auth", "true"},
                              {"http_cert_file", "hc"},
                              {"http_key_file", "hk"},
                              {"http_trusted_ca_file", "ha"},
                              {"http_client_cert_auth", "false"}};
  ASSERT_EQ(values.size(), Option::Table().size());
  Arguments arguments;
  Environment environment;
  std::string file;
  for (const auto& [name, value] : values) {
    arguments.push_back(absl::StrCat("--", name, "=", value));
    environment.emplace_back(absl::StrCat("RAFTKV_", absl::AsciiStrToUpper(name)), value);
    if (name != "config") {
      absl::StrAppend(&file, name, ": ", value, "\n");
    }
  }
  const std::string expected =
      absl::StrCat("name=n1 data_dir=d config=", path,
                   " listen_client=a:1 listen_peer=b:2 listen_http=h:9 advertise_client=c:3 "
                   "advertise_peer=d:4 initial_cluster=n1=e:5 join=f:6,g:7 wait_for_invite=on "
                   "auto_replace=on heartbeat=20 election=200 priority=7 value=30 "
                   "delete_range=40 timeout=50 memory=73400320 log=104857600 disk_reserve=20971520 "
                   "reflection=off console=readonly tls=c,k,a,on,pc,pk,pa,true,hc,hk,ha,false\n");
  EXPECT_EQ(Parse(arguments), expected);
  EXPECT_EQ(Parse({}, environment), expected);
  WriteFile(path, file);
  EXPECT_EQ(Parse({"--config", path}), expected);
}

TEST(ParseFlagsTest, DashesUnderscoresAndSpacesAreTheSame) {
  for (const Arguments& arguments :
       {Arguments{"--data_dir=d"}, Arguments{"--data-dir=d"}, Arguments{"-data_dir=d"},
        Arguments{"-data-dir=d"}, Arguments{"--data_dir", "d"}, Arguments{"--data-dir", "d"},
        Arguments{"-data-dir", "d"}}) {
    EXPECT_THAT(Parse(arguments), HasSubstr(" data_dir=d ")) << arguments.front();
  }
}

TEST(ParseFlagsTest, DashesOfAValueStay) {
  EXPECT_THAT(Parse({"--data-dir=my-data_dir"}), HasSubstr(" data_dir=my-data_dir "));
  EXPECT_THAT(Parse({"--name", "a-b_c"}), StartsWith("name=a-b_c data_dir=./a-b_c.raftkv "));
}

TEST(ParseFlagsTest, TheLastOneWins) {
  EXPECT_THAT(Parse({"--name=a", "--name=b"}), StartsWith("name=b "));
}

TEST(ParseFlagsTest, TheEnvironmentSetsWhatTheCommandLineDoesNot) {
  const Environment environment = {{"RAFTKV_NAME", "env"}, {"RAFTKV_REQUEST_TIMEOUT_MS", "77"}};
  EXPECT_THAT(Parse({}, environment), AllOf(StartsWith("name=env "), HasSubstr(" timeout=77 ")));
  EXPECT_THAT(Parse({"--name=flag"}, environment),
              AllOf(StartsWith("name=flag "), HasSubstr(" timeout=77 ")));
}

TEST(ParseFlagsTest, OtherVariablesAreIgnored) {
  EXPECT_EQ(Parse({}, {{"RAFTKV_NO_SUCH_FLAG", "x"},
                       {"RAFTKV_V", "9"},
                       {"RAFTKV_name", "x"},
                       {"NAME", "x"},
                       {"RAFTKVCTL_ENDPOINTS", "x"}}),
            Parse({}));
}

TEST(ParseFlagsTest, ABadVariableIsNamed) {
  EXPECT_THAT(ErrorOf({}, {{"RAFTKV_VALUE_BYTES_MAX", "much"}}),
              AllOf(HasSubstr("RAFTKV_VALUE_BYTES_MAX=much"), HasSubstr("1 to 3145728")));
}

// A file for --config.
class ConfigFileTest : public testing::Test {
 protected:
  std::string Written(const std::string& text) const {
    WriteFile(path_, text);
    return path_;
  }
  std::string At(absl::string_view place) const { return absl::StrCat("error: ", path_, place); }

  const TempDir dir_;
  const std::string path_ = dir_.File("raftkv.yaml");
};

TEST_F(ConfigFileTest, TheEnvironmentWinsOverItAndTheCommandLineOverBoth) {
  const std::string path = Written("name: file\nrequest_timeout_ms: 11\nvalue_bytes_max: 12\n");
  const Environment environment = {
      {"RAFTKV_CONFIG", path}, {"RAFTKV_NAME", "env"}, {"RAFTKV_REQUEST_TIMEOUT_MS", "21"}};
  EXPECT_THAT(Parse({"--name=flag"}, environment),
              AllOf(StartsWith("name=flag "), HasSubstr(" timeout=21 "), HasSubstr(" value=12 ")));
  EXPECT_THAT(Parse({}, environment), StartsWith("name=env "));
  EXPECT_THAT(Parse({"--config=", "--value_bytes_max=3"}, environment),
              AllOf(HasSubstr(" config= "), HasSubstr(" value=3 "), HasSubstr(" timeout=21 ")))
      << "empty: no file";
  EXPECT_THAT(Parse({"--config", "/nowhere", "--config", path}),
              AllOf(StartsWith("name=file "), HasSubstr("timeout=11")))
      << "the last one wins";
}

TEST_F(ConfigFileTest, ValuesAreReadAsFlagsAre) {
  const auto with = [this](const std::string& line) { return Parse({"--config", Written(line)}); };
  EXPECT_THAT(with("request_timeout_ms: 010"), HasSubstr(" timeout=10 "));
  EXPECT_THAT(with("request-timeout-ms: '0x10'"), HasSubstr(" timeout=16 "));
  EXPECT_THAT(with("log_bytes_max: 64MiB"), HasSubstr(" log=67108864 "));
  EXPECT_THAT(with("reflection: NO"), HasSubstr(" reflection=off"));
  EXPECT_THAT(with("listen_http: \"\""), HasSubstr(" listen_http= "));
  EXPECT_THAT(with("name: 007"), StartsWith("name=007 "));
  EXPECT_THAT(with("reflection: on"),
              StartsWith(At(":1:13: reflection=on: must be true or false; this flag is: ")));
  EXPECT_THAT(with("\nrequest_timeout_ms: 1_000"),
              StartsWith(At(":2:21: request_timeout_ms=1_000: must be a number; ")));
  EXPECT_THAT(
      with("log_bytes_max: \"\""),
      AllOf(StartsWith(At(":1:16: log_bytes_max=: must be a size; ")), HasSubstr("1MiB to 64TiB")));
}

TEST_F(ConfigFileTest, BadKeysHaveTheirPlace) {
  const auto with = [this](const std::string& text) {
    return ErrorOf({"--config", Written(text)});
  };
  EXPECT_THAT(
      with("name: n1\nnmae: n2\n"),
      AllOf(StartsWith(At(":2:1: nmae: unknown key; must be one of name, data_dir, listen")),
            HasSubstr(", reflection")));
  EXPECT_THAT(with("config: other.yaml"),
              StartsWith(At(":1:1: config: a file cannot name another one")));
  EXPECT_THAT(with("check_config: true"), HasSubstr("check_config: unknown key"));
  EXPECT_THAT(with("node-id: n1"),
              StartsWith(At(":1:1: node-id: is not a flag of raftkvd; use --")));
  EXPECT_THAT(
      with("data_dir: a\ndata-dir: b"),
      StartsWith(At(absl::StrCat(":2:1: data-dir: is given twice, first at ", path_, ":1:1"))));
  EXPECT_THAT(with("name: a\nname: b"), StartsWith(At(":2:1: name: is given twice")));
  EXPECT_THAT(with("name:"), StartsWith(At(":1:1: name: has no value")));
  EXPECT_THAT(ErrorOf({}, {{"RAFTKV_CONFIG", dir_.File("none")}}),
              StartsWith(absl::StrCat("error: --config=", dir_.File("none"), ": No such file")));
}

// What a flag may be is asked once it is known who wins; then its place is named as well.
TEST_F(ConfigFileTest, BadValuesHaveTheirPlace) {
  const std::string path = Written("# Values.\nvalue_bytes_max: 0\n");
  EXPECT_THAT(ErrorOf({"--config", path}),
              StartsWith(At(":2:1: --value_bytes_max=0: must be 1 to 3145728")));
  EXPECT_THAT(Parse({"--config", path, "--value_bytes_max=5"}), HasSubstr(" value=5 "));
  EXPECT_THAT(ErrorOf({"--config", Written("initial_cluster: n1")}),
              StartsWith(At(":1:1: --initial_cluster: entry \"n1\": ")));
  EXPECT_THAT(ErrorOf({"--config", path, "--value_bytes_max=-5"}),
              StartsWith("error: --value_bytes_max=-5: must be "));
}

TEST_F(ConfigFileTest, EveryTextIsReadWhoeverWins) {
  const std::string path = Written("value_bytes_max: much\n");
  EXPECT_THAT(ErrorOf({"--config", path, "--value_bytes_max=5"}), StartsWith(At(":1:18: ")));
}

TEST_F(ConfigFileTest, ACheckShowsWhatWouldBeInForce) {
  const std::string path = Written("name: file\nmemory_bytes_max: 1GiB\n");
  const Environment environment = {{"RAFTKV_DATA_DIR", "a b"}};
  for (const char* check : {"--check_config", "--check-config", "-check_config"}) {
    const std::string shown = Parse({"--config", path, check, "--reflection=false"}, environment);
    EXPECT_THAT(shown,
                AllOf(StartsWith(absl::StrCat("name: \"file\"  # file ", path,
                                              ":1:1\n"
                                              "data_dir: \"a b\"  # environment\n"
                                              "# config: \"",
                                              path, "\"  # flag\n")),
                      HasSubstr(absl::StrCat("\nmemory_bytes_max: 1GiB  # file ", path, ":2:1\n")),
                      HasSubstr("\nlog_bytes_max: 1GiB  # default\n"),
                      HasSubstr("\nreflection: false  # flag\n")));
    const std::string flags = Parse({"--config", path, "--reflection=false"}, environment);
    EXPECT_EQ(Parse({"--config", Written(shown)}), flags) << "what it shows means the same";
    Written("name: file\nmemory_bytes_max: 1GiB\n");
  }
  EXPECT_THAT(ErrorOf({"--check_config=true"}), HasSubstr("unknown flag"));
  EXPECT_THAT(Parse({}, {{"RAFTKV_CHECK_CONFIG", "true"}}), StartsWith("name=default"));
}

TEST_F(ConfigFileTest, ACheckFindsWhatAStartWould) {
  EXPECT_THAT(ErrorOf({"--check_config", "--value_bytes_max=0"}),
              StartsWith("error: --value_bytes_max=0: must be "));
  EXPECT_THAT(ErrorOf({"--check_config", "--config", dir_.File("none")}),
              HasSubstr("No such file"));
  for (const char* flag : {"listen_client", "listen_peer", "listen_http"}) {
    for (const char* address : {"nowhere.invalid:1", "192.0.2.1:1"}) {
      const std::string argument = absl::StrCat("--", flag, "=", address);
      EXPECT_THAT(ErrorOf({"--check_config", argument}),
                  StartsWith(absl::StrCat("error: ", argument, ": cannot ")));
    }
  }
}

TEST(ParseFlagsTest, NumbersAreNumbers) {
  for (const char* flag : {"heartbeat_interval_ms", "election_timeout_ms", "priority",
                           "value_bytes_max", "delete_range_keys_max", "request_timeout_ms"}) {
    for (const char* value : {"", "x", "10x", "1.5", "1e3", "99999999999999999999"}) {
      const std::string argument = absl::StrCat("--", flag, "=", value);
      EXPECT_THAT(ErrorOf({argument}), StartsWith(absl::StrCat("error: ", argument, ": must be ")));
    }
  }
  EXPECT_THAT(ErrorOf({"--request-timeout-ms", "soon"}),
              HasSubstr("--request-timeout-ms soon: must be "));
  EXPECT_THAT(ErrorOf({"--request_timeout_ms=-1"}),
              HasSubstr("--request_timeout_ms=-1: must be 1 to 600000"));
}

TEST(ParseFlagsTest, SizesHaveUnits) {
  EXPECT_THAT(Parse({"--log_bytes_max=64MiB"}), HasSubstr(" log=67108864 "));
  EXPECT_THAT(Parse({"--log-bytes-max", "2GiB"}), HasSubstr(" log=2147483648 "));
  EXPECT_THAT(Parse({}, {{"RAFTKV_LOG_BYTES_MAX", "67108864"}}), HasSubstr(" log=67108864 "));
  for (const char* value : {"", "x", "64MB", "64 MiB", "1.5GiB", "-1", "99999999999999999999"}) {
    const std::string argument = absl::StrCat("--log_bytes_max=", value);
    EXPECT_THAT(ErrorOf({argument}),
                AllOf(StartsWith(absl::StrCat("error: ", argument, ": must be a size; ")),
                      HasSubstr("1MiB to 64TiB")));
  }
  EXPECT_THAT(ErrorOf({"--log_bytes_max=1023KiB"}),
              HasSubstr("--log_bytes_max=1023KiB: must be 1MiB to 64TiB"));
  EXPECT_THAT(ErrorOf({"--log_bytes_max=65TiB"}), HasSubstr("--log_bytes_max=65TiB: must be "));
  EXPECT_THAT(Parse({"--disk_reserve_bytes=0"}), HasSubstr(" disk_reserve=0 "));
  EXPECT_THAT(Parse({"--disk_reserve_bytes=16MiB"}), HasSubstr(" disk_reserve=16777216 "));
  for (const char* value : {"1", "16383KiB", "2TiB"}) {
    const std::string argument = absl::StrCat("--disk_reserve_bytes=", value);
    EXPECT_THAT(ErrorOf({argument}), HasSubstr(": must be 0, or 16MiB to 1TiB, in bytes"));
  }
}

TEST(ParseFlagsTest, SwitchesAreTrueOrFalse) {
  EXPECT_THAT(Parse({"--reflection=true"}), HasSubstr(" reflection=on"));
  EXPECT_THAT(Parse({"--reflection", "false"}), HasSubstr(" reflection=off"));
  EXPECT_THAT(Parse({}, {{"RAFTKV_REFLECTION", "false"}}), HasSubstr(" reflection=off"));
  for (const char* value : {"", "x", "2", "off"}) {
    const std::string argument = absl::StrCat("--reflection=", value);
    EXPECT_THAT(ErrorOf({argument}),
                StartsWith(absl::StrCat("error: ", argument, ": must be true or false; ")));
  }
  EXPECT_THAT(ErrorOf({"--reflection"}), HasSubstr("--reflection: needs a value"));
}

TEST(ParseFlagsTest, AFlagNeedsItsValue) {
  EXPECT_THAT(ErrorOf({"--name"}), HasSubstr("--name: needs a value"));
  EXPECT_THAT(ErrorOf({"--name=n1", "-data-dir"}), HasSubstr("-data-dir: needs a value"));
  EXPECT_THAT(ErrorOf({"--name="}), HasSubstr("--name=: must be 1 to 64"));
}

TEST(ParseFlagsTest, UnknownFlagsAreRefused) {
  for (const char* argument : {"--nmae=x", "--no_such_flag", "-x", "--", "--=x", "--NAME=x"}) {
    EXPECT_THAT(ErrorOf({argument}),
                StartsWith(absl::StrCat("error: ", argument, ": unknown flag; see --help")));
  }
}

// Flags of the libraries are not offered: they are no part of the contract.
TEST(ParseFlagsTest, FlagsOfLibrariesAreUnknown) {
  for (const char* argument : {"--logtostderr=false", "--v=9", "--flagfile=x", "--fromenv=name",
                               "--undefok=x", "--helpfull"}) {
    EXPECT_THAT(ErrorOf({argument}), HasSubstr("unknown flag"));
  }
}

TEST(ParseFlagsTest, OnlyFlagsAreTaken) {
  for (const char* argument : {"extra", "-", ""}) {
    EXPECT_THAT(ErrorOf({"--name=n1", argument}),
                HasSubstr(absl::StrCat("\"", argument, "\": raftkvd takes flags only")));
  }
}

TEST(ParseFlagsTest, FlagsOfOtherStoresNameOurs) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"id", "--name"},          {"node-id", "--name"},          {"addr", "--listen_client"},
      {"http", "--listen_http"}, {"peers", "--initial_cluster"}, {"raft-addr", "--listen_peer"}};
  for (const auto& [foreign, ours] : cases) {
    for (const std::string& argument : {absl::StrCat("-", foreign), absl::StrCat("--", foreign),
                                        absl::StrCat("-", foreign, "=x")}) {
      EXPECT_THAT(
          ErrorOf({argument, "x"}),
          AllOf(StartsWith(absl::StrCat("error: ", argument, ": ")), HasSubstr("use " + ours)));
    }
  }
}

TEST(ParseFlagsTest, OptionsAreChecked) {
  EXPECT_THAT(ErrorOf({"--name=n1", "--initial_cluster=n1=h:1,n1=h:2"}),
              AllOf(HasSubstr("--initial_cluster"), HasSubstr("twice")));
}

// What --help says after the version.
constexpr char kHelp[] =
    ": a member of a distributed, strongly consistent key-value store.\n"
    "\n"
    "  raftkvd [--flag=value ...]\n"
    "  raftkvd --check_config [--flag=value ...]   shows what would be in force, and exits\n"
    "\n"
    "With no flags it is a working single-node store. Flags may be written with - for _.\n"
    "The environment variable RAFTKV_<FLAG> sets a flag that the command line does not, and\n"
    "the file of --config one that neither does.\n"
    "\n"
    "Member:\n"
    "  --name=default\n"
    "      this member's name, 1 to 64 of A-Z a-z 0-9 . _ -, unique in the cluster\n"
    "  --data_dir\n"
    "      everything the node keeps; default ./<name>.raftkv; created with mode 0700; "
    "one process at a time\n"
    "  --config\n"
    "      a YAML file with lines of `flag: value`, names as here; the environment wins over it, "
    "and the command line over both\n"
    "\n"
    "Addresses:\n"
    "  --listen_client=127.0.0.1:2379\n"
    "      gRPC client API, reflection and health, on every address that a name has; "
    ":port is all interfaces, port 0 any port\n"
    "  --listen_peer=127.0.0.1:2380\n"
    "      gRPC peer API\n"
    "  --listen_http=127.0.0.1:8080\n"
    "      the client API as HTTP and JSON, and status pages; empty is off\n"
    "  --advertise_client\n"
    "      what clients are told; default what is listened on, a wildcard becoming the "
    "host of --advertise_peer\n"
    "  --advertise_peer\n"
    "      what peers dial, never a wildcard; default this name's --initial_cluster "
    "entry, else what is listened on\n"
    "\n"
    "Cluster:\n"
    "  --initial_cluster\n"
    "      n1=host:port,n2=host:port,... peer addresses, the same list on every founding "
    "node; default this node alone; once the directory holds data, only more places to "
    "look for members\n"
    "  --join\n"
    "      host:port,... peer addresses of members of a running cluster, one of which is asked to "
    "add this node as a new member; without a meaning once the directory holds data\n"
    "  --wait_for_invite=false\n"
    "      start empty, and become a member of the first cluster that adds this node (raftkvctl "
    "member add); without a meaning once the directory holds data; true or false\n"
    "  --auto_replace=false\n"
    "      on every member: the leader replaces one that comes back without its data, under its "
    "name and certificate, by itself; needs TLS with --peer_client_cert_auth; true or false\n"
    "  --heartbeat_interval_ms=100\n"
    "      a leader's heartbeats; 10 to 10000\n"
    "  --election_timeout_ms=1000\n"
    "      a follower that hears nothing for a time drawn from [t, 2t) campaigns; 50 to "
    "100000, at least 5 heartbeats\n"
    "  --priority=100\n"
    "      how much this member is wanted to lead: leadership goes to the highest that keeps up, "
    "and to a member with 0 only where no other can; 0 to 1000\n"
    "\n"
    "Limits:\n"
    "  --value_bytes_max=1048576\n"
    "      largest value in bytes; 1 to 3145728\n"
    "  --delete_range_keys_max=10000\n"
    "      most keys that one DeleteRange removes; 1 to 1000000\n"
    "  --request_timeout_ms=10000\n"
    "      for calls that come without a deadline; 1 to 600000\n"
    "  --memory_bytes_max=256MiB\n"
    "      what the node plans to hold in memory: cache, write buffers, the log's newest "
    "entries and requests share it; 64MiB to 16TiB, in bytes or with KiB, MiB, GiB or TiB\n"
    "  --log_bytes_max=1GiB\n"
    "      what the Raft log may take on disk; beyond it the oldest entries go, and a member "
    "that lacks them is brought a snapshot; 1MiB to 64TiB, in bytes or with KiB, MiB, GiB or "
    "TiB\n"
    "  --disk_reserve_bytes=0\n"
    "      free space on the disk of --data_dir below which the cluster refuses puts, so that "
    "deletes still find room; less than 1GiB makes RocksDB work in smaller pieces; 0 is 1GiB or 5 "
    "% of the disk, whichever is less; 0, or 16MiB to 1TiB, in bytes or with KiB, MiB, GiB or "
    "TiB\n"
    "\n"
    "Access:\n"
    "  --reflection=true\n"
    "      describe the client API to whoever asks on the client port, as grpcurl does; "
    "the peer port never does; true or false\n"
    "  --console=on\n"
    "      the pages for people at / of the HTTP port, on, readonly or off; readonly ones offer no "
    "edits, and writes that come from a page are refused\n"
    "\n"
    "TLS:\n"
    "  --cert_file\n"
    "      certificate of the client port, and what leads from it to a CA, in PEM; with it the "
    "ports "
    "speak TLS only; it, and all files of TLS, are read again when they change\n"
    "  --key_file\n"
    "      private key of --cert_file, in PEM, without a password\n"
    "  --trusted_ca_file\n"
    "      CAs of the certificates of clients and of members, in PEM\n"
    "  --client_cert_auth=false\n"
    "      refuse clients without a certificate of --trusted_ca_file; true or false\n"
    "  --peer_cert_file\n"
    "      the same for the peer port and for what this member shows to others; it must be for "
    "DNS:<name>; default --cert_file\n"
    "  --peer_key_file\n"
    "      private key of --peer_cert_file\n"
    "  --peer_trusted_ca_file\n"
    "      default --trusted_ca_file\n"
    "  --peer_client_cert_auth\n"
    "      true or false: refuse members without a certificate for their name; default "
    "--client_cert_auth\n"
    "  --http_cert_file\n"
    "      the same for the HTTP port; default --cert_file\n"
    "  --http_key_file\n"
    "      private key of --http_cert_file\n"
    "  --http_trusted_ca_file\n"
    "      default --trusted_ca_file\n"
    "  --http_client_cert_auth\n"
    "      true or false; default --client_cert_auth\n";

TEST(ParseFlagsTest, HelpShowsEveryFlagInGroups) {
  const std::string expected = absl::StrCat("raftkvd ", kVersion, kHelp);
  for (const char* argument : {"--help", "-help", "-h"}) {
    EXPECT_EQ(Parse({"--name=n1", argument}), expected) << argument;
  }
}

// Help is also for those who got another flag or the environment wrong.
TEST(ParseFlagsTest, HelpAndVersionComeBeforeErrors) {
  EXPECT_THAT(Parse({"--nonsense", "--help"}), HasSubstr("Member:"));
  EXPECT_EQ(Parse({"--version"}, {{"RAFTKV_VALUE_BYTES_MAX", "much"}}),
            absl::StrCat("raftkvd version: ", kVersion, "\n"));
}

}  // namespace
}  // namespace raftkv::server
