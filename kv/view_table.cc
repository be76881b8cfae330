#include "kv/view_table.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "kv/history.h"
#include "kv/limits.h"

namespace raftkv::kv {
namespace {

RecordHeader HeaderOf(const log::v1::StoredKeyValue& row) {
  return {.create_revision = row.create_revision(),
          .mod_revision = row.mod_revision(),
          .version = row.version(),
          .deadline = raft::ClusterMillis(row.deadline_ms()),
          .lease_id = row.lease_id()};
}

}  // namespace

std::optional<const KvRecord*> ViewTable::Find(absl::string_view key, bool /*with_value*/) {
  if (status_.ok() && given_up_ != nullptr && given_up_()) {
    status_ = absl::CancelledError("the read was given up");
  }
  if (!status_.ok()) {
    return std::nullopt;
  }
  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> found = view_.Get(key);
  if (!found.ok()) {
    status_ = found.status();
    return std::nullopt;
  }
  if (!found->has_value()) {
    return nullptr;
  }
  record_ = {.header = HeaderOf(**found), .value = std::move(*(*found)->mutable_value())};
  return &record_;
}

bool ViewTable::Scan(absl::string_view start, absl::string_view end, bool with_values,
                     Visitor visit) {
  ScanOptions page{.interval = {.start = std::string(start), .end = std::string(end)},
                   .keys_max = kPageSizeMax,
                   .bytes_max = kPageBytesMax,
                   .keys_only = !with_values,
                   .given_up = given_up_};
  while (status_.ok()) {
    const absl::StatusOr<ScanResult> rows = view_.Scan(page);
    if (!rows.ok()) {
      status_ = rows.status();
      return false;
    }
    for (const log::v1::StoredKeyValue& row : rows->rows) {
      if (!visit(row.key(), HeaderOf(row), row.value())) {
        return true;
      }
    }
    if (!rows->more) {
      return true;
    }
    page.interval.start = absl::StrCat(rows->rows.back().key(), absl::string_view("\0", 1));
  }
  return false;
}

void ViewTable::Put(absl::string_view /*key*/, KvRecord /*record*/) { LOG(FATAL) << "a put"; }
void ViewTable::Delete(absl::string_view /*key*/) { LOG(FATAL) << "a delete"; }

std::optional<KvTable::Deleted> ViewTable::DeleteDue(const TtlRow& /*start*/,
                                                     raft::ClusterMillis /*until*/,
                                                     uint64_t /*keys_max*/,
                                                     const DueReader* /*due*/) {
  LOG(FATAL) << "an expiry";
}

void ViewTable::PutMemberRecord(const log::v1::MemberRecord& /*record*/) {
  LOG(FATAL) << "a member's record";
}

void ViewTable::AddEvent(HistoryEvent /*event*/) { LOG(FATAL) << "an event"; }

std::optional<const RememberedRequest*> ViewTable::FindRequest(absl::string_view /*id*/) {
  LOG(FATAL) << "a request id";
}

std::optional<const RequestPlace*> ViewTable::FindRequestPlace(uint64_t /*number*/) {
  LOG(FATAL) << "a request id";
}

void ViewTable::PutRequest(RequestPlace /*place*/, RememberedRequest /*request*/) {
  LOG(FATAL) << "a request id";
}

void ViewTable::DropRequest(uint64_t /*number*/, const RequestPlace& /*place*/) {
  LOG(FATAL) << "a request id";
}

const Lease* ViewTable::FindLease(int64_t /*id*/) { LOG(FATAL) << "a lease"; }

bool ViewTable::ScanLease(int64_t /*id*/,
                          absl::FunctionRef<bool(absl::string_view key)> /*visit*/) {
  LOG(FATAL) << "a lease";
}

void ViewTable::PutLease(const Lease& /*lease*/) { LOG(FATAL) << "a lease"; }

void ViewTable::DropLease(int64_t /*id*/) { LOG(FATAL) << "a lease"; }

}  // namespace raftkv::kv
