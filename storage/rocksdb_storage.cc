#include "storage/rocksdb_storage.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "rocksdb/env.h"
#include "rocksdb/write_batch.h"
#include "storage/ballast.h"
#include "storage/database_opening.h"
#include "storage/database_reader.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"
#include "storage/revision_jump.h"
#include "storage/rocksdb_options.h"
#include "storage/wal_survey.h"

namespace raftkv::storage {
namespace {

// Short: a load for each peer, and one run. Long: what is dropped after a snapshot, and files of
// the log that go.
constexpr size_t kReaderTasksMax = 256;
// A snapshot that comes in leaves this part of the reserve free.
constexpr int64_t kStagingPartOfReserve = 2;
// What one compaction may write before it deletes (FitToReserve).
constexpr uint64_t kCompactionPartOfReserve = 2;
// The long ones wait for flushes and for the MANIFEST; meanwhile the first thread does the others.
constexpr int kReaderThreads = 2;

uint64_t LevelZeroFiles(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  std::string text;
  uint64_t files = 0;
  const bool known = db->GetProperty(
      family, absl::StrCat(rocksdb::DB::Properties::kNumFilesAtLevelPrefix, 0), &text);
  CHECK(known && absl::SimpleAtoi(text, &files)) << text;
  return files;
}

// Numbers of the WAL files that there are.
absl::StatusOr<std::set<uint64_t>> ListWals(rocksdb::FileSystem* files, const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::IOStatus status =
      files->GetChildren(path, rocksdb::IOOptions(), &names, /*dbg=*/nullptr);
  if (!status.ok()) {
    return FileFailure("list", path, status);
  }
  std::set<uint64_t> numbers;
  for (const std::string& name : names) {
    absl::string_view digits = name;
    uint64_t number = 0;
    if (absl::ConsumeSuffix(&digits, ".log") && absl::SimpleAtoi(digits, &number)) {
      numbers.insert(number);
    }
  }
  return numbers;
}

// What the fence is to say of a database; all but first_wal.
absl::StatusOr<FenceRecord> ReadFenceRecord(const DatabaseReader& reader) {
  FenceRecord record;
  RAFTKV_ASSIGN_OR_RETURN(const MemberIdentity identity, reader.ReadIdentity());
  RAFTKV_ASSIGN_OR_RETURN(record.hard_state, reader.ReadHardState());
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge end, reader.ReadLogEnd());
  record.data_id = identity.data_id;
  record.member_id = identity.member_id;
  record.cluster_id = identity.cluster_id;
  record.durable = end.id;
  return record;
}

}  // namespace

bool Storage::HoldsData(const std::string& data_dir) {
  return std::filesystem::exists(absl::StrCat(data_dir, "/", kFormatFile));
}

absl::StatusOr<std::unique_ptr<Storage>> Storage::Open(const StorageOptions& options,
                                                       Waker* waker) {
  return RocksDbStorage::Open(options, waker);
}

absl::StatusOr<std::unique_ptr<Storage>> RocksDbStorage::Open(const StorageOptions& options,
                                                              Waker* waker) {
  RAFTKV_ASSIGN_OR_RETURN(DataDirectory directory,
                          DataDirectory::Open(options.data_dir, EnvOf(options)->GetFileSystem()));
  if (!directory.has_database()) {
    RAFTKV_ASSIGN_OR_RETURN(const std::string path, directory.StartDatabase());
    RAFTKV_RETURN_IF_ERROR(CreateDatabase(options, path, nullptr));
    RAFTKV_RETURN_IF_ERROR(directory.FinishDatabase());
  }
  std::unique_ptr<RocksDbStorage> storage(new RocksDbStorage(options, std::move(directory)));
  RAFTKV_RETURN_IF_ERROR(storage->OpenDatabase());
  RAFTKV_RETURN_IF_ERROR(storage->Load(waker));
  RAFTKV_RETURN_IF_ERROR(storage->directory_.MarkComplete());
  return std::unique_ptr<Storage>(std::move(storage));
}

RocksDbStorage::~RocksDbStorage() {
  std::shared_ptr<const Generation> generation;
  if (state_machine_ != nullptr) {
    reader_->Stop();
    generation = state_machine_->generation();
  }
  state_machine_.reset();
  log_store_.reset();
  reader_.reset();
  if (generation != nullptr) {
    CHECK_EQ(generation.use_count(), 1) << "a reader outlives the database";
    generation.reset();
  }
  CloseDatabase(&db_, &handles_);
}

