// One connection between two members, taken apart in the middle: bytes of each direction wait here
// until the rule of their direction lets them go.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>

#include "tests/simulation/dice.h"
#include "tests/support/wait.h"

namespace raftkv::chaos {

// What happens to bytes on their way from one member to another.
struct LinkRule {
  enum class Bytes {
    kPass,
    kHold,  // Wait until the rule passes, as TCP's own retransmission would have it.
    kDrop,  // Vanish; the connection is reset when the rule passes again.
  };
  Bytes bytes = Bytes::kPass;
  integration::Millis delay_min = integration::Millis(0);
  integration::Millis delay_max = integration::Millis(0);
  // What the link carries, shared by all connections; 0 is as much as it is given.
  uint64_t bytes_per_second = 0;
};

// What a relay did to bytes and connections.
struct RelayCounts {
  uint64_t withheld_chunks = 0;  // held or dropped
  uint64_t delayed_chunks = 0;
  uint64_t slow_waits = 0;  // turns in which bytes waited for a slow link
  uint64_t resets = 0;
};

// Confined to the relay's thread.
class RelayConnection {
 public:
  // The dialer's end and the target's, side 0 and 1; both are closed at destruction. The sockets
  // must not block.
  RelayConnection(int dialer_fd, int target_fd, size_t dialer, size_t target);
  ~RelayConnection();
  RelayConnection(const RelayConnection&) = delete;
  RelayConnection& operator=(const RelayConnection&) = delete;

  int fd(size_t side) const { return fds_[side]; }
  // The member behind a side.
  size_t member(size_t side) const { return members_[side]; }
  // poll's events that a side waits for; nothing when it cannot matter.
  short WantedEvents(size_t side, const LinkRule& rule) const;
  // When the next byte from a side may go on, as far as time decides.
  std::optional<integration::Clock::time_point> NextDue(size_t side) const;

  // Takes what the side's member has sent.
  void Receive(size_t side, const LinkRule& rule, simulation::Dice* dice, RelayCounts* counts);
  // Sends on what came from `side` and is due; on a slow link a little at a time, once `free_at`
  // has come, which it moves on.
  void Forward(size_t side, const LinkRule& rule, integration::Clock::time_point* free_at,
               RelayCounts* counts);
  // Nothing more can come through: close it.
  bool finished() const { return finished_; }
  // Makes its end a reset instead of an orderly close.
  void Reset();

 private:
  struct Chunk {
    integration::Clock::time_point due;
    std::string bytes;
  };
  // What came from one side.
  struct Direction {
    std::deque<Chunk> chunks;
    size_t waiting_bytes = 0;
    bool ended = false;    // Nothing more will come.
    bool lost = false;     // Bytes were dropped, so nothing later may pass.
    bool blocked = false;  // The other side takes no more for now.
  };

  // How much of `length` may go on now, for a link that is slow.
  static size_t Share(size_t length, const LinkRule& rule, integration::Clock::time_point* free_at);

  const std::array<int, 2> fds_;
  const std::array<size_t, 2> members_;
  std::array<Direction, 2> directions_;
  bool finished_ = false;
};

}  // namespace raftkv::chaos
