// Bytes that raftkv reads back from its own disk, and what an entry's payload holds: what no
// encoder made is refused, and what is accepted comes out the same when it is encoded and decoded
// again. Commands that pass the check are applied to a table, which must keep its own rules.
#include <glog/logging.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "kv/command_semantics.h"
#include "raft/runtime/command_batch.h"
#include "raft/wire/convert.h"
#include "storage/data_directory.h"
#include "storage/durability_fence.h"
#include "storage/key_layout.h"
#include "storage/snapshot_chunk.h"
#include "tests/fuzz/byte_source.h"
#include "tests/simulation/sim_table.h"

namespace raftkv::fuzz {
namespace {

using namespace storage;  // NOLINT: every name here is storage's.

std::string EncodeLogValueOf(const raft::Entry& entry) {
  std::string value;
  EncodeLogValue(entry, &value);
  return value;
}

std::string EncodeRecord(const LatestRecord& record) {
  std::string bytes;
  EncodeRecordHeader(record.header, &bytes);
  bytes.append(record.value.data(), record.value.size());
  return bytes;
}

std::string EncodeRequestPlaces(const std::vector<kv::RequestPlace>& places) {
  std::string bytes;
  for (const kv::RequestPlace& place : places) {
    AppendRequestPlace(place, &bytes);
  }
  return bytes;
}

// `decode` gives an optional; `encode` takes what is in it.
template <typename Decode, typename Encode>
void CheckRoundTrip(absl::string_view bytes, Decode decode, Encode encode) {
  const auto value = decode(bytes);
  if (!value.has_value()) {
    return;
  }
  const std::string encoded = encode(*value);
  const auto again = decode(encoded);
  CHECK(again.has_value());
  CHECK(encode(*again) == encoded);
}

void DecodeRows(uint64_t kind, absl::string_view bytes) {
  switch (kind) {
    case 0:
      return CheckRoundTrip(bytes, DecodeLogKey, EncodeLogKey);
    case 1:
      return CheckRoundTrip(
          bytes, [](absl::string_view b) { return DecodeLogValue(raft::LogIndex(7), b); },
          EncodeLogValueOf);
    case 2:
      return CheckRoundTrip(bytes, DecodeHardState, EncodeHardState);
    case 3:
      return CheckRoundTrip(bytes, DecodeAppliedState, EncodeAppliedState);
    case 4:
      return CheckRoundTrip(bytes, DecodeNumber, EncodeNumber);
    case 5:
      return CheckRoundTrip(bytes, DecodeId, EncodeId);
    case 6:
      return CheckRoundTrip(bytes, DecodeRecord, EncodeRecord);
    default:
      CheckRoundTrip(bytes, DecodeRequestPlaces, EncodeRequestPlaces);
      CheckRoundTrip(bytes, DecodeRequest, EncodeRequest);
      CheckRoundTrip(bytes, DecodeRequestPlaceKey, EncodeRequestPlaceKey);
      return CheckRoundTrip(bytes, DecodeTtlKey, [](const kv::TtlRow& row) {
        return EncodeTtlKey(row.deadline, row.key);
      });
  }
}

// Rows that a chunk gave are built into one again, as one that is as good.
void DecodeChunk(absl::string_view bytes) {
  SnapshotChunkReader reader;
  const bool is_newest = !bytes.empty() && static_cast<uint8_t>(bytes[0]) == kChunkVersion;
  SnapshotChunkBuilder builder({}, is_newest ? kChunkVersion : kFirstChunkVersion);
  bool fits = true;
  const absl::Status status = reader.Read(bytes, [&](const SnapshotRow& row) {
    fits = fits && builder.Add(row.family, row.key, row.value);
    return absl::OkStatus();
  });
  if (!status.ok() || !fits) {
    return;
  }
  builder.AddEnd();
  SnapshotChunkReader again;
  CHECK(again.Read(builder.Take(), [](const SnapshotRow&) { return absl::OkStatus(); }).ok());
  CHECK(again.at_end());
  CHECK(again.totals().rows == reader.totals().rows);
}

void DecodeFiles(absl::string_view bytes) {
  DecodeChunk(bytes);
  CheckRoundTrip(bytes, DecodeFenceSlot,
                 [](const FenceSlot& slot) { return EncodeFenceSlot(slot.sequence, slot.record); });
  CheckRoundTrip(bytes, DecodeManifestSlot, [](const ManifestSlot& slot) {
    return EncodeManifestSlot(slot.sequence, slot.record);
  });
  CHECK(!CheckFormat("FORMAT", bytes).ok() || absl::StrContains(bytes, "raftkv "));
}

// What no fuzzer guesses is the checksum: bytes are put into a good slot, so that what is behind it
// is reached, and a slot with a flipped byte must be refused.
void DecodeFence(ByteSource* source) {
  FenceRecord record;
  record.data_id = source->Number();
  record.cluster_id = source->Number();
  record.member_id = source->Number();
  record.hard_state = {.term = raft::Term(source->Number()),
                       .vote = raft::NodeId(source->Number())};
  record.durable = {.term = raft::Term(source->Number()),
                    .index = raft::LogIndex(source->Number())};
  record.first_wal = source->Number();
  std::string slot = EncodeFenceSlot(source->Number(), record);
  const std::optional<FenceSlot> decoded = DecodeFenceSlot(slot);
  CHECK(decoded.has_value());
  CHECK(decoded->record == record);
  const size_t place = source->Number() % slot.size();
  const auto flipped = static_cast<char>(slot[place] ^ static_cast<char>(1 << source->Below(8)));
  const bool is_checked = DecodeFenceSlot(slot.substr(0, place)) == std::nullopt;
  slot[place] = flipped;
  if (is_checked) {
    CHECK(!DecodeFenceSlot(slot).has_value()) << "a flipped bit at " << place;
  }
  (void)CheckNothingLost("FENCE", record, FenceRecord(), std::nullopt);
}

void ApplyPayload(absl::string_view payload) {
  simulation::SimTable table{simulation::TableContent()};
  kv::StoreTotals totals;
  raft::ClusterMillis stamp(1);
  raft::CommandBatchReader reader(payload);
  while (reader.Next()) {
    log::v1::Command command;
    const absl::string_view bytes = reader.command();
    if (!command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
        !kv::CheckCommand(command).ok() || command.has_member_record()) {
      continue;  // The table knows keys only.
    }
    const kv::StoreTotals before = totals;
    log::v1::CommandOutcome outcome;
    stamp = stamp + reader.sequence() % 1000;
    CHECK(kv::ApplyCommand(&command, stamp, &table, &totals, &outcome));
    CHECK_GE(totals.revision, before.revision);
    CHECK_LE(totals.revision, before.revision + 1);
    CHECK_EQ(static_cast<size_t>(totals.key_count), table.content().latest.size());
    CHECK_EQ(totals.rows_hash, simulation::ProductRowsHash(table.content()));
    for (const auto& [key, record] : table.content().latest) {
      CHECK_LE(record.header.create_revision, record.header.mod_revision);
      CHECK_LE(record.header.mod_revision, totals.revision);
    }
  }
}

// The same from choices instead of bytes: commands that are likely to meet each other's keys.
void ApplyCommands(ByteSource* source) {
  std::string payload;
  const auto key = [source] {
    return std::string(1 + source->Below(2), static_cast<char>('a' + source->Below(4)));
  };
  while (!source->empty()) {
    log::v1::Command command;
    const uint64_t choice = source->Below(4);
    if (choice == 3) {
      command.mutable_expire()->set_start_deadline_ms(source->Near(20));
      command.mutable_expire()->set_start_key(key());
      command.mutable_expire()->set_keys_max(source->Below(4));
    } else {
      log::v1::Txn* txn = command.mutable_txn();
      if (source->Below(4) == 0) {
        log::v1::Guard* guard = txn->add_guards();
        guard->set_key(key());
        guard->set_mod_revision(static_cast<int64_t>(source->Below(8)));
      }
      for (uint64_t operations = 1 + source->Below(3); operations > 0; --operations) {
        if (source->Flag()) {
          log::v1::PutOperation* put = txn->add_operations()->mutable_put();
          put->set_key(key());
          put->set_value(std::string(source->TakeUpTo(source->Below(8))));
          if (source->Flag()) {
            put->set_ttl_ms(source->Near(20));
          }
          put->set_return_previous(source->Flag());
        } else {
          log::v1::DeleteOperation* del = txn->add_operations()->mutable_delete_();
          del->set_start_key(key());
          del->set_end_key(source->Flag() ? del->start_key() + std::string(1, '\0') : key());
          del->set_limit(source->Below(3));
          del->set_keys_max(source->Below(4));
          del->set_return_previous(source->Flag());
          del->set_previous_bytes_max(source->Near(70));
        }
      }
    }
    raft::AppendProposal(1, source->Byte(), command.SerializeAsString(), &payload);
  }
  ApplyPayload(payload);
}

}  // namespace
}  // namespace raftkv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  raftkv::fuzz::ByteSource source(data, size);
  switch (source.Below(12)) {
    case 8:
      raftkv::fuzz::DecodeFiles(source.TakeAll());
      break;
    case 9:
      raftkv::fuzz::DecodeFence(&source);
      break;
    case 10:
      raftkv::fuzz::ApplyPayload(source.TakeAll());
      break;
    case 11:
      raftkv::fuzz::ApplyCommands(&source);
      break;
    default:
      raftkv::fuzz::DecodeRows(size == 0 ? 0 : data[0] % 12, source.TakeAll());
      break;
  }
  return 0;
}
