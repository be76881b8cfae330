#include "server/server.h"

#include <glog/logging.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/stderr_pump.h"
#include "base/version.h"
#include "raft/runtime/raft_driver.h"
#include "raft/wire/convert.h"
#include "server/cluster_service.h"
#include "server/event_loop.h"
#include "server/foreign_data_check.h"
#include "server/founding.h"
#include "server/grpc_log.h"
#include "server/grpc_transport.h"
#include "server/health_service.h"
#include "server/kv_service.h"
#include "server/limits.h"
#include "server/listeners.h"
#include "server/log_text.h"
#include "server/member_publisher.h"
#include "server/node.h"
#include "server/peer_service.h"
#include "server/quorum_watch.h"
#include "server/read_pool.h"
#include "server/startup_signals.h"
#include "storage/disk_failure.h"
#include "storage/expirer.h"
#include "storage/storage.h"

namespace raftkv::server {
namespace {

// Promised to whoever supervises the process.
constexpr int kExitOk = 0;
constexpr int kExitBadConfiguration = 1;
// Almost always a limit of open files that is too low: configuration, too.
constexpr int kExitDeaf = 1;
constexpr int kExitBadDirectory = storage::kExitDamaged;
// Two signals: the second ends the process at once.
constexpr int kExitForced = 130;

constexpr MonotonicNanos kDrainLimit = 5 * kNanosPerSecond;
// Between the last answer and the end of the connections, so that it still gets out.
constexpr MonotonicNanos kFarewellNanos = 100 * kNanosPerMilli;
constexpr MonotonicNanos kClockSaveInterval = kNanosPerSecond;
constexpr MonotonicNanos kDiskLookInterval = kNanosPerSecond;

int Fail(int exit_code, const std::string& message) {
  // In one piece, as the ready line, so that no other line gets into it.
  std::cerr << absl::StrCat("raftkvd: ", message, "\n");
  return exit_code;
}

uint64_t RandomNonZero() {
  std::random_device entropy;
  const uint64_t value = static_cast<uint64_t>(entropy()) << 32 | entropy();
  return std::max<uint64_t>(1, value);
}

// What others can dial when all that is known is "every interface".
std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "localhost";
}

class Server final : public raft::DriverObserver {
 public:
  explicit Server(const ServerOptions& options) : options_(options) {}

  int Run();

 private:
  // Each returns an exit code when the server cannot go on.
  std::optional<int> OpenStorage();
  // Whether --initial_cluster names this member; it must, unless the member is founded already.
  bool IsFounder() const;
  int RefuseAsFounder() const;
  std::optional<int> MakeDriver();
  std::optional<int> StartServers();
  void StartServices();
  void JoinCluster();
  void OnFounded(const log::v1::ClusterConfiguration& record);
  void OnTick();
  void LookAtDisk(MonotonicNanos now);
  bool OnTurn();
  void TakeSignals();
  void BeginStop();
  void ContinueStop();
  void ShutDownServers();
  void TearDown();
  void LogStart() const;

  void OnEvent(const raft::Event& event) override;
  std::string MemberText(raft::NodeId id) const;

  const ServerOptions options_;
  const SystemMonotonicClock clock_;
  std::vector<Founder> founders_;
  uint64_t member_id_ = 0;
  std::string client_address_;
  std::string peer_address_;
  int exit_code_ = kExitOk;
  MonotonicNanos next_clock_save_ = 0;
  MonotonicNanos next_disk_look_ = 0;
  // When the stop began, and when everything was answered; 0 before.
  MonotonicNanos stop_began_ = 0;
  MonotonicNanos answered_at_ = 0;

