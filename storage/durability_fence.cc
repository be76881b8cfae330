#include "storage/durability_fence.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"

namespace raftkv::storage {
namespace {

constexpr absl::string_view kProgressMagic = "raftkvF2";
constexpr absl::string_view kManifestMagic = "raftkvM1";
// Between the magic and the checksum.
constexpr size_t kProgressNumbers = 9;
constexpr size_t kManifestNumbers = 7;

// Where the slots lie in the file.
constexpr size_t kPair = 2;
constexpr size_t kSyncedSlot = 0;
constexpr size_t kWrittenSlot = kSyncedSlot + kPair;
constexpr size_t kManifestSlot = kWrittenSlot + 1;
constexpr size_t kSlots = kManifestSlot + kPair;

// A slot's bytes but for the zeros at its end.
template <size_t kNumbers>
std::string EncodeNumbers(absl::string_view magic, const std::array<uint64_t, kNumbers>& numbers) {
  std::string bytes(magic);
  for (const uint64_t number : numbers) {
    AppendFixed64(number, &bytes);
  }
  AppendFixed64(StableHash(bytes), &bytes);
  return bytes;
}

template <size_t kNumbers>
std::optional<std::array<uint64_t, kNumbers>> DecodeNumbers(absl::string_view magic,
                                                            absl::string_view bytes) {
  const size_t checked = magic.size() + kNumbers * kFixed64Bytes;
  if (bytes.size() < checked + kFixed64Bytes || !absl::StartsWith(bytes, magic) ||
      ByteReader(bytes.substr(checked)).Fixed64() != StableHash(bytes.substr(0, checked))) {
    return std::nullopt;
  }
  std::array<uint64_t, kNumbers> numbers;
  ByteReader reader(bytes.substr(magic.size()));
  for (uint64_t& number : numbers) {
    number = reader.Fixed64();
  }
  return numbers;
}

FenceRecord WithProgress(FenceRecord record, const raft::HardState& hard_state,
                         const raft::EntryId& durable) {
  record.hard_state = hard_state;
  record.durable = durable;
  return record;
}

absl::string_view SlotOf(absl::string_view file, size_t slot) {
  return file.substr(slot * kFenceSlotBytes, kFenceSlotBytes);
}

// The newer record of a pair of slots, nothing when neither holds one.
template <typename Slot>
std::optional<Slot> NewerOfPair(absl::string_view file, size_t first,
                                std::optional<Slot> (*decode)(absl::string_view)) {
  std::optional<Slot> newer;
  for (size_t i = 0; i < kPair; ++i) {
    const std::optional<Slot> slot = decode(SlotOf(file, first + i));
    if (slot.has_value() && slot->sequence % kPair == i &&
        (!newer.has_value() || slot->sequence > newer->sequence)) {
      newer = slot;
    }
  }
  return newer;
}

std::string Describe(const FenceRecord& record) {
  const std::string vote = record.hard_state.vote == raft::kNobody
                               ? "no vote"
                               : absl::StrCat("a vote for member ", record.hard_state.vote.value());
  const std::string log = record.durable.index.value() == 0
                              ? "an empty log"
                              : absl::StrCat("the log up to entry ", record.durable.index.value(),
                                             " of term ", record.durable.term.value());
  return absl::StrCat("term ", record.hard_state.term.value(), ", ", vote, " and ", log);
}

}  // namespace

const char kKeepStopped[] =
    " If that cannot be done, keep this member stopped: the others go on as long as a majority of "
    "them is intact.";

std::string EncodeFenceSlot(uint64_t sequence, const FenceRecord& record) {
  return EncodeNumbers<kProgressNumbers>(
      kProgressMagic,
      {sequence, record.data_id, record.cluster_id, record.member_id,
       record.hard_state.term.value(), record.hard_state.vote.value(), record.durable.index.value(),
       record.durable.term.value(), record.first_wal});
}

std::optional<FenceSlot> DecodeFenceSlot(absl::string_view bytes) {
  const auto numbers = DecodeNumbers<kProgressNumbers>(kProgressMagic, bytes);
  if (!numbers.has_value()) {
    return std::nullopt;
  }
  const auto [sequence, data_id, cluster_id, member_id, term, vote, durable_index, durable_term,
              first_wal] = *numbers;
  return FenceSlot{.sequence = sequence,
                   .record = {.data_id = data_id,
                              .cluster_id = cluster_id,
                              .member_id = member_id,
                              .hard_state = {.term = raft::Term(term), .vote = raft::NodeId(vote)},
                              .durable = {.term = raft::Term(durable_term),
                                          .index = raft::LogIndex(durable_index)},
                              .first_wal = first_wal}};
}

std::string EncodeManifestSlot(uint64_t sequence, const ManifestRecord& record) {
  const auto& [current, before] = record;
  return EncodeNumbers<kManifestNumbers>(
      kManifestMagic, {sequence, current.number, current.bytes, current.hash, before.number,
                       before.bytes, before.hash});
}

std::optional<ManifestSlot> DecodeManifestSlot(absl::string_view bytes) {
  const auto numbers = DecodeNumbers<kManifestNumbers>(kManifestMagic, bytes);
  if (!numbers.has_value()) {
    return std::nullopt;
  }
  const auto [sequence, number, size, hash, before_number, before_size, before_hash] = *numbers;
  return ManifestSlot{
      .sequence = sequence,
      .record = {.current = {.number = number, .bytes = size, .hash = hash},
                 .before = {.number = before_number, .bytes = before_size, .hash = before_hash}}};
}

absl::Status CheckNothingLost(const std::string& fence_path, const FenceRecord& recorded,
                              const FenceRecord& database,
                              std::optional<raft::Term> term_at_durable) {
  if (recorded.data_id != database.data_id) {
    return absl::DataLossError(absl::StrCat(
        fence_path, " was written beside the database with data id ", absl::Hex(recorded.data_id),
        ", but the database here has data id ", absl::Hex(database.data_id),
        ": the two come from different directories. ", kRemedy));
  }
  if (recorded.cluster_id != 0 &&
      (recorded.cluster_id != database.cluster_id || recorded.member_id != database.member_id)) {
    return absl::DataLossError(absl::StrCat(
        "the database has lost who it belongs to: ", fence_path, " recorded member ",
        recorded.member_id, " of cluster ", recorded.cluster_id, ", the database says member ",
        database.member_id, " of cluster ", database.cluster_id, ". ", kRemedy, kKeepStopped));
  }
  const bool forgot_term = database.hard_state.term < recorded.hard_state.term;
  const bool forgot_vote = database.hard_state.term == recorded.hard_state.term &&
                           recorded.hard_state.vote != raft::kNobody &&
                           database.hard_state.vote != recorded.hard_state.vote;
  const bool forgot_entries =
      recorded.durable.index.value() != 0 && term_at_durable != recorded.durable.term;
  if (!forgot_term && !forgot_vote && !forgot_entries) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "the database has lost what this member acknowledged: ", fence_path, " recorded ",
      Describe(recorded), "; the database has ", Describe(database),
      ". A member that forgot must not vote or acknowledge again. ", kRemedy, kKeepStopped));
}

