#include "tests/storage/crash_lab.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "rocksdb/env.h"
#include "storage/durability_fence.h"
#include "tests/storage/isolated.h"

namespace raftkv::storage {
namespace {

constexpr char kDurable[] = "durable";
constexpr char kBegun[] = "begun";
constexpr char kDataId[] = "data id";
constexpr char kRefused[] = "refused";

constexpr char kCleanVerdict[] = "clean ";
constexpr char kRefusedVerdict[] = "refused ";

// A storage on a FaultDisk.
class Machine {
 public:
  Machine(FaultDisk disk, const std::string& data_dir, FaultFileSystem::Recorder recorder = nullptr,
          std::optional<DiskFault> fault = std::nullopt)
      : files_(std::make_shared<FaultFileSystem>(std::move(disk), std::move(recorder), fault)),
        env_(rocksdb::NewCompositeEnv(files_)),
        store_(data_dir) {
    store_.options() = SmallSizes(data_dir, env_.get());
  }

  FaultFileSystem& files() { return *files_; }
  Store& store() { return store_; }

 private:
  const std::shared_ptr<FaultFileSystem> files_;
  const std::unique_ptr<rocksdb::Env> env_;
  Store store_;
};

class MarkingObserver final : public ScriptObserver {
 public:
  explicit MarkingObserver(FaultFileSystem* files) : files_(files) {}
  void OnBegin(size_t count) override { files_->Mark(kBegun, count); }
  void OnDurable(size_t count) override { files_->Mark(kDurable, count); }
  void OnStaging(bool begins) override { files_->Mark(kStaging, begins ? 1 : 0); }

