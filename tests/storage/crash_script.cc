#include "tests/storage/crash_script.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "kv/state_hash.h"
#include "raft/runtime/command_batch.h"
#include "raft/runtime/log_store.h"
#include "storage/snapshot_chunk.h"
#include "tests/storage/chunk_list.h"

namespace raftkv::storage {
namespace {

constexpr char kMemberName[] = "n1";
constexpr uint64_t kMemberId = 1;
constexpr uint64_t kClusterId = 77;
constexpr uint64_t kFirstLearner = 1000;
constexpr uint64_t kFirstKey = 100;
constexpr uint64_t kKeys = 60;

// That of the founding, or of the entry at an index, which it names as a learner.
std::string ConfigurationOf(uint64_t configured_at) {
  log::v1::ClusterConfiguration configuration = FoundingConfiguration();
  if (configured_at != 0) {
    configuration.add_members()->set_id(kFirstLearner + configured_at);
    configuration.add_learners(kFirstLearner + configured_at);
  }
  return configuration.SerializeAsString();
}

raft::Entry ConfigurationEntry(uint64_t index, uint64_t term) {
  raft::Entry entry = NoOpEntry(index, term);
  entry.kind = raft::EntryKind::kConfiguration;
  entry.payload = std::make_shared<const std::string>(ConfigurationOf(index));
  return entry;
}

// What a leader whose state this is sends.
std::vector<std::string> SnapshotOf(const StoreState& state) {
  std::map<std::string, std::string> rows[kGenerationFamilies];
  uint64_t rows_hash = 0;
  rows[0][kConfigurationKey] = ConfigurationOf(state.configured_at);
  for (const auto& [key, row] : state.keys) {
    std::string& record = rows[1][key];
    const kv::RecordHeader header{.create_revision = row.create_revision,
                                  .mod_revision = row.mod_revision,
                                  .version = row.version,
                                  .deadline = raft::ClusterMillis(row.deadline)};
    EncodeRecordHeader(header, &record);
    record += *row.value;
    const uint64_t row_hash = kv::RowHash(key, header, *row.value);
    rows_hash += row_hash;
    if (row.deadline != 0) {
      rows[2][EncodeTtlKey(header.deadline, key)] = EncodeRowHash(row_hash);
    }
  }
  rows[0][kAppliedKey] = EncodeAppliedState({.id = state.applied,
                                             .stamp = raft::ClusterMillis(state.applied_stamp),
                                             .revision = state.revision,
                                             .key_count = static_cast<int64_t>(state.keys.size()),
                                             .rows_hash = rows_hash,
                                             .history = {}});
  ChunkList chunks;
  for (size_t family = 0; family < kGenerationFamilies; ++family) {
    for (const auto& [key, value] : rows[family]) {
      chunks.Add(family, key, value);
    }
  }
  return chunks.Finish();
}

bool SameEntry(const raft::Entry& a, const raft::Entry& b) {
  const std::string none;
  return a.id == b.id && a.kind == b.kind && a.stamp == b.stamp &&
         (a.payload == nullptr ? none : *a.payload) == (b.payload == nullptr ? none : *b.payload);
}

bool SameLog(const std::vector<raft::Entry>& a, const std::vector<raft::Entry>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), SameEntry);
}

