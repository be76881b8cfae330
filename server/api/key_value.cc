#include "server/api/key_value.h"

#include <utility>

#include "base/utf8.h"

namespace raftkv::server {

void SetMillis(uint64_t millis, google::protobuf::Duration* duration) {
  duration->set_seconds(static_cast<int64_t>(millis / 1000));
  duration->set_nanos(static_cast<int32_t>(millis % 1000) * 1'000'000);
}

void FillKeyValue(log::v1::StoredKeyValue record, ValueForm form, raft::ClusterMillis now,
                  v1::KeyValue* key_value) {
  key_value->set_key(std::move(*record.mutable_key()));
  if (!form.omitted()) {
    if (form.as_text() && IsUtf8(record.value())) {
      key_value->set_text(std::move(*record.mutable_value()));
    } else {
      key_value->set_data(std::move(*record.mutable_value()));
    }
  }
  key_value->set_create_revision(record.create_revision());
  key_value->set_mod_revision(record.mod_revision());
  key_value->set_version(record.version());
  key_value->set_lease_id(record.lease_id());
  if (record.deadline_ms() != 0) {
    // Deadlines are a millisecond later than asked for, since stamps are rounded down.
    const uint64_t left_ms =
        record.deadline_ms() > now.value() ? record.deadline_ms() - now.value() - 1 : 0;
    SetMillis(left_ms, key_value->mutable_ttl_remaining());
  }
}

}  // namespace raftkv::server
