#include "server/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"

namespace raftkv::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string ErrorOf(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n"))) << "one line";
  return std::string(status.message());
}

TEST(OptionTest, HelpSaysWhatTheValueMayBe) {
  Option option{.group = "Group", .name = "name", .meaning = "what it is", .value = Option::Text{}};
  EXPECT_EQ(option.Help(), "what it is");
  option.value = Option::Switch{};
  EXPECT_EQ(option.Help(), "what it is; true or false");
  option.value = Option::Size{nullptr, 0, 1024, 2048};
  EXPECT_EQ(option.Help(), "what it is; 1KiB to 2KiB, in bytes or with KiB, MiB, GiB or TiB");
  option.value = Option::Size{nullptr, 0, 1024, 2048, /*or_zero=*/true};
  EXPECT_EQ(option.Help(), "what it is; 0, or 1KiB to 2KiB, in bytes or with KiB, MiB, GiB or TiB");
  option.value = Option::Number{nullptr, 0, 2, 3};
  EXPECT_EQ(option.Help(), "what it is; 2 to 3");
  option.value = Option::Number{nullptr, 0, 2, 3, /*heartbeats_min=*/4};
  EXPECT_EQ(option.Help(), "what it is; 2 to 3, at least 4 heartbeats");
}

// What a copied row would get wrong; the help has each group once.
TEST(OptionTest, EveryRowHasANameAndAFieldOfItsOwn) {
  ServerOptions options;
  std::set<std::string> names;
  std::set<const void*> fields;
  std::set<std::string> groups;
  std::string group;
  for (const Option& option : Option::Table()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    const void* field =
        std::visit([&options](const auto& value) -> const void* { return &(options.*value.field); },
                   option.value);
    EXPECT_TRUE(fields.insert(field).second) << option.name;
    EXPECT_TRUE(option.group == group || groups.insert(option.group).second) << option.name;
    group = option.group;
  }
}

TEST(ParseAddressListTest, TakesWhatCanBeDialled) {
  EXPECT_THAT(*ParseAddressList(""), IsEmpty());
  EXPECT_THAT(*ParseAddressList("a:1,[::1]:2"), ElementsAre("a:1", "[::1]:2"));
  for (const char* bad : {"a", "a:0", ":1", "0.0.0.0:1", "a:1,b"}) {
    ServerOptions options;
    options.join = bad;
    EXPECT_THAT(std::string(options.Complete().message()), HasSubstr(std::string("--join=") + bad));
  }
}

TEST(IsMemberNameTest, HasOneTo64PlainCharacters) {
  EXPECT_TRUE(IsMemberName("n"));
  EXPECT_TRUE(IsMemberName("AZaz09._-"));
  EXPECT_TRUE(IsMemberName(std::string(64, 'n')));
  EXPECT_FALSE(IsMemberName(""));
  EXPECT_FALSE(IsMemberName(std::string(65, 'n')));
  for (const char* name : {"a b", "a/b", "a=b", "a,b", "a:b", "\xC3\xA4", "a\n"}) {
    EXPECT_FALSE(IsMemberName(name)) << name;
  }
  EXPECT_FALSE(IsMemberName(absl::string_view("a\0", 2)));
}

TEST(ParseInitialClusterTest, SortsByName) {
  const auto founders = ParseInitialCluster("n2=host-2:2,n10=host-10:10,n1=[::1]:1");
  ASSERT_TRUE(founders.ok()) << founders.status();
  EXPECT_THAT(*founders,
              testing::ElementsAre(Founder{"n1", "[::1]:1"}, Founder{"n10", "host-10:10"},
                                   Founder{"n2", "host-2:2"}));
}

TEST(ParseInitialClusterTest, OneIsEnough) {
  const auto founders = ParseInitialCluster("default=127.0.0.1:2380");
  ASSERT_TRUE(founders.ok()) << founders.status();
  EXPECT_THAT(*founders, testing::ElementsAre(Founder{"default", "127.0.0.1:2380"}));
}

TEST(ParseInitialClusterTest, RefusesAndNamesTheEntry) {
  struct Case {
    std::string text;
    std::string entry;
    std::string rule;
  };
  const std::vector<Case> cases = {
      {"", "", "name=host:port"},
      {"n1=h:1,", "", "name=host:port"},
      {",n1=h:1", "", "name=host:port"},
      {"n1=h:1,,n2=h:2", "", "name=host:port"},
      {"n1=h:1, n2=h:2", " n2=h:2", "name=host:port"},
      {"h:1", "h:1", "name=host:port"},
      {"=h:1", "=h:1", "name=host:port"},
      {"n/1=h:1", "n/1=h:1", "name=host:port"},
      {"n1", "n1", "host:port"},
      {"n1=", "n1=", "dial"},
      {"n1=h", "n1=h", "dial"},
      {"n1=h:0", "n1=h:0", "dial"},
      {"n1=h:65536", "n1=h:65536", "dial"},
      {"n1=:1", "n1=:1", "dial"},
      {"n1=0.0.0.0:1", "n1=0.0.0.0:1", "dial"},
      {"n1=[::]:1", "n1=[::]:1", "dial"},
      {"n1=n2=h:1", "n1=n2=h:1", "dial"},
      {"n1=h:1,n1=h:2", "n1=h:2", "the name is there twice"},
      {"n1=h:1,n2=h:1", "n2=h:1", "the address is there twice"},
  };
  for (const Case& expected : cases) {
    const auto founders = ParseInitialCluster(expected.text);
    ASSERT_FALSE(founders.ok()) << expected.text;
    EXPECT_THAT(ErrorOf(founders.status()),
                AllOf(HasSubstr("--initial_cluster"), HasSubstr("\"" + expected.entry + "\""),
                      HasSubstr(expected.rule)))
        << expected.text;
  }
}

