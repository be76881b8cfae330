#include "server/peer/foreign_data_check.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/peer/founding.h"
#include "server/peer/grpc_hello_asker.h"

namespace raftkv::server {

ForeignDataCheck::ForeignDataCheck(PeerContext* context,
                                   std::function<void(const std::string& reason)> on_foreign)
    : context_(context), on_foreign_(std::move(on_foreign)) {
  for (const kv::MemberEntry& member : context_->directory->Others()) {
    askers_.push_back(std::make_unique<GrpcHelloAsker>(
        context_, member.name,
        [this, id = raft::NodeId(member.id)] { return context_->directory->AddressesOf(id); },
        MakeHello(*context_, {}),
        [this, member](const grpc::Status& status, const peer::v1::HelloResponse& response) {
          OnAnswer(member, status, response);
        }));
  }
}

void ForeignDataCheck::Tick() {
  over_ = over_ || context_->driver->core().leader() != raft::kNobody;
  if (over_) {
    askers_.clear();
    return;
  }
  for (const std::unique_ptr<HelloAsker>& asker : askers_) {
    asker->Tick();
  }
}

void ForeignDataCheck::OnAnswer(const kv::MemberEntry& member, const grpc::Status& status,
                                const peer::v1::HelloResponse& response) {
  const uint64_t own = context_->directory->cluster_id();
  if (over_ || !status.ok()) {
    return;
  }
  if (!response.has_configuration() || response.configuration().cluster_id() == own) {
    foreign_clusters_.erase(member.id);
    return;
  }
  foreign_clusters_[member.id] = response.configuration().cluster_id();
  if (2 * foreign_clusters_.size() <= context_->directory->Members().size()) {
    return;
  }
  over_ = true;
  on_foreign_(absl::StrCat(
      "--data_dir=", context_->data_dir, " belongs to cluster ", own, ", but member \"",
      member.name, "\" at ", context_->directory->AddressesOf(raft::NodeId(member.id)).front(),
      " and a majority of the others are in cluster ", foreign_clusters_[member.id],
      ": start this member with the directory that it had in that cluster"));
}

}  // namespace raftkv::server
