// Our log's lines, for a test to read.
#pragma once

#include <glog/logging.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace raftkv {

// Gathers "<severity> <text>" while it lives. Confined to one thread, and so is the log then.
class LogLines final : public google::LogSink {
 public:
  LogLines() { google::AddLogSink(this); }
  ~LogLines() override { google::RemoveLogSink(this); }

  void send(google::LogSeverity severity, const char*, const char*, int, const tm*,
            const char* message, size_t size) override {
    lines.push_back(
        absl::StrCat(google::GetLogSeverityName(severity), " ", std::string(message, size)));
  }

  std::vector<std::string> lines;
};

}  // namespace raftkv
