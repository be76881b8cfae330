#include "server/peer/peer_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/limits.h"

namespace raftkv::server {
namespace {

// How long one try to connect may take, when other addresses wait and when none do (RFC 8305).
constexpr MonotonicNanos kDialOfSeveralNanos = 500 * kNanosPerMilli;
constexpr MonotonicNanos kDialNanos = kNanosPerSecond;
// TLS takes another round trip, and keys are computed with.
constexpr int kTlsDialFactor = 2;
// Between the beginnings of two rounds, however quickly all tries fail.
constexpr MonotonicNanos kRoundNanos = 250 * kNanosPerMilli;
// Somebody who answers in the peer's place is found out within this.
constexpr MonotonicNanos kProbationNanos = 5 * kNanosPerSecond;

// A connection of its own to an ip:port. gRPC's timers go by the wall clock here, so nothing may
// rest on them: a try ends by PeerChannel's clock, and a dead connection by the kernel's.
std::shared_ptr<grpc::Channel> MakePeerChannel(
    const std::string& ip_port, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPeerKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPeerKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Without probing, all streams of a connection together carry 64 KiB a round trip.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 * static_cast<int>(kMiB));
  arguments.SetMaxReceiveMessageSize(kPeerMessageBytesMax);
  arguments.SetMaxSendMessageSize(kPeerMessageBytesMax);
  // Without a scheme gRPC would ask the resolver for it. A scope (fe80::1%eth0) is escaped in URIs.
  const std::string target = absl::StrCat(absl::StartsWith(ip_port, "[") ? "ipv6:" : "ipv4:",
                                          absl::StrReplaceAll(ip_port, {{"%", "%25"}}));
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

}  // namespace

PeerChannel::PeerChannel(const MonotonicClock* clock, Hooks hooks)
    : clock_(clock), hooks_(std::move(hooks)), unreachable_since_(clock->Now()) {}

void PeerChannel::Tick() {
  const MonotonicNanos now = clock_->Now();
  if (!failed_) {
    const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) {
      OnConnected();
      return;
    }
    if (unreachable_since_ == 0) {
      // Answers that came meanwhile are old.
      std::erase_if(lookups_, [](const auto& lookup) { return lookup.second->Done(); });
      targets_.clear();
      Lose(absl::StrCat("the connection to ", address_, " broke"), now);
    } else if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) {
      Lose(absl::StrCat("cannot connect to ", address_), unreachable_since_);
      if (hooks_.on_failed != nullptr) {
        hooks_.on_failed();
      }
    } else if (now - dialled_at_ >= DialNanos()) {
      Lose(absl::StrCat("no answer from ", address_), unreachable_since_);
    }
  }
  TakeAnswers();
  if (failed_ && targets_.empty() && now - round_began_ >= kRoundNanos) {
    BeginRound();
  }
  if (failed_ && !targets_.empty()) {
    DialNext();
  }
}

MonotonicNanos PeerChannel::DialNanos() const {
  const MonotonicNanos plain = targets_.empty() ? kDialNanos : kDialOfSeveralNanos;
  return hooks_.credentials != nullptr ? kTlsDialFactor * plain : plain;
}

void PeerChannel::OnConnected() {
  if (unreachable_since_ != 0) {
    last_unreachable_since_ = std::exchange(unreachable_since_, 0);
    connected_at_ = clock_->Now();
    problem_.clear();
  }
}

void PeerChannel::Lose(const std::string& why, MonotonicNanos since) {
  failed_ = true;
  problem_ = why;
  unreachable_since_ = since;
}

void PeerChannel::GiveUp(const std::string& why) {
  if (unreachable_since_ != 0) {
    Lose(why, unreachable_since_);
    return;
  }
  const MonotonicNanos now = clock_->Now();
  Lose(why, now - connected_at_ < kProbationNanos ? last_unreachable_since_ : now);
}

void PeerChannel::OnSeenAt(const std::string& ip_port) {
  if (unreachable_since_ != 0 && listed_.insert(ip_port).second) {
    targets_.push_front({.ip_port = ip_port, .text = ip_port});
  }
}

void PeerChannel::BeginRound() {
  round_began_ = clock_->Now();
  listed_.clear();
  const std::vector<std::string> addresses = hooks_.addresses();
  std::erase_if(last_answers_, [&addresses](const auto& answer) {
    return std::find(addresses.begin(), addresses.end(), answer.first) == addresses.end();
  });
  for (const std::string& address : addresses) {
    const bool asked = std::any_of(lookups_.begin(), lookups_.end(),
                                   [&](const auto& lookup) { return lookup.first == address; });
    if (asked) {
      // The resolver is slow: what it said last is better than nothing.
      ListTargets(address);
    } else {
      lookups_.emplace_back(address, std::make_unique<AddressLookup>(address));
    }
  }
  TakeAnswers();
}

void PeerChannel::TakeAnswers() {
  std::erase_if(lookups_, [this](const auto& entry) {
    const auto& [address, lookup] = entry;
    if (!lookup->Done()) {
      return false;
    }
    if (lookup->addresses().empty()) {
      problem_ = lookup->problem();
    } else {
      last_answers_[address] = lookup->addresses();
    }
    ListTargets(address);
    return true;
  });
}

void PeerChannel::ListTargets(const std::string& address) {
  for (const std::string& ip_port : last_answers_[address]) {
    if (listed_.insert(ip_port).second) {
      targets_.push_back(
          {.ip_port = ip_port,
           .text = address == ip_port ? address : absl::StrCat(address, " (", ip_port, ")")});
    }
  }
}

void PeerChannel::DialNext() {
  const Target target = std::move(targets_.front());
  targets_.pop_front();
  channel_ = MakePeerChannel(target.ip_port, hooks_.credentials != nullptr
                                                 ? hooks_.credentials(target.text)
                                                 : grpc::InsecureChannelCredentials());
  address_ = target.text;
  ip_port_ = target.ip_port;
  dialled_at_ = clock_->Now();
  failed_ = false;
  channel_->GetState(/*try_to_connect=*/true);
  hooks_.on_replaced();
}

}  // namespace raftkv::server
