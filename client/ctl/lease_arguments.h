// The arguments of raftkvctl that are about leases; with command_line.cc, what knows CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "client/ctl/command_line.h"

namespace raftkv::ctl {

// What CLI11 fills in before it is checked and given its types.
struct LeaseWords {
  LeaseGrantCommand grant;
  std::string grant_ttl;
  LeaseRenewCommand renew;
  std::string renew_ttl;
  LeaseRevokeCommand revoke;
  LeaseGetCommand lease_get;
  LeaseKeepAliveCommand keep_alive;
  LockCommand lock;
  std::string lock_ttl = "10s";
  std::string lock_wait;
};

// Text that ParseDuration takes; `positive`: more than 0 and at most a day.
CLI::Validator IsDuration(bool positive);
CLI::Range IsLeaseId();

// `lease`, `lock` and `elect`; the words must stay where they are.
void AddLeaseCommands(CLI::App& app, LeaseWords& words);
// nullopt: it is none of those.
std::optional<Command> ChosenLeaseCommand(const CLI::App& app, LeaseWords& words);

}  // namespace raftkv::ctl
