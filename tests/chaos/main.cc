// raftkv_chaos: real raftkvd processes under faults, with clients whose history is checked.
//
//   raftkv_chaos --nodes=3 --duration=60 --seed=1
//   raftkv_chaos --faults=kill-leader,pause    these kinds alone
//   raftkv_chaos --power-cuts=50               all members lose their power, 50 times
//
// Exit 0: no promise was broken. 1: one was, or the run itself failed; the servers' logs and the
// history are kept then. 77: this machine lets us do nothing of what was asked for.
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/fault_kind.h"
#include "tests/chaos/final_checks.h"
#include "tests/chaos/leader_watch.h"
#include "tests/chaos/nemesis.h"
#include "tests/chaos/power_cuts.h"
#include "tests/support/recorded_call.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;

constexpr int kSkipped = 77;

struct CommandLine {
  size_t nodes = 3;
  uint64_t seed = 1;
  uint64_t duration_s = 60;
  uint64_t longest_fault_s = 15;
  std::string faults;
  bool every_kind = false;
  uint64_t power_cuts = 0;
  bool lying_clients = false;
  bool lying_disks = false;
  bool tls = false;
};

struct Figures {
  FaultCounts faults;
  DamageCounts damages;
  Millis longest_recovery = Millis(0);
  Millis longest_return = Millis(0);
  uint64_t power_cuts_of_all = 0;
  uint64_t lost_writes = 0;
  integration::HistoryVerdict history;
};

// Quiet, then everything is read and compared, unless something is wrong already.
void Conclude(ChaosCluster* cluster, Clients* clients, Figures* figures) {
  clients->Pause();
  if (!testing::Test::HasFailure() && cluster->members().WaitForLeader().has_value()) {
    EXPECT_TRUE(clients->ReadEverything()) << "a cluster that is well does not answer a read";
    figures->lost_writes += CheckAgreement(&cluster->members(), *clients);
  }
  clients->Finish();
  figures->history =
      integration::CheckHistory(clients->history(), cluster->members().dir().File("history.txt"));
}

void DoHarm(const CommandLine& line, const std::vector<FaultKind>& kinds, ChaosCluster* cluster,
            Clients* clients, Figures* figures) {
  if (line.power_cuts > 0) {
    const PowerCutFigures cuts = CutPowerAgainAndAgain(
        {.seed = line.seed, .cuts = line.power_cuts, .lying_disks = line.lying_disks}, cluster,
        clients);
    figures->power_cuts_of_all = cuts.cuts;
    figures->lost_writes = cuts.lost_writes;
    return;
  }
  const auto longest = std::chrono::seconds(line.longest_fault_s);
  Nemesis nemesis(cluster, clients, {.seed = line.seed, .kinds = kinds, .longest = longest});
  const Clock::time_point end = Clock::now() + std::chrono::seconds(line.duration_s);
  while (Clock::now() < end && nemesis.RunEpisode()) {
  }
  figures->faults = nemesis.counts();
  figures->damages = nemesis.damages();
  figures->longest_recovery = nemesis.longest_recovery();
  figures->longest_return = nemesis.longest_return();
  figures->power_cuts_of_all = nemesis.counts().count(FaultKind::kPowerCutAll);
}

void ReportFaults(const CommandLine& line, const std::vector<FaultKind>& kinds,
                  const Figures& figures) {
  std::cout << "faults:";
  for (const FaultKind kind : kinds) {
    std::cout << " " << Name(kind) << " " << figures.faults.count(kind);
    if (line.every_kind) {
      EXPECT_GT(figures.faults.count(kind), 0U) << "never felt: " << Name(kind);
    }
  }
  std::cout << "\ndamaged files: " << figures.damages.damaged << ", members that refused "
            << figures.damages.refused << ", stopped later " << figures.damages.stopped << ", led "
            << figures.damages.led << "\n";
}

