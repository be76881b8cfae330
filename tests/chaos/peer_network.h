// The network between members, in this process: each reaches each other one through a port of its
// own here, so what happens to bytes can be said for every direction by itself.
//
// Members are led here by redirect_connect.c, preloaded into them. What comes in goes to wherever
// the member lives then.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "tests/chaos/relay_connection.h"

namespace raftkv::chaos {

// Relays from construction to destruction. Thread-safe.
class PeerNetwork {
 public:
  // Members by the loopback addresses that they listen on for peers: "127.0.0.1:2380".
  explicit PeerNetwork(std::vector<std::string> addresses);
  ~PeerNetwork();
  PeerNetwork(const PeerNetwork&) = delete;
  PeerNetwork& operator=(const PeerNetwork&) = delete;

  size_t size() const { return size_; }
  // What redirect_connect must know in a member, for the addresses of now.
  std::string RedirectsOf(size_t member) const;
  // The member will listen there from its next start on. REQUIRES: it is down.
  void Move(size_t member, const std::string& address);

  void SetRule(size_t from, size_t to, const LinkRule& rule);
  LinkRule rule(size_t from, size_t to) const { return CurrentWeather().rules[from][to]; }
  // Twice a second, so many of 1000 connections are reset.
  void SetResets(uint64_t permille);
  // All as it was at first.
  void Heal();

  RelayCounts counts() const;

 private:
  struct Listener {
    int fd;
    int port;
    size_t from;
    size_t to;
  };
  // Rules by [from][to], and resets.
  struct Weather {
    std::vector<std::vector<LinkRule>> rules;
    uint64_t resets_permille = 0;
  };

  void Listen(size_t from, size_t to);
  void Run();
  // For what comes from a side.
  static const LinkRule& RuleOf(const Weather& weather, const RelayConnection& connection,
                                size_t side);
  void Wait(const Weather& weather, std::vector<pollfd>* polled);
  void ForwardAll(const Weather& weather);
  void HandleEvents(const std::vector<pollfd>& polled, const Weather& weather);
  void Accept(const Listener& listener);
  void MaybeReset(const Weather& weather);
  void Change(Weather weather);
  Weather CurrentWeather() const;

  // Constant after construction.
  const size_t size_;
  std::vector<Listener> listeners_;
  int wake_fd_ = -1;

  mutable Mutex mutex_;
  std::vector<std::string> addresses_ ABSL_GUARDED_BY(mutex_);
  Weather weather_ ABSL_GUARDED_BY(mutex_);
  RelayCounts counts_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stop_{false};

  // Confined to the relay's thread.
  std::vector<std::unique_ptr<RelayConnection>> connections_;
  // By [from][to]: when the link has carried what was given to it, as far as it is slow.
  std::vector<std::vector<integration::Clock::time_point>> free_at_;
  // Connections that share a slow link take turns.
  size_t first_turn_ = 0;
  RelayCounts counting_;
  simulation::Dice dice_{1, "peer network"};
  integration::Clock::time_point next_resets_ = integration::Clock::now();

  std::thread thread_;
};

}  // namespace raftkv::chaos
