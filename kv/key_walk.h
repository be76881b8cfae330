// KeyWalk is a walk over keys in pieces, all of them as of one revision (Store::BeginWalk). What it
// reads from may be let go between pieces, since it holds on to files: the walk then goes on from
// the state of that time and the history.
#pragma once

#include <memory>
#include <optional>

#include "base/clock.h"
#include "kv/history_source.h"
#include "kv/kv_state_machine.h"
#include "kv/past_state.h"

namespace raftkv::kv {

// What a walk reads from. Used by one thread at a time.
struct WalkSource {
  WalkSource(std::shared_ptr<const KvView> state, std::shared_ptr<const HistorySource> events,
             int64_t revision)
      : view(std::move(state)), history(std::move(events)) {
    if (view->revision() != revision) {
      past.emplace(view.get(), history.get(), revision);
    }
  }

  absl::StatusOr<std::optional<log::v1::StoredKeyValue>> Get(absl::string_view key,
                                                             const GivenUp& given_up) {
    return past.has_value() ? past->Get(key, given_up) : view->Get(key);
  }
  absl::StatusOr<ScanResult> Scan(const ScanOptions& options) {
    return past.has_value() ? past->Scan(options) : view->Scan(options);
  }
  absl::StatusOr<int64_t> Count(const KeyInterval& interval, const GivenUp& given_up) {
    return past.has_value() ? past->Count(interval, given_up) : view->Count(interval, given_up);
  }

  const std::shared_ptr<const KvView> view;
  const std::shared_ptr<const HistorySource> history;
  std::optional<PastState> past;  // Of another revision than the view's.
};

// Confined to the loop.
class KeyWalk {
 public:
  KeyWalk(int64_t revision, std::shared_ptr<WalkSource> source, MonotonicNanos now)
      : revision_(revision), source_(std::move(source)), taken_at_(now) {}

  int64_t revision() const { return revision_; }
  // Null when it was let go.
  const std::shared_ptr<WalkSource>& source() const { return source_; }
  MonotonicNanos taken_at() const { return taken_at_; }
  void Take(std::shared_ptr<WalkSource> source, MonotonicNanos now) {
    source_ = std::move(source);
    taken_at_ = now;
  }
  // Nothing is held any more until the next piece is read.
  std::shared_ptr<WalkSource> LetGo() { return std::move(source_); }

 private:
  const int64_t revision_;
  std::shared_ptr<WalkSource> source_;
  MonotonicNanos taken_at_;
};

}  // namespace raftkv::kv
