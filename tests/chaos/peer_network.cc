#include "tests/chaos/peer_network.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace raftkv::chaos {
namespace {

using integration::Clock;
using integration::Millis;

constexpr Millis kResetInterval(500);
constexpr int kBacklog = 64;
// What the kernel keeps on its own is no more than a link's queue may hold.
constexpr int kReceiveBufferBytes = 128 << 10;

sockaddr_in LoopbackAddress(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// "127.0.0.1:2380".
sockaddr_in ParseAddress(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, ':');
  int port = 0;
  CHECK(absl::SimpleAtoi(parts.second, &port)) << text;
  sockaddr_in address = LoopbackAddress(port);
  CHECK_EQ(inet_pton(AF_INET, parts.first.c_str(), &address.sin_addr), 1) << text;
  return address;
}

int MakeSocket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  PCHECK(fd >= 0);
  const int on = 1;
  PCHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
  PCHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof(kReceiveBufferBytes)) ==
         0);
  return fd;
}

}  // namespace

PeerNetwork::PeerNetwork(std::vector<std::string> addresses)
    : size_(addresses.size()),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      addresses_(std::move(addresses)),
      free_at_(size_, std::vector<Clock::time_point>(size_)) {
  PCHECK(wake_fd_ >= 0);
  for (size_t from = 0; from < size(); ++from) {
    for (size_t to = 0; to < size(); ++to) {
      if (from != to) {
        Listen(from, to);
      }
    }
  }
  Heal();
  thread_ = std::thread([this] { Run(); });
}

PeerNetwork::~PeerNetwork() {
  stop_ = true;
  Heal();
  thread_.join();
  for (const Listener& listener : listeners_) {
    close(listener.fd);
  }
  close(wake_fd_);
}

void PeerNetwork::Listen(size_t from, size_t to) {
  const int fd = MakeSocket();
  sockaddr_in address = LoopbackAddress(0);
  socklen_t length = sizeof(address);
  PCHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  PCHECK(listen(fd, kBacklog) == 0);
  PCHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  listeners_.push_back({.fd = fd, .port = ntohs(address.sin_port), .from = from, .to = to});
}

std::string PeerNetwork::RedirectsOf(size_t member) const {
  MutexLock lock(&mutex_);
  std::string lines;
  for (const Listener& listener : listeners_) {
    if (listener.from == member) {
      absl::StrAppend(&lines, addresses_[listener.to], " ", listener.port, "\n");
    }
  }
  return lines;
}

void PeerNetwork::Move(size_t member, const std::string& address) {
  MutexLock lock(&mutex_);
  addresses_[member] = address;
}

void PeerNetwork::SetRule(size_t from, size_t to, const LinkRule& rule) {
  Weather weather = CurrentWeather();
  weather.rules[from][to] = rule;
  Change(std::move(weather));
}

void PeerNetwork::SetResets(uint64_t permille) {
  Weather weather = CurrentWeather();
  weather.resets_permille = permille;
  Change(std::move(weather));
}

void PeerNetwork::Heal() {
  Change({.rules = std::vector<std::vector<LinkRule>>(size(), std::vector<LinkRule>(size())),
          .resets_permille = 0});
}

PeerNetwork::Weather PeerNetwork::CurrentWeather() const {
  MutexLock lock(&mutex_);
  return weather_;
}

void PeerNetwork::Change(Weather weather) {
  {
    MutexLock lock(&mutex_);
    weather_ = std::move(weather);
  }
  const uint64_t one = 1;
  PCHECK(write(wake_fd_, &one, sizeof(one)) == sizeof(one));
}

RelayCounts PeerNetwork::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

void PeerNetwork::Run() {
  std::vector<pollfd> polled;
  while (!stop_) {
    Wait(CurrentWeather(), &polled);
    const Weather weather = CurrentWeather();
    HandleEvents(polled, weather);
    MaybeReset(weather);
    ForwardAll(weather);
    std::erase_if(connections_, [](const auto& connection) { return connection->finished(); });
    MutexLock lock(&mutex_);
    counts_ = counting_;
  }
  connections_.clear();
}