// Defaults but for one string.
ServerOptions With(std::string ServerOptions::*field, const std::string& value) {
  ServerOptions options;
  options.*field = value;
  return options;
}

TEST(ServerOptionsTest, TheDefaultsAreComplete) {
  ServerOptions options;
  ASSERT_TRUE(options.Complete().ok());
  EXPECT_EQ(options.data_dir, "./default.raftkv");
}

TEST(ServerOptionsTest, TheDirectoryFollowsTheNameUnlessItIsSet) {
  ServerOptions named = With(&ServerOptions::name, "n1");
  ASSERT_TRUE(named.Complete().ok());
  EXPECT_EQ(named.data_dir, "./n1.raftkv");
  ServerOptions set = With(&ServerOptions::name, "n1");
  set.data_dir = "elsewhere";
  ASSERT_TRUE(set.Complete().ok());
  EXPECT_EQ(set.data_dir, "elsewhere");
}

// Both ends of every number, and what lies just beyond them.
TEST(ServerOptionsTest, NumbersHaveRanges) {
  struct Case {
    std::string flag;
    int64_t ServerOptions::*field;
    int64_t low;
    int64_t high;
  };
  const std::vector<Case> cases = {
      {"heartbeat_interval_ms", &ServerOptions::heartbeat_interval_ms, 10, 10'000},
      {"election_timeout_ms", &ServerOptions::election_timeout_ms, 50, 100'000},
      {"priority", &ServerOptions::priority, 0, 1000},
      {"value_bytes_max", &ServerOptions::value_bytes_max, 1, 3'145'728},
      {"delete_range_keys_max", &ServerOptions::delete_range_keys_max, 1, 1'000'000},
      {"request_timeout_ms", &ServerOptions::request_timeout_ms, 1, 600'000}};
  for (const Case& range : cases) {
    const auto complete = [&range](int64_t value) {
      ServerOptions options;
      // Out of each other's way.
      options.heartbeat_interval_ms = 10;
      options.election_timeout_ms = 100'000;
      options.*range.field = value;
      return options.Complete();
    };
    EXPECT_TRUE(complete(range.low).ok()) << range.flag;
    EXPECT_TRUE(complete(range.high).ok()) << range.flag;
    for (const int64_t value : {range.low - 1, range.high + 1, int64_t{-1}, INT64_MAX, INT64_MIN}) {
      EXPECT_THAT(ErrorOf(complete(value)),
                  HasSubstr(absl::StrCat("--", range.flag, "=", value, ": must be ", range.low,
                                         " to ", range.high)));
    }
  }
}

TEST(ServerOptionsTest, AnElectionTakesFiveHeartbeats) {
  ServerOptions options;
  options.heartbeat_interval_ms = 200;
  options.election_timeout_ms = 1000;
  EXPECT_TRUE(options.Complete().ok());
  options.heartbeat_interval_ms = 201;
  EXPECT_THAT(ErrorOf(options.Complete()),
              AllOf(HasSubstr("--election_timeout_ms=1000"), HasSubstr("5 times"),
                    HasSubstr("--heartbeat_interval_ms=201")));
}

TEST(ServerOptionsTest, TheNameIsChecked) {
  ServerOptions options = With(&ServerOptions::name, "two words");
  EXPECT_THAT(ErrorOf(options.Complete()), AllOf(HasSubstr("--name=two words"), HasSubstr("64")));
  EXPECT_EQ(options.data_dir, "");
}

TEST(ServerOptionsTest, TheConsoleHasThreeModes) {
  for (const char* mode : {"on", "readonly", "off"}) {
    ServerOptions options = With(&ServerOptions::console, mode);
    EXPECT_TRUE(options.Complete().ok()) << mode;
  }
  for (const char* mode : {"", "On", "true", "read-only"}) {
    ServerOptions options = With(&ServerOptions::console, mode);
    EXPECT_EQ(ErrorOf(options.Complete()),
              absl::StrCat("--console=", mode, ": must be on, readonly or off"));
  }
}

TEST(ServerOptionsTest, WhoReplacesMembersChecksTheirCertificates) {
  const auto complete = [](bool certificate, bool client_cert_auth, const std::string& peer_auth) {
    ServerOptions options;
    options.auto_replace = true;
    if (certificate) {
      options.cert_file = "cert";
      options.key_file = "key";
      options.trusted_ca_file = "ca";
    }
    options.client_cert_auth = client_cert_auth;
    options.peer_client_cert_auth = peer_auth;
    return options.Complete();
  };
  EXPECT_TRUE(complete(true, true, "").ok());
  EXPECT_TRUE(complete(true, false, "true").ok()) << "of the peer port is enough";
  for (const absl::Status& refused :
       {complete(false, false, ""), complete(true, false, ""), complete(true, true, "false")}) {
    EXPECT_THAT(ErrorOf(refused),
                AllOf(HasSubstr("--auto_replace=true: needs"), HasSubstr("--peer_client_cert_auth"),
                      HasSubstr("take a member's place")));
  }
}

TEST(ServerOptionsTest, WhereItListensMayBeAnywhere) {
  for (const char* address : {":0", "0.0.0.0:2379", "[::]:1", "host:65535"}) {
    ServerOptions options;
    options.listen_client = address;
    EXPECT_TRUE(options.Complete().ok()) << address;
    options.listen_client = "127.0.0.1:0";
    options.listen_peer = address;
    EXPECT_TRUE(options.Complete().ok()) << address;
    options.listen_peer = "127.0.0.1:0";
    options.listen_http = address;
    EXPECT_TRUE(options.Complete().ok()) << address;
  }
  EXPECT_TRUE(With(&ServerOptions::listen_http, "").Complete().ok()) << "off";
  ServerOptions http = With(&ServerOptions::listen_http, "127.0.0.1");
  EXPECT_THAT(ErrorOf(http.Complete()),
              AllOf(HasSubstr("--listen_http=127.0.0.1"), HasSubstr("host:port")));
  ServerOptions client = With(&ServerOptions::listen_client, "127.0.0.1:70000");
  EXPECT_THAT(ErrorOf(client.Complete()),
              AllOf(HasSubstr("--listen_client=127.0.0.1:70000"), HasSubstr("65535")));
  ServerOptions peer = With(&ServerOptions::listen_peer, "nowhere");
  EXPECT_THAT(ErrorOf(peer.Complete()),
              AllOf(HasSubstr("--listen_peer=nowhere"), HasSubstr("host:port")));
}

TEST(ServerOptionsTest, ApisListenApart) {
  ServerOptions options;
  for (const char* client : {"127.0.0.1:2380", ":2380", "0.0.0.0:2380", "[::]:2380"}) {
    options.listen_client = client;
    EXPECT_THAT(ErrorOf(options.Complete()),
                AllOf(HasSubstr("--listen_peer=127.0.0.1:2380"), HasSubstr("--listen_client=")))
        << client;
  }
  for (const char* http : {"127.0.0.1:2379", ":2380", "0.0.0.0:2379"}) {
    EXPECT_THAT(ErrorOf(With(&ServerOptions::listen_http, http).Complete()),
                AllOf(HasSubstr("--listen_http="), HasSubstr("must be another address")))
        << http;
  }
  options.listen_client = "127.0.0.2:2380";
  EXPECT_TRUE(options.Complete().ok());
  options.listen_client = options.listen_peer = ":0";
  EXPECT_TRUE(options.Complete().ok()) << "port 0 is any, each time another";
}

TEST(ServerOptionsTest, WhatItAdvertisesCanBeDialled) {
  ServerOptions good = With(&ServerOptions::advertise_client, "db-1:1");
  good.advertise_peer = "[::1]:1";
  EXPECT_TRUE(good.Complete().ok());
  for (const char* address : {":1", "0.0.0.0:1", "[::]:1", "host:0", "host"}) {
    ServerOptions client = With(&ServerOptions::advertise_client, address);
    EXPECT_THAT(ErrorOf(client.Complete()),
                HasSubstr(absl::StrCat("--advertise_client=", address, ": ")));
    ServerOptions peer = With(&ServerOptions::advertise_peer, address);
    EXPECT_THAT(ErrorOf(peer.Complete()),
                HasSubstr(absl::StrCat("--advertise_peer=", address, ": ")));
  }
}

// Whether it has to contain this member depends on the data directory: flags_test of the real
// server.
TEST(ServerOptionsTest, TheFoundingListIsWellFormed) {
  ServerOptions options = With(&ServerOptions::name, "n1");
  options.initial_cluster = "n1=h:1,n2=h:2";
  EXPECT_TRUE(options.Complete().ok());
  options.initial_cluster = "nonsense";
  EXPECT_THAT(ErrorOf(options.Complete()), HasSubstr("\"nonsense\""));
}

}  // namespace
}  // namespace raftkv::server
