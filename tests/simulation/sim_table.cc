#include "tests/simulation/sim_table.h"

#include <glog/logging.h>

#include "base/stable_hash.h"
#include "kv/state_hash.h"
#include "tests/simulation/trace.h"

namespace raftkv::simulation {

using kv::KvRecord;
using raft::ClusterMillis;

namespace {

void SetRow(const std::string& key, std::optional<KvRecord> record, TableContent* content) {
  const auto old = content->latest.find(key);
  if (old != content->latest.end() && old->second.header.deadline.value() != 0) {
    content->ttl.erase({old->second.header.deadline, key});
  }
  if (!record.has_value()) {
    if (old != content->latest.end()) {
      content->latest.erase(old);
    }
    return;
  }
  if (record->header.deadline.value() != 0) {
    content->ttl.emplace(record->header.deadline, key);
  }
  content->latest[key] = *std::move(record);
}

}  // namespace

void SetRequest(uint64_t number, std::optional<TableContent::Request> request,
                TableContent* content) {
  if (const auto old = content->requests.find(number); old != content->requests.end()) {
    content->request_numbers.erase(old->second.id);
    content->requests.erase(old);
  }
  if (request.has_value()) {
    content->request_numbers[request->id] = number;
    content->requests[number] = *std::move(request);
  }
}

void ApplyChanges(const TableChanges& changes, TableContent* content) {
  for (const auto& [key, record] : changes.rows) {
    SetRow(key, record, content);
  }
  for (const kv::HistoryEvent& event : changes.events) {
    content->events[{event.revision, event.key}] = event;
  }
  for (const auto& [id, lease] : changes.leases) {
    lease.has_value() ? content->leases.Put(*lease) : content->leases.Erase(id);
  }
  content->applied = changes.applied;
  if (changes.configuration.has_value()) {
    content->configuration = changes.configuration;
  }
  while (!content->requests.empty() &&
         content->requests.begin()->first < changes.applied.requests.first) {
    SetRequest(content->requests.begin()->first, std::nullopt, content);
  }
  for (const TableContent::Request& added : changes.requests) {
    SetRequest(added.request.number, added, content);
  }
  content->events.erase(content->events.begin(),
                        content->events.lower_bound({content->applied.history.removed + 1, ""}));
}

uint64_t RowHash(absl::string_view key, const KvRecord& record) {
  uint64_t hash = Mix(StableHash(key));
  hash = Mix(hash ^ static_cast<uint64_t>(record.header.create_revision));
  hash = Mix(hash ^ static_cast<uint64_t>(record.header.mod_revision));
  hash = Mix(hash ^ static_cast<uint64_t>(record.header.version));
  hash = Mix(hash ^ record.header.deadline.value());
  hash = Mix(hash ^ static_cast<uint64_t>(record.header.lease_id));
  return Mix(hash ^ StableHash(record.value));
}

uint64_t AppliedHash(const kv::AppliedState& applied) {
  uint64_t hash = Mix(applied.id.term.value());
  hash = Mix(hash ^ applied.id.index.value());
  hash = Mix(hash ^ applied.stamp.value());
  hash = Mix(hash ^ static_cast<uint64_t>(applied.revision));
  hash = Mix(hash ^ applied.requests.first);
  hash = Mix(hash ^ applied.requests.next);
  hash = Mix(hash ^ applied.requests.bytes);
  hash = Mix(hash ^ applied.leases.count);
  hash = Mix(hash ^ applied.leases.rows_hash);
  hash = Mix(hash ^ applied.leases.term_began.value());
  return Mix(hash ^ static_cast<uint64_t>(applied.key_count));
}

uint64_t ContentHash(const TableContent& content) {
  uint64_t hash = AppliedHash(content.applied);
  std::set<std::pair<ClusterMillis, std::string>> expected_ttl;
  for (const auto& [key, record] : content.latest) {
    hash ^= RowHash(key, record);
    if (record.header.deadline.value() != 0) {
      expected_ttl.emplace(record.header.deadline, key);
    }
  }
  // Rows of `ttl`, and ids of requests, say nothing new unless they are wrong.
  const kv::RequestTotals& requests = content.applied.requests;
  uint64_t bytes = 0;
  uint64_t next = requests.first;
  bool fits = content.ttl == expected_ttl;
  for (const auto& [number, row] : content.requests) {
    bytes += row.id.size() + row.request.outcome.size();
    const auto by_id = content.request_numbers.find(row.id);
    fits = fits && number == next++ && row.request.number == number &&
           by_id != content.request_numbers.end() && by_id->second == number;
  }
  fits = fits && next == requests.next && bytes == requests.bytes &&
         content.request_numbers.size() == content.requests.size() &&
         ProductRequestsHash(content) == requests.rows_hash &&
         content.leases.leases().size() == content.applied.leases.count &&
         ProductLeasesHash(content) == content.applied.leases.rows_hash;
  return fits ? hash : ~hash;
}

uint64_t ProductRequestsHash(const TableContent& content) {
  uint64_t sum = 0;
  for (const auto& [number, row] : content.requests) {
    sum += kv::RequestHash(row.id, row.request);
  }
  return sum;
}

uint64_t ProductLeasesHash(const TableContent& content) {
  std::map<int64_t, uint64_t> keys;
  for (const auto& [key, record] : content.latest) {
    ++keys[record.header.lease_id];
  }
  uint64_t sum = 0;
  for (auto [id, lease] : content.leases.leases()) {
    lease.keys = keys[id];
    sum += kv::LeaseHash(lease);
  }
  return sum;
}

uint64_t ProductRowsHash(const TableContent& content) {
  uint64_t sum = 0;
  for (const auto& [key, record] : content.latest) {
    sum += kv::RowHash(key, record.header, record.value);
  }
  return sum;
}

SimTable::SimTable(TableContent content) : content_(std::move(content)) {
  for (const auto& [key, record] : content_.latest) {
    rows_hash_ ^= RowHash(key, record);
  }
}

bool SimTable::MustStall() {
  if (!reads_left_.has_value()) {
    return false;
  }
  if (*reads_left_ == 0) {
    return true;
  }
  --*reads_left_;
  return false;
}

std::optional<const KvRecord*> SimTable::Find(absl::string_view key, bool with_value) {
  if (MustStall()) {
    return std::nullopt;
  }
  const auto found = content_.latest.find(key);
  if (found == content_.latest.end()) {
    return nullptr;
  }
  if (with_value) {
    return &found->second;
  }
  without_value_.header = found->second.header;
  return &without_value_;
}

bool SimTable::Scan(absl::string_view start, absl::string_view end, bool with_values,
                    Visitor visit) {
  if (MustStall()) {
    return false;
  }
  for (auto row = content_.latest.lower_bound(start); row != content_.latest.end(); ++row) {
    if (!end.empty() && row->first >= end) {
      break;
    }
    const KvRecord& record = row->second;
    if (!visit(row->first, record.header, with_values ? record.value : absl::string_view())) {
      break;
    }
  }
  return true;
}

void SimTable::Put(absl::string_view key, KvRecord record) {
  Set(std::string(key), std::move(record));
}

void SimTable::Delete(absl::string_view key) {
  CHECK(content_.latest.contains(key)) << "an absent key was deleted";
  Set(std::string(key), std::nullopt);
}

std::optional<kv::KvTable::Deleted> SimTable::DeleteDue(const kv::TtlRow& start,
                                                        ClusterMillis until, uint64_t keys_max,
                                                        const DueReader* due) {
  if (MustStall()) {
    return std::nullopt;
  }
  std::vector<std::string> keys;
  for (auto row = content_.ttl.lower_bound({start.deadline, std::string(start.key)});
       row != content_.ttl.end() && row->first <= until && keys.size() < keys_max; ++row) {
    keys.push_back(row->second);
  }
  Deleted deleted{.keys = keys.size()};
  for (const std::string& key : keys) {
    if (due != nullptr) {
      due->visit(key, content_.latest.at(key));
    }
    deleted.rows_hash += content_.latest.at(key).header.row_hash;
    Set(key, std::nullopt);
  }
  return deleted;
}

void SimTable::PutMemberRecord(const log::v1::MemberRecord& record) {
  LOG(FATAL) << "member " << record.member_id() << " published itself";
}

kv::KvTable::Mark SimTable::SetMark() const {
  return {.changes = undo_.size(),
          .member_records = 0,
          .requests = request_undo_.size(),
          .events = events_.size(),
          .leases = lease_undo_.size()};
}

void SimTable::RollBack(const Mark& mark) {
  CHECK_LE(mark.changes, undo_.size());
  CHECK_LE(mark.events, events_.size());
  events_.resize(mark.events);
  while (undo_.size() > mark.changes) {
    Undo undo = std::move(undo_.back());
    undo_.pop_back();
    Set(undo.key, std::move(undo.before));
    undo_.pop_back();
  }
  for (; request_undo_.size() > mark.requests; request_undo_.pop_back()) {
    RequestUndo& undo = request_undo_.back();
    SetRequest(undo.number, std::move(undo.before), &content_);
  }
  while (lease_undo_.size() > mark.leases) {
    const LeaseUndo undo = lease_undo_.back();
    lease_undo_.pop_back();
    SetLease(undo.id, undo.before);
    lease_undo_.pop_back();
  }
}

void SimTable::SetLease(int64_t id, std::optional<kv::Lease> lease) {
  const kv::Lease* const old = content_.leases.Find(id);
  lease_undo_.push_back({.id = id, .before = old == nullptr ? std::nullopt : std::optional(*old)});
  lease.has_value() ? content_.leases.Put(*lease) : content_.leases.Erase(id);
}

bool SimTable::ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) {
  if (MustStall()) {
    return false;
  }
  for (const auto& [key, record] : content_.latest) {
    if (record.header.lease_id == id && !visit(key)) {
      break;
    }
  }
  return true;
}

