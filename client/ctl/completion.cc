#include "client/ctl/completion.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

// A place in the tree is written as a path: "" is the program, "/endpoint/status" a command of a
// command. Each script walks over the words before the one that is completed, and so comes to the
// place; a word that is no command there is an argument.
namespace raftkv::ctl {
namespace {

// What a script has of each shell's own: $NAME is the program, @...@ what is filled in.
constexpr char kBash[] =
    R"($NAME completion bash: for this shell `source <($NAME completion bash)`, for all write it to
# /etc/bash_completion.d/$NAME
_$NAME() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} place= word i
  COMPREPLY=()
  # The shell makes three words of --write-out=json.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    case $word in
      --) return ;;
      @valued@)
        [[ ${COMP_WORDS[i + 1]} == = ]] && ((++i))
        ((++i))
        ;;
      -*) ;;
      *)
        case $place/$word in
          @places@) place=$place/$word ;;
        esac
        ;;
    esac
  done
  case $previous in
@values@  esac
  local words=
  case $place in
@candidates@  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _$NAME $NAME
)";

constexpr char kZsh[] =
    R"($NAME completion zsh: for this shell `source <($NAME completion zsh)` after compinit, for all
# write it to a file _$NAME in a folder of $fpath
_$NAME() {
  local place= word previous=${words[CURRENT - 1]} i
  local -a found
  for ((i = 2; i < CURRENT; ++i)); do
    word=${words[i]}
    case $word in
      --) return ;;
      @valued@) ((++i)) ;;
      -*) ;;
      *)
        case $place/$word in
          @places@) place=$place/$word ;;
        esac
        ;;
    esac
  done
  case $previous in
@values@  esac
  # --write-out=json
  if [[ ${words[CURRENT]} == -*=* ]] && compset -P '*='; then
    case ${words[CURRENT]%%=*} in
@values@    esac
    return
  fi
  case $place in
@candidates@  esac
  _describe $NAME found
}
if [[ ${funcstack[1]} == _$NAME ]]; then
  _$NAME "$@"
else
  compdef _$NAME $NAME
fi
)";

constexpr char kFish[] =
    R"($NAME completion fish: for this shell `$NAME completion fish | source`, for all write it to
# ~/.config/fish/completions/$NAME.fish
function __$NAME_at
    set -l place ""
    set -l skipped no
    set -l before (commandline -opc)
    set -e before[1]
    for word in $before
        if test $skipped = yes
            set skipped no
            continue
        end
        switch $word
            case @valued@
                set skipped yes
            case '-*'
            case '*'
                switch "$place/$word"
                    case @places@
                        set place "$place/$word"
                end
        end
    end
    test "$place" = "$argv[1]"
end
complete -c $NAME -f
@candidates@)";

std::string Fill(absl::string_view script, const CompletedCommand& root,
                 const std::vector<std::pair<absl::string_view, std::string>>& parts) {
  std::string filled = absl::StrReplaceAll(script, parts);
  return absl::StrCat("# ", absl::StrReplaceAll(filled, {{"$NAME", root.name}}));
}

using Visitor = std::function<void(const std::string& place, const CompletedCommand& command)>;

void Walk(const CompletedCommand& command, const std::string& place, const Visitor& visit) {
  visit(place, command);
  for (const CompletedCommand& subcommand : command.subcommands) {
    Walk(subcommand, absl::StrCat(place, "/", subcommand.name), visit);
  }
}

// Every place but the program itself.
std::string Places(const CompletedCommand& root, absl::string_view separator) {
  std::vector<std::string> places;
  Walk(root, "", [&places](const std::string& place, const CompletedCommand& /*command*/) {
    if (!place.empty()) {
      places.push_back(place);
    }
  });
  return absl::StrJoin(places, separator);
}

// Options of one name have one meaning, whichever command they are of.
void ForEachValuedOption(const CompletedCommand& root,
                         const std::function<void(const CompletedOption&)>& visit) {
  Walk(root, "", [&visit](const std::string& /*place*/, const CompletedCommand& command) {
    for (const CompletedOption& option : command.options) {
      if (option.takes_value) {
        visit(option);
      }
    }
  });
}

std::string ValuedNames(const CompletedCommand& root, absl::string_view separator) {
  std::vector<std::string> names;
  ForEachValuedOption(root, [&names](const CompletedOption& option) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  });
  return absl::StrJoin(names, separator);
}

// The branches of `case $previous in`, for both shells that have it; the action of each by the
// shell.
std::string ValueBranches(const CompletedCommand& root, absl::string_view files,
                          absl::string_view choices) {
  std::string branches;
  ForEachValuedOption(root, [&](const CompletedOption& option) {
    std::string action;
    if (option.takes_file) {
      action = absl::StrCat(files, "; ");
    } else if (!option.choices.empty()) {
      action = absl::StrCat(
          absl::StrReplaceAll(choices, {{"@", absl::StrJoin(option.choices, " ")}}), "; ");
    }
    absl::StrAppend(&branches, "    ", absl::StrJoin(option.names, "|"), ") ", action,
                    "return ;;\n");
  });
  return branches;
}

