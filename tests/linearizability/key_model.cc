#include "tests/linearizability/key_model.h"

namespace raftkv::linearizability {
namespace {

// Takes in that the key's mod_revision is `met`. False if it is not.
bool Meet(int64_t met, KeyState* state) {
  if (state->writer == nullptr || met == 0) {
    return state->writer == nullptr && met == 0;
  }
  if (state->exact ? met != state->revision : met < state->revision) {
    return false;
  }
  state->revision = met;
  state->exact = true;
  return true;
}

std::optional<KeyState> Changed(const KeyState& state, const Operation* writer,
                                std::optional<int64_t> revision) {
  if (revision.has_value() && *revision <= state.revision) {
    return std::nullopt;
  }
  return KeyState{.writer = writer,
                  .revision = revision.value_or(state.revision + 1),
                  // No answer shows the revision of a removal, so there is nothing to tell apart.
                  .exact = writer != nullptr && revision.has_value()};
}

}  // namespace

std::optional<KeyState> After(const KeyState& state, const Operation& operation) {
  const Answer& answer = operation.answer;
  KeyState met = state;
  const std::optional<int64_t> revision_met = RevisionMet(operation);
  if (revision_met.has_value() && !Meet(*revision_met, &met)) {
    return std::nullopt;
  }
  if (answer.outcome == Outcome::kPreconditionFailed) {
    return revision_met == operation.expected_revision ? std::nullopt : std::optional(met);
  }
  const bool exists = met.writer != nullptr;
  switch (operation.kind) {
    case Kind::kGet:
      if (answer.found != exists || (exists && met.writer->value != answer.value)) {
        return std::nullopt;
      }
      return met;
    case Kind::kPut:
      return Changed(met, &operation, answer.mod_revision);
    case Kind::kDelete: {
      const bool deletes = answer.outcome == Outcome::kUnknown || answer.found;
      if (deletes != exists) {
        return std::nullopt;
      }
      return deletes ? Changed(met, nullptr, answer.mod_revision) : met;
    }
  }
  return std::nullopt;
}

KeyState AfterExpiry(const KeyState& state) { return *Changed(state, nullptr, std::nullopt); }

std::optional<int64_t> ExpiryTime(const KeyState& state) {
  if (state.writer == nullptr || !state.writer->ttl.has_value()) {
    return std::nullopt;
  }
  return state.writer->invoked + *state.writer->ttl;
}

std::optional<int64_t> RevisionMet(const Operation& operation) {
  if (operation.answer.outcome == Outcome::kPreconditionFailed) {
    return operation.answer.mod_revision;
  }
  if (operation.kind != Kind::kGet) {
    return operation.expected_revision;
  }
  return operation.answer.found ? operation.answer.mod_revision : std::optional<int64_t>(0);
}

bool HasMissedItsRevision(const KeyState& state, const Operation& operation) {
  const std::optional<int64_t> met = RevisionMet(operation);
  if (met.has_value() && *met != 0 && *met < state.revision) {
    return true;
  }
  const bool is_own =
      operation.kind != Kind::kGet && operation.answer.outcome != Outcome::kPreconditionFailed;
  return is_own && operation.answer.mod_revision.has_value() &&
         *operation.answer.mod_revision <= state.revision;
}

}  // namespace raftkv::linearizability