absl::Status RocksDbStorage::OpenDatabase() {
  const std::string path = directory_.database_path();
  if (directory_.has_fence()) {
    RAFTKV_ASSIGN_OR_RETURN(
        fence_, DurabilityFence::Open(EnvOf(options_)->GetFileSystem(), directory_.fence_path()));
  }
  ManifestMark manifest;
  if (fence_ != nullptr) {
    RAFTKV_ASSIGN_OR_RETURN(
        manifest, CheckManifest(directory_.files(), path, fence_->path(), fence_->manifest()));
  }
  RAFTKV_ASSIGN_OR_RETURN(const uint64_t flushed, Inspect());
  // A kill may have left CURRENT changed and not durable, and the fence is about to forget what it
  // named before.
  RAFTKV_RETURN_IF_ERROR(SyncDirectory(directory_.files(), path));
  wal_filter_ = std::make_unique<WalGapFilter>(flushed);
  manifest_watch_ =
      std::make_shared<ManifestWatch>(EnvOf(options_)->GetFileSystem(), manifest, fence_.get());
  env_ = rocksdb::NewCompositeEnv(manifest_watch_);
  rocksdb::DBOptions db_options = MakeDbOptions(options_, memory_, wal_filter_.get());
  db_options.env = env_.get();
  db_options.listeners.push_back(work_counter_);
  RAFTKV_ASSIGN_OR_RETURN(const auto families,
                          FindColumnFamilies(options_, memory_, db_options, path));
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, path, families, &handles_, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  db_.reset(raw);
  CheckSafe(db_->GetDBOptions());
  RAFTKV_ASSIGN_OR_RETURN(families_, FindOwnFamilies(raw, handles_));
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RocksDbStorage::Inspect() const {
  const std::string path = directory_.database_path();
  const FenceRecord fenced = fence_ == nullptr ? FenceRecord() : fence_->recorded();
  WalSurvey survey(fenced.durable.index);
  rocksdb::DBOptions db_options = MakeDbOptions(options_, memory_, &survey);
  db_options.max_open_files = 64;  // Hardly any table is looked into.
  db_options.max_file_opening_threads = 1;
  db_options.listeners.clear();
  RAFTKV_ASSIGN_OR_RETURN(const auto descriptors,
                          FindColumnFamilies(options_, memory_, db_options, path));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(db_options, path, descriptors, &handles, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  const absl::StatusOr<OwnFamilies> families = FindOwnFamilies(raw, handles);
  const absl::StatusOr<uint64_t> newest =
      families.ok() ? CheckInspected(fenced, *families, &survey) : families.status();
  CloseDatabase(&db, &handles);
  return newest;
}

absl::StatusOr<uint64_t> RocksDbStorage::CheckInspected(const FenceRecord& fenced,
                                                        const OwnFamilies& families,
                                                        WalSurvey* survey) const {
  TableFacts tables;
  tables.newest_sequence = families.db->GetLatestSequenceNumber();
  CHECK(families.db->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep,
                                    &tables.oldest_wal));
  RAFTKV_ASSIGN_OR_RETURN(tables.generation, DatabaseReader(families).ReadGeneration());
  RAFTKV_ASSIGN_OR_RETURN(const std::set<uint64_t> wals,
                          ListWals(directory_.files(), directory_.database_path()));
  RAFTKV_RETURN_IF_ERROR(
      survey->Finish(directory_.database_path(), tables, fenced.first_wal, wals));
  if (fence_ == nullptr) {
    return tables.newest_sequence;
  }
  const DatabaseReader reader(families, &survey->meta());
  RAFTKV_ASSIGN_OR_RETURN(FenceRecord found, ReadFenceRecord(reader));
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge start, reader.ReadLogStart());
  if (survey->last_entry().has_value()) {
    found.durable = *survey->last_entry();
  } else if (survey->empties_log() || found.durable.index < survey->deleted_before()) {
    found.durable = start.id;
  }
  // All that is in the tables or the WAL may be of the time before the log began anew.
  if (found.durable.index < start.id.index) {
    found.durable = start.id;
  }
  std::optional<raft::Term> term = survey->fenced_term();
  if (fenced.durable.index < start.id.index) {
    term = fenced.durable.term;  // It was applied, or the log would reach back to it.
  } else if (fenced.durable.index == start.id.index) {
    term = start.id.term;  // A row of that index is of the time before.
  } else if (!term.has_value()) {
    RAFTKV_ASSIGN_OR_RETURN(term, reader.ReadTerm(fenced.durable.index));
  }
  if (found.durable.index < fenced.durable.index) {
    term.reset();
  }
  RAFTKV_RETURN_IF_ERROR(CheckNothingLost(fence_->path(), fenced, found, term));
  return tables.newest_sequence;
}

