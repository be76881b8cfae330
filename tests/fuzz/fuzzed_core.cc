#include "tests/fuzz/fuzzed_core.h"

#include <glog/logging.h>

#include <algorithm>
#include <string>
#include <utility>

#include "raft/core/describe.h"
#include "raft/runtime/command_batch.h"
#include "raft/wire/convert.h"

namespace raftkv::fuzz {

using raft::ClusterMillis;
using raft::Entry;
using raft::EntryId;
using raft::Envelope;
using raft::LogIndex;
using raft::NodeId;
using raft::Term;

namespace {

constexpr uint64_t kNodes = 5;

void ReplaceFrom(std::vector<Entry>* log, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    CHECK_LE(entry.id.index.value() - 1, log->size()) << "a gap before " << Describe(entry);
    log->resize(entry.id.index.value() - 1);
    log->push_back(entry);
  }
}

Envelope ThroughTheWire(const Envelope& envelope) {
  const auto only = [](const auto& decoded) {
    CHECK(decoded.ok()) << decoded.status();
    CHECK_EQ(decoded->size(), 1u);
    return decoded->front();
  };
  if (wire::IsLeaderMessage(envelope.message)) {
    peer::v1::AppendEntriesRequest frame;
    wire::AppendToFrame(envelope, &frame);
    return only(wire::FromProto(std::move(frame), envelope.from, envelope.to));
  }
  if (wire::IsFollowerMessage(envelope.message)) {
    peer::v1::AppendEntriesResponse frame;
    wire::AppendToFrame(envelope, &frame);
    return only(wire::FromProto(frame, envelope.from, envelope.to));
  }
  const auto vote =
      std::holds_alternative<raft::VoteRequest>(envelope.message)
          ? wire::FromProto(wire::ToVoteRequestProto(envelope), envelope.from, envelope.to)
          : wire::FromProto(wire::ToVoteResponseProto(envelope), envelope.from, envelope.to);
  CHECK(vote.ok()) << vote.status();
  return *vote;
}

}  // namespace

FuzzedCore::FuzzedCore(ByteSource* source) {
  config_.self = NodeId(1);
  config_.heartbeat_ticks = 2;
  config_.election_timeout_ticks = 10;
  config_.inflight_appends_max = 1 + source->Below(3);
  config_.append_bytes_max = 64 + source->Below(200);
  config_.log_memory_bytes_max = config_.append_bytes_max + 64 * source->Below(8);
  const uint64_t members = source->Byte();
  for (uint64_t node = 1; node <= kNodes; ++node) {
    if ((members >> node & 1) == 1) {
      configuration_.learners.insert(NodeId(node));
    } else {
      configuration_.voters.insert(NodeId(node));
    }
  }
  if (configuration_.voters.empty()) {
    configuration_.voters.swap(configuration_.learners);
  }
  if (source->Below(4) == 0) {
    configuration_.outgoing_voters = {NodeId(2), NodeId(3)};
  }
  Term term;
  ClusterMillis stamp;
  for (uint64_t entries = source->Below(12); entries > 0; --entries) {
    term = Term(std::max<uint64_t>(1, term.value() + source->Below(2)));
    stamp = stamp + source->Below(3);
    disk_.push_back({.id = {.term = term, .index = LogIndex(disk_.size() + 1)},
                     .kind = raft::EntryKind::kNoOp,
                     .stamp = stamp,
                     .payload = nullptr});
  }
  disk_state_ = {.term = Term(term.value() + source->Below(3)), .vote = NodeId(source->Below(3))};
  if (disk_state_.term == Term(0)) {
    disk_state_.vote = raft::kNobody;
  }
  applied_ = LogIndex(source->Below(disk_.size() + 1));
  Start(source);
}