void PeerNetwork::ForwardAll(const Weather& weather) {
  ++first_turn_;
  for (size_t i = 0; i < connections_.size(); ++i) {
    RelayConnection& connection = *connections_[(first_turn_ + i) % connections_.size()];
    for (const size_t side : {0U, 1U}) {
      if (!connection.finished()) {
        connection.Forward(side, RuleOf(weather, connection, side),
                           &free_at_[connection.member(side)][connection.member(1 - side)],
                           &counting_);
      }
    }
  }
}

const LinkRule& PeerNetwork::RuleOf(const Weather& weather, const RelayConnection& connection,
                                    size_t side) {
  return weather.rules[connection.member(side)][connection.member(1 - side)];
}

// Fills `polled` with the waker, the listeners, and two of each connection, and waits.
void PeerNetwork::Wait(const Weather& weather, std::vector<pollfd>* polled) {
  polled->assign(1, {.fd = wake_fd_, .events = POLLIN, .revents = 0});
  for (const Listener& listener : listeners_) {
    polled->push_back({.fd = listener.fd, .events = POLLIN, .revents = 0});
  }
  Clock::time_point due = Clock::now() + kResetInterval;
  for (const auto& connection : connections_) {
    for (const size_t side : {0U, 1U}) {
      const LinkRule& rule = RuleOf(weather, *connection, side);
      const short events = connection->WantedEvents(side, rule);
      // One that ended would be reported again and again.
      polled->push_back(
          {.fd = events != 0 ? connection->fd(side) : -1, .events = events, .revents = 0});
      if (rule.bytes == LinkRule::Bytes::kPass) {
        const Clock::time_point free_at =
            rule.bytes_per_second == 0
                ? Clock::time_point()
                : free_at_[connection->member(side)][connection->member(1 - side)];
        due = std::min(due, std::max(free_at, connection->NextDue(side).value_or(due)));
      }
    }
  }
  const auto left = std::chrono::ceil<Millis>(due - Clock::now());
  poll(polled->data(), polled->size(), static_cast<int>(std::max(left, Millis(0)).count()));
}

void PeerNetwork::HandleEvents(const std::vector<pollfd>& polled, const Weather& weather) {
  uint64_t ignored = 0;
  static_cast<void>(read(wake_fd_, &ignored, sizeof(ignored)));
  const size_t first_connection = 1 + listeners_.size();
  for (size_t i = first_connection; i < polled.size(); ++i) {
    RelayConnection& connection = *connections_[(i - first_connection) / 2];
    const size_t side = (i - first_connection) % 2;
    if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      connection.Receive(side, RuleOf(weather, connection, side), &dice_, &counting_);
    }
  }
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (polled[1 + i].revents != 0) {
      Accept(listeners_[i]);
    }
  }
}

void PeerNetwork::Accept(const Listener& listener) {
  const int dialer = accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (dialer < 0) {
    return;  // Gone again.
  }
  const int on = 1;
  PCHECK(setsockopt(dialer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
  const int target = MakeSocket();
  std::string to;
  {
    MutexLock lock(&mutex_);
    to = addresses_[listener.to];
  }
  const sockaddr_in address = ParseAddress(to);
  // A refusal shows when it is read from.
  static_cast<void>(connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
  connections_.push_back(
      std::make_unique<RelayConnection>(dialer, target, listener.from, listener.to));
}

void PeerNetwork::MaybeReset(const Weather& weather) {
  if (weather.resets_permille == 0 || Clock::now() < next_resets_) {
    return;
  }
  next_resets_ = Clock::now() + kResetInterval;
  for (const auto& connection : connections_) {
    if (dice_.Chance(weather.resets_permille)) {
      connection->Reset();
      ++counting_.resets;
    }
  }
}

}  // namespace raftkv::chaos
