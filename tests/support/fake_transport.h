// A transport that keeps what it is given until somebody takes it.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "raft/runtime/transport.h"

namespace raftkv::raft {

// Confined to one thread.
class FakeTransport final : public Transport {
 public:
  struct SentMessage {
    Envelope envelope;
    ClusterMillis cluster_time;
  };
  struct SentForward {
    NodeId to;
    ForwardRequest request;
  };
  struct SentReply {
    NodeId to;
    ForwardReply reply;
  };

  // The beginning of a snapshot, or the end of one: without `snapshot`.
  struct SnapshotOrder {
    NodeId to;
    Term term;
    std::unique_ptr<SnapshotReader> snapshot;
  };

  void Send(Envelope envelope, ClusterMillis cluster_time) override {
    messages_.push_back({std::move(envelope), cluster_time});
  }
  bool HasForwardRoom(NodeId leader) const override { return !full_.contains(leader); }
  bool Forward(NodeId leader, ForwardRequest request) override {
    ++forward_attempts_;
    if (unreachable_.contains(leader)) {
      return false;
    }
    requests_.push_back({leader, std::move(request)});
    return true;
  }
  void ReplyToForward(NodeId origin, ForwardReply reply) override {
    replies_.push_back({origin, std::move(reply)});
  }

  void SendSnapshot(NodeId peer, Term term, std::unique_ptr<SnapshotReader> snapshot) override {
    snapshot_orders_.push_back({peer, term, std::move(snapshot)});
  }
  void StopSnapshot(NodeId peer) override { snapshot_orders_.push_back({peer, Term(0), nullptr}); }

  // Whether Forward to `leader` succeeds; it does at first.
  void SetReachable(NodeId leader, bool reachable) {
    if (reachable) {
      unreachable_.erase(leader);
    } else {
      unreachable_.insert(leader);
    }
  }
  // Whether there is room to forward to `leader`; there is at first.
  void SetForwardRoom(NodeId leader, bool room) {
    if (room) {
      full_.erase(leader);
    } else {
      full_.insert(leader);
    }
  }
  uint64_t forward_attempts() const { return forward_attempts_; }

  std::vector<SentMessage> TakeMessages() { return std::exchange(messages_, {}); }
  std::vector<SentForward> TakeRequests() { return std::exchange(requests_, {}); }
  std::vector<SentReply> TakeReplies() { return std::exchange(replies_, {}); }
  std::vector<SnapshotOrder> TakeSnapshotOrders() { return std::exchange(snapshot_orders_, {}); }

 private:
  std::set<NodeId> unreachable_;
  std::set<NodeId> full_;
  uint64_t forward_attempts_ = 0;
  std::vector<SentMessage> messages_;
  std::vector<SentForward> requests_;
  std::vector<SentReply> replies_;
  std::vector<SnapshotOrder> snapshot_orders_;
};

}  // namespace raftkv::raft