absl::StatusOr<std::unique_ptr<DurabilityFence>> DurabilityFence::Create(
    std::shared_ptr<rocksdb::FileSystem> files, const std::string& path, const FenceRecord& record,
    const ManifestRecord& manifest) {
  // Whole, with a record in each slot, so that later ones need no space and a damaged slot does not
  // bring back what an earlier opening recorded.
  std::string bytes;
  for (const std::string& slot :
       {EncodeFenceSlot(0, record), EncodeFenceSlot(1, record), EncodeFenceSlot(1, record),
        EncodeManifestSlot(0, manifest), EncodeManifestSlot(1, manifest)}) {
    bytes += slot;
    bytes.resize((bytes.size() + kFenceSlotBytes - 1) / kFenceSlotBytes * kFenceSlotBytes);
  }
  RAFTKV_RETURN_IF_ERROR(ReplaceFile(files.get(), path, bytes));
  return Open(std::move(files), path);
}

absl::StatusOr<std::unique_ptr<DurabilityFence>> DurabilityFence::Open(
    std::shared_ptr<rocksdb::FileSystem> files, const std::string& path) {
  if (files->FileExists(path, kIoOptions, /*dbg=*/nullptr).IsNotFound()) {
    return absl::DataLossError(absl::StrCat(
        path, " is missing: without it nobody can tell whether the database still has ",
        "what this member acknowledged. ", kRemedy));
  }
  std::unique_ptr<rocksdb::FSRandomRWFile> file;
  const rocksdb::IOStatus status =
      files->NewRandomRWFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) {
    return FileFailure("open", path, status);
  }
  std::unique_ptr<DurabilityFence> fence(
      new DurabilityFence(std::move(files), path, std::move(file)));
  RAFTKV_RETURN_IF_ERROR(fence->Load());
  return fence;
}