  // In the order in which they are made; taken down in the reverse order (TearDown).
  grpc::ServerBuilder client_builder_;
  grpc::ServerBuilder peer_builder_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<ReadPool> pool_;
  // Of its own, so that long lists do not make keys expire late.
  std::unique_ptr<ReadPool> expiry_pool_;
  Node node_;
  PeerService peer_service_{&node_};
  GrpcTransport transport_{&node_, &peer_service_};
  std::unique_ptr<raft::RaftDriver> driver_;
  std::unique_ptr<storage::Expirer> expirer_;
  std::unique_ptr<Founding> founding_;
  std::unique_ptr<ForeignDataCheck> foreign_data_check_;
  MemberPublisher publisher_{&node_};
  QuorumWatch quorum_watch_{&node_, &transport_};
  KvService kv_service_{&node_};
  ClusterService cluster_service_{&node_};
  HealthService health_service_{&node_};
  std::unique_ptr<grpc::Server> client_server_;
  std::unique_ptr<grpc::Server> peer_server_;
  std::thread shutdown_thread_;
};

int Server::Run() {
  node_.started_at = clock_.Now();
  std::optional<StartupSignals> startup_signals(std::in_place);
  TakeGrpcLog();

  loop_ = std::make_unique<EventLoop>(client_builder_.AddCompletionQueue(),
                                      peer_builder_.AddCompletionQueue(), &clock_);
  for (auto step : {&Server::OpenStorage, &Server::MakeDriver, &Server::StartServers}) {
    if (std::optional<int> exit_code = (this->*step)(); exit_code.has_value()) {
      return *exit_code;
    }
  }
  StartServices();
  LogStart();
  JoinCluster();
  startup_signals.reset();
  loop_->Run({.on_tick = [this] { OnTick(); }, .on_turn = [this] { return OnTurn(); }});
  TearDown();
  return exit_code_;
}

std::optional<int> Server::OpenStorage() {
  if (!options_.initial_cluster.empty()) {
    founders_ = *ParseInitialCluster(options_.initial_cluster);
    // Asked here as well, so that a mistake leaves no directory behind.
    if (!storage::Storage::HoldsData(options_.data_dir) && !IsFounder()) {
      return RefuseAsFounder();
    }
  }
  auto storage = storage::Storage::Open({.data_dir = options_.data_dir}, loop_.get());
  if (!storage.ok()) {
    return Fail(kExitBadDirectory, std::string(storage.status().message()));
  }
  storage_ = *std::move(storage);
  // What is stored wins over the list, so for a founded member the list does not matter.
  if (!storage_->configuration().has_value() && !founders_.empty() && !IsFounder()) {
    return RefuseAsFounder();
  }
  if (!storage_->member_name().empty() && storage_->member_name() != options_.name) {
    return Fail(
        kExitBadDirectory,
        absl::StrCat("--data_dir=", options_.data_dir, " belongs to member \"",
                     storage_->member_name(), "\", not to --name=", options_.name,
                     ": start it with its own name, or give this member its own directory"));
  }
  return std::nullopt;
}

bool Server::IsFounder() const {
  return std::any_of(founders_.begin(), founders_.end(),
                     [this](const Founder& f) { return f.name == options_.name; });
}

int Server::RefuseAsFounder() const {
  return Fail(kExitBadConfiguration,
              absl::StrCat("--initial_cluster=", options_.initial_cluster,
                           ": must contain this member, --name=", options_.name));
}

std::optional<int> Server::MakeDriver() {
  auto restored = storage_->Restore();
  if (!restored.ok()) {
    return Fail(kExitBadDirectory, std::string(restored.status().message()));
  }
  if (storage_->configuration().has_value()) {
    member_id_ = storage_->member_id();
    auto configuration = wire::FromProto(*storage_->configuration());
    if (!configuration.ok()) {
      return Fail(kExitBadDirectory, absl::StrCat("--data_dir=", options_.data_dir,
                                                  ": the stored configuration is "
                                                  "damaged: ",
                                                  configuration.status().message()));
    }
    const absl::Status identity =
        CheckStoredIdentity(*storage_->configuration(), member_id_, storage_->member_name());
    if (!identity.ok()) {
      return Fail(kExitBadDirectory,
                  absl::StrCat("--data_dir=", options_.data_dir, ": ", identity.message()));
    }
    restored->configuration = *std::move(configuration);
  } else {
    // Ids follow the sorted names, so they are known before the cluster is founded.
    member_id_ = 1;
    for (size_t i = 0; i < std::max<size_t>(1, founders_.size()); ++i) {
      restored->configuration.voters.insert(raft::NodeId(i + 1));
      if (i < founders_.size() && founders_[i].name == options_.name) {
        member_id_ = i + 1;
      }
    }
  }
  constexpr MonotonicNanos kTick = EventLoop::kTick;
  raft::RaftConfig config;
  config.self = raft::NodeId(member_id_);
  config.heartbeat_ticks =
      static_cast<uint64_t>(options_.heartbeat_interval_ms * kNanosPerMilli / kTick);
  config.election_timeout_ticks =
      static_cast<uint64_t>(options_.election_timeout_ms * kNanosPerMilli / kTick);
  const MonotonicNanos election_timeout = options_.election_timeout_ms * kNanosPerMilli;
  raft::DriverOptions driver_options;
  driver_options.leader_wait = 3 * election_timeout;
  driver_options.read_retry_after = election_timeout;
  driver_ = std::make_unique<raft::RaftDriver>(
      driver_options, RandomNonZero(),
      std::make_unique<raft::RaftCore>(config, *std::move(restored), Rng(RandomNonZero())),
      storage_->restored_clock(), &transport_, storage_->log_store(), storage_->state_machine(),
      &clock_, this);
  driver_->SetDormant(!storage_->configuration().has_value());
  pool_ = std::make_unique<ReadPool>(kPoolThreads);
  expiry_pool_ = std::make_unique<ReadPool>(1);
  node_.options = &options_;
  node_.clock = &clock_;
  node_.loop = loop_.get();
  node_.pool = pool_.get();
  node_.storage = storage_.get();
  node_.state_machine = storage_->state_machine();
  node_.driver = driver_.get();
  node_.quorum_watch = &quorum_watch_;
  node_.member_id = member_id_;
  node_.stop_unusable = [this](const std::string& reason) {
    if (stop_began_ == 0) {
      exit_code_ = Fail(kExitBadDirectory, reason);
      BeginStop();
    }
  };
  node_.disk_bytes = storage_->DiskBytes();
  node_.peer_addresses.SetTold(founders_);
  node_.calls.clock = &clock_;
  node_.calls.default_timeout = options_.request_timeout_ms * kNanosPerMilli;
  expirer_ = std::make_unique<storage::Expirer>(
      driver_.get(), storage_->state_machine(), &clock_,
      [this](std::shared_ptr<const storage::KvView> view, raft::ClusterMillis now,
             std::function<void(absl::StatusOr<storage::DueKeys>)> done) {
        const bool submitted = expiry_pool_->Submit(
            ReadPool::Length::kShort, [this, view = std::move(view), now, done]() mutable {
              auto due = view->FindDueKeys(now, storage::Expirer::kKeysMax);

              view.reset();
              loop_->Post([this, done, due = std::move(due)]() mutable {
                if (absl::IsDataLoss(due.status())) {
                  node_.stop_unusable(std::string(due.status().message()));
                }
                done(std::move(due));
              });
            });
        if (!submitted) {
          done(absl::ResourceExhaustedError("the last scan is still under way"));
        }
      });
  return std::nullopt;
}

std::optional<int> Server::StartServers() {
  const HostPort listen_client = *HostPort::Parse(options_.listen_client);
  const HostPort listen_peer = *HostPort::Parse(options_.listen_peer);

  SetUpClientPort(options_, &client_builder_);
  client_builder_.RegisterService(kv_service_.grpc_service());
  client_builder_.RegisterService(cluster_service_.grpc_service());
  client_builder_.RegisterService(health_service_.grpc_service());
  absl::StatusOr<StartedServer> client =
      StartListening("listen_client", options_.listen_client, &client_builder_);
  if (!client.ok()) {
    return Fail(kExitBadConfiguration, std::string(client.status().message()));
  }
  client_server_ = std::move(client->server);

  SetUpPeerPort(&peer_builder_);
  peer_builder_.RegisterService(peer_service_.raft_service());
  peer_builder_.RegisterService(peer_service_.forward_service());
  absl::StatusOr<StartedServer> peer =
      StartListening("listen_peer", options_.listen_peer, &peer_builder_);
  if (!peer.ok()) {
    return Fail(kExitBadConfiguration, std::string(peer.status().message()));
  }
  peer_server_ = std::move(peer->server);

  peer_address_ = options_.advertise_peer;
  for (const Founder& founder : founders_) {
    if (peer_address_.empty() && founder.name == options_.name) {
      peer_address_ = founder.peer_address;
    }
  }
  if (peer_address_.empty()) {
    const std::string host = listen_peer.IsWildcard() ? HostName() : listen_peer.host;
    peer_address_ = HostPort{.host = host, .port = peer->port}.ToString();
  }
  client_address_ = options_.advertise_client;
  if (client_address_.empty()) {
    const std::string host =
        listen_client.IsWildcard() ? HostPort::Parse(peer_address_)->host : listen_client.host;
    client_address_ = HostPort{.host = host, .port = client->port}.ToString();
  }
  node_.client_address = client_address_;
  node_.peer_address = peer_address_;
  return std::nullopt;
}

void Server::StartServices() {
  kv_service_.Start();
  cluster_service_.Start();
  health_service_.Start();
  peer_service_.Start(
      {.on_hello = [this](const peer::v1::HelloRequest&) { return AnswerHello(node_, founders_); },
       .on_peer_seen =
           [this](raft::NodeId peer, const std::string& address, const std::string& caller) {
             transport_.OnPeerSeen(peer, address, caller);
           }});
}

void Server::LogStart() const {
  const raft::RaftCore& core = driver_->core();
  LOG(INFO) << "raftkv " << kVersion << " (pid " << getpid() << ")";
  LOG(INFO) << "member " << member_id_ << " \"" << options_.name << "\", data in "
            << options_.data_dir;
  if (storage_->configuration().has_value()) {
    std::vector<std::string> members;
    for (const log::v1::ConfiguredMember& member : storage_->configuration()->members()) {
      members.push_back(absl::StrCat(member.name(), "=", member.peer_address()));
    }
    LOG(INFO) << "cluster " << storage_->configuration()->cluster_id() << " of "
              << absl::StrJoin(members, ", ");
    if (const std::string difference = ListDifference(node_, founders_); !difference.empty()) {
      LOG(WARNING)
          << "--initial_cluster differs from what --data_dir=" << options_.data_dir
          << " says: " << difference
          << ". The cluster stays as it is; members are looked for at the addresses of both";
    }
  } else {
    LOG(INFO) << "no cluster yet: founding one of " << std::max<size_t>(1, founders_.size())
              << " member(s)";
  }
  LOG(INFO) << "recovered term " << core.term() << ", log to index " << core.last_entry().index
            << ", applied " << core.applied_index() << ", revision "
            << storage_->state_machine()->revision() << ", "
            << storage_->state_machine()->key_count() << " keys";
  LOG(INFO) << "heartbeats every " << options_.heartbeat_interval_ms << " ms, elections after "
            << options_.election_timeout_ms << " to " << 2 * options_.election_timeout_ms
            << " ms without one; values up to " << options_.value_bytes_max << " bytes";
  std::cerr << absl::StrCat("raftkvd ready name=", options_.name, " id=", member_id_,
                            " client=", client_address_, " peer=", peer_address_,
                            " http=off data=", options_.data_dir, "\n");
}

void Server::JoinCluster() {
  if (storage_->configuration().has_value()) {
    transport_.Connect();
    foreign_data_check_ = std::make_unique<ForeignDataCheck>(&node_, node_.stop_unusable);
    return;
  }
  if (founders_.size() <= 1) {
    founders_ = {Founder{.name = options_.name, .peer_address = peer_address_}};
    OnFounded(MakeFoundingRecord(founders_, {{options_.name, storage_->data_id()}}));
    return;
  }
  founding_ = std::make_unique<Founding>(
      &node_, founders_,
      Founding::Hooks{
          .on_founded = [this](const log::v1::ClusterConfiguration& record) { OnFounded(record); },
          .on_refused = node_.stop_unusable});
}

void Server::OnFounded(const log::v1::ClusterConfiguration& record) {
  storage_->Found(options_.name, member_id_, record);
  LOG(INFO) << "cluster " << record.cluster_id() << " is founded with " << record.members_size()
            << " member(s)";
  driver_->SetDormant(false);
  transport_.Connect();
}

void Server::OnTick() {
  TakeSignals();
  if (GrpcGaveUpPort() && stop_began_ == 0) {
    exit_code_ =
        Fail(kExitDeaf,
             "cannot take new connections any more: stopping, because only a restart opens "
             "the port again. Is the limit of open files (ulimit -n) high enough?");
    BeginStop();
  }
  if (stop_began_ != 0) {
    ContinueStop();
  }
  if (storage_->configuration().has_value()) {
    founding_.reset();
  } else if (founding_ != nullptr) {
    founding_->Tick();
  }
  if (foreign_data_check_ != nullptr) {
    foreign_data_check_->Tick();
  }
  transport_.Tick();
  driver_->Tick();
  peer_service_.Tick();
  kv_service_.Tick();
  node_.calls.backlog.Tick(clock_.Now());
  node_.calls.unfinished.Tick(clock_.Now(), kSlowRequestBytesMax / ClientMessageBytesMax(options_));
  if (storage_->configuration().has_value() && !node_.draining) {
    expirer_->Tick();
    publisher_.Tick();
    quorum_watch_.Tick();
  }
  if (const MonotonicNanos now = clock_.Now(); now >= next_disk_look_) {
    LookAtDisk(now);
  }
  if (const MonotonicNanos now = clock_.Now();
      now >= next_clock_save_ && storage_->state_machine()->earliest_deadline().value() != 0) {
    next_clock_save_ = now + kClockSaveInterval;
    storage_->SaveClusterClock(driver_->ReadClusterClock());
  }
}

// On the thread of the scans for due keys, which are short.
void Server::LookAtDisk(MonotonicNanos now) {
  const bool submitted = expiry_pool_->Submit(ReadPool::Length::kShort, [this] {
    loop_->Post([this, bytes = storage_->DiskBytes()] {
      node_.disk_bytes = bytes;
      next_disk_look_ = clock_.Now() + kDiskLookInterval;
    });
  });
  // One at a time, however long it takes.
  next_disk_look_ =
      submitted ? std::numeric_limits<MonotonicNanos>::max() : now + kDiskLookInterval;
}

bool Server::OnTurn() {
  transport_.ReportLosses();
  const bool more = driver_->RunTurn();
  kv_service_.OnApplied();
  return health_service_.OnTurn() || more;
}

// They are blocked everywhere, so they wait here to be looked at.
void Server::TakeSignals() {
  const sigset_t harmless = HarmlessSignals();
  const timespec no_wait = {};
  if (const int signal = sigtimedwait(&harmless, nullptr, &no_wait); signal > 0) {
    LogHarmlessSignal(signal);
  }
  const sigset_t stop = StopSignals();
  const int signal = sigtimedwait(&stop, nullptr, &no_wait);
  if (signal < 0) {
    return;
  }
  if (stop_began_ != 0) {
    ExitAtOnce(kExitForced);
  }
  LOG(INFO) << "stopping: " << (signal == SIGTERM ? "SIGTERM" : "SIGINT");
  BeginStop();
}

void Server::BeginStop() {
  if (stop_began_ != 0) {
    return;
  }
  stop_began_ = clock_.Now();
  node_.draining = true;
}

// Waits for what is under way, answers what is not done in time, and gives the last answers a
// moment to leave.
void Server::ContinueStop() {
  const MonotonicNanos now = clock_.Now();
  if (answered_at_ != 0) {
    if (now - answered_at_ >= kFarewellNanos && !shutdown_thread_.joinable()) {
      ShutDownServers();
    }
    return;
  }
  if (node_.calls.in_flight == 0 || now - stop_began_ >= kDrainLimit) {
    driver_->Shutdown();
    health_service_.EndWatches();
    answered_at_ = now;
  }
}

// A server's Shutdown returns once every call is over, and calls are over when the loop has taken
// their last events: so the loop goes on while another thread waits.
void Server::ShutDownServers() {
  founding_.reset();
  foreign_data_check_.reset();
  transport_.Shutdown();
  peer_service_.Shutdown();
  shutdown_thread_ = std::thread([this] {
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
  node_.calls.closed = true;
  pool_->Stop();
  expiry_pool_->Stop();
  // Syncs what the log still has to write; nothing wakes the loop after it.
  driver_.reset();
  expirer_.reset();
  storage_.reset();
  loop_->DrainQueues();
  LOG(INFO) << "stopped";
}

std::string Server::MemberText(raft::NodeId id) const {
  if (storage_->configuration().has_value()) {
    for (const log::v1::ConfiguredMember& member : storage_->configuration()->members()) {
      if (member.id() == id.value()) {
        return absl::StrCat(id.value(), " \"", member.name(), "\"");
      }
    }
  }
  return absl::StrCat(id.value());
}

void Server::OnEvent(const raft::Event& event) {
  switch (event.kind) {
    case raft::Event::Kind::kRoleChanged:
    case raft::Event::Kind::kLogTruncated:
      LOG(INFO) << EventText(event);
      return;
    case raft::Event::Kind::kLeaderChanged:
      if (event.leader == raft::kNobody) {
        LOG(INFO) << EventText(event);
      } else {
        LOG(INFO) << "following member " << MemberText(event.leader) << ", leader of term "
                  << event.term;
      }
      return;
    case raft::Event::Kind::kMessageRefused:
      LOG_EVERY_T(WARNING, 1) << EventText(event);
      return;
  }
}

}  // namespace

int RunServer(const ServerOptions& options) { return Server(options).Run(); }

}  // namespace raftkv::server
