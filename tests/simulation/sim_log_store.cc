#include "tests/simulation/sim_log_store.h"

#include <glog/logging.h>

#include <utility>

#include "tests/simulation/sim_snapshot.h"

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
  Enqueue(std::move(write));
}

void SimLogStore::Trim(raft::LogIndex through) {
  if (through > disk_.written_log().trimmed) {
    hooks_.on_trim(through);
    Enqueue(SimDisk::Trim{through});
  }
}

void SimLogStore::Install(std::shared_ptr<raft::StagedSnapshot> snapshot, bool keeps_log) {
  hooks_.on_install();
  Enqueue(Installing{.snapshot = std::move(snapshot), .keeps_log = keeps_log});
}

std::shared_ptr<raft::StagedSnapshot> SimLogStore::TakeInstalled() {
  return std::exchange(newly_installed_, nullptr);
}

void SimLogStore::Enqueue(Work work) {
  queue_.push_back(std::move(work));
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

SimLogStore::Batch SimLogStore::WriteQueue() {
  Batch batch;
  std::vector<LogWrite> writes;
  const auto end_writes = [&] {
    if (!writes.empty()) {
      disk_.Write(std::exchange(writes, {}));
    }
  };
  for (Work& work : std::exchange(queue_, {})) {
    if (auto* write = std::get_if<LogWrite>(&work)) {
      batch.last = write->id;
      writes.push_back(std::move(*write));
      continue;
    }
    end_writes();
    if (const auto* trim = std::get_if<SimDisk::Trim>(&work)) {
      disk_.Write(*trim);
    } else {
      const auto& installing = std::get<Installing>(work);
      batch.installed = installing.snapshot;
      disk_.Write(SimDisk::Install{.content = ContentOf(*installing.snapshot),
                                   .keeps_log = installing.keeps_log});
    }
  }
  end_writes();
  batch.record = disk_.last_written();
  return batch;
}

void SimLogStore::BeginBatch() {
  const Batch batch = WriteQueue();
  AwaitSync(batch, DrawSyncTime());
}

void SimLogStore::AwaitSync(const Batch& batch, SimTime delay) {
  // A sync goes on in the kernel while the process is stopped, and without it when it has ended.
  events_.InMachineAfter(
      delay, [this, &disk = disk_, &faults = faults_, batch, alive = events_.alive()] {
        if (faults.stalled && *alive) {
          counters_.Note(Situation::kSyncStalled);
          AwaitSync(batch, kStallLook);
          return;
        }
        const bool failed = *alive && std::exchange(faults.next_sync_fails, false);
        if (!failed && !faults.stalled) {
          disk.OnSynced(batch.record);
        }
        if (*alive) {
          events_.Now([this, batch, failed] { OnSyncOver(batch, failed); });
        }
      });
}

void SimLogStore::OnSyncOver(const Batch& batch, bool failed) {
  if (failed) {
    counters_.Note(Situation::kSyncFailed);
    hooks_.on_failed_sync();
    return;
  }
  if (batch.last.has_value()) {
    newly_durable_ = batch.last;
  }
  if (batch.installed != nullptr) {
    newly_installed_ = batch.installed;
  }
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
  const std::vector<raft::Entry>& log = disk_.written_log().entries;
  raft::LoadedEntries loaded{.peer = request.peer, .previous = {}, .entries = {}, .trimmed = false};
  if (request.first <= disk_.written_log().trimmed) {
    counters_.Note(Situation::kLoadMetTrim);
    loaded.trimmed = true;
    return loaded;
  }
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

raft::LogIndex SimLogStore::FirstOfNewest(uint64_t bytes) const {
  const DiskLog& log = disk_.written_log();
  uint64_t first = log.entries.size() + 1;
  while (first > log.trimmed.value() + 1 && log.entries[first - 2].size_bytes() <= bytes) {
    bytes -= log.entries[first - 2].size_bytes();
    --first;
  }
  return raft::LogIndex(first);
}

void SimLogStore::FinishWrites() {
  WriteQueue();
  disk_.OnSynced(disk_.last_written());
}

}  // namespace raftkv::simulation
