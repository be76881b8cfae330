#include "tests/chaos/leader_watch.h"

namespace raftkv::chaos {
namespace {

constexpr integration::Millis kInterval(50);
// A member that is frozen does not lead.
constexpr integration::Millis kAnswerMax(250);

}  // namespace

LeaderWatch::LeaderWatch(integration::TestCluster* cluster) : cluster_(cluster) {
  progress_.Expect();
  thread_ = std::thread([this] { Run(); });
}

LeaderWatch::~LeaderWatch() {
  stop_ = true;
  thread_.join();
}

void LeaderWatch::Run() {
  while (!stop_) {
    for (size_t node = 0; node < cluster_->size(); ++node) {
      const auto status = cluster_->client(node).GetStatus(kAnswerMax);
      if (status.ok() && status->raft_state() == v1::RAFT_STATE_LEADER) {
        progress_.Note();
        break;
      }
    }
    std::this_thread::sleep_for(kInterval);
  }
}

}  // namespace raftkv::chaos