absl::Status RocksDbStorage::Load(Waker* waker) {
  const DatabaseReader reader(families_);
  RAFTKV_ASSIGN_OR_RETURN(MemberIdentity identity, reader.ReadIdentity());
  data_id_ = identity.data_id;
  member_name_ = std::move(identity.name);
  member_id_ = identity.member_id;
  RAFTKV_ASSIGN_OR_RETURN(std::shared_ptr<const Generation> generation,
                          Generation::Take(db_.get(), identity.generation, &handles_));
  RAFTKV_ASSIGN_OR_RETURN(GenerationContent content, GenerationReader(*generation).Read());
  const uint64_t configured =
      content.configuration.has_value() ? content.configuration->cluster_id() : 0;
  if (configured != identity.cluster_id) {
    return BadBytes(NameOf(generation->state),
                    absl::StrCat("its configuration is of cluster ", configured,
                                 ", but this member's is ", identity.cluster_id));
  }
  RAFTKV_ASSIGN_OR_RETURN(restored_, reader.ReadRestoreRecord());
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge start, reader.ReadLogStart());
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge end, reader.ReadLogEnd());
  RAFTKV_ASSIGN_OR_RETURN(const raft::ClusterReading saved_clock, reader.ReadSavedClusterClock());
  // Stamps never go back along the log, so the last is the largest.
  restored_clock_ = raft::RestoredReading(saved_clock, {.term = end.id.term, .time = end.stamp});
  RAFTKV_RETURN_IF_ERROR(RaiseFence(reader));
  RAFTKV_RETURN_IF_ERROR(DropStrayGenerations(generation->number));
  // Links to files of the database may be in there; those stay.
  RAFTKV_RETURN_IF_ERROR(RemoveTree(directory_.files(), directory_.staging_path()));

  reader_ = std::make_unique<WorkerPool>(kReaderThreads, kReaderTasksMax);
  log_store_ = std::make_unique<RocksDbLogStore>(families_, start.id.index, end.id, fence_.get(),
                                                 reader_.get(), waker, options_.on_sync);
  staging_ = std::make_unique<SnapshotStaging>(families_, directory_.staging_path(),
                                               options_.disk_reserve_bytes / kStagingPartOfReserve,
                                               generation->number + 1, reader_.get());
  state_machine_ = std::make_unique<RocksDbKvStateMachine>(
      std::move(generation), std::move(content), staging_.get(), reader_.get(), waker,
      options_.header_cache_bytes, options_.history_limits);
  return absl::OkStatus();
}

absl::Status RocksDbStorage::DropStrayGenerations(uint64_t own_generation) {
  for (rocksdb::ColumnFamilyHandle* handle : std::exchange(handles_, {})) {
    // Its generation has taken its families out.
    const std::string& name = handle->GetName();
    const bool own =
        name == kRaftLogFamily || name == kMetaFamily || name == rocksdb::kDefaultColumnFamilyName;
    if (own) {
      handles_.push_back(handle);
      continue;
    }
    LOG(INFO) << "dropping " << NameOf(handle) << ", which is not of generation " << own_generation;
    const rocksdb::Status dropped = db_->DropColumnFamily(handle);
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    if (!dropped.ok()) {
      return OpenFailure(directory_.database_path(), dropped);
    }
  }
  return absl::OkStatus();
}

