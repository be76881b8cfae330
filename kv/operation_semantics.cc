#include "kv/operation_semantics.h"

#include <deque>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "kv/lease_semantics.h"
#include "kv/state_hash.h"
#include "kv/stored_record.h"

namespace raftkv::kv {
namespace {

using log::v1::CommandOutcome;
using log::v1::DeleteOperation;
using log::v1::GetOperation;
using log::v1::IncrementOperation;
using log::v1::ListOperation;
using log::v1::Operation;
using log::v1::OperationOutcome;
using log::v1::PutOperation;
using log::v1::StoredKeyValue;
using log::v1::TouchOperation;

bool IsSingleKey(const DeleteOperation& operation) {
  const std::string& start = operation.start_key();
  const std::string& end = operation.end_key();
  return end.size() == start.size() + 1 && end.back() == '\0' &&
         end.compare(0, start.size(), start) == 0;
}

// The first moment at which ttl_ms have certainly passed: the stamp is rounded down, hence one
// more.
raft::ClusterMillis ExpiryAfter(raft::ClusterMillis stamp, uint64_t ttl_ms) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  if (ttl_ms >= kLast - stamp.value()) {
    return raft::ClusterMillis(kLast);
  }
  return stamp + (ttl_ms + 1);
}

// How long a key lives: until a deadline, or as long as a lease.
struct Lifetime {
  raft::ClusterMillis deadline;
  int64_t lease_id = 0;
};

Lifetime LifetimeOf(const KvRecord* record) {
  return record == nullptr
             ? Lifetime{}
             : Lifetime{.deadline = record->header.deadline, .lease_id = record->header.lease_id};
}

void SetLifetime(const Lifetime& lifetime, RecordHeader* header) {
  header->deadline = lifetime.deadline;
  header->lease_id = lifetime.lease_id;
}

// Of a Touch or an Increment, whose fields have the same meaning.
template <typename WithExpiry>
Lifetime NewLifetime(const WithExpiry& operation, raft::ClusterMillis stamp, const KvRecord* old) {
  if (operation.has_ttl_ms()) {
    return {.deadline = ExpiryAfter(stamp, operation.ttl_ms())};
  }
  if (operation.has_lease_id()) {
    return {.deadline = {}, .lease_id = operation.lease_id()};
  }
  return operation.has_persist() ? Lifetime{} : LifetimeOf(old);
}

// A record as it is after one more write.
KvRecord Rewritten(const KvRecord* old, int64_t revision) {
  KvRecord record;
  record.header.create_revision = old == nullptr ? revision : old->header.create_revision;
  record.header.mod_revision = revision;
  record.header.version = old == nullptr ? 1 : old->header.version + 1;
  return record;
}

// What there is to know of a record that goes.
struct Replaced {
  uint64_t row_hash = 0;
  int64_t lease_id = 0;
};

std::optional<Replaced> ReplacedBy(const KvRecord* old) {
  return old == nullptr ? std::nullopt
                        : std::optional(Replaced{.row_hash = old->header.row_hash,
                                                 .lease_id = old->header.lease_id});
}

// Every record that an operation writes goes into the table here. `old` is nullopt for a key that
// is new. Fails when it cannot hang on the lease that it has.
Step SetRecord(absl::string_view key, const std::optional<Replaced>& old, KvRecord record,
               TxnContext* context) {
  const Step moved =
      MoveKey(key, old.has_value() ? old->lease_id : 0, record.header.lease_id, context);
  if (moved != Step::kDone) {
    return moved;
  }
  record.header.row_hash = RowHash(key, record.header, record.value);
  context->totals.key_count += old.has_value() ? 0 : 1;
  context->totals.rows_hash += record.header.row_hash - (old.has_value() ? old->row_hash : 0);
  context->table->Put(key, std::move(record));
  return Step::kDone;
}

// Every key that an operation removes leaves the table here.
void RemoveRecord(absl::string_view key, const Replaced& old, TxnContext* context) {
  context->totals.key_count -= 1;
  context->totals.rows_hash -= old.row_hash;
  context->changed = true;
  CHECK(MoveKey(key, old.lease_id, 0, context) == Step::kDone);
  context->table->Delete(key);
}

Step ApplyPut(PutOperation* put, TxnContext* context, OperationOutcome* result) {
  // With a bound, who must know how large it is reads it whether or not somebody waits for it.
  const bool wants_previous =
      put->return_previous() && (result != nullptr || context->answer_bytes_max > 0);
  const std::optional<const KvRecord*> found = context->table->Find(put->key(), wants_previous);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* old = *found;
  if (wants_previous && old != nullptr) {
    if (!context->CountAnswer(put->key(), old->value)) {
      return Step::kFailed;
    }
    if (result != nullptr) {
      FillStored(put->key(), old->header, old->value, result->add_previous());
    }
  }
  KvRecord record = Rewritten(old, context->revision);
  if (put->has_ttl_ms()) {
    record.header.deadline = ExpiryAfter(context->stamp, put->ttl_ms());
  } else if (put->has_lease_id()) {
    record.header.lease_id = put->lease_id();
  } else if (put->has_keep_ttl() && put->keep_ttl()) {
    SetLifetime(LifetimeOf(old), &record.header);
  }
  record.value = std::move(*put->mutable_value());
  context->changed = true;
  return SetRecord(put->key(), ReplacedBy(old), std::move(record), context);
}

Step ApplySingleDelete(const DeleteOperation& operation, TxnContext* context,
                       OperationOutcome* result) {
  // One key never exceeds keys_max, which is at least 1 when it is set.
  const std::string& key = operation.start_key();
  const bool with_value = operation.return_previous();
  const std::optional<const KvRecord*> found = context->table->Find(key, with_value);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* old = *found;
  if (with_value && old != nullptr) {
    const uint64_t bytes_max = operation.previous_bytes_max();
    const uint64_t bytes = key.size() + old->value.size() + kPreviousOverheadBytes;
    if (bytes_max > 0 && bytes > bytes_max) {
      return context->FailTooLarge(bytes, /*is_bytes=*/true, bytes_max);
    }
    if (!context->CountAnswer(key, old->value)) {
      return Step::kFailed;
    }
  }
  if (result != nullptr) {
    result->set_deleted(old == nullptr ? 0 : 1);
    if (with_value && old != nullptr) {
      FillStored(key, old->header, old->value, result->add_previous());
    }
  }
  if (old != nullptr) {
    RemoveRecord(key, *ReplacedBy(old), context);
  }
  return Step::kDone;
}

Step ApplyRangeDelete(const DeleteOperation& operation, TxnContext* context,
                      OperationOutcome* result) {
  const uint64_t limit = operation.limit();
  const uint64_t keys_max = operation.keys_max();
  const uint64_t bytes_max = operation.previous_bytes_max();
  const bool with_values = operation.return_previous();

  struct Doomed {
    std::string key;
    Replaced record;
  };
  std::vector<Doomed> keys;
  uint64_t bytes = 0;
  bool more = false;
  bool failed = false;
  const auto visit = [&](absl::string_view key, const RecordHeader& header,
                         absl::string_view value) {
    if (limit > 0 && keys.size() == limit) {
      more = true;
      return false;
    }
    keys.push_back({std::string(key), {.row_hash = header.row_hash, .lease_id = header.lease_id}});
    failed = !context->CountScanned();
    if (!failed && keys_max > 0 && keys.size() > keys_max) {
      context->FailTooLarge(keys.size(), /*is_bytes=*/false, keys_max);
      failed = true;
    }
    if (failed || !with_values) {
      return !failed;
    }
    bytes += key.size() + value.size() + kPreviousOverheadBytes;
    if (bytes_max > 0 && bytes > bytes_max) {
      context->FailTooLarge(bytes, /*is_bytes=*/true, bytes_max);
      failed = true;
      return false;
    }
    failed = !context->CountAnswer(key, value);
    if (!failed && result != nullptr) {
      FillStored(key, header, value, result->add_previous());
    }
    return !failed;
  };
  if (!context->table->Scan(operation.start_key(), operation.end_key(), with_values, visit)) {
    return Step::kStalled;
  }
  if (failed) {
    return Step::kFailed;
  }
  for (const Doomed& doomed : keys) {
    RemoveRecord(doomed.key, doomed.record, context);
  }
  if (result != nullptr) {
    result->set_deleted(keys.size());
    result->set_more(more);
  }
  return Step::kDone;
}

Step ApplyGet(const GetOperation& get, TxnContext* context, OperationOutcome* result) {
  const std::optional<const KvRecord*> found = context->table->Find(get.key(), /*with_value=*/true);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* record = *found;
  if (record == nullptr) {
    return Step::kDone;
  }
  if (!context->CountAnswer(get.key(), record->value)) {
    return Step::kFailed;
  }
  if (result != nullptr) {
    FillStored(get.key(), record->header, record->value, result->add_found());
  }
  return Step::kDone;
}

// Descending, the table still goes up: what was met first is let go of.
Step ApplyList(const ListOperation& list, TxnContext* context, OperationOutcome* result) {
  const bool with_values = !list.keys_only() && !list.count_only();
  std::deque<StoredKeyValue> page;
  uint64_t page_bytes = 0;
  uint64_t count = 0;
  bool more = false;
  bool failed = false;
  const auto is_over = [&] {
    return page.size() > list.keys_max() || (page_bytes > list.bytes_max() && page.size() > 1);
  };
  const auto size_of = [](const StoredKeyValue& row) {
    return row.key().size() + row.value().size();
  };
  const auto visit = [&](absl::string_view key, const RecordHeader& header,
                         absl::string_view value) {
    if (!context->CountScanned()) {
      failed = true;
      return false;
    }
    ++count;
    if (list.count_only()) {
      return true;
    }
    FillStored(key, header, with_values ? value : absl::string_view(), &page.emplace_back());
    page_bytes += size_of(page.back());
    if (!list.descending()) {
      if (is_over()) {
        page.pop_back();
        more = true;
      }
      return !more;
    }
    for (; is_over(); page.pop_front()) {
      page_bytes -= size_of(page.front());
      more = true;
    }
    return true;
  };
  if (!context->table->Scan(list.start_key(), list.end_key(), with_values, visit)) {
    return Step::kStalled;
  }
  if (failed) {
    return Step::kFailed;
  }
  for (const StoredKeyValue& row : page) {
    if (!context->CountAnswer(row.key(), row.value())) {
      return Step::kFailed;
    }
  }
  if (result == nullptr) {
    return Step::kDone;
  }
  result->set_count(list.count_only() ? count : page.size());
  result->set_more(more);
  for (; !page.empty(); list.descending() ? page.pop_back() : page.pop_front()) {
    *result->add_found() = std::move(list.descending() ? page.back() : page.front());
  }
  return Step::kDone;
}

// The key's revisions stay, so nobody who compares them sees it, and neither does the store's.
Step ApplyTouch(const TouchOperation& touch, TxnContext* context, OperationOutcome* result) {
  const std::optional<const KvRecord*> found =
      context->table->Find(touch.key(), /*with_value=*/true);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* old = *found;
  if (result != nullptr) {
    result->set_touched(old != nullptr);
  }
  if (old == nullptr) {
    return Step::kDone;
  }
  KvRecord record = *old;
  SetLifetime(NewLifetime(touch, context->stamp, old), &record.header);
  if (record.header == old->header) {
    return Step::kDone;
  }
  return SetRecord(touch.key(), ReplacedBy(old), std::move(record), context);
}

// In the one way in which an increment writes a number.
bool ParseNumber(const std::string& text, int64_t* number) {
  return absl::SimpleAtoi(text, number) && absl::StrCat(*number) == text;
}

Step ApplyIncrement(const IncrementOperation& increment, TxnContext* context,
                    OperationOutcome* result) {
  const std::string& key = increment.key();
  const std::optional<const KvRecord*> found = context->table->Find(key, /*with_value=*/true);
  if (!found.has_value()) {
    return Step::kStalled;
  }
  const KvRecord* old = *found;
  int64_t number = increment.initial();
  if (old != nullptr && !ParseNumber(old->value, &number)) {
    return context->Fail(CommandOutcome::VERDICT_NOT_AN_INTEGER, key);
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(number, increment.delta(), &sum)) {
    return context->Fail(CommandOutcome::VERDICT_INTEGER_OVERFLOW, key);
  }
  if (result != nullptr) {
    result->set_value(sum);
  }
  KvRecord record = Rewritten(old, context->revision);
  SetLifetime(NewLifetime(increment, context->stamp, old), &record.header);
  record.value = absl::StrCat(sum);
  context->changed = true;
  return SetRecord(key, ReplacedBy(old), std::move(record), context);
}

}  // namespace

Step ApplyOperation(Operation* operation, TxnContext* context, OperationOutcome* result) {
  switch (operation->kind_case()) {
    case Operation::kPut:
      return ApplyPut(operation->mutable_put(), context, result);
    case Operation::kDelete:
      return IsSingleKey(operation->delete_())
                 ? ApplySingleDelete(operation->delete_(), context, result)
                 : ApplyRangeDelete(operation->delete_(), context, result);
    case Operation::kGet:
      return ApplyGet(operation->get(), context, result);
    case Operation::kList:
      return ApplyList(operation->list(), context, result);
    case Operation::kTouch:
      return ApplyTouch(operation->touch(), context, result);
    case Operation::kIncrement:
      return ApplyIncrement(operation->increment(), context, result);
    case Operation::kTxn:
    case Operation::KIND_NOT_SET:
      break;
  }
  LOG(FATAL) << "an operation of kind " << operation->kind_case() << " passed CheckCommand";
}

}  // namespace raftkv::kv
