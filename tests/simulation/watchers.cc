#include "tests/simulation/watchers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "kv/errors.h"

namespace raftkv::simulation {
namespace {

constexpr uint64_t kWatchers = 5;
// Of the turns of a node: that a watcher without one goes there, that a slow one asks for more, and
// that one moves on.
constexpr uint64_t kAttachPermille = 100;
constexpr uint64_t kSlowAskPermille = 20;
constexpr uint64_t kMovePermille = 2;

}  // namespace

Watchers::Watchers(const SimOptions* options, const Ledger* ledger, raft::SafetyOracle* findings,
                   Counters* counters)
    : ledger_(*ledger),
      findings_(*findings),
      counters_(*counters),
      dice_(options->seed, "watchers") {
  for (uint64_t number = 1; number <= kWatchers; ++number) {
    auto watcher = std::make_unique<Watcher>();
    watcher->number = number;
    switch (number % 3) {
      case 0:
        watcher->intervals = {{.start = "a/1", .end = std::string("a/1\0", 4)}};
        break;
      case 1:
        watcher->intervals = {{.start = "", .end = ""}};
        break;
      default:
        watcher->intervals = {{.start = "", .end = "a/2"}, {.start = "b/0", .end = "b/4"}};
    }
    watcher->slow = number > kWatchers / 2;
    watchers_.push_back(std::move(watcher));
  }
}

void Watchers::OnTurn(raft::NodeId node, kv::WatchHub* hub) {
  for (const auto& watcher : watchers_) {
    if (watcher->over) {
      watcher->watch.reset();
      watcher->node = raft::kNobody;
      watcher->over = false;
    }
    if (watcher->watch == nullptr) {
      if (dice_.Chance(kAttachPermille)) {
        Attach(watcher.get(), node, hub);
      }
    } else if (watcher->node == node) {
      if (dice_.Chance(kMovePermille)) {
        watcher->watch.reset();
        watcher->asked = false;
        watcher->node = raft::kNobody;
      } else if (!watcher->asked && dice_.Chance(kSlowAskPermille)) {
        Ask(watcher.get());
      }
    }
  }
}

void Watchers::OnGone(raft::NodeId node) {
  for (const auto& watcher : watchers_) {
    if (watcher->node == node) {
      watcher->watch.reset();
      watcher->asked = false;
      watcher->node = raft::kNobody;
    }
  }
}

void Watchers::Attach(Watcher* watcher, raft::NodeId node, kv::WatchHub* hub) {
  // As a client that knows no more than which revisions it was told whole.
  absl::StatusOr<std::unique_ptr<kv::Watch>> watch =
      hub->Begin({.intervals = watcher->intervals, .from = watcher->told.revision});
  watcher->told.key.clear();
  if (!watch.ok()) {
    Take(watcher, watch.status());
    return;
  }
  watcher->watch = *std::move(watch);
  watcher->node = node;
  counters_.Note(Situation::kWatchResumedElsewhere,
                 watcher->last_node != raft::kNobody && watcher->last_node != node ? 1 : 0);
  watcher->last_node = node;
  Ask(watcher);
}

void Watchers::Ask(Watcher* watcher) {
  watcher->asked = true;
  watcher->watch->Next([this, watcher](const absl::StatusOr<kv::WatchBatch>& batch) {
    watcher->asked = false;
    Take(watcher, batch);
    if (batch.ok() && !watcher->slow) {
      Ask(watcher);
    }
  });
}

void Watchers::Take(Watcher* watcher, const absl::StatusOr<kv::WatchBatch>& batch) {
  if (!batch.ok()) {
    watcher->over = true;
    const auto info = kv::FindErrorInfo(batch.status());
    int64_t compacted = 0;
    if (!info.has_value() || info->reason() != "REVISION_COMPACTED" ||
        !absl::SimpleAtoi(info->metadata().at("compact_revision"), &compacted)) {
      return;
    }
    findings_.Expect(watcher->told.revision <= compacted, [&] {
      return absl::StrCat("watcher ", watcher->number, " at revision ", watcher->told.revision,
                          " is told that the history is compacted up to ", compacted);
    });
    counters_.Note(Situation::kWatchOutrun);
    watcher->told = {.revision = compacted + 1};
    return;
  }
  for (const auto& event : batch->events) {
    TakeEvent(watcher, *event);
  }
  counters_.Note(Situation::kWatchTold, batch->events.empty() ? 0 : 1);
  counters_.Note(Situation::kWatchToldInPart, batch->partial ? 1 : 0);
  const bool goes_on = !batch->events.empty() && batch->events.back()->revision > batch->through;
  findings_.Expect(goes_on == batch->partial, [&] {
    return absl::StrCat("watcher ", watcher->number, " is told up to revision ", batch->through,
                        batch->partial ? ", and that" : ", and not that", " there is a part");
  });
  const kv::HistoryEvent* missed = Expected(*watcher);
  findings_.Expect(missed == nullptr || missed->revision > batch->through, [&] {
    return absl::StrCat("watcher ", watcher->number, " is told that nothing up to revision ",
                        batch->through, " follows, but never of key ", missed->key, " at revision ",
                        missed->revision);
  });
  watcher->told = std::max(watcher->told, {.revision = batch->through + 1});
}

void Watchers::TakeEvent(Watcher* watcher, const kv::HistoryEvent& event) {
  const kv::HistoryEvent* expected = Expected(*watcher);
  kv::HistoryEvent bare = event;
  bare.previous.reset();
  kv::HistoryEvent model = expected == nullptr ? kv::HistoryEvent() : *expected;
  model.record.header.row_hash = 0;
  findings_.Expect(bare == model, [&] {
    return absl::StrCat("watcher ", watcher->number, " is told of key ", event.key, " at revision ",
                        event.revision, ", but next comes ",
                        expected == nullptr ? "nothing"
                                            : absl::StrCat("key ", expected->key, " at revision ",
                                                           expected->revision));
  });
  watcher->told = kv::After(event);
}

const kv::HistoryEvent* Watchers::Expected(const Watcher& watcher) const {
  const auto& events = ledger_.model().events();
  for (auto event = events.lower_bound({watcher.told.revision, watcher.told.key});
       event != events.end(); ++event) {
    const std::string& key = event->first.second;
    if (std::any_of(watcher.intervals.begin(), watcher.intervals.end(),
                    [&](const kv::KeyInterval& interval) { return interval.Holds(key); })) {
      return &event->second.event;
    }
  }
  return nullptr;
}

}  // namespace raftkv::simulation
