#include "server/flags.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/byte_size.h"
#include "base/host_port.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "server/config_file.h"
#include "server/effective_configuration.h"
#include "server/loop/listen_addresses.h"

namespace raftkv::server {
namespace {

constexpr char kConfigOption[] = "config";

// Does what the DEFINE_ macros do before main(). Returns what gflags will write the flags to.
const ServerOptions* DefineFlags() {
  auto* flags = new ServerOptions;
  auto* defaults = new ServerOptions;
  for (const Option& option : Option::Table()) {
    const auto define = [&](const auto& value) {
      gflags::FlagRegisterer(option.name.c_str(), option.meaning.c_str(), __FILE__,
                             &(flags->*value.field), &(defaults->*value.field));
    };
    std::visit(define, option.value);
  }
  return flags;
}

// Flags that people bring along from other Raft stores, and ours for the same.
const std::map<std::string, std::string>& ForeignFlags() {
  static const auto* flags = new std::map<std::string, std::string>{
      {"id", "--name"},
      {"node-id", "--name"},
      {"addr", "--listen_client"},
      {"http", "--listen_http"},
      {"peers",
       "--initial_cluster (name=host:port of every member, this one included, with peer "
       "ports)"},
      {"raft-addr", "--listen_peer"}};
  return *flags;
}

void PrintHelp() {
  std::cout
      << "raftkvd " << kVersion
      << ": a member of a distributed, strongly consistent key-value store.\n\n"
      << "  raftkvd [--flag=value ...]\n"
      << "  raftkvd --check_config [--flag=value ...]   shows what would be in force, and exits\n\n"
      << "With no flags it is a working single-node store. Flags may be written with - for _.\n"
      << "The environment variable RAFTKV_<FLAG> sets a flag that the command line does not, and\n"
      << "the file of --config one that neither does.\n";
  absl::string_view group;
  for (const Option& option : Option::Table()) {
    if (option.group != group) {
      group = option.group;
      std::cout << "\n" << group << ":\n";
    }
    std::cout << "  --" << option.name;
    const auto* size = std::get_if<Option::Size>(&option.value);
    const std::string default_value =
        size != nullptr ? FormatByteSize(size->default_value)
                        : gflags::GetCommandLineFlagInfoOrDie(option.name.c_str()).default_value;
    if (!default_value.empty()) {
      std::cout << "=" << default_value;
    }
    std::cout << "\n      " << option.Help() << "\n";
  }
}

// What every value of the option is, whatever its bounds.
absl::string_view Kind(const Option& option) {
  if (std::holds_alternative<Option::Switch>(option.value)) {
    return "true or false";
  }
  return std::holds_alternative<Option::Size>(option.value) ? "a size" : "a number";
}

// A value that somebody has given, as the text that it is.
struct GivenValue {
  const Option* option;
  std::string value;
  // What it looks like where it stands, for error messages: "--name=n1".
  std::string as_given;
  // As ServerOptions::sources has it.
  std::string source;
};

absl::Status SetFlag(const GivenValue& given) {
  std::string text = given.value;
  if (std::holds_alternative<Option::Size>(given.option->value)) {
    // gflags knows no units; it refuses what is empty.
    const std::optional<int64_t> bytes = ParseByteSize(text);
    text = bytes.has_value() ? absl::StrCat(*bytes) : "";
  }
  if (gflags::SetCommandLineOption(given.option->name.c_str(), text.c_str()).empty()) {
    return absl::InvalidArgumentError(absl::StrCat(given.as_given, ": must be ",
                                                   Kind(*given.option),
                                                   "; this flag is: ", given.option->Help()));
  }
  return absl::OkStatus();
}

std::vector<GivenValue> ReadEnvironment() {
  std::vector<GivenValue> given;
  for (const Option& option : Option::Table()) {
    const std::string variable = absl::StrCat("RAFTKV_", absl::AsciiStrToUpper(option.name));
    if (const char* value = std::getenv(variable.c_str()); value != nullptr) {
      given.push_back({&option, value, absl::StrCat(variable, "=", value), "environment"});
    }
  }
  return given;
}

// The option of this name, written with - or _; a remedy for one that is none.
absl::StatusOr<const Option*> FindOption(const std::string& written, absl::string_view kind,
                                         absl::string_view remedy) {
  const std::string dashed = absl::StrReplaceAll(written, {{"_", "-"}});
  if (const auto foreign = ForeignFlags().find(dashed); foreign != ForeignFlags().end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is not a flag of raftkvd; use ", foreign->second));
  }
  const std::string name = absl::StrReplaceAll(written, {{"-", "_"}});
  const auto option = std::find_if(Option::Table().begin(), Option::Table().end(),
                                   [&name](const Option& each) { return each.name == name; });
  if (option == Option::Table().end()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown ", kind, "; ", remedy));
  }
  return &*option;
}

absl::StatusOr<std::vector<GivenValue>> ReadCommandLine(const std::vector<std::string>& arguments) {
  std::vector<GivenValue> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!absl::StartsWith(argument, "-") || argument.size() < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", argument, "\": raftkvd takes flags only; see --help"));
    }
    const std::string text = argument.substr(absl::StartsWith(argument, "--") ? 2 : 1);
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    const auto option = FindOption(parts.first, "flag", "see --help");
    if (!option.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(argument, ": ", option.status().message()));
    }
    std::string value = parts.second;
    std::string as_given = argument;
    if (!absl::StrContains(text, '=')) {
      if (++i == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(argument, ": needs a value"));
      }
      value = arguments[i];
      absl::StrAppend(&as_given, " ", value);
    }
    given.push_back({*option, value, as_given, "flag"});
  }
  return given;
}

