#include "server/effective_configuration.h"

#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace raftkv::server {
namespace {

// Of the escapes that absl writes, YAML's double quotes lack \'.
std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(absl::Utf8SafeCHexEscape(text), {{"\\'", "'"}}),
                      "\"");
}

std::string Written(const Option& option, const ServerOptions& options) {
  const std::string text = option.TextIn(options);
  return std::holds_alternative<Option::Text>(option.value) ? Quoted(text) : text;
}

}  // namespace

std::string DescribeConfiguration(const ServerOptions& options) {
  std::vector<std::string> set;
  std::vector<std::string> defaults;
  for (const Option& option : Option::Table()) {
    const std::string line = absl::StrCat(option.name, "=", Written(option, options));
    if (options.sources.count(option.name) == 0) {
      defaults.push_back(line);
    } else {
      set.push_back(absl::StrCat(line, " (", options.SourceOf(option.name), ")"));
    }
  }
  return absl::StrCat("configuration: ", set.empty() ? "nothing is set" : absl::StrJoin(set, ", "),
                      "; defaults: ", absl::StrJoin(defaults, ", "));
}

std::string WriteConfiguration(const ServerOptions& options) {
  std::string text;
  for (const Option& option : Option::Table()) {
    // A file does not name another one.
    absl::StrAppend(&text, option.name == "config" ? "# " : "", option.name, ": ",
                    Written(option, options), "  # ", options.SourceOf(option.name), "\n");
  }
  return text;
}

}  // namespace raftkv::server
