#include "tests/support/recording_state_machine.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/coding.h"
#include "raft/runtime/command_batch.h"

namespace raftkv::raft {
namespace {

// The first chunk of a snapshot says who counts and how many commands follow.
std::string HeadOf(const Configuration& configuration, size_t commands) {
  std::string head;
  for (const auto* nodes :
       {&configuration.voters, &configuration.outgoing_voters, &configuration.learners}) {
    AppendVarint(uint64_t{nodes->size()}, &head);
    for (const NodeId node : *nodes) {
      AppendVarint(node.value(), &head);
    }
  }
  AppendVarint(uint64_t{commands}, &head);
  return head;
}

std::set<NodeId> ReadNodes(ByteReader* reader) {
  std::set<NodeId> nodes;
  for (uint64_t count = reader->Varint(); count > 0 && reader->ok(); --count) {
    nodes.insert(NodeId(reader->Varint()));
  }
  return nodes;
}

class RecordedReader final : public SnapshotReader {
 public:
  RecordedReader(SnapshotMeta meta, const std::vector<std::string>& commands) : meta_(meta) {
    chunks_.push_back(HeadOf(meta.configuration, commands.size()));
    for (size_t place = 0; place < commands.size(); ++place) {
      if (place % RecordingStateMachine::kChunkCommands == 0) {
        chunks_.emplace_back();
      }
      AppendVarint(uint64_t{commands[place].size()}, &chunks_.back());
      chunks_.back() += commands[place];
    }
  }

  SnapshotPoint point() const override { return meta_.point; }
  absl::StatusOr<std::optional<std::string>> ReadChunk(uint64_t number) override {
    return number < chunks_.size() ? std::optional<std::string>(chunks_[number]) : std::nullopt;
  }

 private:
  const SnapshotMeta meta_;
  std::vector<std::string> chunks_;
};

class RecordedWriter final : public SnapshotWriter {
 public:
  explicit RecordedWriter(const SnapshotPoint& point) { state_.meta.point = point; }

  absl::Status Write(absl::string_view chunk) override {
    ByteReader reader(chunk);
    if (!std::exchange(has_head_, true)) {
      state_.meta.configuration.voters = ReadNodes(&reader);
      state_.meta.configuration.outgoing_voters = ReadNodes(&reader);
      state_.meta.configuration.learners = ReadNodes(&reader);
      commands_ = reader.Varint();
    }
    while (reader.ok() && !reader.empty()) {
      state_.commands.emplace_back(reader.Bytes(reader.Varint()));
    }
    return reader.ok() ? absl::OkStatus() : absl::InvalidArgumentError("a broken chunk");
  }
  absl::StatusOr<std::shared_ptr<StagedSnapshot>> Finish() override {
    if (!has_head_ || state_.commands.size() != commands_) {
      return absl::InvalidArgumentError("chunks are missing");
    }
    return std::make_shared<RecordedSnapshot>(std::move(state_));
  }

 private:
  RecordedState state_;
  bool has_head_ = false;
  uint64_t commands_ = 0;
};

}  // namespace

size_t RecordingStateMachine::Apply(absl::Span<const Entry> run, OutcomeObserver* observer) {
  const size_t count = std::min(run.size(), entries_max_);
  if (count == 0) {
    return 0;
  }
  for (const Entry& entry : run.subspan(0, count)) {
    CHECK_EQ(entry.id.index, applied().index.Next());
    meta_.point = {.last = entry.id, .stamp = entry.stamp};
    if (entry.configuration != nullptr) {
      meta_.configuration = *entry.configuration;
    }
    if (entry.kind == EntryKind::kCommands) {
      ApplyCommands(entry, observer);
    }
    hashes_[entry.id.index] = state_hash_;
    if (hashes_.size() > kHashesKept) {
      hashes_.erase(hashes_.begin());
    }
  }
  runs_.push_back(count);
  return count;
}

std::unique_ptr<SnapshotReader> RecordingStateMachine::TakeSnapshot() {
  ++snapshots_taken_;
  return std::make_unique<RecordedReader>(meta_, commands_);
}

std::unique_ptr<SnapshotWriter> RecordingStateMachine::StageSnapshot(const SnapshotPoint& point) {
  return std::make_unique<RecordedWriter>(point);
}

bool RecordingStateMachine::Adopt(const StagedSnapshot& snapshot) {
  if (adopt_held_) {
    return false;
  }
  CHECK_GT(snapshot.meta().point.last.index, applied().index) << "the state would go back";
  meta_ = snapshot.meta();
  commands_.clear();
  state_hash_ = kStableHashOfNothing;
  for (const std::string& command : dynamic_cast<const RecordedSnapshot&>(snapshot).commands()) {
    AddCommand(command);
  }
  ForgetHashes();
  ++snapshots_adopted_;
  return true;
}

std::optional<uint64_t> RecordingStateMachine::StateHash(LogIndex index) const {
  const auto found = hashes_.find(index);
  return found == hashes_.end() ? std::nullopt : std::optional<uint64_t>(found->second);
}

void RecordingStateMachine::Bend(const std::string& command) {
  AddCommand(command);
  hashes_[applied().index] = state_hash_;
}

void RecordingStateMachine::ForgetHashes() { hashes_ = {{applied().index, state_hash_}}; }

void RecordingStateMachine::AddCommand(std::string command) {
  state_hash_ = StableHash(command, state_hash_);
  commands_.push_back(std::move(command));
}

size_t RecordingStateMachine::CountOf(const std::string& command) const {
  return static_cast<size_t>(std::count(commands_.begin(), commands_.end(), command));
}

void RecordingStateMachine::ApplyCommands(const Entry& entry, OutcomeObserver* observer) {
  command_entries_.push_back(entry);
  CommandBatchReader reader(*entry.payload);
  while (reader.Next()) {
    AddCommand(std::string(reader.command()));
    if (observer->Wants(reader.origin(), reader.sequence())) {
      observer->OnOutcome(reader.origin(), reader.sequence(), "done " + commands_.back());
    }
  }
  CHECK(reader.ok());
}

}  // namespace raftkv::raft
