#include "server/server.h"

#include <glog/logging.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "server/exit_code.h"
#include "server/grpc_log.h"
#include "server/loop/listeners.h"
#include "server/parts.h"
#include "server/service_manager.h"
#include "server/startup.h"
#include "server/startup_signals.h"
#include "server/stop.h"

namespace raftkv::server {
namespace {

int Fail(int exit_code, absl::string_view message) {
  // In one piece, as the ready line, so that no other line gets into it.
  std::cerr << absl::StrCat("raftkvd: ", message, "\n");
  return exit_code;
}

int FailToOpen(const absl::Status& status) {
  return Fail(absl::IsInvalidArgument(status) ? kExitBadConfiguration : kExitBadDirectory,
              status.message());
}

// Ready means listening, after replay: not led, or a cluster that starts member by member would
// never be.
void TellServiceManager() {
  const char* address = std::getenv("NOTIFY_SOCKET");
  if (address == nullptr) {
    return;
  }
  if (const absl::Status told = NotifyServiceManager(address, "READY=1"); !told.ok()) {
    LOG(WARNING) << "systemd cannot be told that the member is ready: " << told.message();
  }
}

class Server final {
 public:
  explicit Server(const ServerOptions& options)
      : parts_(options, Parts::Endings{
                            .unusable = [this](const std::string& reason) { StopUnusable(reason); },
                            .removed = [this](const std::string& what,
                                              bool at_start) { StopRemoved(what, at_start); }}) {}

  int Run();

 private:
  // Returns an exit code when the server cannot go on.
  std::optional<int> OpenData();
  absl::Status StartListening();

  void MakeStop();
  void StartServices();
  void OnTick();
  bool OnTurn();
  void BeginDrain();
  void StopUnusable(const std::string& reason);
  void StopRemoved(const std::string& what, bool at_start);
  void EndConnections();
  void TearDown();