void FuzzedCore::Start(ByteSource* source) {
  log_ = disk_;
  to_apply_ = applied_;
  raft::RestoredState restored;
  restored.hard_state = disk_state_;
  restored.configuration = configuration_;
  for (uint64_t place = 0; place < applied_.value(); ++place) {
    if (disk_[place].configuration != nullptr) {
      restored.configuration = *disk_[place].configuration;
    }
  }
  if (applied_ > LogIndex(0)) {
    restored.applied = disk_[applied_.value() - 1].id;
  }
  const uint64_t previous = source->Below(applied_.value() + 1);
  if (previous > 0) {
    restored.previous = disk_[previous - 1].id;
    restored.previous_stamp = disk_[previous - 1].stamp;
  }
  restored.tail.assign(disk_.begin() + static_cast<ptrdiff_t>(previous), disk_.end());
  core_ = std::make_unique<raft::RaftCore>(config_, std::move(restored), Rng(++starts_));
  CarryOut();
}

void FuzzedCore::Act(ByteSource* source) {
  switch (source->Below(9)) {
    case 0:
      core_->Tick();
      break;
    case 1:
      for (uint64_t ticks = source->Below(21); ticks > 0; --ticks) {
        core_->Tick();
        CarryOut();
      }
      break;
    case 2:
      Persist(1);
      break;
    case 3:
      Persist(writes_.size());
      break;
    case 4:
      ApplyAll();
      break;
    case 5: {
      std::string payload;
      raft::AppendProposal(1, 1, std::string(source->Below(100), 'x'), &payload);
      // Refused where it does not lead.
      (void)core_->Propose(std::move(payload), ClusterMillis(source->Below(100)));
      break;
    }
    case 6:
      core_->RequestRead(raft::ReadId(++last_read_), NodeId(1 + source->Below(kNodes)));
      break;
    case 7:
      core_->OnStreamLost(NodeId(1 + source->Below(kNodes + 1)));
      AnswerLoad();
      break;
    default:
      if (source->Below(8) == 0) {
        Crash(source);
      } else {
        core_->SendCommitIndex();
      }
      break;
  }
  CarryOut();
}

void FuzzedCore::Deliver(Envelope envelope) {
  if (core_->Take(std::move(envelope)).ok()) {
    CarryOut();
  }
}

void FuzzedCore::Crash(ByteSource* source) {
  writes_.clear();
  loads_.clear();
  Start(source);
}

void FuzzedCore::Persist(uint64_t writes) {
  for (; writes > 0 && !writes_.empty(); --writes) {
    const raft::LogWrite write = std::move(writes_.front());
    writes_.pop_front();
    disk_state_ = write.hard_state.value_or(disk_state_);
    ReplaceFrom(&disk_, write.entries);
    core_->OnPersisted(write.id);
    CarryOut();
  }
}

void FuzzedCore::ApplyAll() {
  applied_ = to_apply_;
  core_->OnApplied(applied_);
}

void FuzzedCore::AnswerLoad() {
  if (loads_.empty()) {
    return;
  }
  const raft::LoadEntries load = loads_.front();
  loads_.pop_front();
  const uint64_t first = load.first.value() - 1;
  CHECK_LT(first, log_.size()) << "what is loaded is applied, so it stays";
  const EntryId previous = first == 0 ? EntryId() : log_[first - 1].id;
  const auto begin = log_.begin() + static_cast<ptrdiff_t>(first);
  core_->OnEntriesLoaded(load.peer, previous,
                         {begin, begin + std::min<ptrdiff_t>(2, log_.end() - begin)});
}

void FuzzedCore::CarryOut() {
  while (core_->HasOutput()) {
    raft::Output output = core_->TakeOutput();
    CHECK(!core_->HasOutput());
    if (output.write.has_value()) {
      ReplaceFrom(&log_, output.write->entries);
      writes_.push_back(*std::move(output.write));
    }
    for (const Envelope& envelope : output.messages) {
      CHECK_EQ(Describe(ThroughTheWire(envelope)), Describe(envelope));
    }
    loads_.insert(loads_.end(), output.loads.begin(), output.loads.end());
    for (const Entry& entry : output.committed) {
      CHECK_EQ(entry.id.index, to_apply_.Next());
      CHECK(entry.id == disk_.at(entry.id.index.value() - 1).id) << "it is not durable";
      to_apply_ = entry.id.index;
    }
  }
}

}  // namespace raftkv::fuzz
