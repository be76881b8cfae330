// The search for an order of one key's operations that explains all answers (Wing and Gong, with
// Lowe's memory of configurations). Keys are independent of each other: a history is linearizable
// if that of each key is.
//
// A configuration is the set of operations placed so far and the state of the key. From it, the
// next one may be any operation that was invoked before every operation not placed yet had
// completed. What was answered must be placed; what is of unknown outcome, and an expiry, may be.
//
// What keeps it fast, without changing the verdict:
//   - A read whose answer fits is placed at once: it changes nothing, so no later place is better.
//   - A configuration is left as soon as an operation under way can never be placed again, because
//     its revision, or the only write of its value, has passed.
//   - An unknown write whose value was read, and which alone wrote that value, did happen, and
//     before that read completed. So it becomes a known one.
//   - Other optional steps are taken only right before a step that is impossible without them.
//     Nobody notices them otherwise, so an order without them is as good. An unknown write whose
//     value nobody read, and whose presence or revision nobody needs, is never taken that way.
//   - Of optional operations that can do the same from now on, only the first is tried.
//   - A configuration is left when one was seen that needed no optional operation more for the
//     same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/numeric/int128.h"
#include "tests/linearizability/event_list.h"
#include "tests/linearizability/history.h"
#include "tests/linearizability/key_model.h"

namespace raftkv::linearizability {

// One search; call Run once. Confined to one thread.
class KeySearch {
 public:
  enum class Result { kFound, kImpossible, kGaveUp, kReachedDepth };

  // REQUIRES: all are operations of one key, and pass Validate.
  explicit KeySearch(std::vector<Operation> operations);
  KeySearch(const KeySearch&) = delete;
  KeySearch& operator=(const KeySearch&) = delete;

  // Looks for an order, for at most `steps_max` steps of about 200 bytes each. Stops early when
  // `depth_wanted` answered operations are placed.
  Result Run(uint64_t steps_max, std::optional<size_t> depth_wanted = std::nullopt);

  uint64_t steps() const { return steps_; }
  // The largest number of answered operations that were placed at any time.
  size_t depth_reached() const { return depth_reached_; }
  size_t required_count() const { return required_count_; }

  // The end of the order that is placed now, the state then, and what would have to come next.
  // REQUIRES: Run has returned kReachedDepth.
  std::string DescribePosition() const;

 private:
  struct Step {
    const Operation* operation;  // Null: the value expires.
    KeyState after;
    bool optional;
  };
  // A step that was taken, and what may follow it: the rest of choices_ from `next_choice` up to
  // the choices of the next frame.
  struct Frame {
    Step step;
    KeyState before;
    size_t first_choice;
    size_t next_choice;
  };
  // Who may have written the value that a Get read.
  struct Source {
    int writers = 0;
    const Operation* only_writer = nullptr;
  };
  // The answered operations that are placed, and the state but for a revision that is not exact.
  using Configuration = std::pair<absl::uint128, KeyState>;
  // A bit for each optional operation.
  using OptionalSet = std::vector<uint64_t>;
  // How a configuration was reached.
  struct Seen {
    int64_t revision;
    OptionalSet used;
  };

  void ResolveReads();
  void SortOutOptionalOperations();
  int IndexOf(const Operation* operation) const {
    return static_cast<int>(operation - operations_.data());
  }

  // Puts everything that can come next into choices_.
  void FindChoices();
  void AddOptionalChoices();
  bool CanNeverBePlaced(const Operation& operation) const;
  bool NoticesTheStepBefore(const Operation& operation) const;
  // Notes the configuration. False if nothing can be reached from here that was not tried before.
  bool IsWorthTrying();
  void FlipUsed(const Operation& optional_operation);
  // The first completion of what is not placed: nothing that begins later can be next.
  int64_t Horizon() const;
  void Take(const Step& step);
  void TakeBack();

  // Constant after construction.
  std::vector<Operation> operations_;
  std::vector<bool> required_;
  std::vector<Source> sources_;              // By operation; of Gets that found the key.
  std::vector<absl::uint128> fingerprints_;  // By operation, random.
  std::vector<size_t> optional_numbers_;     // By operation; of optional ones.
  // Optional operations that differ in nothing but when; by invocation.
  std::vector<std::vector<const Operation*>> optional_classes_;
  size_t required_count_ = 0;

  // Where the search is.
  EventList events_;  // Of required operations that are not placed.
  std::vector<bool> placed_;
  // The exclusive or of the fingerprints of the answered operations that are placed. Two sets with
  // one sum are 2^-128 likely: less than a fault of the memory that exact sets would need.
  absl::uint128 placed_sum_ = 0;
  OptionalSet used_;
  KeyState state_;
  std::vector<Frame> frames_;
  std::vector<Step> choices_;

  absl::flat_hash_map<Configuration, std::vector<Seen>> seen_;
  uint64_t steps_ = 0;
  size_t depth_ = 0;
  size_t depth_reached_ = 0;
};

}  // namespace raftkv::linearizability
