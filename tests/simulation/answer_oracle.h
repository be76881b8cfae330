// Whether what a client was told can be true, given what was committed where. Each answer belongs
// to an index of the one history that all nodes apply; answers are right when they fit the state
// there, and linearizable when their indexes are in the order in which clients saw things happen.
#pragma once

#include "tests/simulation/counters.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/requests.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::simulation {

// Confined to one thread.
class AnswerOracle {
 public:
  AnswerOracle(Ledger* ledger, raft::SafetyOracle* findings, Counters* counters)
      : ledger_(*ledger), findings_(*findings), counters_(*counters) {}

  // What everything that is asked for from now on must reflect.
  raft::LogIndex floor() const { return floor_; }

  // The node has the answer; the client may never see it.
  void OnAnswered(const Request& request, const Reply& reply);
  // The client got the answer to what it asked for when the floor was `floor`.
  void OnReceived(const Request& request, const Reply& reply, raft::LogIndex floor);
  // The run is over: what was never applied until now has never happened.
  void OnUnknownAtEnd(const Request& request);

 private:
  void CheckWrite(const Request& request, const Reply& reply);
  void CheckRead(const Request& request, const Reply& reply);
  // The state index that the answer is from. REQUIRES: it is no refusal.
  raft::LogIndex IndexOf(const Request& request, const Reply& reply) const;

  Ledger& ledger_;
  raft::SafetyOracle& findings_;
  Counters& counters_;
  // The largest index that any client has learned of by an answer to a write or to a linearizable
  // read.
  raft::LogIndex floor_;
};

}  // namespace raftkv::simulation