std::string KeysOfFile() {
  std::vector<std::string> keys;
  for (const Option& option : Option::Table()) {
    if (option.name != kConfigOption) {
      keys.push_back(option.name);
    }
  }
  return absl::StrJoin(keys, ", ");
}

absl::StatusOr<GivenValue> ReadEntry(const ConfigEntry& entry) {
  const std::string context = absl::StrCat(entry.key_place, ": ", entry.key, ": ");
  const auto option = FindOption(entry.key, "key", absl::StrCat("must be one of ", KeysOfFile()));
  if (!option.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(context, option.status().message()));
  }
  if ((*option)->name == kConfigOption) {
    return absl::InvalidArgumentError(absl::StrCat(context, "a file cannot name another one"));
  }
  return GivenValue{*option, entry.value,
                    absl::StrCat(entry.value_place, ": ", entry.key, "=", entry.value),
                    absl::StrCat("file ", entry.key_place)};
}

// None when `path` is empty.
absl::StatusOr<std::vector<GivenValue>> ReadFile(const std::string& path) {
  std::vector<GivenValue> given;
  if (path.empty()) {
    return given;
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::vector<ConfigEntry> entries, ReadConfigFile(path));
  std::map<std::string, std::string> places;
  for (const ConfigEntry& entry : entries) {
    RAFTKV_ASSIGN_OR_RETURN(given.emplace_back(), ReadEntry(entry));
    const auto [first, is_new] = places.emplace(given.back().option->name, entry.key_place);
    if (!is_new) {  // Written with - and with _.
      return absl::InvalidArgumentError(absl::StrCat(entry.key_place, ": ", entry.key,
                                                     ": is given twice, first at ", first->second));
    }
  }
  return given;
}

// The one that wins of those that are given before any file is read.
std::string ConfigPath(const std::vector<GivenValue>& environment,
                       const std::vector<GivenValue>& flags) {
  std::string path;
  for (const auto* source : {&environment, &flags}) {
    for (const GivenValue& given : *source) {
      if (given.option->name == kConfigOption) {
        path = given.value;
      }
    }
  }
  return path;
}

// Complete's refusal begins with a flag. Where that is set in a file, people look for it there.
absl::Status WithPlace(const absl::Status& refusal, const ServerOptions& options) {
  absl::string_view flag = refusal.message();
  if (!absl::ConsumePrefix(&flag, "--")) {
    return refusal;
  }
  const std::string source =
      options.SourceOf(std::string(flag.substr(0, flag.find_first_of("=:"))));
  absl::string_view place = source;
  if (absl::ConsumePrefix(&place, "file ")) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": ", refusal.message()));
  }
  return refusal;
}

// `flags` is what gflags writes to.
absl::StatusOr<ServerOptions> ReadOptions(const std::vector<std::string>& arguments,
                                          const ServerOptions& flags) {
  RAFTKV_ASSIGN_OR_RETURN(const std::vector<GivenValue> from_flags, ReadCommandLine(arguments));
  const std::vector<GivenValue> from_environment = ReadEnvironment();
  RAFTKV_ASSIGN_OR_RETURN(const std::vector<GivenValue> from_file,
                          ReadFile(ConfigPath(from_environment, from_flags)));
  std::map<std::string, std::string> sources;
  for (const auto* values : {&from_file, &from_environment, &from_flags}) {
    for (const GivenValue& given : *values) {
      RAFTKV_RETURN_IF_ERROR(SetFlag(given));
      sources[given.option->name] = given.source;
    }
  }
  ServerOptions options = flags;
  options.sources = std::move(sources);
  if (const absl::Status complete = options.Complete(); !complete.ok()) {
    return WithPlace(complete, options);
  }
  return options;
}

// What else can be known without the data directory, and beside a member that runs: whether the
// addresses are this machine's. Its ports are not asked for.
absl::Status CheckAddresses(const ServerOptions& options) {
  for (const auto& [flag, address] : {std::pair("listen_client", options.listen_client),
                                      std::pair("listen_peer", options.listen_peer),
                                      std::pair("listen_http", options.listen_http)}) {
    if (address.empty()) {
      continue;
    }
    HostPort any_port = *HostPort::Parse(address);
    any_port.port = 0;
    if (const auto taken = ListenAddresses::Take(any_port); !taken.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, "=", address, ": ", taken.status().message()));
    }
  }
  return absl::OkStatus();
}

// No option: a file that asks for it could never be used.
bool AsksForCheck(const std::string& argument) {
  const std::string text = absl::StrReplaceAll(argument, {{"-", "_"}});
  return text == "__check_config" || text == "_check_config";
}

}  // namespace

absl::StatusOr<std::optional<ServerOptions>> ParseFlags(int argc, char** argv) {
  static const ServerOptions* const flags = DefineFlags();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-help" || argument == "-h") {
      PrintHelp();
      return std::nullopt;
    }
    if (argument == "--version" || argument == "-version") {
      std::cout << "raftkvd version: " << kVersion << "\n";
      return std::nullopt;
    }
  }
  const auto check = std::remove_if(arguments.begin(), arguments.end(), AsksForCheck);
  const bool only_check = check != arguments.end();
  arguments.erase(check, arguments.end());
  RAFTKV_ASSIGN_OR_RETURN(ServerOptions options, ReadOptions(arguments, *flags));
  if (!only_check) {
    return options;
  }
  RAFTKV_RETURN_IF_ERROR(CheckAddresses(options));
  std::cout << WriteConfiguration(options);
  return std::nullopt;
}

}  // namespace raftkv::server
