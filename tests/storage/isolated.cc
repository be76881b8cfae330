#include "tests/storage/isolated.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_split.h"
#include "glog/logging.h"

namespace raftkv::storage {
namespace {

// Texts end with it.
constexpr char kEnd = '\0';

}  // namespace

SharedFile::SharedFile() : fd_(memfd_create("shared", MFD_CLOEXEC)) { CHECK_GE(fd_, 0); }

SharedFile::~SharedFile() { close(fd_); }

void SharedFile::Append(const std::string& bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = write(fd_, bytes.data() + done, bytes.size() - done);
    CHECK_GT(written, 0);
    done += static_cast<size_t>(written);
  }
}

std::string SharedFile::Contents() const {
  struct stat status;
  CHECK_EQ(fstat(fd_, &status), 0);
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  CHECK_EQ(pread(fd_, bytes.data(), bytes.size(), 0), status.st_size);
  return bytes;
}

std::vector<IsolatedResult> RunIsolated(size_t count,
                                        const std::function<std::string(size_t)>& body) {
  std::vector<IsolatedResult> results;
  while (results.size() < count) {
    const SharedFile texts;
    const SharedFile log;
    std::fflush(nullptr);
    const pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
      dup2(log.fd(), STDERR_FILENO);
      for (size_t i = results.size(); i < count; ++i) {
        texts.Append(body(i) + kEnd);
      }
      _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    std::vector<std::string> lines = absl::StrSplit(texts.Contents(), kEnd);
    lines.pop_back();
    for (std::string& text : lines) {
      results.push_back(
          {.text = std::move(text), .signal = std::nullopt, .exit_code = 0, .log = ""});
    }
    if (results.size() < count) {
      const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
      results.push_back(
          {.text = "", .signal = signal, .exit_code = exit_code, .log = log.Contents()});
    } else if (!results.empty()) {
      results.back().log = log.Contents();
    }
  }
  return results;
}

}  // namespace raftkv::storage
