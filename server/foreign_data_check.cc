#include "server/foreign_data_check.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/founding.h"

namespace raftkv::server {

ForeignDataCheck::ForeignDataCheck(Node* node,
                                   std::function<void(const std::string& reason)> on_foreign)
    : node_(node), on_foreign_(std::move(on_foreign)) {
  for (const log::v1::ConfiguredMember& member : node_->configuration()->members()) {
    if (member.id() != node_->member_id) {
      askers_.push_back(std::make_unique<HelloAsker>(
          node_, member.name(), [this, member] { return node_->AddressesOf(member); },
          MakeHello(*node_, {}),
          [this, member](const grpc::Status& status, const peer::v1::HelloResponse& response) {
            OnAnswer(member, status, response);
          }));
    }
  }
}

void ForeignDataCheck::Tick() {
  over_ = over_ || node_->driver->core().leader() != raft::kNobody;
  if (over_) {
    askers_.clear();
    return;
  }
  for (const std::unique_ptr<HelloAsker>& asker : askers_) {
    asker->Tick();
  }
}

void ForeignDataCheck::OnAnswer(const log::v1::ConfiguredMember& member, const grpc::Status& status,
                                const peer::v1::HelloResponse& response) {
  const uint64_t own = node_->configuration()->cluster_id();
  if (over_ || !status.ok()) {
    return;
  }
  if (!response.has_configuration() || response.configuration().cluster_id() == own) {
    foreign_clusters_.erase(member.id());
    return;
  }
  foreign_clusters_[member.id()] = response.configuration().cluster_id();
  if (2 * foreign_clusters_.size() <= static_cast<size_t>(node_->configuration()->members_size())) {
    return;
  }
  over_ = true;
  on_foreign_(
      absl::StrCat("--data_dir=", node_->options->data_dir, " belongs to cluster ", own,
                   ", but member \"", member.name(), "\" at ", node_->AddressesOf(member).front(),
                   " and a majority of the others are in cluster ", foreign_clusters_[member.id()],
                   ": start this member with the directory that it had in that cluster"));
}

}  // namespace raftkv::server
