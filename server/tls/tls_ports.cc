#include "server/tls/tls_ports.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace raftkv::server {

absl::StatusOr<std::unique_ptr<TlsPorts>> TlsPorts::Load(const ServerOptions& options) {
  auto ports = std::make_unique<TlsPorts>();
  const std::pair<TlsFiles, std::shared_ptr<PortTls>*> wanted[] = {
      {ClientTlsFiles(options), &ports->client_},
      {PeerTlsFiles(options), &ports->peer_},
      {HttpTlsFiles(options), &ports->http_}};
  for (const auto& [files, port] : wanted) {
    if (!files.on()) {
      continue;
    }
    const auto same =
        std::find_if(ports->all_.begin(), ports->all_.end(),
                     [&files = files](const auto& each) { return each->files() == files; });
    if (same != ports->all_.end()) {
      *port = *same;
      continue;
    }
    auto loaded = PortTls::Load(files, absl::Now());
    if (!loaded.ok()) {
      return loaded.status();
    }
    *port = *loaded;
    ports->all_.push_back(*std::move(loaded));
  }
  return ports;
}

void TlsPorts::Tick(kv::DiskPool* pool, MonotonicNanos now) {
  if (all_.empty() || looking_ || now < next_look_) {
    return;
  }
  const bool submitted = pool->Submit(kv::DiskPool::Length::kShort, [this, all = all_] {
    for (const std::shared_ptr<PortTls>& port : all) {
      port->Look(absl::Now());
    }
    return [this] { looking_ = false; };
  });
  // One look at a time, however long it takes.
  looking_ = submitted;
  next_look_ = now + kTlsLookInterval;
}

std::vector<std::string> TlsPorts::Warnings() const {
  std::vector<std::string> warnings;
  for (const std::shared_ptr<PortTls>& port : all_) {
    for (std::string& warning : port->Warnings(absl::Now())) {
      if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) {
        warnings.push_back(std::move(warning));
      }
    }
  }
  return warnings;
}

absl::Time TlsPorts::not_after() const {
  absl::Time first = absl::InfiniteFuture();
  for (const std::shared_ptr<PortTls>& port : all_) {
    first = std::min(first, port->identity()->not_after);
  }
  return first;
}

}  // namespace raftkv::server
