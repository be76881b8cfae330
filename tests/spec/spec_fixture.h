// Runs made by hand, step by step, for the spec to judge.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/spec/raft_spec.h"

namespace raftkv::raft {

inline EntryId Id(uint64_t term, uint64_t index) { return {Term(term), LogIndex(index)}; }

inline Entry At(uint64_t term, uint64_t index) {
  return {.id = Id(term, index), .kind = EntryKind::kNoOp, .stamp = {}, .payload = nullptr};
}

class SpecTest : public testing::Test {
 protected:
  explicit SpecTest(Configuration configuration = {.voters = {NodeId(1), NodeId(2), NodeId(3)},
                                                   .outgoing_voters = {},
                                                   .learners = {}})
      : spec_(configuration, [this](const std::string& what) { rejections_.push_back(what); }) {
    for (const auto& half : {configuration.voters, configuration.outgoing_voters}) {
      for (const NodeId id : half) {
        Start(id.value());
      }
    }
  }

  void Start(uint64_t id, uint64_t applied = 0) {
    Disk& disk = disks_[NodeId(id)];
    spec_.OnStarted(NodeId(id), {.hard_state = &disk.hard_state, .log = &disk.log},
                    LogIndex(applied));
  }
  // Not durable before Sync.
  void Write(uint64_t id, std::optional<HardState> hard_state, std::vector<Entry> entries = {}) {
    const LogWrite write{.id = {}, .hard_state = hard_state, .entries = std::move(entries)};
    spec_.OnWrite(NodeId(id), write);
    disks_[NodeId(id)].writes.push_back(write);
  }
  void Sync(uint64_t id) {
    Disk& disk = disks_[NodeId(id)];
    for (const LogWrite& write : std::exchange(disk.writes, {})) {
      disk.hard_state = write.hard_state.value_or(disk.hard_state);
      for (const Entry& entry : write.entries) {
        disk.log.resize(entry.id.index.value() - 1);
        disk.log.push_back(entry);
      }
    }
  }
  // Synced.
  void Store(uint64_t id, HardState hard_state, std::vector<Entry> entries = {}) {
    Write(id, hard_state, std::move(entries));
    Sync(id);
  }
  void Send(uint64_t from, uint64_t to, uint64_t term, Message message) {
    spec_.OnSent({.from = NodeId(from), .to = NodeId(to), .term = Term(term), .message = message});
  }
  static HardState Vote(uint64_t term, uint64_t vote) {
    return {.term = Term(term), .vote = NodeId(vote)};
  }

  // Server `id` becomes a candidate with the PreVote of `voter`.
  void Campaign(uint64_t id, uint64_t voter, uint64_t term, EntryId last = {}) {
    Send(id, voter, term, VoteRequest{.pre_vote = true, .last_entry = last});
    Send(voter, id, term, VoteReply{.pre_vote = true, .granted = true});
    Store(id, Vote(term, id));
    Send(id, voter, term, VoteRequest{.pre_vote = false, .last_entry = last});
  }
  void Grant(uint64_t id, uint64_t candidate, uint64_t term) {
    Store(id, Vote(term, candidate));
    Send(id, candidate, term, VoteReply{.pre_vote = false, .granted = true});
  }
  // Server 1 leads term 1 with the vote of 2, and has appended its first entry.
  void Lead() {
    Campaign(1, 2, 1);
    Grant(2, 1, 1);
    Store(1, Vote(1, 1), {At(1, 1)});
  }
  void Append(uint64_t to, EntryId previous, std::vector<Entry> entries, uint64_t commit = 0) {
    Send(1, to, 1, AppendRequest{previous, std::move(entries), LogIndex(commit)});
  }
  void Accept(uint64_t id, uint64_t match) {
    Send(id, 1, 1, AppendAccepted{.match_index = LogIndex(match)});
  }
  // And the entry is committed, by 1 and 2.
  void LeadAndCommit() {
    Lead();
    Append(2, Id(0, 0), {At(1, 1)});
    Store(2, Vote(1, 1), {At(1, 1)});
    Accept(2, 1);
    Commit(1, 1);
  }
  // Server 3 has its first entry, of term 2, which it led with the vote of 2; 1 led term 1.
  void LeadTwice() {
    Lead();
    Store(3, Vote(1, 0));
    Campaign(3, 2, 2);
    Grant(2, 3, 2);
    Store(3, Vote(2, 3), {At(2, 1)});
  }
  // Server 1 has applied its first entry, and sends 3, which is in its term, a snapshot of that.
  void SendSnapshot() {
    LeadAndCommit();
    Store(3, Vote(1, 0));
    spec_.OnApplied(NodeId(1), Id(1, 1));
    spec_.OnSnapshotSent(NodeId(1), NodeId(3), Term(1), Id(1, 1));
  }
  // With it, `log` is on the disk.
  void Install(uint64_t id, std::vector<Entry> log) {
    disks_[NodeId(id)].log = std::move(log);
    spec_.OnSnapshotInstalled(NodeId(id), Id(1, 1));
  }
  void Beat(uint64_t to, uint64_t round, uint64_t commit = 0) {
    Send(1, to, 1, Heartbeat{.commit_index = LogIndex(commit), .round = RoundId(round)});
  }
  void Commit(uint64_t id, uint64_t index) { spec_.OnCommitIndex(NodeId(id), LogIndex(index)); }
  void Ask(uint64_t read, uint64_t asker, uint64_t commit) {
    spec_.OnReadAsked(NodeId(1), ReadId(read),
                      {.asker = NodeId(asker), .term = Term(1), .commit_index = LogIndex(commit)});
  }
  void Answer(uint64_t read, uint64_t index) {
    spec_.OnReadAnswered(NodeId(1), {.id = ReadId(read), .read_index = LogIndex(index)});
  }

  void ExpectAccepted() { EXPECT_THAT(rejections_, testing::IsEmpty()); }
  // Once, by this rule.
  void ExpectRejected(const std::string& rule) {
    EXPECT_THAT(rejections_, testing::ElementsAre(testing::HasSubstr(rule)));
    rejections_.clear();
  }

  struct Disk {
    HardState hard_state;
    std::vector<Entry> log;
    std::vector<LogWrite> writes;
  };
  std::map<NodeId, Disk> disks_;
  std::vector<std::string> rejections_;
  RaftSpec spec_;
};

}  // namespace raftkv::raft
