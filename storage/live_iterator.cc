#include "storage/live_iterator.h"

#include <iterator>

#include "kv/limits.h"
#include "rocksdb/perf_context.h"
#include "storage/disk_failure.h"

namespace raftkv::storage {
namespace {

// Walking over fewer costs less than to remember them.
constexpr uint64_t kDeadKeysToNote = 256;

// The end by which an open-ended walk is noted: above every key of a client.
std::string AboveAllKeys() { return std::string(kv::kKeyBytesMax + 1, '\xff'); }

}  // namespace

// RocksDB counts them by default.
uint64_t DeadKeysWalked() { return rocksdb::get_perf_context()->internal_delete_skipped_count; }

LiveIterator::LiveIterator(const Generation& generation, const rocksdb::ReadOptions& options,
                           absl::string_view start, absl::string_view end,
                           const DeadIntervalMap* dead, std::vector<DeadInterval>* found)
    : generation_(generation),
      options_(options),
      end_(end),
      dead_(*dead),
      found_(*found),
      position_(start) {
  Seek();
}

void LiveIterator::Seek() {
  while (end_.empty() || position_ < end_) {
    auto next_dead = dead_.upper_bound(position_);
    if (next_dead != dead_.begin() && std::prev(next_dead)->second > position_) {
      position_ = std::prev(next_dead)->second;
      continue;
    }
    upper_ = next_dead != dead_.end() && (end_.empty() || next_dead->first < end_)
                 ? next_dead->first
                 : end_;
    upper_bound_ = upper_;
    options_.iterate_upper_bound = upper_.empty() ? nullptr : &upper_bound_;
    iterator_.reset(generation_.db->NewIterator(options_, generation_.latest));
    const uint64_t walked_before = DeadKeysWalked();
    iterator_->Seek(ToSlice(position_));
    NoteWalk(DeadKeysWalked() - walked_before);
    if (iterator_->Valid() || !iterator_->status().ok() || upper_ == end_) {
      return;
    }
    position_ = upper_;
  }
}

void LiveIterator::Next() {
  position_.assign(iterator_->key().data(), iterator_->key().size());
  position_.push_back('\0');
  const uint64_t walked_before = DeadKeysWalked();
  iterator_->Next();
  NoteWalk(DeadKeysWalked() - walked_before);
  if (!iterator_->Valid() && iterator_->status().ok() && upper_ != end_) {
    position_ = upper_;
    Seek();
  }
}

void LiveIterator::NoteWalk(uint64_t walked) {
  if (walked < kDeadKeysToNote || !iterator_->status().ok()) {
    return;
  }
  if (iterator_->Valid()) {
    found_.push_back({.start = position_, .end = iterator_->key().ToString()});
  } else {
    found_.push_back({.start = position_, .end = upper_.empty() ? AboveAllKeys() : upper_});
  }
}

absl::string_view LiveIterator::key() const { return ToView(iterator_->key()); }

absl::string_view LiveIterator::value() const { return ToView(iterator_->value()); }

rocksdb::Status LiveIterator::status() const {
  return iterator_ == nullptr ? rocksdb::Status::OK() : iterator_->status();
}

}  // namespace raftkv::storage
