// A RaftCore in a state that a fuzzer chose, with a disk and a state machine that answer when the
// fuzzer says so. What the core sends must stand the checks of its peers: it is encoded and decoded
// again on the way out. Confined to one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "raft/core/raft_core.h"
#include "tests/fuzz/byte_source.h"

namespace raftkv::fuzz {

class FuzzedCore {
 public:
  // Takes the first state from `source`.
  explicit FuzzedCore(ByteSource* source);

  const raft::RaftCore& core() const { return *core_; }

  // One input that is no message: time, the disk, a proposal, a read, a crash.
  void Act(ByteSource* source);
  // A message of a peer, as a server takes it: what the core says no correct peer sends does not
  // reach it. All else must not end the process.
  void Deliver(raft::Envelope envelope);

 private:
  void Start(ByteSource* source);
  void Crash(ByteSource* source);
  void Persist(uint64_t writes);
  void ApplyAll();
  void AnswerLoad();
  // Carries out what the core wants, except for the disk and the state machine.
  void CarryOut();

  raft::RaftConfig config_;
  raft::Configuration configuration_;
  std::unique_ptr<raft::RaftCore> core_;
  uint64_t starts_ = 0;
  uint64_t last_read_ = 0;

  // What the core has of the log, and what the disk has of it.
  std::vector<raft::Entry> log_;
  std::vector<raft::Entry> disk_;
  raft::HardState disk_state_;
  raft::LogIndex applied_;
  std::deque<raft::LogWrite> writes_;
  std::deque<raft::LoadEntries> loads_;
  raft::LogIndex to_apply_;
};

}  // namespace raftkv::fuzz