absl::Status RocksDbStorage::RaiseFence(const DatabaseReader& reader) {
  std::unique_ptr<rocksdb::LogFile> wal;
  const rocksdb::Status status = db_->GetCurrentWalFile(&wal);
  if (!status.ok()) {
    return OpenFailure(directory_.database_path(), status);
  }
  // From here on the fence insists on that file.
  RAFTKV_RETURN_IF_ERROR(SyncDirectory(directory_.files(), directory_.database_path()));
  RAFTKV_ASSIGN_OR_RETURN(FenceRecord record, ReadFenceRecord(reader));
  record.first_wal = wal->LogNumber();
  RAFTKV_ASSIGN_OR_RETURN(
      auto fence, DurabilityFence::Create(EnvOf(options_)->GetFileSystem(), directory_.fence_path(),
                                          record, manifest_watch_->record()));
  manifest_watch_->SetFence(fence.get());
  fence_ = std::move(fence);
  return absl::OkStatus();
}

void RocksDbStorage::Found(const std::string& name, uint64_t member_id,
                           const log::v1::ClusterConfiguration& configuration) {
  CHECK(member_name_.empty()) << "this member is founded already";
  CHECK(!name.empty());
  CHECK_NE(member_id, 0u);
  rocksdb::WriteBatch batch;
  const auto put = [&batch](rocksdb::ColumnFamilyHandle* family, const char* key,
                            const std::string& value) {
    const rocksdb::Status built = batch.Put(family, key, value);
    CHECK(built.ok()) << built.ToString();
  };
  put(families_.meta, kNameKey, name);
  put(families_.meta, kMemberIdKey, EncodeNumber(member_id));
  put(families_.meta, kClusterIdKey, EncodeId(configuration.cluster_id()));
  put(state_machine_->generation()->state, kConfigurationKey, configuration.SerializeAsString());
  if (const rocksdb::Status status = db_->Write(Synced(), &batch); !status.ok()) {
    AbortOnWriteFailure("store the founding record", status);
  }
  // Before the first vote: from now on the fence knows whose votes they are.
  fence_->RecordMember(configuration.cluster_id(), member_id);
  member_name_ = name;
  member_id_ = member_id;
  state_machine_->OnFounded(configuration);
}

absl::Status RocksDbStorage::FoundAnew() {
  const Generation& generation = *state_machine_->generation();
  const DatabaseReader reader(families_);
  RAFTKV_ASSIGN_OR_RETURN(const LogEdge start, reader.ReadLogStart());
  RAFTKV_ASSIGN_OR_RETURN(GenerationContent content, GenerationReader(generation).Read());
  CHECK(content.configuration.has_value()) << "this member is not founded";
  const auto& members = content.configuration->members();
  const auto self = std::find_if(
      members.begin(), members.end(),
      [this](const log::v1::ConfiguredMember& member) { return member.id() == member_id_; });
  if (self == members.end()) {
    return BadBytes(NameOf(generation.state), "this member is not in its own configuration");
  }
  log::v1::ClusterConfiguration alone;
  alone.set_cluster_id(RandomId());
  *alone.add_members() = *self;
  alone.add_voters(member_id_);
  const kv::AppliedState& applied = content.applied;
  const LogEdge edge{.id = applied.id, .stamp = applied.stamp};
  rocksdb::WriteBatch batch;
  const auto check = [](const rocksdb::Status& built) { CHECK(built.ok()) << built.ToString(); };
  check(batch.Put(families_.meta, kClusterIdKey, EncodeId(alone.cluster_id())));
  check(batch.Put(families_.meta, kLogStartKey, EncodeLogEdge(edge)));
  // The configurations in there are of the old cluster, and whoever joins must not apply them.
  if (start.id.index < edge.id.index) {
    check(batch.DeleteRange(families_.raft_log, EncodeLogKey(start.id.index.Next()),
                            EncodeLogKey(edge.id.index.Next())));
  }
  JumpRevisions(generation, applied, &batch);
  check(batch.Put(generation.state, kConfigurationKey, alone.SerializeAsString()));
  for (const auto& [id, record] : content.member_records) {
    check(batch.Delete(generation.state, EncodeMemberRecordKey(id)));
  }
  // The fence is of the old cluster. A crash from here on leaves a directory without one, which a
  // start completes, whichever side of the batch it is on.
  RAFTKV_RETURN_IF_ERROR(directory_.MarkIncomplete());
  if (const rocksdb::Status status = db_->Write(Synced(), &batch); !status.ok()) {
    AbortOnWriteFailure("store the new cluster", status);
  }
  return absl::OkStatus();
}

