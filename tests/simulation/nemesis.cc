#include "tests/simulation/nemesis.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace raftkv::simulation {

using raft::NodeId;

namespace {

constexpr uint64_t kAllNodesPermille = 120;  // Crashes that take every node at once.
constexpr uint64_t kVictimLeadsPermille = 500;
constexpr SimTime kHealthyTurnDelay = 100'000;
constexpr int64_t kJuggleTimeoutsMax = 25;
constexpr int64_t kAbsenceTimeoutsMax = 30;
constexpr int64_t kUnheardTimeoutsMax = 8;
constexpr int64_t kAbsencePauseTimeoutsMax = 20;
constexpr int64_t kBendPauseTimeoutsMax = 40;
constexpr int64_t kTransferPauseTimeoutsMax = 30;
constexpr int64_t kLossPauseTimeoutsMax = 30;
constexpr int64_t kChangePauseTimeoutsMax = 12;
constexpr uint64_t kPowerLostAtInstallPermille = 200;
// What a slow link carries in an election timeout.
constexpr int64_t kSlowLinkBytesMin = 500;
constexpr int64_t kSlowLinkBytesMax = 5000;

}  // namespace

Nemesis::Nemesis(const SimOptions* options, Scheduler* scheduler, Trace* trace, Cluster* cluster,
                 Counters* counters)
    : options_(*options),
      scheduler_(*scheduler),
      trace_(*trace),
      cluster_(*cluster),
      counters_(*counters),
      dice_(options->seed, "nemesis"),
      full_disk_dice_(options->seed, "full disks of the nemesis"),
      transfer_dice_(options->seed, "transfers of the nemesis"),
      loss_dice_(options->seed, "losses of leaders"),
      change_dice_(options->seed, "changes of members by the nemesis") {
  // As a server does, a moment later.
  cluster_.set_on_removed([this](NodeId node) {
    if (removed_.insert(node).second) {
      Note("hears that it is removed", node);
      scheduler_.After(change_dice_.Between(0, options_.ElectionTimeout()),
                       [this, node] { cluster_.End(node, Ending::kStopped); });
    }
  });
  cluster_.set_on_leader([this](NodeId leader) { OnLeader(leader); });
  cluster_.set_on_install([this](NodeId node) { OnInstall(node); });
  cluster_.set_on_aborted([this](NodeId node) {
    if (frozen_) {
      cluster_.Start(node);
    } else {
      Later([this, node] { cluster_.Start(node); });
    }
  });
}

void Nemesis::Start() {
  BeginFaults();
  if (options_.slow_links) {
    BeginSlowLinks();
  }
  if (options_.absences && options_.nodes > 1) {
    BeginAbsences();
  }
  if (options_.bends && options_.nodes >= 3) {
    BeginBends();
  }
  if (options_.full_disks) {
    BeginFullDisks();
  }
  if (options_.nodes > 1) {
    BeginTransfers();
    BeginLosses();
  }
  if (options_.changes_members) {
    BeginChanges();
  }
}

void Nemesis::BeginChanges() {
  scheduler_.After(change_dice_.Between(0, kChangePauseTimeoutsMax * options_.ElectionTimeout()),
                   [this] {
                     if (!frozen_) {
                       ChangeMembers();
                       BeginChanges();
                     }
                   });
}

void Nemesis::ChangeMembers() {
  const NodeId someone = change_dice_.Pick(cluster_.ids());
  const auto kind = change_dice_.Below(10);
  if (kind < 5) {
    const NodeId newcomer = cluster_.NextNewcomer();
    if (newcomer != raft::kNobody) {
      cluster_.ChangeMembers(
          kv::Membership::Adding{.name = absl::StrCat("n", newcomer.value()),
                                 .peer_address = absl::StrCat("n", newcomer.value(), ":1"),
                                 .data_id = newcomer.value(),
                                 .stay_learner = change_dice_.Chance(300)});
    }
  } else if (kind < 8) {
    const NodeId leader = cluster_.Leader();
    const bool the_leader = leader != raft::kNobody && change_dice_.Chance(300);
    cluster_.ChangeMembers(kv::Membership::Removing{(the_leader ? leader : someone).value()});
  } else if (kind < 9) {
    cluster_.ChangeMembers(kv::Membership::Promoting{someone.value()});
  } else {
    cluster_.ChangeMembers(kv::Membership::Updating{
        someone.value(), absl::StrCat("n", someone.value(), ":", 2 + change_dice_.Below(5))});
  }
}

