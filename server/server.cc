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
#include "kv/member.h"
#include "server/api/backups.h"
#include "server/api/client_api.h"
#include "server/differing_state.h"
#include "server/disk_usage.h"
#include "server/event_log.h"
#include "server/exit_code.h"
#include "server/grpc_log.h"
#include "server/http/gateway.h"
#include "server/limits.h"
#include "server/loop/event_loop.h"
#include "server/loop/listeners.h"
#include "server/loop/request_stats.h"
#include "server/loop/thread_disk_pool.h"
#include "server/memory_budget.h"
#include "server/memory_usage.h"
#include "server/metrics/metrics.h"
#include "server/metrics/raft_counts.h"
#include "server/peer/peer_wing.h"
#include "server/service_manager.h"
#include "server/startup.h"
#include "server/startup_signals.h"
#include "server/stop.h"
#include "server/tls/tls_ports.h"
#include "storage/storage.h"

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

BackupFigures FiguresOf(const Backups& backups) {
  return {.in_progress = backups.running(),
          .begun = backups.counts().begun,
          .completed = backups.counts().completed,
          .sent_bytes = backups.counts().bytes};
}

class Server final {
 public:
  explicit Server(const ServerOptions& options) : options_(options) {}

  int Run();

 private:
  // Returns an exit code when the server cannot go on.
  std::optional<int> OpenData();
  absl::Status StartListening();

  void MakeMember(StartingPoint start);
  void MakeServices();
  void MakeMetrics();
  void StartServices();
  void OnTick();
  bool OnTurn();
  void BeginDrain();
  // What GetStatus tells people.
  std::vector<std::string> Warnings() const;
  // The data directory turned out to be unusable.
  void StopUnusable(const std::string& reason);
  // This member was removed from the cluster.
  void StopRemoved(const std::string& what, bool at_start);
  void EndConnections();
  void TearDown();

  const ServerOptions options_;
  const MemoryBudget memory_ = ShareOutMemory(options_);
  const SystemMonotonicClock clock_;
  const MonotonicNanos started_at_ = clock_.Now();
  std::vector<Founder> founders_;
  // The log thread tells it of syncs, too, so it outlives the storage.
  RequestStats request_stats_{&clock_};

  // In the order in which they are made; taken down in the reverse order (TearDown).
  std::unique_ptr<TlsPorts> tls_;
  grpc::ServerBuilder client_builder_;
  grpc::ServerBuilder peer_builder_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<kv::MemberDirectory> directory_;
  std::unique_ptr<ThreadDiskPool> reads_;
  // Of its own, so that long lists do not make keys expire late.
  std::unique_ptr<ThreadDiskPool> scans_;
  // Of its own, so that what clients ask does not wait for snapshots, nor these for it.
  std::unique_ptr<ThreadDiskPool> snapshots_;
  // Of its own, since what it does may take minutes, and looks at the disk must not wait for that.
  std::unique_ptr<ThreadDiskPool> upkeep_;
  std::unique_ptr<DiskUsage> disk_usage_;
  std::unique_ptr<PeerWing> peers_;
  std::unique_ptr<EventLog> event_log_;
  std::unique_ptr<RaftCounts> raft_counts_;
  std::unique_ptr<kv::Member> member_;
  CallAccounting calls_{memory_.unsent_answers};
  std::unique_ptr<MemoryUsage> memory_usage_;
  std::unique_ptr<ClientApi> client_api_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Gateway> http_;
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
  tls_ = *std::move(tls);
  loop_ = std::make_unique<EventLoop>(client_builder_.AddCompletionQueue(),
                                      peer_builder_.AddCompletionQueue(), &clock_);
  if (const std::optional<int> exit_code = OpenData(); exit_code.has_value()) {
    return *exit_code;
  }
  if (const absl::Status listening = StartListening(); !listening.ok()) {
    return Fail(kExitBadConfiguration, listening.message());
  }
  StartServices();
  LOG(INFO) << "raftkv " << kVersion << " (pid " << getpid() << ")";
  peers_->LogCluster();
  LogStart(options_, directory_->self(), http_->port(), member_->store(),
           storage_->disk_reserve_bytes());
  TellServiceManager();
  peers_->Join();
  startup_signals.reset();
  loop_->Run({.on_tick = [this] { OnTick(); }, .on_turn = [this] { return OnTurn(); }});
  TearDown();
  return stop_->exit_code();
}

std::optional<int> Server::OpenData() {
  if (!options_.initial_cluster.empty()) {
    founders_ = *ParseInitialCluster(options_.initial_cluster);
  }
  auto storage = OpenStorage(options_, founders_, loop_.get(),
                             [this](MonotonicNanos took) { request_stats_.OnSynced(took); });
  if (!storage.ok()) {
    return FailToOpen(storage.status());
  }
  storage_ = *std::move(storage);
  auto founders = FindFounders(options_, *storage_);
  if (!founders.ok()) {
    return FailToOpen(founders.status());
  }
  founders_ = *std::move(founders);
  auto start = FindStartingPoint(options_, founders_, storage_.get());
  if (!start.ok()) {
    return FailToOpen(start.status());
  }
  MakeMember(*std::move(start));
  MakeServices();
  return std::nullopt;
}

