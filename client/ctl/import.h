// `raftkvctl import`.
#pragma once

#include <cstdint>
#include <istream>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Puts that are under way at a time, one for each thread.
inline constexpr size_t kImportThreads = 32;
// Lines that wait for one of them.
inline constexpr size_t kImportQueueMax = 8;
// Of a line: a value of 3 MiB with every byte escaped fits.
inline constexpr size_t kImportLineBytesMax = 24 << 20;

struct ImportResult {
  int64_t written = 0;
  // Of the file: what is wrong with it, naming the line. Of a server: the first failure of a write.
  absl::Status of_file;
  absl::Status of_server;
};

// Writes the keys of lines (json_lines.h). Those of one key are written in their order. A file is
// looked through first, so that a bad line in it changes nothing; from a stream, what comes before
// a bad line is written.
ImportResult Import(const ImportCommand& command, Client& client, const Terminal& terminal);

}  // namespace raftkv::ctl
