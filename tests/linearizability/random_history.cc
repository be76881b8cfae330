#include "tests/linearizability/random_history.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace raftkv::linearizability {
namespace {

// An unknown write may take effect this many times later than a known one.
constexpr uint64_t kLateFactor = 10;

class RandomStore {
 public:
  RandomStore(const RandomHistoryOptions& options, Rng* rng) : options_(options), rng_(*rng) {}

  History Run() {
    for (uint64_t client = 1; client <= options_.clients; ++client) {
      At(rng_.Below(options_.pause_max + 1), [this, client] { Invoke(client); });
    }
    while (!events_.empty()) {
      auto event = events_.extract(events_.begin());
      now_ = event.key();
      event.mapped()();
    }
    return std::move(history_);
  }

 private:
  struct Record {
    std::string value;
    int64_t mod_revision = 0;
  };

  bool Chance(uint64_t percent) { return rng_.Below(100) < percent; }

  void At(int64_t time, std::function<void()> what) { events_.emplace(time, std::move(what)); }

  void Invoke(int64_t client) {
    if (history_.size() == options_.operations) {
      return;
    }
    const size_t number = history_.size();
    history_.push_back(NewRequest(client));
    const int64_t ends = now_ + static_cast<int64_t>(rng_.Below(options_.latency_max + 1));
    history_[number].completed = ends;
    int64_t takes_effect = now_ + static_cast<int64_t>(rng_.Below(ends - now_ + 1));
    bool happens = true;
    if (Chance(options_.unknown_percent)) {
      history_[number].answer.outcome = Outcome::kUnknown;
      happens = Chance(70);
      takes_effect +=
          Chance(50) ? 0 : static_cast<int64_t>(rng_.Below(options_.latency_max * kLateFactor + 1));
    } else if (Chance(options_.failed_percent)) {
      history_[number].answer.outcome = Outcome::kFailed;
      happens = false;
    } else {
      history_[number].answer.outcome = Outcome::kOk;
    }
    if (happens) {
      At(takes_effect, [this, number] { Execute(&history_[number]); });
    }
    // After the completion, which may be at the same time.
    At(ends, [this, number] { Learn(history_[number]); });
    At(ends + static_cast<int64_t>(rng_.Below(options_.pause_max + 1)),
       [this, client] { Invoke(client); });
  }

  Operation NewRequest(int64_t client) {
    Operation request;
    request.client = client;
    request.key = absl::StrCat("k", rng_.Below(options_.keys));
    request.invoked = now_;
    if (Chance(options_.get_percent)) {
      return request;
    }
    request.kind = Chance(options_.delete_percent) ? Kind::kDelete : Kind::kPut;
    if (Chance(options_.precondition_percent)) {
      request.expected_revision = known_revisions_[request.key];
    }
    if (request.kind == Kind::kPut) {
      request.value = options_.values == 0 ? absl::StrCat("v", history_.size())
                                           : absl::StrCat("v", rng_.Below(options_.values));
      if (Chance(options_.ttl_percent)) {
        request.ttl = 1 + static_cast<int64_t>(rng_.Below(options_.ttl_max));
      }
    }
    return request;
  }

  void Execute(Operation* operation) {
    const auto found = records_.find(operation->key);
    const int64_t current = found == records_.end() ? 0 : found->second.mod_revision;
    Answer answer;
    answer.outcome = Outcome::kOk;
    if (operation->expected_revision.value_or(current) != current) {
      answer.outcome = Outcome::kPreconditionFailed;
      answer.mod_revision = current;
    } else if (operation->kind == Kind::kPut) {
      answer.mod_revision = ++revision_;
      records_[operation->key] = {.value = operation->value, .mod_revision = revision_};
      if (operation->ttl.has_value()) {
        ScheduleExpiry(*operation, revision_);
      }
    } else if (found != records_.end()) {
      answer.found = true;
      if (operation->kind == Kind::kDelete) {
        answer.mod_revision = ++revision_;
        records_.erase(found);
      } else {
        answer.mod_revision = current;
        answer.value = found->second.value;
      }
    }
    if (operation->answer.outcome == Outcome::kUnknown) {
      return;
    }
    if (options_.revisions) {
      answer.store_revision = revision_;
    } else if (answer.outcome == Outcome::kOk) {
      answer.mod_revision = std::nullopt;
    }
    operation->answer = std::move(answer);
  }

