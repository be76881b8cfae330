#include "raft/core/configuration_history.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace raftkv::raft {

ConfigurationHistory::ConfigurationHistory(Configuration applied) {
  items_.push_back({.index = LogIndex(0),
                    .configuration = std::make_shared<const Configuration>(std::move(applied)),
                    .payload = nullptr});
}

bool ConfigurationHistory::MayVote(NodeId node) const {
  return std::any_of(items_.begin(), items_.end(),
                     [node](const Item& item) { return item.configuration->IsVoter(node); });
}

void ConfigurationHistory::OnAppended(LogIndex index,
                                      std::shared_ptr<const Configuration> configuration,
                                      std::shared_ptr<const std::string> payload) {
  CHECK_GT(index, active_index());
  CHECK(!configuration->voters.empty());
  items_.push_back(
      {.index = index, .configuration = std::move(configuration), .payload = std::move(payload)});
}

void ConfigurationHistory::OnTruncated(LogIndex first) {
  while (items_.size() > 1 && active_index() >= first) {
    items_.pop_back();
  }
  CHECK_LT(active_index(), first) << "what is applied stays";
}

void ConfigurationHistory::OnApplied(LogIndex applied) {
  while (items_.size() > 1 && items_[1].index <= applied) {
    items_.pop_front();
  }
}

void ConfigurationHistory::OnReplaced(const Configuration& applied) {
  std::shared_ptr<const Configuration> counts = active();
  if (*counts != applied) {
    counts = std::make_shared<const Configuration>(applied);
  }
  items_.clear();
  items_.push_back({.index = LogIndex(0), .configuration = std::move(counts), .payload = nullptr});
}

}  // namespace raftkv::raft