void Server::MakeMember(StartingPoint start) {
  directory_ = std::make_unique<kv::MemberDirectory>(
      kv::MemberDirectory::Self{
          .id = start.member_id,
          .name = options_.name,
          .data_id = storage_->data_id(),
          .client_address = "",
          .peer_address = "",
          .restored_from = storage_->restored().has_value() ? storage_->restored()->backup_id : 0},
      &storage_->configuration(), storage_->state_machine());
  reads_ = std::make_unique<ThreadDiskPool>(kPoolThreads, kPoolTasksMax, loop_.get());
  scans_ = std::make_unique<ThreadDiskPool>(1, kPoolTasksMax, loop_.get());
  snapshots_ = std::make_unique<ThreadDiskPool>(kSnapshotPoolThreads, kPoolTasksMax, loop_.get());
  upkeep_ = std::make_unique<ThreadDiskPool>(kUpkeepPoolThreads, kPoolTasksMax, loop_.get());
  disk_usage_ = std::make_unique<DiskUsage>(storage_.get(), upkeep_.get(), &clock_);
  event_log_ =
      std::make_unique<EventLog>(directory_.get(), [this](const raft::StateDifference& difference) {
        EndDiffering(Describe(difference), storage_.get());
      });
  raft_counts_ = std::make_unique<RaftCounts>(event_log_.get());
  peers_ = std::make_unique<PeerWing>(
      &options_, founders_, storage_.get(), directory_.get(), tls_->peer(), snapshots_.get(),
      loop_.get(), &clock_,
      PeerWing::Hooks{.stop_unusable = [this](const std::string& reason) { StopUnusable(reason); },
                      .on_joined =
                          [this](uint64_t id, raft::Configuration ids) {
                            member_->Join(raft::NodeId(id), std::move(ids));
                          },
                      .on_removed = [this](const std::string& what,
                                           bool at_start) { StopRemoved(what, at_start); }});
  member_ = std::make_unique<kv::Member>(
      OptionsOfMember(options_, start.member_id),
      kv::Member::Edges{
          .transport = peers_->transport(),
          .log_store = storage_->log_store(),
          .state_machine = storage_->state_machine(),
          .clock = &clock_,
          .observer = raft_counts_.get(),
          .directory = directory_.get(),
          .reads = reads_.get(),
          .scans = scans_.get(),
          .upkeep = upkeep_.get(),
          .save_clock = [this](const auto& reading) { storage_->SaveClusterClock(reading); },
          .on_unusable = [this](const std::string& problem) { StopUnusable(problem); },
          .on_wrong_state = [this](const auto& what) { EndDiffering(what, storage_.get()); }},
      std::move(start.restored), storage_->restored_clock());
  member_->driver().SetDormant(!directory_->founded());
  peers_->SetMember(member_.get());
}

void Server::MakeServices() {
  calls_.clock = &clock_;
  calls_.requests = &request_stats_;
  calls_.default_timeout = options_.request_timeout_ms * kNanosPerMilli;
  kv::Store* const store = &member_->store();
  memory_usage_ =
      std::make_unique<MemoryUsage>(options_.memory_bytes_max, storage_.get(), &calls_.backlog);
  client_api_ = std::make_unique<ClientApi>(
      KvService::Limits{
          .value_bytes_max = static_cast<uint64_t>(options_.value_bytes_max),
          .delete_range_keys_max = static_cast<uint64_t>(options_.delete_range_keys_max)},
      ClusterService::Hooks{.started_at = started_at_,
                            .disk_bytes = [this] { return disk_usage_->bytes(); },
                            .fill_memory = [this](auto* use) { memory_usage_->Fill(use); },
                            .transfer_at =
                                [this](raft::NodeId leader, raft::NodeId target,
                                       MonotonicNanos deadline, raft::TransferCallback done) {
                                  peers_->TransferLeadership(leader, target, deadline,
                                                             std::move(done));
                                },
                            .change_members =
                                [this](const peer::v1::ChangeMembersRequest& change,
                                       MonotonicNanos deadline, kv::Membership::Done done) {
                                  peers_->ChangeMembers(change, deadline, std::move(done));
                                },
                            .fill_requests = [this](auto* to) { FillStats(request_stats_, to); },
                            .fill_peers = [this](auto* to) { peers_->FillStatus(to); },
                            .warnings = [this] { return Warnings(); }},
      directory_.get(), store, &member_->watches(), &member_->driver(), snapshots_.get(), &clock_);
  MakeMetrics();
  http_ = std::make_unique<Gateway>(
      options_, client_api_->services(), tls_->http(), loop_.get(), &calls_, &clock_,
      [this](MonotonicNanos timeout) { return metrics_->Scrape(timeout); });
  stop_ = std::make_unique<Stop>(
      &clock_, [this] { return calls_.in_flight + (member_->driver().is_handing_over() ? 1 : 0); },
      Stop::Steps{.refuse_new = [this] { BeginDrain(); },
                  .answer_all =
                      [this] {
                        member_->driver().Shutdown();
                        member_->membership()->Shutdown();
                        member_->store().GiveUpReads();
                        client_api_->EndStreams();
                      },
                  .end_connections = [this] { EndConnections(); }});
}

