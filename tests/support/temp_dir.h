// A directory that lives as long as its test.
#pragma once

#include <string>

namespace raftkv::integration {

// Removed with everything in it at destruction, unless the environment has RAFTKV_TEST_KEEP: then
// its path is printed. Confined to one thread.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The whole content of a file; empty when it cannot be read.
std::string ReadFile(const std::string& path);
// The same up to the end of the last whole line: for a file that somebody is still writing.
std::string ReadWholeLines(const std::string& path);
// REQUIRES: the directory of `path` exists and can be written.
void WriteFile(const std::string& path, const std::string& content);

}  // namespace raftkv::integration
