#include "kv/stored_record.h"

namespace raftkv::kv {

using log::v1::StoredKeyValue;

void FillStored(absl::string_view key, const RecordHeader& header, absl::string_view value,
                StoredKeyValue* stored) {
  stored->set_key(key.data(), key.size());
  stored->set_value(value.data(), value.size());
  stored->set_create_revision(header.create_revision);
  stored->set_mod_revision(header.mod_revision);
  stored->set_version(header.version);
  stored->set_deadline_ms(header.deadline.value());
  stored->set_lease_id(header.lease_id);
}

StoredKeyValue Stored(absl::string_view key, const KvRecord& record) {
  StoredKeyValue stored;
  FillStored(key, record.header, record.value, &stored);
  return stored;
}

}  // namespace raftkv::kv