void Server::MakeMetrics() {
  metrics_ = std::make_unique<Metrics>(
      Metrics::Sources{.directory = directory_.get(),
                       .member = member_.get(),
                       .storage = storage_.get(),
                       .raft = raft_counts_.get(),
                       .peers = peers_.get(),
                       .calls = &calls_,
                       .services = client_api_->services(),
                       .disk =
                           [this] {
                             return DiskFigures{.used_bytes = disk_usage_->bytes(),
                                                .free_bytes = disk_usage_->space().free_bytes,
                                                .total_bytes = disk_usage_->space().total_bytes,
                                                .reserve_bytes = disk_usage_->reserve_bytes(),
                                                .is_low = disk_usage_->low()};
                           },
                       .backups = [this] { return FiguresOf(client_api_->backups()); },
                       .fill_memory = [this](auto* use) { memory_usage_->Fill(use); },
                       .warnings = [this] { return client_api_->Warnings(); },
                       .certificates_end = [this] { return tls_->not_after(); }},
      loop_.get(), &clock_);
}

absl::Status Server::StartListening() {
  // First, while nothing has to be taken down again when it fails.
  RAFTKV_RETURN_IF_ERROR(http_->Listen());
  SetUpClientPort(options_, &client_builder_);
  client_api_->Register(&client_builder_);
  RAFTKV_ASSIGN_OR_RETURN(
      auto client, server::StartListening("listen_client", options_.listen_client, tls_->client(),
                                          &client_builder_));
  client_server_ = std::move(client.server);

  SetUpPeerPort(options_, &peer_builder_);
  peers_->Register(&peer_builder_);
  RAFTKV_ASSIGN_OR_RETURN(auto peer, server::StartListening("listen_peer", options_.listen_peer,
                                                            tls_->peer(), &peer_builder_));
  peer_server_ = std::move(peer.server);

  AdvertisedAddresses advertised = WhatToAdvertise(options_, founders_, client.port, peer.port);
  directory_->SetSelfAddresses(std::move(advertised.client), std::move(advertised.peer));
  return absl::OkStatus();
}

void Server::StartServices() {
  client_api_->Start(loop_->queue(), &calls_);
  http_->Start();
  peers_->Start();
}

std::vector<std::string> Server::Warnings() const {
  std::vector<std::string> warnings = peers_->Warnings();
  for (std::string& warning : tls_->Warnings()) {
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

void Server::OnTick() {
  stop_->Tick();
  if (GrpcGaveUpPort() && !stop_->begun()) {
    stop_->Begin(Fail(kExitDeaf, kDeafMessage));
  }
  peers_->Tick();
  member_->Tick();
  disk_usage_->Tick();
  tls_->Tick(upkeep_.get(), clock_.Now());
  member_->driver().SetLowOnDisk(disk_usage_->low());
  const MonotonicNanos now = clock_.Now();
  calls_.backlog.Tick(now);
  calls_.unfinished.Tick(now, memory_.slow_requests_max);
}

bool Server::OnTurn() {
  peers_->ReportLosses();
  const bool more = member_->RunTurn();
  return client_api_->OnTurn() || more;
}

// Followers would notice an election timeout later that their leader is gone.
void Server::BeginDrain() {
  member_->store().Drain();
  client_api_->EndKeyWatches();
  member_->driver().TransferLeadership(raft::kNobody, [](const absl::Status& status) {
    if (!status.ok() && !absl::IsUnavailable(status)) {
      LOG(WARNING) << "leadership is not handed over: " << status.message();
    }
  });
}

void Server::StopUnusable(const std::string& reason) {
  // Until the last calls are answered.
  member_->driver().Retire();
  if (!stop_->begun()) {
    stop_->Begin(Fail(kExitBadDirectory, reason));
  }
}

// The mark, which the loop waits for, is the last thing that the directory is used for.
void Server::StopRemoved(const std::string& what, bool at_start) {
  if (const absl::Status marked = storage_->MarkRemoved(what); !marked.ok()) {
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
  peers_->Shutdown();
  shutdown_thread_ = std::thread([this] {
    http_->Stop();
    const auto now = std::chrono::system_clock::now();
    client_server_->Shutdown(now);
    peer_server_->Shutdown(now);
    loop_->Post([this] { loop_->Stop(); });
  });
}

void Server::TearDown() {
  // From here on nobody looks: a signal ends the process by itself.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  shutdown_thread_.join();
  reads_->Stop();
  scans_->Stop();
  snapshots_->Stop();
  storage_->StopGivingBackSpace();
  upkeep_->Stop();
  member_.reset();
  // Finishes what the log still has to write; nothing wakes the loop after it.
  storage_.reset();
  loop_->DrainQueues();
  LOG(INFO) << "stopped";
}

}  // namespace

int RunServer(const ServerOptions& options) { return Server(options).Run(); }

}  // namespace raftkv::server
