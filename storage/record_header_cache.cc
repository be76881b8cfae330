#include "storage/record_header_cache.h"

#include <cstring>
#include <type_traits>

#include "absl/hash/hash.h"
#include "glog/logging.h"

namespace raftkv::storage {

RecordHeaderCache::RecordHeaderCache(uint64_t bytes_max)
    : bucket_count_(static_cast<size_t>(bytes_max / sizeof(Bucket))) {
  static_assert(std::is_trivially_copyable_v<Bucket>);
  Clear();
}

void RecordHeaderCache::Clear() {
  buckets_.reset();
  if (bucket_count_ > 0) {
    buckets_.reset(static_cast<Bucket*>(std::calloc(bucket_count_, sizeof(Bucket))));
    CHECK(buckets_ != nullptr) << "out of memory";
  }
}

RecordHeaderCache::Bucket& RecordHeaderCache::BucketOf(absl::string_view key) const {
  return buckets_[absl::HashOf(key) % bucket_count_];
}

RecordHeaderCache::Slot* RecordHeaderCache::FindSlot(Bucket& bucket, absl::string_view key) {
  for (Slot& slot : bucket.slots) {
    if (slot.key_bytes == key.size() && std::memcmp(slot.key, key.data(), key.size()) == 0) {
      return &slot;
    }
  }
  return nullptr;
}

std::optional<kv::RecordHeader> RecordHeaderCache::Find(absl::string_view key) const {
  if (bucket_count_ == 0 || key.empty() || key.size() > kKeyBytesMax) {
    return std::nullopt;
  }
  const Slot* const slot = FindSlot(BucketOf(key), key);
  return slot == nullptr ? std::nullopt : std::optional(slot->header);
}

void RecordHeaderCache::Put(absl::string_view key, const kv::RecordHeader& header) {
  if (bucket_count_ == 0 || key.empty() || key.size() > kKeyBytesMax) {
    return;
  }
  Bucket& bucket = BucketOf(key);
  Slot* slot = FindSlot(bucket, key);
  if (slot == nullptr) {
    slot = &bucket.slots[bucket.next++ % bucket.slots.size()];
    slot->key_bytes = static_cast<uint8_t>(key.size());
    std::memcpy(slot->key, key.data(), key.size());
  }
  slot->header = header;
}

void RecordHeaderCache::Erase(absl::string_view key) {
  if (bucket_count_ == 0 || key.empty() || key.size() > kKeyBytesMax) {
    return;
  }
  if (Slot* const slot = FindSlot(BucketOf(key), key); slot != nullptr) {
    slot->key_bytes = 0;
  }
}

}  // namespace raftkv::storage
