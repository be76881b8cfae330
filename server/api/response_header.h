// The header that every answer of the client API has.
#pragma once

#include <cstdint>

#include "kv/member_directory.h"
#include "kv/store.h"
#include "raftkv/v1/types.pb.h"

namespace raftkv::server {

// Copies share what they borrow. Confined to the loop.
class ResponseHeaderFiller {
 public:
  ResponseHeaderFiller(const kv::MemberDirectory* directory, const kv::Store* store)
      : directory_(directory), store_(store) {}

  // `revision` is a write's own, for reads the one answered from.
  void operator()(int64_t revision, v1::ResponseHeader* header) const;
  // Of a read of keys, with its staleness.
  void operator()(const kv::Store::ReadPoint& at, v1::ResponseHeader* header) const;

 private:
  const kv::MemberDirectory* directory_;
  const kv::Store* store_;
};

}  // namespace raftkv::server