// What a word at this place can be, besides an argument.
std::vector<std::pair<std::string, std::string>> Candidates(const CompletedCommand& command,
                                                            const CompletedCommand& root,
                                                            bool with_options) {
  std::vector<std::pair<std::string, std::string>> candidates;
  for (const CompletedCommand& subcommand : command.subcommands) {
    candidates.emplace_back(subcommand.name, subcommand.description);
  }
  for (const std::string& choice : command.choices) {
    candidates.emplace_back(choice, "");
  }
  if (with_options) {
    const auto add = [&candidates](const std::vector<CompletedOption>& options) {
      for (const CompletedOption& option : options) {
        candidates.emplace_back(option.names.front(), option.description);
      }
    };
    add(command.options);
    if (&command != &root) {
      add(root.options);
    }
  }
  return candidates;
}

std::string SingleQuoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string BashWords(const CompletedCommand& command, const CompletedCommand& root,
                      bool with_options) {
  std::vector<std::string> words;
  for (const auto& [word, description] : Candidates(command, root, with_options)) {
    words.push_back(word);
  }
  return SingleQuoted(absl::StrJoin(words, " "));
}

// "name:description", as _describe has them.
std::string ZshWords(const CompletedCommand& command, const CompletedCommand& root,
                     bool with_options) {
  std::vector<std::string> words;
  for (const auto& [word, description] : Candidates(command, root, with_options)) {
    words.push_back(SingleQuoted(
        description.empty()
            ? word
            : absl::StrCat(word, ":", absl::StrReplaceAll(description, {{":", "\\:"}}))));
  }
  return absl::StrJoin(words, " ");
}

std::string FishOption(const std::string& condition, const CompletedOption& option) {
  std::string line = absl::StrCat("complete -c $NAME", condition);
  for (absl::string_view name : option.names) {
    const bool is_long = absl::ConsumePrefix(&name, "--");
    absl::ConsumePrefix(&name, "-");
    absl::StrAppend(&line, is_long ? " -l " : " -s ", name);
  }
  if (option.takes_value) {
    absl::StrAppend(&line, option.takes_file ? " -r -F" : " -x");
  }
  if (!option.choices.empty()) {
    absl::StrAppend(&line, " -a ", SingleQuoted(absl::StrJoin(option.choices, " ")));
  }
  return absl::StrCat(line, " -d ", SingleQuoted(option.description), "\n");
}

}  // namespace

std::string BashCompletion(const CompletedCommand& root) {
  std::string candidates;
  Walk(root, "", [&](const std::string& place, const CompletedCommand& command) {
    absl::StrAppend(&candidates, "    '", place,
                    "')\n      words=", BashWords(command, root, /*with_options=*/false),
                    "\n      [[ $current == -* ]] && words=",
                    BashWords(command, root, /*with_options=*/true), "\n      ;;\n");
  });
  return Fill(
      kBash, root,
      {{"@valued@", ValuedNames(root, " | ")},
       {"@places@", Places(root, " | ")},
       {"@values@", ValueBranches(root, "mapfile -t COMPREPLY < <(compgen -f -- \"$current\")",
                                  "mapfile -t COMPREPLY < <(compgen -W '@' -- \"$current\")")},
       {"@candidates@", candidates}});
}

std::string ZshCompletion(const CompletedCommand& root) {
  std::string candidates;
  Walk(root, "", [&](const std::string& place, const CompletedCommand& command) {
    absl::StrAppend(&candidates, "    '", place, "')\n      found=(",
                    ZshWords(command, root, false),
                    ")\n      [[ ${words[CURRENT]} == -* ]] && found=(",
                    ZshWords(command, root, true), ")\n      ;;\n");
  });
  return absl::StrCat("#compdef ", root.name, "\n",
                      Fill(kZsh, root,
                           {{"@valued@", ValuedNames(root, " | ")},
                            {"@places@", Places(root, " | ")},
                            {"@values@", ValueBranches(root, "_files", "compadd -- @")},
                            {"@candidates@", candidates}}));
}

std::string FishCompletion(const CompletedCommand& root) {
  std::string candidates;
  Walk(root, "", [&](const std::string& place, const CompletedCommand& command) {
    // The options of the program may stand anywhere.
    const std::string here = absl::StrCat(" -n '__$NAME_at \"", place, "\"'");
    for (const auto& [word, description] : Candidates(command, root, /*with_options=*/false)) {
      absl::StrAppend(&candidates, "complete -c $NAME", here, " -a ", word, " -d ",
                      SingleQuoted(description), "\n");
    }
    for (const CompletedOption& option : command.options) {
      absl::StrAppend(&candidates, FishOption(place.empty() ? "" : here, option));
    }
  });
  return Fill(kFish, root,
              {{"@valued@", ValuedNames(root, " ")},
               {"@places@", Places(root, " ")},
               {"@candidates@", candidates}});
}

}  // namespace raftkv::ctl
