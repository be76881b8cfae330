// Clients that read and write through nodes of their choice, one operation at a time each, and what
// they were told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/lease_draws.h"
#include "tests/simulation/options.h"
#include "tests/simulation/requests.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace raftkv::simulation {

// One operation, as its client lived it.
struct ClientOperation {
  Request request;
  uint64_t client = 0;
  raft::NodeId node;
  SimTime invoked = 0;
  SimTime completed = 0;
  raft::LogIndex floor;  // What the answer had to reflect.
  bool done = false;
  // No answer came, or none that says how it went: it may have happened, or may yet.
  bool unknown = false;
  Reply reply;  // Unless unknown.
};

// Confined to one thread.
class Clients {
 public:
  Clients(const SimOptions* options, Scheduler* scheduler, Trace* trace, Cluster* cluster,
          Counters* counters);

  void Start();
  // Whether all operations were begun and ended.
  bool finished() const { return ended_ == wanted_; }

  // From now on every request and every answer arrives.
  void BecomeReliable() { reliable_ = true; }
  // They begin so many `operations` more, through these nodes only, and wait so long for an answer.
  // REQUIRES: finished().
  void GoOn(uint64_t operations, std::vector<raft::NodeId> nodes, MonotonicNanos timeout);
  // Asks `node` outside of the usual course, and calls `done` when the operation has ended.
  void Ask(Request request, raft::NodeId node, std::function<void(const ClientOperation&)> done);
  // A Put of a fresh value to any key.
  Request DrawPlainPut();
  // A linearizable List of all keys.
  Request ListAll() const;

  const std::vector<ClientOperation>& operations() const { return operations_; }
  // All keys that the checker of single keys looks at.
  std::vector<std::string> keys() const;
  // Whether each write of this key writes nothing else.
  static bool IsWrittenAlone(absl::string_view key);

 private:
  void ThinkThenAct(uint64_t client);
  Request DrawRequest();
  Request DrawWrite();
  void DrawGuard(const std::string& key, log::v1::Txn* txn);
  void DrawPut(const std::string& key, log::v1::Operation* operation);
  void DrawDelete(const std::string& key, log::v1::Operation* operation);
  void DrawRange(std::string* start, std::string* end);
  std::string DrawKey();
  // A transaction with two branches, on keys of which the checker of single keys knows nothing.
  void DrawBranches(log::v1::Txn* txn);
  void DrawRichGuard(log::v1::Txn* txn);
  void DrawRichOperation(int depth, log::v1::Operation* operation);
  void DrawMark(log::v1::Command* command);
  // Sends the request to a node, or loses it on the way.
  void Send(size_t place);
  // Tries again, if that is allowed and safe; otherwise nothing is known.
  void TryAgainOrFinish(size_t place);
  void Deliver(size_t place);
  void OnReply(size_t place, Reply reply);
  // The operation is over for its client; what comes later finds nobody.
  void Finish(size_t place, std::optional<Reply> reply);
  void OnNodeGone(raft::NodeId node, bool silently);
  bool IsDropped() { return !reliable_ && dice_.Chance(kDroppedPermille); }

  // Requests and answers that get lost between client and node, or come very late.
  static constexpr uint64_t kDroppedPermille = 10;

  const SimOptions& options_;
  Scheduler& scheduler_;
  Trace& trace_;
  Cluster& cluster_;
  Counters& counters_;
  Dice dice_;
  LeaseDraws leases_;
  std::vector<ClientOperation> operations_;  // operations_[i] has number i + 1.
  std::vector<std::function<void(const ClientOperation&)>> on_done_;
  std::vector<uint64_t> tries_;  // By place.
  bool reliable_ = false;
  std::vector<raft::NodeId> nodes_;  // That are asked.
  MonotonicNanos timeout_;
  uint64_t wanted_;
  uint64_t begun_ = 0;
  uint64_t ended_ = 0;
  std::vector<uint64_t> idle_;  // Clients that found nothing left to do.
  // By key, the mod_revision that some client saw last.
  std::map<std::string, int64_t> seen_revisions_;
};

}  // namespace raftkv::simulation
