// ScanPlace is where a scan is that may have to go on at another member: what is to be asked for
// next, so that all of it is of one revision, and no key is missing or comes twice.
#pragma once

#include <string>

#include "client/types.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::client {

// Confined to one thread.
class ScanPlace {
 public:
  explicit ScanPlace(v1::ScanRequest request);

  // Of what is left. REQUIRES: !is_over().
  const v1::ScanRequest& request() const { return request_; }
  // An answer to the request has come. Takes out of it what the scan is not of.
  void Note(ScanChunk* chunk);
  // Something has come.
  bool has_begun() const { return has_begun_; }
  // All has come, whatever the server would still say.
  bool is_over() const { return is_over_; }

 private:
  v1::ScanRequest request_;
  // Where the request's own range is no prefix any more: a prefix has no end that is sure to be
  // UTF-8, so the keys behind it are asked for, too, and left out.
  std::string prefix_;
  bool has_begun_ = false;
  bool is_over_ = false;
};

}  // namespace raftkv::client
