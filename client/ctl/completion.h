// Scripts by which shells complete raftkvctl's commands and options.
//
// Pure functions; thread-safe.
#pragma once

#include <string>
#include <vector>

namespace raftkv::ctl {

struct CompletedOption {
  std::vector<std::string> names = {};  // "--limit", "-w"
  std::string description = {};
  bool takes_value = false;
  bool takes_file = false;
  std::vector<std::string> choices = {};  // All values that there are; empty: anything.
};

// A command and its parts, as the parser has them.
struct CompletedCommand {
  std::string name = {};
  std::string description = {};
  std::vector<CompletedOption> options = {};
  std::vector<std::string> choices = {};  // Of its arguments.
  std::vector<CompletedCommand> subcommands = {};
};

// Each completes what stands in the tree under `root`, the program. The options of the root may
// stand anywhere. Keys and values are not completed: nobody is asked.
std::string BashCompletion(const CompletedCommand& root);
std::string ZshCompletion(const CompletedCommand& root);
std::string FishCompletion(const CompletedCommand& root);

}  // namespace raftkv::ctl
