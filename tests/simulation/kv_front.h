// What a server's KvService does between clients and driver, without gRPC.
#pragma once

#include <functional>

#include "raft/runtime/raft_driver.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"
#include "tests/simulation/requests.h"
#include "tests/simulation/sim_state_machine.h"

namespace raftkv::simulation {

// Confined to one thread. Ends with its process; requests without an answer never get one then.
class KvFront {
 public:
  KvFront(const SimOptions* options, ProcessEvents* events, raft::RaftDriver* driver,
          SimStateMachine* state_machine, const MonotonicClock* clock, Dice dice,
          Counters* counters)
      : options_(*options),
        events_(*events),
        driver_(*driver),
        state_machine_(*state_machine),
        clock_(*clock),
        dice_(dice),
        counters_(*counters) {}

  void Handle(Request request, ReplyCallback done);
  // From now on requests are refused; those under way go on.
  void Drain() { draining_ = true; }

 private:
  void HandleWrite(const Request& request, ReplyCallback done);
  void HandleRead(Request request, ReplyCallback done);
  void ServeRead(const Request& request, ReplyCallback done);
  // Answers from the state as of now, after some time in the read pool.
  void ServeFromView(const Request& request, ReplyCallback done);

  const SimOptions& options_;
  ProcessEvents& events_;
  raft::RaftDriver& driver_;
  SimStateMachine& state_machine_;
  const MonotonicClock& clock_;
  Dice dice_;
  Counters& counters_;
  bool draining_ = false;
};

}  // namespace raftkv::simulation
