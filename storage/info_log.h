// What RocksDB logs about itself, as lines of our own log. RocksDB's own file would lie in the
// database's folder, and Debian's build may end the process when the disk under it is full.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/mutex.h"
#include "rocksdb/env.h"

namespace raftkv::storage {

// Takes warnings and errors, one line each, cut at kLineBytesMax; at most kLinesMax of them in
// kWindowNanos. What is left out is counted, and said with the next line that is not.
// Thread-safe.
class InfoLog final : public rocksdb::Logger {
 public:
  static constexpr size_t kLineBytesMax = 1024;
  static constexpr uint64_t kLinesMax = 10;
  static constexpr MonotonicNanos kWindowNanos = 10 * kNanosPerSecond;

  // REQUIRES: clock outlives this.
  explicit InfoLog(const MonotonicClock* clock)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), clock_(clock) {}

  void Logv(const char* format, va_list arguments) override;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  // Options and versions: nothing that concerns an operator.
  void LogHeader(const char*, va_list) override {}

 private:
  // How many lines were left out before this one, or nothing when this one is.
  std::optional<uint64_t> Admit();

  // Constant after construction.
  const MonotonicClock* const clock_;

  Mutex mutex_;
  MonotonicNanos window_end_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t lines_in_window_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One with the machine's clock.
std::shared_ptr<rocksdb::Logger> MakeInfoLog();

}  // namespace raftkv::storage
