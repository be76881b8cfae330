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

// The first chunk: what the state stands at, and what the others must come to.
std::string HeadOf(const SnapshotContent& content) {
  std::string head;
  const kv::AppliedState& applied = content.table.applied;
  AppendVarint(applied.revision, &head);
  AppendVarint(applied.key_count, &head);
  AppendVarint(uint64_t{applied.cluster_version}, &head);
  AppendFixed64(applied.rows_hash, &head);
  AppendVarint(uint64_t{content.table.latest.size()}, &head);
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
  for (const raft::EntryId& id : content.history) {
    AppendVarint(id.term.value(), &head);
  }
  return head;
}

void AppendRow(const std::string& key, const KvRecord& record, std::string* chunk) {
  AppendText(key, chunk);
  AppendVarint(record.header.create_revision, chunk);
  AppendVarint(record.header.mod_revision, chunk);
  AppendVarint(record.header.version, chunk);
  AppendVarint(record.header.deadline.value(), chunk);
  AppendText(record.value, chunk);
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
                              .cluster_version = static_cast<uint32_t>(reader.Varint())};
    content_.table.applied.rows_hash = reader.Fixed64();
    rows_ = reader.Varint();
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
    while (reader.ok() && !reader.empty()) {
      content_.history.push_back(
          {.term = Term(reader.Varint()), .index = LogIndex(content_.history.size() + 1)});
    }
  }
  while (reader.ok() && !reader.empty()) {
    const std::string key(reader.Bytes(reader.Varint()));
    KvRecord record;
    record.header.create_revision = reader.SignedVarint();
    record.header.mod_revision = reader.SignedVarint();
    record.header.version = reader.SignedVarint();
    record.header.deadline = ClusterMillis(reader.Varint());
    record.value = std::string(reader.Bytes(reader.Varint()));
    record.header.row_hash = kv::RowHash(key, record.header, record.value);
    ApplyChanges({.rows = {{key, std::move(record)}}, .applied = content_.table.applied},
                 &content_.table);
  }
  return reader.ok() ? absl::OkStatus() : absl::InvalidArgumentError("a broken chunk");
}

absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> SimSnapshotWriter::Finish() {
  const bool is_whole = has_head_ && content_.table.latest.size() == rows_ &&
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
