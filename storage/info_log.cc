#include "storage/info_log.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace raftkv::storage {
namespace {

std::string OneLine(const char* format, va_list arguments) {
  std::string text(InfoLog::kLineBytesMax, '\0');
  const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
  // One byte is the terminating zero.
  text.resize(std::min<size_t>(static_cast<size_t>(std::max(size, 0)), text.size() - 1));
  absl::StripTrailingAsciiWhitespace(&text);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

void InfoLog::Logv(const char* format, va_list arguments) {
  Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
}

void InfoLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) {
    return;
  }
  const std::optional<uint64_t> left_out = Admit();
  if (!left_out.has_value()) {
    return;
  }
  const std::string text = absl::StrCat(
      "RocksDB: ", OneLine(format, arguments),
      *left_out == 0 ? "" : absl::StrCat(" (", *left_out, " lines before it were left out)"));
  if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
    LOG(WARNING) << text;
  } else {
    LOG(ERROR) << text;
  }
}

std::optional<uint64_t> InfoLog::Admit() {
  const MutexLock lock(&mutex_);
  if (const MonotonicNanos now = clock_->Now(); now >= window_end_) {
    window_end_ = now + kWindowNanos;
    lines_in_window_ = 0;
  }
  if (lines_in_window_ == kLinesMax) {
    ++left_out_;
    return std::nullopt;
  }
  ++lines_in_window_;
  return std::exchange(left_out_, 0);
}

std::shared_ptr<rocksdb::Logger> MakeInfoLog() {
  // Never destroyed: RocksDB's threads may log until the process ends.
  static const auto* clock = new SystemMonotonicClock();
  return std::make_shared<InfoLog>(clock);
}

}  // namespace raftkv::storage
