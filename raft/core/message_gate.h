// MessageGate keeps what a node says from leaving before the hard state under which it was said is
// durable: a vote (thesis §3.8), but also any other word in a term.
//
// Writes become durable in order, so the entries that were in the log when something was said are
// durable too when it leaves, as the tail that a candidate advertises must be.
#pragma once

#include <deque>
#include <vector>

#include "raft/core/message.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// Confined to one thread.
class MessageGate {
 public:
  // The hard state has changed, and the write `carrier` brings the new one to the disk. REQUIRES:
  // ids never go back.
  void OnHardStateChanged(WriteId carrier);
  // Every write up to `last` is durable: appends to `out` what may leave now, in the order in which
  // it was passed. What was said in another term than `term` is dropped. REQUIRES: ids never go
  // back.
  void OnPersisted(WriteId last, Term term, std::vector<Envelope>* out);
  // Lets the message through to `out`, or holds it until the hard state is durable. `term` is the
  // node's own.
  void Pass(Envelope envelope, Term term, std::vector<Envelope>* out);

  // The node stands for election no more: drops what it asks voters for and has not left.
  void DropVoteRequests();

  // Whether the hard state is durable, and nothing is held.
  bool is_open() const { return hard_state_write_ <= persisted_; }
  // What brings the current hard state to the disk.
  WriteId hard_state_write() const { return hard_state_write_; }
  WriteId persisted() const { return persisted_; }

 private:
  struct HeldMessage {
    WriteId after;
    Term said_in;
    Envelope envelope;
  };

  WriteId hard_state_write_;
  WriteId persisted_;
  // Invariant: `after` and `said_in` never fall along the queue; empty when the gate is open.
  std::deque<HeldMessage> held_;
};

}  // namespace raftkv::raft
