#include "tests/support/recording_state_machine.h"

#include <glog/logging.h>

#include <algorithm>

#include "raft/runtime/command_batch.h"

namespace raftkv::raft {

size_t RecordingStateMachine::Apply(absl::Span<const Entry> run, OutcomeObserver* observer) {
  const size_t count = std::min(run.size(), entries_max_);
  if (count == 0) {
    return 0;
  }
  for (const Entry& entry : run.subspan(0, count)) {
    CHECK_EQ(entry.id.index, applied_.index.Next());
    applied_ = entry.id;
    if (entry.kind == EntryKind::kCommands) {
      ApplyCommands(entry, observer);
    }
  }
  runs_.push_back(count);
  return count;
}

size_t RecordingStateMachine::CountOf(const std::string& command) const {
  return static_cast<size_t>(std::count(commands_.begin(), commands_.end(), command));
}

void RecordingStateMachine::ApplyCommands(const Entry& entry, OutcomeObserver* observer) {
  command_entries_.push_back(entry);
  CommandBatchReader reader(*entry.payload);
  while (reader.Next()) {
    commands_.emplace_back(reader.command());
    if (observer->Wants(reader.origin(), reader.sequence())) {
      observer->OnOutcome(reader.origin(), reader.sequence(), "done " + commands_.back());
    }
  }
  CHECK(reader.ok());
}

}  // namespace raftkv::raft