absl::Status DurabilityFence::Load() {
  std::string scratch(kSlots * kFenceSlotBytes, '\0');
  rocksdb::Slice read;
  const rocksdb::IOStatus status =
      file_->Read(0, scratch.size(), kIoOptions, &read, scratch.data(), nullptr);
  if (!status.ok()) {
    return ReadFailure(path_, status);
  }
  if (read.size() != scratch.size()) {
    return BadBytes(path_, absl::StrCat("it has only ", read.size(), " bytes"));
  }
  const absl::string_view bytes = ToView(read);
  const auto synced = NewerOfPair<FenceSlot>(bytes, kSyncedSlot, DecodeFenceSlot);
  const auto written = DecodeFenceSlot(SlotOf(bytes, kWrittenSlot));
  const auto manifest = NewerOfPair<ManifestSlot>(bytes, kManifestSlot, DecodeManifestSlot);
  if (!synced.has_value() || !manifest.has_value()) {
    return BadBytes(path_, absl::StrCat("neither of its two records of ",
                                        synced.has_value() ? "the MANIFEST" : "the log",
                                        " can be read, and no crash does that"));
  }
  MutexLock lock(&mutex_);
  recorded_is_synced_ = !written.has_value() || written->sequence <= synced->sequence;
  synced_sequence_ = synced->sequence;
  const FenceSlot& newest = recorded_is_synced_ ? *synced : *written;
  sequence_ = newest.sequence;
  recorded_ = newest.record;
  MutexLock manifest_lock(&manifest_mutex_);
  manifest_sequence_ = manifest->sequence;
  manifest_ = manifest->record;
  return absl::OkStatus();
}

FenceRecord DurabilityFence::recorded() const {
  MutexLock lock(&mutex_);
  return recorded_;
}

ManifestRecord DurabilityFence::manifest() const {
  MutexLock lock(&manifest_mutex_);
  return manifest_;
}

void DurabilityFence::Record(const FenceRecord& record) {
  MutexLock lock(&mutex_);
  RecordLocked(record);
}

void DurabilityFence::RecordMember(uint64_t cluster_id, uint64_t member_id) {
  MutexLock lock(&mutex_);
  FenceRecord record = recorded_;
  record.cluster_id = cluster_id;
  record.member_id = member_id;
  RecordLocked(record);
}

void DurabilityFence::RecordProgress(const raft::HardState& hard_state,
                                     const raft::EntryId& durable) {
  MutexLock lock(&mutex_);
  RecordLocked(WithProgress(recorded_, hard_state, durable));
}

void DurabilityFence::NoteProgress(const raft::HardState& hard_state,
                                   const raft::EntryId& durable) {
  MutexLock lock(&mutex_);
  const FenceRecord record = WithProgress(recorded_, hard_state, durable);
  if (record == recorded_) {
    return;
  }
  recorded_ = record;
  recorded_is_synced_ = false;
  ++sequence_;
  WriteSlot(kWrittenSlot, EncodeFenceSlot(sequence_, record), /*sync=*/false);
}

void DurabilityFence::RecordManifest(const ManifestRecord& manifest) {
  MutexLock lock(&manifest_mutex_);
  if (manifest == manifest_) {
    return;
  }
  manifest_ = manifest;
  ++manifest_sequence_;
  WriteSlot(kManifestSlot + manifest_sequence_ % kPair,
            EncodeManifestSlot(manifest_sequence_, manifest), /*sync=*/true);
}

void DurabilityFence::RecordLocked(const FenceRecord& record) {
  if (record == recorded_ && recorded_is_synced_) {
    return;
  }
  // The next one whose place is not that of the last synced record.
  const uint64_t next = sequence_ + 1;
  synced_sequence_ = next % kPair == synced_sequence_ % kPair ? next + 1 : next;
  sequence_ = synced_sequence_;
  recorded_ = record;
  recorded_is_synced_ = true;
  WriteSlot(kSyncedSlot + sequence_ % kPair, EncodeFenceSlot(sequence_, record), /*sync=*/true);
}

void DurabilityFence::WriteSlot(size_t slot, const std::string& bytes, bool sync) {
  rocksdb::IOStatus status =
      file_->Write(slot * kFenceSlotBytes, ToSlice(bytes), kIoOptions, nullptr);
  if (status.ok() && sync) {
    status = file_->Sync(kIoOptions, nullptr);
  }
  if (!status.ok()) {
    AbortOnWriteFailure(absl::StrCat("write ", path_), status);
  }
}

}  // namespace raftkv::storage
