// What reads and outcomes bring of a key, of a record as tables have it.
#pragma once

#include "absl/strings/string_view.h"
#include "kv/kv_table.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Sets all that there is of a record; `value` is empty where only the rest is wanted.
void FillStored(absl::string_view key, const RecordHeader& header, absl::string_view value,
                log::v1::StoredKeyValue* stored);
log::v1::StoredKeyValue Stored(absl::string_view key, const KvRecord& record);

}  // namespace raftkv::kv
