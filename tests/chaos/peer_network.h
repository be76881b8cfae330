// The network between members, in this process: each reaches each other one through a port of its
// own here, so what happens to bytes can be said for every direction by itself.
//
// Members are led here by redirect_connect.c, preloaded into them.
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
  // Members by the ports of 127.0.0.1 that they listen on for peers.
  explicit PeerNetwork(std::vector<int> peer_ports);
  ~PeerNetwork();
  PeerNetwork(const PeerNetwork&) = delete;
  PeerNetwork& operator=(const PeerNetwork&) = delete;

  size_t size() const { return peer_ports_.size(); }
  // What a member needs in its environment, besides the preloaded redirect_connect.
  std::string EnvironmentOf(size_t member) const;

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
  void HandleEvents(const std::vector<pollfd>& polled, const Weather& weather);
  void Accept(const Listener& listener);
  void MaybeReset(const Weather& weather);
  void Change(Weather weather);
  Weather CurrentWeather() const;

  // Constant after construction.
  const std::vector<int> peer_ports_;
  std::vector<Listener> listeners_;
  int wake_fd_ = -1;

  mutable Mutex mutex_;
  Weather weather_ ABSL_GUARDED_BY(mutex_);
  RelayCounts counts_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stop_{false};

  // Confined to the relay's thread.
  std::vector<std::unique_ptr<RelayConnection>> connections_;
  RelayCounts counting_;
  simulation::Dice dice_{1, "peer network"};
  integration::Clock::time_point next_resets_ = integration::Clock::now();

  std::thread thread_;
};

}  // namespace raftkv::chaos
