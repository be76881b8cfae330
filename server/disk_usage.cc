#include "server/disk_usage.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/byte_size.h"
#include "base/deadline.h"
#include "glog/logging.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kLookInterval = kNanosPerSecond;
// While the free space is near the reserve, for what is written meanwhile comes out of it.
constexpr MonotonicNanos kNearLookInterval = kNanosPerSecond / 20;
// Between the end of giving back space and its next beginning, at least; when nothing was applied
// since, and so only what a reader held back can have died; and in units of the time that it took,
// since it may write everything anew.
constexpr MonotonicNanos kGiveBackPause = 2 * kNanosPerSecond;
constexpr MonotonicNanos kGiveBackUnchangedPause = 60 * kNanosPerSecond;
constexpr int64_t kGiveBackPauseFactor = 9;

}  // namespace

DiskUsage::DiskUsage(storage::Storage* storage, kv::DiskPool* pool, const MonotonicClock* clock)
    : storage_(*storage),
      pool_(*pool),
      clock_(*clock),
      reserve_(storage->disk_reserve_bytes()),
      bytes_(storage->DiskBytes()) {
  OnSpace(storage_.Space());
}

void DiskUsage::Tick() {
  Look();
  MaybeGiveBackSpace();
}

void DiskUsage::Look() {
  const MonotonicNanos now = clock_.Now();
  if (now < next_look_) {
    return;
  }
  const bool counts = now >= next_count_;
  const bool submitted = pool_.Submit(kv::DiskPool::Length::kShort, [this, counts] {
    std::optional<int64_t> bytes;
    if (counts) {
      storage_.KeepBallast();
      bytes = storage_.DiskBytes();
    }
    return [this, bytes, space = storage_.Space()] {
      if (bytes.has_value()) {
        bytes_ = *bytes;
        next_count_ = clock_.Now() + kLookInterval;
      }
      OnSpace(space);
    };
  });
  // One at a time, however long it takes.
  next_look_ = submitted ? kNever : now + kLookInterval;
}

void DiskUsage::OnSpace(const absl::StatusOr<storage::DiskSpace>& space) {
  next_look_ = clock_.Now() + kLookInterval;
  if (!space.ok()) {
    LOG_EVERY_N(WARNING, 60) << space.status().message();
    return;
  }
  space_ = *space;
  if (reserve_.Update(space->free_bytes)) {
    if (reserve_.low()) {
      LOG(WARNING) << "this member's disk is nearly full: " << space->free_bytes
                   << " bytes are free, fewer than --disk_reserve_bytes, "
                   << FormatByteSize(reserve_.bytes())
                   << ": puts are refused, by every member, until there is more";
    } else {
      LOG(INFO) << "this member's disk has space again: " << space->free_bytes << " bytes are free";
    }
  }
  if (reserve_.IsNear(space->free_bytes)) {
    next_look_ = clock_.Now() + kNearLookInterval;
  }
}

void DiskUsage::MaybeGiveBackSpace() {
  const MonotonicNanos begin = clock_.Now();
  const raft::LogIndex applied = storage_.state_machine()->applied().index;
  if (!low() || begin < next_give_back_ ||
      (applied == given_back_at_ && begin < next_unchanged_give_back_)) {
    return;
  }
  const bool submitted = pool_.Submit(
      kv::DiskPool::Length::kLong,
      [this, begin, give_back = storage_.PrepareToGiveBackSpace()]() mutable {
        give_back();
        give_back = nullptr;
        return [this, begin] {
          const MonotonicNanos now = clock_.Now();
          next_give_back_ = now + std::max(kGiveBackPause, kGiveBackPauseFactor * (now - begin));
          next_unchanged_give_back_ = now + kGiveBackUnchangedPause;
        };
      });
  next_give_back_ = submitted ? kNever : begin + kGiveBackPause;
  given_back_at_ = submitted ? applied : given_back_at_;
}

}  // namespace raftkv::server
