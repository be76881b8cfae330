#include "storage/record_header_cache.h"

#include <cstring>
#include <type_traits>

#include "absl/hash/hash.h"
#include "base/coding.h"
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

size_t RecordHeaderCache::EntrySize(const Bucket& bucket, size_t at) {
  return 2 + static_cast<uint8_t>(bucket.entries[at]) +
         static_cast<uint8_t>(bucket.entries[at + 1]);
}

size_t RecordHeaderCache::FindEntry(const Bucket& bucket, absl::string_view key) {
  for (size_t at = 0; at < bucket.used; at += EntrySize(bucket, at)) {
    if (static_cast<uint8_t>(bucket.entries[at]) == key.size() &&
        std::memcmp(&bucket.entries[at + 2], key.data(), key.size()) == 0) {
      return at;
    }
  }
  return kNone;
}

void RecordHeaderCache::Remove(size_t at, size_t size, Bucket* bucket) {
  std::memmove(&bucket->entries[at], &bucket->entries[at + size], bucket->used - at - size);
  bucket->used = static_cast<uint16_t>(bucket->used - size);
}

std::optional<kv::RecordHeader> RecordHeaderCache::Find(absl::string_view key) const {
  if (!MayKnow(key)) {
    return std::nullopt;
  }
  const Bucket& bucket = BucketOf(key);
  const size_t at = FindEntry(bucket, key);
  if (at == kNone) {
    return std::nullopt;
  }
  ByteReader reader(absl::string_view(&bucket.entries[at + 2 + key.size()],
                                      static_cast<uint8_t>(bucket.entries[at + 1])));
  kv::RecordHeader header;
  header.create_revision = reader.SignedVarint();
  header.mod_revision = reader.SignedVarint();
  header.version = reader.SignedVarint();
  header.deadline = raft::ClusterMillis(reader.Varint());
  header.lease_id = reader.SignedVarint();
  header.row_hash = reader.Fixed64();
  CHECK(reader.ok_at_end());
  return header;
}

void RecordHeaderCache::Put(absl::string_view key, const kv::RecordHeader& header) {
  if (!MayKnow(key)) {
    return;
  }
  header_.clear();
  AppendVarint(header.create_revision, &header_);
  AppendVarint(header.mod_revision, &header_);
  AppendVarint(header.version, &header_);
  AppendVarint(header.deadline.value(), &header_);
  AppendVarint(header.lease_id, &header_);
  AppendFixed64(header.row_hash, &header_);

  Bucket& bucket = BucketOf(key);
  size_t at = FindEntry(bucket, key);
  if (at != kNone && static_cast<uint8_t>(bucket.entries[at + 1]) != header_.size()) {
    Remove(at, EntrySize(bucket, at), &bucket);
    at = kNone;
  }
  if (at == kNone) {
    const size_t size = 2 + key.size() + header_.size();
    size_t too_old = 0;
    while (bucket.used - too_old + size > sizeof(bucket.entries)) {
      too_old += EntrySize(bucket, too_old);
    }
    Remove(0, too_old, &bucket);
    at = bucket.used;
    bucket.entries[at] = static_cast<char>(key.size());
    bucket.entries[at + 1] = static_cast<char>(header_.size());
    std::memcpy(&bucket.entries[at + 2], key.data(), key.size());
    bucket.used = static_cast<uint16_t>(at + size);
  }
  std::memcpy(&bucket.entries[at + 2 + key.size()], header_.data(), header_.size());
}

void RecordHeaderCache::Erase(absl::string_view key) {
  if (!MayKnow(key)) {
    return;
  }
  Bucket& bucket = BucketOf(key);
  if (const size_t at = FindEntry(bucket, key); at != kNone) {
    Remove(at, EntrySize(bucket, at), &bucket);
  }
}

}  // namespace raftkv::storage