// What a command does to the keys, written down a second time: the one in storage must agree.
void ApplyToModel(const log::v1::Command& command, uint64_t stamp, StoreState* state) {
  if (command.has_expire()) {
    const log::v1::Expire& expire = command.expire();
    std::set<std::pair<uint64_t, std::string>> due;
    for (const auto& [key, row] : state->keys) {
      if (row.deadline != 0 && row.deadline <= stamp) {
        due.emplace(row.deadline, key);
      }
    }
    auto row = due.lower_bound({expire.start_deadline_ms(), expire.start_key()});
    state->revision += row != due.end() ? 1 : 0;
    for (uint64_t i = 0; i < expire.keys_max() && row != due.end(); ++i, ++row) {
      state->keys.erase(row->second);
    }
    return;
  }
  const int64_t revision = state->revision + 1;
  bool changed = false;
  for (const log::v1::Operation& operation : command.txn().operations()) {
    if (operation.has_put()) {
      StoreState::Row& row = state->keys[operation.put().key()];
      row.create_revision = row.version == 0 ? revision : row.create_revision;
      row.mod_revision = revision;
      ++row.version;
      row.deadline = operation.put().has_ttl_ms() ? stamp + operation.put().ttl_ms() + 1 : 0;
      row.value = std::make_shared<const std::string>(operation.put().value());
      changed = true;
      continue;
    }
    const auto first = state->keys.lower_bound(operation.delete_().start_key());
    const auto last = state->keys.lower_bound(operation.delete_().end_key());
    changed = changed || first != last;
    state->keys.erase(first, last);
  }
  state->revision += changed ? 1 : 0;
}

void ApplyToModel(const raft::Entry& entry, StoreState* state) {
  state->applied = entry.id;
  state->applied_stamp = entry.stamp.value();
  if (entry.kind == raft::EntryKind::kConfiguration) {
    state->configured_at = entry.id.index.value();
  }
  raft::CommandBatchReader reader(raft::CommandsOf(entry));
  while (reader.Next()) {
    log::v1::Command command;
    CHECK(command.ParseFromString(std::string(reader.command())));
    ApplyToModel(command, entry.stamp.value(), state);
  }
  CHECK(reader.ok());
}

}  // namespace

bool operator==(const StoreState::Row& a, const StoreState::Row& b) {
  return *a.value == *b.value && a.create_revision == b.create_revision &&
         a.mod_revision == b.mod_revision && a.version == b.version && a.deadline == b.deadline;
}

bool Matches(const StoreState& expected, const StoreState& found) {
  return expected.founded == found.founded && expected.hard_state == found.hard_state &&
         expected.applied == found.applied && expected.revision == found.revision &&
         expected.configured_at == found.configured_at && expected.keys == found.keys &&
         expected.start == found.start && SameLog(expected.log, found.log) &&
         expected.last_stamp() <= found.cluster_time && found.cluster_time <= expected.cluster_time;
}

std::string DescribeDifference(const StoreState& expected, const StoreState& found) {
  std::string text;
  const auto add = [&text](absl::string_view what, const auto& wanted, const auto& got) {
    if (wanted != got) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", what, " ", got, " instead of ", wanted);
    }
  };
  add("founded", expected.founded, found.founded);
  add("term", expected.hard_state.term.value(), found.hard_state.term.value());
  add("vote", expected.hard_state.vote.value(), found.hard_state.vote.value());
  add("log after", expected.start.id.index.value(), found.start.id.index.value());
  add("log entries", expected.log.size(), found.log.size());
  for (size_t i = 0; i < std::min(expected.log.size(), found.log.size()); ++i) {
    if (!SameEntry(expected.log[i], found.log[i])) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", "another entry ", i + 1);
      break;
    }
  }
  add("applied", expected.applied.index.value(), found.applied.index.value());
  add("revision", expected.revision, found.revision);
  add("configuration of", expected.configured_at, found.configured_at);
  add("cluster time", expected.cluster_time, found.cluster_time);
  add("keys", expected.keys.size(), found.keys.size());
  for (const auto& [key, row] : expected.keys) {
    const auto other = found.keys.find(key);
    if (other == found.keys.end()) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", "no ", key);
    } else if (!(other->second == row)) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", "another ", key);
    }
  }
  for (const auto& [key, row] : found.keys) {
    if (!expected.keys.contains(key)) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", "also ", key);
    }
  }
  return text.empty() ? "nothing" : text;
}

