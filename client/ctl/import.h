// `raftkvctl load` and `dump`: keys from a file, and to one.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Of a line, or a record of CSV: a value of 3 MiB with every byte escaped fits.
inline constexpr size_t kImportLineBytesMax = 24 << 20;

struct ImportResult {
  int64_t written = 0;
  // Of the file: what is wrong with it, naming the line. Of a server: the first failure of a write.
  absl::Status of_file;
  absl::Status of_server;
};

// Writes the keys of a file (json_lines.h, csv.h) with a bulk writer. Those of one key are written
// in their order. A file is looked through first, so that a bad line in it changes nothing; from a
// stream, what comes before a bad line is written. After a write has failed no further one is
// begun; those that were are settled.
ImportResult Import(const ImportCommand& command, Client& client, const Terminal& terminal);

// Prints the keys of a prefix, all as of one revision, and on a terminal how far it is. A failure
// may come when some are printed. ScanOptions says what `silence_max` bounds.
absl::Status Export(const ExportCommand& command, absl::Duration silence_max, Client& client,
                    const Terminal& terminal);

}  // namespace raftkv::ctl
