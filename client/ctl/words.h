// The words of a command line, before they are checked and given their types.
#pragma once

#include <string>

#include "client/ctl/command_line.h"
#include "client/ctl/lease_arguments.h"

namespace raftkv::ctl {

// What CLI11 fills in.
struct Words {
  std::string endpoints = "127.0.0.1:2379";
  std::string format = "simple";
  std::string command_timeout = "5s";
  TlsOptions tls;
  std::string ttl;
  std::string consistency = "l";
  std::string max_staleness;
  PutCommand put;
  GetCommand get;
  DeleteCommand del;
  MemberAddCommand add;
  MemberRemoveCommand remove;
  MemberPromoteCommand promote;
  MemberUpdateCommand update;
  MemberReplaceCommand replace;
  TouchCommand touch;
  std::string touch_ttl;
  IncrementCommand increment;
  std::string increment_ttl;
  WatchCommand watch;
  HistoryCommand history;
  DiffCommand diff;
  CompactCommand compact;
  MoveLeaderCommand move_leader;
  EndpointStatusCommand status;
  EndpointHealthCommand health;
  EndpointHashCommand hash;
  SnapshotSaveCommand save;
  ExportCommand exported;
  ImportCommand import;
  std::string raftkvd;
  std::string file;  // of snapshot status and restore
  std::string data_dir;
  std::string name;
  std::string initial_cluster;
  bool force = false;
  bool only_hash = false;
  std::string shell;
  bool persist = false;
  LeaseWords leases;
};

}  // namespace raftkv::ctl