absl::StatusOr<StoreState> ReadState(Store* store) {
  Storage& storage = store->storage();
  StoreState state;
  state.founded = storage.configuration().has_value();
  if (state.founded && (storage.member_name() != kMemberName || storage.member_id() != kMemberId ||
                        storage.configuration()->cluster_id() != kClusterId)) {
    return absl::InternalError("another founding record");
  }
  if (state.founded && storage.configuration()->learners_size() > 0) {
    state.configured_at = storage.configuration()->learners(0) - kFirstLearner;
  }
  RAFTKV_ASSIGN_OR_RETURN(raft::RestoredState restored, storage.Restore());
  state.hard_state = restored.hard_state;
  state.start = {.id = restored.previous, .stamp = restored.previous_stamp};
  state.log = std::move(restored.tail);
  state.applied = restored.applied;
  state.applied_stamp = store->Point().stamp.value();
  state.revision = store->machine().revision();
  state.cluster_time = storage.restored_clock().time.value();

  const std::shared_ptr<const kv::KvView> view = store->machine().TakeView();
  RAFTKV_ASSIGN_OR_RETURN(const kv::ScanResult scan,
                          view->Scan({.interval = {}, .keys_max = 1 << 20, .bytes_max = 1 << 30}));
  std::set<std::pair<uint64_t, std::string>> deadlines;
  for (const log::v1::StoredKeyValue& row : scan.rows) {
    state.keys[row.key()] = {.value = std::make_shared<const std::string>(row.value()),
                             .create_revision = row.create_revision(),
                             .mod_revision = row.mod_revision(),
                             .version = row.version(),
                             .deadline = row.deadline_ms()};
    if (row.deadline_ms() != 0) {
      deadlines.emplace(row.deadline_ms(), row.key());
    }
  }
  if (store->machine().key_count() != static_cast<int64_t>(state.keys.size())) {
    return absl::InternalError("the number of keys is wrong");
  }
  RAFTKV_ASSIGN_OR_RETURN(const kv::DueKeys due,
                          view->FindDueKeys(raft::ClusterMillis(UINT64_MAX), 1 << 20));
  std::set<std::pair<uint64_t, std::string>> found;
  for (const kv::DueKeys::Due& row : due.keys) {
    found.emplace(row.deadline.value(), row.key);
  }
  if (found != deadlines || found.size() != due.keys.size()) {
    return absl::InternalError("the rows of deadlines are not those of the keys");
  }
  return state;
}

CrashScript::CrashScript(const ScriptOptions& options, std::vector<StoreState> history)
    : options_(options), start_(history.size()), rng_(options.seed), states_(std::move(history)) {
  clock_ = std::max(clock_, now().cluster_time);
  if (!now().founded) {
    Found();
  }
  for (int i = 0; i < options.steps; ++i) {
    const uint64_t kind = rng_.Below(100);
    if (kind < 60) {
      Append();
    } else if (kind < 86) {
      Apply();
    } else if (kind < 90) {
      SaveTime();
    } else if (kind < 94) {
      Trim();
    } else if (kind < 97) {
      Install();
    } else if (options.reopens) {
      FinishStep(Step());
    }
  }
}

StoreState& CrashScript::AddState() {
  StoreState next = now();
  return states_.emplace_back(std::move(next));
}

void CrashScript::FinishStep(Step step) {
  step.states = states_.size();
  steps_.push_back(std::move(step));
}

void CrashScript::Found() {
  AddState().founded = true;
  Step step;
  step.kind = Step::Kind::kFound;
  FinishStep(std::move(step));
}

std::string CrashScript::RandomKey() { return absl::StrCat("key", kFirstKey + rng_.Below(kKeys)); }

log::v1::Command CrashScript::MakeCommand() {
  const uint64_t kind = rng_.Below(100);
  const std::string value(rng_.Below(options_.value_bytes_max), static_cast<char>(rng_.Next()));
  if (kind < 55) {
    return Put(RandomKey(), value);
  }
  if (kind < 75) {
    return PutTtl(RandomKey(), value, 1 + rng_.Below(200));
  }
  if (kind < 80) {
    return Txn({},
               {PutOp(RandomKey(), value), PutTtlOp(RandomKey(), "t", 50), DeleteOp(RandomKey())});
  }
  if (kind < 88) {
    return Delete(RandomKey());
  }
  if (kind < 90) {
    const uint64_t first = kFirstKey + rng_.Below(kKeys);
    return Txn({}, {DeleteRangeOp(absl::StrCat("key", first), absl::StrCat("key", first + 4))});
  }
  std::vector<std::pair<uint64_t, std::string>> places;
  for (const auto& [key, row] : now().keys) {
    if (row.deadline != 0) {
      places.emplace_back(row.deadline, key);
    }
  }
  if (places.empty()) {
    return Put(RandomKey(), value);
  }
  const auto& [deadline, key] = places[rng_.Below(places.size())];
  return rng_.Below(2) == 0 ? Expire(0, "", 1000) : Expire(deadline, key, 1 + rng_.Below(5));
}

