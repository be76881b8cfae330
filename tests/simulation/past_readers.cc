#include "tests/simulation/past_readers.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "kv/errors.h"

namespace raftkv::simulation {

using log::v1::StoredKeyValue;
using raft::LogIndex;
using raft::NodeId;

namespace {

// Of the turns of a node: that it is asked for a state of the past, for what may be old, for a walk
// or the next piece of one, and to end the history earlier.
constexpr uint64_t kPastPermille = 12;
constexpr uint64_t kOldPermille = 25;
constexpr uint64_t kWalkPermille = 3;
constexpr uint64_t kPiecePermille = 60;
constexpr uint64_t kLetGoPermille = 300;  // Of the pieces.
constexpr uint64_t kCompactPermille = 1;
constexpr uint64_t kCompactionsMax = 3;
// Revisions beyond the newest one that are asked for.
constexpr uint64_t kRevisionsAhead = 2;

// A Touch has no revision, so a deadline may be of another time.
bool IsSame(const StoredKeyValue& row, const std::string& key, const kv::KvRecord& record) {
  return row.key() == key && row.value() == record.value &&
         row.create_revision() == record.header.create_revision &&
         row.mod_revision() == record.header.mod_revision && row.version() == record.header.version;
}

std::string Print(const std::vector<StoredKeyValue>& rows) {
  std::string text;
  for (const StoredKeyValue& row : rows) {
    absl::StrAppend(&text, "{", row.ShortDebugString(), "}");
  }
  return text;
}

std::string ReasonOf(const absl::Status& error) {
  const auto info = kv::FindErrorInfo(error);
  return info.has_value() ? info->reason() : "";
}

int64_t MetaOf(const absl::Status& error, const std::string& name) {
  int64_t number = 0;
  return absl::SimpleAtoi(kv::FindErrorInfo(error)->metadata().at(name), &number) ? number : -1;
}

}  // namespace

PastReaders::PastReaders(const SimOptions* options, const Scheduler* scheduler,
                         const Ledger* ledger, const AnswerOracle* answers,
                         raft::SafetyOracle* findings, Counters* counters)
    : scheduler_(*scheduler),
      ledger_(*ledger),
      answers_(*answers),
      findings_(*findings),
      counters_(*counters),
      dice_(options->seed, "past readers"),
      keys_(options->keys),
      election_timeout_(options->ElectionTimeout()),
      compactions_left_(dice_.Below(kCompactionsMax + 1)) {}

void PastReaders::OnTurn(NodeId node, kv::Store* store, const SimClock* clock) {
  if (known_.empty() || known_.back().second != answers_.floor()) {
    known_.emplace_back(scheduler_.now(), answers_.floor());
  }
  const MonotonicNanos deadline = clock->Now() + 4 * election_timeout_;
  if (dice_.Chance(kPastPermille)) {
    ReadPast(node, store, deadline);
  }
  if (dice_.Chance(kOldPermille)) {
    ReadOld(node, store, clock, deadline);
  }
  const auto walk = walks_.find(node);
  if (walk == walks_.end()) {
    if (dice_.Chance(kWalkPermille)) {
      BeginWalk(node, store, deadline);
    }
  } else if (walk->second->over) {
    walks_.erase(walk);
  } else if (dice_.Chance(kPiecePermille)) {
    GoOn(node, walk->second.get(), store, deadline);
  }
  if (compactions_left_ > 0 && store->revision() > 0 && dice_.Chance(kCompactPermille)) {
    --compactions_left_;
    const auto newest = static_cast<uint64_t>(store->revision());
    store->Compact(static_cast<int64_t>(1 + dice_.Below(newest)), deadline,
                   [this](const absl::StatusOr<int64_t>& compacted) {
                     counters_.Note(Situation::kHistoryCompacted, compacted.ok() ? 1 : 0);
                   });
  }
}

std::string PastReaders::DrawKey() {
  return absl::StrCat(dice_.Pick<std::string>({"a/", "b/"}), dice_.Below(keys_));
}

kv::KeyInterval PastReaders::DrawInterval() {
  if (dice_.Chance(400)) {
    return {};
  }
  std::string start = DrawKey();
  std::string end = DrawKey();
  if (end < start) {
    std::swap(start, end);
  }
  return {.start = std::move(start), .end = std::move(end)};
}

PastReaders::Rows PastReaders::RowsAt(int64_t revision) const {
  Rows rows;
  for (const auto& [place, event] : ledger_.model().events()) {
    if (place.first > revision) {
      break;
    }
    if (event.event.type == kv::HistoryEventType::kPut) {
      rows[place.second] = event.event.record;
    } else {
      rows.erase(place.second);
    }
  }
  return rows;
}

void PastReaders::ExpectRows(NodeId node, int64_t revision, const kv::KeyInterval& interval,
                             bool descending, const std::vector<StoredKeyValue>& rows, bool all,
                             absl::string_view what) {
  std::vector<std::pair<std::string, kv::KvRecord>> expected;
  for (auto& [key, record] : RowsAt(revision)) {
    if (interval.Holds(key)) {
      expected.emplace_back(key, record);
    }
  }
  if (descending) {
    std::reverse(expected.begin(), expected.end());
  }
  bool right = all ? rows.size() == expected.size() : rows.size() < expected.size();
  for (size_t i = 0; right && i < rows.size(); ++i) {
    right = IsSame(rows[i], expected[i].first, expected[i].second);
  }
  findings_.Expect(right, [&] {
    return absl::StrCat("node ", node.value(), what, " at revision ", revision, " of [",
                        interval.start, ", ", interval.end, ") has ", Print(rows),
                        all ? "" : " and more", ", where the model has ", expected.size(), " keys");
  });
}

void PastReaders::ExpectRefusal(NodeId node, int64_t revision, bool known,
                                const absl::Status& error) {
  const std::string reason = ReasonOf(error);
  if (reason == "REVISION_FUTURE") {
    counters_.Note(Situation::kFutureRefused);
    findings_.Expect(!known && MetaOf(error, "revision") < revision, [&] {
      return absl::StrCat("node ", node.value(), " has not come to revision ", revision, ": ",
                          error.ToString());
    });
  } else if (reason == "REVISION_COMPACTED") {
    counters_.Note(Situation::kPastCompacted);
    findings_.Expect(MetaOf(error, "compact_revision") > revision, [&] {
      return absl::StrCat("node ", node.value(), " has lost revision ", revision, ": ",
                          error.ToString());
    });
  } else {
    findings_.Expect(absl::IsUnavailable(error) || absl::IsResourceExhausted(error) ||
                         absl::IsDeadlineExceeded(error),
                     [&] {
                       return absl::StrCat("node ", node.value(), " answers a read at revision ",
                                           revision, " with ", error.ToString());
                     });
  }
}

void PastReaders::ReadPast(NodeId node, kv::Store* store, MonotonicNanos deadline) {
  const auto newest = static_cast<uint64_t>(store->revision());
  const auto revision = static_cast<int64_t>(1 + dice_.Below(newest + kRevisionsAhead));
  kv::ReadFreshness freshness{
      .linearizable = dice_.Chance(500), .at_revision = revision, .deadline = deadline};
  const bool known = freshness.linearizable && revision <= ledger_.RevisionAt(answers_.floor());
  if (dice_.Chance(500)) {
    const std::string key = DrawKey();
    store->Get(key, freshness,
               [this, node, store, revision, known, key](absl::StatusOr<kv::Store::Found> found) {
                 if (!found.ok()) {
                   ExpectRefusal(node, revision, known, found.status());
                   return;
                 }
                 counters_.Note(Situation::kPastRead, revision < store->revision() ? 1 : 0);
                 std::vector<StoredKeyValue> rows;
                 if (found->record.has_value()) {
                   rows.push_back(*std::move(found->record));
                 }
                 ExpectRows(node, found->at.revision, {.start = key, .end = key + '\0'},
                            /*descending=*/false, rows, /*all=*/true, " says that a key");
               });
    return;
  }
  const kv::KeyInterval interval = DrawInterval();
  if (dice_.Chance(200)) {
    store->Count(
        interval, freshness,
        [this, node, revision, known, interval](const absl::StatusOr<kv::Store::Counted>& counted) {
          if (!counted.ok()) {
            ExpectRefusal(node, revision, known, counted.status());
            return;
          }
          int64_t expected = 0;
          for (const auto& [key, record] : RowsAt(revision)) {
            expected += interval.Holds(key) ? 1 : 0;
          }
          findings_.Expect(counted->keys == expected, [&] {
            return absl::StrCat("node ", node.value(), " counts ", counted->keys,
                                " keys at revision ", revision, ", the model ", expected);
          });
        });
    return;
  }
  kv::ScanOptions scan{.interval = interval,
                       .keys_max = 1 + dice_.Below(2 * keys_),
                       .bytes_max = 1 << 20,
                       .descending = dice_.Chance(300)};
  store->Scan(scan, freshness,
              [this, node, revision, known, scan](const absl::StatusOr<kv::Store::Page>& page) {
                if (!page.ok()) {
                  ExpectRefusal(node, revision, known, page.status());
                  return;
                }
                ExpectRows(node, page->at.revision, scan.interval, scan.descending, page->keys.rows,
                           !page->keys.more, " lists that the keys");
              });
}

LogIndex PastReaders::KnownAt(SimTime time) const {
  const auto after =
      std::upper_bound(known_.begin(), known_.end(), time,
                       [](SimTime at, const auto& known) { return at < known.first; });
  return after == known_.begin() ? LogIndex(0) : std::prev(after)->second;
}

void PastReaders::ReadOld(NodeId node, kv::Store* store, const SimClock* clock,
                          MonotonicNanos deadline) {
  kv::ReadFreshness freshness{.linearizable = false, .deadline = deadline};
  if (dice_.Chance(700)) {
    freshness.age_max = dice_.Between(1, 6 * election_timeout_);
  }
  const SimTime asked = scheduler_.now();
  const std::string key = DrawKey();
  store->Get(
      key, freshness,
      [this, node, store, clock, freshness, asked,
       key](const absl::StatusOr<kv::Store::Found>& found) {
        if (!found.ok()) {
          counters_.Note(Situation::kTooStale, ReasonOf(found.status()) == "TOO_STALE");
          return;
        }
        const std::optional<MonotonicNanos> age = found->at.age;
        findings_.Expect(
            !age.has_value() || !freshness.age_max.has_value() || *age <= *freshness.age_max, [&] {
              return absl::StrCat("node ", node.value(), " answers from what is ", *age,
                                  " ns old, and ", *freshness.age_max, " were allowed");
            });
        if (!age.has_value() && !freshness.age_max.has_value()) {
          return;  // It knows nothing.
        }
        counters_.Note(Situation::kOldRead,
                       freshness.age_max.has_value() && age.has_value() ? 1 : 0);
        counters_.Note(Situation::kOldReadWithoutLeader,
                       age.has_value() && store->raft().leader == raft::kNobody ? 1 : 0);
        // The age is by the node's clock, the rest by the true one.
        const SimTime fresh_at = age.has_value() ? asked - clock->TrueDuration(*age) : asked;
        const LogIndex known = KnownAt(fresh_at);
        findings_.Expect(found->at.applied >= known, [&] {
          return absl::StrCat("node ", node.value(), " answers from index ",
                              found->at.applied.value(), " and says that it is ", age.value_or(0),
                              " ns old, but index ", known.value(), " was known before");
        });
        const std::optional<kv::KvRecord> expected = ledger_.model().Get(key, found->at.applied);
        findings_.Expect(expected.has_value() == found->record.has_value() &&
                             (!expected.has_value() || IsSame(*found->record, key, *expected)),
                         [&] {
                           return absl::StrCat("node ", node.value(), " reads key ", key,
                                               " at index ", found->at.applied.value(),
                                               " otherwise than the model");
                         });
      });
}

void PastReaders::BeginWalk(NodeId node, kv::Store* store, MonotonicNanos deadline) {
  kv::ReadFreshness freshness{.linearizable = dice_.Chance(500), .deadline = deadline};
  if (store->revision() > 0 && dice_.Chance(300)) {
    freshness.at_revision =
        static_cast<int64_t>(1 + dice_.Below(static_cast<uint64_t>(store->revision())));
  }
  walks_[node] = std::make_unique<Walk>();
  Walk* const walk = walks_[node].get();
  walk->interval = DrawInterval();
  walk->left = {.interval = walk->interval,
                .keys_max = 1 + dice_.Below(3),
                .bytes_max = 1 << 20,
                .descending = dice_.Chance(300)};
  walk->reading = true;
  store->BeginWalk(freshness, [walk](absl::StatusOr<kv::Store::Walk> begun) {
    walk->reading = false;
    walk->over = !begun.ok();
    if (begun.ok()) {
      walk->keys = std::move(begun->keys);
    }
  });
}

void PastReaders::GoOn(NodeId node, Walk* walk, kv::Store* store, MonotonicNanos deadline) {
  if (walk->reading) {
    return;
  }
  if (dice_.Chance(kLetGoPermille) && walk->keys->source() != nullptr) {
    walk->let_go_at = store->revision();
    store->LetGo(walk->keys.get());
    return;
  }
  walk->reading = true;
  store->ReadWalk(walk->keys.get(), walk->left, deadline,
                  [this, node, walk](absl::StatusOr<kv::ScanResult> piece) {
                    walk->reading = false;
                    Take(node, walk, std::move(piece));
                  });
}

void PastReaders::Take(NodeId node, Walk* walk, absl::StatusOr<kv::ScanResult> piece) {
  const int64_t revision = walk->keys->revision();
  if (!piece.ok()) {
    walk->over = true;
    counters_.Note(Situation::kWalkOutrun, ReasonOf(piece.status()) == "REVISION_COMPACTED");
    ExpectRefusal(node, revision, /*known=*/true, piece.status());
    return;
  }
  if (!piece->rows.empty() && walk->left.descending) {
    walk->left.interval.end = piece->rows.back().key();
  } else if (!piece->rows.empty()) {
    walk->left.interval.start = piece->rows.back().key() + '\0';
  }
  std::move(piece->rows.begin(), piece->rows.end(), std::back_inserter(walk->rows));
  if (piece->more) {
    return;
  }
  walk->over = true;
  counters_.Note(Situation::kWalkDone);
  const bool outlived = walk->keys->source() != nullptr && walk->keys->source()->past.has_value() &&
                        walk->let_go_at >= 0;
  counters_.Note(Situation::kWalkOutlivedItsState, outlived ? 1 : 0);
  ExpectRows(node, revision, walk->interval, walk->left.descending, walk->rows, /*all=*/true,
             " walks and finds that the keys");
}

}  // namespace raftkv::simulation
