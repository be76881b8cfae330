// RecordHeaderCache knows what keys carry besides their values, so that a write need not search for
// what it replaces: that search took a third of a write's CPU time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "kv/kv_table.h"

namespace raftkv::storage {

// What it knows is as the applied state has it: its owner tells it every change. What it does not
// know may be there or not. It holds the keys that were written last, roughly. Confined to one
// thread.
class RecordHeaderCache {
 public:
  // Longer keys are never known.
  static constexpr size_t kKeyBytesMax = 128;

  // Takes its memory as it fills. 0: it never knows anything.
  explicit RecordHeaderCache(uint64_t bytes_max);

  std::optional<kv::RecordHeader> Find(absl::string_view key) const;
  // The key is there now, with this header.
  void Put(absl::string_view key, const kv::RecordHeader& header);
  // The key is gone.
  void Erase(absl::string_view key);
  // Another state takes the place of the applied one.
  void Clear();

 private:
  // A key has its place in one bucket, which is full of entries one after the other, the oldest in
  // front:
  //   entry := key_size:byte header_size:byte key header
  //   header := create_revision:varint mod_revision:varint version:varint deadline:varint
  //             lease_id:varint row_hash:fixed64
  struct Bucket {
    uint16_t used;
    char entries[510];
  };
  struct Free {
    void operator()(Bucket* buckets) const { std::free(buckets); }
  };
  static constexpr size_t kNone = sizeof(Bucket);

  Bucket& BucketOf(absl::string_view key) const;
  bool MayKnow(absl::string_view key) const {
    return bucket_count_ > 0 && !key.empty() && key.size() <= kKeyBytesMax;
  }
  static size_t EntrySize(const Bucket& bucket, size_t at);
  // Where the key's entry begins; kNone: there is none.
  static size_t FindEntry(const Bucket& bucket, absl::string_view key);
  static void Remove(size_t at, size_t size, Bucket* bucket);

  const size_t bucket_count_;
  // All zeros are empty buckets. From calloc, because that leaves pages to the system that are not
  // touched yet.
  std::unique_ptr<Bucket[], Free> buckets_;
  std::string header_;  // That is written; kept for its memory.
};

}  // namespace raftkv::storage