absl::StatusOr<raft::RestoredState> RocksDbStorage::Restore() {
  const DatabaseReader reader(families_);
  raft::RestoredState restored;
  RAFTKV_ASSIGN_OR_RETURN(restored.hard_state, reader.ReadHardState());
  restored.applied = state_machine_->applied();
  RAFTKV_RETURN_IF_ERROR(reader.ReadTail(options_.log_memory_bytes_max, &restored));

  const raft::EntryId before = restored.previous;
  if (before.index > restored.applied.index ||
      (before.index == restored.applied.index && before.term != restored.applied.term)) {
    return BadBytes(
        "`meta`", absl::StrCat("the log begins after entry ", before.index.value(), " of term ",
                               before.term.value(), ", but entry ", restored.applied.index.value(),
                               " of term ", restored.applied.term.value(), " is applied"));
  }
  const raft::EntryId last = restored.tail.empty() ? restored.previous : restored.tail.back().id;
  if (last.index < restored.applied.index) {
    return BadBytes("`raft_log`",
                    absl::StrCat("it ends at index ", last.index.value(), ", but entries up to ",
                                 restored.applied.index.value(), " are applied"));
  }
  if (restored.hard_state.term < last.term) {
    return BadBytes("`meta`", absl::StrCat("it knows term ", restored.hard_state.term.value(),
                                           ", but the log ends in term ", last.term.value()));
  }
  return restored;
}

void RocksDbStorage::SaveClusterClock(const raft::ClusterReading& reading) {
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  const rocksdb::Status status =
      db_->Put(options, families_.meta, kClusterClockKey, EncodeClusterReading(reading));
  if (!status.ok() && !status.IsIncomplete()) {
    AbortOnWriteFailure("save the cluster clock", status);
  }
}

absl::Status RocksDbStorage::MarkRemoved(absl::string_view what) {
  return directory_.MarkRemoved(what);
}

absl::Status RocksDbStorage::MarkDiffering(absl::string_view what) {
  return directory_.MarkDiffering(what);
}

int64_t RocksDbStorage::DiskBytes() const {
  namespace fs = std::filesystem;
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(options_.data_dir, error), end;
       !error && entry != end; entry.increment(error)) {
    // A file may be gone by now; then it counts nothing.
    std::error_code gone;
    const bool is_file = entry->is_regular_file(gone);
    const bool counts = is_file && entry->path() != directory_.ballast_path();
    const uintmax_t size = counts ? entry->file_size(gone) : 0;
    bytes += gone ? 0 : static_cast<int64_t>(size);
  }
  return bytes;
}

void RocksDbStorage::KeepBallast() {
  const std::string path = directory_.ballast_path();
  const int64_t reserve = options_.disk_reserve_bytes;
  const int64_t missing = BallastBytes(reserve) - AllocatedBytes(path);
  const absl::StatusOr<DiskSpace> space = Space();
  // It must not be what makes the disk nearly full, soon after there was space again.
  const int64_t slack = reserve / kBallastPartOfReserve;
  if (no_ballast_ || missing <= 0 || !space.ok() || space->free_bytes < reserve + slack + missing) {
    return;
  }
  if (const absl::Status made = MakeBallast(path, BallastBytes(reserve)); !made.ok()) {
    LOG(WARNING) << made.message() << ": a start on a full disk will have no space";
    no_ballast_ = true;
  }
}

std::function<DatabaseFigures()> RocksDbStorage::PrepareFigures() {
  return [this, generation = state_machine_->generation()] { return LookAt(*generation); };
}

