// raftkv_chaos: real raftkvd processes under faults, with clients whose history is checked.
//
//   raftkv_chaos --nodes=3 --duration=60 --seed=1
//   raftkv_chaos --faults=kill-leader,pause    these kinds alone
//
// Exit 0: no promise was broken. 1: one was, or the run itself failed. The logs of the servers and
// the history are kept then.
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/fault_kind.h"
#include "tests/chaos/final_checks.h"
#include "tests/chaos/leader_watch.h"
#include "tests/chaos/nemesis.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;

struct CommandLine {
  size_t nodes = 3;
  uint64_t seed = 1;
  uint64_t duration_s = 60;
  uint64_t longest_fault_s = 15;
  std::string faults;
  bool every_kind = false;
  bool lie = false;
};

struct Figures {
  uint64_t lost_writes = 0;
  HistoryVerdict history;
};

// Quiet, then everything is read and compared.
Figures Conclude(ChaosCluster* cluster, Clients* clients) {
  Figures figures;
  clients->Pause();
  EXPECT_TRUE(cluster->members().WaitForLeader().has_value());
  EXPECT_TRUE(clients->ReadEverything()) << "a cluster that is well does not answer a read";
  figures.lost_writes = CheckAgreement(&cluster->members(), *clients);
  clients->Finish();
  figures.history = CheckHistory(clients->history(), cluster->members().dir().File("history.txt"));
  return figures;
}

void ReportKinds(const CommandLine& line, const std::vector<FaultKind>& kinds,
                 const FaultCounts& counts) {
  for (const FaultKind kind : kinds) {
    std::cout << "fault " << Name(kind) << ": " << counts.count(kind) << "\n";
    if (line.every_kind) {
      EXPECT_GT(counts.count(kind), 0U) << "never felt: " << Name(kind);
    }
  }
}

void Report(const Clients& clients, const LeaderWatch& watch, const Nemesis& nemesis,
            const Figures& figures) {
  const Clients::Counts counts = clients.counts();
  std::cout << "operations: " << counts.total() << ", " << counts.ok << " ok, "
            << counts.precondition_failed << " precondition failed, " << counts.failed
            << " failed, " << counts.unknown << " unknown; " << clients.acknowledged_writes()
            << " writes acknowledged, " << figures.lost_writes << " lost\n"
            << "longest time without a write: " << clients.longest_write_gap().count()
            << " ms, without a leader: " << watch.longest_without_leader().count()
            << " ms, from mended to written: " << nemesis.longest_recovery().count() << " ms\n"
            << "checker: " << figures.history.operations << " operations, " << figures.history.steps
            << " steps, " << figures.history.duration.count() << " ms\n";
}

void RunAll(const CommandLine& line, const std::vector<FaultKind>& kinds) {
  ChaosCluster cluster({.size = line.nodes});
  if (!cluster.Start()) {
    return;
  }
  Clients clients(&cluster.members(), {.seed = line.seed, .lie = line.lie});
  LeaderWatch watch(&cluster.members());
  const auto longest = std::chrono::seconds(line.longest_fault_s);
  Nemesis nemesis(&cluster, &clients, {.seed = line.seed, .kinds = kinds, .longest = longest});
  const Clock::time_point end = Clock::now() + std::chrono::seconds(line.duration_s);
  while (Clock::now() < end && nemesis.RunEpisode()) {
  }
  const Figures figures = Conclude(&cluster, &clients);
  ReportKinds(line, kinds, nemesis.counts());
  Report(clients, watch, nemesis, figures);
  if (testing::Test::HasFailure()) {
    setenv("RAFTKV_TEST_KEEP", "1", /*overwrite=*/1);
  }
}

int Main(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Does harm to real raftkvd processes and checks what clients saw.", "raftkv_chaos");
  app.add_option("--nodes", line.nodes, "members")->check(CLI::IsMember({1, 3, 5}));
  app.add_option("--seed", line.seed, "what the faults and the clients' calls follow from");
  app.add_option("--duration", line.duration_s, "seconds under faults");
  app.add_option("--longest-fault", line.longest_fault_s, "seconds that one fault lasts at most");
  app.add_option("--faults", line.faults, "kinds, with commas between; default all");
  app.add_flag("--every-kind", line.every_kind, "fail when a kind of fault had no effect");
  app.add_flag("--lie", line.lie, "let clients lie, to see that it is noticed");
  CLI11_PARSE(app, argc, argv);
  const auto kinds = ParseFaultKinds(line.faults);
  if (!kinds.ok()) {
    std::cerr << kinds.status().message() << "\n";
    return EXIT_FAILURE;
  }
  RunAll(line, *kinds);
  const bool failed = testing::Test::HasFailure();
  std::cout << (failed ? "FAILED" : "OK") << ": seed " << line.seed << std::endl;
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace
}  // namespace raftkv::chaos

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  return raftkv::chaos::Main(argc, argv);
}
