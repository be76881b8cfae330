#include "server/peer/peer_wing.h"

#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/peer/grpc_hello_asker.h"

namespace raftkv::server {

PeerWing::PeerWing(const ServerOptions* options, std::vector<Founder> founders,
                   storage::Storage* storage, kv::MemberDirectory* directory,
                   std::shared_ptr<PortTls> tls, kv::DiskPool* snapshots, EventLoop* loop,
                   const MonotonicClock* clock,
                   std::function<void(const std::string& reason)> stop_unusable)
    : options_(*options), founders_(std::move(founders)), storage_(*storage) {
  context_.clock = clock;
  context_.loop = loop;
  context_.directory = directory;
  context_.state_machine = storage_.state_machine();
  context_.snapshots = snapshots;
  context_.election_timeout = options_.election_timeout_ms * kNanosPerMilli;
  context_.data_dir = options_.data_dir;
  context_.stop_unusable = std::move(stop_unusable);
  context_.tls = std::move(tls);
  std::map<std::string, std::string> told;
  for (const Founder& founder : founders_) {
    told[founder.name] = founder.peer_address;
  }
  directory->addresses().SetTold(std::move(told));
}

void PeerWing::Register(grpc::ServerBuilder* builder) {
  builder->RegisterService(service_.raft_service());
  builder->RegisterService(service_.forward_service());
}

void PeerWing::Start() {
  service_.Start(
      {.on_hello =
           [this](const peer::v1::HelloRequest&) { return AnswerHello(context_, founders_); },
       .on_peer_seen =
           [this](raft::NodeId peer, const std::string& address, const std::string& caller) {
             transport_.OnPeerSeen(peer, address, caller);
           }});
}

void PeerWing::LogCluster() const {
  const kv::MemberDirectory& directory = *context_.directory;
  LOG(INFO) << "member " << directory.self().id << " \"" << directory.self().name << "\", data in "
            << options_.data_dir;
  if (context_.tls != nullptr && !context_.tls->files().client_cert_auth) {
    LOG(WARNING) << "the peer port has TLS, but asks nobody for a certificate: whoever reaches it "
                    "can speak as any member. Give --peer_client_cert_auth=true";
  }
  if (!directory.founded()) {
    LOG(INFO) << "no cluster yet: founding one of " << std::max<size_t>(1, founders_.size())
              << " member(s)";
    return;
  }
  std::vector<std::string> members;
  for (const log::v1::ConfiguredMember& member : directory.configuration()->members()) {
    members.push_back(absl::StrCat(member.name(), "=", member.peer_address()));
  }
  LOG(INFO) << "cluster " << directory.cluster_id() << " of " << absl::StrJoin(members, ", ");
  if (const std::string difference = ListDifference(directory, founders_); !difference.empty()) {
    LOG(WARNING) << "--initial_cluster differs from what --data_dir=" << options_.data_dir
                 << " says: " << difference
                 << ". The cluster stays as it is; members are looked for at the addresses of both";
  }
}

void PeerWing::Join() {
  if (context_.directory->founded()) {
    transport_.Connect();
    foreign_data_check_ = std::make_unique<ForeignDataCheck>(&context_, context_.stop_unusable);
    return;
  }
  if (founders_.size() <= 1) {
    const kv::MemberDirectory::Self& self = context_.self();
    founders_ = {Founder{.name = self.name, .peer_address = self.peer_address}};
    OnFounded(MakeFoundingRecord(founders_, {{self.name, self.data_id}}));
    return;
  }
  founding_ = std::make_unique<Founding>(
      &context_, founders_,
      Founding::Hooks{
          .new_asker =
              [this](const Founder& founder, HelloAsker::OnAnswer on_answer) {
                return std::make_unique<GrpcHelloAsker>(
                    &context_, founder.name,
                    [address = founder.peer_address] { return std::vector<std::string>{address}; },
                    MakeHello(context_, founders_), std::move(on_answer));
              },
          .on_founded = [this](const log::v1::ClusterConfiguration& record) { OnFounded(record); },
          .on_refused = context_.stop_unusable});
}

void PeerWing::OnFounded(const log::v1::ClusterConfiguration& record) {
  storage_.Found(context_.self().name, context_.self().id, record);
  LOG(INFO) << "cluster " << record.cluster_id() << " is founded with " << record.members_size()
            << " member(s)";
  context_.driver->SetDormant(false);
  transport_.Connect();
}

void PeerWing::Tick() {
  if (context_.directory->founded()) {
    founding_.reset();
  } else if (founding_ != nullptr) {
    founding_->Tick();
  }
  if (foreign_data_check_ != nullptr) {
    foreign_data_check_->Tick();
  }
  transport_.Tick();
  service_.Tick();
  if (context_.directory->founded() && !shut_down_) {
    quorum_watch_.Tick();
  }
}

void PeerWing::Shutdown() {
  shut_down_ = true;
  founding_.reset();
  foreign_data_check_.reset();
  transport_.Shutdown();
  service_.Shutdown();
}

std::vector<std::string> PeerWing::Warnings() const {
  std::vector<std::string> warnings;
  if (std::string warning = quorum_watch_.Warning(); !warning.empty()) {
    warnings.push_back(std::move(warning));
  }
  if (context_.refusals.count() > 0) {
    warnings.push_back(absl::StrCat("refused ", context_.refusals.count(),
                                    " peer calls, the last one: ", context_.refusals.last()));
  }
  return warnings;
}

PeerWingFigures PeerWing::Figures() const {
  return {.peers = transport_.Figures(), .refused_calls = context_.refusals.count()};
}

}  // namespace raftkv::server
