// raftkvctl top: how the members of a cluster are, once a second, until q.
#pragma once

#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"
#include "client/ctl/exit_code.h"

namespace raftkv::ctl {

// On a terminal, this process's standard input and output: redrawn each second and when its size
// changes, until "q" or a signal, and however it ends the terminal is as it was. Else, and with
// -w json, one look at the cluster on `terminal.out`. When no member answers, that is said, and the
// exit code of a single look tells it.
ExitCode RunTop(const GlobalOptions& global, Client& client, const Terminal& terminal);

}  // namespace raftkv::ctl