DatabaseFigures RocksDbStorage::LookAt(const Generation& generation) const {
  using Properties = rocksdb::DB::Properties;
  DatabaseFigures figures;
  for (const auto& [name, family] :
       {std::pair("raft_log", families_.raft_log), std::pair("meta", families_.meta),
        std::pair("state", generation.state), std::pair("latest", generation.latest),
        std::pair("ttl", generation.ttl), std::pair("requests", generation.requests),
        std::pair("history", generation.history), std::pair("leases", generation.leases)}) {
    figures.families.push_back(
        {.name = name,
         .table_bytes = PropertyOf(family, Properties::kLiveSstFilesSize),
         .memtable_bytes = PropertyOf(family, Properties::kCurSizeAllMemTables),
         .unflushed_memtables = PropertyOf(family, Properties::kNumImmutableMemTable),
         .level0_files = LevelZeroFiles(db_.get(), family),
         .pending_compaction_bytes =
             PropertyOf(family, Properties::kEstimatePendingCompactionBytes)});
  }
  figures.work = work_counter_->work();
  // The same whichever family is asked.
  figures.running_flushes = PropertyOf(families_.meta, Properties::kNumRunningFlushes);
  figures.running_compactions = PropertyOf(families_.meta, Properties::kNumRunningCompactions);
  figures.is_write_stopped = PropertyOf(families_.meta, Properties::kIsWriteStopped) != 0;
  figures.delayed_write_bytes_per_second =
      PropertyOf(families_.meta, Properties::kActualDelayedWriteRate);
  figures.background_errors = PropertyOf(families_.meta, Properties::kBackgroundErrors);
  figures.cache_capacity_bytes = memory_.cache()->GetCapacity();
  figures.cache_used_bytes = memory_.cache()->GetUsage();
  figures.cache_pinned_bytes = memory_.cache()->GetPinnedUsage();
  return figures;
}

std::function<void()> RocksDbStorage::PrepareToGiveBackSpace() {
  return [this, generation = state_machine_->generation()] { GiveBackSpace(*generation); };
}

void RocksDbStorage::GiveBackSpace(const Generation& generation) const {
  std::vector<rocksdb::ColumnFamilyHandle*> families = {families_.raft_log, families_.meta};
  const auto replicated = generation.families();
  families.insert(families.end(), replicated.begin(), replicated.end());
  uint64_t in_memory = 0;
  for (rocksdb::ColumnFamilyHandle* family : families) {
    in_memory += PropertyOf(family, rocksdb::DB::Properties::kCurSizeAllMemTables);
  }
  // A flush that finds no space ends the process.
  if (!HasSpaceFor(in_memory)) {
    LOG(WARNING) << "the disk has not even the space in which to give some back";
    return;
  }
  rocksdb::FlushOptions flush;
  // Else it would wait where writes are stalled.
  flush.allow_write_stall = true;
  // A generation that was dropped meanwhile is no error; others end the process by themselves.
  const rocksdb::Status flushed = db_->Flush(flush, families);
  LOG_IF(INFO, !flushed.ok()) << "giving back space: " << flushed.ToString();
  const auto reserve = static_cast<uint64_t>(options_.disk_reserve_bytes);
  for (auto* const family :
       {generation.ttl, generation.requests, generation.leases, generation.latest}) {
    // What is in it is an upper bound, too: of little, little is written anew.
    const uint64_t tables = PropertyOf(family, rocksdb::DB::Properties::kTotalSstFilesSize);
    if (HasSpaceFor(std::min(reserve / kCompactionPartOfReserve, tables))) {
      Compact(family);
    }
  }
  // Their one compaction writes all of it anew.
  for (rocksdb::ColumnFamilyHandle* family : {families_.raft_log, generation.history}) {
    if (HasSpaceFor(PropertyOf(family, rocksdb::DB::Properties::kTotalSstFilesSize))) {
      Compact(family);
    }
  }
}

uint64_t RocksDbStorage::PropertyOf(rocksdb::ColumnFamilyHandle* family,
                                    const std::string& name) const {
  uint64_t value = 0;
  CHECK(db_->GetIntProperty(family, name, &value)) << name;
  return value;
}

bool RocksDbStorage::HasSpaceFor(uint64_t bytes) const {
  const absl::StatusOr<DiskSpace> space = Space();
  // And half as much, since others write as well.
  return space.ok() && static_cast<uint64_t>(space->free_bytes) >= bytes + bytes / 2;
}

void RocksDbStorage::Compact(rocksdb::ColumnFamilyHandle* family) const {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.allow_write_stall = true;
  const rocksdb::Status status = db_->CompactRange(options, family, nullptr, nullptr);
  LOG_IF(INFO, !status.ok() && !status.IsIncomplete())
      << "giving back space of " << NameOf(family) << ": " << status.ToString();
}

}  // namespace raftkv::storage