// Rightly or not: whether the leader is gone makes no difference to what may happen.
void Nemesis::BeginLosses() {
  scheduler_.After(loss_dice_.Between(0, kLossPauseTimeoutsMax * options_.ElectionTimeout()),
                   [this] {
                     if (!frozen_) {
                       for (NodeId node : cluster_.ids()) {
                         if (loss_dice_.Chance(500)) {
                           cluster_.LoseLeaderOf(node);
                         }
                       }
                       BeginLosses();
                     }
                   });
}

void Nemesis::BeginTransfers() {
  scheduler_.After(
      transfer_dice_.Between(0, kTransferPauseTimeoutsMax * options_.ElectionTimeout()), [this] {
        if (!frozen_) {
          cluster_.TransferLeadership(
              transfer_dice_.Chance(500) ? raft::kNobody : transfer_dice_.Pick(cluster_.ids()));
          BeginTransfers();
        }
      });
}

void Nemesis::BeginBends() {
  scheduler_.After(dice_.Between(0, kBendPauseTimeoutsMax * options_.ElectionTimeout()), [this] {
    if (!frozen_) {
      cluster_.Bend(SomeVictim());
      BeginBends();
    }
  });
}

void Nemesis::BeginFullDisks() {
  scheduler_.After(full_disk_dice_.Between(0, options_.fault_pause_max), [this] {
    if (frozen_) {
      return;
    }
    const NodeId node = full_disk_dice_.Pick(cluster_.ids());
    Note("has a disk that is nearly full", node);
    cluster_.node(node).disk_faults().nearly_full = true;
    scheduler_.After(full_disk_dice_.Between(0, options_.fault_length_max), [this, node] {
      cluster_.node(node).disk_faults().nearly_full = false;
      if (!frozen_) {
        BeginFullDisks();
      }
    });
  });
}

void Nemesis::BeginAbsences() {
  scheduler_.After(dice_.Between(0, kAbsencePauseTimeoutsMax * options_.ElectionTimeout()), [this] {
    if (!frozen_) {
      BeginAbsence();
      BeginAbsences();
    }
  });
}

void Nemesis::BeginAbsence() {
  const NodeId node = SomeVictim();
  counters_.Note(Situation::kLongAbsence);
  Note("goes away for long", node);
  const bool dies = dice_.Chance(300);
  // What only its acknowledgements were lost of it still holds, if it is not long.
  const bool hears = !dies && dice_.Chance(700);
  const SimTime length = dice_.Between(1, hears ? kUnheardTimeoutsMax : kAbsenceTimeoutsMax) *
                         options_.ElectionTimeout();
  if (dies) {
    cluster_.End(node, dice_.Chance(500) ? Ending::kKilled : Ending::kPowerLost);
    scheduler_.After(length, [this, node] {
      if (!frozen_) {
        cluster_.Start(node);
      }
    });
    return;
  }
  std::vector<Link> links;
  for (const NodeId other : cluster_.ids()) {
    if (other != node) {
      links.emplace_back(node, other);
      if (!hears) {
        links.emplace_back(other, node);
      }
    }
  }
  for (const Link& link : links) {
    cluster_.network().Cut(link);
  }
  scheduler_.After(length, [this, links] {
    for (const Link& link : links) {
      if (!frozen_) {
        cluster_.network().Heal(link);
      }
    }
  });
}

void Nemesis::BeginSlowLinks() {
  scheduler_.After(dice_.Between(0, options_.fault_pause_max), [this] {
    if (!frozen_) {
      SlowSomeLinks();
      BeginSlowLinks();
    }
  });
}

void Nemesis::BeginFaults() {
  scheduler_.After(dice_.Between(0, options_.fault_pause_max), [this] {
    if (!frozen_) {
      BeginOne();
      BeginFaults();
    }
  });
}

void Nemesis::Later(Scheduler::Event end) {
  scheduler_.After(dice_.Between(0, options_.fault_length_max), [this, end = std::move(end)] {
    if (!frozen_) {
      end();
    }
  });
}

void Nemesis::Note(absl::string_view what, NodeId node) {
  trace_.Add({node.value()}, [&] { return absl::StrCat("n", node.value(), " ", what); });
}

void Nemesis::BeginOne() {
  switch (dice_.Below(12)) {
    case 0:
    case 1:
      CrashSome();
      break;
    case 2:
      PauseSome();
      break;
    case 3:
    case 4:
      TroubleDisk();
      break;
    case 5:
      SlowDown();
      break;
    case 6:
      Partition();
      break;
    case 7:
      CutOneWay();
      break;
    case 8:
      options_.nodes >= 5 && dice_.Chance(500) ? Star() : Bridge();
      break;
    case 9:
      ClogSome();
      break;
    case 10:
      options_.nodes >= 5 ? Juggle() : ResetSome();
      break;
    default:
      ResetSome();
  }
}

