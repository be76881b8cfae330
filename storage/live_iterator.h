// LiveIterator goes over keys of `latest`, stepping over what is known to be dead.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "rocksdb/iterator.h"
#include "rocksdb/options.h"
#include "storage/dead_intervals.h"
#include "storage/generation.h"

namespace raftkv::storage {

// Dead keys that iterators of this thread have walked over so far.
uint64_t DeadKeysWalked();

// Ascending, from the first key of [start, end), an empty end being open. Confined to one thread.
class LiveIterator {
 public:
  // `dead` is true of the state that `options` read. Where many dead keys had to be walked over all
  // the same, that is added to `found`. Borrows `dead` and `found`.
  LiveIterator(const Generation& generation, const rocksdb::ReadOptions& options,
               absl::string_view start, absl::string_view end, const DeadIntervalMap* dead,
               std::vector<DeadInterval>* found);

  bool Valid() const { return iterator_ != nullptr && iterator_->Valid(); }
  void Next();
  absl::string_view key() const;
  absl::string_view value() const;
  // An iterator that meets a broken block, or what it must not wait for, just ends:
  // only this tells.
  rocksdb::Status status() const;

 private:
  // Moves to the first live key at or after position_, opening one iterator after another, each up
  // to the next dead interval.
  void Seek();
  // Adds [position_, where the iterator is now) to what was found if `walked` dead keys are many.
  void NoteWalk(uint64_t walked);

  const Generation& generation_;
  rocksdb::ReadOptions options_;
  const std::string end_;
  const DeadIntervalMap& dead_;
  std::vector<DeadInterval>& found_;

  // All keys before it were passed.
  std::string position_;
  // Bounds of iterator_, which it borrows.
  std::string upper_;
  rocksdb::Slice upper_bound_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace raftkv::storage
