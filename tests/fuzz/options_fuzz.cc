// Flags, configuration files, addresses and the list of founders, as people and scripts write them:
// whatever it is, it is understood or refused in one line, and what is understood is within its
// bounds.
#include <glog/logging.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/host_port.h"
#include "base/utf8.h"
#include "client/endpoint.h"
#include "server/config_file.h"
#include "server/flags.h"
#include "server/options.h"
#include "tests/fuzz/byte_source.h"

namespace raftkv::fuzz {
namespace {

void CheckAddress(absl::string_view text) {
  const absl::StatusOr<HostPort> address = HostPort::Parse(text);
  if (address.ok()) {
    CHECK_GE(address->port, 0);
    CHECK_LE(address->port, 65535);
    const absl::StatusOr<HostPort> again = HostPort::Parse(address->ToString());
    CHECK(again.ok()) << text << " becomes " << address->ToString();
    CHECK_EQ(again->ToString(), address->ToString());
  }
  const absl::StatusOr<std::string> endpoint = client::ParseEndpoint(text);
  if (endpoint.ok()) {
    const absl::StatusOr<std::string> again = client::ParseEndpoint(*endpoint);
    CHECK(again.ok()) << text << " becomes " << *endpoint;
    CHECK_EQ(*again, *endpoint);
  }
}

void CheckFounders(absl::string_view text) {
  const absl::StatusOr<std::vector<server::Founder>> founders = server::ParseInitialCluster(text);
  if (!founders.ok()) {
    return;
  }
  CHECK(!founders->empty());
  std::string written;
  std::set<std::string> names;
  for (const server::Founder& founder : *founders) {
    CHECK(server::IsMemberName(founder.name));
    CHECK(names.empty() || *names.rbegin() < founder.name) << "they are sorted";
    names.insert(founder.name);
    absl::StrAppend(&written, written.empty() ? "" : ",", founder.name, "=", founder.peer_address);
  }
  const auto again = server::ParseInitialCluster(written);
  CHECK(again.ok()) << written << ": " << again.status();
  CHECK(*again == *founders);
}

// Flags are globals of a process: whatever an earlier input set is set back.
std::vector<std::string> Defaults() {
  std::vector<std::string> arguments;
  for (const server::Option& option : server::Option::Table()) {
    std::visit(
        [&](const auto& value) {
          arguments.push_back(absl::StrCat("--", option.name, "=", value.default_value));
        },
        option.value);
  }
  return arguments;
}

absl::StatusOr<std::optional<server::ServerOptions>> ParseFlags(
    std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "raftkvd");
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  return server::ParseFlags(static_cast<int>(argv.size()), argv.data());
}

void CheckFlags(absl::string_view text) {
  const auto defaults = ParseFlags(Defaults());
  CHECK(defaults.ok()) << defaults.status();
  if (absl::StrContains(text, "check")) {
    return;  // --check_config, which looks names up.
  }
  const auto options = ParseFlags(absl::StrSplit(text, '\n'));
  if (!options.ok()) {
    CHECK(!options.status().message().empty());
    return;
  }
  if (options->has_value()) {
    server::ServerOptions again = **options;
    CHECK(again.Complete().ok()) << "what was accepted is accepted again";
    CHECK(server::IsMemberName(again.name));
    CHECK_GE(again.election_timeout_ms, 5 * again.heartbeat_interval_ms);
  }
}

void CheckConfigFile(absl::string_view text) {
  const auto entries = server::ParseConfig("f", text);
  if (!entries.ok()) {
    const absl::string_view error = entries.status().message();
    CHECK(absl::StartsWith(error, "f:")) << error;
    CHECK(!absl::StrContains(error, '\n')) << error;
    return;
  }
  std::set<std::string> keys;
  for (const server::ConfigEntry& entry : *entries) {
    CHECK(keys.insert(entry.key).second) << entry.key;
    for (const std::string& part : {entry.key, entry.value}) {
      CHECK(IsUtf8(part)) << part;
      CHECK(std::none_of(part.begin(), part.end(), [](char c) { return c >= 0 && c < ' '; }));
    }
    CHECK(absl::StartsWith(entry.key_place, "f:")) << entry.key_place;
    CHECK(absl::StartsWith(entry.value_place, "f:")) << entry.value_place;
  }
}

// gflags says on stderr what it refuses, and --help goes to stdout: thousands of times a second.
void BeQuiet() {
  static std::ostringstream nowhere;
  std::cout.rdbuf(nowhere.rdbuf());
  nowhere.str("");
}

}  // namespace
}  // namespace raftkv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  raftkv::fuzz::BeQuiet();
  raftkv::fuzz::ByteSource source(data, size);
  const uint64_t kind = source.Below(4);
  const absl::string_view text = source.TakeAll();
  if (kind == 0) {
    raftkv::fuzz::CheckAddress(text);
  } else if (kind == 1) {
    raftkv::fuzz::CheckFounders(text);
  } else if (kind == 2) {
    raftkv::fuzz::CheckFlags(text);
  } else {
    raftkv::fuzz::CheckConfigFile(text);
  }
  return 0;
}
