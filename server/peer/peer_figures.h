// What a member can tell of its connections to the others, for whoever watches it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/histogram.h"
#include "raft/core/types.h"

namespace raftkv::server {

// Of the frames on the streams between this member and one other, whichever opened them.
struct PeerTraffic {
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
};

// From a Hello to its answer, about one a second: from a tenth of a millisecond to 3.28 s.
inline Histogram RoundTripHistogram() { return {kNanosPerMilli / 10, 16}; }

struct PeerFigures {
  raft::NodeId id;
  std::string name;
  bool is_connected = false;
  PeerTraffic traffic;
  Histogram round_trip_nanos = RoundTripHistogram();
  // Of snapshots that were brought to it.
  bool snapshot_under_way = false;
  uint64_t snapshot_sent_bytes = 0;
};

struct PeerWingFigures {
  std::vector<PeerFigures> peers = {};
  uint64_t refused_calls = 0;
};

}  // namespace raftkv::server
