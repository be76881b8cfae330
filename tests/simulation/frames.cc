#include "tests/simulation/frames.h"

namespace raftkv::simulation {
namespace {

// Of a message, besides entries and commands.
constexpr uint64_t kMessageBytes = 20;

uint64_t BytesOf(const std::vector<raft::Envelope>& messages) {
  uint64_t bytes = messages.size() * kMessageBytes;
  for (const raft::Envelope& envelope : messages) {
    if (const auto* append = std::get_if<raft::AppendRequest>(&envelope.message)) {
      for (const raft::Entry& entry : append->entries) {
        bytes += entry.size_bytes();
      }
    }
  }
  return bytes;
}

}  // namespace

uint64_t BytesOf(const Frame& frame) {
  if (const auto* leader = std::get_if<LeaderFrame>(&frame)) {
    return BytesOf(leader->messages);
  }
  if (const auto* follower = std::get_if<FollowerFrame>(&frame)) {
    return BytesOf(follower->messages);
  }
  uint64_t bytes = kMessageBytes;
  if (const auto* request = std::get_if<raft::ForwardRequest>(&frame)) {
    for (const raft::Proposal& proposal : request->proposals) {
      bytes += kMessageBytes + proposal.command.size();
    }
  }
  if (const auto* chunk = std::get_if<SnapshotChunk>(&frame)) {
    bytes += chunk->data.size();
  }
  return bytes;
}

}  // namespace raftkv::simulation