raft::Entry CrashScript::MakeEntry(uint64_t index, raft::Term term) {
  clock_ += rng_.Below(20);
  if (rng_.Below(10) == 0) {
    raft::Entry entry =
        index % 2 == 0 ? ConfigurationEntry(index, term.value()) : NoOpEntry(index, term.value());
    entry.stamp = raft::ClusterMillis(clock_);
    return entry;
  }
  std::vector<log::v1::Command> commands;
  const uint64_t count = 1 + rng_.Below(3);
  for (uint64_t i = 0; i < count; ++i) {
    commands.push_back(MakeCommand());
  }
  return CommandEntry(index, commands, clock_, term.value());
}

raft::LogWrite CrashScript::MakeWrite() {
  StoreState& next = AddState();
  raft::LogWrite write;
  uint64_t kept = next.last();
  if (next.hard_state.term.value() == 0 || rng_.Below(8) == 0) {
    next.hard_state = {.term = next.hard_state.term.Next(), .vote = raft::NodeId(rng_.Below(4))};
    write.hard_state = next.hard_state;
    // In a new term the end of the log may not be the leader's.
    const uint64_t applied = next.applied.index.value();
    if (kept > applied && rng_.Below(2) == 0) {
      kept -= 1 + rng_.Below(kept - applied);
    }
  } else if (next.hard_state.vote == raft::kNobody && rng_.Below(2) == 0) {
    next.hard_state.vote = raft::NodeId(1 + rng_.Below(3));
    write.hard_state = next.hard_state;
  }
  // Only other entries cut the end off.
  const bool may_be_empty = write.hard_state.has_value() && kept == next.last();
  const uint64_t entries = may_be_empty ? rng_.Below(3) : 1 + rng_.Below(3);
  next.KeepUpTo(kept);
  for (uint64_t i = 0; i < entries; ++i) {
    write.entries.push_back(MakeEntry(next.last() + 1, next.hard_state.term));
    next.log.push_back(write.entries.back());
  }
  if (!next.log.empty()) {
    next.cluster_time = std::max(next.cluster_time, next.log.back().stamp.value());
  }
  return write;
}

void CrashScript::Append() {
  Step step;
  step.kind = Step::Kind::kWrite;
  const uint64_t writes = 1 + rng_.Below(3);
  for (uint64_t i = 0; i < writes; ++i) {
    step.writes.push_back(MakeWrite());
  }
  FinishStep(std::move(step));
}

void CrashScript::Apply() {
  const uint64_t waiting = now().last() - now().applied.index.value();
  if (waiting == 0) {
    return;
  }
  Step step;
  step.kind = Step::Kind::kApply;
  const uint64_t count = 1 + rng_.Below(std::min<uint64_t>(waiting, 12));
  for (uint64_t i = 0; i < count; ++i) {
    step.entries.push_back(now().At(now().applied.index.value() + 1));
    ApplyToModel(step.entries.back(), &AddState());
  }
  FinishStep(std::move(step));
}

void CrashScript::SaveTime() {
  clock_ += 1 + rng_.Below(50);
  AddState().cluster_time = clock_;
  Step step;
  step.kind = Step::Kind::kSaveTime;
  step.reading = {.term = now().hard_state.term, .time = raft::ClusterMillis(clock_)};
  FinishStep(std::move(step));
}

