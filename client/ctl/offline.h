// What raftkvctl has raftkvd do with files, where no server runs: RocksDB's bytes are that
// program's business, and so is every rule about them.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Runs `raftkvd offline` with these arguments and prints what it says in the format asked for. The
// program is `raftkvd` if that is not empty, else the one beside this program, else that in PATH.
ExitCode RunOffline(const std::string& raftkvd, const std::vector<std::string>& arguments,
                    OutputFormat format, const Terminal& terminal);

// What raftkvd prints (server/offline.h), in a format. Lines that are not such are left out.
std::string FormatOffline(OutputFormat format, const std::string& lines);

}  // namespace raftkv::ctl
