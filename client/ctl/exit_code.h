// How raftkvctl ends, and what it says when it fails.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace raftkv::ctl {

// Scripts depend on these numbers: they are etcdctl's, and frozen.
enum class ExitCode : int {
  kOk = 0,
  kError = 1,  // also: no such key with --fail-missing
  kCannotConnect = 2,
  kServerError = 4,
  kUnhealthy = 5,
  kBadArguments = 128,
};

// kServerError when a server gave the answer, also one about the arguments; kBadArguments when they
// were found to be wrong before a server was asked; kCannotConnect when none could be reached;
// kUnhealthy when servers of two clusters answered; kError for what is neither: the time ran out or
// the connection broke. REQUIRES: !status.ok().
ExitCode ExitCodeFor(const absl::Status& status);

// One line for a human, without "Error: ": what went wrong, the reason, whom it was asked of, what
// to do about it.
std::string DescribeError(const absl::Status& status, const std::vector<std::string>& endpoints);

}  // namespace raftkv::ctl