 private:
  FaultFileSystem* const files_;
};

class SilentObserver final : public ScriptObserver {
 public:
  void OnBegin(size_t) override {}
  void OnDurable(size_t) override {}
};

std::string CheckThatItGoesOn(Machine* machine, const StoreState& state) {
  const CrashScript more({.seed = state.last() + state.applied.index.value(), .steps = 6}, {state});
  SilentObserver nobody;
  if (const absl::Status run = RunScript(more, &machine->store(), &nobody); !run.ok()) {
    return absl::StrCat("wrong: it does not go on: ", run.ToString());
  }
  machine->store().Close();
  if (const absl::Status reopened = machine->store().TryOpen(); !reopened.ok()) {
    return absl::StrCat("wrong: it does not open again: ", reopened.ToString());
  }
  const absl::StatusOr<StoreState> found = ReadState(&machine->store());
  if (!found.ok() || !Matches(more.states().back(), *found)) {
    return absl::StrCat(
        "wrong: it forgets what came after: ",
        found.ok() ? DescribeDifference(more.states().back(), *found) : found.status().ToString());
  }
  return "";
}

std::string RefusedOrWrong(const absl::Status& status) {
  const bool refused = absl::IsDataLoss(status) || absl::IsFailedPrecondition(status);
  return absl::StrCat(refused ? kRefusedVerdict : "wrong: ", status.ToString());
}

std::string CheckMachine(Machine* machine, const std::vector<StoreState>& states,
                         const Progress& progress, bool goes_on) {
  if (const absl::Status opened = machine->store().TryOpen(); !opened.ok()) {
    return RefusedOrWrong(opened);
  }
  if (progress.data_id.has_value() && *progress.data_id != machine->store().storage().data_id()) {
    return "wrong: another data id";
  }
  const absl::StatusOr<StoreState> found = ReadState(&machine->store());
  if (!found.ok()) {
    return RefusedOrWrong(found.status());
  }
  for (size_t number = progress.begun; number >= progress.durable; --number) {
    if (!Matches(states[number - 1], *found)) {
      continue;
    }
    const std::string wrong = goes_on ? CheckThatItGoesOn(machine, *found) : "";
    return wrong.empty() ? absl::StrCat(kCleanVerdict, number) : wrong;
  }
  return absl::StrCat(
      "wrong: not one of the states ", progress.durable, " to ", progress.begun,
      "; against the first: ", DescribeDifference(states[progress.durable - 1], *found),
      "; the last: ", DescribeDifference(states[progress.begun - 1], *found));
}

}  // namespace

bool IsClean(const std::string& verdict) { return absl::StartsWith(verdict, kCleanVerdict); }

bool IsRefused(const std::string& verdict) { return absl::StartsWith(verdict, kRefusedVerdict); }

size_t CleanState(const std::string& verdict) {
  return std::stoul(verdict.substr(sizeof(kCleanVerdict) - 1));
}

CrashScript MakeScript(const ScriptOptions& options) {
  return CrashScript(options, {StoreState()});
}

void Report(const std::string& name, size_t value) {
  std::cout << "  " << name << ": " << value << "\n";
  testing::Test::RecordProperty(name, static_cast<int>(value));
}

std::string Tail(const std::string& log) {
  constexpr size_t kTailBytes = 1500;
  return log.substr(log.size() - std::min(log.size(), kTailBytes));
}

StorageOptions SmallSizes(const std::string& data_dir, rocksdb::Env* env) {
  StorageOptions options;
  options.data_dir = data_dir;
  options.write_buffer_bytes = 64 << 10;
  options.log_write_buffer_bytes = 64 << 10;
  options.wal_bytes_max = 256 << 10;
  options.cache_bytes = 4 << 20;
  options.env = env;
  return options;
}

FaultDisk MakeDisk(const std::string& data_dir) {
  FaultDisk disk;
  std::string path;
  for (const std::filesystem::path& part : std::filesystem::path(data_dir).relative_path()) {
    absl::StrAppend(&path, "/", part.string());
    disk.Apply(DiskOperation::OnPath(DiskOperation::Kind::kCreateDirectory, path));
  }
  // Storage makes the directory and its lock on the machine's own file system.
  disk.Apply(DiskOperation::OnPath(DiskOperation::Kind::kCreateFile, absl::StrCat(path, "/LOCK")));
  disk.SyncAll();
  return disk;
}

FaultDisk Recording::End() const {
  FaultDisk disk = start;
  for (const DiskOperation& operation : operations) {
    disk.Apply(operation);
  }
  return disk;
}

void Progress::Update(const DiskOperation& operation) {
  if (operation.kind != DiskOperation::Kind::kMark) {
    return;
  }
  if (operation.path == kDurable) {
    durable = operation.number;
  } else if (operation.path == kBegun) {
    begun = operation.number;
  } else if (operation.path == kDataId) {
    data_id = operation.number;
  }
}

Progress Recording::EndProgress() const {
  Progress progress = before;
  for (const DiskOperation& operation : operations) {
    progress.Update(operation);
  }
  return progress;
}

Recording Record(const FaultDisk& start, const Progress& before, const std::string& data_dir,
                 const CrashScript& script, Ending ending, std::optional<DiskFault> fault) {
  const SharedFile journal;
  const std::vector<IsolatedResult> results = RunIsolated(1, [&](size_t) -> std::string {
    const auto recorder = [&](const DiskOperation& operation) {
      std::string bytes;
      EncodeOperation(operation, &bytes);
      journal.Append(bytes);
    };
    auto* machine = new Machine(start, data_dir, recorder, fault);
    if (!machine->store().TryOpen().ok()) {
      return kRefused;
    }
    machine->files().Mark(kDataId, machine->store().storage().data_id());
    MarkingObserver observer(&machine->files());
    // What an opening has found is durable.
    observer.OnDurable(script.start());
    if (!RunScript(script, &machine->store(), &observer).ok()) {
      return kRefused;
    }
    if (ending == Ending::kKill) {
      return "left";
    }
    machine->store().Close();
    return "closed";
  });
  return {.start = start,
          .operations = DecodeOperations(journal.Contents()),
          .before = before,
          .signal = results.front().signal,
          .refused = results.front().text == kRefused,
          .log = results.front().log};
}

std::string CheckDisk(FaultDisk disk, const std::string& data_dir,
                      const std::vector<StoreState>& states, const Progress& progress, bool goes_on,
                      FaultDisk* left) {
  Machine machine(std::move(disk), data_dir);
  std::string verdict = CheckMachine(&machine, states, progress, goes_on);
  machine.store().Close();
  if (left != nullptr) {
    *left = machine.files().disk();
  }
  return verdict;
}

}  // namespace raftkv::storage