std::optional<const kv::RememberedRequest*> SimTable::FindRequest(absl::string_view id) {
  if (MustStall()) {
    return std::nullopt;
  }
  const auto number = content_.request_numbers.find(id);
  return number == content_.request_numbers.end() ? nullptr
                                                  : &content_.requests.at(number->second).request;
}

std::optional<const kv::RequestPlace*> SimTable::FindRequestPlace(uint64_t number) {
  if (MustStall()) {
    return std::nullopt;
  }
  const TableContent::Request& row = content_.requests.at(number);
  found_place_ = {.keep_until = row.request.keep_until,
                  .bytes = row.id.size() + row.request.outcome.size(),
                  .row_hash = kv::RequestHash(row.id, row.request),
                  .id = row.id};
  return &found_place_;
}

void SimTable::PutRequest(kv::RequestPlace place, kv::RememberedRequest request) {
  const uint64_t number = request.number;
  CHECK(!content_.requests.contains(number)) << "a number was used twice";
  CHECK(!content_.request_numbers.contains(place.id)) << "an id was remembered twice";
  request_undo_.push_back({.number = number, .before = std::nullopt});
  SetRequest(number,
             TableContent::Request{.id = std::move(place.id), .request = std::move(request)},
             &content_);
}

void SimTable::DropRequest(uint64_t number, const kv::RequestPlace& place) {
  const TableContent::Request& row = content_.requests.at(number);
  CHECK_EQ(row.id, place.id);
  request_undo_.push_back({.number = number, .before = row});
  SetRequest(number, std::nullopt, &content_);
}

