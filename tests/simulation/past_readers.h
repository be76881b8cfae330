// Readers of what the checker of linearizability has no word for: states of the past, walks that go
// on from one state to the next, and answers that may be somewhat old. They ask any node at any
// time, and what they are told is held against the model.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/store.h"
#include "raft/core/types.h"
#include "tests/simulation/answer_oracle.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/options.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/sim_clock.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::simulation {

// Confined to one thread.
class PastReaders {
 public:
  PastReaders(const SimOptions* options, const Scheduler* scheduler, const Ledger* ledger,
              const AnswerOracle* answers, raft::SafetyOracle* findings, Counters* counters);

  // A node had a turn: some ask it for something.
  void OnTurn(raft::NodeId node, kv::Store* store, const SimClock* clock);
  // A process is gone.
  void OnGone(raft::NodeId node) { walks_.erase(node); }

 private:
  using Rows = std::map<std::string, kv::KvRecord>;
  // A walk that a node is asked for, piece by piece.
  struct Walk {
    std::shared_ptr<kv::KeyWalk> keys;
    kv::KeyInterval interval;
    kv::ScanOptions left;
    std::vector<log::v1::StoredKeyValue> rows;
    bool reading = false;
    bool over = false;
    int64_t let_go_at = -1;  // The revision of the state that was let go.
  };

  void ReadPast(raft::NodeId node, kv::Store* store, MonotonicNanos deadline);
  void ReadOld(raft::NodeId node, kv::Store* store, const SimClock* clock, MonotonicNanos deadline);
  void BeginWalk(raft::NodeId node, kv::Store* store, MonotonicNanos deadline);
  void GoOn(raft::NodeId node, Walk* walk, kv::Store* store, MonotonicNanos deadline);
  void Take(raft::NodeId node, Walk* walk, absl::StatusOr<kv::ScanResult> piece);
  kv::KeyInterval DrawInterval();
  std::string DrawKey();

  // The keys after a revision, as the model's events tell it.
  Rows RowsAt(int64_t revision) const;
  void ExpectRows(raft::NodeId node, int64_t revision, const kv::KeyInterval& interval,
                  bool descending, const std::vector<log::v1::StoredKeyValue>& rows, bool all,
                  absl::string_view what);
  // A read at `revision` failed; `known`: clients knew that the cluster has come so far, and the
  // read was to reflect all that they knew.
  void ExpectRefusal(raft::NodeId node, int64_t revision, bool known, const absl::Status& error);
  // All that clients knew at `time` is in the state at this index and later ones.
  raft::LogIndex KnownAt(SimTime time) const;

  const Scheduler& scheduler_;
  const Ledger& ledger_;
  const AnswerOracle& answers_;
  raft::SafetyOracle& findings_;
  Counters& counters_;
  Dice dice_;
  const uint64_t keys_;
  const SimTime election_timeout_;
  uint64_t compactions_left_;

  std::map<raft::NodeId, std::unique_ptr<Walk>> walks_;
  // What clients knew, from when on.
  std::vector<std::pair<SimTime, raft::LogIndex>> known_;
};

}  // namespace raftkv::simulation