void Report(const Clients& clients, const LeaderWatch& watch, const Figures& figures) {
  const Clients::Counts counts = clients.counts();
  std::cout << "operations: " << counts.total() << ", " << counts.ok << " ok, "
            << counts.precondition_failed << " precondition failed, " << counts.failed
            << " failed, " << counts.unknown << " unknown\n"
            << "writes acknowledged: " << clients.acknowledged_writes() << ", lost "
            << figures.lost_writes << "; power cuts of all: " << figures.power_cuts_of_all << "\n"
            << "longest time without a write: " << clients.longest_write_gap().count()
            << " ms, without a leader: " << watch.longest_without_leader().count()
            << " ms, from mended to written: " << figures.longest_recovery.count()
            << " ms, from then until all serve: " << figures.longest_return.count() << " ms\n"
            << "checker: " << figures.history.operations << " operations, " << figures.history.steps
            << " steps, " << figures.history.duration.count() << " ms\n";
}

void RunAll(const CommandLine& line, const std::vector<FaultKind>& kinds, bool disks) {
  ChaosCluster cluster({.size = line.nodes,
                        .disks = disks,
                        .clocks = std::any_of(kinds.begin(), kinds.end(), NeedsShiftedClocks),
                        .names = std::any_of(kinds.begin(), kinds.end(), NeedsNames),
                        .tls = line.tls});
  if (!cluster.Start()) {
    return;
  }
  Clients clients(&cluster.members(),
                  {.seed = line.seed, .ttl_keys = line.power_cuts == 0, .lie = line.lying_clients});
  LeaderWatch watch(&cluster.members());
  Figures figures;
  DoHarm(line, kinds, &cluster, &clients, &figures);
  Conclude(&cluster, &clients, &figures);
  if (line.power_cuts == 0) {
    ReportFaults(line, kinds, figures);
  }
  Report(clients, watch, figures);
  if (testing::Test::HasFailure()) {
    setenv("RAFTKV_TEST_KEEP", "1", /*overwrite=*/1);
  }
}

// Leaves out the kinds that this machine does not let us do.
template <typename Needs>
void LeaveOut(absl::string_view what, const absl::Status& why, Needs needs,
              std::vector<FaultKind>* kinds) {
  std::cout << "SKIPPED: " << what << ": " << why.message() << std::endl;
  std::erase_if(*kinds, needs);
}

int Run(const CommandLine& line) {
  auto kinds = ParseFaultKinds(line.faults);
  if (!kinds.ok()) {
    std::cerr << kinds.status().message() << "\n";
    return EXIT_FAILURE;
  }
  const absl::Status disks = TryDisks();
  if (!disks.ok()) {
    LeaveOut("power cuts and full disks, they need root and loop devices", disks, NeedsDisks,
             &*kinds);
  }
  if (std::any_of(kinds->begin(), kinds->end(), NeedsNames)) {
    if (const absl::Status names = TryNames(); !names.ok()) {
      LeaveOut("new addresses behind names, they need root", names, NeedsNames, &*kinds);
    }
  }
  if (RAFTKV_SANITIZED) {
    LeaveOut("shifted clocks", absl::UnavailableError("a sanitizer must be loaded first"),
             NeedsShiftedClocks, &*kinds);
  }
  if (kinds->empty() || (!disks.ok() && line.power_cuts > 0)) {
    return kSkipped;
  }
  RunAll(line, *kinds, disks.ok());
  const bool failed = testing::Test::HasFailure();
  std::cout << (failed ? "FAILED" : "OK") << ": seed " << line.seed << std::endl;
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int Main(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Does harm to real raftkvd processes and checks what clients saw.", "raftkv_chaos");
  app.add_option("--nodes", line.nodes, "members")->check(CLI::IsMember({3, 5}));
  app.add_option("--seed", line.seed, "what the faults and the clients' calls follow from");
  app.add_option("--duration", line.duration_s, "seconds under faults");
  app.add_option("--longest-fault", line.longest_fault_s, "seconds that one fault lasts at most");
  app.add_option("--faults", line.faults, "kinds, with commas between; default all");
  app.add_flag("--every-kind", line.every_kind, "fail when a kind of fault had no effect");
  app.add_option("--power-cuts", line.power_cuts, "cut the power of all so often, and do no more");
  app.add_flag("--tls", line.tls, "members and clients speak TLS and show certificates");
  app.add_flag("--lying-clients", line.lying_clients, "see that false acknowledgements are found");
  app.add_flag("--lying-disks", line.lying_disks, "with --power-cuts: see that a loss is found");
  CLI11_PARSE(app, argc, argv);
  return Run(line);
}

}  // namespace
}  // namespace raftkv::chaos

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  return raftkv::chaos::Main(argc, argv);
}
