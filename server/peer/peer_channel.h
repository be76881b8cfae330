// PeerChannel is the connection to one peer: it dials whatever the peer's addresses mean now, one
// after the other, until one answers, and again when the connection is gone.
//
// When to give up a try and what to dial next is decided here, by the loop's clock and with answers
// of the resolver that are never older than a round. gRPC would wait by the wall clock, longer each
// time, and for an address that it once had.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "server/peer/address_lookup.h"

namespace raftkv::server {

// Confined to the loop.
class PeerChannel final {
 public:
  struct Hooks {
    // Where the peer may be, host:port each, the likeliest first; asked before every round.
    std::function<std::vector<std::string>()> addresses;
    // channel() is another one now: calls on the old one are to be given up. Must not destroy this.
    std::function<void()> on_replaced;
    // For a connection to this ip:port, which `text` tells people; null: plain text.
    std::function<std::shared_ptr<grpc::ChannelCredentials>(const std::string& text)> credentials =
        nullptr;
    // A try was refused, not only left without an answer; channel() is still that of the try, and
    // tells calls why. Null: nobody cares. Must not destroy this.
    std::function<void()> on_failed = nullptr;
  };

  PeerChannel(const MonotonicClock* clock, Hooks hooks);

  // Goes on to the next address when it is time to; called every tick.
  void Tick();
  // The connection is of no use, since somebody else answers, or nobody: goes on to the next
  // address. `why` is for people.
  void GiveUp(const std::string& why);
  // The peer seems to be at this ip:port: tries there next, unless it is connected.
  void OnSeenAt(const std::string& ip_port);

  // Null until an address is known.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // What channel() dials: "host:port", with what a name means in parentheses.
  const std::string& address() const { return address_; }
  // Its "ip:port".
  const std::string& ip_port() const { return ip_port_; }
  // Since when the peer is not connected, or somebody else is in its place; 0: it is connected.
  MonotonicNanos unreachable_since() const { return unreachable_since_; }
  // Why it is not, as far as this side knows; empty: nothing is known.
  const std::string& problem() const { return problem_; }

 private:
  struct Target {
    std::string ip_port;
    std::string text;
  };

  // How long the try that is under way may take.
  MonotonicNanos DialNanos() const;
  void OnConnected();
  void Lose(const std::string& why, MonotonicNanos since);
  void BeginRound();
  void TakeAnswers();
  void ListTargets(const std::string& address);
  void DialNext();

  const MonotonicClock* const clock_;
  const Hooks hooks_;

  std::shared_ptr<grpc::Channel> channel_;
  std::string address_;
  std::string ip_port_;
  std::string problem_ = "no answer yet";
  MonotonicNanos dialled_at_ = 0;
  // This try is over: it failed, led to somebody else, or there was none.
  bool failed_ = true;
  MonotonicNanos unreachable_since_;
  MonotonicNanos last_unreachable_since_ = 0;  // Before the connection that there is.
  MonotonicNanos connected_at_ = 0;

  // A round tries every target once.
  MonotonicNanos round_began_ = 0;
  std::deque<Target> targets_;
  std::set<std::string> listed_;  // The ip:port of every target of this round.
  // Under way, by address, the likeliest first.
  std::vector<std::pair<std::string, std::unique_ptr<AddressLookup>>> lookups_;
  // What was found last, by address; failures do not count.
  std::map<std::string, std::vector<std::string>> last_answers_;
};

}  // namespace raftkv::server
