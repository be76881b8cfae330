// Reads of the store at revisions, and walks.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "kv/command_version.h"
#include "kv/errors.h"
#include "kv/store.h"

namespace raftkv::kv {

namespace {

// Whether the state at `revision` can be read.
absl::Status CheckReadable(const KvStateMachine& state_machine, int64_t revision) {
  if (revision == state_machine.revision()) {
    return absl::OkStatus();
  }
  if (revision > state_machine.revision()) {
    return RevisionFutureError(revision, state_machine.revision());
  }
  if (state_machine.cluster_version() < kHistoryCommandVersion) {
    return ClusterTooOldError(kHistoryCommandVersion, state_machine.cluster_version());
  }
  if (revision < state_machine.history().readable) {
    return StateCompactedError(revision, state_machine.history().readable);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<WalkSource>> Store::SourceAt(int64_t revision) {
  RAFTKV_RETURN_IF_ERROR(CheckReadable(state_machine_, revision));
  return std::make_shared<WalkSource>(state_machine_.TakeView(), state_machine_.HistoryOnDisk(),
                                      revision);
}

absl::Status Store::SourceError(int64_t revision, const absl::Status& status) {
  // It was there when the read began.
  return absl::IsOutOfRange(status)
             ? StateCompactedError(revision, std::max(revision + 1, history().readable))
             : ReadError(status);
}

void Store::ReadSourceOnPool(std::shared_ptr<WalkSource> source, DiskPool::Length length,
                             MonotonicNanos deadline, SourceRead read,
                             std::function<void(absl::Status)> refuse) {
  const std::shared_ptr<const KvView> view = source->view;
  ReadViewOnPool(
      view, &pool_, length, deadline,
      [source = std::move(source), read = std::move(read)](const KvView& /*view*/,
                                                           const GivenUp& given_up) mutable {
        auto answer = read(source.get(), given_up);
        source.reset();
        return answer;
      },
      std::move(refuse));
}

void Store::GetAt(const std::string& key, const ReadFreshness& freshness, Done<Found> done) {
  if (const absl::Status readable = CheckReadable(state_machine_, freshness.at_revision);
      !readable.ok()) {
    done(readable);
    return;
  }
  const ReadPoint at{.revision = freshness.at_revision, .applied = state_machine_.applied().index};
  log::v1::StoredKeyValue record;
  if (state_machine_.GetCached(key, &record) == CacheLookup::kFound &&
      record.mod_revision() <= at.revision) {
    record.set_key(key);
    done(Found{.at = at, .record = std::move(record)});
    return;
  }
  absl::StatusOr<std::shared_ptr<WalkSource>> source = SourceAt(at.revision);
  if (!source.ok()) {
    done(source.status());
    return;
  }
  ReadSourceOnPool(
      *std::move(source), DiskPool::Length::kLong, freshness.deadline,
      [this, key, at, done](WalkSource* state, const GivenUp& given_up) {
        auto stored = state->Get(key, given_up);
        return [this, done, at, stored = std::move(stored)]() mutable {
          if (stored.ok()) {
            done(Found{.at = at, .record = *std::move(stored)});
          } else {
            done(SourceError(at.revision, stored.status()));
          }
        };
      },
      done);
}

void Store::ScanAt(const ScanOptions& scan, const ReadFreshness& freshness, Done<Page> done) {
  absl::StatusOr<std::shared_ptr<WalkSource>> source = SourceAt(freshness.at_revision);
  if (!source.ok()) {
    done(source.status());
    return;
  }
  ReadSourceOnPool(
      *std::move(source), DiskPool::Length::kLong, freshness.deadline,
      [this, scan = scan, done,
       at =
           ReadPoint{.revision = freshness.at_revision, .applied = state_machine_.applied().index}](
          WalkSource* state, const GivenUp& given_up) mutable {
        scan.given_up = given_up;
        auto keys = state->Scan(scan);
        return [this, done, at, keys = std::move(keys)]() mutable {
          if (keys.ok()) {
            done(Page{.at = at, .keys = *std::move(keys)});
          } else {
            done(SourceError(at.revision, keys.status()));
          }
        };
      },
      done);
}

void Store::BeginWalk(const ReadFreshness& freshness, Done<Walk> done) {
  AwaitState(freshness, [this, at = freshness.at_revision, done = std::move(done)](
                            const absl::StatusOr<std::optional<MonotonicNanos>>& age) {
    if (!age.ok()) {
      done(age.status());
      return;
    }
    ReadPoint point = PointNow(*age);
    if (at != 0) {
      point.revision = at;
      point.age = std::nullopt;
    }
    absl::StatusOr<std::shared_ptr<WalkSource>> source = SourceAt(point.revision);
    if (!source.ok()) {
      done(source.status());
      return;
    }
    done(Walk{.at = point,
              .keys = std::make_shared<KeyWalk>(point.revision, *std::move(source), clock_.Now())});
  });
}

void Store::ReadWalk(KeyWalk* walk, ScanOptions scan, MonotonicNanos deadline,
                     Done<ScanResult> done) {
  if (walk->source() == nullptr) {
    absl::StatusOr<std::shared_ptr<WalkSource>> source = SourceAt(walk->revision());
    if (!source.ok()) {
      done(source.status());
      return;
    }
    walk->Take(*std::move(source), clock_.Now());
  }
  const auto length = scan.keys_max <= kShortListKeysMax && !walk->source()->past.has_value()
                          ? DiskPool::Length::kShort
                          : DiskPool::Length::kLong;
  ReadSourceOnPool(
      walk->source(), length, deadline,
      [this, scan = std::move(scan), revision = walk->revision(), done](
          WalkSource* state, const GivenUp& given_up) mutable {
        scan.given_up = given_up;
        auto keys = state->Scan(scan);
        return [this, revision, done, keys = std::move(keys)]() mutable {
          if (keys.ok()) {
            done(*std::move(keys));
          } else {
            done(SourceError(revision, keys.status()));
          }
        };
      },
      done);
}

void Store::LetGo(KeyWalk* walk) {
  if (std::shared_ptr<WalkSource> source = walk->LetGo(); source != nullptr) {
    // It touches the disk; without room on the pool, it does so here.
    static_cast<void>(pool_.Submit(DiskPool::Length::kLong, [source = std::move(source)]() mutable {
      source.reset();
      return [] {};
    }));
  }
}

void Store::CountAt(const KeyInterval& interval, const ReadFreshness& freshness,
                    Done<Counted> done) {
  absl::StatusOr<std::shared_ptr<WalkSource>> source = SourceAt(freshness.at_revision);
  if (!source.ok()) {
    done(source.status());
    return;
  }
  ReadSourceOnPool(
      *std::move(source), DiskPool::Length::kLong, freshness.deadline,
      [this, interval, done,
       at =
           ReadPoint{.revision = freshness.at_revision, .applied = state_machine_.applied().index}](
          WalkSource* state, const GivenUp& given_up) {
        auto count = state->Count(interval, given_up);
        return [this, done, at, count = std::move(count)] {
          if (count.ok()) {
            done(Counted{.at = at, .keys = *count});
          } else {
            done(SourceError(at.revision, count.status()));
          }
        };
      },
      done);
}

}  // namespace raftkv::kv