NodeId Nemesis::AnyNode() { return dice_.Pick(cluster_.ids()); }

NodeId Nemesis::SomeVictim() {
  const NodeId leader = cluster_.Leader();
  return leader != raft::kNobody && dice_.Chance(kVictimLeadsPermille) ? leader : AnyNode();
}

Nemesis::Nodes Nemesis::Shuffled() {
  Nodes nodes = cluster_.ids();
  for (size_t i = nodes.size(); i > 1; --i) {
    std::swap(nodes[i - 1], nodes[dice_.Below(i)]);
  }
  return nodes;
}

void Nemesis::CrashSome() {
  if (!dice_.Chance(kAllNodesPermille)) {
    CrashOne(SomeVictim());
    return;
  }
  for (const NodeId node : cluster_.ids()) {
    CrashOne(node);
  }
}

void Nemesis::CrashOne(NodeId node) {
  const std::vector<Ending> endings = {Ending::kKilled, Ending::kPowerLost, Ending::kPowerLost,
                                       Ending::kStopped};
  cluster_.End(node, dice_.Pick(endings));
  Later([this, node] { cluster_.Start(node); });
}

void Nemesis::PauseSome() {
  const NodeId node = SomeVictim();
  cluster_.Pause(node);
  Later([this, node] { cluster_.Continue(node); });
}

void Nemesis::TroubleDisk() {
  const NodeId node = SomeVictim();
  DiskFaults& faults = cluster_.node(node).disk_faults();
  switch (dice_.Below(3)) {
    case 0:
      Note("will fail to sync", node);
      faults.next_sync_fails = true;
      break;
    case 1:
      Note("waits for its disk", node);
      faults.stalled = true;
      Later([&faults] { faults.stalled = false; });
      break;
    default:
      Note("has a slow disk", node);
      faults.slowness = dice_.Between(2, 40);
      Later([&faults] { faults.slowness = 1; });
  }
}

void Nemesis::SlowDown() {
  const NodeId node = SomeVictim();
  Note("is slow", node);
  cluster_.node(node).SetTurnDelay(dice_.Between(kHealthyTurnDelay, options_.ElectionTimeout()));
  Later([this, node] { cluster_.node(node).SetTurnDelay(kHealthyTurnDelay); });
}

void Nemesis::CutAll(const std::vector<Link>& links) {
  for (const Link& link : links) {
    cluster_.network().Cut(link);
  }
  Later([this, links] {
    for (const Link& link : links) {
      cluster_.network().Heal(link);
    }
  });
}

void Nemesis::Partition() {
  Nodes nodes = Shuffled();
  const NodeId victim = SomeVictim();
  std::swap(*std::find(nodes.begin(), nodes.end(), victim), nodes.front());
  const size_t side = 1 + dice_.Below(nodes.size());
  std::vector<Link> links;
  for (size_t a = 0; a < side; ++a) {
    for (size_t b = side; b < nodes.size(); ++b) {
      links.emplace_back(nodes[a], nodes[b]);
      links.emplace_back(nodes[b], nodes[a]);
    }
  }
  CutAll(links);
}

void Nemesis::CutOneWay() {
  const NodeId victim = SomeVictim();
  const bool hears_nothing = dice_.Chance(500);
  const uint64_t cut_permille = dice_.Pick<uint64_t>({1000, 600});
  std::vector<Link> links;
  for (const NodeId other : cluster_.ids()) {
    if (other != victim && dice_.Chance(cut_permille)) {
      links.push_back(hears_nothing ? Link(other, victim) : Link(victim, other));
    }
  }
  counters_.Note(Situation::kOneWayCut, links.empty() ? 0 : 1);
  CutAll(links);
}

void Nemesis::Bridge() {
  const Nodes nodes = Shuffled();
  if (nodes.size() < 3) {
    return;
  }
  // The first node sees everybody; the others fall into two halves.
  std::vector<Link> links;
  for (size_t a = 1; a < nodes.size(); ++a) {
    for (size_t b = 1; b < nodes.size(); ++b) {
      if ((a <= nodes.size() / 2) != (b <= nodes.size() / 2)) {
        links.emplace_back(nodes[a], nodes[b]);
      }
    }
  }
  counters_.Note(Situation::kBridge);
  CutAll(links);
}

void Nemesis::Star() {
  const Nodes nodes = Shuffled();
  std::vector<Link> links;
  for (size_t a = 1; a < nodes.size(); ++a) {
    for (size_t b = 1; b < nodes.size(); ++b) {
      if (a != b) {
        links.emplace_back(nodes[a], nodes[b]);
      }
    }
  }
  counters_.Note(Situation::kStar);
  CutAll(links);
}

