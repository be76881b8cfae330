// TlsPorts holds the TLS of all three ports, and looks now and then whether its files have changed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/disk_pool.h"
#include "server/options.h"
#include "server/tls/port_tls.h"

namespace raftkv::server {

// How soon new files are noticed.
inline constexpr MonotonicNanos kTlsLookInterval = kNanosPerSecond;

// Confined to the loop, but for what it returns.
class TlsPorts final {
 public:
  // Reads all files; fails with one line that names flag, file and what is wrong with it.
  // REQUIRES: CheckTlsFlags(options).
  static absl::StatusOr<std::unique_ptr<TlsPorts>> Load(const ServerOptions& options);

  // Null: the port speaks plain text. Ports with the same files have the same.
  const std::shared_ptr<PortTls>& client() const { return client_; }
  const std::shared_ptr<PortTls>& peer() const { return peer_; }
  const std::shared_ptr<PortTls>& http() const { return http_; }

  // Has the files looked at when it is time to. Called every tick; no callback of the pool may come
  // after the end of this.
  void Tick(kv::DiskPool* pool, MonotonicNanos now);

  // For people; empty when all is well.
  std::vector<std::string> Warnings() const;
  // When the first certificate ends that is in use; infinite without TLS.
  absl::Time not_after() const;

 private:
  std::shared_ptr<PortTls> client_;
  std::shared_ptr<PortTls> peer_;
  std::shared_ptr<PortTls> http_;
  // Each once.
  std::vector<std::shared_ptr<PortTls>> all_;
  bool looking_ = false;
  MonotonicNanos next_look_ = 0;
};

}  // namespace raftkv::server
