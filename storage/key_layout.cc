#include "storage/key_layout.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "kv/state_hash.h"
#include "raft/wire/convert.h"

namespace raftkv::storage {
namespace {

constexpr char kRecordLayout = 1;
constexpr char kLeasedRecordLayout = 2;
// The first byte of a key of `leases`.
constexpr char kLeaseRow = 0;
constexpr char kLeasedKeyRow = 1;
// The first byte of an id's row of `requests`.
constexpr char kRequestRow = 1;
constexpr char kEventLayout = 1;
// In an event's type: a previous record follows.
constexpr uint8_t kHasPrevious = 0x80;

void AppendSegment(const kv::HistorySegment& segment, std::string* value) {
  AppendVarint(segment.began.value(), value);
  AppendVarint(segment.ended.value(), value);
  AppendVarint(segment.last_revision, value);
  AppendVarint(segment.events, value);
  AppendVarint(segment.bytes, value);
}

kv::HistorySegment ReadSegment(ByteReader* reader) {
  kv::HistorySegment segment;
  segment.began = raft::ClusterMillis(reader->Varint());
  segment.ended = raft::ClusterMillis(reader->Varint());
  segment.last_revision = reader->SignedVarint();
  segment.events = reader->Varint();
  segment.bytes = reader->Varint();
  return segment;
}

bool DecodeEventRecord(absl::string_view bytes, kv::KvRecord* record) {
  const std::optional<LatestRecord> decoded = DecodeRecord(bytes);
  if (!decoded.has_value()) {
    return false;
  }
  record->header = decoded->header;
  record->value.assign(decoded->value.data(), decoded->value.size());
  return true;
}

}  // namespace

std::vector<std::string> GenerationFamilies(uint64_t generation) {
  return {absl::StrCat(kStateFamilyPrefix, generation),
          absl::StrCat(kLatestFamilyPrefix, generation),
          absl::StrCat(kTtlFamilyPrefix, generation),
          absl::StrCat(kRequestsFamilyPrefix, generation),
          absl::StrCat(kHistoryFamilyPrefix, generation),
          absl::StrCat(kLeasesFamilyPrefix, generation)};
}

std::string EncodeLogKey(raft::LogIndex index) {
  std::string key;
  AppendBe64(index.value(), &key);
  return key;
}

std::optional<raft::LogIndex> DecodeLogKey(absl::string_view key) {
  ByteReader reader(key);
  const raft::LogIndex index(reader.Be64());
  return reader.ok_at_end() ? std::optional(index) : std::nullopt;
}

void EncodeLogValue(const raft::Entry& entry, std::string* value) {
  value->clear();
  value->reserve(entry.payload_bytes() + 24);
  AppendVarint(entry.id.term.value(), value);
  value->push_back(static_cast<char>(entry.kind));
  AppendVarint(entry.stamp.value(), value);
  if (entry.payload != nullptr) {
    value->append(*entry.payload);
  }
}

std::optional<raft::Entry> DecodeLogValue(raft::LogIndex index, absl::string_view value) {
  ByteReader reader(value);
  raft::Entry entry;
  entry.id = {raft::Term(reader.Varint()), index};
  entry.kind = static_cast<raft::EntryKind>(reader.Byte());
  entry.stamp = raft::ClusterMillis(reader.Varint());
  const absl::string_view payload = reader.TakeRest();
  if (!reader.ok()) {
    return std::nullopt;
  }
  if (!payload.empty()) {
    entry.payload = std::make_shared<const std::string>(payload);
  }
  switch (entry.kind) {
    case raft::EntryKind::kNoOp:
    case raft::EntryKind::kCommands:
      return entry;
    case raft::EntryKind::kConfiguration: {
      auto configuration = wire::ConfigurationOf(entry);
      if (!configuration.ok()) {
        return std::nullopt;
      }
      entry.configuration = *std::move(configuration);
      return entry;
    }
  }
  return std::nullopt;  // No kind that is known.
}

std::string EncodeLogEdge(const LogEdge& edge) {
  std::string value;
  AppendVarint(edge.id.index.value(), &value);
  AppendVarint(edge.id.term.value(), &value);
  AppendVarint(edge.stamp.value(), &value);
  return value;
}

std::optional<LogEdge> DecodeLogEdge(absl::string_view value) {
  ByteReader reader(value);
  LogEdge edge;
  edge.id.index = raft::LogIndex(reader.Varint());
  edge.id.term = raft::Term(reader.Varint());
  edge.stamp = raft::ClusterMillis(reader.Varint());
  return reader.ok_at_end() ? std::optional(edge) : std::nullopt;
}

std::string EncodeHardState(const raft::HardState& state) {
  std::string value;
  AppendVarint(state.term.value(), &value);
  AppendVarint(state.vote.value(), &value);
  return value;
}

std::optional<raft::HardState> DecodeHardState(absl::string_view value) {
  ByteReader reader(value);
  raft::HardState state;
  state.term = raft::Term(reader.Varint());
  state.vote = raft::NodeId(reader.Varint());
  return reader.ok_at_end() ? std::optional(state) : std::nullopt;
}

std::string EncodeClusterReading(const raft::ClusterReading& reading) {
  std::string value;
  AppendVarint(reading.term.value(), &value);
  AppendVarint(reading.time.value(), &value);
  return value;
}

std::optional<raft::ClusterReading> DecodeClusterReading(absl::string_view value) {
  ByteReader reader(value);
  raft::ClusterReading reading;
  reading.term = raft::Term(reader.Varint());
  reading.time = raft::ClusterMillis(reader.Varint());
  return reader.ok_at_end() ? std::optional(reading) : std::nullopt;
}

std::string EncodeAppliedState(const kv::AppliedState& state) {
  std::string value;
  AppendVarint(state.id.index.value(), &value);
  AppendVarint(state.id.term.value(), &value);
  AppendVarint(state.stamp.value(), &value);
  AppendVarint(state.revision, &value);
  AppendVarint(state.key_count, &value);
  AppendVarint(uint64_t{state.cluster_version}, &value);
  AppendFixed64(state.rows_hash, &value);
  if (state.cluster_version >= kv::kTxnCommandVersion) {
    AppendVarint(state.requests.first, &value);
    AppendVarint(state.requests.next, &value);
    AppendVarint(state.requests.bytes, &value);
    AppendFixed64(state.requests.rows_hash, &value);
    AppendVarint(state.leases.count, &value);
    AppendFixed64(state.leases.rows_hash, &value);
    AppendVarint(state.leases.term_began.value(), &value);
  }
  return value;
}

std::optional<kv::AppliedState> DecodeAppliedState(absl::string_view value) {
  ByteReader reader(value);
  kv::AppliedState state;
  state.id.index = raft::LogIndex(reader.Varint());
  state.id.term = raft::Term(reader.Varint());
  state.stamp = raft::ClusterMillis(reader.Varint());
  state.revision = reader.SignedVarint();
  state.key_count = reader.SignedVarint();
  const uint64_t cluster_version = reader.Varint();
  if (cluster_version == 0 || cluster_version > std::numeric_limits<uint32_t>::max()) {
    return std::nullopt;
  }
  state.cluster_version = static_cast<uint32_t>(cluster_version);
  state.rows_hash = reader.Fixed64();
  if (state.cluster_version >= kv::kTxnCommandVersion) {
    state.requests.first = reader.Varint();
    state.requests.next = reader.Varint();
    state.requests.bytes = reader.Varint();
    state.requests.rows_hash = reader.Fixed64();
    state.leases.count = reader.Varint();
    state.leases.rows_hash = reader.Fixed64();
    state.leases.term_began = raft::ClusterMillis(reader.Varint());
    if (state.requests.first > state.requests.next) {
      return std::nullopt;
    }
  }
  return reader.ok_at_end() ? std::optional(state) : std::nullopt;
}

std::string EncodeHistoryState(const kv::HistoryState& state) {
  std::string value;
  AppendVarint(state.removed, &value);
  AppendVarint(state.compacted, &value);
  AppendVarint(state.readable, &value);
  for (const kv::HistorySegment& segment : state.closed) {
    AppendSegment(segment, &value);
  }
  AppendSegment(state.open, &value);
  return value;
}

std::optional<kv::HistoryState> DecodeHistoryState(absl::string_view value) {
  ByteReader reader(value);
  kv::HistoryState state;
  state.removed = reader.SignedVarint();
  state.compacted = reader.SignedVarint();
  state.readable = reader.SignedVarint();
  while (reader.ok() && !reader.empty()) {
    state.closed.push_back(ReadSegment(&reader));
  }
  if (!reader.ok() || state.closed.empty() || state.removed > state.compacted ||
      state.compacted > state.readable) {
    return std::nullopt;
  }
  state.open = state.closed.back();
  state.closed.pop_back();
  return state;
}

std::string EncodeHistoryKey(int64_t revision, absl::string_view key) {
  std::string row_key;
  row_key.reserve(kFixed64Bytes + key.size());
  AppendBe64(static_cast<uint64_t>(revision), &row_key);
  row_key.append(key.data(), key.size());
  return row_key;
}

void EncodeEventHeader(const kv::HistoryEvent& event, std::string* bytes) {
  std::string record;
  bytes->clear();
  bytes->push_back(kEventLayout);
  bytes->push_back(static_cast<char>(static_cast<uint8_t>(event.type) |
                                     (event.previous.has_value() ? kHasPrevious : 0)));
  AppendVarint(event.previous_mod_revision, bytes);
  if (event.previous.has_value()) {
    EncodeRecordHeader(event.previous->header, &record);
    AppendVarint(uint64_t{record.size() + event.previous->value.size()}, bytes);
    bytes->append(record);
    bytes->append(event.previous->value);
  }
  if (event.type == kv::HistoryEventType::kPut) {
    EncodeRecordHeader(event.record.header, &record);
    bytes->append(record);
  }
}

std::optional<kv::HistoryEvent> DecodeEvent(absl::string_view row_key, absl::string_view value) {
  kv::HistoryEvent event;
  ByteReader key_reader(row_key);
  event.revision = static_cast<int64_t>(key_reader.Be64());
  event.key = std::string(key_reader.TakeRest());
  ByteReader reader(value);
  const uint8_t layout = reader.Byte();
  const uint8_t type = reader.Byte();
  event.type = static_cast<kv::HistoryEventType>(type & ~kHasPrevious);
  event.previous_mod_revision = reader.SignedVarint();
  if ((type & kHasPrevious) != 0) {
    const absl::string_view previous = reader.Bytes(reader.Varint());
    if (!reader.ok() || !DecodeEventRecord(previous, &event.previous.emplace())) {
      return std::nullopt;
    }
  }
  const absl::string_view put = reader.TakeRest();
  if (!key_reader.ok() || !reader.ok() || layout != kEventLayout || event.revision <= 0 ||
      event.key.empty()) {
    return std::nullopt;
  }
  switch (event.type) {
    case kv::HistoryEventType::kPut:
      return DecodeEventRecord(put, &event.record) ? std::optional(std::move(event)) : std::nullopt;
    case kv::HistoryEventType::kDelete:
    case kv::HistoryEventType::kExpire:
      return put.empty() ? std::optional(std::move(event)) : std::nullopt;
  }
  return std::nullopt;
}

std::string EncodeNumber(uint64_t number) {
  std::string value;
  AppendVarint(number, &value);
  return value;
}

std::optional<uint64_t> DecodeNumber(absl::string_view value) {
  ByteReader reader(value);
  const uint64_t number = reader.Varint();
  return reader.ok_at_end() ? std::optional(number) : std::nullopt;
}

std::string EncodeId(uint64_t id) {
  std::string value;
  AppendFixed64(id, &value);
  return value;
}

std::optional<uint64_t> DecodeId(absl::string_view value) {
  ByteReader reader(value);
  const uint64_t id = reader.Fixed64();
  return reader.ok_at_end() && id != 0 ? std::optional(id) : std::nullopt;
}

std::string EncodeMemberRecordKey(uint64_t member_id) {
  std::string key = kMemberRecordPrefix;
  AppendBe64(member_id, &key);
  return key;
}

std::string EncodeRestoreRecord(const RestoreRecord& record) {
  std::string bytes;
  AppendFixed64(record.backup_id, &bytes);
  AppendVarint(uint64_t{record.name.size()}, &bytes);
  return absl::StrCat(bytes, record.name, record.initial_cluster);
}

std::optional<RestoreRecord> DecodeRestoreRecord(absl::string_view value) {
  ByteReader reader(value);
  RestoreRecord record;
  record.backup_id = reader.Fixed64();
  record.name = std::string(reader.Bytes(reader.Varint()));
  record.initial_cluster = std::string(reader.TakeRest());
  if (!reader.ok() || record.backup_id == 0 || record.name.empty()) {
    return std::nullopt;
  }
  return record;
}

void EncodeRecordHeader(const kv::RecordHeader& header, std::string* bytes) {
  bytes->clear();
  bytes->push_back(header.lease_id == 0 ? kRecordLayout : kLeasedRecordLayout);
  AppendVarint(header.create_revision, bytes);
  AppendVarint(header.mod_revision, bytes);
  AppendVarint(header.version, bytes);
  AppendVarint(header.deadline.value(), bytes);
  if (header.lease_id != 0) {
    AppendVarint(header.lease_id, bytes);
  }
}

std::optional<LatestRecord> DecodeRecord(absl::string_view record) {
  ByteReader reader(record);
  const uint8_t layout = reader.Byte();
  LatestRecord decoded;
  decoded.header.create_revision = reader.SignedVarint();
  decoded.header.mod_revision = reader.SignedVarint();
  decoded.header.version = reader.SignedVarint();
  decoded.header.deadline = raft::ClusterMillis(reader.Varint());
  bool known = layout == kRecordLayout;
  if (layout == kLeasedRecordLayout) {
    decoded.header.lease_id = reader.SignedVarint();
    known = decoded.header.lease_id != 0;
  }
  decoded.value = reader.TakeRest();
  return reader.ok() && known ? std::optional(decoded) : std::nullopt;
}

std::optional<LatestRecord> DecodeAndHashRecord(absl::string_view key, absl::string_view record) {
  std::optional<LatestRecord> decoded = DecodeRecord(record);
  if (decoded.has_value()) {
    decoded->header.row_hash = kv::RowHash(key, decoded->header, decoded->value);
  }
  return decoded;
}

std::string EncodeTtlKey(raft::ClusterMillis deadline, absl::string_view key) {
  std::string row_key;
  row_key.reserve(kFixed64Bytes + key.size());
  AppendBe64(deadline.value(), &row_key);
  row_key.append(key.data(), key.size());
  return row_key;
}

std::optional<kv::TtlRow> DecodeTtlKey(absl::string_view row_key) {
  ByteReader reader(row_key);
  kv::TtlRow row;
  row.deadline = raft::ClusterMillis(reader.Be64());
  row.key = reader.TakeRest();
  return reader.ok() && row.deadline.value() != 0 && !row.key.empty() ? std::optional(row)
                                                                      : std::nullopt;
}

std::string EncodeRowHash(uint64_t row_hash) {
  std::string value;
  AppendFixed64(row_hash, &value);
  return value;
}

std::optional<uint64_t> DecodeRowHash(absl::string_view value) {
  ByteReader reader(value);
  const uint64_t row_hash = reader.Fixed64();
  return reader.ok_at_end() ? std::optional(row_hash) : std::nullopt;
}

std::string EncodeRequestPlaceKey(uint64_t number) {
  std::string key(1, kRequestPlaceRow);
  AppendBe64(number, &key);
  return key;
}

void AppendRequestPlace(const kv::RequestPlace& place, std::string* places) {
  AppendVarint(place.keep_until.value(), places);
  AppendVarint(place.bytes, places);
  AppendFixed64(place.row_hash, places);
  AppendVarint(uint64_t{place.id.size()}, places);
  places->append(place.id);
}

std::string EncodeRequestKey(absl::string_view id) {
  return absl::StrCat(absl::string_view(&kRequestRow, 1), id);
}

std::string EncodeRequest(const kv::RememberedRequest& request) {
  std::string value;
  AppendVarint(request.number, &value);
  AppendVarint(request.keep_until.value(), &value);
  AppendFixed64(request.content_hash, &value);
  value.append(request.outcome);
  return value;
}

std::optional<uint64_t> DecodeRequestPlaceKey(absl::string_view key) {
  ByteReader reader(key);
  const bool is_place = reader.Byte() == kRequestPlaceRow;
  const uint64_t number = reader.Be64();
  return is_place && reader.ok_at_end() ? std::optional(number) : std::nullopt;
}

std::optional<std::vector<kv::RequestPlace>> DecodeRequestPlaces(absl::string_view value) {
  ByteReader reader(value);
  std::vector<kv::RequestPlace> places;
  while (reader.ok() && !reader.empty()) {
    kv::RequestPlace& place = places.emplace_back();
    place.keep_until = raft::ClusterMillis(reader.Varint());
    place.bytes = reader.Varint();
    place.row_hash = reader.Fixed64();
    place.id = std::string(reader.Bytes(reader.Varint()));
  }
  return reader.ok() && !places.empty() ? std::optional(std::move(places)) : std::nullopt;
}

std::optional<absl::string_view> DecodeRequestKey(absl::string_view key) {
  return !key.empty() && key[0] == kRequestRow ? std::optional(key.substr(1)) : std::nullopt;
}

std::optional<kv::RememberedRequest> DecodeRequest(absl::string_view value) {
  ByteReader reader(value);
  kv::RememberedRequest request;
  request.number = reader.Varint();
  request.keep_until = raft::ClusterMillis(reader.Varint());
  request.content_hash = reader.Fixed64();
  request.outcome = std::string(reader.TakeRest());
  return reader.ok() ? std::optional(std::move(request)) : std::nullopt;
}

std::string EncodeLeaseKey(int64_t id) {
  std::string key(1, kLeaseRow);
  AppendBe64(static_cast<uint64_t>(id), &key);
  return key;
}

std::string EncodeLease(const kv::Lease& lease) {
  std::string value;
  AppendVarint(lease.ttl_ms, &value);
  AppendVarint(lease.lasts_ms, &value);
  AppendVarint(lease.renewed.value(), &value);
  AppendVarint(lease.keys, &value);
  AppendVarint(lease.keys_max, &value);
  return value;
}

std::optional<int64_t> DecodeLeaseKey(absl::string_view row_key) {
  ByteReader reader(row_key);
  const bool is_lease = reader.Byte() == kLeaseRow;
  const auto id = static_cast<int64_t>(reader.Be64());
  return is_lease && id > 0 && reader.ok_at_end() ? std::optional(id) : std::nullopt;
}

std::optional<kv::Lease> DecodeLease(int64_t id, absl::string_view value) {
  ByteReader reader(value);
  kv::Lease lease;
  lease.id = id;
  lease.ttl_ms = reader.Varint();
  lease.lasts_ms = reader.Varint();
  lease.renewed = raft::ClusterMillis(reader.Varint());
  lease.keys = reader.Varint();
  lease.keys_max = reader.Varint();
  return reader.ok_at_end() ? std::optional(lease) : std::nullopt;
}

std::string LeasesEnd() { return std::string(1, kLeasedKeyRow); }

std::string EncodeLeasedKey(int64_t id, absl::string_view key) {
  std::string row_key(1, kLeasedKeyRow);
  AppendBe64(static_cast<uint64_t>(id), &row_key);
  row_key.append(key.data(), key.size());
  return row_key;
}

std::string LeasedKeysEnd(int64_t id) {
  std::string row_key(1, kLeasedKeyRow);
  AppendBe64(static_cast<uint64_t>(id) + 1, &row_key);
  return row_key;
}

std::optional<LeasedKey> DecodeLeasedKey(absl::string_view row_key) {
  ByteReader reader(row_key);
  const bool is_key = reader.Byte() == kLeasedKeyRow;
  LeasedKey leased;
  leased.id = static_cast<int64_t>(reader.Be64());
  leased.key = reader.TakeRest();
  return is_key && reader.ok() && leased.id > 0 && !leased.key.empty() ? std::optional(leased)
                                                                       : std::nullopt;
}

}  // namespace raftkv::storage
