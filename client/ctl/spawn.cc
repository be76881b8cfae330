#include "client/ctl/spawn.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace raftkv::ctl {

absl::StatusOr<pid_t> Spawn(std::vector<std::string> arguments,
                            std::vector<std::string> variables) {
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.push_back(*variable);
  }
  for (std::string& variable : variables) {
    environment.push_back(variable.data());
  }
  environment.push_back(nullptr);
  std::vector<char*> words;
  for (std::string& argument : arguments) {
    words.push_back(argument.data());
  }
  words.push_back(nullptr);
  pid_t pid = 0;
  const int failed =
      posix_spawnp(&pid, words[0], nullptr, nullptr, words.data(), environment.data());
  if (failed != 0) {
    const std::string problem =
        absl::StrCat("cannot run ", arguments[0], ": ", std::strerror(failed));
    return failed == ENOENT ? absl::NotFoundError(problem) : absl::InternalError(problem);
  }
  return pid;
}

int AwaitExit(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace raftkv::ctl
