#include "tests/simulation/sim_snapshot.h"

#include "base/coding.h"
#include "kv/member_list.h"
#include "kv/state_hash.h"

namespace raftkv::simulation {

using kv::KvRecord;
using raft::ClusterMillis;
using raft::LogIndex;
using raft::SnapshotPoint;
using raft::Term;

namespace {

class SimStagedSnapshot final : public raft::StagedSnapshot {
 public:
  SimStagedSnapshot(raft::SnapshotMeta meta, SnapshotContent content)
      : StagedSnapshot(std::move(meta)),
        content_(std::make_shared<const SnapshotContent>(std::move(content))) {}

  const std::shared_ptr<const SnapshotContent>& content() const { return content_; }

 private:
  const std::shared_ptr<const SnapshotContent> content_;
};

void AppendText(const std::string& text, std::string* bytes) {
  AppendVarint(uint64_t{text.size()}, bytes);
  bytes->append(text);
}

void AppendSegment(const kv::HistorySegment& segment, std::string* bytes) {
  AppendVarint(segment.began.value(), bytes);
  AppendVarint(segment.ended.value(), bytes);
  AppendVarint(segment.last_revision, bytes);
  AppendVarint(segment.events, bytes);
  AppendVarint(segment.bytes, bytes);
}

kv::HistorySegment ReadSegment(ByteReader* reader) {
  kv::HistorySegment segment;
  segment.began = ClusterMillis(reader->Varint());
  segment.ended = ClusterMillis(reader->Varint());
  segment.last_revision = reader->SignedVarint();
  segment.events = reader->Varint();
  segment.bytes = reader->Varint();
  return segment;
}

void AppendHistory(const kv::HistoryState& history, std::string* bytes) {
  AppendVarint(history.removed, bytes);
  AppendVarint(history.compacted, bytes);
  AppendVarint(history.readable, bytes);
  AppendVarint(uint64_t{history.closed.size()}, bytes);
  for (const kv::HistorySegment& segment : history.closed) {
    AppendSegment(segment, bytes);
  }
  AppendSegment(history.open, bytes);
}

kv::HistoryState ReadHistory(ByteReader* reader) {
  kv::HistoryState history;
  history.removed = reader->SignedVarint();
  history.compacted = reader->SignedVarint();
  history.readable = reader->SignedVarint();
  for (uint64_t left = reader->Varint(); left > 0 && reader->ok(); --left) {
    history.closed.push_back(ReadSegment(reader));
  }
  history.open = ReadSegment(reader);
  return history;
}

// The first chunk: what the state stands at, and what the others must come to.
std::string HeadOf(const SnapshotContent& content) {
  std::string head;
  const kv::AppliedState& applied = content.table.applied;
  AppendVarint(applied.revision, &head);
  AppendVarint(applied.key_count, &head);
  AppendVarint(uint64_t{applied.cluster_version}, &head);
  AppendFixed64(applied.rows_hash, &head);
  AppendHistory(applied.history, &head);
  AppendVarint(uint64_t{content.table.latest.size()}, &head);
  AppendVarint(uint64_t{content.table.events.size()}, &head);
  AppendFixed64(ContentHash(content.table), &head);
  AppendText(content.table.configuration->SerializeAsString(), &head);
  AppendVarint(uint64_t{content.configurations.size()}, &head);
  for (const auto& [index, record] : content.configurations) {
    AppendVarint(index.value(), &head);
    AppendText(record, &head);
  }
  AppendVarint(applied.requests.first, &head);
  AppendVarint(applied.requests.next, &head);
  AppendVarint(applied.requests.bytes, &head);
  AppendFixed64(applied.requests.rows_hash, &head);
  for (const auto& [number, row] : content.table.requests) {
    AppendText(row.id, &head);
    AppendVarint(row.request.keep_until.value(), &head);
    AppendFixed64(row.request.content_hash, &head);
    AppendText(row.request.outcome, &head);
  }
  AppendVarint(applied.leases.count, &head);
  AppendFixed64(applied.leases.rows_hash, &head);
  AppendVarint(applied.leases.term_began.value(), &head);
  for (const auto& [id, lease] : content.table.leases.leases()) {
    AppendVarint(id, &head);
    AppendVarint(lease.ttl_ms, &head);
    AppendVarint(lease.lasts_ms, &head);
    AppendVarint(lease.renewed.value(), &head);
    AppendVarint(lease.keys, &head);
    AppendVarint(lease.keys_max, &head);
  }
  for (const raft::EntryId& id : content.history) {
    AppendVarint(id.term.value(), &head);
  }
  return head;
}

void AppendRecord(const KvRecord& record, std::string* bytes) {
  AppendVarint(record.header.create_revision, bytes);
  AppendVarint(record.header.mod_revision, bytes);
  AppendVarint(record.header.version, bytes);
  AppendVarint(record.header.deadline.value(), bytes);
  AppendVarint(record.header.lease_id, bytes);
  AppendText(record.value, bytes);
}

KvRecord ReadRecord(ByteReader* reader) {
  KvRecord record;
  record.header.create_revision = reader->SignedVarint();
  record.header.mod_revision = reader->SignedVarint();
  record.header.version = reader->SignedVarint();
  record.header.deadline = ClusterMillis(reader->Varint());
  record.header.lease_id = reader->SignedVarint();
  record.value = std::string(reader->Bytes(reader->Varint()));
  return record;
}

// A row with an empty key is an event.
void AppendEvent(const kv::HistoryEvent& event, std::string* chunk) {
  AppendText("", chunk);
  AppendVarint(static_cast<uint64_t>(event.type), chunk);
  AppendVarint(event.revision, chunk);
  AppendText(event.key, chunk);
  AppendRecord(event.record, chunk);
  AppendVarint(event.previous_mod_revision, chunk);
  AppendVarint(uint64_t{event.previous.has_value()}, chunk);
  AppendRecord(event.previous.value_or(KvRecord()), chunk);
}

kv::HistoryEvent ReadEvent(ByteReader* reader) {
  kv::HistoryEvent event;
  event.type = static_cast<kv::HistoryEventType>(reader->Varint());
  event.revision = reader->SignedVarint();
  event.key = std::string(reader->Bytes(reader->Varint()));
  event.record = ReadRecord(reader);
  event.previous_mod_revision = reader->SignedVarint();
  const bool has_previous = reader->Varint() != 0;
  KvRecord previous = ReadRecord(reader);
  if (has_previous) {
    event.previous = std::move(previous);
  }
  return event;
}

void AppendRow(const std::string& key, const KvRecord& record, std::string* chunk) {
  AppendText(key, chunk);
  AppendRecord(record, chunk);
}

}  // namespace

SimSnapshotReader::SimSnapshotReader(const SnapshotContent& content, uint64_t chunk_rows)
    : point_({.last = content.table.applied.id, .stamp = content.table.applied.stamp}),
      chunks_({HeadOf(content)}) {
  uint64_t rows = 0;
  for (const auto& [key, record] : content.table.latest) {
    if (rows++ % chunk_rows == 0) {
      chunks_.emplace_back();
    }
    AppendRow(key, record, &chunks_.back());
  }
  for (const auto& [place, event] : content.table.events) {
    if (rows++ % chunk_rows == 0) {
      chunks_.emplace_back();
    }
    AppendEvent(event, &chunks_.back());
  }
}

absl::StatusOr<std::optional<std::string>> SimSnapshotReader::ReadChunk(uint64_t number) {
  return number < chunks_.size() ? std::optional<std::string>(chunks_[number]) : std::nullopt;
}

absl::Status SimSnapshotWriter::Write(absl::string_view chunk) {
  ByteReader reader(chunk);
  if (!std::exchange(has_head_, true)) {
    content_.table.applied = {.id = point_.last,
                              .stamp = point_.stamp,
                              .revision = reader.SignedVarint(),
                              .key_count = reader.SignedVarint(),
                              .cluster_version = static_cast<uint32_t>(reader.Varint()),
                              .history = {}};
    content_.table.applied.rows_hash = reader.Fixed64();
    content_.table.applied.history = ReadHistory(&reader);
    rows_ = reader.Varint();
    events_ = reader.Varint();
    state_hash_ = reader.Fixed64();
    const std::string record(reader.Bytes(reader.Varint()));
    if (!content_.table.configuration.emplace().ParseFromString(record)) {
      return absl::InvalidArgumentError("a broken configuration");
    }
    for (uint64_t left = reader.Varint(); left > 0 && reader.ok(); --left) {
      const LogIndex index(reader.Varint());
      content_.configurations[index] = std::string(reader.Bytes(reader.Varint()));
    }
    kv::RequestTotals& requests = content_.table.applied.requests;
    requests.first = reader.Varint();
    requests.next = reader.Varint();
    requests.bytes = reader.Varint();
    requests.rows_hash = reader.Fixed64();
    for (uint64_t number = requests.first; number < requests.next && reader.ok(); ++number) {
      TableContent::Request row;
      row.id = std::string(reader.Bytes(reader.Varint()));
      row.request.number = number;
      row.request.keep_until = ClusterMillis(reader.Varint());
      row.request.content_hash = reader.Fixed64();
      row.request.outcome = std::string(reader.Bytes(reader.Varint()));
      SetRequest(number, std::move(row), &content_.table);
    }
    kv::LeaseTotals& leases = content_.table.applied.leases;
    leases.count = reader.Varint();
    leases.rows_hash = reader.Fixed64();
    leases.term_began = ClusterMillis(reader.Varint());
    for (uint64_t left = leases.count; left > 0 && reader.ok(); --left) {
      kv::Lease lease;
      lease.id = reader.SignedVarint();
      lease.ttl_ms = reader.Varint();
      lease.lasts_ms = reader.Varint();
      lease.renewed = ClusterMillis(reader.Varint());
      lease.keys = reader.Varint();
      lease.keys_max = reader.Varint();
      content_.table.leases.Put(lease);
    }
    while (reader.ok() && !reader.empty()) {
      content_.history.push_back(
          {.term = Term(reader.Varint()), .index = LogIndex(content_.history.size() + 1)});
    }
  }
  while (reader.ok() && !reader.empty()) {
    const std::string key(reader.Bytes(reader.Varint()));
    if (key.empty()) {
      kv::HistoryEvent event = ReadEvent(&reader);
      content_.table.events[{event.revision, event.key}] = std::move(event);
      continue;
    }
    KvRecord record = ReadRecord(&reader);
    record.header.row_hash = kv::RowHash(key, record.header, record.value);
    ApplyChanges({.rows = {{key, std::move(record)}}, .applied = content_.table.applied},
                 &content_.table);
  }
  return reader.ok() ? absl::OkStatus() : absl::InvalidArgumentError("a broken chunk");
}

absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> SimSnapshotWriter::Finish() {
  const bool is_whole = has_head_ && content_.table.latest.size() == rows_ &&
                        content_.table.events.size() == events_ &&
                        ContentHash(content_.table) == state_hash_ &&
                        content_.table.applied.rows_hash == ProductRowsHash(content_.table) &&
                        !content_.history.empty() && content_.history.back() == point_.last;
  if (!is_whole) {
    return absl::InvalidArgumentError("the chunks do not make the state that was announced");
  }
  return std::make_shared<SimStagedSnapshot>(
      raft::SnapshotMeta{.point = point_,
                         .configuration = kv::IdsOf(*content_.table.configuration)},
      std::move(content_));
}

std::shared_ptr<const SnapshotContent> ContentOf(const raft::StagedSnapshot& snapshot) {
  return dynamic_cast<const SimStagedSnapshot&>(snapshot).content();
}

}  // namespace raftkv::simulation