void Nemesis::Juggle() {
  if (pivot_ != raft::kNobody) {
    return;
  }
  pivot_ = AnyNode();
  counters_.Note(Situation::kJuggle);
  Note("is what new leaders reach", pivot_);
  // It takes several elections.
  scheduler_.After(dice_.Between(4, kJuggleTimeoutsMax) * options_.ElectionTimeout(),
                   [this] { EndJuggle(); });
}

void Nemesis::OnLeader(NodeId leader) {
  if (pivot_ == raft::kNobody || leader == pivot_) {
    return;
  }
  for (const Link& link : std::exchange(juggled_, {})) {
    cluster_.network().Heal(link);
  }
  for (const NodeId other : cluster_.ids()) {
    if (other != leader && other != pivot_) {
      juggled_.emplace_back(leader, other);
      juggled_.emplace_back(other, leader);
    }
  }
  for (const Link& link : juggled_) {
    cluster_.network().Cut(link);
  }
}

void Nemesis::OnInstall(NodeId node) {
  if (frozen_ || !dice_.Chance(kPowerLostAtInstallPermille)) {
    return;
  }
  scheduler_.After(dice_.Between(0, options_.sync_max), [this, node] {
    if (!frozen_) {
      cluster_.End(node, Ending::kPowerLost);
      Later([this, node] { cluster_.Start(node); });
    }
  });
}

void Nemesis::EndJuggle() {
  pivot_ = raft::kNobody;
  for (const Link& link : std::exchange(juggled_, {})) {
    cluster_.network().Heal(link);
  }
}

void Nemesis::ClogSome() {
  for (const NodeId from : cluster_.ids()) {
    for (const NodeId to : cluster_.ids()) {
      if (from != to && dice_.Chance(300)) {
        counters_.Note(Situation::kClogged);
        cluster_.network().Clog({from, to},
                                scheduler_.now() + dice_.Between(0, options_.fault_length_max));
      }
    }
  }
}

void Nemesis::SlowSomeLinks() {
  const bool everywhere = dice_.Chance(300);
  const NodeId victim = SomeVictim();
  // Signs of life have room, entries have little.
  const SimTime nanos_per_byte =
      options_.ElectionTimeout() / dice_.Between(kSlowLinkBytesMin, kSlowLinkBytesMax);
  std::vector<Link> links;
  for (const NodeId from : cluster_.ids()) {
    for (const NodeId to : cluster_.ids()) {
      if (from != to && (everywhere || from == victim || to == victim)) {
        links.emplace_back(from, to);
      }
    }
  }
  Note(everywhere ? "and all others have slow links" : "has slow links", victim);
  for (const Link& link : links) {
    cluster_.network().SetSpeed(link, nanos_per_byte);
  }
  Later([this, links] {
    for (const Link& link : links) {
      cluster_.network().SetSpeed(link, /*nanos_per_byte=*/0);
    }
  });
}

void Nemesis::ResetSome() {
  for (const NodeId opener : cluster_.ids()) {
    for (const NodeId acceptor : cluster_.ids()) {
      if (opener != acceptor && dice_.Chance(400)) {
        cluster_.network().ResetStreams(opener, acceptor);
      }
    }
  }
}

void Nemesis::Freeze(const std::set<NodeId>& core) {
  EndJuggle();
  frozen_ = true;
  cluster_.network().BecomeReliable();
  for (const NodeId node : cluster_.ids()) {
    cluster_.node(node).disk_faults() = DiskFaults();
    cluster_.node(node).SetTurnDelay(kHealthyTurnDelay);
    const bool is_outside = !core.contains(node);
    const bool dies = is_outside && dice_.Chance(500);
    if (dies) {
      counters_.Note(Situation::kMinorityLeftDead);
      cluster_.End(node, Ending::kKilled);
    } else {
      cluster_.Start(node);
      cluster_.Continue(node);
    }
    // Whether it is heard, and hears: not both.
    const uint64_t senses = dice_.Below(3);
    for (const NodeId other : cluster_.ids()) {
      if (other == node) {
        continue;
      }
      const bool between_core = core.contains(node) && core.contains(other);
      if (between_core) {
        cluster_.network().Heal({node, other});
      } else if (is_outside && core.contains(other)) {
        counters_.Note(Situation::kMinorityLeftCutOff, dies ? 0 : 1);
        senses == 1 ? cluster_.network().Heal({node, other})
                    : cluster_.network().Cut({node, other});
        senses == 2 ? cluster_.network().Heal({other, node})
                    : cluster_.network().Cut({other, node});
      } else if (is_outside) {
        cluster_.network().Heal({node, other});
      }
    }
  }
}

}  // namespace raftkv::simulation
