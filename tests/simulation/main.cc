// raftkv_sim: runs whole clusters from seeds and looks for broken promises.
//
//   raftkv_sim --seeds=1000             many runs; the first that breaks a promise is named
//   raftkv_sim --seed=17 --trace        one run, event by event
#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "tests/simulation/counters.h"
#include "tests/simulation/options.h"
#include "tests/simulation/repetition.h"
#include "tests/simulation/simulation.h"

namespace raftkv::simulation {
namespace {

// With so many seeds, every situation must have been met.
constexpr uint64_t kSeedsForEverySituation = 1000;
// One seed in so many runs twice, and must do the same both times.
constexpr uint64_t kSeedsPerRepetition = 100;

struct CommandLine {
  uint64_t seeds = 1;
  uint64_t first = 1;
  std::optional<uint64_t> seed;
  bool trace = false;
  bool counters = false;
  OptionOverrides overrides;
};

// What runs at the moment, for the report of a failed CHECK.
SimOptions current_options;

void ReportSeed() {
  std::fflush(stdout);
  std::fprintf(stderr, "FAILED seed=%" PRIu64 "\n%s\n", current_options.seed,
               current_options.Describe().c_str());
}

[[noreturn]] void FailOnCheck() {
  ReportSeed();
  std::abort();
}

bool RunSeed(uint64_t seed, const CommandLine& line, RunResult* totals) {
  current_options = ExpandOptions(seed, line.overrides);
  const bool repeat = seed % kSeedsPerRepetition == 0;
  const RunResult result =
      repeat ? RunTwice(current_options, line.trace) : RunSimulation(current_options, line.trace);
  if (!result.findings.empty()) {
    for (const std::string& finding : result.findings) {
      std::fprintf(stderr, "%s\n", finding.c_str());
    }
    ReportSeed();
    return false;
  }
  totals->events += result.events;
  totals->operations += result.operations;
  totals->answered += result.answered;
  totals->counters.Add(result.counters);
  return true;
}

// Returns whether all situations were met as often as they must.
bool ReportSituations(const Counters& counters, uint64_t seeds, bool all) {
  bool complete = true;
  for (size_t i = 0; i < kSituations; ++i) {
    const auto situation = static_cast<Situation>(i);
    const uint64_t count = counters.count(situation);
    if (all) {
      std::printf("%10" PRIu64 "  %s\n", count, std::string(Name(situation)).c_str());
    }
    if (count == 0 && seeds >= kSeedsForEverySituation) {
      std::fprintf(stderr, "never met in %" PRIu64 " seeds: %s\n", seeds,
                   std::string(Name(situation)).c_str());
      complete = false;
    }
  }
  return complete;
}

int RunAll(const CommandLine& line) {
  const uint64_t first = line.seed.value_or(line.first);
  const uint64_t seeds = line.seed.has_value() ? 1 : line.seeds;
  if (line.seed.has_value()) {
    std::printf("%s\n", ExpandOptions(first, line.overrides).Describe().c_str());
  }
  const auto begin = std::chrono::steady_clock::now();
  RunResult totals;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    if (!RunSeed(seed, line, &totals)) {
      return EXIT_FAILURE;
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const bool complete = ReportSituations(totals.counters, seeds, line.counters);
  std::printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " operations, %" PRIu64
              " of them answered, %" PRIu64 " events; %.1f s, %.1f seeds/s, %.0f events/s\n",
              seeds, first, totals.operations, totals.answered, totals.events, seconds,
              static_cast<double>(seeds) / seconds, static_cast<double>(totals.events) / seconds);
  return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace raftkv::simulation

int main(int argc, char** argv) {
  raftkv::simulation::CommandLine line;
  CLI::App app("Runs simulated clusters from seeds and looks for broken promises.", "raftkv_sim");
  app.add_option("--seeds", line.seeds, "how many seeds to run");
  app.add_option("--first", line.first, "the first of them");
  app.add_option("--seed", line.seed, "run this seed alone");
  app.add_flag("--trace", line.trace, "print every event");
  app.add_flag("--counters", line.counters, "print how often each situation was met");
  app.add_option("--nodes", line.overrides.nodes, "nodes, whatever the seed says")
      ->check(CLI::IsMember({1, 3, 5, 7}));
  app.add_option("--ops", line.overrides.operations, "operations of clients in each run");
  app.add_flag("--only-spec", line.overrides.only_spec,
               "let no oracle but tests/spec end a run, to see what it rejects by itself");
  CLI11_PARSE(app, argc, argv);
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  google::InstallFailureFunction(&raftkv::simulation::FailOnCheck);
  return raftkv::simulation::RunAll(line);
}
