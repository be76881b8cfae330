// RecordHeaderCache knows what keys carry besides their values, so that a write need not search for
// what it replaces: that search took a third of a write's CPU time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "kv/kv_table.h"

namespace raftkv::storage {

// What it knows is as the applied state has it: its owner tells it every change. What it does not
// know may be there or not. It holds the keys that were written last, roughly. Confined to one
// thread.
class RecordHeaderCache {
 public:
  // Longer keys are never known.
  static constexpr size_t kKeyBytesMax = 55;

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
  struct Slot {
    uint8_t key_bytes;  // 0: empty.
    char key[kKeyBytesMax];
    kv::RecordHeader header;
  };
  // A key has its place in one bucket.
  struct Bucket {
    std::array<Slot, 4> slots;
    size_t next;  // Modulo the slots, the one that is overwritten when none is free.
  };
  struct Free {
    void operator()(Bucket* buckets) const { std::free(buckets); }
  };

  Bucket& BucketOf(absl::string_view key) const;
  static Slot* FindSlot(Bucket& bucket, absl::string_view key);

  const size_t bucket_count_;
  // All zeros are empty buckets. From calloc, because that leaves pages to the system that are not
  // touched yet.
  std::unique_ptr<Bucket[], Free> buckets_;
};

}  // namespace raftkv::storage