void CrashScript::Trim() {
  const uint64_t start = now().start.id.index.value();
  const uint64_t applied = now().applied.index.value();
  if (!options_.snapshots || applied == start) {
    return;
  }
  Step step;
  step.kind = Step::Kind::kTrim;
  step.trim_through = start + 1 + rng_.Below(applied - start);
  StoreState& next = AddState();
  const raft::Entry last = next.At(step.trim_through);
  next.log.erase(next.log.begin(),
                 next.log.begin() + static_cast<ptrdiff_t>(step.trim_through - start));
  next.start = {.id = last.id, .stamp = last.stamp};
  FinishStep(std::move(step));
}

void CrashScript::Install() {
  if (!options_.snapshots || now().hard_state.term.value() == 0) {
    return;
  }
  Step step;
  step.kind = Step::Kind::kInstall;
  const uint64_t writes_max = options_.staging_writes_max;
  for (uint64_t writes = writes_max == 0 ? 0 : rng_.Below(writes_max); writes > 0; --writes) {
    step.writes.push_back(MakeWrite());
  }
  StoreState& next = AddState();
  const uint64_t waiting = next.last() - next.applied.index.value();
  step.keeps_log = waiting > 0 && rng_.Below(2) == 0;
  if (!step.keeps_log) {
    // Of a leader that had other entries there, and more or fewer of them.
    next.KeepUpTo(next.applied.index.value());
  }
  const uint64_t count = 1 + rng_.Below(step.keeps_log ? waiting : 6);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t index = next.applied.index.value() + 1;
    ApplyToModel(step.keeps_log ? next.At(index) : MakeEntry(index, next.hard_state.term), &next);
  }
  step.point = {.last = next.applied, .stamp = raft::ClusterMillis(next.applied_stamp)};
  step.chunks = SnapshotOf(next);
  if (!step.keeps_log) {
    next.log.clear();
    next.start = {.id = step.point.last, .stamp = step.point.stamp};
    next.cluster_time = std::max(next.cluster_time, next.applied_stamp);
  }
  FinishStep(std::move(step));
}

namespace {

absl::Status RunInstall(const CrashScript::Step& step, Store* store, ScriptObserver* observer) {
  observer->OnStaging(true);
  std::unique_ptr<raft::SnapshotWriter> writer = store->machine().StageSnapshot(step.point);
  absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> staged;
  std::thread stager([&] { staged = StageWith(writer.get(), step.chunks); });
  for (const raft::LogWrite& write : step.writes) {
    store->Write({write});
  }
  if (!step.writes.empty()) {
    observer->OnDurable(step.states - 1);
  }
  stager.join();
  writer.reset();
  if (!staged.ok()) {
    LOG(INFO) << "staging failed: " << staged.status();
    staged = store->Stage(step.point, step.chunks);
  }
  observer->OnStaging(false);
  RAFTKV_RETURN_IF_ERROR(staged.status());
  store->Install(*std::move(staged), step.keeps_log);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunScript(const CrashScript& script, Store* store, ScriptObserver* observer) {
  using Kind = CrashScript::Step::Kind;
  for (const CrashScript::Step& step : script.steps()) {
    observer->OnBegin(step.states);
    switch (step.kind) {
      case Kind::kFound:
        store->storage().Found(kMemberName, kMemberId, FoundingConfiguration());
        observer->OnDurable(step.states);
        break;
      case Kind::kWrite:
        store->Write(step.writes);
        observer->OnDurable(step.states);
        break;
      case Kind::kApply:
        // One by one: more writes that are not synced.
        for (const raft::Entry& entry : step.entries) {
          store->Apply({entry});
        }
        break;
      case Kind::kSaveTime:
        store->storage().SaveClusterClock(step.reading);
        break;
      case Kind::kTrim:
        store->Trim(step.trim_through);
        break;
      case Kind::kInstall:
        RAFTKV_RETURN_IF_ERROR(RunInstall(step, store, observer));
        observer->OnDurable(step.states);
        break;
      case Kind::kReopen:
        store->Close();
        RAFTKV_RETURN_IF_ERROR(store->TryOpen());
        observer->OnDurable(step.states);
        break;
    }
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
