#include "client/ctl/offline.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/ctl/escape.h"

extern char** environ;

namespace raftkv::ctl {
namespace {

using Json = nlohmann::ordered_json;

struct Item {
  bool is_number;
  std::string name;
  std::string value;
};

std::vector<Item> ParseItems(const std::string& lines) {
  std::vector<Item> items;
  for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('\t', 2));
    if (parts.size() == 3 && (parts[0] == "s" || parts[0] == "n")) {
      items.push_back({.is_number = parts[0] == "n", .name = parts[1], .value = parts[2]});
    }
  }
  return items;
}

std::string FindRaftkvd() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path beside = self.parent_path() / "raftkvd";
  // Without a slash it is looked for in PATH.
  return !error && std::filesystem::exists(beside, error) ? beside.string() : "raftkvd";
}

// Reads until the other end is closed.
std::string ReadAll(int fd) {
  std::string text;
  char bytes[4096];
  while (true) {
    const ssize_t got = read(fd, bytes, sizeof(bytes));
    if (got > 0) {
      text.append(bytes, static_cast<size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      return text;
    }
  }
}

// Fails with errno's number.
int Spawn(const std::vector<std::string>& words, int out, pid_t* pid) {
  std::vector<char*> argv;
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT: posix_spawn changes none.
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  const int failed = posix_spawnp(pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

ExitCode Fail(const Terminal& terminal, const std::string& message) {
  terminal.err << "Error: " << message << "\n";
  return ExitCode::kError;
}

}  // namespace

std::string FormatOffline(OutputFormat format, const std::string& lines) {
  const std::vector<Item> items = ParseItems(lines);
  if (format == OutputFormat::kJson) {
    Json json = Json::object();
    for (const Item& item : items) {
      uint64_t number = 0;
      if (item.is_number && absl::SimpleAtoi(item.value, &number)) {
        json[item.name] = number;
      } else {
        json[item.name] = item.value;
      }
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  size_t width = 0;
  for (const Item& item : items) {
    width = std::max(width, item.name.size());
  }
  std::string text;
  for (const Item& item : items) {
    absl::StrAppend(&text, item.name, ":", std::string(width - item.name.size() + 1, ' '),
                    EscapeControls(item.value, Newlines::kEscape), "\n");
  }
  return text;
}

ExitCode RunOffline(const std::string& raftkvd, const std::vector<std::string>& arguments,
                    OutputFormat format, const Terminal& terminal) {
  std::vector<std::string> words = {raftkvd.empty() ? FindRaftkvd() : raftkvd, "offline"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Fail(terminal, absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
  }
  pid_t pid = 0;
  const int failed = Spawn(words, ends[1], &pid);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    return Fail(terminal, absl::StrCat("cannot start ", words[0], ": ", std::strerror(failed),
                                       "; say where it is with --raftkvd"));
  }
  const std::string lines = ReadAll(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!lines.empty()) {
    terminal.out << FormatOffline(format, lines);
  }
  if (!WIFEXITED(status)) {
    return Fail(terminal, absl::StrCat(words[0], " was ended by signal ", WTERMSIG(status)));
  }
  switch (WEXITSTATUS(status)) {
    case 0:
      return ExitCode::kOk;
    case static_cast<int>(ExitCode::kBadArguments):
      return ExitCode::kBadArguments;
    default:
      return ExitCode::kError;
  }
}

}  // namespace raftkv::ctl