void SimTable::Set(const std::string& key, std::optional<KvRecord> record) {
  Undo& undo = undo_.emplace_back(Undo{.key = key, .before = std::nullopt});
  if (const auto old = content_.latest.find(key); old != content_.latest.end()) {
    rows_hash_ ^= RowHash(key, old->second);
    undo.before = old->second;
  }
  if (record.has_value()) {
    rows_hash_ ^= RowHash(key, *record);
  }
  SetRow(key, std::move(record), &content_);
}

TableChanges SimTable::Commit(const kv::AppliedState& applied,
                              std::optional<log::v1::ClusterConfiguration> configuration) {
  std::set<std::string> keys;
  for (Undo& undo : undo_) {
    keys.insert(std::move(undo.key));
  }
  undo_.clear();
  TableChanges changes{
      .rows = {}, .requests = {}, .applied = applied, .events = std::exchange(events_, {})};
  for (const RequestUndo& undo : std::exchange(request_undo_, {})) {
    // One that was dropped in the run that remembered it is nobody's news.
    if (const auto row = content_.requests.find(undo.number);
        !undo.before.has_value() && row != content_.requests.end()) {
      changes.requests.push_back(row->second);
    }
  }
  std::set<int64_t> leases;
  for (const LeaseUndo& undo : std::exchange(lease_undo_, {})) {
    leases.insert(undo.id);
  }
  for (const int64_t id : leases) {
    const kv::Lease* const lease = content_.leases.Find(id);
    changes.leases.emplace_back(id, lease == nullptr ? std::nullopt : std::optional(*lease));
  }
  for (const std::string& key : keys) {
    const auto row = content_.latest.find(key);
    changes.rows.emplace_back(
        key, row == content_.latest.end() ? std::nullopt : std::optional(row->second));
  }
  ApplyChanges({.rows = {}, .applied = applied, .events = changes.events}, &content_);
  if (configuration.has_value()) {
    content_.configuration = configuration;
    changes.configuration = std::move(configuration);
  }
  return changes;
}

}  // namespace raftkv::simulation
