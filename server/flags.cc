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
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/byte_size.h"
#include "base/status_macros.h"
#include "base/version.h"

namespace raftkv::server {
namespace {

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
      << "  raftkvd [--flag=value ...]\n\n"
      << "With no flags it is a working single-node store. Flags may be written with - for _.\n"
      << "The environment variable RAFTKV_<FLAG> sets a flag that the command line does not.\n";
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

absl::Status SetFlag(const Option& option, const std::string& value, absl::string_view source) {
  std::string text = value;
  if (std::holds_alternative<Option::Size>(option.value)) {
    // gflags knows no units; it refuses what is empty.
    const std::optional<int64_t> bytes = ParseByteSize(value);
    text = bytes.has_value() ? absl::StrCat(*bytes) : "";
  }
  if (gflags::SetCommandLineOption(option.name.c_str(), text.c_str()).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": must be ", Kind(option), "; this flag is: ", option.Help()));
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment() {
  for (const Option& option : Option::Table()) {
    const std::string variable = absl::StrCat("RAFTKV_", absl::AsciiStrToUpper(option.name));
    if (const char* value = std::getenv(variable.c_str()); value != nullptr) {
      RAFTKV_RETURN_IF_ERROR(SetFlag(option, value, absl::StrCat(variable, "=", value)));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadCommandLine(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!absl::StartsWith(argument, "-") || argument.size() < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", argument, "\": raftkvd takes flags only; see --help"));
    }
    const std::string text = argument.substr(absl::StartsWith(argument, "--") ? 2 : 1);
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    const std::string dashed = absl::StrReplaceAll(parts.first, {{"_", "-"}});
    if (const auto foreign = ForeignFlags().find(dashed); foreign != ForeignFlags().end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(argument, ": is not a flag of raftkvd; use ", foreign->second));
    }
    const std::string name = absl::StrReplaceAll(parts.first, {{"-", "_"}});
    const auto option = std::find_if(Option::Table().begin(), Option::Table().end(),
                                     [&name](const Option& each) { return each.name == name; });
    if (option == Option::Table().end()) {
      return absl::InvalidArgumentError(absl::StrCat(argument, ": unknown flag; see --help"));
    }
    std::string value = parts.second;
    std::string source = argument;
    if (!absl::StrContains(text, '=')) {
      if (++i == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(argument, ": needs a value"));
      }
      value = arguments[i];
      absl::StrAppend(&source, " ", value);
    }
    RAFTKV_RETURN_IF_ERROR(SetFlag(*option, value, source));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<ServerOptions>> ParseFlags(int argc, char** argv) {
  static const ServerOptions* const flags = DefineFlags();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
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
  RAFTKV_RETURN_IF_ERROR(ReadEnvironment());
  RAFTKV_RETURN_IF_ERROR(ReadCommandLine(arguments));
  ServerOptions options = *flags;
  RAFTKV_RETURN_IF_ERROR(options.Complete());
  return options;
}

}  // namespace raftkv::server
