#include "client/ctl/completed_app.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/ctl/completion.h"

namespace raftkv::ctl {
namespace {

// All values that an option takes, by its text in the help: "a|b|c [a]".
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  const std::string text = option.get_option_text();
  const std::string first = text.substr(0, text.find(' '));
  return absl::StrContains(first, '|') ? absl::StrSplit(first, '|') : std::vector<std::string>();
}

CompletedCommand CompletedFrom(const CLI::App& app) {
  CompletedCommand command{.name = app.get_name(), .description = app.get_description()};
  for (const CLI::Option* option : app.get_options({})) {
    if (!option->nonpositional()) {
      command.choices = ChoicesOf(*option);
    } else if (option != app.get_help_ptr() || app.get_parent() == nullptr) {
      CompletedOption& completed = command.options.emplace_back();
      for (const std::string& name : option->get_lnames()) {
        completed.names.push_back(absl::StrCat("--", name));
      }
      for (const std::string& name : option->get_snames()) {
        completed.names.push_back(absl::StrCat("-", name));
      }
      completed.description = option->get_description();
      completed.takes_value = option->get_type_size() != 0;
      completed.takes_file = absl::StartsWith(option->get_option_text(), "FILE");
      completed.choices = ChoicesOf(*option);
    }
  }
  for (const CLI::App* subcommand : app.get_subcommands({})) {
    command.subcommands.push_back(CompletedFrom(*subcommand));
  }
  return command;
}

}  // namespace

std::string CompletionScript(const CLI::App& app, const std::string& shell) {
  const CompletedCommand root = CompletedFrom(app);
  if (shell == "bash") {
    return BashCompletion(root);
  }
  return shell == "zsh" ? ZshCompletion(root) : FishCompletion(root);
}

}  // namespace raftkv::ctl
