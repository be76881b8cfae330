// raftkvctl: the command line client.
#include <unistd.h>

#include <iostream>

#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace {

// A person waits: better to say soon that nobody answers than to try for the whole timeout.
constexpr int kTriesPerEndpointMax = 4;

raftkv::ctl::ExitCode Main(int argc, char** argv) {
  using raftkv::ctl::ExitCode;
  const auto parsed = raftkv::ctl::ParseCommandLine(argc, argv);
  if (const auto* early = std::get_if<raftkv::ctl::EarlyExit>(&parsed)) {
    std::cout << early->out;
    std::cerr << early->err;
    return early->code;
  }
  const auto& invocation = std::get<raftkv::ctl::Invocation>(parsed);
  raftkv::ClientOptions options;
  options.endpoints = invocation.global.endpoints;
  options.tls = invocation.global.tls;
  options.request_timeout = invocation.global.command_timeout;
  options.tries_per_endpoint_max = kTriesPerEndpointMax;
  absl::StatusOr<raftkv::Client> client = raftkv::Client::Create(options);
  if (!client.ok()) {
    std::cerr << "Error: " << client.status().message() << "\n";
    return ExitCode::kBadArguments;
  }
  const raftkv::ctl::Terminal terminal{.in = std::cin,
                                       .out = std::cout,
                                       .err = std::cerr,
                                       .out_is_terminal = isatty(STDOUT_FILENO) == 1,
                                       .err_is_terminal = isatty(STDERR_FILENO) == 1};
  return raftkv::ctl::RunCommand(invocation, *client, terminal);
}

}  // namespace

int main(int argc, char** argv) { return static_cast<int>(Main(argc, argv)); }
