// From the parser of the command line to what shells complete.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace raftkv::ctl {

// The script for "bash", "zsh" or "fish". A pure function; thread-safe.
std::string CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace raftkv::ctl