  Parts parts_;
  const ServerOptions& options_ = parts_.options;
  grpc::ServerBuilder client_builder_;
  grpc::ServerBuilder peer_builder_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<grpc::Server> client_server_;
  std::unique_ptr<grpc::Server> peer_server_;
  std::thread shutdown_thread_;
};

int Server::Run() {
  std::optional<StartupSignals> startup_signals(std::in_place);
  TakeGrpcLog();
  auto tls = TlsPorts::Load(options_);
  if (!tls.ok()) {
    return Fail(kExitBadConfiguration, tls.status().message());
  }
  parts_.tls = *std::move(tls);
  parts_.loop = std::make_unique<EventLoop>(client_builder_.AddCompletionQueue(),
                                            peer_builder_.AddCompletionQueue(), &parts_.clock);
  if (const std::optional<int> exit_code = OpenData(); exit_code.has_value()) {
    return *exit_code;
  }
  if (const absl::Status listening = StartListening(); !listening.ok()) {
    return Fail(kExitBadConfiguration, listening.message());
  }
  StartServices();
  LOG(INFO) << "raftkv " << kVersion << " (pid " << getpid() << ")";
  parts_.peers->LogCluster();
  LogStart(options_, parts_.directory->self(), parts_.http->port(), parts_.member->store(),
           parts_.data->disk_reserve_bytes());
  TellServiceManager();
  parts_.peers->Join();
  startup_signals.reset();
  parts_.loop->Run({.on_tick = [this] { OnTick(); }, .on_turn = [this] { return OnTurn(); }});
  TearDown();
  return stop_->exit_code();
}

std::optional<int> Server::OpenData() {
  if (!options_.initial_cluster.empty()) {
    parts_.founders = *ParseInitialCluster(options_.initial_cluster);
  }
  auto storage = OpenStorage(options_, parts_.founders, parts_.loop.get(),
                             [this](MonotonicNanos took) { parts_.request_stats.OnSynced(took); });
  if (!storage.ok()) {
    return FailToOpen(storage.status());
  }
  parts_.data = *std::move(storage);
  auto founders = FindFounders(options_, *parts_.data);
  if (!founders.ok()) {
    return FailToOpen(founders.status());
  }
  parts_.founders = *std::move(founders);
  auto start = FindStartingPoint(options_, parts_.founders, parts_.data.get());
  if (!start.ok()) {
    return FailToOpen(start.status());
  }
  parts_.MakeMember(*std::move(start));
  parts_.MakeServices();
  MakeStop();
  return std::nullopt;
}

void Server::MakeStop() {
  stop_ = std::make_unique<Stop>(
      &parts_.clock,
      [this] {
        return parts_.calls.in_flight + (parts_.member->driver().is_handing_over() ? 1 : 0);
      },
      Stop::Steps{.refuse_new = [this] { BeginDrain(); },
                  .answer_all =
                      [this] {
                        parts_.member->driver().Shutdown();
                        parts_.member->membership()->Shutdown();
                        parts_.member->store().GiveUpReads();
                        parts_.client_api->EndStreams();
                      },
                  .end_connections = [this] { EndConnections(); }});
}

absl::Status Server::StartListening() {
  // First, while nothing has to be taken down again when it fails.
  RAFTKV_RETURN_IF_ERROR(parts_.http->Listen());
  SetUpClientPort(options_, &client_builder_);
  parts_.client_api->Register(&client_builder_);
  RAFTKV_ASSIGN_OR_RETURN(auto client,
                          server::StartListening("listen_client", options_.listen_client,
                                                 parts_.tls->client(), &client_builder_));
  client_server_ = std::move(client.server);

  SetUpPeerPort(options_, &peer_builder_);
  parts_.peers->Register(&peer_builder_);
  RAFTKV_ASSIGN_OR_RETURN(auto peer, server::StartListening("listen_peer", options_.listen_peer,
                                                            parts_.tls->peer(), &peer_builder_));
  peer_server_ = std::move(peer.server);

  AdvertisedAddresses advertised =
      WhatToAdvertise(options_, parts_.founders, client.port, peer.port);
  parts_.directory->SetSelfAddresses(std::move(advertised.client), std::move(advertised.peer));
  return absl::OkStatus();
}

void Server::StartServices() {
  parts_.client_api->Start(parts_.loop->queue(), &parts_.calls);
  parts_.http->Start();
  parts_.peers->Start();
}

void Server::OnTick() {
  stop_->Tick();
  if (GrpcGaveUpPort() && !stop_->begun()) {
    stop_->Begin(Fail(kExitDeaf, kDeafMessage));
  }
  parts_.peers->Tick();
  parts_.member->Tick();
  parts_.disk_usage->Tick();
  parts_.tls->Tick(parts_.upkeep.get(), parts_.clock.Now());
  parts_.member->driver().SetLowOnDisk(parts_.disk_usage->low());
  const MonotonicNanos now = parts_.clock.Now();
  parts_.calls.backlog.Tick(now);
  parts_.calls.unfinished.Tick(now, parts_.memory.slow_requests_max);
}

bool Server::OnTurn() {
  parts_.peers->ReportLosses();
  const bool more = parts_.member->RunTurn();
  return parts_.client_api->OnTurn() || more;
}

// Followers would notice an election timeout later that their leader is gone.
void Server::BeginDrain() {
  parts_.member->store().Drain();
  parts_.client_api->Drain();
  parts_.member->driver().TransferLeadership(raft::kNobody, [](const absl::Status& status) {
    if (!status.ok() && !absl::IsUnavailable(status)) {
      LOG(WARNING) << "leadership is not handed over: " << status.message();
    }
  });
}

void Server::StopUnusable(const std::string& reason) {
  // Until the last calls are answered.
  parts_.member->driver().Retire();
  if (!stop_->begun()) {
    stop_->Begin(Fail(kExitBadDirectory, reason));
  }
}

// The mark, which the loop waits for, is the last thing that the directory is used for.
void Server::StopRemoved(const std::string& what, bool at_start) {
  if (const absl::Status marked = parts_.data->MarkRemoved(what); !marked.ok()) {
    LOG(ERROR) << "the data directory is not marked, and the next start will find out again: "
               << marked.message();
  }
  if (stop_->begun()) {
    return;
  }
  if (at_start) {
    stop_->Begin(
        Fail(kExitBadDirectory, absl::StrCat("--data_dir=", options_.data_dir, ": ", what)));
  } else {
    LOG(WARNING) << "stopping: " << what;
    stop_->Begin(kExitOk);
  }
}

// A server's Shutdown returns once every call is over, and calls are over when the loop has taken
// their last events: so the loop goes on while another thread waits.
void Server::EndConnections() {
  parts_.peers->Shutdown();
  shutdown_thread_ = std::thread([this] {
    parts_.http->Stop();
    const auto now = std::chrono::system_clock::now();
    client_server_->Shutdown(now);
    peer_server_->Shutdown(now);
    parts_.loop->Post([this] { parts_.loop->Stop(); });
  });
}

void Server::TearDown() {
  // From here on nobody looks: a signal ends the process by itself.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  shutdown_thread_.join();
  parts_.reads->Stop();
  parts_.scans->Stop();
  parts_.snapshots->Stop();
  parts_.data->StopGivingBackSpace();
  parts_.upkeep->Stop();
  parts_.member.reset();
  // Finishes what the log still has to write; nothing wakes the loop after it.
  parts_.data.reset();
  parts_.loop->DrainQueues();
  LOG(INFO) << "stopped";
}

}  // namespace

int RunServer(const ServerOptions& options) { return Server(options).Run(); }

}  // namespace raftkv::server
