#include "storage/durability_fence.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"

namespace raftkv::storage {
namespace {

constexpr absl::string_view kMagic = "raftkvF1";
constexpr size_t kNumberBytes = 8;
constexpr size_t kNumbers = 9;  // Between the magic and the checksum.
constexpr size_t kCheckedBytes = 8 + kNumbers * kNumberBytes;
constexpr size_t kSlots = 2;

constexpr char kKeepStopped[] =
    " If that cannot be done, keep this member stopped: the others go on as long as a majority of "
    "them is intact.";

const rocksdb::IOOptions kIoOptions;

void AppendNumber(uint64_t number, std::string* bytes) {
  for (size_t i = 0; i < kNumberBytes; ++i) {
    bytes->push_back(static_cast<char>(number >> (8 * i)));
  }
}

uint64_t ReadNumber(absl::string_view bytes, size_t at) {
  uint64_t number = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    number |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return number;
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

std::string EncodeFenceSlot(uint64_t sequence, const FenceRecord& record) {
  const std::array<uint64_t, kNumbers> numbers = {sequence,
                                                  record.data_id,
                                                  record.cluster_id,
                                                  record.member_id,
                                                  record.hard_state.term.value(),
                                                  record.hard_state.vote.value(),
                                                  record.durable.index.value(),
                                                  record.durable.term.value(),
                                                  record.first_wal};
  std::string bytes(kMagic);
  for (const uint64_t number : numbers) {
    AppendNumber(number, &bytes);
  }
  AppendNumber(StableHash(bytes), &bytes);
  bytes.resize(kFenceSlotBytes);
  return bytes;
}

std::optional<FenceSlot> DecodeFenceSlot(absl::string_view bytes) {
  if (bytes.size() < kCheckedBytes + kNumberBytes || !absl::StartsWith(bytes, kMagic) ||
      ReadNumber(bytes, kCheckedBytes) != StableHash(bytes.substr(0, kCheckedBytes))) {
    return std::nullopt;
  }
  std::array<uint64_t, kNumbers> numbers;
  for (size_t i = 0; i < kNumbers; ++i) {
    numbers[i] = ReadNumber(bytes, kMagic.size() + i * kNumberBytes);
  }
  const auto [sequence, data_id, cluster_id, member_id, term, vote, durable_index, durable_term,
              first_wal] = numbers;
  return FenceSlot{.sequence = sequence,
                   .record = {.data_id = data_id,
                              .cluster_id = cluster_id,
                              .member_id = member_id,
                              .hard_state = {.term = raft::Term(term), .vote = raft::NodeId(vote)},
                              .durable = {.term = raft::Term(durable_term),
                                          .index = raft::LogIndex(durable_index)},
                              .first_wal = first_wal}};
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
  if ((!forgot_term && !forgot_vote && !forgot_entries) || RAFTKV_MUTANT(kFenceIgnored)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "the database has lost what this member acknowledged: ", fence_path, " recorded ",
      Describe(recorded), "; the database has ", Describe(database),
      ". A member that forgot must not vote or acknowledge again. ", kRemedy, kKeepStopped));
}

absl::StatusOr<std::unique_ptr<DurabilityFence>> DurabilityFence::Create(
    std::shared_ptr<rocksdb::FileSystem> files, const std::string& path,
    const FenceRecord& record) {
  // Whole and twice, so that later records need no space and there is never a slot without one.
  RAFTKV_RETURN_IF_ERROR(ReplaceFile(
      files.get(), path, absl::StrCat(EncodeFenceSlot(0, record), EncodeFenceSlot(1, record))));
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
  MutexLock lock(&mutex_);
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
  bool found = false;
  for (size_t i = 0; i < kSlots; ++i) {
    const std::optional<FenceSlot> slot =
        DecodeFenceSlot(ToView(read).substr(i * kFenceSlotBytes, kFenceSlotBytes));
    if (slot.has_value() && slot->sequence % kSlots == i &&
        (!found || slot->sequence > sequence_)) {
      found = true;
      sequence_ = slot->sequence;
      recorded_ = slot->record;
    }
  }
  return found ? absl::OkStatus()
               : BadBytes(path_, "neither of its two records can be read, and no crash does that");
}

FenceRecord DurabilityFence::recorded() const {
  MutexLock lock(&mutex_);
  return recorded_;
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
  FenceRecord record = recorded_;
  record.hard_state = hard_state;
  record.durable = durable;
  RecordLocked(record);
}

void DurabilityFence::RecordLocked(const FenceRecord& record) {
  if (record == recorded_) {
    return;
  }
  const uint64_t sequence = sequence_ + 1;
  rocksdb::IOStatus status =
      file_->Write(sequence % kSlots * kFenceSlotBytes, ToSlice(EncodeFenceSlot(sequence, record)),
                   kIoOptions, nullptr);
  if (status.ok()) {
    status = file_->Sync(kIoOptions, nullptr);
  }
  if (!status.ok()) {
    AbortOnWriteFailure(absl::StrCat("write ", path_), status);
  }
  sequence_ = sequence;
  recorded_ = record;
}

}  // namespace raftkv::storage
