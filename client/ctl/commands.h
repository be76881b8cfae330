// The commands of raftkvctl.
#pragma once

#include <iosfwd>

#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/exit_code.h"

namespace raftkv::ctl {

// Where a command reads and writes.
struct Terminal {
  std::istream& in;
  std::ostream& out;  // data
  std::ostream& err;  // everything else
  bool out_is_terminal = false;
  bool err_is_terminal = false;
};

// Runs one command against the cluster that `client` reaches. Errors are said on `terminal.err`.
// kError, too, when the output could not be written.
ExitCode RunCommand(const Invocation& invocation, Client& client, const Terminal& terminal);

}  // namespace raftkv::ctl
