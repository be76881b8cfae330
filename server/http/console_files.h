// The files of server/console, as they were when this was built.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace raftkv::server {

struct ConsoleFile {
  // "main.js".
  absl::string_view name;
  absl::string_view text;
};

// Thread-safe. Made by cmake/EmbedFiles.cmake.
const std::vector<ConsoleFile>& ConsoleFiles();

}  // namespace raftkv::server
