// Runs pieces of a test in child processes, because what they run may end the process, and
// RocksDB's threads do not survive a fork. A test that uses this must not open a database in its
// own process.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace raftkv::storage {

struct IsolatedResult {
  std::string text;           // What the body returned; empty when its process ended first.
  std::optional<int> signal;  // That ended it; 0 when it exited.
  int exit_code = 0;          // With which it exited before its time.
  std::string log;            // What that process had written to stderr by then.
};

// Calls body(0) to body(count - 1), in this order, and returns what became of each. They share a
// process until one of them ends it; the next one then begins in a new one, a copy of the caller's.
std::vector<IsolatedResult> RunIsolated(size_t count,
                                        const std::function<std::string(size_t)>& body);

// A file in memory that both sides of a fork see.
class SharedFile {
 public:
  SharedFile();
  ~SharedFile();
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  void Append(const std::string& bytes) const;
  std::string Contents() const;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace raftkv::storage