  void ScheduleExpiry(const Operation& put, int64_t mod_revision) {
    const int64_t earliest = std::max(now_, put.invoked + *put.ttl);
    const int64_t lateness = Chance(50) ? 0 : static_cast<int64_t>(rng_.Below(options_.ttl_max));
    At(earliest + lateness, [this, key = put.key, mod_revision] {
      const auto found = records_.find(key);
      if (found != records_.end() && found->second.mod_revision == mod_revision) {
        records_.erase(found);
        ++revision_;
      }
    });
  }

  // Later preconditions are about revisions that somebody was told.
  void Learn(const Operation& operation) {
    const Answer& answer = operation.answer;
    if (answer.mod_revision.has_value()) {
      known_revisions_[operation.key] =
          operation.kind == Kind::kDelete && answer.outcome == Outcome::kOk ? 0
                                                                            : *answer.mod_revision;
    }
  }

  const RandomHistoryOptions options_;
  Rng& rng_;
  std::multimap<int64_t, std::function<void()>> events_;
  int64_t now_ = 0;
  std::map<std::string, Record> records_;
  int64_t revision_ = 0;
  std::map<std::string, int64_t> known_revisions_;
  History history_;
};

void SpoilTimes(Operation* operation, Rng* rng) {
  operation->invoked = static_cast<int64_t>(rng->Below(60));
  operation->completed = operation->invoked + static_cast<int64_t>(rng->Below(20));
}

void SpoilOutcome(Operation* operation, Rng* rng) {
  if (rng->Below(2) == 0 || operation->kind == Kind::kGet) {
    operation->answer = {.outcome = Outcome::kFailed};
  } else {
    operation->answer = {.outcome = Outcome::kOk};
    operation->answer.found = operation->kind == Kind::kDelete && rng->Below(2) == 0;
  }
}

void SpoilRevision(size_t revisions, Answer* answer, Rng* rng) {
  if (answer->mod_revision.has_value()) {
    answer->mod_revision = 1 + static_cast<int64_t>(rng->Below(revisions));
  }
}

// Makes a read show what `other` wrote or saw, or nothing; takes the answer of `other` elsewhere.
void SpoilAnswer(const Operation& other, Operation* operation, Rng* rng) {
  Answer& answer = operation->answer;
  if (answer.outcome != Outcome::kOk) {
    return;
  }
  if (operation->kind == other.kind && other.answer.outcome == Outcome::kOk) {
    answer = other.answer;
  } else if (operation->kind == Kind::kGet) {
    answer = {.outcome = Outcome::kOk};
    if (other.kind == Kind::kPut && rng->Below(3) > 0) {
      answer.found = true;
      answer.value = other.value;
      if (other.answer.outcome == Outcome::kOk) {
        answer.mod_revision = other.answer.mod_revision;
      }
    }
  } else if (operation->kind == Kind::kDelete) {
    answer = {.outcome = Outcome::kOk, .found = !answer.found};
  }
}

}  // namespace

History RandomHistory(const RandomHistoryOptions& options, Rng* rng) {
  return RandomStore(options, rng).Run();
}

void Spoil(History* history, Rng* rng) {
  Operation& operation = (*history)[rng->Below(history->size())];
  switch (rng->Below(4)) {
    case 0:
      SpoilTimes(&operation, rng);
      break;
    case 1:
      SpoilOutcome(&operation, rng);
      break;
    case 2:
      SpoilRevision(history->size(), &operation.answer, rng);
      break;
    default:
      SpoilAnswer((*history)[rng->Below(history->size())], &operation, rng);
      break;
  }
}

}  // namespace raftkv::linearizability
