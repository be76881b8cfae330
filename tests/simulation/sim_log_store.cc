#include "tests/simulation/sim_log_store.h"

#include <glog/logging.h>

#include <utility>

namespace raftkv::simulation {

using raft::LogWrite;
using raft::WriteId;

namespace {

// From the loop to the log thread.
constexpr SimTime kHandOver = 5'000;
// How often a stalled disk is looked at.
constexpr SimTime kStallLook = SimOptions::kTickNanos / 2;

}  // namespace

SimLogStore::SimLogStore(const SimOptions* options, ProcessEvents* events, SimDisk* disk,
                         DiskFaults* faults, Dice dice, Counters* counters, Hooks hooks)
    : options_(*options),
      events_(*events),
      disk_(*disk),
      faults_(*faults),
      dice_(dice),
      counters_(*counters),
      hooks_(std::move(hooks)) {}

void SimLogStore::Write(LogWrite write) {
  hooks_.on_write(write);
  queue_.push_back(std::move(write));
  if (!busy_) {
    busy_ = true;
    events_.After(kHandOver, [this] { BeginBatch(); });
  }
}

std::optional<WriteId> SimLogStore::TakeDurable() {
  return std::exchange(newly_durable_, std::nullopt);
}

SimTime SimLogStore::DrawSyncTime() {
  return dice_.Between(options_.sync_min, options_.sync_max) * faults_.slowness;
}

void SimLogStore::BeginBatch() {
  const WriteId last = queue_.back().id;
  const uint64_t record = disk_.Write(std::exchange(queue_, {}));
  AwaitSync(record, last, DrawSyncTime());
}

void SimLogStore::AwaitSync(uint64_t record, WriteId last, SimTime delay) {
  // A sync goes on in the kernel while the process is stopped, and without it when it has ended.
  events_.InMachineAfter(
      delay, [this, &disk = disk_, &faults = faults_, record, last, alive = events_.alive()] {
        if (faults.stalled && *alive) {
          counters_.Note(Situation::kSyncStalled);
          AwaitSync(record, last, kStallLook);
          return;
        }
        const bool failed = *alive && std::exchange(faults.next_sync_fails, false);
        if (!failed && !faults.stalled) {
          disk.OnSynced(record);
        }
        if (*alive) {
          events_.Now([this, last, failed] { OnSyncOver(last, failed); });
        }
      });
}

void SimLogStore::OnSyncOver(WriteId last, bool failed) {
  if (failed) {
    counters_.Note(Situation::kSyncFailed);
    hooks_.on_failed_sync();
    return;
  }
  newly_durable_ = last;
  busy_ = !queue_.empty();
  if (busy_) {
    BeginBatch();
  }
  hooks_.on_news();
}

void SimLogStore::Load(const raft::LoadEntries& request) {
  counters_.Note(Situation::kEntriesLoadedFromDisk);
  events_.After(DrawSyncTime(), [this, request] {
    loaded_.push_back(ReadEntries(request));
    hooks_.on_news();
  });
}

raft::LoadedEntries SimLogStore::ReadEntries(const raft::LoadEntries& request) const {
  const std::vector<raft::Entry>& log = disk_.written_log();
  raft::LoadedEntries loaded{.peer = request.peer, .previous = {}, .entries = {}, .trimmed = false};
  const uint64_t first = request.first.value() - 1;
  if (first > 0 && first <= log.size()) {
    loaded.previous = log[first - 1].id;
  }
  uint64_t bytes = 0;
  for (uint64_t place = first; place < log.size(); ++place) {
    bytes += log[place].size_bytes();
    if (bytes > request.bytes_max && !loaded.entries.empty()) {
      break;
    }
    loaded.entries.push_back(log[place]);
  }
  return loaded;
}

std::vector<raft::LoadedEntries> SimLogStore::TakeLoaded() { return std::exchange(loaded_, {}); }

void SimLogStore::FinishWrites() {
  if (!queue_.empty()) {
    disk_.Write(std::exchange(queue_, {}));
  }
  disk_.OnSynced(disk_.last_written());
}

}  // namespace raftkv::simulation
