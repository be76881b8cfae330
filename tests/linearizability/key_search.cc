#include "tests/linearizability/key_search.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/rng.h"

namespace raftkv::linearizability {
namespace {

// Enough of an order to see what happened last.
constexpr size_t kLinesBeforeMax = 12;
constexpr size_t kBits = 64;
// So many comparisons cost about as much as a step.
constexpr size_t kComparisonsPerStep = 16;

bool IsWrite(const Operation& operation) { return operation.kind != Kind::kGet; }

bool IsUnknown(const Operation& operation) { return operation.answer.outcome == Outcome::kUnknown; }

// What failed had no effect, and a read without an answer says nothing.
bool SaysNothing(const Operation& operation) {
  return operation.answer.outcome == Outcome::kFailed ||
         (IsUnknown(operation) && !IsWrite(operation));
}

bool MayWrite(const Operation& operation) {
  return operation.kind == Kind::kPut && operation.answer.outcome != Outcome::kPreconditionFailed;
}

bool Shows(const Operation& operation) {
  return operation.kind == Kind::kGet && operation.answer.found;
}

// The moment from which an unknown write can do all that it can ever do.
int64_t ReadyTime(const Operation& operation) {
  return operation.invoked + operation.ttl.value_or(0);
}

bool IsSubset(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if ((a[i] & ~b[i]) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

KeySearch::KeySearch(std::vector<Operation> operations) : operations_(std::move(operations)) {
  operations_.erase(std::remove_if(operations_.begin(), operations_.end(), SaysNothing),
                    operations_.end());
  required_.resize(operations_.size());
  sources_.resize(operations_.size());
  optional_numbers_.resize(operations_.size());
  placed_.resize(operations_.size());
  for (size_t i = 0; i < operations_.size(); ++i) {
    required_[i] = !IsUnknown(operations_[i]);
  }
  ResolveReads();
  SortOutOptionalOperations();

  Rng rng(1);
  std::vector<EventList::Event> events;
  for (size_t i = 0; i < operations_.size(); ++i) {
    fingerprints_.push_back(absl::MakeUint128(rng.Next(), rng.Next()));
    if (required_[i]) {
      const int number = static_cast<int>(i);
      events.push_back({operations_[i].invoked, /*completes=*/false, number});
      events.push_back({operations_[i].completed, /*completes=*/true, number});
      ++required_count_;
    }
  }
  events_.Fill(std::move(events), operations_.size());
}

void KeySearch::ResolveReads() {
  std::map<absl::string_view, Source> sources;
  for (const Operation& operation : operations_) {
    if (MayWrite(operation)) {
      Source& source = sources[operation.value];
      source.only_writer = ++source.writers == 1 ? &operation : nullptr;
    }
  }
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& read = operations_[i];
    if (!Shows(read)) {
      continue;
    }
    sources_[i] = sources[read.answer.value];
    if (sources_[i].writers != 1) {
      continue;
    }
    // The read must come after this write, so the write has happened when the read is over, and at
    // the revision that it shows.
    const int number = IndexOf(sources_[i].only_writer);
    Operation& write = operations_[number];
    if (IsUnknown(write)) {
      const int64_t seen = std::max(write.invoked, read.completed);
      write.completed = required_[number] ? std::min(write.completed, seen) : seen;
      required_[number] = true;
    }
    if (!write.answer.mod_revision.has_value()) {
      write.answer.mod_revision = read.answer.mod_revision;
    }
  }
}

void KeySearch::SortOutOptionalOperations() {
  std::map<absl::string_view, bool> read_values;
  for (const Operation& operation : operations_) {
    if (Shows(operation)) {
      read_values[operation.answer.value] = true;
    }
  }
  using Class = std::tuple<Kind, absl::string_view, bool, std::optional<int64_t>, bool>;
  std::map<Class, std::vector<const Operation*>> classes;
  size_t count = 0;
  for (size_t i = 0; i < operations_.size(); ++i) {
    if (!required_[i]) {
      const Operation& operation = operations_[i];
      // Values that nobody read make no difference.
      const bool read = read_values.count(operation.value) > 0;
      classes[{operation.kind, read ? absl::string_view(operation.value) : "", read,
               operation.expected_revision, operation.ttl.has_value()}]
          .push_back(&operation);
      optional_numbers_[i] = count++;
    }
  }
  used_.resize(count / kBits + 1);
  for (auto& entry : classes) {
    std::stable_sort(
        entry.second.begin(), entry.second.end(),
        [](const Operation* a, const Operation* b) { return a->invoked < b->invoked; });
    optional_classes_.push_back(std::move(entry.second));
  }
}

KeySearch::Result KeySearch::Run(uint64_t steps_max, std::optional<size_t> depth_wanted) {
  frames_.push_back({.step = {}, .before = state_, .first_choice = 0, .next_choice = 0});
  FindChoices();
  while (!events_.empty()) {
    if (depth_ == depth_wanted) {
      return Result::kReachedDepth;
    }
    Frame& frame = frames_.back();
    if (frame.next_choice == choices_.size()) {
      if (frames_.size() == 1) {
        return Result::kImpossible;
      }
      TakeBack();
      continue;
    }
    if (++steps_ > steps_max) {
      return Result::kGaveUp;
    }
    const Step step = choices_[frame.next_choice++];
    Take(step);
    // What may follow an optional step depends on what was before it, so only configurations after
    // other steps are compared.
    if (!step.optional && !IsWorthTrying()) {
      TakeBack();
      continue;
    }
    depth_reached_ = std::max(depth_reached_, depth_);
    FindChoices();
  }
  return Result::kFound;
}

void KeySearch::Take(const Step& step) {
  frames_.push_back({.step = step,
                     .before = state_,
                     .first_choice = choices_.size(),
                     .next_choice = choices_.size()});
  state_ = step.after;
  if (step.operation == nullptr) {
    return;
  }
  const int number = IndexOf(step.operation);
  placed_[number] = true;
  if (step.optional) {
    FlipUsed(*step.operation);
  } else {
    placed_sum_ ^= fingerprints_[number];
    events_.Remove(number);
    ++depth_;
  }
}

void KeySearch::TakeBack() {
  const Frame& frame = frames_.back();
  state_ = frame.before;
  if (frame.step.operation != nullptr) {
    const int number = IndexOf(frame.step.operation);
    placed_[number] = false;
    if (frame.step.optional) {
      FlipUsed(*frame.step.operation);
    } else {
      placed_sum_ ^= fingerprints_[number];
      events_.PutBack(number);
      --depth_;
    }
  }
  choices_.resize(frame.first_choice);
  frames_.pop_back();
}

bool KeySearch::IsWorthTrying() {
  KeyState state = state_;
  state.revision = state.exact ? state.revision : 0;
  std::vector<Seen>& all_seen = seen_[{placed_sum_, state}];
  steps_ += all_seen.size() / kComparisonsPerStep;
  for (const Seen& seen : all_seen) {
    // A lower bound, and more optional operations left, allow all that this allows.
    if (seen.revision <= state_.revision && IsSubset(seen.used, used_)) {
      return false;
    }
  }
  all_seen.push_back({.revision = state_.revision, .used = used_});
  return true;
}

void KeySearch::FlipUsed(const Operation& optional_operation) {
  const size_t number = optional_numbers_[IndexOf(&optional_operation)];
  used_[number / kBits] ^= uint64_t{1} << (number % kBits);
}

int64_t KeySearch::Horizon() const {
  auto position = events_.Begin();
  while (position != events_.End() && !events_.At(position).completes) {
    position = events_.Next(position);
  }
  return position == events_.End() ? std::numeric_limits<int64_t>::max()
                                   : events_.At(position).time;
}

void KeySearch::FindChoices() {
  const size_t first_choice = choices_.size();
  for (auto position = events_.Begin();
       position != events_.End() && !events_.At(position).completes;
       position = events_.Next(position)) {
    const Operation& operation = operations_[events_.At(position).operation];
    if (CanNeverBePlaced(operation)) {
      choices_.resize(first_choice);
      return;
    }
    const std::optional<KeyState> after = After(state_, operation);
    if (!after.has_value() || !NoticesTheStepBefore(operation)) {
      continue;
    }
    const Step step = {.operation = &operation, .after = *after, .optional = false};
    if (*after == state_) {
      choices_.resize(first_choice);
      choices_.push_back(step);
      return;
    }
    choices_.push_back(step);
  }
  AddOptionalChoices();
}

void KeySearch::AddOptionalChoices() {
  const int64_t horizon = Horizon();
  for (const std::vector<const Operation*>& operations : optional_classes_) {
    bool ready_one_found = false;
    for (const Operation* operation : operations) {
      if (operation->invoked > horizon) {
        break;
      }
      const bool ready = ReadyTime(*operation) <= horizon;
      if (placed_[IndexOf(operation)] || (ready && ready_one_found)) {
        continue;
      }
      ready_one_found = ready_one_found || ready;
      const std::optional<KeyState> after = After(state_, *operation);
      if (after.has_value() && NoticesTheStepBefore(*operation)) {
        choices_.push_back({.operation = operation, .after = *after, .optional = true});
      }
    }
  }
  const std::optional<int64_t> expiry_time = ExpiryTime(state_);
  if (!expiry_time.has_value() || *expiry_time > horizon) {
    return;
  }
  // An unknown write and its expiry together change nothing where there was nothing before.
  const Frame& last = frames_.back();
  if (!last.step.optional || last.before.writer != nullptr) {
    choices_.push_back({.operation = nullptr, .after = AfterExpiry(state_), .optional = true});
  }
}

bool KeySearch::CanNeverBePlaced(const Operation& operation) const {
  if (HasMissedItsRevision(state_, operation)) {
    return true;
  }
  if (!Shows(operation)) {
    return false;
  }
  const Source& source = sources_[IndexOf(&operation)];
  return source.writers == 0 ||
         (source.only_writer != nullptr && source.only_writer != state_.writer &&
          placed_[IndexOf(source.only_writer)]);
}

bool KeySearch::NoticesTheStepBefore(const Operation& operation) const {
  const Frame& last = frames_.back();
  if (!last.step.optional) {
    return true;
  }
  if (!IsWrite(operation) || operation.answer.outcome == Outcome::kPreconditionFailed) {
    return true;
  }
  const bool blind = !operation.expected_revision.has_value() &&
                     (operation.kind == Kind::kPut || IsUnknown(operation));
  return !blind && !After(last.before, operation).has_value();
}

std::string KeySearch::DescribePosition() const {
  // The first frame is the beginning, not a step.
  const size_t steps = frames_.size() - 1;
  const size_t skipped = steps > kLinesBeforeMax ? steps - kLinesBeforeMax : 0;
  std::string text;
  if (skipped > 0) {
    absl::StrAppend(&text, "    ... ", skipped, " before\n");
  }
  for (size_t i = skipped + 1; i < frames_.size(); ++i) {
    const Step& step = frames_[i].step;
    absl::StrAppend(
        &text, "    ", step.operation == nullptr ? "the value expires" : Describe(*step.operation),
        step.optional && step.operation != nullptr ? ", taken to have happened" : "", "\n");
  }
  absl::StrAppend(&text, "  Then ");
  if (state_.writer == nullptr) {
    absl::StrAppend(&text, "the key does not exist");
  } else {
    absl::StrAppend(&text, "the key holds what c", state_.writer->client, " wrote at ",
                    state_.writer->invoked, ", revision ", state_.exact ? "" : "at least ",
                    state_.revision);
  }
  absl::StrAppend(&text, ". No order goes on with what is under way:\n");
  for (auto position = events_.Begin();
       position != events_.End() && !events_.At(position).completes;
       position = events_.Next(position)) {
    absl::StrAppend(&text, "    ", Describe(operations_[events_.At(position).operation]), "\n");
  }
  return text;
}

}  // namespace raftkv::linearizability
