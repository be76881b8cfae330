#include "raft/core/invariants.h"

#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

// A follower in term 3 with entries 3 to 9 in memory.
CoreView Healthy() {
  CoreView view;
  view.self = NodeId(1);
  view.hard_state = {.term = Term(3), .vote = NodeId(2)};
  view.leader_of_term = NodeId(2);
  view.memory_previous = {.term = Term(1), .index = LogIndex(2)};
  view.memory_entries = 7;
  view.last = {.term = Term(3), .index = LogIndex(9)};
  view.commit = LogIndex(7);
  view.commit_term = Term(3);
  view.handed_out = LogIndex(6);
  view.applied = LogIndex(5);
  view.durable = LogIndex(8);
  view.verified = LogIndex(9);
  view.persisted = WriteId(4);
  view.next_write = WriteId(6);
  return view;
}

CoreView HealthyLeader() {
  CoreView view = Healthy();
  view.role = RaftRole::kLeader;
  view.hard_state.vote = NodeId(1);
  view.leader_of_term = NodeId(1);
  view.term_start = LogIndex(8);
  view.verified = LogIndex(0);
  return view;
}

template <typename Change>
CoreView With(CoreView view, Change change) {
  change(view);
  return view;
}

TEST(InvariantsTest, HealthyViewsPass) {
  CheckState(Healthy());
  CheckState(HealthyLeader());
  CheckStep(Healthy(), Healthy());
  CheckStep(HealthyLeader(), HealthyLeader());
}

TEST(InvariantsDeathTest, StatesThatMustNotBe) {
  const auto dies = [](const CoreView& view) { EXPECT_DEATH(CheckState(view), "Check failed"); };
  dies(With(Healthy(), [](CoreView& v) { v.memory_entries = 6; }));
  dies(With(Healthy(), [](CoreView& v) { v.last.term = Term(4); }));
  dies(With(Healthy(), [](CoreView& v) { v.commit = LogIndex(10); }));
  dies(With(Healthy(), [](CoreView& v) { v.durable = LogIndex(10); }));
  dies(With(Healthy(), [](CoreView& v) { v.applied = LogIndex(7); }));
  dies(With(Healthy(), [](CoreView& v) { v.handed_out = LogIndex(8); }));
  dies(With(Healthy(), [](CoreView& v) { v.durable = LogIndex(5); }));
  dies(With(Healthy(), [](CoreView& v) { v.verified = LogIndex(6); }));
  dies(With(Healthy(), [](CoreView& v) { v.persisted = WriteId(6); }));
  dies(With(HealthyLeader(), [](CoreView& v) { v.hard_state.vote = NodeId(2); }));
  dies(With(HealthyLeader(), [](CoreView& v) { v.leader_of_term = NodeId(2); }));
  dies(With(HealthyLeader(), [](CoreView& v) { v.hard_state_durable = false; }));
  dies(With(HealthyLeader(), [](CoreView& v) { v.term_start = LogIndex(10); }));
  dies(With(HealthyLeader(), [](CoreView& v) { v.installing = true; }));
}

TEST(InvariantsDeathTest, StepsThatMustNotBe) {
  const auto dies = [](const CoreView& before, const CoreView& after) {
    EXPECT_DEATH(CheckStep(before, after), "Check failed");
  };
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.hard_state.term = Term(2); }));
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.hard_state.vote = NodeId(3); }));
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.leader_of_term = NodeId(3); }));
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.commit = LogIndex(6); }));
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.handed_out = LogIndex(5); }));
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.applied = LogIndex(4); }));
  dies(Healthy(), With(Healthy(), [](CoreView& v) { v.last.index = LogIndex(6); }));
  dies(HealthyLeader(), With(HealthyLeader(), [](CoreView& v) { v.last.index = LogIndex(8); }));
  // The log moves while a snapshot is installed.
  const CoreView installing = With(Healthy(), [](CoreView& v) { v.installing = true; });
  CheckStep(installing, installing);
  CheckStep(Healthy(), installing);
  dies(installing, With(installing, [](CoreView& v) { v.last.index = LogIndex(10); }));
  dies(installing, With(installing, [](CoreView& v) { v.commit = LogIndex(8); }));
  dies(installing, With(installing, [](CoreView& v) { v.handed_out = LogIndex(7); }));
  // Commits an entry of an earlier term.
  dies(With(HealthyLeader(), [](CoreView& v) { v.commit = LogIndex(6); }), HealthyLeader());
}

TEST(InvariantsTest, ANewTermMayVoteAndFollowAnew) {
  CheckStep(Healthy(), With(Healthy(), [](CoreView& v) {
              v.hard_state = {.term = Term(4), .vote = NodeId(3)};
              v.leader_of_term = NodeId(3);
            }));
}

}  // namespace
}  // namespace raftkv::raft
