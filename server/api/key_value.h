// A stored record as clients see it.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>

#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/v1/types.pb.h"

namespace raftkv::server {

// In which field a value comes back.
class ValueForm {
 public:
  // `text` when it was asked for and the value is valid UTF-8, else `data`.
  explicit ValueForm(bool as_text) : as_text_(as_text) {}
  // Neither: keys only.
  static ValueForm None() {
    ValueForm form(false);
    form.omitted_ = true;
    return form;
  }

  bool as_text() const { return as_text_; }
  bool omitted() const { return omitted_; }

 private:
  bool as_text_;
  bool omitted_ = false;
};

void SetMillis(uint64_t millis, google::protobuf::Duration* duration);

// `now` is the member's cluster time, which the time left counts from.
void FillKeyValue(log::v1::StoredKeyValue record, ValueForm form, raft::ClusterMillis now,
                  v1::KeyValue* key_value);

}  // namespace raftkv::server
